//! Why a call was not obeyed, as D-Bus tells it: a name for programs, a sentence for people.

use crate::{
    bus::{Reason, Unable},
    model::LinkError,
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub name: &'static str,
    pub text: String,
}

/// A name that everybody on the bus knows.
macro_rules! standard {
    ($name:literal) => {
        concat!("org.freedesktop.DBus.Error.", $name)
    };
}

/// A name of our own, below the bus name.
macro_rules! own {
    ($name:literal) => {
        concat!("org.mpris.MediaPlayer2.siskin.Error.", $name)
    };
}

impl Fault {
    fn new(name: &'static str, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { name, text }
    }

    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(standard!("InvalidArgs"), text)
    }

    pub fn unsupported(text: impl Into<String>) -> Self {
        Self::new(standard!("NotSupported"), text)
    }

    pub fn too_much() -> Self {
        let text = "too many calls wait for each other; wait for their answers";
        Self::new(standard!("LimitsExceeded"), text)
    }

    pub fn unknown_object(path: &str) -> Self {
        let text = format!("there is nothing at {path}; the player is at /org/mpris/MediaPlayer2");
        Self::new(standard!("UnknownObject"), text)
    }

    pub fn unknown_interface(interface: &str) -> Self {
        let text = format!("this is no interface of a media player: {interface}");
        Self::new(standard!("UnknownInterface"), text)
    }

    pub fn unknown_method(member: &str) -> Self {
        let text = format!("there is no method {member} here");
        Self::new(standard!("UnknownMethod"), text)
    }

    pub fn unknown_property(name: &str) -> Self {
        let text = format!("there is no property {name} here");
        Self::new(standard!("UnknownProperty"), text)
    }

    pub fn read_only(name: &str) -> Self {
        let text = format!("{name} can be read only");
        Self::new(standard!("PropertyReadOnly"), text)
    }
}

impl From<LinkError> for Fault {
    fn from(error: LinkError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<Unable> for Fault {
    fn from(unable: Unable) -> Self {
        let name = match unable.code {
            Reason::Invalid => standard!("InvalidArgs"),
            Reason::UnknownSpeaker => own!("UnknownSpeaker"),
            Reason::UnknownAccount => own!("UnknownAccount"),
            Reason::UnknownDevice => own!("UnknownDevice"),
            Reason::NoOutput => own!("NoOutput"),
            Reason::Restricted => own!("Restricted"),
            Reason::NoPairing => own!("NoPairing"),
            Reason::NotActive => own!("NotActive"),
            Reason::NobodySignedIn => own!("NobodySignedIn"),
            Reason::Unplayable => own!("Unplayable"),
            Reason::Conflict => own!("Conflict"),
            Reason::Refused => own!("Refused"),
            Reason::Broken => own!("Broken"),
            Reason::TimedOut => own!("TimedOut"),
            Reason::Unavailable => own!("Unavailable"),
        };
        Self::new(name, format!("{}; {}", unable.message, unable.help))
    }
}
