//! A whole small Spotify on loopback, and a scripted phone, for siskin's
//! tests, its demo and its benchmarks.
//!
//! [`Sim`] is the back end: access point, tokens, dealer, connect-state,
//! metadata and audio, all behind one port. [`Controller`] is what the
//! Spotify app does through the cloud, [`phone`] what it does on the local
//! network. [`catalogue`] makes the music, [`listen`] judges what came out of
//! the speaker, [`rigs`] are networks, sound cards and pipes made to order.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use spotify_sim::{Fault, Place, PlayOptions, Sim, SimOptions, Then};
//!
//! let sim = Sim::start(SimOptions::default()).await?;
//! // Start a receiver with `sim.env()`, `sim.proxy_url()`, `sim.port()` and
//! // the key of `key::swap_key`, and sign it in; then:
//! let limit = Duration::from_secs(10);
//! let app = sim.controller("kim");
//! app.wait_for_device("Kitchen", limit).await?;
//! sim.faults().add(Fault::on(Place::Storage).times(2).then(Then::Status(503, None)));
//! let album = sim.catalogue().titled("Tones");
//! assert!(app.play(&album.uri(), PlayOptions::default()).await?.success);
//! app.wait_until(limit, |state| state.playing).await?;
//! # Ok(()) }
//! ```
//!
//! Nothing here is needed by siskin itself, and nothing here talks to the
//! internet.

#![forbid(unsafe_code)]

pub mod bench;
pub mod catalogue;
pub mod chaos;
pub mod listen;
pub mod phone;
pub mod receiver;
pub mod rigs;

pub mod controller;
pub mod demo;
pub mod faults;
pub mod key;
pub mod record;
pub mod users;

mod accesspoint;
mod authorize;
mod cdn;
mod cluster;
mod connect;
mod cover;
mod dealer;
mod gate;
mod http;
mod line;
mod metadata;
mod resume;
mod shared;
mod sim;
mod tls;
mod tokens;

pub use authorize::{Authorization, PAIR};
pub use controller::{
    AppState, ControlError, Controller, DeviceShown, OldNews, PlayOptions, Reply,
};
pub use faults::{Fault, Place, Spoilt, Then};
pub use record::{Entry, Record};
pub use resume::LeftAt;
pub use sim::{Sim, SimOptions};
pub use users::{User, Users};
