//! The device as the phone sees it: one pure state machine.
//!
//! [`Connect::step`] takes one thing that happened and returns what is to be done about it. No
//! socket, no clock, no channel: a shell carries the actions out (`librespot::connect`) and hands
//! their outcomes back as inputs.

mod action;
mod input;
mod uri;

pub use action::{Action, PutReason};
pub use input::*;
pub use uri::{Entry, Uid, Uri};
