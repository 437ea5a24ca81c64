//! (to be written)

use std::process::ExitCode;

use crate::engine::messages::Start;

/// The whole life of an engine. `begin` is called once, with the first command.
pub fn engine_main(_begin: impl FnOnce(&Start)) -> ExitCode {
    ExitCode::FAILURE
}
