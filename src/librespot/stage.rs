//! The engine's stage: session, player and output are brought together, served, and taken down.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use librespot_core::Session;
use tokio::{
    sync::{
        Notify,
        mpsc::{Receiver, UnboundedReceiver},
    },
    task::JoinSet,
    time::timeout,
};
use tracing::{debug, warn};

use super::{
    connect::{Deck, Desk},
    current::Holder,
    line::{self, Pace},
    loader::{Loader, Tools},
    query::Queries,
    renewal::{Flaps, Recipe, unharmed},
    resume::{Bookmarks, Teller},
    serve::{End, Inputs, Stage},
    session::{self, Failure},
    sound::Sound,
    telltale::Tell,
    wire::Reporter,
};
use crate::{
    connect::{Device, Settings},
    engine::{
        messages::{Command, Event, Start},
        note,
    },
    fetch::cache::Cache,
    model::{Condition, ConditionCode, Login, Volume},
    output::{Output, VolumeControl},
    player::{Player, PlayerSettings},
};

/// From the open dealer to the picker.
const LIST_LIMIT: Duration = Duration::from_secs(10);

/// How long leaving the phone's picker may take.
const LEAVE_LIMIT: Duration = Duration::from_millis(1_800);

/// An engine that waits for a line says so this often.
const SAID_AGAIN: Duration = Duration::from_secs(15);

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
    let hold_in = reports_in.clone();
    let volume = VolumeControl::new(&start.speaker.volume, start.volume);
    let output = Output::open(
        &start.speaker.output,
        volume.clone(),
        reports_in,
        start.daemon_pid,
    );
    if start.hold_ms.is_some() {
        output.ask(hold_in);
    }
    let config = session::session_config(&start);
    let session = made_ready.unwrap_or_else(|| Session::new(config.clone(), None));
    let sessions = Holder::new(session.clone());
    let (player, events) = Player::start(output.inlet(), PlayerSettings::of(&start.speaker.audio))
        .map_err(|error| Failure::Broken(format!("no thread for the player: {error}")))?;
    let of_cache = LastWord::default();
    let (loader, opened) = Loader::new(Tools {
        current: sessions.current(),
        player,
        clock: output.clock(),
        dimmer: output.dimmer(),
        volume: volume.clone(),
        bitrate: start.speaker.audio.bitrate,
        cache: cache(&start, reporter, &of_cache),
        keys_from_ms: start.keys_from_ms,
    });
    let device = device(&start, volume.get());
    let facts = session::facts(&start, &session);
    let desk = Desk::open(session.clone(), device, facts, loader)
        .map_err(|error| Failure::Lost(error.to_string()))?;
    let mut stage = Stage {
        reporter,
        bookmarks: Bookmarks::default(),
        teller: Teller::start(sessions.current()),
        sessions,
        recipe: Recipe {
            config,
            login: start.login.clone(),
        },
        since: Instant::now(),
        flaps: Flaps::default(),
        renewal: None,
        lost: None,
        probes: JoinSet::new(),
        answered: None,
        hangs: false,
        look_at: Instant::now(),
        link: 0,
        dealer: 0,
        fallen: 0,
        interrupted: false,
        desk,
        unsaid: Some(Vec::new()),
        gate: output.gate(),
        sound: Sound::new(output, start.speaker.output.clone()),
        keys: None,
        xruns: 0,
        hold: Duration::from_millis(start.hold_ms.unwrap_or(0).into()),
        held_until: None,
        queries: Queries::default(),
    };
    let hurry = Arc::new(Notify::new());
    let coming = async {
        let login = first_sign_in(&start, &session, &hurry, reporter).await?;
        timeout(LIST_LIMIT, stage.listed())
            .await
            .map_err(|_| Failure::Lost("connect-state did not list the speaker".into()))??;
        Ok(login)
    };
    // What is said before there is somebody to carry it out.
    let mut early = [None, None];
    let login = tokio::select! {
        login = coming => login?,
        () = told_to_stop(&mut commands, &mut early, &hurry) => return Ok(()),
    };
    line::learn(&stage.recipe.config);
    stage.recipe.login = login.clone();
    stage.since = Instant::now();
    stage.sessions.stands(session.clone());
    ready(reporter, &session, login);
    stage.say();
    of_cache.again(reporter);

    let mut inputs = Inputs {
        commands,
        events,
        opened,
        reports,
        tells,
        level: volume.watch(),
    };
    for command in early.into_iter().flatten() {
        stage.follow(command);
    }
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
    if let (Ok(End::Orphaned), Some(path)) = (&end, &start.note) {
        let (user, playback) = (stage.recipe.login.user.clone(), stage.playback());
        if let Err(why) = note::leave(path, &user, playback) {
            debug!("nothing is left for the next daemon: {why}");
        }
    }
    let now_ms = session::spotify_ms(&stage.sessions.session());
    if let Some(bookmark) = stage.bookmarks.close(now_ms) {
        stage.teller.tell(bookmark);
    }
    let told = stage.teller.finish(LEAVE_LIMIT);
    let goodbye = matches!(end, Ok(End::Told | End::Orphaned));
    tokio::join!(leave(stage.desk, stage.sound, goodbye), told);
    end.map(drop)
}

/// Signs in, as soon as there is a way to Spotify. While there is none, the daemon is told: whoever
/// waits at the door is not to wait for that.
async fn first_sign_in(
    start: &Start,
    session: &Session,
    hurry: &Arc<Notify>,
    reporter: &Reporter,
) -> Result<Login, Failure> {
    let mut pace = Pace::new(session::session_config(start), 1, hurry.clone());
    pace.turn().await;
    loop {
        let tried = unharmed(session::sign_in(&start.login, session)).await;
        let Err(Failure::Lost(why)) = tried else {
            return tried;
        };
        // What Spotify has heard is tried again in another engine, at the daemon's pace. So is what
        // this session could not be used for twice.
        if !pace.failed(&why).await || !session.username().is_empty() {
            return Err(Failure::Lost(why));
        }
        debug!("there is no way to Spotify: {why}");
        let mut turn = Err(());
        while turn.is_err() {
            let why = why.clone();
            reporter.report(&Event::Interrupted { why, cut: None });
            turn = timeout(SAID_AGAIN, pace.turn()).await.map_err(drop);
        }
    }
}

/// The newest event of a kind. One that came before anybody sat here was nobody's, and is told again.
#[derive(Default, Clone)]
struct LastWord(Arc<Mutex<Option<Event>>>);

impl LastWord {
    fn report(&self, reporter: &Reporter, event: Event) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reporter.report(&event);
        *last = Some(event);
    }

    fn again(&self, reporter: &Reporter) {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event) = &*last {
            reporter.report(event);
        }
    }
}

/// Where audio files are kept, if that is wanted. Without it music comes from the network alone.
fn cache(start: &Start, reporter: &Reporter, last: &LastWord) -> Option<Cache> {
    let wanted = start.cache.as_ref()?;
    let (reporter, last) = (reporter.clone(), last.clone());
    let tell = move |why: Option<String>| {
        let event = match why {
            Some(why) => Event::Raised {
                condition: Condition::new(
                    ConditionCode::NoCache,
                    "audio files cannot be kept on disk",
                    why,
                    "check the folder of [cache] and the space on its disk; music comes from the \
                     network, and siskin tries again by itself",
                ),
            },
            None => Event::Cleared {
                code: ConditionCode::NoCache,
            },
        };
        last.report(&reporter, event);
    };
    let cache = Cache::open(wanted.path.clone()?, wanted.bytes, Box::new(tell));
    cache
        .inspect_err(|why| warn!("audio files are not kept: {why}"))
        .ok()
}

/// What the machine begins with.
fn device(start: &Start, volume: Volume) -> Device {
    Device {
        id: start.device.as_str().to_owned(),
        name: start.speaker.name.clone(),
        volume,
        settings: Settings::default(),
        sleep_fade_ms: start.speaker.audio.sleep_fade_ms,
        session_id: format!("{:032x}", rand::random::<u128>()),
        seed: rand::random(),
    }
}

/// The music fades while Spotify takes the goodbye, if one is said: over a session that is gone, or
/// of a device that another engine is, there is none. The card is let go of without waiting for
/// Spotify: the next account may be about to play on it. (Dropping the output does the same, at once.)
async fn leave(mut desk: Desk<Loader>, sound: Sound, goodbye: bool) {
    desk.deck().stop();
    if goodbye {
        let leaving = desk.close(LEAVE_LIMIT);
        if !tokio::join!(leaving, sound.close()).0 {
            warn!("Spotify did not take the goodbye within {LEAVE_LIMIT:?}");
        }
    } else {
        sound.close().await;
    }
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

/// Keeps the newest word about the output and about the name in `early`.
async fn told_to_stop(
    commands: &mut Receiver<Command>,
    early: &mut [Option<Command>; 2],
    hurry: &Notify,
) {
    loop {
        match commands.recv().await {
            None | Some(Command::Stop) => return,
            Some(command @ Command::Output { .. }) => early[0] = Some(command),
            Some(command @ Command::Rename { .. }) => early[1] = Some(command),
            Some(Command::NetworkChanged { .. }) => hurry.notify_one(),
            Some(other) => debug!("not signed in yet; {other:?} is not for now"),
        }
    }
}

fn ready(reporter: &Reporter, session: &Session, login: Login) {
    let country = Some(session.country()).filter(|country| !country.is_empty());
    reporter.report(&Event::Ready { login, country });
}
