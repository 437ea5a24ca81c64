//! A tool, not a test: `make order` walks the binary through its life under a tracer, to find out
//! which functions it uses, and in which order.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Stdio},
    time::{Duration, Instant},
};

use siskin::{
    config::{self, Request, Surroundings},
    engine::messages::{Command, Event, PROTOCOL, Start},
    model::{self, DeviceId, Percent, Secret},
};
use spotify_sim::{
    PlayOptions,
    phone::Login,
    rigs::{Fifo, FifoFormat, Pace},
};

use crate::{
    ask::siskin,
    world::{World, pipe_to, program, scenario},
};

/// A traced program is some fifty times slower.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a step may sink in.
const SINK_IN: Duration = Duration::from_secs(5);

#[test]
#[ignore = "a tool: make order"]
fn the_daemon_walks_through_its_life() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        // The namespace is the test's own: the port that is the default is free.
        let http = "[http]\nlisten = \"127.0.0.1:7070\"\n";
        let daemon = world.start(&world.settings(&format!("{}\n{http}", pipe_to(fifo.path()))));
        daemon.says("is announced").await;
        let found = world.find().await;
        world.info(&found).await;
        siskin(&world, &["status"]).await;
        // Nothing here keeps the phone's pace; what the daemon does is seen all the same.
        let info = world.info(&found).await;
        let login = Login::stored(&credential(&world));
        let _ = world.phone.add_user(&found, &info, "kim", &login).await;
        let app = world.sim.controller("kim").within(PATIENCE);
        if let Ok(device) = app.wait_for_device("Kitchen", PATIENCE).await {
            let app = app.on(&device.id);
            let album = world.sim.catalogue().titled("Tones").uri();
            let _ = app.play(&album, PlayOptions::default()).await;
            tokio::time::sleep(SINK_IN).await;
            siskin(&world, &["status"]).await;
            let _ = app.volume(40_000).await;
            let _ = app.pause().await;
            tokio::time::sleep(SINK_IN).await;
        } else {
            eprintln!("no engine signed in behind the traced daemon");
        }
        siskin(&world, &["status", "--json"]).await;
        assert!(daemon.stop().await.0.success());
    });
}

#[test]
#[ignore = "a tool: make order"]
fn the_engine_walks_through_its_life() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        let mut engine = Traced::start(&world, &fifo);
        let app = world.sim.controller("kim");
        let device = app.wait_for_device("Kitchen", PATIENCE).await;
        let app = app
            .within(PATIENCE)
            .on(&device.expect("the engine signs in").id);
        let album = world.sim.catalogue().titled("Tones").uri();
        let _ = app.play(&album, PlayOptions::default()).await;
        // The first track is 20 s long: its joint with the second is walked over, too.
        tokio::time::sleep(SINK_IN * 5).await;
        let _ = app.pause().await;
        tokio::time::sleep(SINK_IN).await;
        let _ = app.resume().await;
        tokio::time::sleep(SINK_IN).await;
        let _ = app.next().await;
        tokio::time::sleep(SINK_IN).await;
        let _ = app.seek(30_000).await;
        tokio::time::sleep(SINK_IN).await;
        let _ = app.volume(40_000).await;
        let queued = world.sim.catalogue().titled("Short").tracks[0].uri();
        let _ = app.add_to_queue(&queued).await;
        let _ = app.shuffle(true).await;
        tokio::time::sleep(SINK_IN).await;
        let _ = app.previous().await;
        tokio::time::sleep(SINK_IN).await;
        engine.stop();
    });
}

/// An engine without a daemon.
struct Traced {
    child: Child,
    orders: ChildStdin,
}

impl Traced {
    fn start(world: &World, fifo: &Fifo) -> Self {
        let mut child = program()
            .arg("engine")
            .envs(world.sim.env())
            .env("MALLOC_ARENA_MAX", "1")
            .env("TOKIO_WORKER_THREADS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the engine starts");
        let mut orders = child.stdin.take().expect("its standard input");
        let told = child.stdout.take().expect("its standard output");
        std::thread::spawn(move || {
            for line in BufReader::new(told).lines().map_while(Result::ok) {
                if let Ok(Event::Refused { .. } | Event::Lost { .. }) = serde_json::from_str(&line)
                {
                    panic!("the engine gave up: {line}");
                }
            }
        });
        write(&mut orders, &Command::Start(Box::new(start(world, fifo))));
        Self { child, orders }
    }

    fn stop(&mut self) {
        write(&mut self.orders, &Command::Stop);
        let until = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) {
            assert!(Instant::now() < until, "the engine does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn write(orders: &mut ChildStdin, command: &Command) {
    let line = serde_json::to_string(command).expect("a command");
    writeln!(orders, "{line}").expect("the engine listens");
}

fn start(world: &World, fifo: &Fifo) -> Start {
    let file = world.dir().join("engine.toml");
    let settings = world.settings(&pipe_to(fifo.path()));
    std::fs::write(&file, settings).expect("the settings are written");
    let request = Request {
        file: Some(file),
        flags: vec![],
    };
    let around = Surroundings {
        variables: vec![],
        host: "tour".into(),
        etc: world.dir().to_owned(),
    };
    let config = config::load(&request, &around).expect("good settings");
    Start {
        protocol: PROTOCOL,
        device: DeviceId::from_bytes([7; 20]),
        speaker: config.config.speakers[0].clone(),
        network: config.config.network.clone(),
        log: config.config.log,
        volume: Percent::clamped(100).volume(),
        login: model::Login {
            user: "kim".into(),
            kind: 1,
            secret: Secret::new(credential(world)),
        },
        keys_from_ms: None,
        hold_ms: None,
        daemon_pid: std::process::id(),
    }
}

fn credential(world: &World) -> Vec<u8> {
    let account = world.sim.users().get("kim").expect("a user");
    account.stored_credential()
}
