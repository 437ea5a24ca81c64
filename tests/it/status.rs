//! `siskin status`: what the speakers do, in words and as JSON.

use std::{
    fs,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::Value;
use spotify_sim::{Fault, Place, Then};

use crate::{
    ask::{ask, has_no_secret, siskin, status_says},
    lan::{NULL, play, plays, until},
    world::{PATIENCE, pipe_to, scenario, shows},
};

#[test]
fn without_a_daemon_it_says_so_and_how_to_start_one() {
    scenario(async |world| {
        fs::write(world.dir().join("config.toml"), world.settings(NULL)).expect("written");
        let said = siskin(&world, &["status"]).await;
        assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
        assert!(
            said.err.starts_with("siskin: no siskin runs here"),
            "{said:?}"
        );
        assert!(said.err.contains("\n  help: start it with: siskin run"));
        // Nor where one is killed, and only its socket is left.
        let mut daemon = world.start(&world.settings(NULL));
        status_says(&world, "Kitchen").await;
        daemon.signal(Signal::SIGKILL);
        daemon.ended(PATIENCE).await;
        assert_eq!(siskin(&world, &["status"]).await.code, Some(1));
    });
}

#[test]
fn a_level_and_a_pause_are_shown_without_a_touch_also_while_the_session_is_away() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let state = async || ask(&world, "GET", "/api/v1/speakers/main", None).await.json;
        let comes_to = async |what: &str, is_so: &dyn Fn(&Value) -> bool| {
            let end = Instant::now() + PATIENCE;
            loop {
                let now = state().await;
                if is_so(&now) {
                    break now;
                }
                assert!(Instant::now() < end, "never {what}: {now}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let app = world.sign_in("kim").await;
        comes_to("a level", &|now| now["volume_percent"] == 30).await;
        play(&world, &app, "Staircase").await;
        app.pause().await.expect("an answer");
        let paused = |now: &Value| now["playback"]["state"] == "paused";
        comes_to("a pause", &paused).await;
        let away = Fault::on(Place::ApLogin).forever().then(Then::Drop);
        world.sim.faults().add(away);
        world.sim.drop_access_points();
        let lost = comes_to("a loss", &|now| now["phase"] == "retrying").await;
        assert!(paused(&lost) && lost["volume_percent"] == 30, "{lost}");
        world.sim.faults().clear();
        daemon.says("over: spotify unreachable").await;
        let again = comes_to("a session", &|now| now["phase"] == "online").await;
        assert!(paused(&again) && again["volume_percent"] == 30, "{again}");
    });
}

#[test]
fn from_nobody_to_music_to_a_pause_it_says_what_is_so() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        status_says(&world, "Kitchen: waiting to be picked in the Spotify app\n").await;
        let found = world.find().await;
        status_says(&world, &format!("  announced at 127.0.0.1:{}", found.port)).await;
        let app = world.sign_in("kim").await;
        status_says(&world, "Kitchen: ready, Kim is signed in\n").await;
        play(&world, &app, "Staircase").await;
        let said = status_says(&world, "Kitchen: playing, Kim is signed in\n").await;
        assert!(
            said.contains("Staircase") && said.contains("volume 30 %"),
            "{said}"
        );
        assert!(said.contains("[") && said.contains(" / "), "{said}");
        // The bar moves without a word from Spotify.
        status_says(&world, " 0:02 / ").await;
        status_says(&world, " 0:03 / ").await;
        app.volume(65_535).await.expect("an answer");
        status_says(&world, "volume 100 %").await;
        app.pause().await.expect("an answer");
        let one = status_says(&world, "Kitchen: paused, Kim is signed in\n").await;
        let paused = Instant::now();
        while paused.elapsed() < Duration::from_millis(1_200) {
            let again = siskin(&world, &["status"]).await.out;
            assert_eq!(again, one, "a pause stands still");
        }
        daemon.stop().await;
        assert_eq!(siskin(&world, &["status"]).await.code, Some(1));
    });
}

#[test]
fn json_is_the_same_truth_and_holds_no_secret() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Staircase").await;
        app.pause().await.expect("an answer");
        shows(&app, "a pause", |state| state.paused).await;
        status_says(&world, "Kitchen: paused, Kim is signed in").await;
        // What looks after itself (presence, how much lies ready) settles within moments.
        let until = Instant::now() + PATIENCE;
        let (told, house) = loop {
            let told = ask(&world, "GET", "/api/v1/status", None).await;
            let said = siskin(&world, &["status", "--json"]).await;
            let house: Value = serde_json::from_str(&said.out).expect("JSON");
            let settled = house["speakers"][0]["presence"]["endpoint"]["state"] == "ok";
            if settled && told.json == house || Instant::now() > until {
                break (told, house);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert_eq!((told.status, &told.json), (200, &house));
        let speaker = &house["speakers"][0];
        assert_eq!(speaker["name"], "Kitchen");
        assert_eq!(speaker["phase"], "online");
        assert_eq!(speaker["account"]["user"], "kim");
        assert_eq!(speaker["playback"]["state"], "paused");
        let one = ask(&world, "GET", "/api/v1/speakers/main", None).await;
        assert_eq!((one.status, &one.json), (200, speaker));
        let said = siskin(&world, &["status", "kitch", "--json"]).await;
        assert_eq!(
            serde_json::from_str::<Value>(&said.out).expect("JSON"),
            *speaker
        );
        has_no_secret(&world, &told.json.to_string());
    });
}

#[test]
fn a_speaker_is_found_by_the_beginning_of_its_name_and_unknown_ones_are_told() {
    scenario(async |world| {
        let speaker = |id: &str, name: &str| {
            format!(
                "[[speaker]]\nid = \"{id}\"\nname = \"{name}\"\n[speaker.output]\nkind = \"null\"\n"
            )
        };
        let all = [
            speaker("k", "Kitchen"),
            speaker("b1", "Bathroom"),
            speaker("b2", "Bath"),
        ];
        let settings = world.settings("") + &all.concat();
        let _daemon = world.start(&settings);
        let said = status_says(&world, "Bath: ").await;
        let at = |words: &str| said.find(words).expect("each of them");
        assert!(at("Kitchen: ") < at("Bathroom: ") && at("Bathroom: ") < at("Bath: "));
        let of = async |name: &str| siskin(&world, &["status", name]).await;
        assert!(of("KIT").await.out.starts_with("Kitchen: "));
        assert!(of("bath").await.out.starts_with("Bath: "), "exactly so");
        assert!(of("b1").await.out.starts_with("Bathroom: "));
        let said = of("b").await;
        assert_eq!(said.code, Some(1));
        assert!(
            said.err.contains("say which: Bathroom (b1), Bath (b2)"),
            "{said:?}"
        );
        let said = of("attic").await;
        assert_eq!(said.code, Some(1));
        assert!(
            said.err.contains("there is no speaker \"attic\""),
            "{said:?}"
        );
        assert!(
            said.err.contains("help: there is: Kitchen (k),"),
            "{said:?}"
        );
    });
}

#[test]
fn each_trouble_is_told_with_reason_and_cure_until_it_is_over() {
    scenario(async |world| {
        let path = world.dir().join("music");
        let daemon = world.start(&world.settings(&pipe_to(&path)));
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "fred").await, 202);
        let said = status_says(&world, "- fr*** could not be signed in (since ").await;
        assert!(
            said.contains("\n      why:  ") && said.contains("Premium"),
            "{said}"
        );
        assert!(said.contains("\n      help: pick the speaker with a Premium account\n"));
        // Nobody reads the pipe.
        let app = world.sign_in("kim").await;
        let said = status_says(&world, "Kim is signed in").await;
        assert!(
            !said.contains("fr***"),
            "over with the next sign-in: {said}"
        );
        let album = world.sim.catalogue().titled("Tones").uri();
        app.play(&album, Default::default())
            .await
            .expect("an answer");
        daemon.says("output_lost").await;
        let said = status_says(&world, "  ! ").await;
        assert!(
            said.contains("(since ") && said.contains("      help: "),
            "{said}"
        );
        let reader = std::thread::spawn(move || fs::File::open(path).map(std::io::read_to_string));
        daemon.says("over: output lost").await;
        until("the trouble is over", PATIENCE, || {
            crate::lan::count(&daemon, "over: output lost") == 1
        })
        .await;
        assert!(!siskin(&world, &["status"]).await.out.contains("  ! "));
        drop(daemon);
        let _ = reader.join();
    });
}

#[test]
fn a_lost_spotify_and_a_wrong_file_are_told_while_siskin_waits() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        plays(&world, "kim", "Staircase").await;
        world.sim.go_dark().await;
        daemon.says("spotify_unreachable").await;
        let said = status_says(&world, "! Spotify cannot be reached").await;
        assert!(said.contains("Kitchen: signing Kim in"), "{said}");
        assert!(said.contains("Staircase"), "the music goes on: {said}");
        world.sim.come_back().await.expect("the port is free");
        status_says(&world, "Kitchen: playing, Kim is signed in").await;
        // A file with a mistake keeps nobody from asking, and the daemon tells of it.
        let wrong = world.settings(NULL).replace("name =", "nmae =");
        fs::write(world.dir().join("config.toml"), wrong).expect("written");
        daemon.signal(Signal::SIGHUP);
        daemon.says("config_rejected").await;
        let state = world.dir().join("state");
        let said = siskin(&world, &["status", "--state-dir", &state.to_string_lossy()]).await;
        assert!(
            said.out
                .contains("The daemon itself:\n  - the changed configuration")
        );
        assert!(said.out.contains("nmae"), "{said:?}");
    });
}
