//! What a speaker is called, and where its sound and its playback go.

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{
    answer::{Done, Failed},
    given::{Given, Named},
};
use crate::{
    bus::{Answer, Bus, Order},
    control::wanted::{Field, Takes, Wanted, must},
    model::{OutputChoice, Transport},
};

/// Where the sound could go.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[cfg_attr(test, schema(as = OutputList))]
pub struct Outputs {
    outputs: Vec<OutputChoice>,
}

/// Where it is to go: the name of an output, or of a device of the account.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct To {
    device: String,
}

impl Wanted for To {
    const FIELDS: &'static [Field] = &[must("device", Takes::Text)];
}

#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Called {
    name: String,
}

impl Wanted for Called {
    const FIELDS: &'static [Field] = &[must("name", Takes::Text)];
}

pub async fn outputs(
    State(bus): State<Bus>,
    Named(speaker): Named,
) -> Result<Json<Outputs>, Failed> {
    let outputs = match bus.order(Order::Outputs { speaker }).await? {
        Answer::Outputs(outputs) => outputs,
        _ => Vec::new(),
    };
    Ok(Json(Outputs { outputs }))
}

pub async fn output(
    State(bus): State<Bus>,
    Named(speaker): Named,
    Given(To { device }): Given<To>,
) -> Result<Json<Done>, Failed> {
    bus.order(Order::Output { speaker, device }).await?;
    Ok(Done::answer())
}

pub async fn name(
    State(bus): State<Bus>,
    Named(speaker): Named,
    Given(Called { name }): Given<Called>,
) -> Result<Json<Done>, Failed> {
    bus.order(Order::Name { speaker, name }).await?;
    Ok(Done::answer())
}

pub async fn send(
    State(bus): State<Bus>,
    Named(speaker): Named,
    Given(To { device }): Given<To>,
) -> Result<Json<Done>, Failed> {
    let wish = Transport::Send { device };
    bus.order(Order::Transport { speaker, wish }).await?;
    Ok(Done::answer())
}

/// `error`, `warn`, `info`, `debug` or `trace`.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Level {
    level: String,
}

impl Wanted for Level {
    const FIELDS: &'static [Field] = &[must("level", Takes::Text)];
}

pub async fn log(
    State(bus): State<Bus>,
    Given(Level { level }): Given<Level>,
) -> Result<Json<Done>, Failed> {
    bus.order(Order::Log { level }).await?;
    Ok(Done::answer())
}
