//! The engine's stage: session, player and output are brought together, served, and taken down.

use std::{sync::Arc, time::Duration};

use librespot_core::Session;
use librespot_playback::{mixer::Mixer, player::Player};
use tokio::{
    sync::mpsc::{Receiver, UnboundedReceiver},
    time::timeout,
};
use tracing::{debug, warn};

use super::{
    breaker::Breaker,
    follow::Follower,
    serve::{Inputs, Stage},
    session::{self, Failure, Live},
    telltale::Tell,
    wire::Reporter,
};
use crate::{
    engine::messages::{Command, Event, Start},
    model::{Condition, ConditionCode, Login},
    output::{Output, VolumeControl},
};

/// How long leaving the phone's picker may take.
const LEAVE_LIMIT: Duration = Duration::from_millis(1_800);

/// Plays for one account until told to stop (`Ok`) or until the session is gone.
pub async fn play(
    start: Start,
    reporter: &Reporter,
    mut commands: Receiver<Command>,
    mut tells: UnboundedReceiver<Tell>,
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
    let session = Session::new(session::session_config(&start), None);
    let mixer = volume.mixer();
    let player = player(&start, &session, &mixer, &output);
    let events = player.get_player_event_channel();

    let signing_in = session::sign_in(&start, &session, player.clone(), mixer);
    let live = tokio::select! {
        live = signing_in => live?,
        () = told_to_stop(&mut commands) => return Ok(()),
    };
    let Live { spirc, task, login } = live;
    tokio::pin!(task);
    let listed = async {
        session::premium(&session).await?;
        while let Some(tell) = tells.recv().await {
            if tell == Tell::Listed {
                return Ok(());
            }
        }
        Err(Failure::Lost("the log of librespot is closed".into()))
    };
    tokio::select! {
        listed = timeout(Duration::from_secs(10), listed) => {
            listed.map_err(|_| Failure::Lost("connect-state did not list the speaker".into()))??;
        }
        () = &mut task => return Err(Failure::Lost("connect-state could not be joined".into())),
        () = told_to_stop(&mut commands) => return Ok(()),
    }
    ready(reporter, &session, login);

    let mut stage = Stage {
        reporter,
        spirc: &spirc,
        session: &session,
        player: &player,
        clock: output.clock(),
        follower: Follower::new(start.volume),
        breaker: Breaker::default(),
        waiting: false,
        by_album: false,
        device: start.device.as_str().to_owned(),
    };
    let inputs = Inputs {
        commands,
        events,
        reports,
        tells,
        level: volume.watch(),
    };
    let naming = async {
        if let Some(name) = session::display_name(&session).await {
            reporter.report(&Event::Named { name });
        }
        std::future::pending::<std::convert::Infallible>().await
    };
    let end = tokio::select! {
        end = stage.serve(inputs) => end,
        never = naming => match never {},
        () = &mut task => Err(Failure::Lost("connect-state ended".into())),
    };
    if end.is_ok() {
        // Pauses, which lets the last samples fade; then the device leaves the picker.
        let _ = spirc.shutdown();
        let leaving = timeout(LEAVE_LIMIT, &mut task);
        if tokio::join!(leaving, hand_back(output)).0.is_err() {
            warn!("Spotify did not take the goodbye within {LEAVE_LIMIT:?}");
        }
    } else {
        // Nobody else tells the player when the session is gone.
        player.stop();
        hand_back(output).await;
    }
    end
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

fn player(
    start: &Start,
    session: &Session,
    mixer: &Arc<dyn Mixer>,
    output: &Output,
) -> Arc<Player> {
    let config = session::player_config(&start.speaker.audio);
    let sink = output.sink_builder();
    let player = Player::new(config, session.clone(), mixer.get_soft_volume(), sink);
    output.follow(player.get_player_event_channel());
    player
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
