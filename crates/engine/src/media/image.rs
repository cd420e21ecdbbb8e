//! Images as browsers show them: jpg, or png for what jpg cannot hold.
//!
//! Images that already are what is wanted are stored untouched: nothing is lost and nothing has to be decoded.

use std::io::{BufReader, Cursor};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::heads::ask_header;
use crate::error::{EngineError, ErrorKind};
use crate::ranges::{RangeReader, Ranges};
use crate::source::{LocalFile, SourceFile};

/// As the reference library's: more pixels are taken for an attack.
const MAX_PIXELS: u64 = 178_956_970;
/// Bytes that a decoder may allocate.
const MAX_ALLOCATION: u64 = 1 << 30;
const JPEG_QUALITY: u8 = 75;

/// In pixels, as shown (turned by its orientation).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Size {
    pub(super) width: u32,
    pub(super) height: u32,
}

/// An image ready to be stored.
pub(super) struct Encoded<'a> {
    pub(super) bytes: std::borrow::Cow<'a, [u8]>,
    /// `.jpg` or `.png`.
    pub(super) extension: &'static str,
    pub(super) size: Size,
}

/// What is known of an image before it is decoded.
struct Header {
    format: ImageFormat,
    size: Size,
    orientation: Orientation,
    /// Its colors are an index into a palette.
    palette: bool,
    color: ColorType,
}

/// What an image is, as in `Content-Type`; `None` for what browsers should not be told to show.
pub(super) fn media_type(bytes: &[u8]) -> Option<&'static str> {
    Some(image::guess_format(bytes).ok()?.to_mime_type())
}

/// The image in a format for browsers, converted to `mode` (`RGB`, `L`, `RGBA`, `LA`; others are ignored) and turned
/// upright. `format` is what it is where its first bytes do not tell.
///
/// # Errors
/// [`Cell`](ErrorKind::Cell) when it cannot be decoded, is too large, or has colors that neither jpg nor png hold.
pub(super) fn for_browsers<'a>(
    bytes: &'a [u8],
    mode: Option<&str>,
    format: Option<ImageFormat>,
) -> Result<Encoded<'a>, EngineError> {
    let told = format;
    let header = header_of(bytes, told)?;
    let target = target_color(&header, mode)?;
    let jpeg = !target.has_alpha()
        && target.bytes_per_pixel() <= 3
        && target != ColorType::L16
        && !(header.palette && mode.is_none());
    let (format, extension) = if jpeg { (ImageFormat::Jpeg, ".jpg") } else { (ImageFormat::Png, ".png") };
    if header.format == format && header.orientation == Orientation::NoTransforms && target == header.color {
        return Ok(Encoded { bytes: bytes.into(), extension, size: header.size });
    }
    let mut decoder = reader(bytes, told)?.into_decoder().map_err(undecodable)?;
    decoder.set_limits(limits()).map_err(undecodable)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    image.apply_orientation(header.orientation);
    let image = match target {
        ColorType::L8 => DynamicImage::ImageLuma8(image.into_luma8()),
        ColorType::La8 => DynamicImage::ImageLumaA8(image.into_luma_alpha8()),
        ColorType::Rgb8 => DynamicImage::ImageRgb8(image.into_rgb8()),
        ColorType::Rgba8 => DynamicImage::ImageRgba8(image.into_rgba8()),
        _ => DynamicImage::ImageLuma16(image.into_luma16()),
    };
    let mut encoded = Vec::new();
    if jpeg {
        image.write_with_encoder(JpegEncoder::new_with_quality(&mut encoded, JPEG_QUALITY)).map_err(unencodable)?;
    } else {
        image.write_with_encoder(PngEncoder::new(&mut encoded)).map_err(unencodable)?;
    }
    Ok(Encoded { bytes: encoded.into(), extension, size: header.size })
}

/// What the header of an image tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Told {
    pub(super) size: Size,
    /// Before it is turned upright.
    pub(super) stored_size: Size,
    /// Browsers show its format.
    pub(super) shown: bool,
    pub(super) format: ImageFormat,
}

/// The header of an image of the repository.
///
/// # Errors
/// [`Cell`](ErrorKind::Cell) when it is not an image or too large a one, [`Changed`](ErrorKind::Changed) when it is gone.
pub(super) fn look_at(file: &SourceFile) -> Result<Told, EngineError> {
    let look = |header: BufReader<RangeReader>| {
        let mut reader = ImageReader::new(header);
        // Some formats are told by nothing but their names; what the content tells goes before.
        if let Ok(named) = ImageFormat::from_path(&file.path) {
            reader.set_format(named);
        }
        let mut reader = reader.with_guessed_format()?;
        let format = reader.format().ok_or_else(unknown)?;
        reader.limits(limits());
        let mut decoder = reader.into_decoder().map_err(undecodable)?;
        let (width, height) = within_limits(decoder.dimensions())?;
        let size = upright((width, height), decoder.orientation().unwrap_or(Orientation::NoTransforms));
        let stored_size = Size { width, height };
        let shown = !matches!(format, ImageFormat::Tiff | ImageFormat::Pnm | ImageFormat::Tga);
        Ok(Told { size, stored_size, shown, format })
    };
    let opened = LocalFile::open(file).and_then(|opened| match file.size {
        0 => Err(EngineError::new(ErrorKind::Cell, "the file is empty")),
        _ => ask_header(&Ranges::new(opened.in_spots()), look),
    });
    opened.map_err(|error| error.in_file(&file.path))
}

fn unknown() -> EngineError {
    EngineError::new(ErrorKind::Cell, "not an image of a known format")
}

fn within_limits((width, height): (u32, u32)) -> Result<(u32, u32), EngineError> {
    if u64::from(width) * u64::from(height) <= MAX_PIXELS {
        return Ok((width, height));
    }
    let message = format!("the image has {width} × {height} pixels; more than {MAX_PIXELS} are not decoded");
    Err(EngineError::new(ErrorKind::Cell, message))
}

/// Size of an image, from its header.
///
/// # Errors
/// [`Cell`](ErrorKind::Cell) when it is not an image or too large a one.
pub(super) fn size_of(bytes: &[u8]) -> Result<Size, EngineError> {
    header_of(bytes, None).map(|header| header.size)
}

fn header_of(bytes: &[u8], told: Option<ImageFormat>) -> Result<Header, EngineError> {
    let reader = reader(bytes, told)?;
    let format = reader.format().ok_or_else(unknown)?;
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = within_limits(decoder.dimensions())?;
    // Orientation is a remark of the camera; an unreadable one turns nothing.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let size = upright((width, height), orientation);
    Ok(Header { format, size, orientation, palette: has_palette(format, bytes), color: decoder.color_type() })
}

fn reader(bytes: &[u8], told: Option<ImageFormat>) -> Result<ImageReader<Cursor<&[u8]>>, EngineError> {
    let mut reader = ImageReader::new(Cursor::new(bytes));
    told.into_iter().for_each(|format| reader.set_format(format));
    let mut reader = reader.with_guessed_format()?;
    reader.limits(limits());
    Ok(reader)
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_ALLOCATION);
    limits
}

fn upright((width, height): (u32, u32), orientation: Orientation) -> Size {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    match orientation {
        Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => Size { width: height, height: width },
        _ => Size { width, height },
    }
}

/// The colors that are stored. 16 bits are kept for gray only.
fn target_color(header: &Header, mode: Option<&str>) -> Result<ColorType, EngineError> {
    Ok(match (mode, header.color) {
        (Some("L"), _) => ColorType::L8,
        (Some("LA"), _) => ColorType::La8,
        (Some("RGB"), _) => ColorType::Rgb8,
        (Some("RGBA"), _) => ColorType::Rgba8,
        (_, color @ (ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 | ColorType::L16)) => color,
        (_, ColorType::La16 | ColorType::Rgba16) => ColorType::Rgba8,
        (_, ColorType::Rgb16) => ColorType::Rgb8,
        (_, other) => {
            let message = format!("neither jpg nor png can hold the image's {other:?} pixels");
            return Err(EngineError::new(ErrorKind::Cell, message));
        }
    })
}

/// Decoders expand palettes, so the files themselves have to be asked.
fn has_palette(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Gif => true,
        // Color type in the IHDR chunk; 3 is indexed.
        ImageFormat::Png => bytes.get(25) == Some(&3),
        // Bits per pixel in the BITMAPINFOHEADER.
        ImageFormat::Bmp => bytes.get(28).is_some_and(|bits| *bits <= 8),
        _ => false,
    }
}

fn undecodable(error: image::ImageError) -> EngineError {
    EngineError::new(ErrorKind::Cell, format!("the image cannot be decoded: {}", error.to_string().trim_end()))
}

fn unencodable(error: image::ImageError) -> EngineError {
    EngineError::new(ErrorKind::Cell, format!("the image cannot be encoded: {error}"))
}
