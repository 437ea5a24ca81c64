//! A household on one speaker: who may come, who goes back, and what holds for whom.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use nix::sys::signal::Signal;
use spotify_sim::{Fault, Place, PlayOptions, Then, phone::Found, phone::Login};

use crate::{
    lan::{NULL, count, fifo, one_engine, play, plays, until},
    world::{Daemon, PATIENCE, World, hears, pipe_to, scenario, shows},
};

/// Takes other settings over, and waits until they hold.
async fn reload(world: &World, daemon: &Daemon, more: &str) {
    const TAKEN: &str = "the configuration is taken over";
    let before = count(daemon, TAKEN);
    let settings = world.settings(&format!("{more}\n{NULL}"));
    fs::write(world.dir().join("config.toml"), settings).expect("written");
    daemon.signal(Signal::SIGHUP);
    until("the settings hold", PATIENCE, || {
        count(daemon, TAKEN) > before
    })
    .await;
}

/// From an hour ago until in an hour, in UTC, whatever the hour is.
fn quiet_now() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let hour = since.expect("after 1970").as_secs() / 3600 % 24;
    format!(
        "quiet_hours = \"{:02}:00-{:02}:00\"",
        (hour + 23) % 24,
        (hour + 2) % 24
    )
}

/// Whom the speaker tells that it belongs to.
async fn sits(world: &World, found: &Found) -> String {
    world.info(found).await.active_user
}

/// What a row of the policy table expects: whether a stranger may come while music plays, and
/// while none does.
const TABLE: [(&str, bool, bool); 5] = [
    ("guests = \"open\"", true, true),
    ("guests = \"idle-only\"", false, true),
    ("guests = \"household\"", false, false),
    ("guests = \"locked\"", false, false),
    ("quiet", false, false),
];

/// Kim owns the speaker, alex is of the house, noa is a stranger, and fred one with a Free account.
/// Under every policy, and while music plays and while none does: the household is let in, whoever
/// is refused is answered so without a word to Spotify, and nothing changes for the others. That a
/// policy changes is no reason to touch the engine.
#[test]
fn the_policy_decides_who_may_come_and_a_refusal_changes_nothing() {
    scenario(async |world| {
        let daemon = world.start_with(&world.settings(NULL), |it| {
            it.env("TZ", "UTC");
        });
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "alex").await, 101);
        for (policy, while_playing, while_idle) in TABLE {
            let kim = plays(&world, "kim", "Staircase").await;
            let engine = one_engine(&daemon).await;
            let policy = if policy == "quiet" {
                &quiet_now()
            } else {
                policy
            };
            reload(&world, &daemon, policy).await;
            for may_come in [while_playing, while_idle] {
                let mark = world.sim.record().mark();
                // Spotify would not let him in either: whether he was tried tells what the house said.
                assert_eq!(world.hand_over(&found, "fred").await, 202, "{policy}");
                if !may_come {
                    assert_eq!(world.hand_over(&found, "noa").await, 202, "{policy}");
                }
                let asked = world.sim.record().since(mark);
                let tried = asked
                    .iter()
                    .filter(|entry| entry.place == Place::ApLogin)
                    .count();
                assert_eq!(tried, usize::from(may_come), "{policy}");
                assert_eq!(sits(&world, &found).await, "kim");
                assert_eq!(one_engine(&daemon).await, engine, "{policy}");
                if kim.state().playing {
                    kim.pause().await.expect("an answer");
                    shows(&kim, "a pause", |state| !state.playing).await;
                }
            }
            // The household always may, in the middle of music too.
            assert_eq!(world.hand_over(&found, "kim").await, 101, "{policy}");
            play(&world, &kim, "Tones").await;
            assert_eq!(world.hand_over(&found, "alex").await, 101, "{policy}");
            assert_eq!(sits(&world, &found).await, "alex");
        }
        daemon.says("was not let in").await;
    });
}

#[test]
fn nobody_on_the_network_signs_a_speaker_out_that_takes_no_strangers() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let kim = plays(&world, "kim", "Staircase").await;
        let found = world.find().await;
        for guests in ["locked", "household"] {
            reload(&world, &daemon, &format!("guests = \"{guests}\"")).await;
            let answer = world.phone.reset_users(&found).await.expect("an answer");
            assert_eq!(answer.status(), Some(104), "{guests}");
            assert_eq!(answer.status_string(), Some("ERROR-NOT-IMPLEMENTED"));
            assert_eq!(world.hand_over(&found, "alex").await, 202, "{guests}");
            assert_eq!(sits(&world, &found).await, "kim");
            assert!(kim.state().playing);
        }
        reload(&world, &daemon, "guests = \"open\"").await;
        let answer = world.phone.reset_users(&found).await.expect("an answer");
        assert_eq!(answer.status(), Some(101));
        assert_eq!(sits(&world, &found).await, "");
    });
}

#[test]
fn the_first_one_in_an_empty_house_is_its_household() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(&format!("guests = \"household\"\n{NULL}")));
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        assert_eq!(world.hand_over(&found, "alex").await, 202);
        assert_eq!(sits(&world, &found).await, "kim");
    });
}

#[test]
fn a_guest_who_plays_nothing_gives_the_speaker_back_also_after_a_restart() {
    scenario(async |world| {
        let patient = world.settings(&format!("guest_timeout = \"1h\"\n{NULL}"));
        let daemon = world.start(&patient);
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        let noa = plays(&world, "noa", "Staircase").await;
        reload(&world, &daemon, "guest_timeout = \"1s\"").await;
        // Whoever plays may stay, for much longer than that.
        let now = noa.state().position_ms;
        until("two seconds of music", PATIENCE, || {
            noa.state().position_ms > now + 2_000
        })
        .await;
        assert_eq!(sits(&world, &found).await, "noa");
        reload(&world, &daemon, "guest_timeout = \"1h\"").await;
        noa.pause().await.expect("an answer");
        shows(&noa, "a pause", |state| !state.playing).await;
        daemon.stop().await;

        let impatient = world.settings(&format!("guest_timeout = \"1s\"\n{NULL}"));
        let daemon = world.start(&impatient);
        world.listed("noa").await;
        world.listed("kim").await;
        let gone = noa.wait_until_gone("Kitchen", PATIENCE).await;
        gone.unwrap_or_else(|error| panic!("{error}"));
        one_engine(&daemon).await;
        let found = world.find().await;
        assert_eq!(sits(&world, &found).await, "kim");
    });
}

#[test]
fn a_guest_whose_owner_is_refused_stays_and_it_is_said_why() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(&format!("guest_timeout = \"1s\"\n{NULL}")));
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        world.sim.users().revoke("kim");
        assert_eq!(world.hand_over(&found, "noa").await, 101);
        let told = daemon.says("guest_refused").await;
        assert!(
            told.contains("ki***") && told.contains("refused the login"),
            "{told}"
        );
        assert_eq!(sits(&world, &found).await, "noa");
        one_engine(&daemon).await;
    });
}

#[test]
fn thirty_switches_between_five_accounts_some_failing_leave_the_last_good_one() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let users = ["kim", "alex", "sam", "noa", "fred"];
        // Any order will do, as long as it is the same every time.
        let turns = (0..30).map(|turn: usize| (turn, users[(turn * 7 + turn / 5) % users.len()]));
        let mut last = String::new();
        for (turn, user) in turns {
            let wrong = turn % 4 == 3;
            let status = if wrong {
                let login = Login::password("not the password");
                world.hand_over_as(&found, user, &login).await
            } else {
                world.hand_over(&found, user).await
            };
            // Whoever sits there already is not asked for his password again.
            let fails = user == "fred" || (wrong && user != last);
            assert_eq!(status, if fails { 202 } else { 101 }, "turn {turn}, {user}");
            if !fails {
                last = user.to_owned();
            }
            assert_eq!(sits(&world, &found).await, last, "turn {turn}, {user}");
        }
        world.listed(&last).await;
        for user in users.into_iter().filter(|user| *user != last) {
            let app = world.sim.controller(user);
            let gone = app.wait_until_gone("Kitchen", PATIENCE).await;
            gone.unwrap_or_else(|error| panic!("{error}"));
        }
        one_engine(&daemon).await;
    });
}

#[test]
fn sign_ins_are_a_second_apart_however_fast_phones_ask() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let begun = Instant::now();
        for user in ["kim", "alex", "sam", "noa"] {
            assert_eq!(world.hand_over(&found, user).await, 101);
        }
        assert!(
            begun.elapsed() >= Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
    });
}

#[test]
fn an_account_with_a_cap_is_never_louder_than_that() {
    scenario(async |world| {
        let fifo = fifo();
        let own = "[[account]]\nuser = \"kim\"\nmax_volume = 25\n";
        let settings = world
            .settings(&pipe_to(fifo.path()))
            .replace("start = 100", "start = 100\ncurve = \"linear\"");
        let _daemon = world.start(&(settings + own));
        let mut peaks = Vec::new();
        for user in ["alex", "kim"] {
            let app = plays(&world, user, "Tones").await;
            let hasty = app.within(Duration::from_secs(1));
            let shown = hasty.volume(65_535).await.is_ok();
            assert_eq!(shown, user == "alex", "what is shown is what holds");
            let from = fifo.capture().len() + 22_050;
            hears(&fifo, from + 44_100).await;
            let heard = &fifo.capture()[from..from + 44_100];
            peaks.push(heard.iter().map(|frame| frame[0].abs()).fold(0.0, f32::max));
        }
        let ratio = peaks[1] / peaks[0];
        assert!((0.2..0.27).contains(&ratio), "{peaks:?}");
    });
}

/// How many levels are kept in this folder and those in it.
fn levels(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("a folder").flatten();
    entries
        .map(|entry| match entry.path() {
            inner if inner.is_dir() => levels(&inner),
            file => {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                usize::from(name.starts_with("level-") && name.ends_with(".json"))
            }
        })
        .sum()
}

#[test]
fn everybody_finds_the_level_he_left_the_speaker_at() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        for (kept, (user, level)) in [("kim", 10_000), ("alex", 50_000)].into_iter().enumerate() {
            let app = world.sign_in(user).await;
            let context = world.sim.catalogue().titled("Tones").uri();
            app.play(&context, PlayOptions::default())
                .await
                .expect("an answer");
            app.volume(level).await.expect("an answer");
            shows(&app, "the level", |state| state.volume == Some(level)).await;
            until("a level that is kept", PATIENCE, || {
                levels(&world.dir().join("state")) == kept + 1
            })
            .await;
        }
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        let kim = world.listed("kim").await;
        let shown = kim.devices();
        let shown = shown
            .iter()
            .find(|device| device.name == "Kitchen")
            .expect("listed")
            .volume;
        assert!((9_000..11_000).contains(&shown), "{shown}");
        drop(daemon);
    });
}

/// What an access point answers, and what the speaker calls it.
const VERDICTS: [(i32, &str, &str); 4] = [
    (
        12,
        "login_refused",
        "pick the speaker in the Spotify app again",
    ),
    (11, "not_premium", "Premium"),
    (9, "wrong_country", "set the country"),
    (15, "login_pending", "confirm"),
];

#[test]
fn each_refusal_of_a_kept_login_has_a_name_a_reason_and_a_cure() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        world.sign_in("kim").await;
        daemon.stop().await;
        for (code, name, cure) in VERDICTS {
            let no = Fault::on(Place::ApLogin).of("kim");
            world.sim.faults().add(no.then(Then::LoginError(code)));
            let mut daemon = world.start(&world.settings(NULL));
            let told = daemon.says(name).await;
            assert!(told.contains(cure), "{told}");
            assert!(world.sim.faults().is_empty() && daemon.is_running());
            // Nothing is tried again, and a new login helps.
            let found = world.find().await;
            assert_eq!(world.hand_over(&found, "kim").await, 101);
            daemon
                .says(&format!("over: {}", name.replace('_', " ")))
                .await;
            daemon.stop().await;
        }
    });
}

#[test]
fn an_account_that_loses_premium_while_it_plays_is_told_so_by_name() {
    scenario(async |world| {
        let mut daemon = world.start(&world.settings(NULL));
        plays(&world, "kim", "Staircase").await;
        world.sim.change_product("kim", "free");
        let told = daemon.says("not_premium").await;
        assert!(told.contains("Premium"), "{told}");
        until("no engine", PATIENCE, || daemon.engines().is_empty()).await;
        assert!(daemon.is_running());
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "alex").await, 101);
        daemon.says("over: not premium").await;
    });
}

#[test]
fn an_account_without_audio_keys_is_told_so_remembered_and_cleared_by_one_success() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let vera = world.sign_in("vera").await;
        let context = world.sim.catalogue().titled("Tones").uri();
        vera.play(&context, PlayOptions::default())
            .await
            .expect("an answer");
        let told = daemon.says("account_keys_refused").await;
        assert!(
            told.contains("December 2024") && told.contains("ve***") && told.contains("with code"),
            "{told}"
        );
        daemon.stop().await;

        // It is not asked for a key again within a day, whoever presses play.
        let asked = world.sim.record().count(Place::AudioKey);
        let daemon = world.start(&world.settings(NULL));
        daemon.says("account_keys_refused").await;
        world
            .sim
            .users()
            .change("vera", |user| user.audio_keys = true);
        let vera = world.listed("vera").await;
        vera.play(&context, PlayOptions::default())
            .await
            .expect("an answer");
        daemon.says("the keys of three tracks").await;
        assert_eq!(world.sim.record().count(Place::AudioKey), asked);
        daemon.stop().await;

        a_day_passes(&world);
        let daemon = world.start(&world.settings(NULL));
        daemon.says("account_keys_refused").await;
        let vera = world.listed("vera").await;
        vera.play(&context, PlayOptions::default())
            .await
            .expect("an answer");
        daemon.says("over: account keys refused").await;
    });
}

/// For the one account that is kept, since it was asked for a key.
fn a_day_passes(world: &World) {
    let folder = world.dir().join("state/accounts");
    let file = std::fs::read_dir(folder).expect("a folder").next();
    let file = file.expect("an account").expect("an entry").path();
    let kept = std::fs::read(&file).expect("an account");
    let mut kept: serde_json::Value = serde_json::from_slice(&kept).expect("JSON");
    let asked = kept["keys"]["refused"]["asked_ms"]
        .as_i64()
        .expect("a moment");
    kept["keys"]["refused"]["asked_ms"] = (asked - 24 * 3_600_000).into();
    std::fs::write(&file, kept.to_string()).expect("written");
}

#[test]
fn a_single_blocked_track_is_not_the_accounts_fault() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let kim = plays(&world, "kim", "Tones").await;
        // The daemon hears of playing music every five seconds.
        until("music", PATIENCE, || kim.state().position_ms > 5_500).await;
        let no = Fault::on(Place::AudioKey).of("kim");
        world.sim.faults().add(no);
        kim.next().await.expect("an answer");
        until("the key is refused", PATIENCE, || {
            world.sim.faults().is_empty()
        })
        .await;
        shows(&kim, "another track", |state| state.playing).await;
        assert_eq!(count(&daemon, "account_keys_refused"), 0);
    });
}
