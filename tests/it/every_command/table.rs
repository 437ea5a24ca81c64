//! What is expected: each command, each state, the answer and what is seen then.

use serde_json::{Value, json};

use super::{
    ALL, GUEST, Give,
    Given::{self, Elsewhere, Idle, Loading, Over, Paused, Playing},
    Phase, Row, SECOND_MS, Seat, Seen, THIRD, Then, Told, Who,
};

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

    pub(super) fn next(self, next: &[usize]) -> Self {
        let next = Some(next.to_vec());
        Self { next, ..self }
    }
}

/// What is seen before the command.
pub(super) fn before(given: Given) -> Seen {
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
        // As something that may be resumed.
        Over => seen(Phase::Paused, 0, 0),
    }
}

const SAME: Then = (Told::Yes, None);

fn yes(seen: Seen) -> Then {
    (Told::Yes, Some(seen))
}

fn no(why: &'static str) -> Then {
    (Told::No(why), None)
}

/// Another place: what plays goes on playing, what loads loads, and what was silent stays so.
fn there(given: Given, track: usize, at_ms: i64) -> Seen {
    let phase = match given {
        Idle | Playing | Elsewhere => Phase::Playing,
        Loading => Phase::Loading,
        Paused | Over => Phase::Paused,
    };
    seen(phase, track, at_ms)
}

/// The track that follows.
fn after(given: Given) -> usize {
    match given {
        Over => 1,
        _ => THIRD + 1,
    }
}

/// What makes any speaker play, also one that was paused.
fn begins(seen: impl Fn(Seen) -> Seen, track: usize, at_ms: i64) -> [Then; 6] {
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
fn if_active(then: impl Fn(Given) -> Then) -> [Then; 6] {
    ALL.map(|given| match given {
        Idle | Elsewhere => no(NOT_ACTIVE),
        _ => then(given),
    })
}

/// What changes nothing about what plays.
fn beside(change: impl Fn(Seen) -> Seen) -> [Then; 6] {
    if_active(|given| yes(change(before(given))))
}

fn refused(why: &'static str) -> [Then; 6] {
    ALL.map(|_| no(why))
}

pub(super) fn play(seat: &Seat, options: Value) -> Value {
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
pub(super) fn rows() -> Vec<Row> {
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
                // Moved on by its age, which counts on a busy machine.
                Loading => yes(Seen {
                    at_ms: SECOND_MS - 20..2 * SECOND_MS + 20,
                    ..before(Loading)
                }),
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
                Over => yes(Seen {
                    active: Who::Phone,
                    ..before(Over)
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
                    Over => SAME,
                    _ => yes(here),
                }
            }),
        ),
        row(
            "resume",
            Give::Say(|_| json!({ "endpoint": "resume" })),
            if_active(|given| match given {
                Paused => yes(seen(Phase::Playing, THIRD, SECOND_MS)),
                Over => yes(seen(Phase::Playing, 0, 0)),
                _ => SAME,
            }),
        ),
        row(
            "seek_to",
            Give::Say(|_| json!({ "endpoint": "seek_to", "value": 5_000, "position": 5_000 })),
            if_active(|given| match given {
                Over => yes(there(given, 0, 5_000)),
                _ => yes(there(given, THIRD, 5_000)),
            }),
        ),
        row(
            "seek_to, past the end",
            Give::Say(|_| json!({ "endpoint": "seek_to", "value": 60_000, "position": 60_000 })),
            if_active(|given| yes(there(given, after(given), 0))),
        ),
        row(
            "skip_next",
            Give::Say(|_| json!({ "endpoint": "skip_next" })),
            if_active(|given| {
                let next = after(given);
                yes(there(given, next, 0).next(&[next + 1, next + 2]))
            }),
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
            if_active(|given| match given {
                Over => SAME,
                _ => yes(there(given, 1, 0).next(&[2, 3])),
            }),
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
            if_active(|given| {
                let next = after(given);
                let seen = before(given).queued(&[GUEST]);
                yes(seen.next(&[GUEST, next, next + 1]))
            }),
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
            if_active(|given| match given {
                Over => yes(before(given).next(&[1, 2, 5])),
                _ => yes(before(given).next(&[5])),
            }),
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
