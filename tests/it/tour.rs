//! A tool, not a test: `make order` walks the binary through its life under a tracer, to find out
//! which functions it uses, and in which order.

use std::time::Duration;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use siskin::{
    accounts::{SignedIn, Store},
    model::{self, Secret},
};
use spotify_sim::{
    PlayOptions,
    phone::Login,
    rigs::{Fifo, FifoFormat, Pace},
};

use crate::{
    ask::siskin,
    world::{World, binary, pipe_to, scenario},
};

/// A traced program is some ten times slower.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a step may sink in.
const SINK_IN: Duration = Duration::from_secs(3);
/// The speaker looks after itself every twenty seconds.
const A_LOOK: Duration = Duration::from_secs(24);

/// A file that somebody has filled in is read with more than a short one is.
const WRITTEN: &str = r#"
[audio]
bitrate = 320
normalisation = "off"
gapless = true
crossfade = 0.0
sleep_fade = 10.0
[metadata]
covers = true
[cache]
size = "off"
[mpris]
bus = "off"
"#;

/// The walk does not judge: what a slow program does late it does all the same.
#[test]
#[ignore = "a tool: make order"]
fn the_speaker_walks_through_its_life() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        // The namespace is the test's own: the port that is the default is free.
        let http = "[http]\nlisten = \"127.0.0.1:7070\"\n";
        // Of its own file a traced program finds the tracer: `make order` leads it here instead.
        let engine = world.dir().join("order-engine");
        std::os::unix::fs::symlink(binary(), engine).expect("a link");
        at_home(&world);
        let settings = world.settings(&format!("{}\n{WRITTEN}\n{http}", pipe_to(fifo.path())));
        let settings = settings.replace("[\"lo\"]", "[\"lo\", \"other\"]");
        let daemon = world.start_with(&settings, |command| {
            command.current_dir(world.dir());
        });
        tokio::time::sleep(A_LOOK).await;
        let app = world.sim.controller("kim").within(PATIENCE);
        let device = app.wait_for_device("Kitchen", PATIENCE).await;
        let app = app.on(&device.expect("the speaker signs in").id);
        tokio::time::sleep(A_LOOK).await;
        let titled = |title| world.sim.catalogue().titled(title);
        let _ = app
            .play(&titled("Tones").uri(), PlayOptions::default())
            .await;
        // The first track is 20 s long: its joint with the second is walked over, too.
        tokio::time::sleep(A_LOOK).await;
        siskin(&world, &["status"]).await;
        for paused in [true, false] {
            let _ = if paused {
                app.pause().await
            } else {
                app.resume().await
            };
            tokio::time::sleep(SINK_IN).await;
        }
        let _ = app.next().await;
        tokio::time::sleep(SINK_IN).await;
        let _ = app.seek(30_000).await;
        tokio::time::sleep(SINK_IN).await;
        let _ = app.volume(40_000).await;
        let _ = app.add_to_queue(&titled("Short").tracks[0].uri()).await;
        let _ = app.shuffle(true).await;
        tokio::time::sleep(SINK_IN).await;
        let _ = app.previous().await;
        tokio::time::sleep(SINK_IN).await;
        for order in [&["pause"][..], &["play"], &["volume", "50"]] {
            siskin(&world, order).await;
        }
        let found = world.find().await;
        let info = world.info(&found).await;
        tokio::time::sleep(SINK_IN).await;
        let login = Login::stored(&credential(&world));
        let _ = world.phone.add_user(&found, &info, "kim", &login).await;
        // What comes rarely, last.
        siskin(&world, &["status", "--json"]).await;
        kill(Pid::from_raw(daemon.pid() as i32), Signal::SIGHUP).expect("it lives");
        tokio::time::sleep(SINK_IN).await;
        daemon.stop().await;
    });
}

/// What a phone has done for it when it looks is ready before anybody has signed in.
#[test]
#[ignore = "a tool: make order"]
fn somebody_comes_to_an_empty_house() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        let engine = world.dir().join("order-engine");
        std::os::unix::fs::symlink(binary(), engine).expect("a link");
        let daemon = world.start_with(&world.settings(&pipe_to(fifo.path())), |command| {
            command.current_dir(world.dir());
        });
        let found = world.find().await;
        let info = world.info(&found).await;
        tokio::time::sleep(A_LOOK).await;
        let login = Login::stored(&credential(&world));
        let _ = world.phone.add_user(&found, &info, "kim", &login).await;
        let app = world.sim.controller("kim").within(PATIENCE);
        let device = app.wait_for_device("Kitchen", PATIENCE).await;
        let app = app.on(&device.expect("the speaker signs in").id);
        let long = world.sim.catalogue().titled("Long").uri();
        let _ = app.play(&long, PlayOptions::default()).await;
        tokio::time::sleep(A_LOOK).await;
        let _ = app.next().await;
        tokio::time::sleep(SINK_IN).await;
        daemon.stop().await;
    });
}

/// Somebody who lives here signs in by himself, and has time for it.
fn at_home(world: &World) {
    let login = model::Login {
        user: "kim".into(),
        kind: 1,
        secret: Secret::new(credential(world)),
    };
    let store = Store::open(&world.dir().join("state")).expect("a folder of our own");
    let known = SignedIn {
        login,
        country: None,
        came_by: None,
        at_ms: 0,
    };
    store.signed_in(known).expect("it is written");
    store
        .take_seat("main", Some("kim"), None)
        .expect("it is written");
}

fn credential(world: &World) -> Vec<u8> {
    let account = world.sim.users().get("kim").expect("a user");
    account.stored_credential()
}
