//! siskin: a Spotify Connect receiver that stays.
//!
//! A tour, in reading order:
//!
//! 1. [`model`]: the plain values everything else talks about.
//! 2. [`config`]: a file becomes a checked [`config::Config`].
//! 3. [`daemon`]: the composition root. It owns every part and every signal.
//! 4. [`discovery`]: the speaker on the local network, and the logins that phones hand over.
//! 5. [`accounts`]: the logins that are kept.
//! 6. [`speaker`]: one speaker: its phase, its engine, what to restore after a loss.
//! 7. [`engine`]: the seam between the daemon and the child process that plays.
//! 8. [`librespot`]: inside that child: the conversation with Spotify.
//! 9. [`output`]: inside that child: samples, volume and the sound card.
//! 10. [`bus`]: one state to read, one way to give orders; [`control`]: who does both.
//! 11. [`cli`]: the command line.
#![forbid(unsafe_code)]

pub mod accounts;
pub mod bus;
pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod discovery;
pub mod engine;
pub mod librespot;
pub mod model;
pub mod output;
pub mod speaker;
