//! Why a speaker is not on the bus, in the listener's words.

use crate::{
    config,
    model::{Condition, ConditionCode},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No bus, or none that talks to us.
    Unreachable { why: String },
    /// It was there and has gone.
    Lost,
    /// The policy of the bus keeps the name from us.
    Forbidden { name: String, why: String },
    /// Other programs have every name that we could take.
    Taken { name: String },
}

impl Trouble {
    pub fn condition(&self, at: config::Mpris) -> Condition {
        let bus = word(at);
        let what = format!("siskin is not on the {bus} bus, so MPRIS does not work");
        let again = "it is tried again by itself";
        let (why, cure) = match self {
            Self::Unreachable { why } if at == config::Mpris::System => (
                why.clone(),
                format!("install and start dbus, or set mpris.bus to \"off\"; {again}"),
            ),
            Self::Unreachable { why } => (
                why.clone(),
                format!(
                    "start siskin in a session that has a bus, set mpris.bus to \"system\" on a \
                     machine without a desktop, or to \"off\"; {again}"
                ),
            ),
            Self::Lost => (
                format!("the {bus} bus has ended the connection"),
                format!("nothing, if it was started anew: {again}"),
            ),
            Self::Forbidden { name, why } => (
                format!("the bus does not let it be called {name}: {why}"),
                format!(
                    "install siskin's contrib/dbus/siskin.conf in /usr/share/dbus-1/system.d and \
                     let siskin run as the user siskin, as it says there; {again}"
                ),
            ),
            Self::Taken { name } => (
                format!("other programs are called {name} and so on"),
                format!("end the other program; {again}"),
            ),
        };
        Condition::new(ConditionCode::NoMpris, what, why, cure)
    }
}

/// What people call the bus.
pub fn word(at: config::Mpris) -> &'static str {
    match at {
        config::Mpris::System => "system",
        config::Mpris::Session | config::Mpris::Off => "session",
    }
}
