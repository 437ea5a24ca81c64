//! The behaviour of the real binary, end to end: a file per behaviour.

mod card;
mod command_line;
mod handoff;
mod house;
mod lan;
mod network;
mod pipe;
mod reload;
mod restart;
mod seats;
mod service;
mod speakers;
mod trouble;
mod world;
mod zeroconf;
