//! SIGHUP: a changed configuration is taken over, or refused as a whole.

use std::{fs, time::Duration};

use nix::sys::signal::Signal;
use spotify_sim::{
    Fault, Place, Then,
    phone::{Found, Login},
};

use crate::{
    lan::{NULL, fifo, one_engine, plays, sees, until},
    world::{Daemon, PATIENCE, World, hears, pipe_to, scenario, shows},
};

fn reload(world: &World, daemon: &Daemon, settings: &str) {
    fs::write(world.dir().join("config.toml"), settings).expect("written");
    daemon.signal(Signal::SIGHUP);
}

#[test]
fn a_wrong_file_is_refused_with_its_reasons_and_the_old_settings_stay() {
    scenario(async |world| {
        let mut daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Staircase").await;
        let engine = one_engine(&daemon).await;
        let wrong = world.settings(NULL).replace("Kitchen", "Parlour") + "prot = 80\n";
        reload(&world, &daemon, &wrong);
        daemon.says("config_rejected").await;
        let log = daemon.log().join("\n");
        let file = world.dir().join("config.toml");
        let place = format!("{}:{}:", file.display(), wrong.lines().count());
        assert!(log.contains(&place) && log.contains("port"), "{log}");
        assert!(!log.contains("\\n"), "{log}");
        let found = world.find().await;
        assert_eq!(world.info(&found).await.remote_name, "Kitchen");
        assert!(app.state().playing);
        assert_eq!(one_engine(&daemon).await, engine);

        // A file that is gone is no different.
        fs::remove_file(&file).expect("removed");
        daemon.signal(Signal::SIGHUP);
        until("both reasons", PATIENCE, || {
            crate::lan::count(&daemon, "config_rejected") == 2
        })
        .await;
        assert!(daemon.is_running());

        // The old file again: nothing has changed, and nothing happens.
        reload(&world, &daemon, &world.settings(NULL));
        daemon.says("over: config rejected").await;
        assert_eq!(one_engine(&daemon).await, engine);
        assert!(app.state().playing);
    });
}

#[test]
fn a_new_name_is_seen_everywhere_and_the_music_goes_on() {
    scenario(async |world| {
        let fifo = fifo();
        let on = pipe_to(fifo.path());
        let daemon = world.start(&world.settings(&on));
        let mut watch = world.phone.watch().expect("a phone that looks");
        let old = sees(&mut watch, |_| true).await;
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let before = world.info(&old).await;
        let was = app.state();

        reload(
            &world,
            &daemon,
            &world.settings(&on).replace("Kitchen", "Parlour"),
        );
        let new = sees(&mut watch, |found| found.instance.starts_with("Parlour")).await;
        let listed = watch.gather(Duration::from_secs(1)).await;
        let names = |all: &[Found]| {
            all.iter()
                .map(|found| found.instance.clone())
                .collect::<Vec<_>>()
        };
        assert!(!names(&listed).contains(&old.instance), "{listed:?}");
        let info = world.info(&new).await;
        assert_eq!(info.remote_name, "Parlour");
        assert_eq!(info.device_id, before.device_id);
        assert_eq!(new.host, old.host);

        let app = world.sim.controller("kim");
        let shown = app.wait_for_device("Parlour", PATIENCE).await;
        let shown = shown.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(shown.id, before.device_id);
        assert_eq!(app.devices().len(), 1);
        let heard = fifo.capture().len();
        hears(&fifo, heard + 44_100).await;
        let now = shows(&app, "the track of before", |state| state.playing).await;
        assert_eq!(now.track_uri, was.track_uri);
        assert!(
            now.position_ms >= was.position_ms,
            "{} {}",
            now.position_ms,
            was.position_ms
        );
        assert_eq!(world.info(&new).await.active_user, "kim");
        one_engine(&daemon).await;
        // Still listed when the old engine has taken its leave.
        app.wait_for_device("Parlour", PATIENCE)
            .await
            .unwrap_or_else(|error| panic!("{error}"));
    });
}

#[test]
fn another_output_takes_the_music_over_where_it_is() {
    scenario(async |world| {
        let (first, second) = (fifo(), fifo());
        let daemon = world.start_on(&first);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&first, 2 * 44_100).await;
        let was = app.state();
        reload(&world, &daemon, &world.settings(&pipe_to(second.path())));
        hears(&second, 2 * 44_100).await;
        let silent = first.capture().len();
        let now = shows(&app, "the same track", |state| state.playing).await;
        assert_eq!(now.track_uri, was.track_uri);
        let on = now.position_ms - was.position_ms;
        assert!((1_000..8_000).contains(&on), "{on} ms further");
        let begin = spotify_sim::listen::position_of(&second.capture()[22_050..44_100]);
        let begin = begin.expect("the staircase");
        assert!(begin > 1.5, "it began at {begin} s, before it was left");
        hears(&second, 3 * 44_100).await;
        assert_eq!(
            first.capture().len(),
            silent,
            "the old output still gets sound"
        );
        one_engine(&daemon).await;
    });
}

#[test]
fn what_only_phones_see_changes_without_touching_the_music() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Staircase").await;
        let engine = one_engine(&daemon).await;
        assert_eq!(world.info(&world.find().await).await.active_user, "kim");
        let hidden = world.settings(NULL) + "show_active_user = false\n";
        reload(&world, &daemon, &hidden);
        daemon.says("the configuration is taken over").await;
        let found = world.find().await;
        assert_eq!(world.info(&found).await.active_user, "");
        assert_eq!(one_engine(&daemon).await, engine);
        assert!(app.state().playing);
    });
}

#[test]
fn somebody_who_is_signing_in_during_a_reload_gets_the_new_settings() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let found = world.find().await;
        let late = Then::Delay(Duration::from_secs(2));
        world.sim.faults().add(Fault::on(Place::ApLogin).then(late));
        let info = world.info(&found).await;
        let kim = world.sim.users().get("kim").expect("a user");
        let login = Login::stored(&kim.stored_credential());
        // The phone may lose its connection; what it asked for happens all the same.
        let asked = world.phone.add_user(&found, &info, "kim", &login);
        let (_, ()) = tokio::join!(asked, async {
            let record = world.sim.record();
            let knocked = record.wait_for(PATIENCE, 0, |entry| entry.place == Place::ApLogin);
            knocked.await.unwrap_or_else(|error| panic!("{error}"));
            let renamed = world.settings(NULL).replace("Kitchen", "Parlour");
            reload(&world, &daemon, &renamed);
        });
        let app = world.sim.controller("kim");
        let shown = app.wait_for_device("Parlour", PATIENCE).await;
        let shown = shown.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(shown.id, info.device_id);
        one_engine(&daemon).await;
        assert_eq!(app.devices().len(), 1);
    });
}
