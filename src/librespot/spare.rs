//! An engine before it has somebody to sign in: what can be had without an account is made ready.
//!
//! The daemon starts one when a phone looks as if it was about to hand somebody over, and ends it
//! when nobody comes.

use std::time::Duration;

use librespot_core::Session;
use tokio::{
    sync::mpsc::Receiver,
    time::{sleep, timeout},
};
use tracing::debug;

use super::{session, stage, wire::Reporter};
use crate::engine::messages::{Command, PROTOCOL, Start, Warm};

/// A daemon that forgot us is not waited for.
const LIFE: Duration = Duration::from_secs(120);

/// What is half done when the login comes is waited for so long; after that it is begun anew.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Makes ready, and waits for the login. `None` when there is nothing to do but to end. The session
/// fits the login's settings, or there is none.
pub async fn stand_by(
    warm: &Warm,
    reporter: &Reporter,
    commands: &mut Receiver<Command>,
) -> Option<(Start, Option<Session>)> {
    let usable = stage::certificates(reporter).is_ok();
    let session = Session::new(
        session::config_of(&warm.device, &warm.network, &warm.speaker),
        None,
    );
    let subject = session.clone();
    let warming = async move {
        if usable {
            session::warm_up(&subject).await;
        }
    };
    let life = sleep(LIFE);
    tokio::pin!(warming, life);
    let mut warmed = false;
    let start = loop {
        tokio::select! {
            () = &mut warming, if !warmed => warmed = true,
            () = &mut life => return None,
            command = commands.recv() => match command {
                Some(Command::Start(start)) if start.protocol == PROTOCOL => break start,
                None | Some(Command::Stop) => return None,
                Some(other) => debug!("nobody is signed in; {other:?} is not for now"),
            },
        }
    };
    if !warmed {
        let _ = timeout(LAST_MOMENT, warming).await;
    }
    let same = start.device == warm.device
        && start.network == warm.network
        && start.speaker.audio.autoplay == warm.speaker.audio.autoplay;
    Some((*start, same.then_some(session)))
}
