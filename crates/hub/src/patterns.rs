//! Patterns of data files: which files of a manifest a glob selects, and in which order.
//!
//! `*`, `?` and `[…]` match inside one path segment, `**` as a whole segment matches any number of folders, and
//! case counts. Hidden files, `__folders__` and the card's own files are selected only when a pattern names them.

use std::fmt;

/// Names that are never data, unless a pattern ends in exactly that name.
const NEVER_DATA: [&str; 6] =
    ["README.md", "config.json", "dataset_info.json", "dataset_infos.json", "dummy_data.zip", "dataset_dict.json"];

/// Why a text is not a pattern we follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternError {
    /// `https://…`, `zip://…::…`.
    External,
    /// Starts with `/`.
    Absolute,
    /// Climbs out of the repository with `..`.
    Outside,
    /// `**` with other characters in its segment.
    DoubleStar,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::External => "is a URL, but data files must lie in the repository itself",
            Self::Absolute => "is an absolute path, but data files must lie in the repository itself",
            Self::Outside => "leads out of the repository",
            Self::DoubleStar => "has `**` beside other characters; write `**/*.csv` for every depth",
        })
    }
}

impl std::error::Error for PatternError {}

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    segments: Vec<Segment>,
    /// The folders and characters before the first wildcard: every match starts with them.
    prefix: String,
    last_name: String,
    dotted_segments: usize,
    dunder_folders: usize,
    has_wildcard: bool,
    names_a_folder: bool,
}

#[derive(Debug, Clone)]
enum Segment {
    /// `**`: any number of folders.
    AnyDepth,
    /// `*`: any name.
    AnyName,
    /// A name without wildcards.
    Name(String),
    Glob(Glob),
}

/// A name with wildcards.
#[derive(Debug, Clone)]
struct Glob {
    tokens: Vec<Token>,
    /// The characters before the first wildcard and after the last one: most names differ in these.
    start: String,
    end: String,
}

#[derive(Debug, Clone)]
enum Token {
    Char(char),
    AnyChar,
    AnyRun,
    OneOf { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    /// Compiles a pattern that is relative to the folder `base` (empty: the root of the repository).
    ///
    /// # Errors
    /// [`PatternError`] when the pattern cannot or must not be followed.
    pub fn new(base: &str, pattern: &str) -> Result<Self, PatternError> {
        if [base, pattern].iter().any(|text| text.contains("://") || text.contains("::")) {
            return Err(PatternError::External);
        }
        if base.starts_with('/') || pattern.starts_with('/') {
            return Err(PatternError::Absolute);
        }
        let mut names: Vec<&str> = Vec::new();
        for name in base.split('/').chain(pattern.split('/')) {
            match name {
                "" | "." => {}
                ".." => {
                    names.pop().ok_or(PatternError::Outside)?;
                }
                name => names.push(name),
            }
        }
        if names.iter().any(|name| name.contains("**") && *name != "**") {
            return Err(PatternError::DoubleStar);
        }
        let has_wildcard = names.iter().any(|name| name.contains(['*', '?', '[']));
        let mut segments: Vec<Segment> = names
            .iter()
            .map(|name| match *name {
                "**" => Segment::AnyDepth,
                name if has_wildcard => Segment::of(tokens(name)),
                name => Segment::Name(name.to_owned()),
            })
            .collect();
        if matches!(segments.last(), Some(Segment::AnyDepth)) {
            // A final `**` is every file below, at every depth.
            segments.push(Segment::AnyName);
        }
        let text = names.join("/");
        let literal = &text[..text.find(['*', '?', '[']).unwrap_or(text.len())];
        let prefix = if has_wildcard { &literal[..literal.rfind('/').map_or(0, |end| end + 1)] } else { literal };
        Ok(Self {
            prefix: prefix.to_owned(),
            last_name: names.last().copied().unwrap_or_default().to_owned(),
            dotted_segments: names.iter().filter(|name| is_hidden(name)).count(),
            dunder_folders: names.iter().rev().skip(1).filter(|name| name.starts_with("__")).count(),
            has_wildcard,
            names_a_folder: names.is_empty() || pattern.ends_with('/'),
            segments,
        })
    }

    /// True when the pattern contains `*`, `?` or `[`: then it may match nothing, else that is an error.
    pub fn has_wildcard(&self) -> bool {
        self.has_wildcard
    }

    /// The paths that the pattern selects, in the order of `paths`, which must be sorted by code point.
    pub fn select<'p>(&self, paths: &[&'p str]) -> Vec<&'p str> {
        let start = paths.partition_point(|path| *path < self.prefix.as_str());
        let mut names = Vec::new();
        paths[start..]
            .iter()
            .take_while(|path| path.starts_with(&self.prefix))
            .copied()
            .filter(|path| {
                names.clear();
                names.extend(path.split('/'));
                self.selects(&names)
            })
            .collect()
    }

    /// Whether it selects the path with these segments.
    fn selects(&self, names: &[&str]) -> bool {
        let Some((name, folders)) = names.split_last() else { return false };
        !self.names_a_folder
            && (!NEVER_DATA.contains(name) || *name == self.last_name)
            && names.iter().filter(|segment| is_hidden(segment)).count() == self.dotted_segments
            && folders.iter().filter(|segment| segment.starts_with("__")).count() == self.dunder_folders
            && self.matches(names)
    }

    /// Segments against segments; one backtracking point, at the last `**`, is enough as with `*` in a name.
    fn matches(&self, names: &[&str]) -> bool {
        let (mut segment, mut name) = (0, 0);
        let mut retry: Option<(usize, usize)> = None;
        while name < names.len() {
            match self.segments.get(segment) {
                Some(Segment::AnyDepth) => {
                    retry = Some((segment, name));
                    segment += 1;
                    continue;
                }
                Some(own) if own.matches(names[name]) => {
                    segment += 1;
                    name += 1;
                    continue;
                }
                _ => {}
            }
            let Some((at_segment, at_name)) = retry else { return false };
            retry = Some((at_segment, at_name + 1));
            segment = at_segment + 1;
            name = at_name + 1;
        }
        segment == self.segments.len()
    }
}

impl Segment {
    fn of(tokens: Vec<Token>) -> Self {
        let literal = |token: &Token| if let Token::Char(c) = token { Some(*c) } else { None };
        let start: String = tokens.iter().map_while(literal).collect();
        if start.chars().count() == tokens.len() {
            return Self::Name(start);
        }
        if tokens.iter().all(|token| matches!(token, Token::AnyRun)) {
            return Self::AnyName;
        }
        let end: Vec<char> = tokens.iter().rev().map_while(literal).collect();
        Self::Glob(Glob { tokens, start, end: end.into_iter().rev().collect() })
    }

    /// Whether it is one segment with this name. Any number of them is for [`Pattern::matches`].
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::AnyDepth => false,
            Self::AnyName => true,
            Self::Name(own) => own == name,
            Self::Glob(Glob { tokens, start, end }) => {
                name.starts_with(start) && name.ends_with(end) && name_matches(tokens, name)
            }
        }
    }
}

fn is_hidden(segment: &str) -> bool {
    segment.starts_with('.') && segment.bytes().any(|byte| byte != b'.')
}

fn tokens(segment: &str) -> Vec<Token> {
    let chars: Vec<char> = segment.chars().collect();
    let mut tokens = Vec::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        let token = match chars[at] {
            '*' => Token::AnyRun,
            '?' => Token::AnyChar,
            '[' => match class(&chars[at + 1..]) {
                Some((class, length)) => {
                    at += length;
                    class
                }
                // Never closed: an ordinary character.
                None => Token::Char('['),
            },
            other => Token::Char(other),
        };
        tokens.push(token);
        at += 1;
    }
    tokens
}

/// Reads what follows a `[`. Returns the class and how many characters it took, `]` included.
fn class(rest: &[char]) -> Option<(Token, usize)> {
    let negated = rest.first() == Some(&'!');
    let start = usize::from(negated);
    // A `]` right at the start is a member.
    let end = start + 1 + rest.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let members = &rest[start..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < members.len() {
        if let [low, '-', high, ..] = members[at..] {
            ranges.push((low, high));
            at += 3;
        } else {
            ranges.push((members[at], members[at]));
            at += 1;
        }
    }
    Some((Token::OneOf { negated, ranges }, end + 1))
}

fn name_matches(tokens: &[Token], name: &str) -> bool {
    let mut rest = name.chars();
    let mut at = 0;
    let mut retry: Option<(usize, std::str::Chars<'_>)> = None;
    loop {
        let matched = match tokens.get(at) {
            Some(Token::AnyRun) => {
                retry = Some((at, rest.clone()));
                at += 1;
                continue;
            }
            Some(token) => match rest.clone().next() {
                Some(c) if token.matches(c) => {
                    rest.next();
                    at += 1;
                    true
                }
                _ => false,
            },
            None if rest.as_str().is_empty() => return true,
            None => false,
        };
        if !matched {
            let Some((star, from)) = &mut retry else { return false };
            if from.next().is_none() {
                return false;
            }
            at = *star + 1;
            rest = from.clone();
        }
    }
}

impl Token {
    fn matches(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::AnyChar | Self::AnyRun => true,
            Self::OneOf { negated, ranges } => ranges.iter().any(|(low, high)| (*low..=*high).contains(&c)) != *negated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(pattern: &str, paths: &[&'static str]) -> Vec<&'static str> {
        let mut paths = paths.to_vec();
        paths.sort_unstable();
        Pattern::new("", pattern).expect("a legal pattern").select(&paths)
    }

    #[test]
    fn a_star_stays_inside_one_segment() {
        let paths = ["1.csv", "10.csv", "2.csv", "d/3.csv"];
        assert_eq!(select("*.csv", &paths), ["1.csv", "10.csv", "2.csv"]);
        assert_eq!(select("*/*.csv", &paths), ["d/3.csv"]);
        assert_eq!(select("1*", &paths), ["1.csv", "10.csv"]);
        assert_eq!(select("?.csv", &paths), ["1.csv", "2.csv"]);
    }

    #[test]
    fn two_stars_cross_any_number_of_folders() {
        let paths = ["a.csv", "d/b.csv", "d/e/c.csv", "d/e/f.txt"];
        assert_eq!(select("**", &paths), paths);
        assert_eq!(select("**/*.csv", &paths), ["a.csv", "d/b.csv", "d/e/c.csv"]);
        assert_eq!(select("d/**", &paths), ["d/b.csv", "d/e/c.csv", "d/e/f.txt"]);
        assert_eq!(select("d/**/c.csv", &paths), ["d/e/c.csv"]);
        assert_eq!(select("**/e/**", &paths), ["d/e/c.csv", "d/e/f.txt"]);
        assert_eq!(select("**/d/**/e/*.txt", &paths), ["d/e/f.txt"]);
    }

    #[test]
    fn two_stars_beside_other_characters_are_refused() {
        assert_eq!(Pattern::new("", "**.csv").expect_err("refused"), PatternError::DoubleStar);
        assert_eq!(Pattern::new("", "a/b**").expect_err("refused"), PatternError::DoubleStar);
    }

    #[test]
    fn what_stands_around_wildcards_does_not_overlap() {
        assert_eq!(select("aba*ba", &["aba", "ababa", "abaxba"]), ["ababa", "abaxba"]);
        assert_eq!(select("é*[!a]é", &["é", "éaé", "ébé", "é-x"]), ["ébé"]);
        assert_eq!(select("a[x", &["a[x", "ax"]), ["a[x"]);
    }

    #[test]
    fn classes_match_one_character() {
        let paths = ["a1", "a2", "b1", "c-1", "c]1", "d[1"];
        assert_eq!(select("[ab]1", &paths), ["a1", "b1"]);
        assert_eq!(select("[!a]1", &paths), ["b1"]);
        assert_eq!(select("a[0-1]", &paths), ["a1"]);
        assert_eq!(select("c[-]1", &paths), ["c-1"]);
        assert_eq!(select("c[]]1", &paths), ["c]1"]);
        assert_eq!(select("d[1", &paths), ["d[1"]);
        assert_eq!(select("a[2-1]", &paths), [""; 0]);
    }

    #[test]
    fn braces_are_not_special_and_case_counts() {
        assert_eq!(select("{a,b}.csv", &["a.csv", "{a,b}.csv"]), ["{a,b}.csv"]);
        assert_eq!(select("*.CSV", &["a.csv", "b.CSV"]), ["b.CSV"]);
    }

    #[test]
    fn order_is_by_code_point_of_the_whole_path() {
        assert_eq!(select("**", &["z", "a/2", "b/1", "B"]), ["B", "a/2", "b/1", "z"]);
    }

    #[test]
    fn a_folder_matches_no_file() {
        for pattern in ["d", "d/", ".", "", "./d/"] {
            assert_eq!(select(pattern, &["d/a.csv"]), [""; 0], "{pattern}");
        }
    }

    #[test]
    fn dots_are_resolved_and_must_not_escape() {
        assert_eq!(select("./d/*.csv", &["d/a.csv"]), ["d/a.csv"]);
        assert_eq!(select("x/../d/a.csv", &["d/a.csv"]), ["d/a.csv"]);
        let in_folder = Pattern::new("en", "../fr/*.csv").expect("stays inside");
        assert_eq!(in_folder.select(&["en/a.csv", "fr/b.csv"]), ["fr/b.csv"]);
        assert_eq!(Pattern::new("", "../x.csv").expect_err("refused"), PatternError::Outside);
        assert_eq!(Pattern::new("en", "../../x.csv").expect_err("refused"), PatternError::Outside);
    }

    #[test]
    fn what_lies_elsewhere_is_refused() {
        assert_eq!(Pattern::new("", "https://example.com/a.csv").expect_err("refused"), PatternError::External);
        assert_eq!(Pattern::new("", "zip://a.csv::b.zip").expect_err("refused"), PatternError::External);
        assert_eq!(Pattern::new("", "/etc/passwd").expect_err("refused"), PatternError::Absolute);
    }

    #[test]
    fn files_of_the_card_are_selected_only_by_their_name() {
        let paths = ["README.md", "a.json", "d/config.json", "dataset_infos.json", "state.json"];
        assert_eq!(select("**", &paths), ["a.json", "state.json"]);
        assert_eq!(select("*/*.json", &paths), [""; 0]);
        assert_eq!(select("d/config.json", &paths), ["d/config.json"]);
        assert_eq!(select("**/config.json", &paths), ["d/config.json"]);
    }

    #[test]
    fn hidden_files_need_as_many_dotted_segments_in_the_pattern() {
        let paths = [".d/.x.csv", ".d/a.csv", ".h.csv", "b.csv"];
        assert_eq!(select("**", &paths), ["b.csv"]);
        assert_eq!(select(".d/*.csv", &paths), [".d/a.csv"]);
        assert_eq!(select(".*", &paths), [".h.csv"]);
        assert_eq!(select(".d/.*", &paths), [".d/.x.csv"]);
        assert_eq!(select(".h.csv", &paths), [".h.csv"]);
    }

    #[test]
    fn special_folders_need_to_be_named() {
        let paths = ["__c__/a.csv", "__x.csv", "d/__c__/b.csv"];
        assert_eq!(select("**", &paths), ["__x.csv"]);
        assert_eq!(select("__*/*", &paths), ["__c__/a.csv"]);
        assert_eq!(select("d/__c__/*", &paths), ["d/__c__/b.csv"]);
    }

    #[test]
    fn a_pattern_without_wildcard_is_a_path() {
        let literal = Pattern::new("", "donnees é.csv").expect("legal");
        assert!(!literal.has_wildcard());
        assert_eq!(literal.select(&["donnees é.csv", "donnees é.csv.gz"]), ["donnees é.csv"]);
        assert!(Pattern::new("", "a?").expect("legal").has_wildcard());
    }
}
