//! How a track is opened over whatever session stands, and what a failure means to the machine.

use tracing::debug;

use super::{
    current::Current,
    resume, session,
    tracks::{self, Reason, Unopened, Wish},
};
use crate::{
    connect::{LoadId, Why},
    fetch::{Blame, Failure},
};

/// A track that was opened, or why not.
pub struct Outcome {
    pub id: LoadId,
    pub opened: Result<Box<tracks::Opened>, Unopened>,
    /// Where an episode was left, when nobody said where to begin.
    pub left_ms: Option<u32>,
}

/// Where an episode was left, if that is what is wanted.
pub async fn left(current: &Current, uri: &str, wanted: bool) -> Option<u32> {
    match wanted {
        true => resume::place(current, uri).await,
        false => None,
    }
}

/// Opens a track over the session that stands, and waits while there is none.
pub async fn open(current: &Current, uri: &str, wish: &Wish) -> Result<tracks::Opened, Unopened> {
    loop {
        let (session, number) = current.standing().await;
        let opened = tokio::select! {
            opened = tracks::open(current, uri, wish) => opened,
            () = current.fallen(number) => continue,
        };
        match &opened {
            // A link that is dead without knowing it is the cause more often than the service is.
            Err(Unopened::Failed(failure))
                if failure.blame() == Blame::Line
                    && !session::is_alive(&session, session::SURE_LIMIT).await =>
            {
                debug!("the access point is silent; the session is given up");
                session.shutdown();
            }
            _ => return opened,
        }
    }
}

pub fn why(unopened: &Unopened) -> Why {
    match unopened {
        Unopened::Failed(failure) => blamed(failure),
        Unopened::Unplayable(reason) => match reason {
            Reason::Explicit => Why::Explicit,
            Reason::Video | Reason::Format | Reason::Local | Reason::NoTrack => Why::NotPlayable,
            _ => Why::Unavailable,
        },
    }
}

pub fn blamed(failure: &Failure) -> Why {
    match failure.blame() {
        Blame::Line => Why::Network,
        Blame::Track => Why::Absent,
        Blame::Key => Why::Keys,
    }
}
