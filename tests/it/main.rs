//! The behaviour of the real binary, end to end: a file per behaviour.

mod card;
mod command_line;
mod handoff;
mod house;
mod pipe;
mod restart;
mod seats;
mod service;
mod world;
