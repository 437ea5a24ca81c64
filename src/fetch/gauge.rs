//! How long audio servers take to answer, over all fetches of this process: it plays for one speaker.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::model::Histogram;

static ANSWERS: Mutex<Histogram> = Mutex::new(Histogram::new());

/// A request was answered after this.
pub(super) fn answered(after: Duration) {
    let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    answers.note(after);
}

/// From a request to the head of its answer, since the process began.
pub fn answers() -> Histogram {
    *ANSWERS.lock().unwrap_or_else(PoisonError::into_inner)
}
