//! The behaviour of the real binary, end to end: a file per behaviour.

mod accounts_command;
mod ask;
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
mod socket;
mod speakers;
mod status;
mod tape;
mod trouble;
mod world;
mod zeroconf;
