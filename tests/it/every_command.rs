//! Every command of an app in every state of the speaker: the answer, its reason, and what all apps
//! see afterwards. What is expected is data, in [`table`]; how it is tried stands here.

mod table;

use std::{
    ops::Range,
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use spotify_sim::{
    AppState, ControlError, Controller, Fault, Place, Reply, SimOptions, Then as Goes, User, Users,
};

use crate::{
    ask::ask_at,
    booth::{ANSWERED, uris},
    lan::{NULL, count, until},
    world::{Daemon, PATIENCE, World, scenario_on},
};
use table::{before, play, rows};

/// How things stand when the command comes. In the three in the middle the third track of "Dozen"
/// is at its first second.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Given {
    /// Nobody plays; that track was paused there last.
    Idle,
    Loading,
    Playing,
    Paused,
    /// The phone plays that track itself.
    Elsewhere,
    /// The list is over: its first track waits.
    Over,
}

use Given::{Elsewhere, Idle, Loading, Over, Paused, Playing};

const THIRD: usize = 2;
const SECOND_MS: i64 = 1_000;

/// Stands for a track of another album.
const GUEST: usize = 99;

/// What is done.
#[derive(Clone, Copy)]
enum Give {
    /// A command.
    Say(fn(&Seat) -> Value),
    /// A command that makes the speaker the active device.
    Begin(fn(&Seat) -> Value),
    TransferHere,
    TransferAway,
    Volume,
    Rename,
}

/// The answer to it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Yes,
    /// "No", and the log has these words for it.
    No(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Who {
    Speaker,
    Phone,
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Playing,
    Loading,
    Paused,
    Nothing,
}

/// What an app sees.
#[derive(Clone, Debug)]
struct Seen {
    active: Who,
    phase: Phase,
    track: Option<usize>,
    at_ms: Range<i64>,
    /// Shuffle, repeat context, repeat track.
    modes: (bool, bool, bool),
    queued: Vec<usize>,
    /// What comes begins so; `None`: that is not asked.
    next: Option<Vec<usize>>,
}

/// The answer, and what is seen then; `None`: the same as before.
type Then = (Told, Option<Seen>);

struct Row {
    what: &'static str,
    give: Give,
    /// In the order of [`Given`].
    then: [Then; 6],
}

const ALL: [Given; 6] = [Idle, Loading, Playing, Paused, Elsewhere, Over];

/// One speaker that is brought into one state again and again.
struct Seat {
    given: Given,
    app: Controller,
    daemon: Daemon,
    socket: PathBuf,
    name: String,
    list: String,
    tracks: Vec<String>,
    /// The names of the places of `tracks`.
    uids: Vec<String>,
    guest: String,
}

/// Levels that tell one marker from the other.
const LEVELS: [u16; 2] = [20_000, 45_000];

impl Seat {
    /// A speaker of this state's own, with an account of its own.
    async fn take(world: &World, given: Given, part: usize) -> Self {
        let name = format!("{given:?} {part}");
        let user = name.to_lowercase().replace(' ', "-");
        let settings = world
            .settings(&format!("log = \"debug\"\n{NULL}"))
            .replace("/state\"", &format!("/{user}\""))
            .replace("\"Kitchen\"", &format!("\"{name}\""));
        let daemon = world.start(&settings);
        let is_it = |found: &spotify_sim::phone::Found| found.instance.contains(&name);
        let found = world.phone.wait_for(is_it, PATIENCE).await;
        assert_eq!(world.hand_over(&found.expect("found"), &user).await, 101);
        let app = world.sim.controller(&user);
        let device = app.wait_for_device(&name, PATIENCE).await.expect("listed");
        let list = world.sim.catalogue().titled("Dozen").uri();
        let mut seat = Self {
            given,
            app: app.on(&device.id),
            daemon,
            socket: world.dir().join(&user).join("siskin.sock"),
            name,
            list,
            tracks: uris(&world.sim, "Dozen"),
            uids: vec![String::new()],
            guest: uris(&world.sim, "Tune")[0].clone(),
        };
        let paused = play(&seat, json!({ "initially_paused": true }));
        seat.app.begin(paused).await.expect("an answer");
        let whole = |state: &AppState| state.next.len() == 11;
        let shown = seat.app.wait_until(PATIENCE, whole).await;
        shown.expect("what follows");
        let places = seat.app.next_places().into_iter();
        seat.uids.extend(places.map(|(_, uid)| uid));
        if given == Loading {
            let stalls = Fault::on(Place::Storage).of(&user).forever();
            world.sim.faults().add(stalls.then(Goes::Stall));
        }
        seat
    }

    fn track(&self, index: usize) -> &str {
        match index {
            GUEST => &self.guest,
            _ => &self.tracks[index],
        }
    }

    /// Brings the speaker into its state, from whatever it does.
    async fn prepare(&self) -> Result<(), String> {
        let given = self.given;
        if given == Elsewhere {
            let list = &self.list;
            let at = u32::try_from(SECOND_MS).expect("a place");
            let played = self.app.play_on_phone(list, THIRD, at).await;
            played.map_err(|why| why.to_string())?;
            return self.shows(&before(given), PATIENCE).await;
        }
        self.stop().await?;
        let modes = json!({ "shuffling_context": false, "repeating_context": false,
                            "repeating_track": false });
        let (track, at_ms) = match given {
            Over => (11, 9_700),
            _ => (THIRD, SECOND_MS),
        };
        let command = play(
            self,
            json!({
                "skip_to": { "track_index": track },
                "seek_to": at_ms,
                "initially_paused": matches!(given, Idle | Paused),
                "player_options_override": modes,
            }),
        );
        // Nobody is active, and nobody is shown as active before the speaker says so itself.
        let reply = self.app.command(command).await;
        let reply = reply.map_err(|why| why.to_string())?;
        if !reply.success {
            return Err("it does not play".to_owned());
        }
        let begun = match given {
            Idle => before(Paused),
            other => before(other),
        };
        let begun = match given {
            Over => begun.next(&[1, 2, 3]),
            _ => begun.next(&[3, 4, 5, 6, 7, 8, 9, 10, 11]),
        };
        self.shows(&begun, PATIENCE).await?;
        if given == Idle {
            self.stop().await?;
        }
        Ok(())
    }

    /// Makes the speaker forget everything that it plays.
    async fn stop(&self) -> Result<(), String> {
        let device = self
            .app
            .devices()
            .into_iter()
            .find(|it| it.name == self.name);
        if !device.is_some_and(|device| device.is_active) {
            return Ok(());
        }
        ask_at(
            &self.socket,
            "POST",
            "/api/v1/speakers/main/stop",
            Some(json!({})),
        )
        .await;
        let nobody = |state: &AppState| state.active.is_none();
        let stopped = self.app.wait_until(PATIENCE, nobody).await;
        stopped.map(drop).map_err(|why| why.to_string())
    }

    async fn shows(&self, wanted: &Seen, limit: Duration) -> Result<(), String> {
        let fits = |state: &AppState| self.differs(wanted, state).is_none();
        match self.app.wait_until(limit, fits).await {
            Ok(_) => Ok(()),
            Err(_) => {
                let state = self.app.state();
                let what = self.differs(wanted, &state).unwrap_or_default();
                Err(format!(
                    "{what}; wanted {wanted:?}, the app shows {state:#?}"
                ))
            }
        }
    }

    /// The first thing that is not as wanted.
    fn differs(&self, wanted: &Seen, state: &AppState) -> Option<String> {
        let active = match &state.active {
            None => Who::Nobody,
            Some(device) if device.id == self.app.phone_id() => Who::Phone,
            Some(_) => Who::Speaker,
        };
        let phase = match (state.playing, state.paused, state.loading) {
            (true, ..) => Phase::Playing,
            (_, true, _) => Phase::Paused,
            (_, _, true) => Phase::Loading,
            _ => Phase::Nothing,
        };
        let names = |tracks: &[usize]| -> Vec<&str> {
            tracks.iter().map(|track| self.track(*track)).collect()
        };
        let track = wanted.track.map_or("", |track| self.track(track));
        let modes = (state.shuffle, state.repeat_context, state.repeat_track);
        let next = wanted.next.as_deref().unwrap_or_default();
        let comes = state.next.iter().take(next.len());
        [
            ("the active device", active == wanted.active),
            ("the phase", phase == wanted.phase),
            ("the track", state.track_uri == track),
            ("the position", wanted.at_ms.contains(&state.position_ms)),
            ("the modes", modes == wanted.modes),
            ("the queue", state.queued == names(&wanted.queued)),
            ("what comes", comes.eq(names(next))),
            (
                "the length",
                wanted.track.is_none() || state.duration_ms > 0,
            ),
        ]
        .into_iter()
        .find(|(_, fits)| !fits)
        .map(|(what, _)| format!("{what} is not as wanted"))
    }

    async fn give(&self, give: Give, marker: u16) -> Result<Reply, ControlError> {
        match give {
            Give::Say(command) => self.app.command(command(self)).await,
            Give::Begin(command) => self.app.begin(command(self)).await,
            Give::TransferHere => self.app.transfer_here(&self.name).await,
            Give::TransferAway => self.app.transfer_away().await,
            Give::Volume => self.app.volume(marker ^ 0x0800).await,
            Give::Rename => self.rename().await,
        }
    }

    /// Renamed in the app, and then in this house.
    async fn rename(&self) -> Result<Reply, ControlError> {
        let reply = self.app.rename("Elsewhere").await?;
        let route = "/api/v1/speakers/main/name";
        let back = json!({ "name": self.name });
        ask_at(&self.socket, "POST", route, Some(back)).await;
        self.app.wait_for_device(&self.name, PATIENCE).await?;
        Ok(reply)
    }

    /// Gives one command, and says what is wrong with what comes of it.
    async fn tries(&self, row: &Row, number: usize) -> Result<(), String> {
        self.prepare()
            .await
            .map_err(|why| format!("not made ready: {why}"))?;
        let (told, then) = &row.then[self.given as usize];
        let said = |why| count(&self.daemon, why);
        let reason = match *told {
            Told::No(why) => Some((why, said(why))),
            Told::Yes => None,
        };
        let marker = LEVELS[number % 2];
        let begun = Instant::now();
        let reply = self.give(row.give, marker).await;
        let reply = reply.map_err(|why| format!("no answer: {why}"))?;
        if reply.success != (*told == Told::Yes) {
            let last = self.daemon.log().split_off(self.daemon.log().len() - 5);
            return Err(format!("told {reply:?} instead of {told:?}: {last:#?}"));
        }
        if reply.latency > ANSWERED {
            return Err(format!("answered after {:?}", reply.latency));
        }
        let wanted = then.clone().unwrap_or_else(|| before(self.given));
        let left = ANSWERED.saturating_sub(begun.elapsed());
        self.shows(&wanted, left).await?;
        // Whatever was to follow has followed when a later change is shown.
        self.app
            .volume(marker)
            .await
            .map_err(|why| format!("no level: {why}"))?;
        let state = self.app.state();
        if let Some(what) = self.differs(&wanted, &state) {
            return Err(format!("not for long: {what}; {state:#?}"));
        }
        if let Some((why, times)) = reason {
            until(why, PATIENCE, || said(why) > times).await;
        }
        Ok(())
    }

    /// Carries out every so-manieth row, and tells what was wrong.
    async fn tries_all(&self, rows: &[Row], first: usize, step: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        let own = rows.iter().skip(first).step_by(step);
        for (number, row) in own.enumerate() {
            let tried = self.tries(row, number).await;
            wrong.extend(tried.err().map(|why| {
                let (what, given) = (row.what, self.given);
                format!("“{what}” while {given:?}: {why}")
            }));
        }
        wrong
    }

    /// The last command of all.
    async fn logs_out(&self) -> Result<(), String> {
        self.prepare().await?;
        self.app.log_out().map_err(|why| why.to_string())?;
        let gone = self.app.wait_until_gone(&self.name, ANSWERED).await;
        gone.map_err(|why| format!("“logout” while {:?}: {why}", self.given))
    }
}

/// So many speakers share the rows of a state.
fn seats(given: Given) -> usize {
    match given {
        Idle | Loading | Playing | Paused => 2,
        Over => 3,
        Elsewhere => 1,
    }
}

#[test]
fn every_command_is_answered_and_obeyed_as_the_state_of_the_speaker_demands() {
    let seats: Vec<(Given, usize)> = ALL
        .into_iter()
        .flat_map(|given| (0..seats(given)).map(move |part| (given, part)))
        .collect();
    let name = |(given, part): &(Given, usize)| format!("{given:?}-{part}").to_lowercase();
    let options = SimOptions {
        users: Users::of(seats.iter().map(|seat| User::premium(&name(seat)))),
        // This receiver knows an old cluster when it sees one.
        settle: Duration::ZERO,
        ..SimOptions::default()
    };
    scenario_on(options, async move |world| {
        let rows = rows();
        let mut taken = Vec::new();
        for (given, part) in &seats {
            taken.push(Seat::take(&world, *given, *part).await);
        }
        let trials = taken.iter().zip(&seats).map(async |(seat, (given, part))| {
            let begun = Instant::now();
            let mut wrong = seat.tries_all(&rows, *part, self::seats(*given)).await;
            wrong.extend(seat.logs_out().await.err());
            println!("{}: {:?}", seat.name, begun.elapsed());
            wrong
        });
        let wrong = futures_util::future::join_all(trials).await.concat();
        assert!(
            wrong.is_empty(),
            "{} wrong:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    });
}
