//! A whole small Spotify on loopback, and a scripted phone, for siskin's
//! tests, demo and benchmarks.
//!
//! * [`catalogue`]: the music there is, made on the spot, so that what comes
//!   out of a speaker can be compared with what went in.
//! * [`phone`]: a scripted phone, polite or not.
//! * [`listen`]: ears that judge a capture.
//! * [`rigs`]: networks, sound cards and pipes made to order.

pub mod catalogue;
pub mod listen;
pub mod phone;
pub mod rigs;
