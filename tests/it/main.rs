//! The behaviour of the real binary, end to end: a file per behaviour.

mod command_line;
mod house;
mod service;
