//! Asks, from the outside, whether a phone could find and use a speaker now.
//!
//! Sockets of its own, plain packets, and nothing of what the responder or the endpoint think of
//! themselves: what stands here is what a phone on this machine would see. [`dns`] is pure.

pub mod dns;
mod endpoint;
mod mdns;

pub use endpoint::get_info;
#[cfg(any(test, fuzzing))]
pub(crate) use endpoint::judge;
pub use mdns::{Answered, Unheard, announced, around, comes_back};
