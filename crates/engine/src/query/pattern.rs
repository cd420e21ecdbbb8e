//! Patterns → matchers of bounded size whose time grows with the text only.

use memchr::memmem;
use regex::{Regex, RegexBuilder};

use super::expr::Pattern;
use super::parse::shortened;
use crate::error::{EngineError, ErrorKind};

/// Memory that a compiled regular expression may take, in bytes: refuses `(a{1000}){1000}` at once.
const MAX_PROGRAM_BYTES: usize = 1 << 20;
/// Levels of brackets in a regular expression.
const MAX_NESTING: u32 = 50;

/// Tells whether texts fit a pattern.
pub(super) enum Matcher {
    /// The text itself.
    Exact(String),
    Prefix(String),
    Suffix(String),
    Contains(Box<memmem::Finder<'static>>),
    /// The rest.
    Regex(Regex),
}

impl Matcher {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// [`Query`](ErrorKind::Query) when it is malformed or too large.
    pub(super) fn new(kind: Pattern, pattern: &str, escape: Option<char>) -> Result<Self, EngineError> {
        match kind {
            Pattern::Like => like(pattern, escape),
            Pattern::ILike => {
                Ok(Self::Regex(compile(&format!("(?si)^(?:{})$", like_regex(&like_parts(pattern, escape)?)))?))
            }
            Pattern::Glob => glob(pattern),
            Pattern::Regex => Ok(Self::Regex(compile(&format!("^(?:{})$", checked(pattern)?))?)),
        }
    }

    /// True if a text fits.
    pub(super) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Exact(whole) => text == whole,
            Self::Prefix(prefix) => text.starts_with(prefix.as_str()),
            Self::Suffix(suffix) => text.ends_with(suffix.as_str()),
            Self::Contains(finder) => finder.find(text.as_bytes()).is_some(),
            Self::Regex(regex) => regex.is_match(text),
        }
    }

    /// What texts that fit begin with, if anything.
    pub(super) fn prefix(&self, kind: Pattern, pattern: &str, escape: Option<char>) -> Option<String> {
        match (self, kind) {
            (Self::Exact(text) | Self::Prefix(text), _) => Some(text.clone()),
            (_, Pattern::Like) => {
                let parts = like_parts(pattern, escape).ok()?;
                let prefix: String = parts
                    .iter()
                    .map_while(|part| if let Part::Character(c) = part { Some(*c) } else { None })
                    .collect();
                Some(prefix)
            }
            _ => None,
        }
        .filter(|prefix| !prefix.is_empty())
    }
}

/// A regular expression that looks for a match anywhere. Options: `i` no case, `s` dot fits line ends, `m` lines, `g` all.
///
/// # Errors
/// [`Query`](ErrorKind::Query) when it is malformed or too large, or an option is unknown.
pub(super) fn search(pattern: &str, options: &str) -> Result<Regex, EngineError> {
    let mut flags = String::new();
    for option in options.chars() {
        match option {
            'i' => flags.push('i'),
            's' => flags.push('s'),
            'm' | 'n' | 'p' => flags.push('m'),
            'c' | 'g' => {}
            'l' => return compile(&regex::escape(pattern)),
            _ => {
                let message =
                    format!("the option `{option}` of a regular expression is not known; use c, i, l, s, m or g");
                return Err(EngineError::new(ErrorKind::Query, message));
            }
        }
    }
    let flags = if flags.is_empty() { String::new() } else { format!("(?{flags})") };
    compile(&format!("{flags}(?:{})", checked(pattern)?))
}

/// A pattern that stands on its own: its brackets are its own.
fn checked(pattern: &str) -> Result<String, EngineError> {
    compile(pattern)?;
    // `\d`, `\w` and `\s` are those of ASCII, as in RE2; the rest is Unicode.
    let mut ascii = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some(class @ ('d' | 'w' | 's' | 'D' | 'W' | 'S')) => {
                    let name = match class.to_ascii_lowercase() {
                        'd' => "[:digit:]",
                        'w' => "[:word:]",
                        // Without the vertical tab, as in RE2.
                        _ => r"\t\n\f\r ",
                    };
                    ascii.push_str(&format!("[{}{name}]", if class.is_ascii_uppercase() { "^" } else { "" }));
                }
                Some(other) => ascii.extend(['\\', other]),
                None => ascii.push('\\'),
            },
            other => ascii.push(other),
        }
    }
    Ok(ascii)
}

fn compile(pattern: &str) -> Result<Regex, EngineError> {
    RegexBuilder::new(pattern)
        .size_limit(MAX_PROGRAM_BYTES)
        .dfa_size_limit(MAX_PROGRAM_BYTES)
        .nest_limit(MAX_NESTING)
        .build()
        .map_err(|error| {
            let reason = match error {
                regex::Error::CompiledTooBig(_) => "it takes too much memory; use smaller repetitions".to_owned(),
                other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
            };
            let message = format!("the pattern '{}' cannot be used: {reason}", shortened(pattern));
            EngineError::new(ErrorKind::Query, message)
        })
}

/// A part of a `LIKE` pattern.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Character(char),
    /// `_`
    One,
    /// `%`
    Any,
}

fn like_parts(pattern: &str, escape: Option<char>) -> Result<Vec<Part>, EngineError> {
    let mut parts = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        parts.push(match character {
            _ if Some(character) == escape => Part::Character(characters.next().ok_or_else(|| {
                EngineError::new(ErrorKind::Query, "a LIKE pattern must not end with its escape character")
            })?),
            '%' if parts.last() == Some(&Part::Any) => continue,
            '%' => Part::Any,
            '_' => Part::One,
            other => Part::Character(other),
        });
    }
    Ok(parts)
}

fn like(pattern: &str, escape: Option<char>) -> Result<Matcher, EngineError> {
    let parts = like_parts(pattern, escape)?;
    let literal = |parts: &[Part]| {
        parts.iter().map(|part| if let Part::Character(c) = part { Some(*c) } else { None }).collect::<Option<String>>()
    };
    let simple = match parts.as_slice() {
        [Part::Any, inner @ .., Part::Any] => {
            literal(inner).map(|text| Matcher::Contains(Box::new(memmem::Finder::new(text.as_bytes()).into_owned())))
        }
        [Part::Any, suffix @ ..] => literal(suffix).map(Matcher::Suffix),
        [prefix @ .., Part::Any] => literal(prefix).map(Matcher::Prefix),
        all => literal(all).map(Matcher::Exact),
    };
    match simple {
        Some(matcher) => Ok(matcher),
        None => Ok(Matcher::Regex(compile(&format!("(?s)^(?:{})$", like_regex(&parts)))?)),
    }
}

fn like_regex(parts: &[Part]) -> String {
    let part = |part: &Part| match part {
        Part::Character(character) => regex::escape(character.encode_utf8(&mut [0; 4])),
        Part::One => ".".to_owned(),
        Part::Any => ".*".to_owned(),
    };
    parts.iter().map(part).collect()
}

/// `*`, `?`, `[a-z]`, `[!a]`, `\` before a character that stands for itself.
fn glob(pattern: &str) -> Result<Matcher, EngineError> {
    let mut regex = String::from("(?s)^");
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '\\' => {
                let literal = characters.next().unwrap_or('\\');
                regex.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
            }
            '[' => {
                let negated = characters.next_if_eq(&'!').is_some();
                let mut class = String::new();
                let mut closed = false;
                while let Some(member) = characters.next() {
                    if member == ']' && !class.is_empty() {
                        closed = true;
                        break;
                    }
                    // A range keeps its hyphen; everything else stands for itself.
                    if member == '-' && !class.is_empty() && characters.peek().is_some_and(|next| *next != ']') {
                        class.push('-');
                    } else {
                        class.push_str(&format!(r"\x{{{:x}}}", u32::from(member)));
                    }
                }
                if !closed {
                    // As DuckDB: a class without end fits nothing.
                    return Ok(Matcher::Regex(compile(r"[^\s\S]")?));
                }
                regex.push_str(&format!("[{}{class}]", if negated { "^" } else { "" }));
            }
            other => regex.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    regex.push('$');
    Ok(Matcher::Regex(compile(&regex)?))
}
