//! MPRIS: each speaker is a media player on D-Bus, for playerctl, desktops and panels. What they ask
//! has its effect in the app; what the app does, they are told once.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use spotify_sim::SimOptions;
use zbus::{DBusError, ObjectPath, OwnedObjectPath, OwnedVariant};

use crate::{
    ask::status_says,
    dbus::{
        BusDaemon, OBJECT, OPEN, PLAYER, PROPERTIES, ROOT, Remote, SISKIN, TRACKS, bus_at,
        on_the_bus, text,
    },
    lan::{NULL, play, plays, until},
    world::{PATIENCE, scenario, scenario_on, shows},
};

/// Waits until no signal has come for a while, and forgets those that had.
async fn quiet(remote: &Remote) {
    let end = Instant::now() + PATIENCE;
    loop {
        let before = remote.signals().len();
        tokio::time::sleep(Duration::from_millis(700)).await;
        if remote.signals().len() == before {
            return remote.forget_signals();
        }
        assert!(Instant::now() < end, "never quiet: {:?}", remote.signals());
    }
}

#[test]
fn playerctl_shows_and_steers_the_speaker() {
    scenario(async |world| {
        let bus = BusDaemon::start(&world, OPEN).await;
        let _daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&bus.address()));
        bus.tells("-l", "siskin").await;
        assert_eq!(bus.told("status").await, "Stopped");
        let app = plays(&world, "kim", "Dozen").await;
        bus.tells("status", "Playing").await;
        let state = app.state();
        let id = state.track_uri.rsplit(':').next().expect("an id");
        let facts = bus
            .told("metadata --format {{title}}|{{album}}|{{mpris:length}}|{{xesam:url}}")
            .await;
        let length = state.duration_ms * 1_000;
        let url = format!("https://open.spotify.com/track/{id}");
        assert_eq!(facts, format!("{}|Dozen|{length}|{url}", state.title));
        assert!(bus.told("metadata mpris:artUrl").await.starts_with("http"));
        assert!(!bus.told("metadata xesam:artist").await.is_empty());
        assert!(!bus.told("metadata xesam:albumArtist").await.is_empty());
        let at: f64 = bus.told("position").await.parse().expect("seconds");
        assert!((0.0..10.0).contains(&at), "{at}");

        bus.told("pause").await;
        bus.tells("status", "Paused").await;
        shows(&app, "a pause", |state| state.paused).await;
        bus.told("play").await;
        shows(&app, "music", |state| state.playing).await;
        bus.told("play-pause").await;
        shows(&app, "a pause", |state| state.paused).await;
        bus.tells("status", "Paused").await;
        bus.told("play-pause").await;
        shows(&app, "music", |state| state.playing).await;
        bus.tells("status", "Playing").await;

        bus.told("next").await;
        let first = state.track_uri;
        let second = shows(&app, "another track", |state| state.track_uri != first).await;
        bus.tells("metadata xesam:title", &second.title).await;
        bus.told("position 4").await;
        let near = |from: i64| move |ms: i64| (from..from + 2_500).contains(&ms);
        shows(&app, "4 s", |state| near(4_000)(state.position_ms)).await;
        bus.told("position 3-").await;
        shows(&app, "1 s", |state| near(1_000)(state.position_ms)).await;
        bus.told("previous").await;
        shows(&app, "the first track", |state| state.track_uri == first).await;

        bus.told("volume 0.4").await;
        bus.tells("volume", "0.400000").await;
        let level = |state: &spotify_sim::AppState| state.volume == Some(26_214);
        shows(&app, "40 %", level).await;
        bus.told("shuffle On").await;
        shows(&app, "shuffle", |state| state.shuffle).await;
        bus.tells("shuffle", "On").await;
        bus.told("shuffle Off").await;
        for (word, context, track) in [
            ("Playlist", true, false),
            ("Track", false, true),
            ("None", false, false),
        ] {
            bus.told(&format!("loop {word}")).await;
            bus.tells("loop", word).await;
            shows(&app, word, |state| {
                (state.repeat_context, state.repeat_track) == (context, track)
            })
            .await;
        }
        let other = world.sim.catalogue().titled("Staircase").uri();
        bus.told(&format!("open {other}")).await;
        shows(&app, "another album", |state| state.context_uri == other).await;
        bus.told("stop").await;
        bus.tells("status", "Stopped").await;
        shows(&app, "no active device", |state| state.active.is_none()).await;
    });
}

#[test]
fn what_changes_is_told_once_and_a_position_never_but_when_it_jumps() {
    scenario(async |world| {
        let bus = BusDaemon::start(&world, OPEN).await;
        let _daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&bus.address()));
        let remote = Remote::new(&bus, SISKIN).await;
        remote.finds().await;
        let app = plays(&world, "kim", "Staircase").await;
        quiet(&remote).await;
        // 90 s of music: whoever tells the position tells it now.
        let from: i64 = remote.get(PLAYER, "Position").await;
        let began = Instant::now();
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(remote.signals(), [""; 0], "nothing happened");
        let to: i64 = remote.get(PLAYER, "Position").await;
        let gone = i64::try_from(began.elapsed().as_micros()).expect("seconds");
        assert!((to - from - gone).abs() < 500_000, "{from} {to} {gone}");

        app.seek(30_000).await.expect("an answer");
        until("a jump", PATIENCE, || !remote.signals().is_empty()).await;
        quiet_but(&remote, &["Seeked"]).await;
        let to = remote.bodies::<i64>("Seeked")[0];
        assert!((29_900_000..31_500_000).contains(&to), "{to}");
        remote.forget_signals();

        for (act, told) in [
            ("pause", "Player: PlaybackStatus"),
            ("shuffle", "Player: Shuffle"),
            ("repeat", "Player: LoopStatus"),
            ("volume", "Player: Volume"),
            ("resume", "Player: PlaybackStatus"),
        ] {
            let reply = match act {
                "pause" => app.pause().await,
                "shuffle" => app.shuffle(true).await,
                "repeat" => app.repeat_track(true).await,
                "volume" => app.volume(13_107).await,
                _ => app.resume().await,
            };
            reply.expect("an answer");
            until(act, PATIENCE, || !remote.signals().is_empty()).await;
            quiet_but(&remote, &[told]).await;
            remote.forget_signals();
        }
        assert_eq!(remote.get::<f64>(PLAYER, "Volume").await, 0.2);
    });
}

/// Nothing but these has been told, and nothing more comes for a while.
async fn quiet_but(remote: &Remote, told: &[&str]) {
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(remote.signals(), told);
}

#[test]
fn what_spotify_does_not_allow_is_shown_while_it_holds() {
    let forbidden = ["disallow_skipping_next_reasons", "disallow_seeking_reasons"];
    let options = SimOptions {
        forbidden: forbidden.map(|key| ("Dozen".into(), key.into())).into(),
        ..SimOptions::default()
    };
    scenario_on(options, async |world| {
        let bus = BusDaemon::start(&world, OPEN).await;
        let _daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&bus.address()));
        let remote = Remote::new(&bus, SISKIN).await;
        remote.finds().await;
        let app = plays(&world, "kim", "Dozen").await;
        quiet(&remote).await;
        let can = async |what: &str| remote.get::<bool>(PLAYER, what).await;
        assert!(!can("CanGoNext").await && !can("CanSeek").await);
        assert!(can("CanGoPrevious").await && can("CanPause").await);
        let (name, text) = remote.refused(PLAYER, "Next", &()).await;
        assert!(name.ends_with(".siskin.Error.Restricted"), "{name}");
        assert!(text.contains("license"), "{text}");

        play(&world, &app, "Tones").await;
        until("buttons that can be pressed", PATIENCE, || {
            let told = remote.signals();
            ["CanGoNext", "CanSeek"]
                .iter()
                .all(|can| told.iter().any(|one| one.contains(can)))
        })
        .await;
        quiet(&remote).await;
        assert!(can("CanGoNext").await && can("CanSeek").await);
    });
}

#[test]
fn an_order_is_told_to_everybody_before_it_is_answered() {
    scenario(async |world| {
        let bus = BusDaemon::start(&world, OPEN).await;
        let _daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&bus.address()));
        let remote = Remote::new(&bus, SISKIN).await;
        remote.finds().await;
        plays(&world, "kim", "Staircase").await;
        quiet(&remote).await;
        remote.obeyed("Pause", &()).await;
        assert_eq!(remote.signals(), ["Player: PlaybackStatus"]);
        let status: String = remote.get(PLAYER, "PlaybackStatus").await;
        assert_eq!(status, "Paused");
        remote.forget_signals();
        remote.set("Volume", 0.5).await.expect("obeyed");
        assert_eq!(remote.signals(), ["Player: Volume"]);
        // Too loud is as loud as it goes; less than nothing is nothing.
        for (given, level) in [(7.0, 1.0), (-1.0, 0.0)] {
            remote.set("Volume", given).await.expect("obeyed");
            assert_eq!(remote.get::<f64>(PLAYER, "Volume").await, level);
        }
        remote.forget_signals();
        remote.set("Shuffle", true).await.expect("obeyed");
        remote.set("Shuffle", true).await.expect("obeyed");
        let told = remote.signals();
        let told: Vec<_> = told
            .iter()
            .filter(|one| *one == "Player: Shuffle")
            .collect();
        assert_eq!(told.len(), 1, "what is so already is no news");

        let here = remote.metadata("mpris:trackid").await;
        let here = ObjectPath::try_from(here).expect("a path");
        remote.forget_signals();
        remote.obeyed("SetPosition", &(&here, 20_000_000_i64)).await;
        assert_eq!(remote.bodies::<i64>("Seeked"), [20_000_000]);
        remote.obeyed("Seek", &-60_000_000_i64).await;
        assert_eq!(remote.bodies::<i64>("Seeked")[1], 0);
        remote.forget_signals();
        // About a track that is not the current one, or beside it: no effect.
        let old = ObjectPath::try_from("/org/siskin/track/9999").expect("a path");
        remote.obeyed("SetPosition", &(&old, 5_000_000_i64)).await;
        remote.obeyed("SetPosition", &(&here, -1_i64)).await;
        remote.obeyed("SetPosition", &(&here, i64::MAX)).await;
        remote.set("Rate", 1.0).await.expect("obeyed");
        assert_eq!(remote.get::<i64>(PLAYER, "Position").await, 0);
        assert_eq!(remote.signals(), [""; 0]);
    });
}

#[test]
fn the_list_of_tracks_is_shown_and_steers() {
    scenario(async |world| {
        let bus = BusDaemon::start(&world, OPEN).await;
        let _daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&bus.address()));
        let remote = Remote::new(&bus, SISKIN).await;
        remote.finds().await;
        assert_eq!(remote.lines().await, [""; 0]);
        let app = plays(&world, "kim", "Dozen").await;
        quiet(&remote).await;
        let lines = remote.lines().await;
        assert_eq!(lines.len(), 12, "{lines:?}");
        assert_eq!(remote.metadata("mpris:trackid").await, lines[0]);
        let paths: Vec<OwnedObjectPath> = lines
            .iter()
            .map(|line| line.as_str().try_into().expect("a path"))
            .collect();
        let asked = &paths[..2];
        let known = remote.call(TRACKS, "GetTracksMetadata", &asked).await;
        let known = known.expect("an answer").body();
        let known: Vec<BTreeMap<String, OwnedVariant>> = known.deserialize().expect("facts");
        let ids: Vec<_> = known
            .iter()
            .map(|facts| text(&facts["mpris:trackid"]))
            .collect();
        assert_eq!(ids, lines[..2]);
        assert!(known[0].contains_key("xesam:title"), "the current one");

        // Not the next one: from the album, as the app does it.
        remote
            .call(TRACKS, "GoTo", &paths[5])
            .await
            .expect("obeyed");
        let album = world.sim.catalogue().titled("Dozen");
        let sixth = album.tracks[5].uri();
        shows(&app, "the sixth track", |state| state.track_uri == sixth).await;
        assert_eq!(app.state().context_uri, album.uri());
        quiet(&remote).await;
        let here = remote.metadata("mpris:trackid").await;
        assert_eq!(here, lines[5], "a line keeps its name");

        let after = ObjectPath::try_from(here.as_str()).expect("a path");
        let queued = album.tracks[1].uri();
        let add = (queued.as_str(), &after, false);
        remote.call(TRACKS, "AddTrack", &add).await.expect("obeyed");
        shows(&app, "the queue", |state| state.queued == [queued.clone()]).await;
        until("the signal", PATIENCE, || {
            remote.signals().contains(&"TrackAdded".to_owned())
        })
        .await;
        let lines = remote.lines().await;
        let at = lines.iter().position(|line| *line == here).expect("there");
        assert!(!paths.iter().any(|path| path.as_str() == lines[at + 1]));
        // To the queued one, by skipping to it.
        let next = ObjectPath::try_from(lines[at + 1].as_str()).expect("a path");
        remote.call(TRACKS, "GoTo", &next).await.expect("obeyed");
        shows(&app, "the queued track", |state| state.track_uri == queued).await;
        // A line that is not there: no effect.
        let none = ObjectPath::try_from("/org/mpris/MediaPlayer2/TrackList/NoTrack");
        remote
            .call(TRACKS, "GoTo", &none.expect("a path"))
            .await
            .expect("obeyed");
        let (name, text) = remote.refused(TRACKS, "RemoveTrack", &next).await;
        assert!(
            name.ends_with(".NotSupported") && text.contains("queue"),
            "{text}"
        );
        assert_eq!(app.state().track_uri, queued);
    });
}

#[test]
fn an_idle_speaker_says_so_and_refuses_in_words() {
    scenario(async |world| {
        let bus = BusDaemon::start(&world, OPEN).await;
        let daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&bus.address()));
        let remote = Remote::new(&bus, SISKIN).await;
        remote.finds().await;
        assert!(
            !remote.get::<bool>(PLAYER, "CanPlay").await,
            "nobody is here"
        );
        let (name, text) = remote.refused(PLAYER, "Play", &()).await;
        assert!(name.ends_with(".siskin.Error.NobodySignedIn"), "{name}");
        assert!(text.contains("Spotify app"), "{text}");
        let app = world.sign_in("kim").await;
        status_says(&world, "ready").await;
        until("it can play", PATIENCE, || {
            remote.signals().iter().any(|told| told.contains("CanPlay"))
        })
        .await;
        for can in ["CanGoNext", "CanGoPrevious", "CanPause", "CanSeek"] {
            assert!(!remote.get::<bool>(PLAYER, can).await, "{can}");
        }
        assert!(remote.get::<bool>(PLAYER, "CanControl").await);
        for member in ["Next", "Previous", "Pause"] {
            let (name, text) = remote.refused(PLAYER, member, &()).await;
            assert!(name.ends_with(".siskin.Error.NotActive"), "{name}");
            assert!(text.contains("; "), "what, and what to do: {text}");
        }
        remote.obeyed("Stop", &()).await;
        // What the account plays elsewhere is not shown as if it was here, and comes when asked to.
        play(&world, &app, "Staircase").await;
        app.transfer_away().await.expect("an answer");
        bus.tells("status", "Stopped").await;
        let none = remote.metadata("mpris:trackid").await;
        assert!(none.ends_with("/NoTrack"), "{none}");
        remote.obeyed("Play", &()).await;
        bus.tells("status", "Playing").await;
        let (status, _) = daemon.stop().await;
        assert!(status.success());
        assert!(!remote.has_owner(SISKIN).await, "it has left");
    });
}

#[test]
fn wrong_calls_are_told_why_and_change_nothing() {
    scenario(async |world| {
        let bus = BusDaemon::start(&world, OPEN).await;
        let mut daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&bus.address()));
        let remote = Remote::new(&bus, SISKIN).await;
        remote.finds().await;
        plays(&world, "kim", "Staircase").await;
        quiet(&remote).await;
        let is = |told: (String, String), name: &str| {
            let whole = format!("org.freedesktop.DBus.Error.{name}");
            assert_eq!(told.0, whole, "{}", told.1);
            assert!(told.1.contains(' '), "a sentence: {}", told.1);
        };
        let invalid = "InvalidArgs";
        is(remote.refused(PLAYER, "Seek", &"far").await, invalid);
        is(remote.refused(PLAYER, "Seek", &()).await, invalid);
        is(remote.refused(PLAYER, "Next", &1_u32).await, invalid);
        is(
            remote.refused(PLAYER, "SetPosition", &("x", 1_i64)).await,
            invalid,
        );
        for uri in [
            "",
            "Staircase",
            "file:///etc/passwd",
            "spotify:track:../../x",
        ] {
            is(remote.refused(PLAYER, "OpenUri", &uri).await, invalid);
        }
        is(remote.refused(PLAYER, "Dance", &()).await, "UnknownMethod");
        is(
            remote.refused("org.example.Dance", "Next", &()).await,
            "UnknownInterface",
        );
        is(remote.refused(ROOT, "Quit", &()).await, "NotSupported");
        is(remote.refused(ROOT, "Raise", &()).await, "NotSupported");
        let get = |name: &'static str| (PLAYER, name);
        is(
            remote.refused(PROPERTIES, "Get", &get("Mood")).await,
            "UnknownProperty",
        );
        is(
            remote.refused(PROPERTIES, "Get", &("org.x.Y", "Z")).await,
            "UnknownInterface",
        );
        let value = |name: &'static str, value: zbus::Variant<'static>| (PLAYER, name, value);
        for (name, to, error) in [
            ("Position", zbus::Variant::from(1_i64), "PropertyReadOnly"),
            ("PlaybackStatus", "Paused".into(), "PropertyReadOnly"),
            ("Mood", "blue".into(), "UnknownProperty"),
            ("Volume", "loud".into(), invalid),
            ("Volume", f64::NAN.into(), invalid),
            ("LoopStatus", "Twice".into(), invalid),
            ("Shuffle", 1_i64.into(), invalid),
            ("Rate", 2.0.into(), invalid),
        ] {
            is(
                remote.refused(PROPERTIES, "Set", &value(name, to)).await,
                error,
            );
        }
        let other =
            remote
                .connection
                .call_method(Some(SISKIN), "/org/mpris", Some(PLAYER), "Next", &());
        let error = other.await.expect_err("nothing is there").to_string();
        assert!(error.contains(OBJECT), "{error}");
        assert_eq!(remote.signals(), [""; 0], "nothing has changed");
        assert_eq!(bus.told("status").await, "Playing");
        assert!(daemon.is_running());

        // As debuggers look at it: the description holds what is there.
        let name = SISKIN.to_owned();
        let tree = tokio::process::Command::new("busctl")
            .arg(format!("--address={}", bus.address()))
            .args(["introspect", &name, OBJECT])
            .output()
            .await
            .expect("busctl is there: scripts/setup.sh test installs it");
        let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
        for word in [
            ".Identity",
            ".PlaybackStatus",
            ".Seeked",
            ".TrackAdded",
            "\"Kitchen\"",
        ] {
            assert!(tree.contains(word), "{word}: {tree}");
        }
    });
}

#[test]
fn calls_that_pile_up_are_all_answered_and_a_slider_ends_where_it_was_let_go() {
    scenario(async |world| {
        let bus = BusDaemon::start(&world, OPEN).await;
        let mut daemon = world.start_with(&on_the_bus(&world, NULL), bus_at(&bus.address()));
        let remote = Remote::new(&bus, SISKIN).await;
        remote.finds().await;
        let app = plays(&world, "kim", "Staircase").await;
        let drawn = (0..100).map(|level| remote.set("Volume", f64::from(level) / 200.0));
        for drawn in futures_util::future::join_all(drawn).await {
            drawn.expect("no place of a slider is refused");
        }
        assert_eq!(remote.get::<f64>(PLAYER, "Volume").await, 0.5);
        let pressed = (0..200).map(|_| remote.call(PLAYER, "PlayPause", &()));
        let mut obeyed = 0;
        for pressed in futures_util::future::join_all(pressed).await {
            match pressed {
                Ok(_) => obeyed += 1,
                Err(zbus::Error::FDO(error)) => {
                    let name = error.name().to_string();
                    assert!(name.ends_with("LimitsExceeded"), "{error}");
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(obeyed > 0);
        remote.obeyed("Play", &()).await;
        shows(&app, "music", |state| state.playing).await;
        bus.tells("status", "Playing").await;
        assert!(daemon.is_running());
    });
}
