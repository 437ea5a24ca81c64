//! What others are shown of who sits here.

use super::{News, Speaker, phase::Resident};
use crate::model::{Account, Phase};

impl Speaker {
    /// Tells where the speaker stands, if that, or what is known of the account, is something else
    /// than last time.
    pub(super) async fn show_seat(&mut self) {
        let seat = seat(self.seats.resident());
        if self.shown.as_ref() == Some(&seat) {
            return;
        }
        self.shown = Some(seat.clone());
        let (phase, user) = seat;
        let account = match user {
            Some(user) => Some(self.kept_account(user).await),
            None => None,
        };
        self.tell_all(News::Seat(phase, account)).await;
    }

    async fn kept_account(&self, user: String) -> Account {
        let name = user.clone();
        let kept = self.on_disk(move |store, _| (store.account(&name), Vec::new()));
        let kept = kept.await.flatten();
        kept.unwrap_or_else(|| Account::of(user))
    }
}

/// Where the speaker stands, and the user it belongs to.
fn seat(resident: &Resident) -> (Phase, Option<String>) {
    let (phase, login) = match resident {
        Resident::Nobody => (Phase::Nobody, None),
        Resident::SigningIn {
            login,
            unheard: true,
            ..
        } => (Phase::Retrying, Some(login)),
        Resident::SigningIn { login, .. } => (Phase::SigningIn, Some(login)),
        Resident::Seated {
            login,
            interrupted: true,
            ..
        } => (Phase::Retrying, Some(login)),
        Resident::Seated { login, .. } => (Phase::Online, Some(login)),
        Resident::Waiting { login, .. } => (Phase::Retrying, Some(login)),
        Resident::Refused => (Phase::Refused, None),
    };
    (phase, login.map(|login| login.user.clone()))
}
