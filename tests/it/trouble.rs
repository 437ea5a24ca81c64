//! Trouble on the way to Spotify: told as a condition, tried again, over by itself.

use std::{
    fs,
    time::{Duration, Instant},
};

use crate::{
    lan::{NULL, count, one_engine, play, plays, until},
    renewal::renewed,
    world::{PATIENCE, scenario, shows},
};

#[test]
fn without_certificates_a_handover_is_refused_and_works_once_they_are_there() {
    scenario(async |world| {
        let bundle = world.dir().join("certificates.pem");
        let mut daemon = world.start_with(&world.settings(NULL), |command| {
            command.env("SSL_CERT_FILE", &bundle);
        });
        let found = world.find().await;
        assert_eq!(world.hand_over(&found, "kim").await, 202);
        let told = daemon.says("no_certificates").await;
        assert!(told.contains("ca-certificates"), "no cure in {told}");
        fs::write(&bundle, "").expect("an empty bundle");
        assert_eq!(world.hand_over(&found, "kim").await, 202);
        assert_eq!(
            world.sim.record().all().len(),
            0,
            "nothing was asked unsafely"
        );
        assert!(daemon.is_running());
        fs::copy(world.sim.ca_file(), &bundle).expect("a good bundle");
        assert_eq!(world.hand_over(&found, "kim").await, 101);
        daemon.says("over: no certificates").await;
        let app = world.listed("kim").await;
        play(&world, &app, "Tones").await;
    });
}

#[test]
fn an_account_that_was_kept_waits_for_certificates_by_itself() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        world.sign_in("kim").await;
        daemon.stop().await;
        let folder = world.dir().join("certificates");
        let daemon = world.start_with(&world.settings(NULL), |command| {
            command
                .env_remove("SSL_CERT_FILE")
                .env("SSL_CERT_DIR", &folder);
        });
        daemon.says("no_certificates").await;
        fs::create_dir(&folder).expect("a folder");
        // The name that OpenSSL's folders give the first certificate of its kind.
        fs::copy(world.sim.ca_file(), folder.join("0a1b2c3d.0")).expect("a certificate");
        world.listed("kim").await;
        daemon.says("over: no certificates").await;
    });
}

#[test]
fn spotify_out_of_reach_at_boot_is_told_and_tried_again_until_it_is_back() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        world.sign_in("kim").await;
        daemon.stop().await;
        world.sim.go_dark().await;
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        daemon.says("spotify_unreachable").await;
        assert_eq!(world.info(&found).await.active_user, "");
        // It waits, and neither starts engine after engine nor says more about it.
        let waits = one_engine(&daemon).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert_eq!(one_engine(&daemon).await, waits);
        assert_eq!(count(&daemon, "spotify_unreachable"), 1);
        world.sim.come_back().await.expect("the port is free");
        let back = Instant::now();
        let app = world.listed("kim").await;
        println!("listed {:?} after Spotify was back", back.elapsed());
        assert!(back.elapsed() < Duration::from_secs(4));
        assert_eq!(one_engine(&daemon).await, waits);
        daemon.says("over: spotify unreachable").await;
        assert_eq!(world.info(&found).await.active_user, "kim");
        play(&world, &app, "Tones").await;
    });
}

#[test]
fn music_goes_on_after_an_outage_of_all_of_spotify() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Staircase").await;
        let found = world.find().await;
        let before = app.state();
        world.sim.go_dark().await;
        daemon.says("spotify_unreachable").await;
        let engine = one_engine(&daemon).await;
        assert_eq!(world.info(&found).await.active_user, "kim", "still his");
        assert_eq!(
            world.hand_over(&found, "alex").await,
            202,
            "nobody can be signed in now"
        );
        world.sim.come_back().await.expect("the port is free");
        let now = shows(&app, "the same track", |state| state.playing).await;
        assert_eq!(now.track_uri, before.track_uri);
        daemon.says("over: spotify unreachable").await;
        assert_eq!(world.info(&found).await.active_user, "kim");
        assert_eq!(one_engine(&daemon).await, engine, "the same player");
    });
}

/// On a slow line the new one would not answer in time, and be replaced in its turn.
#[test]
fn a_session_that_was_replaced_puts_the_one_after_it_to_no_proof() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = world.sign_in("kim").await;
        let mark = world.sim.record().mark();
        // Its link to the access point stands until it is let go.
        world.sim.revoke_tokens();
        world.sim.drop_dealers();
        renewed(&daemon, 1).await;
        let texts = |text: &'static str| {
            let since = world.sim.record().since(mark);
            since.iter().filter(|it| it.text == text).count()
        };
        until("the old link's end", PATIENCE, || texts("link ended") == 1).await;
        for level in [20_000, 40_000] {
            app.volume(level).await.expect("an answer");
        }
        assert_eq!(texts("mercury request, not found"), 0, "nobody asked");
    });
}
