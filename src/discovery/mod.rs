//! The speaker on the local network.
pub mod blob;
pub mod interfaces;
