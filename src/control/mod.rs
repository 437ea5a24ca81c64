//! The surfaces through which people and programs ask the house and give it orders.
//!
//! Each is one folder here, holds only a [`crate::bus::Bus`], and knows nothing of speakers, engines
//! or discovery. Today there is one: [`http`], on a Unix socket.

pub mod http;
#[cfg(feature = "mqtt")]
pub mod mqtt;

use crate::model::{Condition, ConditionCode};

/// What a surface has to say of itself. Each is sent when it becomes true, not repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    Raised(Condition),
    Cleared(ConditionCode),
}
