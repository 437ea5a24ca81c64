//! The surfaces through which people and programs ask the house and give it orders.
//!
//! Each is one folder here, holds only a [`crate::bus::Bus`], and knows nothing of speakers, engines
//! or discovery: [`http`], on a Unix socket and over TCP, and `mpris`, on D-Bus.

pub mod http;
#[cfg(feature = "mpris")]
pub mod mpris;

use crate::model::{Condition, ConditionCode};

/// What a surface has to say of itself. Each is sent when it becomes true, not repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Raised(Condition),
    Cleared(ConditionCode),
}
