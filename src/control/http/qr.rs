//! A sign-in as a picture that a phone's camera reads.

use std::fmt::Write as _;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use qrcode::{Color, QrCode};

use super::{answer::Failed, given::Named};
use crate::{
    bus::{Bus, Reason, Unable},
    model::Pairing,
};

/// The light edge that scanners want, in modules.
const QUIET: usize = 4;

pub async fn qr(State(bus): State<Bus>, Named(id): Named) -> Result<Response, Failed> {
    let house = bus.now();
    let speaker = house
        .speaker(&id)
        .ok_or_else(|| Unable::unknown_speaker(&id))?;
    let address = match &speaker.pairing {
        Some(Pairing::Waiting {
            complete_address, ..
        }) => complete_address,
        Some(Pairing::Browser { address, .. }) => address,
        _ => return Err(Unable::no_pairing().into()),
    };
    let Some(drawn) = draw(address) else {
        let what = "the address does not fit into a QR code";
        return Err(Unable::new(Reason::Broken, what, "open it by hand").into());
    };
    let head = [
        (header::CONTENT_TYPE, "image/svg+xml"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((head, drawn).into_response())
}

/// Dark on light whatever the colours around it are: scanners want it so.
fn draw(address: &str) -> Option<String> {
    let code = QrCode::new(address).ok()?;
    let side = code.width();
    let whole = side + 2 * QUIET;
    let mut path = String::new();
    for (at, color) in code.to_colors().into_iter().enumerate() {
        if color == Color::Dark {
            let (x, y) = (at % side + QUIET, at / side + QUIET);
            let _ = write!(path, "M{x} {y}h1v1h-1z");
        }
    }
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole} {whole}\" \
         shape-rendering=\"crispEdges\"><path fill=\"#fff\" d=\"M0 0h{whole}v{whole}H0z\"/>\
         <path d=\"{path}\"/></svg>"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_with_its_quiet_edge_and_nothing_of_the_address() {
        let drawn = draw("https://spotify.com/pair?code=\"><script>").expect("it fits");
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>"));
        assert!(drawn.contains("M4 4h1v1h-1z"), "a corner is dark: {drawn}");
        assert!(!drawn.contains("script"));
        assert_eq!(draw(&"x".repeat(5_000)), None);
    }
}
