//! Pictures: each is decoded and written anew, so that only what is to be seen is kept.

use std::io::{Cursor, Write};

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::codecs::png::{CompressionType, FilterType, PngDecoder, PngEncoder};
use image::codecs::tiff::TiffDecoder;
use image::codecs::webp::WebPDecoder;
use image::metadata::Orientation;
use image::{ColorType, DynamicImage, ImageDecoder, ImageError, Limits};
use png::{Decoder, DecodingError, Encoder, Filter, Info, Transformations};

use super::{Clean, Extent, is_something_else, unreadable, written};
use crate::error::Refusal;
use crate::inspection::MediaType;

/// Pixels of a picture.
const MAX_PIXELS: u64 = 40_000_000;
/// Pixels along one side of a picture.
const MAX_SIDE: u32 = 12_000;
/// What decoding one picture may take: 40 megapixels with four channels, and some air.
const MAX_MEMORY: usize = 256 * 1024 * 1024;
/// The qualities at which photographs are written anew, the first that makes one small enough; small print stays legible.
const JPEG_QUALITIES: [u8; 3] = [90, 80, 65];

/// Cameras and programs leave things after a picture, which are dropped. What follows it must only not be a page or an archive: who
/// sends that means to pass it off as a picture.
fn refuse_tail(bytes: &[u8], end: Option<usize>) -> Result<(), Refusal> {
    let tail = end.and_then(|end| bytes.get(end..)).ok_or(Refusal::DocumentUnreadable)?;
    if is_something_else(tail) { Err(Refusal::DocumentUnsafe) } else { Ok(()) }
}

/// Where a JPEG ends (ITU T.81, annex B): after its segments, and the scans between them, comes an EOI.
fn end_of_jpeg(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        // Some programs name a segment shorter than it is: readers look on for the next marker.
        at += bytes.get(at..)?.iter().position(|byte| *byte == 0xFF)?;
        match *bytes.get(at + 1)? {
            0x00 => at += 2,
            0xFF => at += 1,
            0xD9 => return Some(at + 2),
            0x01 | 0xD0..=0xD8 => at += 2,
            marker => {
                let length = u16::from_be_bytes([*bytes.get(at + 2)?, *bytes.get(at + 3)?]);
                at += 2 + usize::from(length);
                if marker == 0xDA {
                    let is_marker = |pair: &[u8]| pair[0] == 0xFF && !matches!(pair[1], 0x00 | 0xD0..=0xD7);
                    at += bytes.get(at..)?.windows(2).position(is_marker)?;
                }
            }
        }
    }
}

/// Where a PNG ends: after the chunk IEND.
fn end_of_png(bytes: &[u8]) -> Option<usize> {
    let mut at = 8;
    loop {
        let length: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        let is_last = bytes.get(at + 4..at + 8)? == b"IEND";
        at = at.checked_add(12)?.checked_add(usize::try_from(u32::from_be_bytes(length)).ok()?)?;
        if is_last {
            return Some(at);
        }
    }
}

fn undecoded(error: ImageError) -> Refusal {
    match error {
        ImageError::Limits(_) => Refusal::DocumentTooLarge,
        _ => Refusal::DocumentUnreadable,
    }
}

fn refuse_giant(width: u32, height: u32) -> Result<Extent, Refusal> {
    if width > MAX_SIDE || height > MAX_SIDE || u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Refusal::DocumentTooLarge);
    }
    let side = |pixels: u32| i32::try_from(pixels).map_err(unreadable);
    Ok(Extent::Pixels(side(width)?, side(height)?))
}

/// A photograph.
pub(super) fn jpeg(bytes: &[u8]) -> Result<Clean, Refusal> {
    refuse_tail(bytes, end_of_jpeg(bytes))?;
    upright(JpegDecoder::new(Cursor::new(bytes)).map_err(undecoded)?, MediaType::Jpeg)
}

/// A picture in the colours and the depth that it has, copied row by row, so that it does not grow and takes little memory.
pub(super) fn png(bytes: &[u8]) -> Result<Clean, Refusal> {
    refuse_tail(bytes, end_of_png(bytes))?;
    let unread = |error| match error {
        DecodingError::LimitsExceeded => Refusal::DocumentTooLarge,
        _ => Refusal::DocumentUnreadable,
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), png::Limits { bytes: MAX_MEMORY });
    decoder.set_transformations(Transformations::IDENTITY);
    decoder.set_ignore_text_chunk(true);
    let header = decoder.read_header_info().map_err(unread)?;
    let extent = refuse_giant(header.width, header.height)?;
    let mut reader = decoder.read_info().map_err(unread)?;
    let sent = reader.info();
    let lies = sent.exif_metadata.as_deref().and_then(Orientation::from_exif_chunk);
    if lies.is_some_and(|orientation| orientation != Orientation::NoTransforms) {
        return upright(PngDecoder::new(Cursor::new(bytes)).map_err(undecoded)?, MediaType::Png);
    }
    // What is interlaced must be in memory whole.
    let whole = sent.interlaced.then(|| reader.output_buffer_size().unwrap_or(usize::MAX));
    if whole.is_some_and(|size| size > MAX_MEMORY) {
        return Err(Refusal::DocumentTooLarge);
    }
    let mut info = Info::with_size(sent.width, sent.height);
    (info.color_type, info.bit_depth) = (sent.color_type, sent.bit_depth);
    (info.palette, info.trns) = (sent.palette.clone(), sent.trns.clone());
    // Neighbours tell nothing of each other where a sample is no brightness, or shares its byte with others.
    let has_plain_rows = info.color_type == png::ColorType::Indexed || info.bits_per_pixel() < 8;
    let bytes = written(|written| {
        let mut encoder = Encoder::with_info(written, info)?;
        encoder.set_filter(if has_plain_rows { Filter::NoFilter } else { Filter::Adaptive });
        let mut writer = encoder.write_header()?;
        let mut rows = writer.stream_writer()?;
        if let Some(size) = whole {
            let mut all = vec![0; size];
            reader.next_frame(&mut all)?;
            rows.write_all(&all)?;
        } else {
            while let Some(row) = reader.next_row()? {
                rows.write_all(row.data())?;
            }
        }
        rows.finish()?;
        writer.finish()?;
        reader.finish()?;
        Ok::<_, Box<dyn std::error::Error>>(())
    })?;
    Ok(Clean { bytes, media_type: MediaType::Png, extent })
}

/// A picture of another kind, kept as what every reader shows: a photograph as a JPEG, and what is clear in places or without colours
/// as a PNG.
fn converted(decoder: impl ImageDecoder) -> Result<Clean, Refusal> {
    let color = decoder.color_type();
    upright(decoder, if color.has_alpha() || !color.has_color() { MediaType::Png } else { MediaType::Jpeg })
}

/// A WebP.
pub(super) fn webp(bytes: &[u8]) -> Result<Clean, Refusal> {
    converted(WebPDecoder::new(Cursor::new(bytes)).map_err(undecoded)?)
}

/// A TIFF of one page.
pub(super) fn tiff(bytes: &[u8]) -> Result<Clean, Refusal> {
    if has_second_page(bytes) {
        return Err(Refusal::DocumentSeveralPictures);
    }
    converted(TiffDecoder::new(Cursor::new(bytes)).map_err(undecoded)?)
}

/// Whether the first directory of a TIFF (revision 6.0, section 2) names one that comes after it.
fn has_second_page(bytes: &[u8]) -> bool {
    let is_big_endian = bytes.starts_with(b"MM");
    let number = |at: usize, size: usize| {
        let digits = bytes.get(at..at.checked_add(size)?)?;
        let add = |sum: usize, byte: &u8| sum << 8 | usize::from(*byte);
        Some(if is_big_endian { digits.iter().fold(0, add) } else { digits.iter().rev().fold(0, add) })
    };
    let next = number(4, 4).and_then(|first| number(first + 2 + 12 * number(first, 2)?, 4));
    next.is_some_and(|next| next != 0)
}

/// Decodes a picture, turns it as its metadata say, and writes it anew without them.
fn upright(mut decoder: impl ImageDecoder, media_type: MediaType) -> Result<Clean, Refusal> {
    let (width, height) = decoder.dimensions();
    refuse_giant(width, height)?;
    if decoder.total_bytes() > MAX_MEMORY as u64 {
        return Err(Refusal::DocumentTooLarge);
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_MEMORY as u64);
    decoder.set_limits(limits).map_err(undecoded)?;
    let orientation = decoder.orientation().map_err(undecoded)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(undecoded)?;
    image.apply_orientation(orientation);
    let extent = refuse_giant(image.width(), image.height())?;
    let bytes = match media_type {
        MediaType::Jpeg => {
            if !matches!(image.color(), ColorType::L8 | ColorType::Rgb8) {
                image = image.into_rgb8().into();
            }
            let mut kept = Err(Refusal::DocumentTooLarge);
            for quality in JPEG_QUALITIES {
                if kept == Err(Refusal::DocumentTooLarge) {
                    kept = written(|bytes| image.write_with_encoder(JpegEncoder::new_with_quality(bytes, quality)));
                }
            }
            kept?
        }
        _ => written(|bytes| {
            let (compression, filter) = (CompressionType::Default, FilterType::Adaptive);
            image.write_with_encoder(PngEncoder::new_with_quality(bytes, compression, filter))
        })?,
    };
    Ok(Clean { bytes, media_type, extent })
}

#[cfg(test)]
mod tests {
    use png::{BitDepth, ColorType};

    use super::super::Written;
    use super::*;
    use crate::inspection::MAX_BYTES;

    /// A picture of noise, which no writer makes smaller than its bits.
    fn noise(side: u32, color_type: ColorType, bit_depth: BitDepth) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut info = Info::with_size(side, side);
        (info.color_type, info.bit_depth) = (color_type, bit_depth);
        if color_type == ColorType::Indexed {
            info.palette =
                Some((0..3 << (bit_depth as u8)).map(|n| u8::try_from(n * 7 % 251).expect("a byte")).collect());
            info.trns = Some(vec![0, 128].into());
        }
        let row = info.raw_row_length() - 1;
        let mut writer = Encoder::with_info(&mut bytes, info).expect("a picture").write_header().expect("a head");
        let mut seed = 1_u64;
        let pixels = (0..row * side as usize).map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            u8::try_from(seed >> 56).expect("a byte")
        });
        writer.write_image_data(&pixels.collect::<Vec<_>>()).expect("pixels");
        writer.finish().expect("an end");
        bytes
    }

    #[test]
    fn a_picture_keeps_its_colours_and_its_depth_and_does_not_grow() {
        for (color_type, depths) in [
            (
                ColorType::Grayscale,
                vec![BitDepth::One, BitDepth::Two, BitDepth::Four, BitDepth::Eight, BitDepth::Sixteen],
            ),
            (ColorType::Indexed, vec![BitDepth::One, BitDepth::Two, BitDepth::Four]),
            (ColorType::GrayscaleAlpha, vec![BitDepth::Eight, BitDepth::Sixteen]),
            (ColorType::Rgb, vec![BitDepth::Eight, BitDepth::Sixteen]),
            (ColorType::Rgba, vec![BitDepth::Eight, BitDepth::Sixteen]),
        ] {
            for bit_depth in depths {
                let sent = noise(203, color_type, bit_depth);
                let kept = png(&sent).expect("a sound picture");
                let what = format!("{color_type:?} {bit_depth:?}: {} to {}", sent.len(), kept.bytes.len());
                assert!(kept.bytes.len() <= sent.len() * 102 / 100, "{what}");
                let reader = Decoder::new(Cursor::new(&kept.bytes)).read_info().expect("a head");
                assert_eq!((reader.info().color_type, reader.info().bit_depth), (color_type, bit_depth), "{what}");
                let pixels = |bytes: &[u8]| image::load_from_memory(bytes).expect("a picture").to_rgba16();
                assert!(pixels(&kept.bytes) == pixels(&sent), "{what}");
            }
        }
    }

    #[test]
    fn what_would_be_too_large_is_given_up_while_it_is_written() {
        // Three million pixels of twelve bytes each, which their writer folded to nearly nothing, become no more than 10 MB either.
        let mut kept = Written::default();
        assert!(kept.write_all(&vec![0; MAX_BYTES]).is_ok());
        assert!(kept.write_all(&[0]).is_err() && kept.is_too_large && kept.bytes.len() == MAX_BYTES);
        // Noise in 8 bits of 1,860 by 1,860 in three channels has 10.4 MB.
        assert_eq!(png(&noise(1870, ColorType::Rgb, BitDepth::Eight)).err(), Some(Refusal::DocumentTooLarge));
        // Four colours, nearly 10 MB: as many bytes as it came with, and not the 120 MB of three channels.
        let sent = noise(6200, ColorType::Indexed, BitDepth::Two);
        let kept = png(&sent).expect("a sound picture").bytes.len();
        assert!(sent.len() > 9_500_000 && kept <= sent.len() * 101 / 100, "{} became {kept}", sent.len());
    }

    #[test]
    fn a_photograph_with_a_segment_that_is_longer_than_it_says_is_read() {
        let mut sent = Vec::new();
        let picture = image::load_from_memory(&noise(20, ColorType::Grayscale, BitDepth::Eight)).expect("a picture");
        picture.write_with_encoder(JpegEncoder::new_with_quality(&mut sent, 90)).expect("a photograph");
        // After the first segment, whose length follows its marker.
        let length = u16::from_be_bytes([sent[4], sent[5]]);
        let at = 4 + usize::from(length);
        for more in [&b"?>"[..], b"\xFF\x00?>"] {
            let mut longer = sent.clone();
            longer.splice(at..at, more.iter().copied());
            assert_eq!(end_of_jpeg(&longer), Some(longer.len()));
            assert_eq!(jpeg(&longer).expect("a sound photograph").extent, Extent::Pixels(20, 20));
            longer.extend(b"<html>");
            assert_eq!(jpeg(&longer).err(), Some(Refusal::DocumentUnsafe), "what follows is found all the same");
        }
        assert_eq!(end_of_jpeg(&sent[..sent.len() - 2]), None, "without an end it is cut off");
    }

    #[test]
    fn a_photograph_that_grows_is_written_at_a_lower_quality() {
        let mut sent = Vec::new();
        let pixels = noise(3800, ColorType::Grayscale, BitDepth::Eight);
        let picture = image::load_from_memory(&pixels).expect("a picture");
        picture.write_with_encoder(JpegEncoder::new_with_quality(&mut sent, 75)).expect("a photograph");
        let mut at_best = Vec::new();
        picture
            .write_with_encoder(JpegEncoder::new_with_quality(&mut at_best, JPEG_QUALITIES[0]))
            .expect("a photograph");
        assert!(sent.len() <= MAX_BYTES && at_best.len() > MAX_BYTES, "{} and {}", sent.len(), at_best.len());
        assert!(jpeg(&sent).expect("a sound photograph").bytes.len() <= MAX_BYTES);
    }
}
