//! The house: what is planned, what is going on, and how the speaker's actions are carried out in it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    super::{
        clock,
        phase::{Action, Arrival, Input, Now, Resident, Seat, Seats, Ticket, Timer},
    },
    engines::{Engine, Mood, Music, silence},
    fates::Fate,
    judge::Judge,
    people::People,
};
use crate::{
    engine::messages::{Command, Event},
    model::{CameBy, Condition, ConditionCode, Login},
};

/// After the last trouble, the speaker must be back within this: the slowest pace, a sign-in that
/// hangs, and the one after it.
const BACK_MS: u64 = 120_000;
/// Signed in anew at the place where the music was, give or take.
const PLACE_MS: u64 = 1_000;
/// A child without a heartbeat is ended by the room of engines after so long.
const HUNG_MS: u64 = 10_000;
/// How long a link may be dead before its engine knows.
const DEAF_MS: u64 = 60_000;

#[derive(Debug)]
pub enum What {
    Timer(Timer),
    /// A sign-in is decided, by what holds then.
    Decide(Seat),
    Says(Seat, Box<Event>),
    Ends(Seat, &'static str),
    /// A song of this engine ends, if it still plays that.
    NextSong(Seat, Music),
    Restored(Seat),
    /// The visitor's patience with himself.
    LookAtVisitor(u64),
    /// Comes by itself, again and again.
    Comes(Fate),
    Fate(Fate),
}

impl What {
    fn told(&self) -> String {
        match self {
            Self::Says(seat, event) => match &**event {
                Event::Playback(told) => format!(
                    "Says({seat}, {:?} {:?} {:?} {} ms)",
                    told.state, told.context, told.index, told.position_ms
                ),
                other => format!("Says({seat}, {other:?})"),
            },
            other => format!("{other:?}"),
        }
    }
}

/// Music that was broken off without anybody's wish.
#[derive(Debug)]
struct Owed {
    user: String,
    music: Music,
    /// The place is known no better than this (ms).
    within: u64,
}

pub struct World {
    pub now: u64,
    /// Wall clock minus the even one.
    pub wall_off: i64,
    pub dice: StdRng,
    plan: BinaryHeap<Reverse<(u64, u64)>>,
    planned: BTreeMap<u64, What>,
    next_plan: u64,
    pub seats: Seats,
    pub engines: BTreeMap<Seat, Engine>,
    pub people: People,
    pub judge: Judge,
    last_ticket: Ticket,
    owed: Option<Owed>,
    /// How many reasons there are that nothing is reached.
    pub link_down: u32,
    pub service_down: u32,
    /// Nothing answers and nothing refuses.
    pub silent: bool,
    pub no_card: bool,
    pub guest_timeout_ms: Option<u64>,
    visitor_idle_since: Option<u64>,
    disturbed: u64,
    pub kept_seat: (Option<String>, Option<String>),
    /// The machine is off.
    pub off: bool,
}

impl World {
    /// `tells`: what happens is kept, to be told.
    pub fn new(seed: u64, tells: bool) -> Self {
        let mut world = Self {
            now: 0,
            wall_off: 1_700_000_000_000,
            dice: StdRng::seed_from_u64(seed),
            plan: BinaryHeap::new(),
            planned: BTreeMap::new(),
            next_plan: 0,
            seats: Seats::default(),
            engines: BTreeMap::new(),
            people: People::new(),
            judge: Judge::new(seed, tells),
            last_ticket: 0,
            owed: None,
            link_down: 0,
            service_down: 0,
            silent: false,
            no_card: false,
            guest_timeout_ms: Some(7_200_000),
            visitor_idle_since: None,
            disturbed: 0,
            kept_seat: (None, None),
            off: false,
        };
        for fate in Fate::ALL {
            world.plan_fate(fate);
        }
        world.by_phone("kim");
        world
    }

    pub fn live(&mut self, until: u64) {
        while let Some(Reverse((at, number))) = self.plan.pop() {
            let Some(what) = self.planned.remove(&number) else {
                continue;
            };
            if at > until || self.judge.is_broken() {
                break;
            }
            self.pass(at);
            self.happen(what);
            self.look();
        }
        self.judge.close();
    }

    pub fn after(&mut self, ms: u64, what: What) {
        self.next_plan += 1;
        self.plan.push(Reverse((self.now + ms, self.next_plan)));
        self.planned.insert(self.next_plan, what);
    }

    pub fn roll(&mut self, below: u64) -> u64 {
        self.dice.random_range(0..below.max(1))
    }

    pub fn wall_ms(&self) -> i64 {
        self.now.cast_signed() + self.wall_off
    }

    /// As [`clock::Steady`] has it.
    fn steady_ms(&self) -> i64 {
        clock::after(1_700_000_000_000, Duration::from_millis(self.now))
    }

    pub fn reachable(&self) -> bool {
        self.link_down == 0 && self.service_down == 0
    }

    /// The time until now is told apart by what held in it.
    fn pass(&mut self, at: u64) {
        let gone = at - self.now;
        if self.reachable() && !self.off && self.seats.user().is_some() {
            let engine = self.seated().and_then(|seat| self.engines.get(&seat));
            let listed = engine.is_some_and(Engine::is_listed);
            self.judge.wanted_ms += gone;
            self.judge.listed_ms += gone * u64::from(listed);
            let open = self.seated().is_none();
            self.judge.selectable_ms += gone * u64::from(listed || open);
        }
        self.now = at;
    }

    pub fn seated(&self) -> Option<Seat> {
        match self.seats.resident() {
            Resident::Seated { seat, .. } => Some(*seat),
            _ => None,
        }
    }

    /// Something happened that needs time to be mended.
    pub fn disturb(&mut self) {
        self.disturbed = self.now;
    }

    /// What must hold after everything.
    fn look(&mut self) {
        self.judge.look(self.now);
        let alive = self.engines.len();
        self.judge.engines(alive);
        if !self.reachable() || self.off {
            self.disturbed = self.now;
        }
        if self.now - self.disturbed <= BACK_MS || self.seats.user().is_none() {
            return;
        }
        let engine = self.seated().and_then(|seat| self.engines.get(&seat));
        let is_back = engine.is_some_and(Engine::is_listed);
        let seats = &self.seats;
        self.judge.must(is_back, || {
            format!("all is well, and still not back: {seats:?}")
        });
        let no_card = self.no_card;
        let known = |code: &&ConditionCode| match code {
            ConditionCode::GuestRefused | ConditionCode::StreamTaken => false,
            ConditionCode::OutputLost => !no_card,
            _ => true,
        };
        let hangs = self.judge.conditions.iter().find(known).copied();
        self.judge.must(hangs.is_none(), || {
            format!("{hangs:?} still hangs though its cause is gone")
        });
    }

    fn happen(&mut self, what: What) {
        if !matches!(what, What::NextSong(..)) {
            self.judge.note(self.now, || what.told());
        }
        match what {
            What::Comes(fate) => {
                self.plan_fate(fate);
                self.fate(fate);
            }
            What::Fate(fate) => self.fate(fate),
            What::Timer(timer) => self.step(Input::Timer(timer)),
            What::Says(seat, event) => self.hear(seat, *event),
            What::Decide(seat) => self.decide(seat),
            What::Ends(seat, how) => {
                self.lose(seat, 0);
                self.engines.remove(&seat);
                let how = how.to_owned();
                self.step(Input::Ended { seat, how });
            }
            What::NextSong(seat, music) => {
                let engine = self.engines.get(&seat);
                if engine.is_some_and(|engine| engine.music == Some(music)) {
                    self.publish(seat);
                }
            }
            What::Restored(seat) => self.publish(seat),
            What::LookAtVisitor(since) => {
                if self.visitor_idle_since == Some(since) {
                    self.visitor_idle_since = Some(self.now);
                    self.plan_look();
                    self.step(Input::VisitOver);
                }
            }
        }
    }

    fn plan_look(&mut self) {
        if let (Some(since), Some(patience)) = (self.visitor_idle_since, self.guest_timeout_ms) {
            self.after(patience, What::LookAtVisitor(since));
        }
    }

    fn hear(&mut self, seat: Seat, event: Event) {
        let event = match event {
            Event::Playback(told) => {
                Event::Playback(clock::steadied(told, self.wall_ms(), self.steady_ms()))
            }
            other => other,
        };
        self.step(Input::Engine { seat, event });
    }

    pub fn step(&mut self, input: Input) {
        let now = Now {
            ms: self.steady_ms(),
            dice: self.dice.random(),
        };
        let before = self.seats.user().map(str::to_owned);
        let actions = self.seats.step(input, now);
        for action in actions {
            self.carry_out(action);
        }
        let after = self.seats.user();
        if before.as_deref() != after {
            self.disturbed = self.now;
        }
        let idle = self.seats.visitor_is_idle();
        if idle != self.visitor_idle_since.is_some() {
            self.visitor_idle_since = idle.then_some(self.now);
            self.plan_look();
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Spawn { seat, login } => self.spawn(seat, login),
            Action::Tell { seat, command } => self.tell(seat, command),
            Action::Retire { seat } => self.retire(seat),
            Action::Kill { seat } => drop(self.engines.remove(&seat)),
            Action::Answer { ticket, .. } => self.judge.answer(self.now, ticket),
            Action::Keep { login, .. } => self.let_in(login),
            Action::KeepSeat { user, owner } => self.kept_seat = (user, owner),
            Action::Forget { user } => {
                self.people.kept.remove(&user);
                if self.owed.as_ref().is_some_and(|owed| owed.user == user) {
                    self.owed = None;
                }
            }
            Action::After { delay, timer } => {
                let late = if self.roll(50) == 0 { 300 } else { 5 };
                let late = self.roll(late);
                let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                self.after(delay + late, What::Timer(timer));
            }
            Action::Raise(condition) => drop(self.judge.conditions.insert(condition.code)),
            Action::Clear(code) => drop(self.judge.conditions.remove(&code)),
            _ => {}
        }
    }

    fn spawn(&mut self, seat: Seat, login: Login) {
        self.judge.sign_in(self.now);
        self.engines.insert(seat, Engine::new(login));
        // As long as a real one takes, or as one that runs against a closed door.
        let takes = match (self.reachable(), self.silent) {
            (true, _) => 150 + self.roll(700),
            (false, true) => 60_000,
            (false, false) => 20 + self.roll(4_000),
        };
        self.after(takes, What::Decide(seat));
    }

    fn decide(&mut self, seat: Seat) {
        let Some(engine) = self.engines.get_mut(&seat) else {
            return;
        };
        if engine.mood != Mood::SigningIn {
            return;
        }
        let login = engine.login.clone();
        let verdict = self.people.verdict(&login);
        if !self.reachable() {
            let why = "no route".to_owned();
            self.say(seat, Event::Lost { why });
            self.goodbye(seat);
            return;
        }
        match verdict {
            Ok(()) => {
                self.set_mood(seat, Mood::Up { deaf: false });
                let country = None;
                self.say(seat, Event::Ready { login, country });
            }
            Err(refusal) => {
                self.say(seat, Event::Refused { refusal });
                self.goodbye(seat);
            }
        }
    }

    pub fn set_mood(&mut self, seat: Seat, mood: Mood) {
        if let Some(engine) = self.engines.get_mut(&seat) {
            engine.mood = mood;
        }
    }

    /// The engine's last line is out; the process ends a little later.
    pub fn goodbye(&mut self, seat: Seat) {
        self.set_mood(seat, Mood::Leaving);
        let takes = 30 + self.roll(200);
        self.after(takes, What::Ends(seat, "exit status: 0"));
    }

    fn say(&mut self, seat: Seat, event: Event) {
        let takes = 1 + self.roll(15);
        let Some(engine) = self.engines.get_mut(&seat) else {
            return;
        };
        let arrives = (self.now + takes).max(engine.said_until);
        engine.said_until = arrives;
        self.after(arrives - self.now, What::Says(seat, Box::new(event)));
    }

    /// The engine tells what it plays.
    pub fn publish(&mut self, seat: Seat) {
        let (now, wall) = (self.now, self.wall_ms());
        let Some(engine) = self.engines.get(&seat) else {
            return;
        };
        if !matches!(engine.mood, Mood::Up { .. }) {
            return;
        }
        let Some(music) = engine.music else {
            self.say(seat, Event::Playback(silence(wall)));
            return;
        };
        self.say(seat, Event::Playback(music.told(now, wall)));
        if music.playing {
            self.after(music.next_song(now) - now, What::NextSong(seat, music));
            if self.no_card {
                let code = ConditionCode::OutputLost;
                let condition = Condition::new(code, "", "", "");
                self.say(seat, Event::Raised { condition });
            }
        }
    }

    fn tell(&mut self, seat: Seat, command: Command) {
        let now = self.now;
        let Some(engine) = self.engines.get_mut(&seat) else {
            return;
        };
        match command {
            Command::Check { id, .. } => {
                if let Mood::Up { deaf } = engine.mood
                    && !deaf
                {
                    let alive = self.reachable();
                    self.say(
                        seat,
                        Event::Checked {
                            id,
                            alive,
                            dealer: None,
                            listed: None,
                        },
                    );
                }
            }
            Command::Restore(then) => {
                let user = engine.login.user.clone();
                engine.music = Music::taken_up(&then, now);
                let music = engine.music;
                if let Some(owed) = self.owed.take() {
                    let is = music.map(|music| (music.context, music.playing));
                    let was = Some((owed.music.context, owed.music.playing));
                    let place = music.map_or(0, |music| music.place_ms(now));
                    let off = Music::apart(place, owed.music.frozen_place());
                    let same = owed.user == user && is == was && off <= owed.within;
                    self.judge.must(same, || {
                        format!("{user} hears {music:?}, {off} ms off, and was to hear {owed:?}")
                    });
                }
                let takes = 100 + self.roll(600);
                self.after(takes, What::Restored(seat));
            }
            _ => {}
        }
    }

    /// Somebody was let in and sits.
    fn let_in(&mut self, login: Login) {
        if self
            .owed
            .as_ref()
            .is_some_and(|owed| owed.user != login.user)
        {
            self.owed = None;
        }
        self.people.kept.insert(login.user.clone(), login);
    }

    fn retire(&mut self, seat: Seat) {
        self.lose(seat, 0);
        self.set_mood(seat, Mood::Leaving);
        let takes = 200 + self.roll(2_300);
        self.after(takes, What::Ends(seat, "exit status: 0"));
    }

    /// What this engine played is owed to its listener, if it was the one who sits.
    pub fn lose(&mut self, seat: Seat, beside: u64) {
        let now = self.now;
        let Some(engine) = self.engines.get_mut(&seat) else {
            return;
        };
        if let Some(music) = engine.music.take() {
            self.owed = Some(Owed {
                user: engine.login.user.clone(),
                music: music.frozen(now),
                within: PLACE_MS + beside,
            });
        }
    }

    /// The process is gone from one moment to the next; what it had said still arrives.
    pub fn crash(&mut self, seat: Seat, how: &'static str) {
        self.disturb();
        self.lose(seat, 0);
        let Some(engine) = self.engines.get_mut(&seat) else {
            return;
        };
        engine.mood = Mood::Leaving;
        let takes = engine.said_until.saturating_sub(self.now) + 2;
        self.after(takes, What::Ends(seat, how));
    }

    pub fn hang(&mut self, seat: Seat) {
        self.disturb();
        // Nobody hears it any more, and nobody knows yet.
        self.lose(seat, HUNG_MS);
        self.set_mood(seat, Mood::Hung);
        self.after(HUNG_MS, What::Ends(seat, "it gave no sign of life"));
    }

    /// The session is gone, and the engine knows.
    pub fn lost_session(&mut self, seat: Seat) {
        let engine = self.engines.get(&seat);
        if !engine.is_some_and(|engine| matches!(engine.mood, Mood::Up { .. })) {
            return;
        }
        self.disturb();
        self.lose(seat, 0);
        let why = "the access point hung up".to_owned();
        self.say(seat, Event::Lost { why });
        self.goodbye(seat);
    }

    /// The link is dead and nobody knows; the music goes on from the buffer until somebody does.
    pub fn deafen(&mut self, seat: Seat) {
        self.wonder();
        self.disturb();
        self.set_mood(seat, Mood::Up { deaf: true });
        let takes = self.roll(DEAF_MS);
        self.after(takes, What::Fate(Fate::Notice(seat)));
    }

    pub fn forget_owed(&mut self) {
        self.owed = None;
    }

    pub fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        self.judge.asked(self.now, self.last_ticket);
        self.last_ticket
    }

    /// A phone on the network picks the speaker.
    pub fn by_phone(&mut self, user: &str) {
        let kept = self.people.kept.contains_key(user);
        let who = self.seats.who(user, kept);
        let (playing, occupied) = (self.seats.is_playing(), self.seats.user().is_some());
        let Some(stranger) = self.people.at_the_door(who, playing, occupied) else {
            return;
        };
        self.come(user, Some(CameBy::Phone), stranger);
    }

    pub fn come(&mut self, user: &str, came_by: Option<CameBy>, stranger: bool) {
        self.disturb();
        let ticket = self.ticket();
        let kept = self.people.kept.get(user).cloned();
        let login = kept.filter(|_| came_by.is_none());
        let login = login.unwrap_or_else(|| self.people.login(user));
        let arrival = Arrival { came_by, stranger };
        self.step(Input::AddUser {
            ticket,
            login,
            arrival,
        });
    }

    /// What was kept of the music before nothing was left of the daemon.
    pub fn reboot(&mut self) {
        self.engines.clear();
        self.owed = None;
        self.seats = Seats::default();
        self.visitor_idle_since = None;
        self.judge.hung_up();
        // What the house has in store comes all the same.
        let stays = |what: &What| match what {
            What::Comes(_) => true,
            What::Fate(fate) => !matches!(fate, Fate::Notice(_)),
            _ => false,
        };
        self.planned.retain(|_, what| stays(what));
        self.off = true;
        let takes = 5_000 + self.roll(60_000);
        self.after(takes, What::Fate(Fate::Boot));
    }
}
