//! The doctor's findings, for whoever wants to see them: the same as `siskin doctor --json`.

use axum::{Json, extract::State};
use serde::Deserialize;

use super::{answer::Failed, given::Given};
use crate::{
    bus::{Answer, Bus, Order, Reason, Unable},
    control::wanted::{Field, Takes, Wanted, may},
    model::Examination,
};

/// How thoroughly it looks.
#[derive(Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Look {
    /// Whether each sound card that nothing plays on is to be heard for a second.
    tone: Option<bool>,
}

impl Wanted for Look {
    const FIELDS: &'static [Field] = &[may("tone", Takes::Switch)];
}

/// Answered when the doctor has looked, which takes some seconds; 409 while he does for others.
pub async fn doctor(
    State(bus): State<Bus>,
    Given(Look { tone }): Given<Look>,
) -> Result<Json<Examination>, Failed> {
    let tone = tone.unwrap_or_default();
    match bus.order(Order::Examine { tone }).await? {
        Answer::Examined(found) => Ok(Json(found)),
        _ => {
            let what = "another question was answered";
            Err(Unable::new(Reason::Broken, what, "please report it").into())
        }
    }
}
