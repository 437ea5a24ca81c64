//! The desk against the simulated Spotify, with a deck that does as it is told and makes no sound.
//!
//! The certificates of the simulation come by the environment, which a test cannot change for
//! itself: it starts this very program again for the desk, and is the phone meanwhile.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use librespot_core::{Session, SessionConfig, config::DeviceType};
use spotify_sim::{AppState, Controller, Fault, Place, PlayOptions, Sim, SimOptions, Then};
use tokio::{process::Command, sync::mpsc, time::timeout};

use super::{Deck, Desk, put::Facts};
use crate::{
    connect::{Device, Heard, Input, LoadId, Settings, Uri},
    model::{Dim, Track, Volume},
};

const PATIENCE: Duration = Duration::from_secs(10);
const NAME: &str = "Kitchen";
const ID: &str = "0123456789abcdef0123456789abcdef01234567";

/// A player without sound.
struct Mime {
    id: LoadId,
    sounds: bool,
    loaded: bool,
    position_ms: u32,
    says: mpsc::UnboundedSender<Heard>,
}

impl Mime {
    fn say(&self, heard: Heard) {
        let _ = self.says.send(heard);
    }

    fn obey(&self) {
        let (id, position_ms) = (self.id, self.position_ms);
        if self.loaded && self.sounds {
            self.say(Heard::Started { id, position_ms });
        } else if self.loaded {
            self.say(Heard::Paused { id, position_ms });
        }
    }
}

impl Deck for Mime {
    fn load(&mut self, id: LoadId, uri: &Uri, position_ms: u32, play: bool) -> Option<Heard> {
        (self.id, self.sounds, self.loaded) = (id, play, true);
        self.position_ms = position_ms;
        let track = Box::new(Track {
            uri: uri.to_string(),
            title: String::new(),
            artists: Vec::new(),
            album: String::new(),
            duration_ms: 200_000,
            explicit: false,
            covers: Vec::new(),
            ..Track::default()
        });
        self.say(Heard::Described { id, track });
        self.obey();
        None
    }
    fn prepare(&mut self, _: LoadId, _: &Uri) {}
    fn drop_next(&mut self) {}
    fn play(&mut self) -> Option<Heard> {
        self.sounds = true;
        self.obey();
        None
    }
    fn pause(&mut self) {
        self.sounds = false;
        self.obey();
    }
    fn seek(&mut self, position_ms: u32) {
        self.position_ms = position_ms;
        let id = self.id;
        self.say(Heard::Seeked { id, position_ms });
    }
    fn stop(&mut self) {
        self.loaded = false;
    }
    fn dim(&mut self, _: Option<Dim>) {}

    fn set_volume(&mut self, volume: Volume) -> Volume {
        volume
    }
}

/// The other half of the tests below: they start it.
#[test]
#[ignore = "run by the other tests here, in a copy with the simulation's key"]
fn the_desk() {
    let say = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let _ = rustls::crypto::ring::default_provider().install_default();
    let proxy = say("SIM_PROXY");
    let config = SessionConfig {
        device_id: ID.into(),
        ap_port: proxy
            .rsplit(':')
            .next()
            .and_then(|port| port.trim_matches('/').parse().ok()),
        proxy: proxy.parse().ok(),
        ..SessionConfig::default()
    };
    let secret = say("SIM_SECRET");
    let secret: Vec<u8> = secret
        .split(',')
        .map(|byte| byte.parse().expect("a byte"))
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let session = Session::new(config, None);
        session.set_username(&say("SIM_USER"));
        session.set_auth_data(&secret);
        let (says, mut heard) = mpsc::unbounded_channel();
        let device = Device {
            id: ID.into(),
            name: NAME.into(),
            volume: Volume(40_000),
            settings: Settings::default(),
            sleep_fade_ms: 0,
            session_id: session.session_id(),
            seed: 5,
        };
        let facts = Facts {
            device_id: ID.into(),
            kind: DeviceType::Speaker,
            client_id: session.client_id(),
            volume_steps: 64,
            volume_fixed: false,
        };
        let mime = Mime {
            id: 0,
            sounds: false,
            loaded: false,
            position_ms: 0,
            says,
        };
        let mut desk = Desk::open(session, device, facts, mime).expect("listens");
        desk.start().await.expect("the dealer");
        let mut stop = Box::pin(async {
            let mut input = tokio::io::stdin();
            tokio::io::AsyncReadExt::read_u8(&mut input).await.is_ok()
        });
        loop {
            tokio::select! {
                news = desk.next() => drop(news),
                Some(said) = heard.recv() => drop(desk.input(Input::Player(said))),
                _ = &mut stop => break,
            }
        }
        assert!(desk.close(PATIENCE).await, "the goodbye was taken");
    });
}

struct Stage {
    sim: Sim,
    app: Controller,
    desk: tokio::process::Child,
}

impl Stage {
    async fn set() -> Self {
        let sim = Sim::start(SimOptions::default())
            .await
            .expect("a simulation");
        let user = sim.users().get("kim").expect("a user");
        let secret = user
            .stored_credential()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        let desk = Command::new(std::env::current_exe().expect("this program"))
            .args([
                "librespot::connect::wire_tests::the_desk",
                "--exact",
                "--ignored",
                "--nocapture",
            ])
            .envs(sim.env())
            .env("SSL_CERT_FILE", sim.ca_file())
            .env("SIM_PROXY", sim.proxy_url())
            .env("SIM_USER", "kim")
            .env("SIM_SECRET", secret.join(","))
            .stdin(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("started");
        let app = sim.controller("kim");
        app.wait_for_device(NAME, PATIENCE).await.expect("listed");
        Self { sim, app, desk }
    }

    async fn shows(&self, what: &str, wanted: impl Fn(&AppState) -> bool) -> AppState {
        let shown = self.app.wait_until(PATIENCE, wanted).await;
        shown.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    async fn yes(
        &self,
        reply: impl Future<Output = Result<spotify_sim::Reply, spotify_sim::ControlError>>,
    ) {
        let reply = reply.await.expect("an answer");
        assert!(reply.success, "{reply:?}");
        assert!(reply.latency < Duration::from_secs(2), "{reply:?}");
    }
}

fn on_a_runtime(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        timeout(Duration::from_secs(60), test)
            .await
            .expect("in time");
    });
}

#[test]
fn the_app_plays_pauses_skips_queues_and_sees_the_truth() {
    on_a_runtime(async {
        let mut stage = Stage::set().await;
        let app = &stage.app;
        let album = stage.sim.catalogue().titled("Short").clone();
        let uri = |at: usize| album.tracks[at].uri();
        assert_eq!(app.devices()[0].volume, 40_000);

        stage
            .yes(app.play(&album.uri(), PlayOptions::from_track(&uri(1))))
            .await;
        let shown = stage
            .shows("playing", |s| s.playing && s.next.len() == 4)
            .await;
        assert_eq!((shown.track_uri, shown.context_uri), (uri(1), album.uri()));
        assert_eq!(shown.previous, [uri(0)]);
        stage.yes(app.pause()).await;
        stage.shows("a pause", |s| s.paused).await;
        stage.yes(app.resume()).await;
        stage.shows("playing", |s| s.playing).await;
        stage.yes(app.seek(90_000)).await;
        stage
            .shows("the place", |s| (90_000..95_000).contains(&s.position_ms))
            .await;
        let asked = Instant::now();
        for _ in 0..2 {
            stage.yes(app.next()).await;
        }
        stage.shows("the third", |s| s.track_uri == uri(3)).await;
        eprintln!("two skips shown after {:?}", asked.elapsed());
        stage.yes(app.next_to(&uri(5))).await;
        stage
            .shows("the sixth", |s| s.track_uri == uri(5) && s.next.is_empty())
            .await;
        stage.yes(app.add_to_queue(&uri(2))).await;
        stage.shows("the queue", |s| s.queued == [uri(2)]).await;
        stage.yes(app.shuffle(true)).await;
        stage.yes(app.repeat_context(true)).await;
        stage
            .shows("the modes", |s| {
                s.shuffle && s.repeat_context && s.next.len() > 5
            })
            .await;
        app.volume(10_000).await.expect("shown");
        let refused = app.command(serde_json::json!({"endpoint": "dance"})).await;
        assert!(!refused.expect("an answer").success);
        let paused = PlayOptions {
            paused: true,
            ..PlayOptions::from_index(2)
        };
        stage.yes(app.play(&album.uri(), paused)).await;
        stage
            .shows("paused from the start", |s| {
                s.paused && s.track_uri == uri(2)
            })
            .await;

        // A lost dealer changes nothing of it.
        stage.sim.drop_dealers();
        tokio::time::sleep(Duration::from_millis(300)).await;
        app.wait_for_device(NAME, PATIENCE)
            .await
            .expect("listed again");
        stage.yes(app.resume()).await;
        stage
            .shows("playing", |s| s.playing && s.track_uri == uri(2))
            .await;

        drop(stage.desk.stdin.take());
        app.wait_until_gone(NAME, PATIENCE).await.expect("gone");
        let ended = timeout(PATIENCE, stage.desk.wait()).await.expect("ended");
        assert!(ended.expect("a status").success());
    });
}

#[test]
fn music_moves_to_the_phone_and_back() {
    on_a_runtime(async {
        let stage = Stage::set().await;
        let app = &stage.app;
        let album = stage.sim.catalogue().titled("Short").clone();
        for turn in 0..3 {
            stage
                .yes(app.play(&album.uri(), PlayOptions::from_index(turn)))
                .await;
            stage.shows("playing", |s| s.playing).await;
            app.transfer_away().await.expect("a goodbye");
            app.play_on_phone(&album.uri(), 4, 1_000)
                .await
                .expect("the phone plays");
            stage.yes(app.transfer_here(NAME)).await;
            let shown = stage
                .shows("here again", |s| {
                    s.playing && s.active.as_ref().is_some_and(|it| it.name == NAME)
                })
                .await;
            assert_eq!(shown.track_uri, album.tracks[4].uri());
            assert!(
                (1_000..4_000).contains(&shown.position_ms),
                "{}",
                shown.position_ms
            );
            stage
                .shows("what follows", |s| s.next == [album.tracks[5].uri()])
                .await;
        }
    });
}

#[test]
fn a_slow_service_delays_neither_the_music_nor_the_next_command() {
    on_a_runtime(async {
        let stage = Stage::set().await;
        let (app, faults) = (&stage.app, stage.sim.faults());
        let album = stage.sim.catalogue().titled("Short").clone();
        let uri = |at: usize| album.tracks[at].uri();
        let slow = Then::Delay(Duration::from_secs(3));
        faults.add(Fault::on(Place::Context).then(slow));
        let asked = Instant::now();
        stage
            .yes(app.play(&album.uri(), PlayOptions::from_track(&uri(1))))
            .await;
        stage
            .shows("playing", |s| s.playing && s.track_uri == uri(1))
            .await;
        stage.yes(app.pause()).await;
        assert!(
            asked.elapsed() < Duration::from_secs(2),
            "{:?}",
            asked.elapsed()
        );
        stage.shows("what follows", |s| s.next.len() == 4).await;

        // States that do not arrive are put again, the newest first.
        let busy = Then::Status(503, None);
        faults.add(Fault::on(Place::ConnectState).times(3).then(busy));
        let asked = Instant::now();
        stage.yes(app.resume()).await;
        stage.yes(app.next()).await;
        assert!(
            asked.elapsed() < Duration::from_secs(1),
            "{:?}",
            asked.elapsed()
        );
        stage
            .shows("the third", |s| s.playing && s.track_uri == uri(2))
            .await;
        let later = Then::Status(429, Some(Duration::from_secs(1)));
        faults.add(Fault::on(Place::ConnectState).then(later));
        stage.yes(app.next()).await;
        stage
            .shows("the fourth", |s| s.playing && s.track_uri == uri(3))
            .await;

        // A context that cannot be had is a refusal, not a promise.
        let gone = app.play(
            "spotify:album:0000000000000000000000",
            PlayOptions::default(),
        );
        assert!(!gone.await.expect("an answer").success);
    });
}

#[test]
fn news_that_comes_late_stops_nothing_and_a_logout_does() {
    on_a_runtime(async {
        let mut stage = Stage::set().await;
        let app = &stage.app;
        let album = stage.sim.catalogue().titled("Short").clone();
        let uri = |at: usize| album.tracks[at].uri();
        app.play_on_phone(&album.uri(), 0, 0)
            .await
            .expect("the phone plays");
        let old = app.news_of_now();
        let here = app.on(NAME);
        for turn in 0..3 {
            app.play_on_phone(&album.uri(), 0, 0)
                .await
                .expect("the phone plays");
            let context = album.uri();
            let play = here.play(&context, PlayOptions::from_track(&uri(turn)));
            app.deliver_late(&old);
            stage.yes(play).await;
            app.deliver_late(&old);
            stage
                .shows("playing", |s| s.playing && s.track_uri == uri(turn))
                .await;
            app.deliver_late(&old);
            stage.yes(app.next()).await;
            stage
                .shows("the next", |s| s.playing && s.track_uri == uri(turn + 1))
                .await;
        }

        // What comes is put in order by the listener.
        let mut places = app.next_places();
        places.reverse();
        stage.yes(app.set_queue(&[uri(0)], &places)).await;
        let wanted: Vec<_> = [uri(0)]
            .into_iter()
            .chain(places.iter().map(|(uri, _)| uri.clone()))
            .collect();
        stage.shows("that order", |s| s.next == wanted).await;
        stage
            .yes(app.next_to_place(&places[1].0, &places[1].1))
            .await;
        stage
            .shows("that track", |s| s.track_uri == places[1].0)
            .await;
        let tracks = [uri(1), places[1].0.clone(), uri(2)];
        stage.yes(app.update_context(&album.uri(), &tracks)).await;
        stage
            .shows("the changed context", |s| s.next.last() == Some(&uri(2)))
            .await;

        app.log_out().expect("it is listed");
        app.wait_until_gone(NAME, PATIENCE).await.expect("gone");
        drop(stage.desk.stdin.take());
    });
}
