//! The exit codes, after `sysexits.h`, so that service managers can tell them apart.

/// It was understood and could not be done: no daemon runs, or it says no.
pub const FAILED: u8 = 1;
/// Ended by Ctrl-C, as shells count it.
pub const INTERRUPTED: u8 = 130;
/// The command line makes no sense (`EX_USAGE`). Starting again cannot help.
pub const USAGE: u8 = 64;
/// Starting failed for a reason that may pass, such as another daemon on the same state
/// (`EX_TEMPFAIL`). Starting again may help.
pub const NOT_NOW: u8 = 75;
/// The configuration is wrong (`EX_CONFIG`). Starting again cannot help.
pub const CONFIG: u8 = 78;
