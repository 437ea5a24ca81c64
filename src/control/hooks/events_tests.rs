//! Every event once, and none for what is on its way.

use super::*;
use crate::model::{Account, Condition, Playback, Volume};

struct Stage {
    watcher: Watcher,
    house: House,
    now: Now,
}

fn stage() -> Stage {
    let kitchen = SpeakerState {
        id: "kitchen".into(),
        name: "Kitchen".into(),
        ..SpeakerState::default()
    };
    let house = House {
        speakers: vec![kitchen],
        ..House::default()
    };
    let now = Now {
        steady: Instant::now(),
        unix_ms: 1_000,
    };
    Stage {
        watcher: Watcher::default(),
        house,
        now,
    }
}

fn track(number: u32) -> Track {
    Track {
        uri: format!("spotify:track:{number}"),
        title: format!("Title {number}"),
        artists: vec!["One".into(), "Two".into()],
        album: "Album".into(),
        duration_ms: 60_000,
        explicit: false,
        covers: Vec::new(),
        ..Track::default()
    }
}

impl Stage {
    fn kitchen(&mut self) -> &mut SpeakerState {
        &mut self.house.speakers[0]
    }

    fn signed_in(&mut self, user: &str) {
        let kitchen = self.kitchen();
        kitchen.phase = Phase::Online;
        kitchen.account = Some(Account {
            name: user.to_uppercase(),
            ..Account::of(user.into())
        });
        kitchen.volume_percent = Percent::new(30);
        kitchen.playback = Some(Playback::silent(Volume::FULL));
    }

    fn is(&mut self, state: PlayState, number: u32) {
        let playback = self.kitchen().playback.as_mut().expect("signed in");
        playback.active = true;
        playback.state = state;
        playback.track = Some(track(number));
    }

    fn events(&mut self) -> Vec<Event> {
        self.watcher.step(&self.house, self.now)
    }

    fn told(&mut self) -> Vec<&'static str> {
        self.events().iter().map(|event| event.on.key()).collect()
    }

    fn playing(&mut self) {
        self.signed_in("kim");
        self.is(PlayState::Playing, 1);
        let told = ["signed-in", "active", "volume", "track", "playing"];
        assert_eq!(self.told(), told);
    }
}

#[test]
fn an_evening_is_told_step_by_step_and_each_step_once() {
    let mut stage = stage();
    assert_eq!(stage.told(), [""; 0]);
    stage.kitchen().phase = Phase::SigningIn;
    stage.kitchen().account = Some(Account::of("kim".into()));
    assert_eq!(stage.told(), [""; 0], "not yet");
    stage.signed_in("kim");
    assert_eq!(stage.told(), ["signed-in", "volume"]);
    stage.is(PlayState::Loading, 1);
    assert_eq!(stage.told(), ["active", "track"]);
    stage.is(PlayState::Playing, 1);
    assert_eq!(stage.told(), ["playing"]);
    assert_eq!(stage.told(), [""; 0]);
    stage.is(PlayState::Loading, 2);
    assert_eq!(stage.told(), ["track"], "a track that loads is no pause");
    stage.is(PlayState::Playing, 2);
    assert_eq!(stage.told(), [""; 0]);
    stage.is(PlayState::Paused, 2);
    assert_eq!(stage.told(), ["paused"]);
    stage.kitchen().volume_percent = Percent::new(31);
    assert_eq!(stage.told(), ["volume"]);
    let playback = stage.kitchen().playback.as_mut().expect("there");
    playback.active = false;
    assert_eq!(stage.told(), ["stopped", "inactive"]);
    stage.kitchen().phase = Phase::Nobody;
    stage.kitchen().account = None;
    stage.kitchen().playback = None;
    assert_eq!(stage.told(), ["signed-out"]);
}

#[test]
fn an_event_says_what_was_so_then() {
    let mut stage = stage();
    stage.signed_in("kim");
    stage.is(PlayState::Playing, 1);
    let playback = stage.kitchen().playback.as_mut().expect("there");
    (playback.position_ms, playback.at_ms) = (5_000, 0);
    let events = stage.events();
    let last = events.last().expect("playing");
    assert_eq!(
        (last.state, last.active, last.position_ms, last.at_ms),
        (Sound::Playing, true, 6_000, 1_000)
    );
    assert_eq!(last.account.as_deref(), Some("KIM"), "not the user");
    let json = serde_json::to_string(last).expect("plain values");
    assert!(
        json.starts_with(r#"{"event":"playing","speaker":"kitchen""#),
        "{json}"
    );
    stage.kitchen().phase = Phase::Nobody;
    stage.kitchen().account = None;
    stage.kitchen().playback = None;
    let events = stage.events();
    let told: Vec<_> = events.iter().map(|event| event.on.key()).collect();
    assert_eq!(told, ["stopped", "inactive", "signed-out"]);
    let account = events[2].account.as_deref();
    assert_eq!(account, Some("KIM"), "who left");
}

#[test]
fn a_track_is_told_when_it_has_a_name() {
    let mut stage = stage();
    stage.playing();
    stage.is(PlayState::Loading, 2);
    let playback = stage.kitchen().playback.as_mut().expect("there");
    playback.track.as_mut().expect("one").title.clear();
    assert_eq!(stage.told(), [""; 0]);
    stage.is(PlayState::Loading, 2);
    assert_eq!(stage.told(), ["track"]);
}

#[test]
fn a_session_that_is_mended_in_time_is_no_news_and_one_that_is_not_ends_the_music() {
    for (seconds, told) in [(5, vec![]), (61, vec!["stopped", "inactive"])] {
        let mut stage = stage();
        stage.playing();
        stage.kitchen().phase = Phase::Retrying;
        let kept = stage.kitchen().playback.take();
        assert_eq!(stage.told(), [""; 0]);
        let due = stage.watcher.due().expect("a limit");
        assert_eq!(due, stage.now.steady + MENDED_WITHIN);
        stage.now.steady += Duration::from_secs(seconds);
        assert_eq!(stage.told(), told);
        stage.kitchen().phase = Phase::Online;
        stage.kitchen().playback = kept;
        let back = ["active", "playing"];
        assert_eq!(stage.told(), if told.is_empty() { &[][..] } else { &back });
        assert_eq!(stage.watcher.due(), None);
    }
}

#[test]
fn somebody_else_is_another_evening() {
    let mut stage = stage();
    stage.playing();
    stage.signed_in("alex");
    let told = ["stopped", "inactive", "signed-out", "signed-in"];
    assert_eq!(stage.told(), told);
}

#[test]
fn conditions_are_told_as_they_come_and_go_and_not_as_they_change() {
    let mut stage = stage();
    let lost = |why: &str| Condition::new(ConditionCode::OutputLost, "no sound", why, "plug");
    stage.kitchen().conditions.raise(lost("unplugged"), 5);
    let events = stage.events();
    let told: Vec<_> = events.iter().map(|event| event.on.key()).collect();
    assert_eq!(told, ["condition", "output-lost"]);
    let standing = events[1].condition.as_ref().expect("which");
    assert_eq!((standing.why.as_str(), standing.since_ms), ("unplugged", 5));
    stage.kitchen().conditions.raise(lost("busy"), 6);
    assert_eq!(stage.told(), [""; 0]);
    stage.kitchen().conditions.clear(ConditionCode::OutputLost);
    assert_eq!(stage.told(), ["condition-cleared", "output-back"]);
    let own = Condition::new(ConditionCode::HookFails, "a", "b", "c");
    stage.house.conditions.raise(own, 7);
    assert_eq!(stage.told(), [""; 0], "a hook does not hear of hooks");
    let no_network = Condition::new(ConditionCode::NoNetwork, "a", "b", "c");
    stage.house.conditions.raise(no_network, 7);
    let events = stage.events();
    assert_eq!((events.len(), events[0].speaker.as_str()), (1, ""));
}

#[test]
fn a_speaker_that_is_taken_out_of_the_house_falls_silent() {
    let mut stage = stage();
    stage.playing();
    stage.house.speakers.clear();
    assert_eq!(stage.told(), ["stopped", "inactive", "signed-out"]);
    assert_eq!(stage.told(), [""; 0]);
}
