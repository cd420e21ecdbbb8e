//! Names that are like others, for messages.

use super::parse::shortened;

/// The name that is most like another, if one is.
pub(super) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wanted: Vec<char> = name.to_lowercase().chars().take(100).collect();
    let allowed = (wanted.len() / 3).max(1);
    names
        .map(|name| (distance(&wanted, &name.to_lowercase().chars().take(100).collect::<Vec<_>>()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Characters to change, add, leave out or exchange with their neighbour.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut rows = vec![(0..=right.len()).collect::<Vec<usize>>()];
    for (line, a) in left.iter().enumerate() {
        let mut row = vec![line + 1];
        for (column, b) in right.iter().enumerate() {
            let change = rows[line][column] + usize::from(a != b);
            let mut best = change.min(rows[line][column + 1] + 1).min(row[column] + 1);
            if line > 0 && column > 0 && *a == right[column - 1] && left[line - 1] == *b {
                best = best.min(rows[line - 1][column - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

/// The first names, for a message.
pub(super) fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<_> = names.iter().take(SHOWN).map(|name| format!("\"{}\"", shortened(name))).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}
