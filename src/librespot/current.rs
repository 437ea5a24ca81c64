//! The session that stands at the moment: lost ones are replaced under a running player, and
//! whoever needs one for longer than a question asks here each time.

use librespot_core::Session;
use tokio::sync::watch;

#[derive(Clone)]
struct Held {
    session: Session,
    /// Which one it is, counted from 1.
    turn: u64,
    /// It is signed in and was not lost.
    stands: bool,
}

/// Says which session stands. Belongs to the engine's stage.
pub struct Holder(watch::Sender<Held>);

impl Holder {
    /// Holds a session that is not signed in yet.
    pub fn new(session: Session) -> Self {
        Self(watch::Sender::new(Held {
            session,
            turn: 1,
            stands: false,
        }))
    }

    pub fn current(&self) -> Current {
        Current(self.0.subscribe())
    }

    /// The last session there was, whether it stands or not.
    pub fn session(&self) -> Session {
        self.0.borrow().session.clone()
    }

    /// Which one that is.
    pub fn turn(&self) -> u64 {
        self.0.borrow().turn
    }

    /// This one is signed in.
    pub fn stands(&self, session: Session) {
        self.0.send_modify(|held| {
            *held = Held {
                session,
                turn: held.turn + 1,
                stands: true,
            };
        });
    }

    /// It is lost; another one will come.
    pub fn fell(&self) {
        self.0.send_modify(|held| held.stands = false);
    }
}

/// Knows which session stands. Cheap to clone.
#[derive(Clone)]
pub struct Current(watch::Receiver<Held>);

impl Current {
    /// One that is never replaced.
    #[cfg(test)]
    pub fn only(session: Session) -> Self {
        let holder = Holder::new(session.clone());
        holder.stands(session);
        holder.current()
    }

    /// The last session there was. Good for what is asked over HTTP, which does not need the link to
    /// the access point.
    pub fn last(&self) -> Session {
        self.0.borrow().session.clone()
    }

    /// Waits for a session that stands; the number is for [`Current::fallen`]. There is no limit to
    /// it: whoever asks is dropped when nobody wants the answer any more.
    pub async fn standing(&self) -> (Session, u64) {
        let mut watched = self.0.clone();
        let is_up = |held: &Held| held.stands && !held.session.is_invalid();
        let found = match watched.wait_for(is_up).await {
            Ok(held) => Some((held.session.clone(), held.turn)),
            Err(_) => None,
        };
        match found {
            Some(found) => found,
            // The stage has gone, and everything with it.
            None => std::future::pending().await,
        }
    }

    /// Waits until the session of this number does not stand any more.
    pub async fn fallen(&self, turn: u64) {
        let mut watched = self.0.clone();
        let gone = watched.wait_for(|held| held.turn != turn || !held.stands);
        if gone.await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
