//! A whole small Spotify on loopback, and a scripted phone, for siskin's
//! tests, demo and benchmarks.
//!
//! * [`catalogue`]: the music there is, made on the spot, so that what comes
//!   out of a speaker can be compared with what went in.

pub mod catalogue;
pub mod phone;
