//! A new session in place of a lost one, while the music goes on.
//!
//! Owns one task that signs in again, for as long as it takes. What the new session means for the
//! rest of the engine is the stage's business.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use librespot_core::{Session, SessionConfig};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tracing::{debug, info};

use super::{
    connect::streams::Streams,
    session::{self, Failure},
    wire::Reporter,
};
use crate::{
    engine::{back_off, messages::Event, unheard},
    model::Login,
};

/// All steps of one attempt together.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(40);

/// How long a lost session may take to close its dealer. Where that hangs (librespot waits for a
/// dealer it was just opening, without a limit), it is cut off: until then nobody knows which dealer
/// the log speaks of.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// The log may speak of a dealer for so long after it was closed.
const ECHO: Duration = Duration::from_secs(1);

/// How many sessions are being let go, and when the last of them had been. One process, one log.
static DISMISSED: Mutex<(usize, Option<Instant>)> = Mutex::new((0, None));

/// A session that lasted less is not worth a race: the first attempt after it waits, too.
const SETTLED: Duration = Duration::from_secs(5);

/// However often that happens in a row, no first attempt waits for longer than the one after so many.
const FLAPS: u32 = 3;

/// A session that is signed in, with its dealer open.
pub struct Fresh {
    pub session: Session,
    pub streams: Streams,
    pub login: Login,
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
pub struct Renewal(JoinHandle<Result<Fresh, Failure>>);

impl Renewal {
    /// Begins with the attempt of this number, see [`Flaps`].
    pub fn start(recipe: Recipe, first: u32, reporter: Reporter) -> Self {
        Self(tokio::spawn(renew(recipe, first, reporter)))
    }

    /// The new session. May be dropped and asked again.
    ///
    /// # Errors
    /// [`Failure::Refused`] when Spotify does not let the account in any more.
    pub async fn done(&mut self) -> Result<Fresh, Failure> {
        match (&mut self.0).await {
            Ok(done) => done,
            Err(error) => Err(Failure::Lost(format!("the sign-in broke: {error}"))),
        }
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn renew(recipe: Recipe, first: u32, reporter: Reporter) -> Result<Fresh, Failure> {
    let mut attempt = first;
    let mut pause = back_off(first, rand::random());
    // Since when nothing gets as far as Spotify.
    let mut away: Option<Instant> = None;
    // One that never got as far as the access point is used again: it holds a client token.
    let mut kept: Option<Session> = None;
    loop {
        sleep(pause).await;
        // While the line is away, an attempt would be many seconds of waiting for nobody.
        if let Some(since) = away
            && !session::is_within_reach(&recipe.config).await
        {
            pause = unheard(since.elapsed(), rand::random());
            continue;
        }
        let session = kept
            .take()
            .unwrap_or_else(|| Session::new(recipe.config.clone(), None));
        let tried = timeout(ATTEMPT_LIMIT, stand_up(&recipe.login, &session)).await;
        let why = match tried {
            Ok(Ok((login, streams))) => {
                info!("signed in again");
                return Ok(Fresh {
                    session,
                    streams,
                    login,
                });
            }
            Ok(Err(Failure::Refused(refusal))) => return Err(Failure::Refused(refusal)),
            Ok(Err(Failure::Lost(why))) => why,
            Err(_) => "the sign-in took too long".to_owned(),
        };
        debug!("not signed in (attempt {attempt}): {why}");
        if session::never_arrived(&recipe.config, &why).await {
            let since = away.get_or_insert_with(Instant::now);
            pause = unheard(since.elapsed(), rand::random());
        } else {
            away = None;
            attempt = attempt.saturating_add(1);
            pause = back_off(attempt, rand::random());
        }
        reporter.report(&Event::Interrupted { why, cut: None });
        if session.username().is_empty() {
            kept = Some(session);
        } else {
            dismiss(session);
        }
    }
}

async fn stand_up(login: &Login, session: &Session) -> Result<(Login, Streams), Failure> {
    let login = session::sign_in(login, session).await?;
    let mut streams =
        Streams::listen(session.clone()).map_err(|error| Failure::Lost(error.to_string()))?;
    streams.start().await.map_err(Failure::Lost)?;
    Ok((login, streams))
}

/// Lets go of a session that is not needed any more: its links are closed beside everything else.
/// (Its dealer holds the session, so that dropping it would not be enough.)
pub fn dismiss(session: Session) {
    dismissed().0 += 1;
    tokio::spawn(async move {
        let _ = timeout(CLOSE_LIMIT, session.dealer().close()).await;
        session.shutdown();
        let mut dismissed = dismissed();
        dismissed.0 = dismissed.0.saturating_sub(1);
        dismissed.1 = Some(Instant::now());
    });
}

/// Whether what the log says of a dealer may be about one that is let go.
pub fn is_dismissing() -> bool {
    let (under_way, last) = *dismissed();
    under_way > 0 || last.is_some_and(|at| at.elapsed() < ECHO)
}

fn dismissed() -> MutexGuard<'static, (usize, Option<Instant>)> {
    DISMISSED.lock().unwrap_or_else(PoisonError::into_inner)
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
}
