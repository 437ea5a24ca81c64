//! More than one thing goes wrong: at the same time, or again and again. Each is mended as if it were
//! alone, and what played goes on.

use std::time::{Duration, Instant};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use spotify_sim::{Fault, Place, PlayOptions, Then};

use crate::{
    lan::{NULL, count, fifo, one_engine, play, plays, until},
    world::{Daemon, PATIENCE, World, hears, pipe_to, scenario, shows},
};

async fn kill_engine(daemon: &Daemon) {
    let engine = one_engine(daemon).await;
    kill(Pid::from_raw(engine.cast_signed()), Signal::SIGKILL).expect("an engine");
}

/// Whether music of this track is heard now.
async fn sounds(world: &World, fifo: &spotify_sim::rigs::Fifo, title: &str) {
    let heard = fifo.capture().len();
    hears(fifo, heard + 22_050).await;
    let capture = fifo.capture();
    let last = &capture[capture.len() - 8_820..];
    let track = spotify_sim::listen::which_track(last, world.sim.catalogue());
    assert_eq!(track.expect("a track").title, title);
}

#[test]
fn an_engine_that_dies_ten_times_in_a_row_is_followed_by_one_that_plays_on() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        for times in 1..=10 {
            kill_engine(&daemon).await;
            until("it is taken up", 3 * PATIENCE, || {
                count(&daemon, "taking playback up") == times
            })
            .await;
        }
        let track = world.sim.catalogue().titled("Staircase").tracks[0].clone();
        shows(&app, "music", |state| {
            state.playing && state.track_uri == track.uri()
        })
        .await;
        sounds(&world, &fifo, &track.title).await;
        one_engine(&daemon).await;
    });
}

#[test]
fn an_engine_that_dies_while_a_track_loads_is_followed_by_one_that_loads_it() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let stalls = Fault::on(Place::Storage).forever().then(Then::Stall);
        world.sim.faults().add(stalls);
        let list = world.sim.catalogue().titled("Tones").clone();
        let order = PlayOptions::from_index(2);
        assert!(
            app.play(&list.uri(), order)
                .await
                .expect("an answer")
                .success
        );
        kill_engine(&daemon).await;
        daemon.says("taking playback up").await;
        world.sim.faults().clear();
        let third = list.tracks[2].uri();
        shows(&app, "that track", |state| {
            state.playing && state.track_uri == third
        })
        .await;
        sounds(&world, &fifo, &list.tracks[2].title).await;
    });
}

#[test]
fn a_daemon_that_is_killed_during_an_outage_plays_on_when_spotify_is_back() {
    scenario(async |world| {
        let fifo = fifo();
        let settings = world.settings(&pipe_to(fifo.path()));
        let mut daemon = world.start(&settings);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        world.sim.go_dark().await;
        daemon.says("spotify_unreachable").await;
        daemon.signal(Signal::SIGKILL);
        daemon.ended(PATIENCE).await;
        let daemon = world.start(&settings);
        daemon.says("spotify_unreachable").await;
        let waits = one_engine(&daemon).await;
        let mark = fifo.capture().len();
        world.sim.come_back().await.expect("the port is free");
        let back = Instant::now();
        hears(&fifo, mark + 4_410).await;
        println!("heard {:?} after Spotify was back", back.elapsed());
        shows(&app, "music", |state| state.playing).await;
        assert_eq!(one_engine(&daemon).await, waits);
    });
}

/// What is there: nothing to sign in with, an outage, a track that does not come.
#[test]
fn it_stops_in_time_and_in_order_whatever_it_waits_for() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = world.sign_in("kim").await;
        let stalls = Fault::on(Place::Storage).forever().then(Then::Stall);
        world.sim.faults().add(stalls);
        let list = world.sim.catalogue().titled("Tones").uri();
        app.play(&list, PlayOptions::default())
            .await
            .expect("an answer");
        let stops = async |daemon: Daemon, what: &str| {
            let begun = Instant::now();
            let (status, log) = daemon.stop().await;
            assert!(status.success(), "{what}: {status}\n{}", log.join("\n"));
            assert!(begun.elapsed() < Duration::from_secs(5), "{what}");
        };
        stops(daemon, "while a track loads").await;
        world.sim.faults().clear();
        let stalls = Fault::on(Place::ApConnect).forever().then(Then::Stall);
        world.sim.faults().add(stalls);
        let daemon = world.start(&world.settings(NULL));
        one_engine(&daemon).await;
        stops(daemon, "while it signs in").await;
        world.sim.faults().clear();
        world.sim.go_dark().await;
        let daemon = world.start(&world.settings(NULL));
        daemon.says("spotify_unreachable").await;
        stops(daemon, "while it waits for a line").await;
    });
}

#[test]
fn a_daemon_that_is_out_of_file_descriptors_for_a_while_is_well_again_by_itself() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let limit = |pid: u32, files: u32| {
            let files = format!("--nofile={files}:4096");
            let done = std::process::Command::new("prlimit")
                .args(["--pid", &pid.to_string(), &files])
                .status();
            assert!(done.expect("prlimit").success());
        };
        let engine = one_engine(&daemon).await;
        // None is left for anything new.
        limit(daemon.pid(), 5);
        limit(engine, 5);
        world.sim.drop_access_points();
        world.sim.drop_dealers();
        kill_when_lost(&daemon, engine).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        limit(daemon.pid(), 1024);
        let found = world.find().await;
        until("an engine", 3 * PATIENCE, || daemon.engines().len() == 1).await;
        let app = world.listed("kim").await;
        until("music", 3 * PATIENCE, || app.state().playing).await;
        assert_eq!(world.info(&found).await.active_user, "kim");
        let heard = fifo.capture().len();
        hears(&fifo, heard + 22_050).await;
        play(&world, &app, "Tones").await;
    });
}

/// Kills the engine once it has found out that it has no session any more.
async fn kill_when_lost(daemon: &Daemon, engine: u32) {
    daemon.says("the session is lost").await;
    let _ = kill(Pid::from_raw(engine.cast_signed()), Signal::SIGKILL);
    until("its end", PATIENCE, || !daemon.engines().contains(&engine)).await;
}

#[test]
fn settings_that_are_read_again_and_again_during_an_outage_leave_one_engine_that_waits() {
    scenario(async |world| {
        let daemon = world.start(&world.settings(NULL));
        let app = plays(&world, "kim", "Staircase").await;
        world.sim.go_dark().await;
        daemon.says("spotify_unreachable").await;
        for (times, bitrate) in (1..).zip([160, 96, 320, 160, 96]) {
            let settings = format!("{}\n[audio]\nbitrate = {bitrate}\n", world.settings(NULL));
            std::fs::write(world.dir().join("config.toml"), settings).expect("written");
            daemon.signal(Signal::SIGHUP);
            until("it is read", PATIENCE, || {
                count(&daemon, "the configuration is taken over") == times
            })
            .await;
        }
        world.sim.come_back().await.expect("the port is free");
        shows(&app, "music", |state| state.playing).await;
        one_engine(&daemon).await;
    });
}

#[test]
fn two_daemons_of_the_same_name_on_one_machine_are_both_found_and_do_not_disturb_each_other() {
    scenario(async |world| {
        let first = world.start(&world.settings(NULL));
        let here = world.find().await;
        let own_state = world.settings(NULL).replace("/state\"", "/state-2\"");
        let second = world.start(&own_state);
        let other = |found: &spotify_sim::phone::Found| found.port != here.port;
        let there = world.phone.wait_for(other, PATIENCE).await;
        let there = there.expect("the other one is found");
        assert_eq!(world.hand_over(&here, "kim").await, 101);
        assert_eq!(world.hand_over(&there, "alex").await, 101);
        let (kim, alex) = (world.listed("kim").await, world.listed("alex").await);
        play(&world, &kim, "Staircase").await;
        play(&world, &alex, "Tones").await;
        second.stop().await;
        let same = |found: &spotify_sim::phone::Found| found.port == here.port;
        world
            .phone
            .wait_for(same, PATIENCE)
            .await
            .expect("still found");
        assert!(kim.state().playing);
        drop(first);
    });
}

/// As a container that is paused, or a machine that swaps: nobody has failed.
#[test]
fn everything_stands_still_for_a_while_and_then_goes_on_with_the_same_engine() {
    scenario(async |world| {
        let fifo = fifo();
        let daemon = world.start_on(&fifo);
        let app = plays(&world, "kim", "Staircase").await;
        hears(&fifo, 44_100).await;
        let engine = one_engine(&daemon).await;
        let all = [daemon.pid(), engine].map(|pid| Pid::from_raw(pid.cast_signed()));
        for pid in all {
            kill(pid, Signal::SIGSTOP).expect("it lives");
        }
        tokio::time::sleep(Duration::from_secs(12)).await;
        for pid in all {
            kill(pid, Signal::SIGCONT).expect("it lives");
        }
        shows(&app, "music", |state| state.playing).await;
        let heard = fifo.capture().len();
        hears(&fifo, heard + 4 * 44_100).await;
        assert_eq!(one_engine(&daemon).await, engine);
        assert_eq!(count(&daemon, "engine_lost"), 0);
    });
}
