//! The behaviour of the real binary, end to end: a file per behaviour.

mod command_line;
mod control;
mod gapless;
mod handoff;
mod house;
mod quality;
mod restart;
mod seats;
mod service;
mod tape;
mod world;
