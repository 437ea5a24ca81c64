//! The seam between the daemon and the child process that plays.
//!
//! [`messages`] is the language: one JSON object a line each way.

pub mod messages;
