//! Behaviour of the real binary, end to end. One file a behaviour.

mod handoff;
mod restart;
mod seats;
mod world;
