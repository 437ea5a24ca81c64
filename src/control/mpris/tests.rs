//! What is shown and told, without a bus: from states to properties, signals and orders.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{
    fault::Fault,
    introspect,
    lines::NO_TRACK,
    request::{Request, orders},
    told::{Signal, Told},
    value::{Facts, Value},
    view::{Now, View},
};
use crate::model::{
    Forbidden, Neighbour, Percent, Phase, PlayState, Playback, Repeat, Restriction, Source,
    SpeakerState, Track, Transport, Volume,
};

/// A track of 100 s; the letter is all that is different.
fn uri(letter: char) -> String {
    format!("spotify:track:{}", letter.to_string().repeat(22))
}

fn track(letter: char) -> Track {
    Track {
        uri: uri(letter),
        title: format!("Song {letter}"),
        artists: vec!["One".into(), "Two\0".into()],
        album_artists: vec!["Various".into()],
        album: "Record".into(),
        duration_ms: 100_000,
        explicit: false,
        covers: vec!["https://covers.example/large".into()],
        ..Track::default()
    }
}

fn neighbours(letters: &str) -> Vec<Neighbour> {
    let source = |letter: char| match letter.is_lowercase() {
        true => Source::Context,
        false => Source::Queue,
    };
    let letters = letters.chars();
    letters
        .map(|letter| Neighbour {
            uri: uri(letter),
            source: source(letter),
        })
        .collect()
}

/// A speaker, its listener on the bus, and the time.
struct Scene {
    start: Instant,
    gone_ms: u64,
    speaker: SpeakerState,
    view: View,
    told: Told,
}

impl Scene {
    /// Plays `b` of the list `abc`, from its beginning.
    fn playing() -> Self {
        let mut scene = Self::idle();
        scene.playback(|one| {
            one.active = true;
            one.state = PlayState::Playing;
        });
        scene.lists("a", 'b', "c");
        scene.news();
        scene
    }

    fn idle() -> Self {
        let start = Instant::now();
        let speaker = SpeakerState {
            id: "main".into(),
            name: "Kitchen".into(),
            phase: Phase::Online,
            playback: Some(Playback::silent(Volume::FULL)),
            volume_percent: Some(Percent::clamped(40)),
            ..SpeakerState::default()
        };
        let view = View::new(start);
        let mut scene = Self {
            start,
            gone_ms: 0,
            told: Told::all_of(&view, start),
            view,
            speaker,
        };
        scene.news();
        scene
    }

    fn now(&self) -> Now {
        Now {
            tick: self.start + Duration::from_millis(self.gone_ms),
            unix_ms: 1_000_000 + i64::try_from(self.gone_ms).expect("a while"),
        }
    }

    fn playback(&mut self, change: impl FnOnce(&mut Playback)) {
        let at_ms = self.now().unix_ms;
        let playback = self.speaker.playback.as_mut().expect("signed in");
        // As an engine does: each word about playback is true of the moment.
        playback.position_ms = playback.position_at(at_ms);
        playback.at_ms = at_ms;
        change(playback);
    }

    fn lists(&mut self, before: &str, current: char, after: &str) {
        let (before, after) = (neighbours(before), neighbours(after));
        self.playback(|one| {
            one.previous = before;
            one.track = Some(track(current));
            one.next = after;
        });
    }

    fn wait(&mut self, ms: u64) {
        self.gone_ms += ms;
    }

    fn news(&mut self) -> Vec<Signal> {
        let now = self.now();
        self.view.follow(&self.speaker, now);
        self.told.news(&self.view, now.tick)
    }

    fn property(&self, name: &str) -> Value {
        let facts = [self.view.root(), self.view.player(), self.view.tracks()].concat();
        value(&facts, name)
    }

    fn metadata(&self, name: &str) -> Value {
        match self.property("Metadata") {
            Value::Facts(facts) => value(&facts, name),
            other => panic!("{other:?}"),
        }
    }

    fn orders(&self, request: Request) -> Result<Vec<Transport>, Fault> {
        orders(&request, &self.view, self.now().tick)
    }
}

fn value(facts: &Facts, name: &str) -> Value {
    let mut facts = facts.iter();
    let found = facts.find(|(known, _)| *known == name);
    found.unwrap_or_else(|| panic!("no {name}")).1.clone()
}

/// The names of what changed, and of other signals.
fn words(news: &[Signal]) -> Vec<&'static str> {
    let words = news.iter().flat_map(|signal| match signal {
        Signal::Changed { changed, stale, .. } => {
            let names = changed.iter().map(|(name, _)| *name);
            names.chain(stale.iter().copied()).collect()
        }
        Signal::Seeked(_) => vec!["Seeked"],
        Signal::Replaced { .. } => vec!["Replaced"],
        Signal::Added { .. } => vec!["Added"],
        Signal::Removed(_) => vec!["Removed"],
        Signal::Described { .. } => vec!["Described"],
    });
    words.collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

#[test]
fn a_track_is_described_as_the_specification_wants_it() {
    let scene = Scene::playing();
    let letters = "b".repeat(22);
    assert_eq!(scene.metadata("xesam:title"), text("Song b"));
    assert_eq!(scene.metadata("xesam:album"), text("Record"));
    let artists = ["One", "Two"].map(str::to_owned).to_vec();
    assert_eq!(scene.metadata("xesam:artist"), Value::Texts(artists));
    let artists = Value::Texts(vec!["Various".to_owned()]);
    assert_eq!(scene.metadata("xesam:albumArtist"), artists);
    assert_eq!(scene.metadata("mpris:length"), Value::Int(100_000_000));
    assert_eq!(
        scene.metadata("mpris:artUrl"),
        text("https://covers.example/large")
    );
    assert_eq!(
        scene.metadata("xesam:url"),
        text(&format!("https://open.spotify.com/track/{letters}"))
    );
    assert_eq!(scene.property("Volume"), Value::Float(0.4));
    assert_eq!(scene.property("PlaybackStatus"), text("Playing"));
    let Value::Paths(ids) = scene.property("Tracks") else {
        panic!("a list");
    };
    assert_eq!(scene.metadata("mpris:trackid"), Value::Path(ids[1].clone()));
}

#[test]
fn what_plays_elsewhere_is_not_shown_and_not_said_to_be_here() {
    let mut scene = Scene::playing();
    scene.playback(|one| one.active = false);
    scene.news();
    assert_eq!(scene.property("PlaybackStatus"), text("Stopped"));
    let none = Value::Path(NO_TRACK.to_owned());
    assert_eq!(scene.metadata("mpris:trackid"), none);
    for (can, so) in [
        ("CanPlay", true),
        ("CanPause", false),
        ("CanSeek", false),
        ("CanGoNext", false),
        ("CanControl", true),
        ("CanEditTracks", false),
    ] {
        assert_eq!(scene.property(can), Value::Bool(so), "{can}");
    }
    scene.wait(5_000);
    assert_eq!(scene.view.hand.ms(scene.now().tick), 0);
    scene.speaker.phase = Phase::Retrying;
    scene.speaker.playback = None;
    scene.speaker.volume_percent = None;
    assert_eq!(words(&scene.news()), ["CanPlay"], "the level is kept");
}

#[test]
fn what_spotify_does_not_allow_cannot_be_pressed_and_whoever_shows_buttons_is_told() {
    let mut scene = Scene::playing();
    let buttons = ["CanGoNext", "CanGoPrevious", "CanPause", "CanSeek"];
    let can = |scene: &Scene| buttons.map(|can| scene.property(can) == Value::Bool(true));
    assert_eq!(can(&scene), [true; 4]);
    let forbid = |all: &[Forbidden]| {
        let why = "license".to_owned();
        let one = |what: &Forbidden| Restriction {
            what: *what,
            why: why.clone(),
        };
        all.iter().map(one).collect::<Vec<_>>()
    };
    scene.playback(|one| one.restrictions = forbid(&[Forbidden::Seek, Forbidden::Next]));
    assert_eq!(words(&scene.news()), ["CanGoNext", "CanSeek"]);
    assert_eq!(can(&scene), [false, true, true, false]);
    scene.playback(|one| one.restrictions = forbid(&[Forbidden::Pause, Forbidden::Previous]));
    assert_eq!(
        words(&scene.news()),
        ["CanGoNext", "CanGoPrevious", "CanPause", "CanSeek"]
    );
    scene.playback(|one| one.restrictions.clear());
    scene.news();
    assert_eq!(can(&scene), [true; 4]);
}

#[test]
fn music_that_goes_on_is_no_news_and_a_jump_is_told_once() {
    let mut scene = Scene::playing();
    for _ in 0..20 {
        scene.wait(1_000);
        scene.playback(|_| {});
        assert_eq!(scene.news(), []);
    }
    scene.playback(|one| one.position_ms = 50_000);
    assert_eq!(scene.news(), [Signal::Seeked(50_000_000)]);
    scene.wait(1_000);
    scene.playback(|_| {});
    assert_eq!(scene.news(), []);
    // A little off, again and again, adds up to a jump.
    let mut told = 0;
    for _ in 0..10 {
        scene.wait(1_000);
        scene.playback(|one| one.position_ms -= 100);
        told += scene.news().len();
    }
    assert!((2..=4).contains(&told), "{told}");
}

#[test]
fn a_step_of_the_wall_clock_does_not_move_the_music() {
    let mut scene = Scene::playing();
    scene.wait(2_000);
    let stepped = Now {
        tick: scene.now().tick,
        unix_ms: scene.now().unix_ms + 3_600_000,
    };
    scene.view.follow(&scene.speaker, stepped);
    assert_eq!(scene.view.hand.ms(stepped.tick), 2_000);
    assert_eq!(scene.told.news(&scene.view, stepped.tick), []);
}

#[test]
fn a_pause_and_its_end_are_no_jumps() {
    let mut scene = Scene::playing();
    scene.wait(10_000);
    scene.playback(|one| one.state = PlayState::Paused);
    assert_eq!(words(&scene.news()), ["PlaybackStatus"]);
    scene.wait(60_000);
    scene.playback(|one| one.state = PlayState::Playing);
    assert_eq!(words(&scene.news()), ["PlaybackStatus"]);
    scene.wait(1_000);
    assert_eq!(scene.view.hand.ms(scene.now().tick), 11_000);
}

#[test]
fn a_track_that_loads_for_a_moment_plays_and_one_that_does_not_come_is_waited_for() {
    let mut scene = Scene::playing();
    scene.playback(|one| {
        one.state = PlayState::Loading;
        one.position_ms = 0;
    });
    scene.lists("ab", 'c', "");
    let told = words(&scene.news());
    assert!(
        told.contains(&"Metadata") && !told.contains(&"PlaybackStatus"),
        "{told:?}"
    );
    scene.wait(2_000);
    assert_eq!(scene.news(), []);
    scene.wait(2_000);
    assert_eq!(words(&scene.news()), ["PlaybackStatus", "Seeked"]);
    assert_eq!(scene.property("PlaybackStatus"), text("Paused"));
    // Whoever pressed play at what was shown as paused does not stop it.
    assert_eq!(scene.orders(Request::PlayPause), Ok(vec![Transport::Play]));
    scene.playback(|one| one.state = PlayState::Playing);
    assert_eq!(words(&scene.news()), ["PlaybackStatus"]);
}

#[test]
fn a_track_that_begins_elsewhere_than_at_its_beginning_is_told_with_its_place() {
    let mut scene = Scene::playing();
    scene.lists("ab", 'c', "");
    scene.playback(|one| one.position_ms = 30_000);
    let news = scene.news();
    assert!(news.contains(&Signal::Seeked(30_000_000)), "{news:?}");
    scene.wait(10_000);
    scene.lists("abc", 'd', "");
    scene.playback(|one| one.position_ms = 20);
    let told = words(&scene.news());
    assert!(!told.contains(&"Seeked"), "{told:?}");
    // The same once more, from its beginning.
    scene.wait(90_000);
    scene.news();
    scene.playback(|one| one.position_ms = 0);
    assert_eq!(scene.news(), [Signal::Seeked(0)]);
}

#[test]
fn lines_keep_their_names_while_the_list_moves() {
    let mut scene = Scene::playing();
    let before = scene.view.lines.ids();
    scene.lists("ab", 'c', "d");
    let told = words(&scene.news());
    let after = scene.view.lines.ids();
    assert_eq!(after[..3], before);
    assert!(
        told.contains(&"Added") && told.contains(&"Tracks"),
        "{told:?}"
    );
    // The one that was heard is still known.
    assert!(scene.view.lines.all[1].known.is_some());
    // The same track twice: each has its own name.
    scene.lists("abc", 'd', "Ad");
    scene.news();
    let twice = scene.view.lines.ids();
    assert_eq!(twice[..4], after);
    scene.lists("abcd", 'A', "d");
    scene.news();
    assert_eq!(scene.view.lines.ids(), twice);
    // Another list altogether.
    scene.lists("", 'q', "rstuvwxyz");
    let told = words(&scene.news());
    assert!(
        told.contains(&"Replaced") && !told.contains(&"Added"),
        "{told:?}"
    );
}

#[test]
fn a_title_that_comes_late_is_told() {
    let mut scene = Scene::playing();
    scene.lists("ab", 'c', "");
    scene.playback(|one| {
        let track = one.track.as_mut().expect("a track");
        (track.title, track.duration_ms) = (String::new(), 0);
    });
    scene.news();
    assert_eq!(scene.property("CanSeek"), Value::Bool(false));
    scene.lists("ab", 'c', "");
    let told = words(&scene.news());
    assert_eq!(told, ["Metadata", "CanSeek", "Described"]);
}

#[test]
fn each_call_becomes_the_orders_that_it_means() {
    let mut scene = Scene::playing();
    scene.wait(95_000);
    scene.playback(|_| {});
    scene.news();
    let one = |request| scene.orders(request).map(|mut all| all.pop());
    assert_eq!(
        one(Request::Seek(-9_000_000)),
        Ok(Some(Transport::SeekBy { ms: -9_000 }))
    );
    assert_eq!(one(Request::Seek(9_000_000)), Ok(Some(Transport::Next)));
    assert_eq!(one(Request::Seek(i64::MAX)), Ok(Some(Transport::Next)));
    assert!(one(Request::Seek(i64::MIN)).is_ok());
    assert_eq!(one(Request::PlayPause), Ok(Some(Transport::Pause)));
    let here = scene.view.lines.ids()[1].clone();
    let seek = Transport::Seek { position_ms: 7 };
    assert_eq!(
        one(Request::SetPosition(here.clone(), 7_900)),
        Ok(Some(seek))
    );
    for us in [-1, i64::MIN, 100_001_000, i64::MAX] {
        assert_eq!(one(Request::SetPosition(here.clone(), us)), Ok(None));
    }
    let other = scene.view.lines.ids()[2].clone();
    assert_eq!(one(Request::SetPosition(other.clone(), 7)), Ok(None));
    assert_eq!(one(Request::Rate(0.0)), Ok(Some(Transport::Pause)));
    assert_eq!(one(Request::Rate(1.0)), Ok(None));
    let mode = Repeat::Context;
    let repeat = Transport::Repeat { mode };
    assert_eq!(one(Request::Loop("Playlist".into())), Ok(Some(repeat)));
    assert_eq!(
        scene.orders(Request::GoTo(other)),
        Ok(vec![Transport::Next])
    );
    assert_eq!(one(Request::GoTo(here)), Ok(None));
    assert_eq!(one(Request::GoTo(NO_TRACK.into())), Ok(None));
    let add = |at_once| {
        scene
            .orders(Request::Add(uri('x'), at_once))
            .expect("a track")
    };
    assert_eq!((add(false).len(), add(true).len()), (1, 2));
    let before = scene.view.lines.ids()[0].clone();
    assert!(one(Request::GoTo(before)).is_err(), "there is no context");
}

#[test]
fn the_way_to_the_player_is_described() {
    let child = |path| introspect::at(path).expect("something");
    assert!(child("/").contains("<node name=\"org\"/>"));
    assert!(child("/org/mpris").contains("<node name=\"MediaPlayer2\"/>"));
    assert!(child("/org/mpris/MediaPlayer2").contains("TrackAdded"));
    for path in ["/or", "/org/mpris/MediaPlayer2/x", "/org/mprisX"] {
        assert_eq!(introspect::at(path), None, "{path}");
    }
}

proptest! {
    /// Whatever lists follow each other: names are each line's own, and whoever only listens to
    /// the signals knows the list.
    #[test]
    fn whoever_listens_knows_the_list(
        lists in proptest::collection::vec(("[a-dA-B]{0,6}", "[a-d]", "[a-dA-B]{0,8}"), 1..8)
    ) {
        let mut scene = Scene::playing();
        let mut known = scene.view.lines.ids();
        for (before, current, after) in lists {
            let current = current.chars().next().expect("one");
            scene.lists(&before, current, &after);
            for signal in scene.news() {
                match signal {
                    Signal::Replaced { ids, .. } => known = ids,
                    Signal::Removed(id) => known.retain(|one| *one != id),
                    Signal::Added { facts, after } => {
                        let Value::Path(id) = value(&facts, "mpris:trackid") else { panic!() };
                        let at = known.iter().position(|one| *one == after);
                        known.insert(at.map_or(0, |at| at + 1), id);
                    }
                    _ => {}
                }
            }
            let ids = scene.view.lines.ids();
            prop_assert_eq!(&known, &ids);
            let mut own = ids.clone();
            own.sort();
            own.dedup();
            prop_assert_eq!(own.len(), ids.len());
            let uris: Vec<_> = scene.view.lines.all.iter().map(|line| line.uri.clone()).collect();
            let letters = format!("{before}{current}{after}");
            let wanted: Vec<_> = letters.chars().map(uri).collect();
            prop_assert_eq!(uris, wanted);
        }
    }
}
