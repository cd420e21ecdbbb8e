//! Folders of media, where every file is a row: which files are media, which describe them, which hold them.

/// Names of the files that describe media, unless the card gives others.
pub const METADATA_FILENAMES: [&str; 3] = ["metadata.csv", "metadata.jsonl", "metadata.parquet"];

const IMAGES: &[&str] = &[
    "blp", "bmp", "dib", "bufr", "cur", "pcx", "dcx", "dds", "ps", "eps", "fit", "fits", "fli", "flc", "ftc", "ftu",
    "gbr", "gif", "grib", "png", "apng", "jp2", "j2k", "jpc", "jpf", "jpx", "j2c", "icns", "ico", "im", "iim", "tif",
    "tiff", "jfif", "jpe", "jpg", "jpeg", "msp", "pcd", "pxr", "pbm", "pgm", "ppm", "pnm", "psd", "bw", "rgb", "rgba",
    "sgi", "ras", "tga", "icb", "vda", "vst", "webp", "wmf", "emf", "xbm", "xpm",
];

const SOUNDS: &[&str] = &[
    "aiff", "au", "avr", "caf", "flac", "htk", "svx", "mat4", "mat5", "mpc2k", "ogg", "paf", "pvf", "raw", "rf64",
    "sd2", "sds", "ircam", "voc", "w64", "wav", "nist", "wavex", "wve", "xi", "mp3", "opus", "3gp", "3g2", "asf",
    "flv", "m4v", "webm", "f4v", "wmv", "wma", "ogm", "mxf", "nut", "mpg",
];

const VIDEOS: &[&str] = &["mkv", "mp4", "avi", "mpeg", "mov"];

const DOCUMENTS: &[&str] = &["pdf"];

/// What a folder holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the variants are what they say")]
pub enum FolderKind {
    Image,
    Audio,
    Video,
    Pdf,
}

/// What a file is to a folder of media.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FolderRole {
    /// One of the media.
    Media,
    /// A table that names media and says more about them.
    Metadata,
    /// A zip archive with media in it.
    Archive,
    /// Nothing.
    Other,
}

impl FolderKind {
    /// Suffixes of its files, in lower case and without dot.
    pub const fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::Image => IMAGES,
            Self::Audio => SOUNDS,
            Self::Video => VIDEOS,
            Self::Pdf => DOCUMENTS,
        }
    }

    /// Name of the column that holds the files.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Pdf => "pdf",
        }
    }

    /// What the file at a path is, by its name alone. One further suffix may follow that of a media file.
    pub fn role(self, path: &str, metadata_filenames: &[String]) -> FolderRole {
        let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
        // Everything after the first dot.
        let mut suffixes = name.split_once('.').into_iter().flat_map(|(_, suffixes)| suffixes.rsplit('.'));
        let last = suffixes.next();
        let is_media = |suffix: Option<&str>| {
            suffix.is_some_and(|suffix| self.extensions().iter().any(|known| known.eq_ignore_ascii_case(suffix)))
        };
        if is_media(last) || is_media(suffixes.next()) {
            FolderRole::Media
        } else if metadata_filenames.iter().any(|known| known == name) {
            FolderRole::Metadata
        } else if last.is_some_and(|suffix| suffix.eq_ignore_ascii_case("zip")) {
            FolderRole::Archive
        } else {
            FolderRole::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_file_is() {
        let metadata = METADATA_FILENAMES.map(str::to_owned);
        for (path, role) in [
            ("a/1.png", FolderRole::Media),
            ("a/1.JPG", FolderRole::Media),
            ("1.png.gz", FolderRole::Media),
            ("a.png/metadata.csv", FolderRole::Metadata),
            ("metadata.jsonl", FolderRole::Metadata),
            ("metadata.json", FolderRole::Other),
            ("train.zip", FolderRole::Archive),
            ("png", FolderRole::Other),
            ("a.wav", FolderRole::Other),
            ("a.png/readme", FolderRole::Other),
        ] {
            assert_eq!(FolderKind::Image.role(path, &metadata), role, "{path}");
        }
        assert_eq!(FolderKind::Pdf.role("about.csv", &["about.csv".to_owned()]), FolderRole::Metadata);
    }
}
