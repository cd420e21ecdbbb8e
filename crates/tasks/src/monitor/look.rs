//! Looking after what a cluster has taken: one listing for all attempts, then the folders of those that need it.

use std::collections::{BTreeSet, HashMap, HashSet};

use belvedere_domain::Timestamp;
use belvedere_domain::task::{AttemptTag, State};
use belvedere_store::StoreError;
use belvedere_store::tasks::{ActiveAttempt, Facts};

use super::decide::{decide, needs_evidence};
use super::{Monitor, Tick, backoff};
use crate::catalog::Member;
use crate::cluster::{Evidence, Listing, LookUp, Phase, Seen};

/// How often the folders of running attempts are looked into for signs of life: every so many seconds of database time.
const SIGNS_EVERY: i64 = 120;

/// Jobs of a look that the store is asked about beside its active attempts.
const MAX_ORPHANS: usize = 100;

impl Monitor {
    /// Learns where all attempts are.
    pub(super) async fn watch(
        &self,
        member: &Member,
        active: &[ActiveAttempt],
        tick: &mut Tick,
    ) -> Result<(), StoreError> {
        let on_cluster: Vec<_> = active.iter().filter(|active| active.attempt.state.may_be_on_cluster()).collect();
        if !on_cluster.is_empty() {
            let tags: Vec<_> = on_cluster.iter().map(|active| active.attempt.tag.clone()).collect();
            tick.listings += 1;
            let listing = match member.cluster.list(&tags).await {
                Ok(listing) => listing,
                // States stay as they are: that nobody answers says nothing about them.
                Err(error) => {
                    self.failed(member, &error).await;
                    return self.note_health(member).await;
                }
            };
            self.worked(&member.name).await;
            self.look_for_orphans(member, &on_cluster, &listing).await?;
            let Some(evidence) = self.evidence(member, &on_cluster, &listing).await else {
                return self.note_health(member).await;
            };
            for active in on_cluster {
                self.observe(member, active.clone(), &listing, &evidence, tick).await?;
            }
        }
        self.read_logs(member, active).await?;
        for active in active.iter().filter(|active| active.attempt.state == State::Collecting) {
            self.collect(member, active.clone(), tick).await?;
        }
        Ok(())
    }

    /// Tells of jobs of ours, waiting or running, that the store knows nothing of, as after an older state of it was
    /// restored. They are let alone: another installation may use the same account.
    async fn look_for_orphans(
        &self,
        member: &Member,
        active: &[&ActiveAttempt],
        listing: &Listing,
    ) -> Result<(), StoreError> {
        let known: HashSet<&AttemptTag> = active.iter().map(|active| &active.attempt.tag).collect();
        let live = |seen: &Seen| !matches!(seen.phase, Phase::Ended(_));
        let strangers = listing.iter().filter(|(tag, seen)| !known.contains(tag) && seen.iter().any(live));
        let mut orphans = BTreeSet::new();
        for (tag, _) in strangers.take(MAX_ORPHANS) {
            let task = tag.task();
            let row = match task {
                Some(task) => self.tasks.task(task, None).await?,
                None => None,
            };
            if row.is_none() {
                orphans.insert(tag.to_string());
            }
        }
        let (count, mut breakers) = (orphans.len(), self.breakers.lock().await);
        if breakers.entry(member.name.clone()).or_default().note_orphans(orphans) {
            tracing::warn!(cluster.name = %member.name, count, "jobs on a cluster have our names, and are not known here");
        }
        Ok(())
    }

    /// What lies in the folders of attempts whose listing does not tell enough. `None` when the cluster did not answer.
    async fn evidence(
        &self,
        member: &Member,
        active: &[&ActiveAttempt],
        listing: &Listing,
    ) -> Option<HashMap<AttemptTag, Evidence>> {
        let wanted = |active: &&&ActiveAttempt| {
            let attempt = &active.attempt;
            let seen = listing.get(&attempt.tag).map_or(&[][..], Vec::as_slice);
            let poll = i64::try_from(member.poll.as_secs()).unwrap_or(i64::MAX).max(1);
            let signs = attempt.state == State::Running && (active.now.0 / 1_000_000) % SIGNS_EVERY < poll;
            !matches!(attempt.state, State::Submitting | State::SubmitUnknown) && (needs_evidence(seen) || signs)
        };
        let wanted: Vec<_> = active.iter().filter(wanted).collect();
        if wanted.is_empty() {
            return Some(HashMap::new());
        }
        let since = wanted.iter().map(|active| active.attempt.created_at).min().unwrap_or(Timestamp(0));
        let tags: Vec<_> = wanted.iter().map(|active| active.attempt.tag.clone()).collect();
        match member.cluster.evidence(&tags, since).await {
            Ok(evidence) => Some(evidence),
            Err(error) => {
                self.failed(member, &error).await;
                None
            }
        }
    }

    async fn observe(
        &self,
        member: &Member,
        mut active: ActiveAttempt,
        listing: &Listing,
        evidence: &HashMap<AttemptTag, Evidence>,
        tick: &mut Tick,
    ) -> Result<(), StoreError> {
        let tag = active.attempt.tag.clone();
        let seen = listing.get(&tag).map_or(&[][..], Vec::as_slice);
        if matches!(active.attempt.state, State::Submitting | State::SubmitUnknown) {
            let job = super::decide::chosen(seen, evidence.get(&tag)).map(|seen| seen.job.clone());
            return self.find(member, active, job, tick).await;
        }
        let Some(decision) = decide(&active, seen, evidence.get(&tag), member.lost_after) else { return Ok(()) };
        self.move_to(&mut active, decision.to, decision.facts, tick).await?;
        if active.attempt.state == State::Collecting {
            self.collect(member, active, tick).await?;
        }
        Ok(())
    }

    /// Finds out whether the cluster has taken an attempt whose answer was lost. Nothing is submitted again before the
    /// cluster has said twice, long enough apart for a late request to have arrived, that there is no job.
    async fn find(
        &self,
        member: &Member,
        mut active: ActiveAttempt,
        job: Option<String>,
        tick: &mut Tick,
    ) -> Result<(), StoreError> {
        let apart = member.look_apart.as_secs_f64();
        if active.attempt.state == State::Submitting {
            // Whoever noted the intention is gone: one process at a time acts here.
            let reason = Some("the server stopped while the cluster was being asked".to_owned());
            let facts = Facts { reason, looks: Some(0), wait_seconds: Some(0.0), ..Facts::default() };
            if !self.move_to(&mut active, Some(State::SubmitUnknown), facts, tick).await? {
                return Ok(());
            }
            active.attempt.looks = 0;
        }
        let found = match job {
            Some(job) => LookUp::Found(job),
            None if active.attempt.not_before > active.now => return Ok(()),
            None => match member.cluster.look_up(&active.attempt.tag, active.attempt.created_at).await {
                Ok(found) => found,
                Err(error) => {
                    let facts = Facts { reason: Some(error.to_string()), looks: Some(0), ..Facts::default() };
                    self.move_to(&mut active, None, facts, tick).await?;
                    return Ok(());
                }
            },
        };
        match found {
            LookUp::Found(job) => {
                let facts = Facts { job: Some(job), looks: Some(0), observed: true, ..Facts::default() };
                self.move_to(&mut active, Some(State::Submitted), facts, tick).await?;
            }
            LookUp::Nothing if active.attempt.looks == 0 => {
                let facts = Facts { looks: Some(1), wait_seconds: Some(apart), ..Facts::default() };
                self.move_to(&mut active, None, facts, tick).await?;
            }
            LookUp::Nothing if active.cancel => {
                let facts = Facts { ended_at: Some(active.now), ..Facts::default() };
                self.move_to(&mut active, Some(State::Cancelled), facts, tick).await?;
            }
            LookUp::Nothing => {
                let failures = active.attempt.failures + 1;
                let reason = Some("the cluster did not take it; it is submitted again".to_owned());
                let wait = Some(backoff(member, failures));
                let facts =
                    Facts { reason, failures: Some(failures), looks: Some(0), wait_seconds: wait, ..Facts::default() };
                self.move_to(&mut active, Some(State::Queued), facts, tick).await?;
            }
        }
        Ok(())
    }

    /// Passes on wishes to cancel, again and again until they are fulfilled.
    pub(super) async fn cancel(
        &self,
        member: &Member,
        active: &[ActiveAttempt],
        tick: &mut Tick,
    ) -> Result<(), StoreError> {
        for active in active.iter().filter(|active| active.cancel) {
            let mut active = active.clone();
            match active.attempt.state {
                State::Queued | State::Staging => {
                    let facts = Facts { ended_at: Some(active.now), ..Facts::default() };
                    self.move_to(&mut active, Some(State::Cancelled), facts, tick).await?;
                }
                state if state.may_be_on_cluster() => {
                    if let Err(error) = member.cluster.cancel(&active.attempt.tag).await {
                        self.failed(member, &error).await;
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}
