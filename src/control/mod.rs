//! The surfaces through which people and programs ask the house and give it orders.
//!
//! Each is one folder here, holds only a [`crate::bus::Bus`], and knows nothing of speakers, engines
//! or discovery: [`http`] to ask and order, [`hooks`] that are run when something happens,
//! [`metadata`] for displays, [`metrics`] for curves (asked over [`http`]), `mpris` on D-Bus, `mqtt`
//! for the house. `web` is the page that people open in a browser, which asks [`http`] like
//! everybody else.

pub mod hooks;
pub mod http;
pub mod metadata;
pub mod metrics;
#[cfg(feature = "mpris")]
pub mod mpris;
#[cfg(feature = "mqtt")]
pub mod mqtt;
mod wanted;
#[cfg(feature = "http")]
pub mod web;

use crate::model::{Condition, ConditionCode};

/// What a surface has to say of itself. Each is sent when it becomes true, not repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Raised(Condition),
    Cleared(ConditionCode),
}
