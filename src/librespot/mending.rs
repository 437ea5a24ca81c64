//! What is done about a session that is lost, or whose dealer is, and about the one that follows it.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::{
    connect::News,
    renewal::{Fresh, Renewal, dismiss},
    serve::Stage,
};
use crate::{engine::messages::Event, model::Cut};

/// A dealer that fell is opened again by librespot at once. When that takes longer, it waits for an
/// answer that never comes: it knows no limit there.
pub(super) const DEALER_LIMIT: Duration = Duration::from_secs(3);

impl Stage<'_> {
    /// Has a lost session replaced. (The log of a session that was let go says "lost", too.)
    pub(super) fn look_at_link(&mut self) {
        if self.sessions.session().is_invalid() {
            self.interrupt(Cut::AccessPoint, "the link to the access point is gone");
        }
    }

    /// The session is lost: another one is made while the music goes on.
    pub(super) fn interrupt(&mut self, cut: Cut, why: &str) {
        if self.renewal.is_some() {
            return;
        }
        warn!("the session is lost ({why}); signing in again");
        self.sessions.fell();
        self.interrupted = true;
        self.lost = Some(cut);
        if cut == Cut::Dealer {
            // Until it says that it is connected: an end in good order is not in the log.
            self.desk.dealer_fell();
        }
        let why = why.to_owned();
        let cut = Some(cut);
        self.reporter.report(&Event::Interrupted { why, cut });
        let reporter = self.reporter.clone();
        let first = self.flaps.lost(self.since.elapsed());
        self.renewal = Some(Renewal::start(self.recipe.clone(), first, reporter));
    }

    /// librespot opens the dealer of a session that lost it again every ten seconds. Where that comes
    /// before a new session does, nobody waits for one any longer: nothing else was lost.
    pub(super) fn is_whole_again(&mut self) {
        let session = self.sessions.session();
        let only_dealer = self.renewal.is_some() && self.lost == Some(Cut::Dealer);
        if only_dealer && self.desk.dealer_is_open() && !session.is_invalid() {
            info!("the dealer of the session is back");
            let unheard = self.renewal.take().and_then(|mut it| it.unheard());
            if let Some(fresh) = unheard {
                // With its dealer open: one link would be left over.
                dismiss(fresh.session);
            }
            self.lost = None;
            self.sessions.stands(session);
            self.resumed();
        }
    }

    pub(super) fn resumed(&mut self) {
        if std::mem::take(&mut self.interrupted) {
            self.reporter.report(&Event::Resumed);
        }
    }

    pub(super) fn renewed(&mut self, fresh: Fresh) -> Vec<News> {
        self.renewal = None;
        self.lost = None;
        self.since = Instant::now();
        self.recipe.login = fresh.login;
        (self.link, self.dealer) = (fresh.link, fresh.dealer);
        self.sessions.stands(fresh.session.clone());
        let news = self.desk.renew(fresh.session, fresh.streams);
        if self.fallen >= self.dealer {
            // Before anybody used it.
            self.dealer_fell();
        }
        news
    }

    /// librespot opens it again at once, and says so; what if not is seen at the next look.
    pub(super) fn dealer_fell(&mut self) {
        self.desk.dealer_fell();
        self.look_at = self.look_at.min(Instant::now() + DEALER_LIMIT);
    }
}
