//! The behaviour of the real binary, end to end: a file per behaviour.

mod accounts_command;
mod ask;
mod card;
mod command_line;
mod control;
mod gapless;
mod handoff;
mod house;
mod lan;
mod network;
mod pairing;
mod pipe;
mod quality;
mod reload;
mod restart;
mod seats;
mod service;
mod socket;
mod speakers;
mod status;
mod tape;
mod trouble;
mod world;
mod zeroconf;
