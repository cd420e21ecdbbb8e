//! Shell patterns for names: `*`, `?`, `[abc]`, `[a-z]`, `[!a]`. A pattern covers the whole name.

/// True if the name fits the pattern. A `[` without its `]` stands for itself.
pub fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    fits(&pattern, &name)
}

fn fits(pattern: &[char], name: &[char]) -> bool {
    let Some((first, rest)) = pattern.split_first() else { return name.is_empty() };
    match first {
        '*' => (0..=name.len()).any(|skipped| fits(rest, &name[skipped..])),
        '?' => !name.is_empty() && fits(rest, &name[1..]),
        '[' if class(rest).is_some() => {
            let Some((set, rest)) = class(rest) else { return false };
            name.split_first().is_some_and(|(letter, name)| contains(set, *letter) && fits(rest, name))
        }
        letter => name.first() == Some(letter) && fits(rest, &name[1..]),
    }
}

/// Splits `abc]rest` at the closing bracket. A bracket right at the start, or after `!`, is a member.
fn class(pattern: &[char]) -> Option<(&[char], &[char])> {
    let first = usize::from(pattern.first() == Some(&'!'));
    let end = pattern.iter().skip(first + 1).position(|letter| *letter == ']')? + first + 1;
    Some((&pattern[..end], &pattern[end + 1..]))
}

fn contains(set: &[char], letter: char) -> bool {
    let (negated, mut rest) = match set {
        ['!', rest @ ..] => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [low, '-', high, rest @ ..] => {
                found |= (*low..=*high).contains(&letter);
                rest
            }
            [one, rest @ ..] => {
                found |= *one == letter;
                rest
            }
            [] => return found != negated,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn patterns_cover_the_whole_name() {
        for (pattern, name, fits) in [
            ("csv-*", "csv-quirks", true),
            ("csv-*", "a-csv-quirks", false),
            ("csv", "csv-quirks", false),
            ("*-12", "many-configs-12", true),
            ("*s*s*", "stats-strings", true),
            ("t?v-*", "tsv-starwars", true),
            ("[ct]sv-*", "tsv-starwars", true),
            ("[a-d]sv-*", "csv-quirks", true),
            ("[!a-d]sv-*", "csv-quirks", false),
            ("[]]x", "]x", true),
            ("[", "[", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "`{pattern}` on `{name}`");
        }
    }
}
