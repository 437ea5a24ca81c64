//! Signing in by a code or a browser: begun, watched, helped along, cancelled. One at a time a
//! speaker; where it stands is also part of the speaker's state.

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{
    answer::{Done, Failed},
    given::{Given, Named},
};
use crate::{
    bus::{Answer, Bus, Order, Unable},
    control::wanted::{Field, Takes, Wanted, may, must},
    model::{Pairing, Secret, Way},
};

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct How {
    /// A code, where nothing is said.
    #[serde(default)]
    way: Way,
}

impl Wanted for How {
    const FIELDS: &'static [Field] = &[may("way", Takes::Word(&["code", "browser", "paste"]))];
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Led {
    address: String,
}

impl Wanted for Led {
    const FIELDS: &'static [Field] = &[must("address", Takes::Text)];
}

pub async fn start(
    State(bus): State<Bus>,
    Named(speaker): Named,
    Given(How { way }): Given<How>,
) -> Result<Json<Pairing>, Failed> {
    match bus.order(Order::Pair { speaker, way }).await? {
        Answer::Pairing(now) => Ok(Json(now)),
        _ => Err(Unable::no_pairing().into()),
    }
}

/// Asked of the daemon and not read from the state: whoever has just begun must not see how an
/// earlier one ended.
pub async fn now(State(bus): State<Bus>, Named(speaker): Named) -> Result<Json<Pairing>, Failed> {
    match bus.order(Order::Pairing { speaker }).await? {
        Answer::Pairing(now) => Ok(Json(now)),
        _ => Err(Unable::no_pairing().into()),
    }
}

pub async fn paste(
    State(bus): State<Bus>,
    Named(speaker): Named,
    Given(Led { address }): Given<Led>,
) -> Result<Json<Done>, Failed> {
    let address = Secret::new(address.into_bytes());
    bus.order(Order::Paste { speaker, address }).await?;
    Ok(Done::answer())
}

pub async fn cancel(State(bus): State<Bus>, Named(speaker): Named) -> Result<Json<Done>, Failed> {
    bus.order(Order::CancelPairing { speaker }).await?;
    Ok(Done::answer())
}
