//! The engine's stage: session, player and output are brought together, served, and taken down.

use std::time::{Duration, Instant};

use librespot_core::Session;
use tokio::{
    sync::mpsc::{Receiver, UnboundedReceiver},
    task::JoinSet,
    time::timeout,
};
use tracing::{debug, warn};

use super::{
    connect::{Deck, Desk},
    current::Holder,
    loader::{Loader, Tools},
    renewal::{Flaps, Recipe},
    serve::{Inputs, Stage},
    session::{self, Failure},
    telltale::Tell,
    wire::Reporter,
};
use crate::{
    connect::{Device, Settings},
    engine::messages::{Command, Event, Start},
    model::{Condition, ConditionCode, Login, Volume},
    output::{Output, VolumeControl},
    player::{Player, PlayerSettings},
};

/// From the open dealer to the picker.
const LIST_LIMIT: Duration = Duration::from_secs(10);

/// How long leaving the phone's picker may take.
const LEAVE_LIMIT: Duration = Duration::from_millis(1_800);

/// Plays for one account until told to stop (`Ok`), or until it is not let in (any more). A session
/// that was made ready for these settings saves time.
pub async fn play(
    start: Start,
    made_ready: Option<Session>,
    reporter: &Reporter,
    mut commands: Receiver<Command>,
    tells: UnboundedReceiver<Tell>,
) -> Result<(), Failure> {
    certificates(reporter)?;
    let (reports_in, reports) = tokio::sync::mpsc::channel(32);
    let volume = VolumeControl::new(&start.speaker.volume, start.volume);
    let output = Output::open(
        &start.speaker.output,
        volume.clone(),
        reports_in,
        start.daemon_pid,
    );
    let config = session::session_config(&start);
    let session = made_ready.unwrap_or_else(|| Session::new(config.clone(), None));
    let sessions = Holder::new(session.clone());
    let (player, events) = Player::start(output.inlet(), PlayerSettings::of(&start.speaker.audio))
        .map_err(|error| Failure::Lost(format!("no thread for the player: {error}")))?;
    let (loader, opened) = Loader::new(Tools {
        current: sessions.current(),
        player,
        clock: output.clock(),
        volume: volume.clone(),
        bitrate: start.speaker.audio.bitrate,
        keys_from_ms: start.keys_from_ms,
    });
    let device = device(&start, volume.get());
    let facts = session::facts(&start, &session);
    let desk = Desk::open(session.clone(), device, facts, loader)
        .map_err(|error| Failure::Lost(error.to_string()))?;
    let mut stage = Stage {
        reporter,
        sessions,
        recipe: Recipe {
            config,
            login: start.login.clone(),
        },
        since: Instant::now(),
        flaps: Flaps::default(),
        renewal: None,
        probes: JoinSet::new(),
        answered: None,
        hangs: false,
        mute: 0,
        look_at: Instant::now(),
        replaced: None,
        interrupted: false,
        desk,
        keys: None,
    };
    let coming = async {
        let login = session::sign_in(&start.login, &session).await?;
        timeout(LIST_LIMIT, stage.listed())
            .await
            .map_err(|_| Failure::Lost("connect-state did not list the speaker".into()))??;
        Ok(login)
    };
    let login = tokio::select! {
        login = coming => login?,
        () = told_to_stop(&mut commands) => return Ok(()),
    };
    stage.recipe.login = login.clone();
    stage.since = Instant::now();
    stage.sessions.stands(session.clone());
    ready(reporter, &session, login);

    let mut inputs = Inputs {
        commands,
        events,
        opened,
        reports,
        tells,
        level: volume.watch(),
    };
    let naming = async move {
        if let Some(name) = session::display_name(&session).await {
            reporter.report(&Event::Named { name });
        }
        // It may be replaced, and is to be free then.
        drop(session);
        std::future::pending::<std::convert::Infallible>().await
    };
    let end = tokio::select! {
        end = stage.serve(&mut inputs) => end,
        never = naming => match never {},
    };
    leave(stage.desk, output, end.is_ok()).await;
    end
}

/// What the machine begins with.
fn device(start: &Start, volume: Volume) -> Device {
    Device {
        id: start.device.as_str().to_owned(),
        name: start.speaker.name.clone(),
        volume,
        settings: Settings::default(),
        session_id: format!("{:032x}", rand::random::<u128>()),
        seed: rand::random(),
    }
}

/// The music fades while Spotify takes the goodbye; a session that is gone is told nothing.
async fn leave(mut desk: Desk<Loader>, output: Output, in_order: bool) {
    desk.deck().stop();
    if in_order {
        let leaving = desk.close(LEAVE_LIMIT);
        if !tokio::join!(leaving, hand_back(output)).0 {
            warn!("Spotify did not take the goodbye within {LEAVE_LIMIT:?}");
        }
    } else {
        hand_back(output).await;
    }
}

/// Lets go of the card once the music has faded, without waiting for Spotify: the next account may
/// be about to play on it. (Dropping the output does the same, at once.)
async fn hand_back(output: Output) {
    let _ = tokio::task::spawn_blocking(move || output.close()).await;
}

/// Without a certificate authority librespot panics at its first request.
pub(super) fn certificates(reporter: &Reporter) -> Result<(), Failure> {
    let found = rustls_native_certs::load_native_certs();
    if !found.certs.is_empty() {
        reporter.report(&Event::Cleared {
            code: ConditionCode::NoCertificates,
        });
        return Ok(());
    }
    let why = found.errors.first().map_or_else(
        || "no certificate bundle was found".to_owned(),
        |error| error.to_string(),
    );
    let condition = Condition::new(
        ConditionCode::NoCertificates,
        "this machine cannot tell whether it talks to Spotify",
        why.clone(),
        "install the package ca-certificates",
    );
    reporter.report(&Event::Raised { condition });
    Err(Failure::Lost(why))
}

async fn told_to_stop(commands: &mut Receiver<Command>) {
    loop {
        match commands.recv().await {
            None | Some(Command::Stop) => return,
            Some(other) => debug!("not signed in yet; {other:?} is not for now"),
        }
    }
}

fn ready(reporter: &Reporter, session: &Session, login: Login) {
    let country = Some(session.country()).filter(|country| !country.is_empty());
    reporter.report(&Event::Ready { login, country });
}
