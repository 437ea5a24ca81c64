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
//! 9. [`connect`]: inside that child: the device as the phone sees it, decided without I/O.
//! 10. [`fetch`]: inside that child: a track's bytes, from the audio servers, decrypted.
//! 11. [`decode`] and [`player`]: inside that child: from bytes to samples, without a gap.
//! 12. [`output`]: inside that child: samples, volume and the sound card.
//! 13. [`bus`]: one state to read, one way to give orders; [`control`]: who does both.
//! 14. [`cli`]: the command line. [`tally`]: what is counted meanwhile.
#![forbid(unsafe_code)]

pub mod accounts;
pub mod bus;
pub mod cli;
pub mod config;
pub mod connect;
pub mod control;
pub mod daemon;
pub mod decode;
pub mod discovery;
pub mod engine;
pub mod fetch;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod gate;
pub mod librespot;
pub mod model;
pub mod output;
pub mod player;
pub mod speaker;
pub mod tally;
