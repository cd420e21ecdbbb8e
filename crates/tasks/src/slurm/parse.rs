//! What Slurm's commands print, and the one table of its states.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use belvedere_domain::task::{AttemptTag, State};

use crate::cluster::{Answer, Evidence, Listing, OutputEntry, OutputKind, Phase, Seen, Tail};
use crate::place::ResultFile;

/// Between the columns of a line. Names of jobs may hold anything, also this.
const UNIT: char = '\u{1f}';

/// What a word of Slurm means. `CANCELLED by 1001` and `NODE_FAIL+` are known by their first part.
pub(super) fn phase(word: &str) -> Phase {
    let word = word.split([' ', '+']).next().unwrap_or_default();
    match word {
        "PENDING" | "CONFIGURING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT" | "RESV_DEL_HOLD"
        | "POWER_UP_NODE" => Phase::Pending,
        "RUNNING" | "SUSPENDED" | "STOPPED" | "SIGNALING" | "RESIZING" => Phase::Running,
        "COMPLETING" | "STAGE_OUT" => Phase::Completing,
        "COMPLETED" => Phase::Ended(State::Succeeded),
        "CANCELLED" | "REVOKED" => Phase::Ended(State::Cancelled),
        "FAILED" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => Phase::Ended(State::Failed),
        "TIMEOUT" | "DEADLINE" => Phase::Ended(State::Timeout),
        "OUT_OF_MEMORY" => Phase::Ended(State::OutOfMemory),
        "NODE_FAIL" | "BOOT_FAIL" => Phase::Ended(State::NodeFailed),
        "PREEMPTED" => Phase::Ended(State::Preempted),
        _ => Phase::Unknown,
    }
}

/// What a reason of waiting means for whoever waits; nothing for the ordinary ones.
pub(super) fn hint(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "PartitionTimeLimit" => "the time asked for is longer than the partition allows; it will never run",
        "BadConstraints" | "DependencyNeverSatisfied" => "it will never run",
        "JobHeldUser" | "JobHeldAdmin" => "it is held and runs when somebody releases it",
        "ReqNodeNotAvail" => "the nodes that it needs are not available",
        reason if reason.starts_with("Assoc") || reason.starts_with("QOS") => "a quota of the account is used up",
        _ => return None,
    })
}

/// Lines of `squeue`; jobs that are not ours are left out, whatever their names hold.
pub(super) fn queue(text: &str) -> Listing {
    let mut listing = Listing::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split(UNIT).collect();
        let [job, name, word, reason, submitted, started, host] = columns[..] else { continue };
        let Some(tag) = AttemptTag::recognise(name) else { continue };
        let seen = seen(job, word, reason, submitted, started, host, None);
        listing.entry(tag).or_default().extend(seen);
    }
    listing
}

fn seen(
    job: &str,
    word: &str,
    reason: &str,
    submitted: &str,
    started: &str,
    host: &str,
    exit: Option<i64>,
) -> Option<Seen> {
    if job.is_empty() || !job.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let said = |text: &str| Some(text.to_owned()).filter(|text| !matches!(text.as_str(), "" | "None" | "(null)"));
    let reason = said(reason).map(|reason| match hint(&reason) {
        Some(hint) => format!("{reason}: {hint}"),
        None => reason,
    });
    Some(Seen {
        job: job.to_owned(),
        phase: phase(word),
        word: word.to_owned(),
        reason,
        submitted: submitted.parse().ok(),
        started: started.parse().ok(),
        host: said(host),
        exit,
    })
}

/// Lines of the verb `evidence`.
pub(super) fn evidence(text: &str) -> HashMap<AttemptTag, Evidence> {
    let mut all: HashMap<AttemptTag, Evidence> = HashMap::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split(UNIT).collect();
        match columns[..] {
            ["E", tag, claim, silent, result] => {
                let Some(tag) = AttemptTag::recognise(tag) else { continue };
                let found = all.entry(tag).or_default();
                found.claimed_by = Some(claim.to_owned()).filter(|claim| !claim.is_empty());
                found.silent_seconds = silent.parse().ok();
                if !result.is_empty() {
                    found.result = STANDARD.decode(result).ok().and_then(|bytes| ResultFile::parse(&bytes));
                    found.invalid_result = found.result.is_none();
                }
            }
            ["A", job, name, word, reason, submitted, started, host, code] => {
                let Some(tag) = AttemptTag::recognise(name) else { continue };
                let exit = code.split(':').next().and_then(|code| code.parse().ok());
                all.entry(tag).or_default().accounted.extend(seen(job, word, reason, submitted, started, host, exit));
            }
            _ => {}
        }
    }
    all
}

/// Lines of the verb `tails`.
pub(super) fn tails(text: &str) -> HashMap<AttemptTag, [Tail; 2]> {
    let mut all: HashMap<AttemptTag, [Tail; 2]> = HashMap::new();
    for line in text.lines() {
        let columns: Vec<&str> = line.split(' ').collect();
        let [tag, stream, size, bytes] = columns[..] else { continue };
        let (Some(tag), Ok(size), Ok(bytes)) = (AttemptTag::recognise(tag), size.parse(), STANDARD.decode(bytes))
        else {
            continue;
        };
        all.entry(tag).or_default()[usize::from(stream == "err")] = Tail { size, bytes };
    }
    all
}

/// Entries of the verb `outputs`, each ended by a NUL; at most `max`, and whether there are more.
pub(super) fn outputs(bytes: &[u8], max: usize) -> (Vec<OutputEntry>, bool) {
    let mut found: Vec<OutputEntry> = bytes.split(|byte| *byte == 0).filter_map(output).collect();
    let more = found.len() > max;
    found.truncate(max);
    (found, more)
}

fn output(entry: &[u8]) -> Option<OutputEntry> {
    let text = String::from_utf8_lossy(entry);
    let mut parts = text.splitn(4, ' ');
    let (kind, names, size) = (parts.next()?, parts.next()?, parts.next()?);
    let kind = match kind {
        "f" if names == "1" => OutputKind::File,
        "f" => OutputKind::HardLink,
        "l" => OutputKind::Link,
        _ => OutputKind::Special,
    };
    Some(OutputEntry { path: parts.next()?.to_owned(), size: size.parse().ok()?, kind })
}

/// What `submit` answered. Only words that leave no doubt say that there is no job.
pub(super) fn answer(text: &str, code: i32) -> Answer {
    let text = text.trim();
    let last = |text: &str| text.lines().last().unwrap_or_default().trim().chars().take(500).collect::<String>();
    for line in text.lines().rev() {
        if let Some(job) = line.strip_prefix("taken ") {
            return match job.bytes().all(|byte| byte.is_ascii_digit()) && !job.is_empty() {
                true => Answer::Taken(job.to_owned()),
                false => Answer::Unknown(last(text)),
            };
        }
    }
    let failed = text.find("failed ").map(|at| &text[at..]);
    let Some(failed) = failed.filter(|_| code == 0) else { return Answer::Unknown(last(text)) };
    let words = failed.splitn(3, ' ').nth(2).unwrap_or_default();
    let has = |parts: &[&str]| parts.iter().any(|part| words.contains(part));
    let certain = "sbatch: error: Batch job submission failed: ";
    let reason: String = words.replace(certain, "").replace("sbatch: error: ", "").trim().chars().take(500).collect();
    if has(&["AssocMax", "AssocGrp", "QOSMax", "QOSGrp", "Job violates accounting/QOS policy"]) {
        return Answer::NotNow(reason);
    }
    if has(&["Unable to contact slurm controller"]) && !has(&["timed out"]) {
        // The connection was refused: the request never left.
        return Answer::NotNow(reason);
    }
    let rejected = [
        "Invalid account",
        "invalid partition",
        "Invalid node name",
        "Requested node configuration is not available",
        "Invalid qos",
        "Invalid generic resource",
        "Invalid feature",
        "This does not look like a batch script",
        "Requested time limit is invalid",
        "Memory specification can not be satisfied",
        "User's group not permitted",
        "Access/permission denied",
        "invalid option",
        "unrecognized option",
        "Unable to open file",
        "More processors requested than permitted",
    ];
    if has(&rejected) { Answer::Rejected(reason) } else { Answer::Unknown(reason) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag() -> AttemptTag {
        crate::new_task_id(7).tag(3)
    }

    /// e050 | other people's jobs have names with spaces, line breaks, separators and odd letters | lines that are not ours are passed over; ours are read
    #[test]
    fn e050_names_of_foreign_jobs_do_not_matter() {
        let tag = tag();
        let text = format!(
            "1\u{1f}a b\u{1f}RUNNING\u{1f}None\u{1f}1700000000\u{1f}1700000001\u{1f}n1\n\
             2\u{1f}x\u{1f}y\u{1f}RUNNING\u{1f}None\u{1f}1\u{1f}2\u{1f}n1\n\
             3\u{1f}{tag}\nnot this\n\
             4\u{1f}été {tag}\u{1f}RUNNING\u{1f}None\u{1f}1\u{1f}2\u{1f}n1\n\
             5\u{1f}{tag}\u{1f}PENDING\u{1f}PartitionTimeLimit\u{1f}1700000000\u{1f}N/A\u{1f}\n\
             x;y\u{1f}{tag}\u{1f}RUNNING\u{1f}None\u{1f}1\u{1f}2\u{1f}n1\n"
        );
        let listing = queue(&text);
        assert_eq!(listing.len(), 1);
        let [seen] = &listing[&tag][..] else { panic!("{listing:?}") };
        assert_eq!((seen.job.as_str(), &seen.phase, seen.submitted), ("5", &Phase::Pending, Some(1_700_000_000)));
        assert!(seen.reason.as_deref().unwrap().contains("it will never run"));
        assert_eq!((seen.started, seen.host.clone()), (None, None));
    }

    /// e052 | Slurm is another version, with other words for states and for what it does not know | the columns are those that we ask for, so the same line means the same; words that came later are known, and one that comes yet is no end
    #[test]
    fn e052_versions_of_slurm_say_the_same() {
        let tag = tag();
        let line = |fields: [&str; 6]| {
            let [job, word, reason, submitted, started, host] = fields;
            [job, tag.as_str(), word, reason, submitted, started, host].join("\u{1f}") + "\n"
        };
        let read = |fields| {
            let mut seen = queue(&line(fields)).remove(&tag).unwrap();
            assert_eq!(seen.len(), 1);
            seen.remove(0)
        };
        // Whatever stands for a time or a host that is not known.
        let waits = [
            read(["7", "PENDING", "Priority", "1700000000", "N/A", ""]),
            read(["7", "PENDING", "Priority", "1700000000", "Unknown", "(null)"]),
            read(["7", "PENDING", "Priority", "1700000000", "", "None"]),
        ];
        assert!(waits.iter().all(|seen| *seen == waits[0] && seen.phase == Phase::Pending && seen.started.is_none()));
        for (word, phase) in [
            ("POWER_UP_NODE", Phase::Pending),
            ("LAUNCH_FAILED", Phase::Ended(State::Failed)),
            ("CANCELLED by 1001", Phase::Ended(State::Cancelled)),
            ("NODE_FAIL+", Phase::Ended(State::NodeFailed)),
            ("A_WORD_OF_TOMORROW", Phase::Unknown),
        ] {
            assert_eq!(read(["7", word, "None", "1", "2", "n1"]).phase, phase, "{word}");
        }
        // A version that has more columns than were asked for, or fewer, is not guessed at.
        assert!(queue(&format!("7\u{1f}{tag}\u{1f}PENDING\n")).is_empty());
        assert!(
            queue(&format!("{}more\u{1f}\n", line(["7", "PENDING", "", "1", "", ""]).replace('\n', "\u{1f}")))
                .is_empty()
        );
    }

    #[test]
    fn every_state_of_slurm_has_a_meaning_and_unknown_ones_are_not_the_end() {
        assert_eq!(phase("CANCELLED by 1001"), Phase::Ended(State::Cancelled));
        assert_eq!(phase("TIMEOUT"), Phase::Ended(State::Timeout));
        assert_eq!(phase("COMPLETING"), Phase::Completing);
        assert_eq!(phase("SOMETHING_NEW"), Phase::Unknown);
        assert_eq!(phase(""), Phase::Unknown);
        // The states that the manual of squeue lists.
        let all = "BOOT_FAIL CANCELLED COMPLETED CONFIGURING COMPLETING DEADLINE FAILED NODE_FAIL OUT_OF_MEMORY PENDING \
                   PREEMPTED RUNNING RESV_DEL_HOLD REQUEUE_FED REQUEUE_HOLD REQUEUED RESIZING REVOKED SIGNALING \
                   SPECIAL_EXIT STAGE_OUT STOPPED SUSPENDED TIMEOUT LAUNCH_FAILED";
        assert!(all.split(' ').filter(|word| !word.is_empty()).all(|word| phase(word) != Phase::Unknown));
    }

    #[test]
    fn only_certain_words_say_that_there_is_no_job() {
        let failed = |words: &str| answer(&format!("failed 1 {words}"), 0);
        assert_eq!(answer("taken 42\n", 0), Answer::Taken("42".into()));
        assert_eq!(answer("noise\ntaken 42", 0), Answer::Taken("42".into()));
        let certain =
            "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified";
        assert_eq!(
            failed(certain),
            Answer::Rejected("Invalid account or account/partition combination specified".into())
        );
        for doubtful in [
            failed("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"),
            failed("Terminated"),
            failed(""),
            answer("whether there is a job already is not known", 75),
            answer("taken x", 0),
            answer("unknown Submitted batch job", 0),
            answer("", 255),
        ] {
            assert!(matches!(doubtful, Answer::Unknown(_)), "{doubtful:?}");
        }
    }

    /// e041 | the cluster says that a quota is used up | the attempt waits its turn and is not counted as failed
    #[test]
    fn e041_a_quota_that_is_used_up_is_not_a_failure() {
        let words = "sbatch: error: AssocMaxSubmitJobLimit\nsbatch: error: Batch job submission failed: Job violates \
                     accounting/QOS policy (job submit limit, user's size and/or time limits)";
        assert!(matches!(answer(&format!("failed 1 {words}"), 0), Answer::NotNow(_)));
    }

    #[test]
    fn evidence_and_streams_are_read() {
        let tag = tag();
        let result = STANDARD.encode(r#"{"exit": 3, "host": "n1"}"#);
        let text = format!(
            "E\u{1f}{tag}\u{1f}17\u{1f}4\u{1f}{result}\n\
             A\u{1f}17\u{1f}{tag}\u{1f}FAILED\u{1f}None\u{1f}1\u{1f}2\u{1f}n1\u{1f}3:0\nsacct: error: x\n"
        );
        let found = evidence(&text).remove(&tag).unwrap();
        assert_eq!((found.claimed_by.as_deref(), found.silent_seconds), (Some("17"), Some(4)));
        assert_eq!(found.result.unwrap().exit, 3);
        assert_eq!((found.accounted[0].phase.clone(), found.accounted[0].exit), (Phase::Ended(State::Failed), Some(3)));
        let forged = format!("E\u{1f}{tag}\u{1f}\u{1f}\u{1f}{}\n", STANDARD.encode("[]"));
        assert!(evidence(&forged)[&tag].invalid_result);
        let text = format!("{tag} out 5 {}\n{tag} err 0 \n", STANDARD.encode(b"a\n\0\xff!"));
        let [out, err] = tails(&text).remove(&tag).unwrap();
        assert_eq!((out.bytes.as_slice(), out.size, err.size), (&b"a\n\0\xff!"[..], 5, 0));
        let (found, more) = outputs(b"f 1 5 a b.txt\0l 1 3 link\0f 2 1 hard\0p 1 0 pipe\0", 3);
        assert_eq!((found.len(), more, found[0].path.as_str()), (3, true, "a b.txt"));
        assert_eq!(
            found.iter().map(|entry| entry.kind).collect::<Vec<_>>(),
            [OutputKind::File, OutputKind::Link, OutputKind::HardLink]
        );
    }
}
