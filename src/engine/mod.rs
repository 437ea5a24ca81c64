//! The seam between the daemon and the child process that plays.
//!
//! [`messages`] is the language: one JSON object a line each way. [`Engine`] is one child as the
//! daemon holds it: spawned, heard, told, and ended within a limit. It knows nothing of accounts
//! or of what to do after a loss; that is the speaker's business.

mod child;
pub mod messages;
pub mod note;
mod pace;

pub use child::{Engine, Heard, own_program};
pub use pace::{back_off, unheard};
