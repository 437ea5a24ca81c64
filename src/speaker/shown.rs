//! What others are shown of who sits here.

use super::{News, Speaker, phase::Resident};
use crate::model::{Account, Phase};

/// Where the speaker stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    phase: Phase,
    /// The user it belongs to.
    user: Option<String>,
    /// His engine is there, with a session or while it makes another: what it told holds.
    holds: bool,
}

impl Speaker {
    /// Tells where the speaker stands, if that, or what is known of the account, is something else
    /// than last time.
    pub(super) async fn show_seat(&mut self) {
        let seat = seat(self.seats.resident());
        if self.shown.as_ref() == Some(&seat) {
            return;
        }
        self.shown = Some(seat.clone());
        let Shown { phase, user, holds } = seat;
        let account = match user {
            Some(user) => Some(self.kept_account(user).await),
            None => None,
        };
        let seat = News::Seat {
            phase,
            account,
            holds,
        };
        self.tell_all(seat).await;
    }

    async fn kept_account(&mut self, user: String) -> Account {
        let name = user.clone();
        let kept = self.on_disk(move |store, _| (store.account(&name), Vec::new()));
        let kept = kept.await.flatten();
        kept.unwrap_or_else(|| Account::of(user))
    }
}

fn seat(resident: &Resident) -> Shown {
    let phase = match resident {
        Resident::Nobody => Phase::Nobody,
        Resident::SigningIn { unheard: true, .. }
        | Resident::Seated {
            interrupted: true, ..
        }
        | Resident::Waiting { .. } => Phase::Retrying,
        Resident::SigningIn { .. } => Phase::SigningIn,
        Resident::Seated { .. } => Phase::Online,
        Resident::Refused => Phase::Refused,
    };
    Shown {
        phase,
        user: resident.login().map(|login| login.user.clone()),
        holds: matches!(resident, Resident::Seated { .. }),
    }
}
