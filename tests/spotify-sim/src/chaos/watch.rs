//! A receiver that is watched: what it did before, and when it does that again.

use std::{
    cell::Cell,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    list::{Fault, Rig, Strike},
    surroundings::{Avahi, Clock},
};
use crate::{
    Controller, Place, PlayOptions,
    bench::{
        Result,
        stage::{Guest, Stage},
    },
    phone::Found,
    receiver::{Binary, Sound},
    rigs::FakeDac,
};

/// All must have been well for so long before it is believed.
const CALM: Duration = Duration::from_millis(2_500);
const LOOK: Duration = Duration::from_millis(10);
/// Sound that was heard within this is heard now.
const HEARD: Duration = Duration::from_millis(150);
/// A place in a track is the same, give or take (ms).
const PLACE_MS: i64 = 1_000;
/// A session or an engine that stood for so long counts as a good one.
const SETTLED: Duration = Duration::from_millis(5_500);
/// Music there must be left besides.
const FOR_MENDING: Duration = Duration::from_secs(60);
/// What is said of a receiver whose process is not there any more.
pub const ENDED: &str = "its process has ended";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Idle,
    Playing,
    Paused,
}

impl Mood {
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Playing => "playing",
            Self::Paused => "paused",
        }
    }
}

/// What a fault cost the listener.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// From the end of the cause until all was as before.
    pub recovery: Duration,
    /// The longest silence where music should have been.
    pub silence: Duration,
}

/// A receiver that is signed in.
pub struct Scene<'a> {
    pub stage: &'a Stage,
    pub guest: Guest,
    pub app: Controller,
    pub card: Option<FakeDac>,
    pub clock: Option<Clock>,
    pub avahi: Option<Avahi>,
    /// Avahi's folder is our own.
    pub own_run: bool,
    /// The same program with symbols.
    pub symbols: Option<PathBuf>,
    /// How often somebody must have signed in by now.
    pub sign_ins_due: usize,
    /// The silence at the end of the cause.
    pub silent_for: Duration,
    /// Since when the session stands, at most.
    stands: Instant,
    /// How much the card had heard, and when it was last more.
    card_heard: Cell<(u64, Option<Instant>)>,
}

/// What is to be again.
struct Before {
    mood: Mood,
    context: String,
    track: String,
    position_ms: i64,
    at: Instant,
}

impl Before {
    /// As it is now.
    fn refresh(&mut self, app: &Controller) {
        let state = app.state();
        self.context = state.context_uri;
        self.track = state.track_uri;
        self.position_ms = state.position_ms;
        self.at = Instant::now();
    }
}

impl<'a> Scene<'a> {
    pub async fn set(stage: &'a Stage, binary: &Binary, rig: Rig) -> Result<Self> {
        let card = (rig == Rig::Card).then(FakeDac::build).transpose()?;
        let clock = (rig == Rig::Clock).then(Clock::new).transpose()?;
        let mut env = clock.as_ref().map_or_else(Vec::new, Clock::env);
        if let Some(card) = &card {
            env.push(("ALSA_CONFIG_PATH".to_owned(), card.alsa_config()));
        }
        let sound = card.as_ref().map(|_| Sound::Card);
        let (guest, _) = stage.start_with(binary, sound, env).await?;
        let app = stage.hand_over(&guest).await?.app;
        let stands = Instant::now();
        tokio::time::sleep(Duration::from_millis(600)).await;
        Ok(Self {
            stage,
            guest,
            app,
            card,
            clock,
            avahi: None,
            own_run: false,
            symbols: None,
            sign_ins_due: 0,
            silent_for: Duration::ZERO,
            stands,
            card_heard: Cell::default(),
        })
    }

    /// When music was heard last.
    pub fn last_heard(&self) -> Option<Instant> {
        let Some(card) = &self.card else {
            return self.guest.ear.last();
        };
        let (known, last) = self.card_heard.get();
        let heard = card.usbdac().heard();
        if heard > known && card.usbdac().is_loud_since(known) {
            let last = card.usbdac().written_at();
            self.card_heard.set((heard, last));
            return last;
        }
        self.card_heard.set((heard, last));
        last
    }

    /// Brings it into the mood, strikes, and waits until it is well.
    pub async fn suffer(&mut self, fault: &Fault, mood: Mood, round: usize) -> Result<Cost> {
        let mut before = self.bring_into(mood, round, fault.strike.takes()).await?;
        if !matches!(fault.strike, Strike::Load(..)) {
            // What breaks as soon as it stands is mended with more patience, on purpose.
            let young = SETTLED.saturating_sub(self.stands.elapsed());
            tokio::time::sleep(young).await;
            before.refresh(&self.app);
        }
        let begun = Instant::now();
        let ended = match &fault.strike {
            Strike::Load(place, times, then) => {
                let trouble = crate::Fault::on(*place).times(*times).then(then.clone());
                self.stage.sim.faults().add(trouble);
                self.play_another(&mut before, round, None).await?;
                begun
            }
            Strike::HalfOpen(_) => {
                // Nobody notices before something is wanted.
                self.strike(&fault.strike).await?;
                self.play_another(&mut before, round, Some(fault.bound))
                    .await?;
                begun
            }
            strike => match self.strike(strike).await? {
                Some(ended) => ended,
                // What is over in an instant is over when it begins.
                None if begun.elapsed() < Duration::from_millis(500) => begun,
                None => Instant::now(),
            },
        };
        let mut obeyed = Duration::ZERO;
        if matches!(fault.strike, Strike::Engine(_) | Strike::Exit) && mood != Mood::Playing {
            // It stays in the list for a while when it is dead: it has to obey.
            self.obeys(fault.bound).await?;
            obeyed = ended.elapsed();
        }
        let (stage, port) = (self.stage, self.guest.at.port);
        let found = async {
            if !fault.strike.on_air() {
                return Ok(Duration::ZERO);
            }
            // A phone that begins to look now.
            let here = |found: &Found| found.port == port;
            stage.phone.wait_for(here, fault.bound).await?;
            Result::Ok(ended.elapsed())
        };
        let cost = tokio::join!(self.well_again(&before, begun, ended, fault.bound), found);
        self.stage.sim.faults().clear();
        let (mut cost, found) = (cost.0?, cost.1?);
        self.stands = Instant::now().checked_sub(CALM).unwrap_or(ended);
        cost.recovery = cost.recovery.max(found).max(obeyed);
        Ok(cost)
    }

    /// Plays what was not fetched before, nor comes next: once, or until it is told that it does.
    async fn play_another(
        &self,
        before: &mut Before,
        round: usize,
        insist: Option<Duration>,
    ) -> Result<()> {
        let list = self.stage.sim.catalogue().titled("Dozen");
        let next = (round * 5 + 6) % list.tracks.len();
        before.context = list.uri();
        before.track = list.tracks[next].uri();
        before.position_ms = 0;
        let begun = Instant::now();
        loop {
            before.at = Instant::now();
            let options = PlayOptions::from_index(u32::try_from(next)?);
            let app = self.app.within(Duration::from_secs(3));
            let reply = app.play(&list.uri(), options).await;
            match insist {
                // Whether it says yes matters less than what is heard.
                None => return Ok(()),
                Some(_) if reply.as_ref().is_ok_and(|reply| reply.success) => return Ok(()),
                Some(limit) if begun.elapsed() > limit => {
                    return Err(format!("it plays nothing else: {reply:?}").into());
                }
                Some(_) => {}
            }
        }
    }

    /// Waits until it does what the app says.
    async fn obeys(&self, limit: Duration) -> Result<()> {
        let begun = Instant::now();
        let mut level: u16 = 60_000;
        loop {
            // Another one each time, so that it cannot be the answer to the one before; nor what is
            // shown anyway.
            level = if level < 9_000 { 60_000 } else { level - 3_000 };
            let shown = self.app.state().devices;
            if shown.iter().any(|it| it.volume.abs_diff(level) < 2_000) {
                continue;
            }
            let app = self.app.within(Duration::from_millis(150));
            if app.volume(level).await.is_ok() {
                return Ok(());
            }
            if begun.elapsed() > limit {
                return Err("it obeys nobody".into());
            }
        }
    }

    /// Not so near the end of the track that it would end within these seconds.
    async fn bring_into(&mut self, mood: Mood, round: usize, takes: u64) -> Result<Before> {
        let enough = Duration::from_secs(takes) + FOR_MENDING;
        if mood != Mood::Idle && (round == 0 || !self.is_in(mood, enough)) {
            let list = self.stage.road().uri();
            self.app.play(&list, PlayOptions::default()).await?;
            let limit = Duration::from_secs(20);
            self.app.wait_until(limit, |state| state.playing).await?;
            tokio::time::sleep(Duration::from_secs(2)).await;
            if mood == Mood::Paused {
                self.app.pause().await?;
                self.app.wait_until(limit, |state| state.paused).await?;
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut before = Before {
            mood,
            context: String::new(),
            track: String::new(),
            position_ms: 0,
            at: Instant::now(),
        };
        before.refresh(&self.app);
        Ok(before)
    }

    fn is_in(&self, mood: Mood, enough: Duration) -> bool {
        let state = self.app.state();
        let left = u64::try_from(state.duration_ms - state.position_ms).unwrap_or_default();
        if mood != Mood::Idle && Duration::from_millis(left) < enough {
            return false;
        }
        let road = state.context_uri == self.stage.road().uri();
        road && match mood {
            Mood::Idle => true,
            Mood::Playing => state.playing,
            Mood::Paused => state.paused,
        }
    }

    /// Why it is not as before, if it is not.
    fn ails(&self, before: &Before) -> Option<String> {
        let sim = &self.stage.sim;
        let state = self.app.state();
        if !state
            .devices
            .iter()
            .any(|shown| shown.name == self.guest.receiver.name)
        {
            return Some("it is not in the app's list".into());
        }
        if sim.signed_in().is_empty() || sim.dealers() == 0 {
            return Some("it is not signed in".into());
        }
        if sim.record().count(Place::ApLogin) < self.sign_ins_due {
            return Some("it has not signed in again".into());
        }
        if before.mood == Mood::Idle {
            return None;
        }
        if state.active.is_none() {
            return Some("it is not the active device".into());
        }
        if (&state.context_uri, &state.track_uri) != (&before.context, &before.track) {
            return Some(format!(
                "it plays {} of {}",
                state.track_uri, state.context_uri
            ));
        }
        let gone = i64::try_from(before.at.elapsed().as_millis()).unwrap_or(i64::MAX);
        let latest = before.position_ms
            + if before.mood == Mood::Playing {
                gone
            } else {
                0
            };
        let here = state.position_ms;
        if here < before.position_ms - PLACE_MS || here > latest + PLACE_MS {
            return Some(format!(
                "it is at {here} ms, not {} to {latest}",
                before.position_ms
            ));
        }
        let heard = self.last_heard();
        let heard = heard.is_some_and(|last| last.elapsed() < HEARD);
        match before.mood {
            Mood::Playing if !state.playing => Some("it does not say that it plays".into()),
            Mood::Playing if !heard => Some("nothing is heard".into()),
            Mood::Paused if !state.paused => Some("it does not say that it is paused".into()),
            _ => None,
        }
    }

    async fn well_again(
        &mut self,
        before: &Before,
        begun: Instant,
        ended: Instant,
        bound: Duration,
    ) -> Result<Cost> {
        let mut ill_at = ended;
        let mut silence = std::mem::take(&mut self.silent_for);
        let mut last_ail = String::new();
        loop {
            let now = Instant::now();
            if self.guest.receiver.ended().is_some() {
                return Err(ENDED.into());
            }
            if let Some(ail) = self.ails(before) {
                ill_at = now;
                last_ail = ail;
            }
            let last = self.last_heard().map_or(begun, |last| last.max(begun));
            silence = silence.max(now.saturating_duration_since(last));
            if ill_at + CALM < now {
                break;
            }
            if now.saturating_duration_since(begun.max(ended)) > bound + CALM {
                let why = format!("not well {} s after it: {last_ail}", bound.as_secs());
                return Err(why.into());
            }
            tokio::time::sleep(LOOK).await;
        }
        let music = before.mood == Mood::Playing;
        Ok(Cost {
            recovery: ill_at.saturating_duration_since(ended),
            silence: if music && silence > HEARD {
                silence
            } else {
                Duration::ZERO
            },
        })
    }
}
