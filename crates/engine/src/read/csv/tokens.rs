//! Text → records of fields, one record at a time, without copying what needs no unescaping.
//!
//! The grammar is that of pandas' C tokenizer: a quote counts only at the start of a field, text after a closing
//! quote belongs to the field, and LF, CRLF and CR all end a line.

use super::options::{Dialect, Separator};

/// Where a field lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    /// Length; the top bit tells that the field lies in the side buffer.
    length: u32,
}

const ASIDE: u32 = 1 << 31;

impl Span {
    /// A field without text.
    pub(super) const EMPTY: Self = Self { start: 0, length: 0 };

    fn of(start: usize, end: usize) -> Self {
        // Batches are far below 2 GiB, see `ReadLimits`.
        Self { start: u32::try_from(start).unwrap_or(0), length: u32::try_from(end - start).unwrap_or(0) & !ASIDE }
    }

    fn aside(start: usize, end: usize) -> Self {
        let span = Self::of(start, end);
        Self { length: span.length | ASIDE, ..span }
    }

    /// Where the field begins in the text; `None` for one that lies aside or has no text.
    pub(super) fn start_in_text(self) -> Option<usize> {
        (self.length & ASIDE == 0 && self.length > 0).then_some(self.start as usize)
    }

    /// The text of the field.
    #[inline]
    pub(super) fn bytes<'a>(self, text: &'a [u8], side: &'a [u8]) -> &'a [u8] {
        let source = if self.length & ASIDE == 0 { text } else { side };
        let start = self.start as usize;
        &source[start..start + (self.length & !ASIDE) as usize]
    }
}

/// What was found at a position.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// A record, or a line that is no record, that ends before the position.
    Record { end: usize },
    /// A blank or comment line that ends before the position.
    Nothing { end: usize },
    /// The text ends inside a record and more may follow.
    Incomplete,
    /// The file ends inside a quoted field that starts at the position.
    OpenQuote { start: usize },
}

/// Cuts text by a dialect.
pub(super) struct Tokenizer {
    dialect: Dialect,
    /// Bytes that end or change a field without quotes.
    stops: [bool; 256],
    ends_field: [bool; 256],
}

impl Tokenizer {
    pub(super) fn new(dialect: Dialect) -> Self {
        let mut ends_field = [false; 256];
        match dialect.separator {
            Separator::Byte(byte) => ends_field[usize::from(byte)] = true,
            Separator::Blanks => {
                ends_field[usize::from(b' ')] = true;
                ends_field[usize::from(b'\t')] = true;
            }
        }
        let mut stops = ends_field;
        match dialect.line_end {
            Some(byte) => stops[usize::from(byte)] = true,
            None => {
                stops[usize::from(b'\n')] = true;
                stops[usize::from(b'\r')] = true;
            }
        }
        for byte in dialect.comment.into_iter().chain(dialect.escape) {
            stops[usize::from(byte)] = true;
        }
        Self { dialect, stops, ends_field }
    }

    /// Reads the record at `start`, appending its fields. What needs unescaping goes to `side`.
    /// `at_end`: nothing follows `text`.
    pub(super) fn record(
        &self,
        text: &[u8],
        start: usize,
        at_end: bool,
        fields: &mut Vec<Span>,
        side: &mut Vec<u8>,
    ) -> Found {
        match self.no_record(text, start, at_end) {
            Some(found) => return found,
            None if start >= text.len() => return Found::Incomplete,
            None => {}
        }
        let (old_fields, old_side) = (fields.len(), side.len());
        let found = self.fields(text, start, at_end, fields, side);
        if found == Found::Incomplete {
            fields.truncate(old_fields);
            side.truncate(old_side);
        }
        found
    }

    /// Passes over one physical line, in which quotes may hide line ends.
    pub(super) fn skip_line(&self, text: &[u8], start: usize, at_end: bool) -> Found {
        let (mut at, mut quoted) = (start, false);
        while at < text.len() {
            let byte = text[at];
            if Some(byte) == self.dialect.quote {
                quoted = !quoted;
            } else if !quoted && self.is_line_end(byte) {
                return match self.after_line_end(text, at, at_end) {
                    Some(end) => Found::Nothing { end },
                    None => Found::Incomplete,
                };
            }
            at += 1;
        }
        if at_end { Found::Nothing { end: at } } else { Found::Incomplete }
    }

    fn is_line_end(&self, byte: u8) -> bool {
        match self.dialect.line_end {
            Some(end) => byte == end,
            None => byte == b'\n' || byte == b'\r',
        }
    }

    /// The position after the line end at `at`; `None`: a line feed may follow the carriage return.
    #[inline]
    fn after_line_end(&self, text: &[u8], at: usize, at_end: bool) -> Option<usize> {
        if text[at] == b'\r' && self.dialect.line_end.is_none() {
            match text.get(at + 1) {
                Some(b'\n') => return Some(at + 2),
                None if !at_end => return None,
                _ => {}
            }
        }
        Some(at + 1)
    }

    /// Blank lines (if they are skipped) and comment lines.
    #[inline]
    fn no_record(&self, text: &[u8], start: usize, at_end: bool) -> Option<Found> {
        let first = *text.get(start)?;
        if Some(first) == self.dialect.comment {
            return Some(self.skip_comment(text, start, at_end));
        }
        if !self.dialect.skip_blank_lines || !(self.is_line_end(first) || matches!(first, b' ' | b'\t')) {
            return None;
        }
        let blanks = text[start..].iter().take_while(|byte| {
            let separates = self.dialect.separator == Separator::Byte(**byte);
            matches!(byte, b' ' | b'\t') && !separates
        });
        let at = start + blanks.count();
        match text.get(at) {
            None if at_end => Some(Found::Nothing { end: at }),
            None => Some(Found::Incomplete),
            Some(&byte) if self.is_line_end(byte) => Some(match self.after_line_end(text, at, at_end) {
                Some(end) => Found::Nothing { end },
                None => Found::Incomplete,
            }),
            Some(_) => None,
        }
    }

    fn skip_comment(&self, text: &[u8], start: usize, at_end: bool) -> Found {
        match text[start..].iter().position(|byte| self.is_line_end(*byte)) {
            Some(length) => match self.after_line_end(text, start + length, at_end) {
                Some(end) => Found::Nothing { end },
                None => Found::Incomplete,
            },
            None if at_end => Found::Nothing { end: text.len() },
            None => Found::Incomplete,
        }
    }

    #[inline]
    fn fields(&self, text: &[u8], start: usize, at_end: bool, fields: &mut Vec<Span>, side: &mut Vec<u8>) -> Found {
        let skips_blanks = self.dialect.skip_initial_space || self.dialect.separator == Separator::Blanks;
        let mut at = start;
        let mut first = true;
        loop {
            if skips_blanks {
                at = self.skip_blanks(text, at);
                // A run of blanks before the end of the line starts no field.
                if self.dialect.separator == Separator::Blanks
                    && !first
                    && let Some(&byte) = text.get(at)
                    && self.is_line_end(byte)
                {
                    return self.end_record(text, at, at_end);
                }
            }
            first = false;
            let stop = match text.get(at) {
                Some(&byte) if Some(byte) == self.dialect.quote => match self.quoted(text, at, at_end, fields, side) {
                    Ok(stop) => stop,
                    Err(found) => return found,
                },
                _ => {
                    let stop = self.plain_end(text, at);
                    match text.get(stop) {
                        Some(&byte) if Some(byte) == self.dialect.escape => {
                            let begin = side.len();
                            side.extend(&text[at..stop]);
                            let Some(stop) = self.unquoted_aside(text, stop, at_end, side) else {
                                return Found::Incomplete;
                            };
                            fields.push(Span::aside(begin, side.len()));
                            stop
                        }
                        _ => {
                            fields.push(Span::of(at, stop));
                            stop
                        }
                    }
                }
            };
            match text.get(stop) {
                None if at_end => return Found::Record { end: stop },
                None => return Found::Incomplete,
                Some(&byte) if self.ends_field[usize::from(byte)] => at = stop + 1,
                Some(&byte) if self.is_line_end(byte) => return self.end_record(text, stop, at_end),
                // Only a comment is left: it lasts to the end of the line.
                Some(_) => {
                    return match self.skip_comment(text, stop, at_end) {
                        Found::Nothing { end } => Found::Record { end },
                        other => other,
                    };
                }
            }
        }
    }

    #[inline]
    fn end_record(&self, text: &[u8], at: usize, at_end: bool) -> Found {
        match self.after_line_end(text, at, at_end) {
            Some(end) => Found::Record { end },
            None => Found::Incomplete,
        }
    }

    fn skip_blanks(&self, text: &[u8], at: usize) -> usize {
        let tabs = self.dialect.separator == Separator::Blanks;
        at + text[at..].iter().take_while(|byte| **byte == b' ' || (tabs && **byte == b'\t')).count()
    }

    /// The end of a field without quotes.
    #[inline]
    fn plain_end(&self, text: &[u8], at: usize) -> usize {
        let rest = &text[at..];
        at + rest.iter().position(|byte| self.stops[usize::from(*byte)]).unwrap_or(rest.len())
    }

    /// Reads the field whose quote is at `at`, and gives where it stops.
    fn quoted(
        &self,
        text: &[u8],
        at: usize,
        at_end: bool,
        fields: &mut Vec<Span>,
        side: &mut Vec<u8>,
    ) -> Result<usize, Found> {
        let quote = text[at];
        let mut from = at + 1;
        let mut aside = None;
        loop {
            let found = match self.dialect.escape {
                Some(escape) => memchr::memchr2(quote, escape, &text[from..]),
                None => memchr::memchr(quote, &text[from..]),
            };
            let Some(found) = found.map(|length| from + length) else {
                return Err(if at_end { Found::OpenQuote { start: at } } else { Found::Incomplete });
            };
            let next = text.get(found + 1);
            if next.is_none() && !at_end {
                return Err(Found::Incomplete);
            }
            if text[found] != quote || (next == Some(&quote) && self.dialect.double_quote) {
                // An escaped character, or a doubled quote: the second byte is text.
                aside.get_or_insert(side.len());
                side.extend(&text[from..found]);
                let Some(&literal) = next else { return Err(Found::OpenQuote { start: at }) };
                side.push(literal);
                from = found + 2;
                continue;
            }
            let ends = next.is_none_or(|byte| {
                self.ends_field[usize::from(*byte)] || self.is_line_end(*byte) || Some(*byte) == self.dialect.comment
            });
            if ends && aside.is_none() {
                fields.push(Span::of(from, found));
                return Ok(found + 1);
            }
            let begin = *aside.get_or_insert(side.len());
            side.extend(&text[from..found]);
            let stop = if ends { Some(found + 1) } else { self.unquoted_aside(text, found + 1, at_end, side) };
            let stop = stop.ok_or(Found::Incomplete)?;
            fields.push(Span::aside(begin, side.len()));
            return Ok(stop);
        }
    }

    /// Copies unquoted text up to the end of the field, resolving escapes. `None`: more text is needed.
    fn unquoted_aside(&self, text: &[u8], mut at: usize, at_end: bool, side: &mut Vec<u8>) -> Option<usize> {
        loop {
            let stop = self.plain_end(text, at);
            side.extend(&text[at..stop]);
            match text.get(stop) {
                Some(&byte) if Some(byte) == self.dialect.escape => match text.get(stop + 1) {
                    Some(&literal) => {
                        side.push(literal);
                        at = stop + 2;
                    }
                    None => return at_end.then_some(stop + 1),
                },
                None if !at_end => return None,
                _ => return Some(stop),
            }
        }
    }
}

#[cfg(test)]
mod tests;
