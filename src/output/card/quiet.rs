//! Keeps ALSA's own messages of this thread off stderr.

use std::{cell::RefCell, rc::Rc};

/// While it lives, what ALSA would print from this thread is swallowed.
pub(super) struct Quiet {
    _output: Option<Rc<RefCell<alsa::Output>>>,
}

impl Quiet {
    pub(super) fn new() -> Self {
        Self {
            _output: alsa::Output::local_error_handler().ok(),
        }
    }
}
