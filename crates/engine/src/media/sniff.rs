//! What kind of sound, video or document some bytes or a file name are.

/// A format that browsers play.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct AudioKind {
    /// With its dot.
    pub(super) extension: &'static str,
    /// As in `Content-Type`.
    pub(super) media_type: &'static str,
}

const fn audio(extension: &'static str, media_type: &'static str) -> AudioKind {
    AudioKind { extension, media_type }
}

/// What sounds of plain samples become.
pub(super) const WAV: AudioKind = audio(".wav", "audio/wav");

const AUDIO: [AudioKind; 13] = [
    WAV,
    audio(".mp3", "audio/mpeg"),
    audio(".opus", "audio/ogg"),
    audio(".flac", "audio/flac"),
    audio(".ogg", "audio/ogg"),
    audio(".m4a", "audio/mp4"),
    audio(".aac", "audio/aac"),
    audio(".webm", "audio/webm"),
    audio(".aiff", "audio/aiff"),
    audio(".aif", "audio/aiff"),
    audio(".aifc", "audio/aiff"),
    audio(".au", "audio/basic"),
    audio(".caf", "audio/x-caf"),
];

/// The kind that a path tells by its extension.
pub(super) fn audio_by_name(path: &str) -> Option<AudioKind> {
    let extension = extension(path)?.to_ascii_lowercase();
    AUDIO.into_iter().find(|kind| kind.extension == extension)
}

/// The kind that the first bytes tell.
pub(super) fn audio_by_content(bytes: &[u8]) -> Option<AudioKind> {
    let extension = match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => ".wav",
        [b'I', b'D', b'3', ..] | [0xff, 0xfb | 0xf3 | 0xf2, ..] => ".mp3",
        [b'f', b'L', b'a', b'C', ..] => ".flac",
        [b'O', b'g', b'g', b'S', ..] if contains(bytes, 64, b"OpusHead") => ".opus",
        [b'O', b'g', b'g', b'S', ..] => ".ogg",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => ".m4a",
        [0xff, 0xf1 | 0xf9, ..] => ".aac",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => ".webm",
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C', ..] => ".aiff",
        _ => return None,
    };
    AUDIO.into_iter().find(|kind| kind.extension == extension)
}

/// The extension, with its dot, that the first bytes of a video tell; `.unknown` if they tell nothing.
pub(super) fn video_by_content(bytes: &[u8]) -> &'static str {
    match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', b'q', b't', ..] => ".mov",
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => ".mp4",
        [0x1a, 0x45, 0xdf, 0xa3, ..] if contains(bytes, 64, b"webm") => ".webm",
        [0x1a, 0x45, 0xdf, 0xa3, ..] => ".mkv",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', b' ', ..] => ".avi",
        [0, 0, 1, 0xba | 0xb3, ..] => ".mpeg",
        [b'O', b'g', b'g', b'S', ..] => ".ogv",
        _ => ".unknown",
    }
}

/// What the first bytes of a video tell, as in `Content-Type`.
pub(super) fn video_media_type(bytes: &[u8]) -> Option<&'static str> {
    Some(match video_by_content(bytes) {
        ".mp4" => "video/mp4",
        ".mov" => "video/quicktime",
        ".webm" => "video/webm",
        ".mkv" => "video/x-matroska",
        ".avi" => "video/x-msvideo",
        ".mpeg" => "video/mpeg",
        ".ogv" => "video/ogg",
        _ => return None,
    })
}

/// True when `%PDF` is among the first 1,000 bytes.
pub(super) fn is_pdf(bytes: &[u8]) -> bool {
    contains(bytes, 1_000, b"%PDF")
}

/// The extension of the last part of a path, with its dot; only if it is made of at most 10 letters and digits.
pub(super) fn extension(path: &str) -> Option<String> {
    let name = path.rsplit(['/', '\\']).next()?;
    let (stem, extension) = name.rsplit_once('.')?;
    let plain = !extension.is_empty() && extension.len() <= 10 && extension.bytes().all(|b| b.is_ascii_alphanumeric());
    (plain && !stem.is_empty()).then(|| format!(".{extension}"))
}

fn contains(bytes: &[u8], within: usize, needle: &[u8]) -> bool {
    memchr::memmem::find(&bytes[..bytes.len().min(within)], needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_kind_whatever_their_case() {
        assert_eq!(audio_by_name("a/b.WAV").map(|kind| kind.media_type), Some("audio/wav"));
        assert_eq!(audio_by_name("b.opus").map(|kind| kind.media_type), Some("audio/ogg"));
        assert_eq!(audio_by_name("b.txt"), None);
        assert_eq!(audio_by_name("wav"), None);
    }

    #[test]
    fn content_tells_the_kind() {
        let kind = |bytes: &[u8]| audio_by_content(bytes).map(|kind| kind.extension);
        assert_eq!(kind(b"RIFF\0\0\0\0WAVEfmt "), Some(".wav"));
        assert_eq!(kind(b"\xff\xfb\x90"), Some(".mp3"));
        assert_eq!(kind(b"ID3\x04"), Some(".mp3"));
        assert_eq!(kind(b"fLaC"), Some(".flac"));
        assert_eq!(kind(b"OggS\0\x02.......................OpusHead"), Some(".opus"));
        assert_eq!(kind(b"text"), None);
        assert_eq!(video_by_content(b"\0\0\0\x18ftypmp42"), ".mp4");
        assert_eq!(video_by_content(b"?"), ".unknown");
    }

    #[test]
    fn extensions_are_plain() {
        assert_eq!(extension("a.b/c.mp4").as_deref(), Some(".mp4"));
        assert_eq!(extension("a.b/c"), None);
        assert_eq!(extension(".mp4"), None);
        assert_eq!(extension("c.m p4"), None);
    }
}
