//! Anything in any order: nothing breaks, everybody is answered, nothing grows.

use super::rig::{ALBUM, Rig, entry, listing, missing, play, track};
use crate::{
    connect::{
        Action, Cluster, Command, Entry, Heard, Input, Listing, Missing, Now, Options, Order, Page,
        Play, Provided, Sender, Settings, SkipTo, Ticket, Transfer, Uid, Uri, Why, chance::Chance,
    },
    fuzz::machine::Promises,
    model::{Playback, Repeat, SleepTimer, Volume},
};

const STEPS: u64 = 500;

fn any_uri(chance: &mut Chance) -> Uri {
    match chance.below(12) {
        0 => Uri::new("spotify:local:a:b:c:1"),
        1 => Uri::new(""),
        2 => Uri::new("spotify:delimiter"),
        _ => entry(chance.below(40)).uri,
    }
}

fn any_entry(chance: &mut Chance) -> Entry {
    let uid = match chance.below(4) {
        0 => Uid::default(),
        1 => Uid::new(&format!("q{}", chance.below(9))),
        2 => Uid::new(&format!("i{}", chance.below(30))),
        _ => entry(chance.below(40)).uid,
    };
    Entry {
        uri: any_uri(chance),
        uid,
    }
}

fn any_listing(chance: &mut Chance) -> Listing {
    let uris = [
        "",
        "-",
        ALBUM,
        "spotify:playlist:2",
        "spotify:search:x",
        "spotify:show:3",
    ];
    let pages = (0..chance.below(3)).map(|_| Page {
        tracks: (0..chance.below(30)).map(|_| any_entry(chance)).collect(),
        url: (chance.below(4) == 0).then(|| "hm://page".to_owned()),
        next_url: (chance.below(4) == 0).then(|| "hm://next".to_owned()),
    });
    let pages = pages.collect();
    Listing {
        uri: uris[chance.below(uris.len())].to_owned(),
        pages,
        ..Listing::default()
    }
}

fn maybe(chance: &mut Chance) -> Option<bool> {
    [None, Some(true), Some(false)][chance.below(3)]
}

fn any_options(chance: &mut Chance) -> Options {
    Options {
        shuffle: maybe(chance),
        repeat_context: maybe(chance),
        repeat_track: maybe(chance),
    }
}

fn any_transfer(chance: &mut Chance) -> Transfer {
    Transfer {
        context: any_listing(chance),
        track: (chance.below(4) > 0).then(|| any_entry(chance)),
        current_uid: (chance.below(2) > 0).then(|| any_entry(chance).uid),
        playing_queue: chance.below(3) == 0,
        queue: (0..chance.below(4)).map(|_| any_entry(chance)).collect(),
        position_ms: chance.next() as u32,
        at_ms: chance.next() as i64,
        paused: chance.below(2) == 0,
        options: any_options(chance),
        autoplay: chance.below(5) == 0,
        ..Transfer::default()
    }
}

fn any_command(chance: &mut Chance) -> Command {
    match chance.below(20) {
        0..=2 => Command::Play(Box::new(Play {
            context: any_listing(chance),
            skip_to: SkipTo {
                uid: (chance.below(3) == 0).then(|| any_entry(chance).uid),
                uri: (chance.below(2) == 0).then(|| any_uri(chance)),
                index: (chance.below(3) == 0).then(|| chance.below(50) as u32),
            },
            seek_to: (chance.below(3) == 0).then(|| chance.below(300_000) as u32),
            paused: chance.below(3) == 0,
            options: any_options(chance),
            ..Play::default()
        })),
        3 => Command::Play(Box::new(play(ALBUM, chance.below(30)))),
        4 => Command::Transfer(Some(Box::new(any_transfer(chance)))),
        5 => Command::Transfer(None),
        6 => Command::Pause,
        7 | 8 => Command::Resume,
        9 => Command::SeekTo {
            position_ms: chance.below(300_000) as u32,
        },
        10 | 11 => Command::SkipNext { track: None },
        12 => Command::SkipNext {
            track: Some(any_entry(chance)),
        },
        13 => Command::SkipPrev,
        14 => Command::Options(any_options(chance)),
        15 => Command::AddToQueue(any_entry(chance)),
        16 | 17 => Command::SetQueue {
            next: (0..chance.below(30))
                .map(|_| Provided {
                    entry: any_entry(chance),
                    queued: chance.below(3) == 0,
                })
                .collect(),
        },
        18 => Command::UpdateContext(any_listing(chance)),
        _ => Command::Unknown("dance".into()),
    }
}

fn any_why(chance: &mut Chance) -> Why {
    [
        Why::Unavailable,
        Why::Network,
        Why::Keys,
        Why::Broken,
        Why::Absent,
    ][chance.below(5)]
}

fn any_heard(rig: &Rig, chance: &mut Chance) -> Heard {
    let known = [rig.loaded.clone(), rig.next.clone()];
    let id = match &known[chance.below(2)] {
        Some((id, _)) if chance.below(8) > 0 => *id,
        _ => chance.next() % 50,
    };
    let position_ms = chance.below(300_000) as u32;
    match chance.below(10) {
        0 | 1 => Heard::Described {
            id,
            track: track(&entry(1).uri, chance.below(9) == 0),
        },
        2 | 3 => Heard::Started { id, position_ms },
        4 => Heard::Paused { id, position_ms },
        5 => Heard::Seeked { id, position_ms },
        6 => Heard::Stalled { id, position_ms },
        7 => Heard::Joined { id },
        8 => Heard::Ended { id },
        _ => Heard::Failed {
            id,
            why: any_why(chance),
        },
    }
}

/// Questions that were asked, with every kind of answer.
fn any_answer(asked: &mut Vec<Action>, chance: &mut Chance) -> Option<Input> {
    if asked.is_empty() {
        return None;
    }
    let action = asked.swap_remove(chance.below(asked.len()));
    let fails = chance.below(4) == 0;
    let listing = match fails {
        true => Err(Missing {
            may_pass: chance.below(2) == 0,
            ..missing("no")
        }),
        false if chance.below(2) == 0 => Ok(listing(ALBUM, 0..chance.below(120))),
        false => Ok(any_listing(chance)),
    };
    Some(match action {
        Action::ResolveContext { ticket, .. } => Input::Resolved { ticket, listing },
        Action::ResolvePage { ticket, .. } => Input::Paged {
            ticket,
            pages: listing.map(|listing| listing.pages),
        },
        Action::ResolveAutoplay { ticket, .. } => Input::Autoplay { ticket, listing },
        _ => return None,
    })
}

fn any_cluster(chance: &mut Chance, tick: u64) -> Cluster {
    Cluster {
        devices: Vec::new(),
        active: ["own", "own", "", "tv", "phone"][chance.below(5)].into(),
        server_ms: (5_000_000 + tick as i64) - chance.below(3) as i64 * 400,
        changed: vec![["own", "tv"][chance.below(2)].into()],
        session_id: String::new(),
        offered: (chance.below(5) == 0).then(|| Box::new(any_transfer(chance))),
    }
}

fn any_input(
    rig: &Rig,
    asked: &mut Vec<Action>,
    ticket: &mut Ticket,
    chance: &mut Chance,
) -> Input {
    match chance.below(24) {
        0..=6 => {
            *ticket += 1;
            Input::Command {
                ticket: *ticket,
                from: Sender::default(),
                command: any_command(chance),
            }
        }
        7..=12 => Input::Player(any_heard(rig, chance)),
        13..=15 => any_answer(asked, chance).unwrap_or(Input::Timer),
        16 => Input::Cluster(any_cluster(chance, rig.tick)),
        17 => Input::PutAnswered {
            number: chance.next() % 100,
            cluster: any_cluster(chance, rig.tick),
        },
        18 => Input::Order(match chance.below(6) {
            0 => Order::Play,
            1 => Order::Next,
            2 => Order::Repeat(Repeat::Track),
            3 => Order::Shuffle(chance.below(2) == 0),
            4 => Order::Restore(Box::new(
                rig.published
                    .clone()
                    .unwrap_or(Playback::silent(Volume::FULL)),
            )),
            _ => Order::Previous,
        }),
        19 => Input::Settings(Settings {
            autoplay: chance.below(2) == 0,
            filter_explicit: chance.below(2) == 0,
        }),
        20 => Input::Order(Order::Sleep {
            timer: [
                SleepTimer::Off,
                SleepTimer::EndOfTrack,
                SleepTimer::In { ms: 9 },
            ][chance.below(3)],
            fade_ms: Some([0, 5, 90_000][chance.below(3)]),
        }),
        21 => Input::Clock {
            id: rig.loaded.as_ref().map_or(0, |(id, _)| *id),
            position_ms: chance.below(200_000) as u32,
        },
        22 => Input::Connected,
        _ => Input::ContextChanged { uri: ALBUM.into() },
    }
}

#[test]
fn anything_in_any_order_breaks_nothing_and_everybody_is_answered_in_time() {
    let steps = std::env::var("SISKIN_STEPS")
        .ok()
        .and_then(|steps| steps.parse().ok());
    for seed in 0..steps.unwrap_or(40_000u64) / STEPS {
        let mut chance = Chance::new(seed);
        let mut rig = Rig::new(Settings {
            autoplay: true,
            ..Settings::default()
        });
        let (mut asked, mut ticket) = (Vec::new(), 0);
        let mut promises = Promises::default();
        for step in 0..STEPS {
            rig.tick += chance.below(300) as u64;
            let Now { tick_ms, .. } = rig.now();
            let input = match promises.due().filter(|due| *due <= tick_ms) {
                Some(_) => Input::Timer,
                None => any_input(&rig, &mut asked, &mut ticket, &mut chance),
            };
            println!("seed {seed}, step {step}");
            promises.before(&input, tick_ms);
            rig.step(input);
            let out = std::mem::take(&mut rig.out);
            promises.after(&rig.connect, &out, rig.loaded.is_some(), tick_ms);
            // What is grey stands among what plays, in its order.
            let next = rig.connect.shown().next.into_iter();
            let white = next.filter(|track| track.barred.is_none());
            let white: Vec<_> = white.map(|track| track.uid).collect();
            let lineup = &rig.connect.lineup;
            let comes = lineup.upcoming(white.len()).into_iter();
            assert!(comes.map(|slot| lineup.uid(slot)).eq(white));
            asked.extend(out.into_iter().filter(Action::is_question));
            asked.truncate(20);
        }
    }
}
