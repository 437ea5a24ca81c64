//! What lasts from one start to the next.

use std::{fs, os::unix::fs::PermissionsExt};

use spotify_sim::PlayOptions;

use crate::world::{Daemon, PATIENCE, World, scenario, shows};

const NULL: &str = "[output]\nkind = \"null\"\n";

#[test]
fn after_a_restart_the_account_is_signed_in_without_a_phone() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let app = world.sign_in("kim").await;
        let album = world.sim.catalogue().titled("Tones").uri();
        app.play(&album, PlayOptions::default())
            .await
            .expect("an answer");
        shows(&app, "a playing track", |state| state.playing).await;
        let level = 20_000;
        app.volume(level).await.expect("an answer");
        shows(&app, "the new level", |state| state.volume == Some(level)).await;
        let (status, log) = daemon.stop().await;
        assert!(status.success(), "{status}");
        app.wait_until_gone("Kitchen", PATIENCE)
            .await
            .expect("gone from the app");
        assert!(log.len() <= 20, "{} lines:\n{}", log.len(), log.join("\n"));

        let again = world.start(&world.settings(NULL));
        let app = world.listed("kim").await;
        let shown = app
            .wait_for_device("Kitchen", PATIENCE)
            .await
            .expect("listed");
        assert_eq!(shown.id, world.info(&world.find().await).await.device_id);
        assert_eq!(
            shown.volume, level,
            "the level of before, from the first moment"
        );
        assert_eq!(world.find().await.instance, found.instance);
        drop(again);
    });
}

/// A daemon that is killed, and started again as a supervisor would.
async fn killed(world: &World, daemon: Daemon, settings: &str) -> Daemon {
    daemon.signal(nix::sys::signal::Signal::SIGKILL);
    let mut daemon = daemon;
    daemon.ended(PATIENCE).await;
    world.start(settings)
}

#[test]
fn music_goes_on_when_the_daemon_was_killed_and_not_when_it_was_stopped() {
    scenario(async |world| {
        let fifo = crate::lan::fifo();
        let settings = world.settings(&crate::world::pipe_to(fifo.path()));
        let daemon = world.start(&settings);
        let app = crate::lan::plays(&world, "kim", "Staircase").await;
        assert!(app.seek(20_000).await.expect("an answer").success);
        let played = shows(&app, "that place", |state| state.position_ms >= 20_000).await;
        // More than a second of it.
        crate::world::hears(&fifo, fifo.capture().len() + 44_100).await;
        let daemon = killed(&world, daemon, &settings).await;
        daemon.says("what played when siskin was ended").await;
        let again = shows(&app, "music", |state| state.playing).await;
        assert_eq!(again.track_uri, played.track_uri);
        let gone = again.position_ms - played.position_ms;
        assert!((700..3_500).contains(&gone), "{gone} ms further on");

        // What was paused is there, and waits.
        assert!(app.pause().await.expect("an answer").success);
        let played = shows(&app, "a pause", |state| state.paused).await;
        let daemon = killed(&world, daemon, &settings).await;
        daemon.says("what played when siskin was ended").await;
        let again = shows(&app, "a pause", |state| {
            state.paused && state.track_uri == played.track_uri
        })
        .await;
        assert!(again.position_ms.abs_diff(played.position_ms) < 500);
        assert!(app.resume().await.expect("an answer").success);
        shows(&app, "music", |state| state.playing).await;

        // Somebody wanted an end.
        daemon.stop().await;
        let daemon = world.start(&settings);
        world.listed("kim").await;
        assert!(!daemon.log().join("\n").contains("ended by force"));
        assert!(!app.state().playing);
    });
}

#[test]
fn what_is_kept_is_the_lasting_credential_for_its_owner_only() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let info = world.info(&found).await;
        let kim = world.sim.users().get("kim").expect("a user");
        let login = spotify_sim::phone::Login::password(&kim.password);
        let answer = world
            .phone
            .add_user(&found, &info, "kim", &login)
            .await
            .expect("an answer");
        assert_eq!(answer.status(), Some(101));
        world.listed("kim").await;
        let (_, log) = daemon.stop().await;
        let kept = fs::read_dir(world.dir().join("state/accounts")).expect("a folder");
        let files: Vec<_> = kept.map(|file| file.expect("a file").path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        let mode = fs::metadata(&files[0])
            .expect("its mode")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(&files[0]).expect("text");
        assert!(!text.contains(&kim.password));
        let log = log.join("\n");
        assert!(
            !log.contains("kim") && !log.contains(&kim.password),
            "{log}"
        );
    });
}

#[test]
fn a_damaged_account_is_set_aside_and_the_speaker_waits_for_a_phone() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        world.sign_in("kim").await;
        daemon.stop().await;
        let accounts = world.dir().join("state/accounts");
        let file = fs::read_dir(&accounts)
            .expect("a folder")
            .next()
            .expect("one")
            .expect("a file");
        fs::write(file.path(), b"\0\0\0").expect("damaged");
        let daemon = world.start(&world.settings(NULL));
        daemon.says("set aside").await;
        world.sign_in("kim").await;
        assert!(file.path().with_extension("damaged").exists());
    });
}

#[test]
fn a_second_daemon_on_the_same_state_is_refused_with_a_clear_message() {
    scenario(async |world| {
        let first = world.start(&world.settings(NULL));
        world.find().await;
        let mut second = world.start(&world.settings(NULL));
        let status = second.ended(PATIENCE).await;
        assert_eq!(status.code(), Some(75));
        let said = second.says("already uses the state").await;
        assert!(said.contains("state"), "{said}");
        drop(first);
    });
}
