//! `Range`: the part of an answer that a client asks for (RFC 9110, section 14.2).

use axum::http::{HeaderMap, header};
use belvedere_engine::call::Extent;

/// The bytes that the headers ask for. `None`: all of them, since there is no such header, or it asks for several parts or
/// for what nobody understands. Conditions (`If-Range`) are the caller's.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Extent> {
    extent(headers.get(header::RANGE)?.to_str().ok()?)
}

/// What a header says.
fn extent(header: &str) -> Option<Extent> {
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    match (first.trim(), last.trim()) {
        ("", last) => number(last).map(Extent::Last),
        (first, "") => Some(Extent::From { start: number(first)?, end: None }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| Extent::From { start: first, end: Some(last.saturating_add(1)) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_understood_as_http_has_them() {
        for (header, expected) in [
            ("bytes=0-0", Some(Some(0..1))),
            ("bytes=5-", Some(Some(5..10))),
            ("bytes=-3", Some(Some(7..10))),
            ("bytes=-30", Some(Some(0..10))),
            ("bytes=2-30", Some(Some(2..10))),
            ("bytes=2-18446744073709551615", Some(Some(2..10))),
            ("bytes=10-", Some(None)),
            ("bytes=10-12", Some(None)),
            ("bytes=-0", Some(None)),
            ("bytes=3-2", None),
            ("bytes=0-1,4-5", None),
            ("bytes=a-b", None),
            ("rows=0-1", None),
            ("bytes=-", None),
        ] {
            assert_eq!(extent(header).map(|extent| extent.within(10)), expected, "{header}");
        }
        assert_eq!(extent("bytes=0-").map(|extent| extent.within(0)), Some(None));
    }
}
