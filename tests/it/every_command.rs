//! Every command of an app in every state of the speaker: the answer, its reason, and what all apps
//! see afterwards. The table is [`rows`]; how it is carried out stands below it.

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
}

use Given::{Elsewhere, Idle, Loading, Paused, Playing};

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
    then: [Then; 5],
}

const ALL: [Given; 5] = [Idle, Loading, Playing, Paused, Elsewhere];

/// Music that goes on has gone on a little when it is looked at.
const A_WHILE_MS: i64 = 4_000;

fn seen(phase: Phase, track: usize, from_ms: i64) -> Seen {
    let moves = phase == Phase::Playing;
    let until_ms = from_ms + if moves { A_WHILE_MS } else { 20 };
    Seen {
        active: Who::Speaker,
        phase,
        track: Some(track),
        at_ms: from_ms - 20..until_ms,
        modes: (false, false, false),
        queued: Vec::new(),
        next: None,
    }
}

impl Seen {
    fn modes(self, shuffle: bool, context: bool, track: bool) -> Self {
        let modes = (shuffle, context, track);
        Self { modes, ..self }
    }

    fn queued(self, queued: &[usize]) -> Self {
        let queued = queued.to_vec();
        Self { queued, ..self }
    }

    fn next(self, next: &[usize]) -> Self {
        let next = Some(next.to_vec());
        Self { next, ..self }
    }
}

/// What is seen before the command.
fn before(given: Given) -> Seen {
    let third = |phase| seen(phase, THIRD, SECOND_MS);
    match given {
        Idle => Seen {
            active: Who::Nobody,
            ..third(Phase::Nothing)
        },
        Loading => third(Phase::Loading),
        Playing => third(Phase::Playing),
        Paused => third(Phase::Paused),
        Elsewhere => Seen {
            active: Who::Phone,
            at_ms: SECOND_MS..10_001,
            ..third(Phase::Playing)
        },
    }
}

const SAME: Then = (Told::Yes, None);

fn yes(seen: Seen) -> Then {
    (Told::Yes, Some(seen))
}

fn no(why: &'static str) -> Then {
    (Told::No(why), None)
}

/// The same, as loud as a state is: what plays goes on playing, what loads goes on loading.
fn there(given: Given, track: usize, at_ms: i64) -> Seen {
    let phase = match given {
        Idle | Playing | Elsewhere => Phase::Playing,
        Loading => Phase::Loading,
        Paused => Phase::Paused,
    };
    seen(phase, track, at_ms)
}

/// What makes any speaker play: also one that was paused.
fn begins(seen: impl Fn(Seen) -> Seen, track: usize, at_ms: i64) -> [Then; 5] {
    ALL.map(|given| {
        let phase = match given {
            Loading => Phase::Loading,
            _ => Phase::Playing,
        };
        yes(seen(self::seen(phase, track, at_ms)))
    })
}

const NOT_ACTIVE: &str = "this is not the active device";

/// What only the active device does.
fn if_active(then: impl Fn(Given) -> Then) -> [Then; 5] {
    ALL.map(|given| match given {
        Idle | Elsewhere => no(NOT_ACTIVE),
        _ => then(given),
    })
}

/// What changes nothing about what plays.
fn beside(change: impl Fn(Seen) -> Seen) -> [Then; 5] {
    if_active(|given| yes(change(before(given))))
}

fn refused(why: &'static str) -> [Then; 5] {
    ALL.map(|_| no(why))
}

fn play(seat: &Seat, options: Value) -> Value {
    json!({
        "endpoint": "play",
        "context": { "uri": seat.list, "url": format!("context://{}", seat.list), "metadata": {} },
        "play_origin": {},
        "options": options,
    })
}

fn set(endpoint: &str) -> Value {
    json!({ "endpoint": endpoint, "value": true })
}

/// The table.
fn rows() -> Vec<Row> {
    let plain = |seen| seen;
    let nothing = Seen {
        track: None,
        at_ms: 0..1,
        ..seen(Phase::Nothing, 0, 0)
    };
    let away = Seen {
        active: Who::Phone,
        at_ms: SECOND_MS..10_001,
        ..seen(Phase::Playing, THIRD, SECOND_MS)
    };
    let row = |what, give, then| Row { what, give, then };
    vec![
        row(
            "transfer in",
            Give::TransferHere,
            ALL.map(|given| match given {
                Idle => yes(seen(Phase::Paused, THIRD, SECOND_MS)),
                Elsewhere => yes(seen(Phase::Playing, THIRD, SECOND_MS)),
                _ => SAME,
            }),
        ),
        row(
            "transfer in of nothing",
            Give::Begin(|_| json!({ "endpoint": "transfer", "options": {} })),
            ALL.map(|given| match given {
                Idle | Elsewhere => yes(nothing.clone()),
                _ => SAME,
            }),
        ),
        row(
            "transfer out",
            Give::TransferAway,
            ALL.map(|given| match given {
                Idle | Paused => yes(Seen {
                    phase: Phase::Paused,
                    ..away.clone()
                }),
                Loading => yes(Seen {
                    phase: Phase::Loading,
                    ..away.clone()
                }),
                _ => yes(away.clone()),
            }),
        ),
        row(
            "play",
            Give::Begin(|seat| play(seat, json!({}))),
            begins(|seen| seen.next(&[1, 2, 3]), 0, 0),
        ),
        row(
            "play, skip_to uri",
            Give::Begin(|seat| play(seat, json!({ "skip_to": { "track_uri": seat.track(4) } }))),
            begins(|seen| seen.next(&[5, 6]), 4, 0),
        ),
        row(
            "play, skip_to uid",
            Give::Begin(|seat| play(seat, json!({ "skip_to": { "track_uid": seat.uids[5] } }))),
            begins(|seen| seen.next(&[6, 7]), 5, 0),
        ),
        row(
            "play, skip_to index",
            Give::Begin(|seat| play(seat, json!({ "skip_to": { "track_index": 6 } }))),
            begins(|seen| seen.next(&[7, 8]), 6, 0),
        ),
        row(
            "play, seek_to",
            Give::Begin(|seat| {
                let options = json!({ "skip_to": { "track_index": 1 }, "seek_to": 3_000 });
                play(seat, options)
            }),
            begins(plain, 1, 3_000),
        ),
        row(
            "play, initially_paused",
            Give::Begin(|seat| {
                let skip_to = json!({ "track_index": 1 });
                play(
                    seat,
                    json!({ "skip_to": skip_to, "initially_paused": true }),
                )
            }),
            ALL.map(|_| yes(seen(Phase::Paused, 1, 0))),
        ),
        row(
            "play, with modes",
            Give::Begin(|seat| {
                let modes = json!({ "shuffling_context": true, "repeating_track": true });
                let skip_to = json!({ "track_uri": seat.track(4) });
                play(
                    seat,
                    json!({ "skip_to": skip_to, "player_options_override": modes }),
                )
            }),
            begins(|seen| seen.modes(true, false, true), 4, 0),
        ),
        row(
            "play, pages",
            Give::Begin(|seat| {
                let tracks = [5, 3, 1].map(|track| json!({ "uri": seat.track(track) }));
                json!({
                    "endpoint": "play",
                    "context": { "pages": [{ "tracks": tracks }] },
                    "play_origin": {},
                    "options": { "skip_to": { "track_index": 1 } },
                })
            }),
            begins(|seen| seen.next(&[1]), 3, 0),
        ),
        row(
            "play nothing",
            Give::Say(
                |_| json!({ "endpoint": "play", "context": {}, "play_origin": {}, "options": {} }),
            ),
            refused("the command names nothing to play"),
        ),
        row(
            "pause",
            Give::Say(|_| json!({ "endpoint": "pause" })),
            if_active(|given| {
                let here = seen(Phase::Paused, THIRD, SECOND_MS);
                let moved = SECOND_MS..SECOND_MS + A_WHILE_MS;
                match given {
                    Playing => yes(Seen {
                        at_ms: moved,
                        ..here
                    }),
                    _ => yes(here),
                }
            }),
        ),
        row(
            "resume",
            Give::Say(|_| json!({ "endpoint": "resume" })),
            if_active(|given| match given {
                Paused => yes(seen(Phase::Playing, THIRD, SECOND_MS)),
                _ => SAME,
            }),
        ),
        row(
            "seek_to",
            Give::Say(|_| json!({ "endpoint": "seek_to", "value": 5_000, "position": 5_000 })),
            if_active(|given| yes(there(given, THIRD, 5_000))),
        ),
        row(
            "seek_to, past the end",
            Give::Say(|_| json!({ "endpoint": "seek_to", "value": 60_000, "position": 60_000 })),
            if_active(|given| yes(there(given, 3, 0))),
        ),
        row(
            "skip_next",
            Give::Say(|_| json!({ "endpoint": "skip_next" })),
            if_active(|given| yes(there(given, 3, 0).next(&[4, 5]))),
        ),
        row(
            "skip_next, to a track",
            Give::Say(|seat| json!({ "endpoint": "skip_next", "track": { "uri": seat.track(7) } })),
            if_active(|given| yes(there(given, 7, 0).next(&[8]))),
        ),
        row(
            "skip_next, to a place",
            Give::Say(|seat| {
                let track = json!({ "uri": seat.track(8), "uid": seat.uids[8] });
                json!({ "endpoint": "skip_next", "track": track })
            }),
            if_active(|given| yes(there(given, 8, 0).next(&[9]))),
        ),
        row(
            "skip_next, to what does not come",
            Give::Say(|seat| json!({ "endpoint": "skip_next", "track": { "uri": seat.guest } })),
            if_active(|_| no("does not come")),
        ),
        row(
            "skip_prev",
            Give::Say(|_| json!({ "endpoint": "skip_prev" })),
            if_active(|given| yes(there(given, 1, 0).next(&[2, 3]))),
        ),
        row(
            "set_shuffling_context",
            Give::Say(|_| set("set_shuffling_context")),
            beside(|seen| seen.modes(true, false, false)),
        ),
        row(
            "set_repeating_context",
            Give::Say(|_| set("set_repeating_context")),
            beside(|seen| seen.modes(false, true, false)),
        ),
        row(
            "set_repeating_track",
            Give::Say(|_| set("set_repeating_track")),
            beside(|seen| seen.modes(false, false, true)),
        ),
        row(
            "set_options",
            Give::Say(|_| {
                json!({ "endpoint": "set_options", "shuffling_context": true,
                        "repeating_context": true })
            }),
            beside(|seen| seen.modes(true, true, false)),
        ),
        row(
            "add_to_queue",
            Give::Say(|seat| json!({ "endpoint": "add_to_queue", "track": { "uri": seat.guest } })),
            beside(|seen| seen.queued(&[GUEST]).next(&[GUEST, 3, 4])),
        ),
        row(
            "add_to_queue, a file of the phone",
            Give::Say(|_| {
                let track = json!({ "uri": "spotify:local:Somebody:Something:Song:210" });
                json!({ "endpoint": "add_to_queue", "track": track })
            }),
            if_active(|_| no("cannot be played here")),
        ),
        row(
            "set_queue",
            Give::Say(|seat| {
                let queued = json!({ "uri": seat.guest, "provider": "queue" });
                let rest = [4, 3].map(|at| {
                    json!({ "uri": seat.track(at), "uid": seat.uids[at], "provider": "context" })
                });
                let [one, two] = rest;
                json!({ "endpoint": "set_queue", "next_tracks": [queued, one, two],
                        "prev_tracks": [], "queue_revision": "1" })
            }),
            beside(|seen| seen.queued(&[GUEST]).next(&[GUEST, 4, 3])),
        ),
        row(
            "update_context",
            Give::Say(|seat| {
                let tracks = [1, 2, 5].map(|track| json!({ "uri": seat.track(track) }));
                let pages = json!([{ "tracks": tracks }]);
                json!({ "endpoint": "update_context",
                        "context": { "uri": seat.list, "pages": pages } })
            }),
            beside(|seen| seen.next(&[5])),
        ),
        row(
            "update_context, of another one",
            Give::Say(|_| {
                json!({ "endpoint": "update_context",
                        "context": { "uri": "spotify:album:0000000000000000000001" } })
            }),
            if_active(|_| no("another context plays")),
        ),
        row(
            "set_sleep_timer",
            Give::Say(
                |_| json!({ "endpoint": "set_sleep_timer", "timer_type": { "type": "end_of_track" } }),
            ),
            beside(|seen| seen),
        ),
        row("volume", Give::Volume, ALL.map(|_| SAME)),
        row("rename", Give::Rename, ALL.map(|_| SAME)),
        row(
            "an unknown command",
            Give::Say(|_| json!({ "endpoint": "dance", "value": 3 })),
            refused("\"dance\" is not known here"),
        ),
        row(
            "a command without its value",
            Give::Say(|_| json!({ "endpoint": "set_shuffling_context" })),
            refused("set_shuffling_context without a value"),
        ),
    ]
}

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
        let command = play(
            self,
            json!({
                "skip_to": { "track_index": THIRD },
                "seek_to": SECOND_MS,
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
        let begun = begun.next(&[3, 4, 5, 6, 7, 8, 9, 10, 11]);
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

    /// There is no command for it: it comes from this house, and apps are shown it.
    async fn rename(&self) -> Result<Reply, ControlError> {
        let begun = Instant::now();
        let route = "/api/v1/speakers/main/name";
        for name in ["Elsewhere", self.name.as_str()] {
            ask_at(&self.socket, "POST", route, Some(json!({ "name": name }))).await;
            self.app.wait_for_device(name, PATIENCE).await?;
        }
        Ok(Reply {
            success: true,
            latency: begun.elapsed() / 2,
        })
    }

    /// Gives one command, and says what is wrong with what comes of it.
    async fn tries(&self, row: &Row, number: usize) -> Result<(), String> {
        self.prepare()
            .await
            .map_err(|why| format!("not made ready: {why}"))?;
        let (told, then) = &row.then[self.given as usize];
        let refusals = |why| count(&self.daemon, &format!("not carried out: {why}"));
        let refused = |why| match why {
            // The words may stand anywhere in the line.
            Told::No(why) => Some((why, count(&self.daemon, why))),
            Told::Yes => None,
        };
        let (known, all) = (refused(*told), refusals(""));
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
        if let Some((why, times)) = known {
            until(why, PATIENCE, || {
                count(&self.daemon, why) > times && refusals("") > all
            })
            .await;
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
        self.app.log_out();
        let gone = self.app.wait_until_gone(&self.name, ANSWERED).await;
        gone.map_err(|why| format!("“logout” while {:?}: {why}", self.given))
    }
}

/// So many speakers share the rows of a state.
fn seats(given: Given) -> usize {
    match given {
        Idle | Loading | Playing | Paused => 2,
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
