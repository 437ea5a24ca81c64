//! The doctor's findings, for whoever wants to see them: the same as `siskin doctor --json`.

use axum::{Json, extract::State};

use super::{answer::Failed, given::Given, transport::Nothing};
use crate::{
    bus::{Answer, Bus, Order, Reason, Unable},
    model::Examination,
};

/// Answered when the doctor has looked, which takes some seconds; 409 while he does for others.
pub async fn doctor(
    State(bus): State<Bus>,
    Given(Nothing {}): Given<Nothing>,
) -> Result<Json<Examination>, Failed> {
    match bus.order(Order::Examine).await? {
        Answer::Examined(found) => Ok(Json(found)),
        _ => {
            let what = "another question was answered";
            Err(Unable::new(Reason::Broken, what, "please report it").into())
        }
    }
}
