//! What happened, from the state before and the state now. Pure.
//!
//! A state that is on its way is no event: a track that loads plays on from the one before, and while
//! a session is being mended, music counts as going on for a while. States that came and went
//! between two looks are not told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use serde::{Serialize, Serializer};

use crate::{
    config::Occasion,
    model::{
        ConditionCode, Conditions, House, Percent, Phase, PlayState, SpeakerState, Standing, Track,
    },
};

/// How long a speaker whose session or engine is lost counts as playing what it played. The music
/// goes on from what was fetched; after that there is silence in any case.
const MENDED_WITHIN: Duration = Duration::from_secs(60);

/// One thing that happened, with what was known then. Holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    #[serde(rename = "event", serialize_with = "key")]
    pub on: Occasion,
    /// The id of the speaker; empty for the daemon itself.
    pub speaker: String,
    /// What phones show.
    pub speaker_name: String,
    /// Unix time in ms.
    pub at_ms: i64,
    pub state: Sound,
    /// Whether a listener plays on this speaker, paused or not.
    pub active: bool,
    /// What the account is called that is signed in.
    pub account: Option<String>,
    pub volume_percent: Option<Percent>,
    pub track: Option<Track>,
    pub context: Option<String>,
    pub position_ms: u32,
    /// What is wrong, or was.
    pub condition: Option<Standing>,
}

fn key<S: Serializer>(on: &Occasion, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(on.key())
}

/// What is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sound {
    Playing,
    Paused,
    #[default]
    Stopped,
}

impl Sound {
    pub fn key(self) -> &'static str {
        match self {
            Self::Playing => "playing",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// The time of a look.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    pub steady: Instant,
    pub unix_ms: i64,
}

/// One speaker as it was seen last.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    pub name: String,
    pub sound: Sound,
    pub active: bool,
    /// Music waits for hooks.
    pub holding: bool,
    /// Who is signed in, and what he is called.
    user: Option<(String, String)>,
    volume: Option<Percent>,
    /// The one that was told.
    told_track: Option<String>,
    track: Option<Track>,
    context: Option<String>,
    /// At a Unix time in ms.
    position: (u32, i64),
    raised: BTreeMap<ConditionCode, Standing>,
    /// Since when nothing is known of what plays.
    lost: Option<Instant>,
}

/// Remembers the state that was told last.
#[derive(Debug, Default)]
pub struct Watcher {
    speakers: BTreeMap<String, Seen>,
    raised: BTreeMap<ConditionCode, Standing>,
}

impl Watcher {
    /// What happened since the last look, in order.
    pub fn step(&mut self, house: &House, now: Now) -> Vec<Event> {
        let mut events = Vec::new();
        for (on, standing) in turned(&mut self.raised, &house.conditions) {
            let condition = Some(standing);
            let event = Seen::default().event("", on, now);
            events.push(Event { condition, ..event });
        }
        for speaker in &house.speakers {
            let seen = self.speakers.entry(speaker.id.clone()).or_default();
            seen.step(speaker, now, &mut events);
        }
        let here: BTreeSet<_> = house.speakers.iter().map(|speaker| &speaker.id).collect();
        let gone = self.speakers.keys().filter(|id| !here.contains(id));
        for id in gone.cloned().collect::<Vec<_>>() {
            let mut seen = self.speakers.remove(&id).unwrap_or_default();
            let nobody = SpeakerState {
                name: seen.name.clone(),
                id,
                ..SpeakerState::default()
            };
            seen.step(&nobody, now, &mut events);
        }
        events
    }

    /// Every speaker as it is.
    pub fn speakers(&self) -> impl Iterator<Item = (&String, &Seen)> {
        self.speakers.iter()
    }

    /// Something about a speaker that this look does not know by itself.
    pub fn event(&self, speaker: &str, on: Occasion, now: Now) -> Event {
        match self.speakers.get(speaker) {
            Some(seen) => seen.event(speaker, on, now),
            None => Seen::default().event(speaker, on, now),
        }
    }

    /// When something happens without anybody's doing.
    pub fn due(&self) -> Option<Instant> {
        let held = self.speakers.values().filter(|seen| seen.is_held());
        held.filter_map(|seen| seen.lost)
            .map(|at| at + MENDED_WITHIN)
            .min()
    }
}

impl Seen {
    #[cfg(test)]
    pub fn of(active: bool, sound: Sound) -> Self {
        Self {
            active,
            sound,
            ..Self::default()
        }
    }

    /// Something is held to go on that is not known to.
    fn is_held(&self) -> bool {
        self.active || self.sound != Sound::Stopped
    }

    fn step(&mut self, new: &SpeakerState, now: Now, events: &mut Vec<Event>) {
        self.name.clone_from(&new.name);
        self.holding = new.holding;
        let id = &new.id;
        let user = new.account.as_ref().map(|it| (&it.user, &it.name));
        let same = |known: &(String, String)| user.is_some_and(|(user, _)| *user == known.0);
        let stays = self.user.as_ref().is_some_and(same);
        let left = self.user.is_some() && !stays;
        let (sound, active) = self.heard(new, stays, now);
        if sound == Sound::Stopped && self.sound != sound {
            self.sound = sound;
            events.push(self.event(id, Occasion::Stopped, now));
        }
        let quits = self.active && !active;
        self.active &= active;
        if quits {
            events.push(self.event(id, Occasion::Inactive, now));
        }
        if left {
            events.push(self.event(id, Occasion::SignedOut, now));
            self.user = None;
        }
        if let Some((user, name)) = user.filter(|_| stays || new.phase == Phase::Online) {
            self.user = Some((user.clone(), name.clone()));
            if !stays {
                events.push(self.event(id, Occasion::SignedIn, now));
            }
        }
        self.conditions(new, now, events);
        let comes = active && !self.active;
        self.active = active;
        self.shown(new);
        if comes {
            events.push(self.event(id, Occasion::Active, now));
        }
        if let Some(volume) = new.volume_percent.filter(|it| self.volume != Some(*it)) {
            self.volume = Some(volume);
            events.push(self.event(id, Occasion::Volume, now));
        }
        if let Some(track) = self.new_track(new) {
            self.told_track = Some(track);
            events.push(self.event(id, Occasion::Track, now));
        }
        if self.sound != sound {
            self.sound = sound;
            let on = match sound {
                Sound::Playing => Occasion::Playing,
                Sound::Paused => Occasion::Paused,
                Sound::Stopped => return,
            };
            events.push(self.event(id, on, now));
        }
    }

    /// What is heard, and whether a listener plays here.
    fn heard(&mut self, new: &SpeakerState, stays: bool, now: Now) -> (Sound, bool) {
        if let Some(playback) = &new.playback {
            self.lost = None;
            let sound = match playback.state {
                _ if !playback.active => Sound::Stopped,
                PlayState::Playing => Sound::Playing,
                PlayState::Paused => Sound::Paused,
                PlayState::Stopped => Sound::Stopped,
                PlayState::Loading => self.sound,
            };
            return (sound, playback.active);
        }
        let since = *self.lost.get_or_insert(now.steady);
        let is_over = now.steady.saturating_duration_since(since) >= MENDED_WITHIN;
        if stays && !is_over {
            (self.sound, self.active)
        } else {
            (Sound::Stopped, false)
        }
    }

    fn conditions(&mut self, new: &SpeakerState, now: Now, events: &mut Vec<Event>) {
        let mut raised = std::mem::take(&mut self.raised);
        for (on, standing) in turned(&mut raised, &new.conditions) {
            let output = match (standing.code, on) {
                (ConditionCode::OutputLost, Occasion::Condition) => Some(Occasion::OutputLost),
                (ConditionCode::OutputLost, _) => Some(Occasion::OutputBack),
                _ => None,
            };
            for on in [Some(on), output].into_iter().flatten() {
                let condition = Some(standing.clone());
                let event = self.event(&new.id, on, now);
                events.push(Event { condition, ..event });
            }
        }
        self.raised = raised;
    }

    fn shown(&mut self, new: &SpeakerState) {
        let Some(playback) = &new.playback else {
            return;
        };
        self.track.clone_from(&playback.track);
        self.context.clone_from(&playback.context);
        self.position = (playback.position_ms, playback.at_ms);
        if self.track.is_none() {
            self.told_track = None;
        }
    }

    /// Another one, once it is known what it is called.
    fn new_track(&self, new: &SpeakerState) -> Option<String> {
        let playback = new.playback.as_ref()?;
        let track = playback.track.as_ref()?;
        let known = !track.title.is_empty() || playback.state == PlayState::Playing;
        let is_new = self.told_track.as_ref() != Some(&track.uri);
        (known && is_new && playback.active).then(|| track.uri.clone())
    }

    fn event(&self, id: &str, on: Occasion, now: Now) -> Event {
        let (at, since) = self.position;
        let gone = match self.sound {
            Sound::Playing => (now.unix_ms - since).max(0),
            _ => 0,
        };
        let position = u32::try_from(i64::from(at) + gone).unwrap_or(u32::MAX);
        let end = self.track.as_ref().map(|track| track.duration_ms);
        Event {
            on,
            speaker: id.to_owned(),
            speaker_name: self.name.clone(),
            at_ms: now.unix_ms,
            state: self.sound,
            active: self.active,
            account: self.user.as_ref().map(|(_, name)| name.clone()),
            volume_percent: self.volume,
            track: self.track.clone(),
            context: self.context.clone(),
            position_ms: end
                .filter(|end| *end > 0)
                .map_or(position, |end| position.min(end)),
            condition: None,
        }
    }
}

/// What was raised and what is over. What a hook itself has to do with is nobody's business here:
/// one that fails when it hears of it would never come to rest.
fn turned(
    known: &mut BTreeMap<ConditionCode, Standing>,
    now: &Conditions,
) -> Vec<(Occasion, Standing)> {
    let standing: Vec<Standing> = now.clone().into();
    let mut turned = Vec::new();
    let over = known.keys().filter(|code| now.get(**code).is_none());
    let over: Vec<_> = over.copied().collect();
    let over = over.into_iter().filter_map(|code| known.remove(&code));
    turned.extend(over.map(|standing| (Occasion::ConditionCleared, standing)));
    for standing in standing {
        let code = standing.code;
        if code != ConditionCode::HookFails && known.insert(code, standing.clone()).is_none() {
            turned.push((Occasion::Condition, standing));
        }
    }
    turned
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
