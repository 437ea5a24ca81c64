//! The behaviour of the real binary, end to end: a file per behaviour.

mod card;
mod command_line;
mod control;
mod files;
mod gapless;
mod handoff;
mod house;
mod household;
mod lan;
mod network;
mod pipe;
mod quality;
mod reload;
mod restart;
mod seats;
mod secrets;
mod service;
mod speakers;
mod tape;
mod tour;
mod trouble;
mod world;
mod zeroconf;
