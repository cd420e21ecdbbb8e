//! The name that was probably meant.

use super::{RETIRED, SECTIONS, Setting, settings};

/// The candidate nearest to a name that is none of them, if it is near enough to be a slip of the finger.
pub(crate) fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (name.len() / 6).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (edits(name, candidate), candidate))
        .filter(|(edits, _)| (1..=allowed).contains(edits))
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// How many letters must be put in, left out, replaced or swapped with their neighbour (optimal string alignment).
fn edits(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for row in 1..=left.len() {
        let mut current = vec![row];
        for column in 1..=right.len() {
            let same = left[row - 1] == right[column - 1];
            let mut best = (last[column - 1] + usize::from(!same)).min(last[column] + 1).min(current[column - 1] + 1);
            if row > 1 && column > 1 && left[row - 1] == right[column - 2] && left[row - 2] == right[column - 1] {
                best = best.min(before_last[column - 2] + 1);
            }
            current.push(best);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    last[right.len()]
}

/// The names of all variables that stand for something.
pub(super) fn known_variables() -> Vec<String> {
    let current = settings().map(Setting::variable);
    let older = settings().flat_map(|setting| setting.aliases.iter().map(|&alias| alias.to_owned()));
    current.chain(older).chain(RETIRED.iter().map(|retired| retired.variable.to_owned())).collect()
}

/// What is wrong with a key that is no setting.
pub(super) fn unknown_setting(path: &str) -> String {
    let key = path.rsplit('.').next().unwrap_or(path);
    if let Some(setting) = settings().find(|setting| setting.variable() == key) {
        return format!("`{path}` is the name of a variable; here it is `{}`", setting.path());
    }
    let paths: Vec<String> = settings().map(Setting::path).collect();
    // A key that stands outside of its table is worth finding, too.
    let meant = nearest(path, paths.iter().map(String::as_str)).or_else(|| {
        paths.iter().map(String::as_str).find(|known| known.split_once('.').is_some_and(|(_, key)| key == path))
    });
    match meant {
        Some(meant) => format!("`{path}` is not a setting; did you mean `{meant}`?"),
        None => format!("`{path}` is not a setting; `belvedere config reference` lists them all"),
    }
}

/// What is wrong with a table that is no section.
pub(super) fn unknown_section(name: &str) -> String {
    match nearest(name, SECTIONS.iter().map(|section| section.name)) {
        Some(meant) => format!("`[{name}]` is not a section; did you mean `[{meant}]`?"),
        None => format!("`[{name}]` is not a section; `belvedere config reference` lists them all"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_another_word_does_not() {
        let names = ["worker.slots", "worker.sleep_seconds", "worker.max_crashes"];
        assert_eq!(nearest("worker.slosts", names), Some("worker.slots"));
        assert_eq!(nearest("wroker.slots", names), Some("worker.slots"));
        assert_eq!(nearest("worker.max_crash", names), Some("worker.max_crashes"));
        assert_eq!(nearest("api.port", names), None);
    }
}
