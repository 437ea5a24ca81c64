//! The pictures of albums: generated, each album its own, and small.

use std::io::Write as _;

use flate2::{Compression, Crc, write::ZlibEncoder};
use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};

use crate::http::{self, Answer, Ask};

/// In the path of every cover.
pub(crate) const IMAGE: &str = "/image/";

/// Pixels a side.
const SIDE: usize = 300;
/// Shades from one colour to the other.
const SHADES: usize = 48;

pub(crate) fn image(ask: &Ask) -> Answer {
    let Some(id) = ask.rest(IMAGE).and_then(|id| hex::decode(id).ok()) else {
        return http::status(StatusCode::NOT_FOUND);
    };
    let mut answer = http::ok(draw(&id));
    let kind = HeaderValue::from_static("image/png");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// A PNG of rings in shades between two colours that follow from the id.
fn draw(id: &[u8]) -> Vec<u8> {
    let byte = |at: usize| f64::from(id.get(at).copied().unwrap_or_default()) / 255.0;
    let (dark, light) = (hue(byte(0), 0.75, 0.22), hue(byte(0) + 0.12, 0.7, 0.72));
    let mut palette = Vec::new();
    for shade in 0..SHADES {
        let share = shade as f64 / (SHADES - 1) as f64;
        for channel in 0..3 {
            palette.push((dark[channel] + (light[channel] - dark[channel]) * share) as u8);
        }
    }
    let mut rows = Vec::with_capacity(SIDE * (SIDE + 1));
    for y in 0..SIDE {
        // No filter in this row.
        rows.push(0);
        for x in 0..SIDE {
            let (x, y) = (x as f64 / SIDE as f64, y as f64 / SIDE as f64);
            let from_centre = (x - byte(1)).hypot(y - byte(2));
            let rings = (from_centre * (6.0 + byte(3) * 10.0)).sin() * 0.25;
            let value = (0.25 + 0.5 * (x + y) / 2.0 + rings).clamp(0.0, 1.0);
            rows.push((value * (SHADES - 1) as f64) as u8);
        }
    }
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let side = (SIDE as u32).to_be_bytes();
    chunk(
        &mut png,
        b"IHDR",
        &[&side[..], &side, &[8, 3, 0, 0, 0]].concat(),
    );
    chunk(&mut png, b"PLTE", &palette);
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    // Memory takes everything.
    let _ = packed.write_all(&rows);
    chunk(&mut png, b"IDAT", &packed.finish().unwrap_or_default());
    chunk(&mut png, b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, kind: &[u8; 4], data: &[u8]) {
    let mut sum = Crc::new();
    sum.update(kind);
    sum.update(data);
    png.extend((data.len() as u32).to_be_bytes());
    png.extend(kind);
    png.extend(data);
    png.extend(sum.sum().to_be_bytes());
}

/// Hue, saturation and lightness (0 to 1 each) as red, green and blue (0 to 255).
fn hue(hue: f64, saturation: f64, lightness: f64) -> [f64; 3] {
    let spread = saturation * lightness.min(1.0 - lightness);
    [0.0, 8.0, 4.0].map(|offset| {
        let k = (offset + hue * 12.0).rem_euclid(12.0);
        let level = lightness - spread * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0);
        level * 255.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_album_has_a_picture_of_its_own_that_fits_anywhere() {
        let (one, other) = (draw(&[1; 20]), draw(&[200; 20]));
        assert!(one.starts_with(b"\x89PNG") && one.ends_with(&[0xAE, 0x42, 0x60, 0x82]));
        assert_ne!(one, other);
        assert!(one.len() < 100_000, "{} bytes", one.len());
    }
}
