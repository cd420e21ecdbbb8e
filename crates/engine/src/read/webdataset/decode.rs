//! What the last part of a member's name says about its content.
//!
//! Names as in [webdataset](https://github.com/webdataset/webdataset) and the reference. Formats that only Python programs
//! share (`mp`, `cbor`, `ten`, `pth`, pickles) stay bytes, as everything else does that is not named here.

use std::io::{Cursor, Read};

use belvedere_domain::Feature;
use belvedere_domain::features::Media;

use super::npy;
use crate::decompress::{self, Compression};
use crate::error::{EngineError, ErrorKind};
use crate::read::loose::Value;

const TEXTS: [&str; 3] = ["txt", "text", "transcript"];
const NUMBERS: [&str; 5] = ["cls", "cls2", "index", "inx", "id"];
const JSON: [&str; 2] = ["json", "jsn"];
const IMAGES: [&str; 59] = [
    "blp", "bmp", "dib", "bufr", "cur", "pcx", "dcx", "dds", "ps", "eps", "fit", "fits", "fli", "flc", "ftc", "ftu",
    "gbr", "gif", "grib", "png", "apng", "jp2", "j2k", "jpc", "jpf", "jpx", "j2c", "icns", "ico", "im", "iim", "tif",
    "tiff", "jfif", "jpe", "jpg", "jpeg", "msp", "pcd", "pxr", "pbm", "pgm", "ppm", "pnm", "psd", "bw", "rgb", "rgba",
    "sgi", "ras", "tga", "icb", "vda", "vst", "webp", "wmf", "emf", "xbm", "xpm",
];
const SOUNDS: [&str; 27] = [
    "aiff", "au", "avr", "caf", "flac", "htk", "svx", "mat4", "mat5", "mpc2k", "ogg", "paf", "pvf", "raw", "rf64",
    "sd2", "sds", "ircam", "voc", "w64", "wav", "nist", "wavex", "wve", "xi", "mp3", "opus",
];
const VIDEOS: [&str; 6] = ["mkv", "mp4", "avi", "mpeg", "mpg", "mov"];

/// The type of a column of media, by the last part of its name, compressed or not.
pub(super) fn media(field: &str) -> Option<Feature> {
    let last = last_part(field);
    let is = |names: &[&str]| names.contains(&last.as_str());
    if is(&VIDEOS) {
        Some(Feature::Video(Media::default()))
    } else if is(&IMAGES) {
        Some(Feature::Image(Media::default()))
    } else if is(&SOUNDS) {
        Some(Feature::Audio(Media::default()))
    } else {
        None
    }
}

fn last_part(field: &str) -> String {
    field.rsplit('.').next().unwrap_or_default().to_ascii_lowercase()
}

/// The value of a member with this field name.
///
/// # Errors
/// [`Unreadable`](ErrorKind::Unreadable) when the content is not what its name says, or is longer than `max` bytes when
/// decompressed.
pub(super) fn value(field: &str, bytes: Vec<u8>, max: usize) -> Result<Value, EngineError> {
    let (field, bytes) = match Compression::of(&field.to_ascii_lowercase()) {
        Compression::None | Compression::Zip => (field, bytes),
        compression => {
            let inner = field.rsplit_once('.').map_or("", |(inner, _)| inner);
            (inner, decompressed(compression, bytes, max)?)
        }
    };
    let last = last_part(field);
    let last = last.as_str();
    if TEXTS.contains(&last) {
        text(bytes).map(Value::Text)
    } else if NUMBERS.contains(&last) {
        let text = text(bytes)?;
        let number = text.trim().parse().map(Value::Int);
        number.map_err(|_| {
            unreadable(format!(
                "expected an integer, found {:?}; store other texts under a name like `.txt`",
                start_of(&text)
            ))
        })
    } else if JSON.contains(&last) {
        let json: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|error| unreadable(format!("invalid JSON: {error}; write it again")))?;
        Ok(json.into())
    } else if last == "npy" {
        npy::array(&bytes).map_err(|what| unreadable(format!("unreadable npy file: {what}; save it with `numpy.save`")))
    } else {
        Ok(Value::Bytes(bytes))
    }
}

fn decompressed(compression: Compression, bytes: Vec<u8>, max: usize) -> Result<Vec<u8>, EngineError> {
    let damaged = |error: std::io::Error| unreadable(format!("damaged compressed data: {error}; compress it again"));
    let mut content = Vec::new();
    let reader = decompress::decoder(compression, Cursor::new(bytes)).map_err(damaged)?;
    reader.take(max as u64 + 1).read_to_end(&mut content).map_err(damaged)?;
    if content.len() > max {
        return Err(unreadable(format!(
            "decompressed, this member takes more than the {max} bytes of a single record"
        )));
    }
    Ok(content)
}

fn text(bytes: Vec<u8>) -> Result<String, EngineError> {
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        unreadable(format!("not valid UTF-8 from byte {at} on; store it as UTF-8, or under a name like `.bin`"))
    })
}

fn start_of(text: &str) -> &str {
    &text[..text.floor_char_boundary(40)]
}

fn unreadable(message: String) -> EngineError {
    EngineError::new(ErrorKind::Unreadable, message)
}
