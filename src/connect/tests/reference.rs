//! Another machine that is too simple to be wrong: lists that are copied, and one number.

use super::rig::{ALBUM, Rig, entry, listing, number, play};
use crate::{
    connect::{Cluster, Command, Entry, Input, Provided, Settings, Transfer, chance::Chance},
    model::PlayState,
};

const TRACKS: usize = 12;
const DURATION: u32 = 200_000;

#[derive(Debug, Clone, Default)]
struct Naive {
    active: bool,
    /// The context in the order of playing, and where in it.
    list: Vec<usize>,
    /// So many of them were taken out of this round.
    out: usize,
    at: Option<usize>,
    queue: Vec<usize>,
    current: Option<usize>,
    from_queue: bool,
    shuffle: bool,
    round: bool,
    same: bool,
    want: bool,
    loaded: bool,
    position: u32,
}

impl Naive {
    fn load(&mut self, position: u32) {
        (self.loaded, self.position) = (true, position);
    }

    fn to(&mut self, at: usize) {
        (self.at, self.from_queue) = (Some(at), false);
        self.current = Some(self.list[at]);
    }

    fn upcoming(&self) -> Vec<usize> {
        let mut next = self.queue.clone();
        let from = self.at.map_or(0, |at| at + 1);
        next.extend(&self.list[from..]);
        next
    }

    fn next(&mut self, by_itself: bool) {
        if by_itself && self.same {
            return self.load(0);
        }
        if !self.queue.is_empty() {
            self.current = Some(self.queue.remove(0));
            self.from_queue = true;
            return self.load(0);
        }
        let next = self.at.map_or(0, |at| at + 1);
        if next < self.list.len() {
            self.to(next);
            self.load(0);
        } else if self.round {
            self.to(0);
            self.load(0);
        } else {
            self.to(0);
            (self.want, self.loaded, self.position) = (false, false, 0);
        }
    }

    fn previous(&mut self) {
        if self.position >= 3_000 {
            self.position = 0;
            return;
        }
        self.same = false;
        let at = self.at.expect("a place");
        if self.from_queue {
            self.to(at);
            self.load(0);
        } else if at > self.first(at) {
            self.to(at - 1);
            self.load(0);
        } else if self.round {
            self.to(self.list.len() - 1);
            self.load(0);
        } else {
            self.position = 0;
        }
    }

    /// The first that may have been heard in the round in which this one is.
    fn first(&self, at: usize) -> usize {
        if at < self.out { 0 } else { self.out }
    }

    fn yields(&mut self) {
        *self = Self::default();
    }

    fn pass(&mut self, ms: u32) {
        if self.want && self.loaded {
            self.position = (self.position + ms).min(DURATION);
        }
    }
}

struct Pair {
    rig: Rig,
    naive: Naive,
    chance: Chance,
}

impl Pair {
    /// Takes over an order that is chance, after making sure that it holds everything once.
    fn look_at_order(&mut self) {
        let next = self.rig.connect.shown().next;
        let first = next.iter().take_while(|track| track.delimiter.is_none());
        let rest: Vec<_> = first.map(|track| number(&track.uri)).collect();
        let rest = &rest[self.naive.queue.len()..];
        let here = self.naive.list[self.naive.at.expect("a place")];
        let mut list = vec![here];
        list.extend(rest);
        let mut sorted = list.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..TRACKS).collect::<Vec<_>>());
        (self.naive.list, self.naive.at) = (list, Some(0));
        self.naive.out = 0;
    }

    fn play(&mut self, from: usize) {
        let paused = self.chance.below(2) == 0;
        let mut command = play(ALBUM, from);
        command.paused = paused;
        self.rig.command(Command::Play(Box::new(command)));
        let asked =
            |a: &crate::connect::Action| matches!(a, crate::connect::Action::ResolveContext { .. });
        if self.rig.did(asked) {
            self.rig.resolve(listing(ALBUM, 0..TRACKS));
        }
        let naive = &mut self.naive;
        naive.active = true;
        naive.list = (0..TRACKS).collect();
        naive.out = 0;
        naive.to(from);
        naive.want = !paused;
        naive.load(0);
        if naive.shuffle {
            self.look_at_order();
        }
    }

    fn transfer(&mut self, from: usize) {
        let paused = self.chance.below(2) == 0;
        let queue: Vec<_> = (0..self.chance.below(3)).map(|n| 60 + n).collect();
        let transfer = Transfer {
            context: listing(ALBUM, 0..0),
            track: Some(entry(from)),
            position_ms: 20_000,
            at_ms: self.rig.now().unix_ms - 500,
            paused,
            queue: queue.iter().map(|n| entry(*n)).collect(),
            ..Transfer::default()
        };
        self.rig
            .command(Command::Transfer(Some(Box::new(transfer))));
        self.rig.resolve(listing(ALBUM, 0..TRACKS));
        let mut naive = Naive {
            active: true,
            list: (0..TRACKS).collect(),
            queue,
            want: !paused,
            ..Naive::default()
        };
        naive.to(from);
        naive.load(if paused { 20_000 } else { 20_500 });
        self.naive = naive;
    }

    /// What comes is put in another order, and some of it is taken out.
    fn set_queue(&mut self) {
        let shown = self.rig.connect.shown().next;
        let mut given: Vec<_> = shown.iter().filter(|t| t.delimiter.is_none()).collect();
        if self.naive.round || given.is_empty() {
            return;
        }
        given.remove(self.chance.below(given.len()));
        self.chance.shuffle(&mut given);
        let is_queued = |uid: &str| uid.starts_with('q');
        let next = given.iter().map(|track| Provided {
            entry: Entry::new(&track.uri, &track.uid),
            queued: is_queued(&track.uid),
        });
        let next = next.collect();
        self.rig.command(Command::SetQueue { next });
        let of = |queued: bool| {
            let tracks = given.iter().filter(|track| is_queued(&track.uid) == queued);
            tracks.map(|track| number(&track.uri)).collect::<Vec<_>>()
        };
        let naive = &mut self.naive;
        naive.queue = of(true);
        let chosen = of(false);
        let split = naive.at.map_or(0, |at| at + 1);
        let rest = &naive.list[split..];
        let out: Vec<_> = rest
            .iter()
            .filter(|n| !chosen.contains(n))
            .copied()
            .collect();
        let at = naive.at.map(|at| at + out.len());
        naive.out += out.len();
        naive.list = [out, naive.list[..split].to_vec(), chosen].concat();
        naive.at = at;
    }

    fn act(&mut self) {
        let dice = self.chance.below(24);
        if dice < 3 || !self.naive.active {
            let from = self.chance.below(TRACKS);
            match self.chance.below(3) {
                0 => self.transfer(from),
                _ => self.play(from),
            }
            return self.rig.sound();
        }
        let position = self.chance.below(DURATION as usize) as u32;
        let naive = &mut self.naive;
        match dice {
            3..=5 => {
                self.rig.command(Command::SkipNext { track: None });
                naive.same = false;
                naive.next(false);
            }
            6 | 7 => {
                self.rig.command(Command::SkipPrev);
                naive.previous();
            }
            8 => {
                self.rig.command(Command::Pause);
                naive.want = false;
            }
            9 | 10 => {
                self.rig.command(Command::Resume);
                naive.want = true;
                naive.loaded = true;
            }
            11 => {
                self.rig.command(Command::SeekTo {
                    position_ms: position,
                });
                naive.position = position;
            }
            12 | 13 => {
                let number = 50 + self.chance.below(9);
                self.rig.command(Command::AddToQueue(entry(number)));
                naive.queue.push(number);
            }
            14 => {
                naive.round = !naive.round;
                self.rig.command(Command::RepeatContext(naive.round));
            }
            15 => {
                naive.same = !naive.same;
                self.rig.command(Command::RepeatTrack(naive.same));
            }
            16 => self.shuffle(),
            17 | 18 => {
                if naive.loaded && naive.want {
                    self.rig.end();
                    naive.next(true);
                }
            }
            19 => {
                self.rig.confirmed();
                self.rig.tick += 1;
                self.naive.pass(1);
                self.rig.pushed("tv");
                self.naive.yields();
            }
            20 => {
                let old = Cluster {
                    server_ms: 1,
                    ..self.rig.says("tv")
                };
                self.rig.step(Input::Cluster(old));
            }
            21 => self.jump(),
            22 => self.set_queue(),
            _ => {
                let stalled = self.rig.loaded.clone();
                if let Some((id, _)) = stalled {
                    let position_ms = self.naive.position;
                    self.rig.step(Input::Clock { id, position_ms });
                }
            }
        }
        self.rig.sound();
    }

    fn shuffle(&mut self) {
        let on = !self.naive.shuffle;
        self.rig.command(Command::Shuffle(on));
        self.naive.shuffle = on;
        if on {
            self.look_at_order();
        } else {
            let here = self.naive.list[self.naive.at.expect("a place")];
            self.naive.list = (0..TRACKS).collect();
            self.naive.out = 0;
            self.naive.at = Some(here);
        }
    }

    fn jump(&mut self) {
        let next = self.naive.upcoming();
        if next.is_empty() {
            return;
        }
        let at = self.chance.below(next.len());
        let uid = self.rig.connect.shown().next[at].uid.clone();
        let track = Entry::new(&super::rig::uri(next[at]), &uid);
        self.rig.command(Command::SkipNext { track: Some(track) });
        let naive = &mut self.naive;
        naive.same = false;
        match at.checked_sub(naive.queue.len()) {
            Some(later) => naive.to(naive.at.map_or(0, |at| at + 1) + later),
            None => {
                naive.queue.drain(..at);
                naive.current = Some(naive.queue.remove(0));
                naive.from_queue = true;
            }
        }
        naive.load(0);
    }

    fn compare(&self) {
        let (shown, naive) = (self.rig.connect.shown(), &self.naive);
        assert_eq!(shown.active, naive.active);
        if !naive.active {
            assert_eq!(shown.track, None);
            assert_eq!(shown.next, []);
            return;
        }
        assert_eq!(self.rig.current(), naive.current);
        let first = shown
            .next
            .iter()
            .take_while(|track| track.delimiter.is_none());
        let next: Vec<_> = first.map(|track| number(&track.uri)).collect();
        assert_eq!(next, naive.upcoming());
        let modes = shown.modes;
        assert_eq!(
            (modes.shuffle, modes.repeat_context, modes.repeat_track),
            (naive.shuffle, naive.round, naive.same)
        );
        assert_eq!(shown.paused, !naive.want, "paused");
        assert_eq!(shown.position_ms, naive.position);
        let here = naive.at.map(|at| naive.list[at] as u32);
        assert_eq!(shown.index, here);
        let sounding = self.rig.loaded.is_some() && self.rig.sounding;
        assert_eq!(sounding, naive.want && naive.loaded, "what is heard");
        let state = match (naive.loaded, naive.want) {
            (false, _) => PlayState::Stopped,
            (true, true) => PlayState::Playing,
            (true, false) => PlayState::Paused,
        };
        assert_eq!(self.rig.connect.playback().state, state);
        if naive.loaded {
            let next = self
                .rig
                .next
                .as_ref()
                .map(|(_, uri)| number(&uri.to_string()));
            let wanted = match naive.same {
                true => naive.current,
                false => {
                    let around = naive.list.first().filter(|_| naive.round);
                    naive.upcoming().first().or(around).copied()
                }
            };
            assert_eq!(next, wanted, "what is made ready");
        }
    }
}

/// `SISKIN_STEPS` asks for more of them than the few that every run of the tests does.
fn cases() -> u64 {
    let steps = std::env::var("SISKIN_STEPS")
        .ok()
        .and_then(|steps| steps.parse().ok());
    steps.unwrap_or(40_000) / STEPS
}

const STEPS: u64 = 200;

#[test]
fn position_queue_and_flags_agree_with_a_machine_too_simple_to_be_wrong() {
    for seed in 0..cases() {
        let mut pair = Pair {
            rig: Rig::new(Settings::default()),
            naive: Naive::default(),
            chance: Chance::new(seed),
        };
        // The first answer of the service tells what time it is there.
        pair.rig.step(Input::Connected);
        let cluster = pair.rig.says("");
        pair.rig.step(Input::PutAnswered { number: 1, cluster });
        for step in 0..STEPS {
            let waits = pair.chance.below(4_000) as u32;
            pair.rig.tick += u64::from(waits);
            pair.rig.step(Input::Timer);
            pair.naive.pass(waits);
            let before = format!("{:?}", pair.naive);
            let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                pair.rig.out.clear();
                pair.act();
                pair.compare();
            }));
            if failed.is_err() {
                panic!(
                    "seed {seed}, step {step}\nbefore {before}\nafter {:?}\n{:#?}",
                    pair.naive, pair.rig.out
                );
            }
        }
    }
}
