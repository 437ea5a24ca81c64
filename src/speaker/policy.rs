//! Who may come to a speaker: one pure function, [`admit`].
//!
//! |            | owner | member | stranger, nobody plays | stranger, music plays | stranger, quiet hours |
//! | ---------- | ----- | ------ | ---------------------- | --------------------- | --------------------- |
//! | open       | yes   | yes    | yes                    | yes                   | no                    |
//! | idle-only  | yes   | yes    | yes                    | no                    | no                    |
//! | household  | yes   | yes    | no                     | no                    | no                    |
//! | locked     | yes   | yes    | no                     | no                    | no                    |
//!
//! A house in which nobody is remembered takes the first stranger in, whatever the hour, or nobody
//! ever could sign in; a locked one does not: its accounts come by a code or at the machine itself.
//! Whether Spotify lets the account in is not asked before the house has said yes.

use std::time::Duration;

use crate::config::{Guests, QuietHours};

/// In quiet hours a visitor who has stopped leaves after this: long enough for a change of album.
const QUIET_PATIENCE: Duration = Duration::from_secs(60);

/// What somebody is to a speaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The speaker is his: he sits here, or the speaker goes back to him after a visitor.
    Owner,
    /// Remembered on this machine.
    Member,
    Stranger,
}

/// What a decision is made by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    pub who: Who,
    /// Music plays, or is about to go on.
    pub playing: bool,
    pub quiet: bool,
    /// Nobody at all is remembered on this machine.
    pub empty_house: bool,
}

/// Why somebody may not come, in words that end with the cure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("this speaker takes the accounts of its household only")]
    Household,
    #[error("somebody else's music plays, and guests may come only when nobody plays")]
    Busy,
    #[error("this speaker takes nobody new")]
    Locked,
    #[error("it is quiet hours, when only the household may play")]
    Quiet,
}

impl Denied {
    /// What the listener, or who keeps the house, can do.
    pub fn cure(self) -> &'static str {
        match self {
            Self::Household => {
                "sign in once with “siskin pair”, or set guests to \"open\" in the configuration"
            }
            Self::Busy => "wait until the music has stopped, or pause it",
            Self::Locked => "sign in with “siskin pair”, or change guests in the configuration",
            Self::Quiet => "come back later, or change quiet_hours in the configuration",
        }
    }
}

/// Decides whether an account that a phone hands over may be tried.
///
/// # Errors
/// Why not.
pub fn admit(guests: Guests, at: Circumstances) -> Result<(), Denied> {
    if at.who != Who::Stranger {
        return Ok(());
    }
    match guests {
        Guests::Locked => Err(Denied::Locked),
        _ if at.empty_house => Ok(()),
        Guests::Household => Err(Denied::Household),
        Guests::Open | Guests::IdleOnly if at.quiet => Err(Denied::Quiet),
        Guests::IdleOnly if at.playing => Err(Denied::Busy),
        Guests::Open | Guests::IdleOnly => Ok(()),
    }
}

/// Whether anybody on the network may make the speaker forget who sits here (`resetUsers`). Who asks
/// is not known: in a household of one, a stranger would empty the house and be the next to found it.
pub fn may_reset(guests: Guests) -> bool {
    matches!(guests, Guests::Open | Guests::IdleOnly)
}

/// Whether `minute` (of the day, local time) lies in the quiet hours.
pub fn is_quiet(hours: Option<QuietHours>, minute: u16) -> bool {
    hours.is_some_and(|hours| hours.holds(minute))
}

/// How long a visitor may play nothing before the owner is signed in again; `None`: for ever.
pub fn patience(guest_timeout: Option<Duration>, quiet: bool) -> Option<Duration> {
    let in_quiet = quiet.then_some(QUIET_PATIENCE);
    guest_timeout.into_iter().chain(in_quiet).min()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Guests; 4] = [
        Guests::Open,
        Guests::IdleOnly,
        Guests::Household,
        Guests::Locked,
    ];

    fn at(who: Who, playing: bool, quiet: bool) -> Circumstances {
        Circumstances {
            who,
            playing,
            quiet,
            empty_house: false,
        }
    }

    #[test]
    fn the_household_comes_always_and_under_every_policy() {
        for guests in ALL {
            for who in [Who::Owner, Who::Member] {
                for (playing, quiet) in [(false, false), (true, false), (false, true), (true, true)]
                {
                    assert_eq!(admit(guests, at(who, playing, quiet)), Ok(()));
                }
            }
        }
    }

    #[test]
    fn a_stranger_comes_as_the_table_says() {
        use Denied::{Busy, Household, Locked, Quiet};
        let table = [
            (Guests::Open, [Ok(()), Ok(()), Err(Quiet), Err(Quiet)]),
            (
                Guests::IdleOnly,
                [Ok(()), Err(Busy), Err(Quiet), Err(Quiet)],
            ),
            (Guests::Household, [Err(Household); 4]),
            (Guests::Locked, [Err(Locked); 4]),
        ];
        for (guests, [idle, playing, quiet, both]) in table {
            let said = |playing, quiet| admit(guests, at(Who::Stranger, playing, quiet));
            assert_eq!(said(false, false), idle, "{guests:?}");
            assert_eq!(said(true, false), playing, "{guests:?}");
            assert_eq!(said(false, true), quiet, "{guests:?}");
            assert_eq!(said(true, true), both, "{guests:?}");
        }
    }

    #[test]
    fn an_empty_house_takes_the_first_one_in_unless_it_is_locked() {
        for guests in ALL {
            let first = Circumstances {
                empty_house: true,
                ..at(Who::Stranger, false, true)
            };
            assert_eq!(admit(guests, first).is_ok(), guests != Guests::Locked);
        }
    }

    #[test]
    fn in_quiet_hours_an_idle_visitor_leaves_soon_whatever_else_is_set() {
        let hours = Some(Duration::from_secs(7_200));
        let soon = Some(Duration::from_secs(1));
        assert_eq!(patience(hours, false), hours);
        assert_eq!(patience(None, false), None);
        assert_eq!(patience(hours, true), Some(QUIET_PATIENCE));
        assert_eq!(patience(None, true), Some(QUIET_PATIENCE));
        assert_eq!(patience(soon, true), soon);
    }

    proptest! {
        #[test]
        fn a_stricter_policy_never_lets_in_whom_a_laxer_one_refuses(
            stranger in any::<bool>(), playing in any::<bool>(), quiet in any::<bool>(), empty_house in any::<bool>()
        ) {
            let who = if stranger { Who::Stranger } else { Who::Member };
            let at = Circumstances { who, playing, quiet, empty_house };
            let said = ALL.map(|guests| admit(guests, at).is_ok());
            prop_assert!(said.is_sorted_by(|laxer, stricter| laxer >= stricter), "{said:?}");
        }
    }
}
