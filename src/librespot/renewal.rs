//! A new session in place of a lost one, while the music goes on.
//!
//! Owns one task that signs in again, for as long as it takes. What the new session means for the
//! rest of the engine is the stage's business.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use librespot_core::{Session, SessionConfig};
use tokio::{sync::Notify, task::JoinHandle, time::timeout};
use tracing::{debug, info};

use super::{
    connect::streams::Streams,
    line::{Pace, learn},
    session::{self, Failure},
    telltale,
    wire::Reporter,
};
use crate::{engine::messages::Event, model::Login};

/// All steps of one attempt together.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(40);

/// How long a lost session may take to close its dealer. Where that hangs (librespot waits for a
/// dealer it was just opening, without a limit), it is cut off.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// A session that lasted less is not worth a race: the first attempt after it waits, too.
const SETTLED: Duration = Duration::from_secs(5);

/// However often that happens in a row, no first attempt waits for longer than the one after so many.
const FLAPS: u32 = 3;

/// A session that is signed in, with its dealer open.
pub struct Fresh {
    pub session: Session,
    pub streams: Streams,
    pub login: Login,
    /// The task that reads its link has this number or a higher one; those of the sessions before it
    /// do not.
    pub link: u64,
    /// Tasks of its dealer have this number or a higher one; those of the dealers before it do not.
    pub dealer: u64,
}

/// What a session is made from.
#[derive(Clone)]
pub struct Recipe {
    pub config: SessionConfig,
    /// The lasting credential of the last sign-in: the first one may have been good for once.
    pub login: Login,
}

/// How often in a row a session was lost as soon as it stood.
#[derive(Debug, Default)]
pub struct Flaps(u32);

impl Flaps {
    /// The number of the attempt to begin with, now that a session is lost which stood for so long:
    /// the first one is made at once, the others wait.
    pub fn lost(&mut self, stood: Duration) -> u32 {
        self.0 = match stood < SETTLED {
            true => (self.0 + 1).min(FLAPS),
            false => 0,
        };
        1 + self.0
    }
}

/// A sign-in under way. Dropping it ends it.
pub struct Renewal {
    task: JoinHandle<Result<Fresh, Failure>>,
    hurry: Arc<Notify>,
}

impl Renewal {
    /// Begins with the attempt of this number, see [`Flaps`].
    pub fn start(recipe: Recipe, first: u32, reporter: Reporter) -> Self {
        let hurry = Arc::new(Notify::new());
        let pace = Pace::new(recipe.config.clone(), first, hurry.clone());
        let task = tokio::spawn(renew(recipe, pace, reporter));
        Self { task, hurry }
    }

    /// The way to Spotify may be another one now: whoever waits to try does so.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// The new session, if it has come and nobody has heard of it.
    pub fn unheard(&mut self) -> Option<Fresh> {
        self.done().now_or_never()?.ok()
    }

    /// The new session. May be dropped and asked again.
    ///
    /// # Errors
    /// [`Failure::Refused`] when Spotify does not let the account in any more, for good.
    pub async fn done(&mut self) -> Result<Fresh, Failure> {
        match (&mut self.task).await {
            Ok(done) => done,
            Err(error) => Err(Failure::Broken(format!("the sign-in broke: {error}"))),
        }
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn renew(recipe: Recipe, mut pace: Pace, reporter: Reporter) -> Result<Fresh, Failure> {
    // One that never got as far as the access point is used again: it holds a client token.
    let mut kept: Option<Session> = None;
    loop {
        pace.turn().await;
        let session = kept
            .take()
            .unwrap_or_else(|| Session::new(recipe.config.clone(), None));
        let tried = timeout(ATTEMPT_LIMIT, unharmed(stand_up(&recipe.login, &session))).await;
        let (why, usable) = match tried {
            Ok(Ok((login, streams, link, dealer))) => {
                info!("signed in again");
                learn(&recipe.config);
                return Ok(Fresh {
                    session,
                    streams,
                    login,
                    link,
                    dealer,
                });
            }
            Ok(Err(Failure::Refused(refusal))) if refusal.is_final() => {
                return Err(Failure::Refused(refusal));
            }
            // Later it may be taken.
            Ok(Err(Failure::Refused(refusal))) => (refusal.to_string(), true),
            Ok(Err(Failure::Lost(why))) => (why, true),
            Ok(Err(Failure::Broken(why))) => (why, false),
            Err(_) => ("the sign-in took too long".to_owned(), true),
        };
        debug!("not signed in (attempt {}): {why}", pace.attempt());
        pace.failed(&why).await;
        reporter.report(&Event::Interrupted { why, cut: None });
        if usable && session.username().is_empty() {
            kept = Some(session);
        } else {
            dismiss(session);
        }
    }
}

/// librespot panics over some things that Spotify might say. In the middle of a sign-in that is an
/// attempt that failed, and no more.
pub async fn unharmed<T>(attempt: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let attempt = AssertUnwindSafe(attempt).catch_unwind().await;
    attempt.unwrap_or_else(|_| {
        Err(Failure::Broken(
            "an answer of Spotify's could not be understood".to_owned(),
        ))
    })
}

async fn stand_up(login: &Login, session: &Session) -> Result<(Login, Streams, u64, u64), Failure> {
    let link = telltale::next_task();
    let login = session::sign_in(login, session).await?;
    let mut streams =
        Streams::listen(session.clone()).map_err(|error| Failure::Lost(error.to_string()))?;
    let dealer = telltale::next_task();
    streams.start().await.map_err(Failure::Lost)?;
    Ok((login, streams, link, dealer))
}

/// Lets go of a session that is not needed any more: its links are closed beside everything else.
/// (Its dealer holds the session, so that dropping it would not be enough.)
pub fn dismiss(session: Session) {
    tokio::spawn(async move {
        let _ = timeout(CLOSE_LIMIT, session.dealer().close()).await;
        session.shutdown();
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_that_falls_as_soon_as_it_stands_is_renewed_more_slowly_each_time() {
        let mut flaps = Flaps::default();
        let (long, short) = (SETTLED, SETTLED / 2);
        assert_eq!(flaps.lost(long), 1, "at once");
        let lost: Vec<_> = (0..5).map(|_| flaps.lost(short)).collect();
        assert_eq!(lost, [2, 3, 4, 4, 4]);
        assert_eq!(flaps.lost(long), 1, "forgotten");
    }

    #[tokio::test]
    async fn a_session_that_comes_when_it_is_not_needed_any_more_is_not_lost_sight_of() {
        let session = Session::new(SessionConfig::default(), None);
        let fresh = Fresh {
            streams: Streams::listen(session.clone()).expect("streams"),
            session,
            login: Login {
                user: "kim".into(),
                kind: 1,
                secret: crate::model::Secret::new(vec![1]),
            },
            link: 1,
            dealer: 1,
        };
        let (come, comes) = tokio::sync::oneshot::channel();
        let mut renewal = Renewal {
            task: tokio::spawn(async { comes.await.map_err(|_| Failure::Lost(String::new())) }),
            hurry: Arc::default(),
        };
        assert!(renewal.unheard().is_none(), "it is still under way");
        assert!(come.send(fresh).is_ok());
        while !renewal.task.is_finished() {
            tokio::task::yield_now().await;
        }
        assert!(renewal.unheard().is_some());
    }
}
