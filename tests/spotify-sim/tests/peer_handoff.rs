//! The main job, done by a receiver that others wrote: found by mDNS, handed an account by the
//! scripted phone, listed, played. Where this fails, it is the simulation or the phone that is
//! wrong. Opt-in like `peer.rs`: `make test-peers`.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use spotify_sim::{
    Place, PlayOptions, Sim, SimOptions,
    listen::{Placement, clipped, recognise},
    phone::{Login, Phone},
    receiver::{Binary, Kind, Launch, Receiver, Sound},
    rigs::{Fifo, FifoFormat, Namespace, Pace},
};

const LIMIT: Duration = Duration::from_secs(20);
const SECOND: usize = 44_100;

#[test]
fn a_receiver_is_found_handed_an_account_and_plays_it() {
    let Some(peer) = std::env::var_os("SISKIN_PEER").map(PathBuf::from) else {
        return;
    };
    // The namespace belongs to the thread; the runtime and the receiver inherit it.
    let stage = thread::spawn(move || {
        let _namespace = Namespace::enter().unwrap_or_else(|error| panic!("{error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(play(peer));
    });
    if let Err(panic) = stage.join() {
        std::panic::resume_unwind(panic);
    }
}

async fn play(peer: PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let binary = Binary::prepare(Kind::Peer, &peer, folder.path()).unwrap();
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).unwrap();
    let launch = Launch {
        name: "Peer".to_owned(),
        port: 0,
        sound: Sound::Pipe(fifo.path().to_owned()),
        volume: 100,
        in_this_environment: false,
        env: Vec::new(),
        sections: String::new(),
    };
    let _receiver = Receiver::start(&binary, &sim, &launch).unwrap();

    let phone = Phone::new("Test phone");
    let found = phone.find("Peer", LIMIT).await.unwrap();
    let info = phone.get_info(&found).await.unwrap();
    assert_eq!(info.remote_name, "Peer");
    sim.record().assert_count(0, Place::ApConnect, 0);

    let login = Login::stored(&sim.users().get("kim").unwrap().stored_credential());
    let answer = phone.add_user(&found, &info, "kim", &login).await.unwrap();
    assert_eq!(answer.status(), Some(101), "{:?}", answer.json);
    let app = sim.controller("kim");
    let device = app.wait_for_device("Peer", LIMIT).await.unwrap();
    assert_eq!(
        (device.id.as_str(), device.volume),
        (info.device_id.as_str(), u16::MAX)
    );

    let album = sim.catalogue().titled("Tones");
    let reply = app
        .play(&album.uri(), PlayOptions::default())
        .await
        .unwrap();
    assert!(reply.success);
    let state = app.wait_until(LIMIT, |state| state.playing).await.unwrap();
    assert_eq!(state.track_uri, album.tracks[0].uri());

    let until = Instant::now() + LIMIT;
    while fifo.capture().len() < 3 * SECOND {
        assert!(Instant::now() < until, "{}", sim.record().last(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let heard = fifo.capture();
    let window = recognise(&heard[SECOND..SECOND + SECOND / 5], sim.catalogue()).unwrap();
    assert_eq!(window.track.uri(), album.tracks[0].uri());
    assert_eq!(window.placement, Placement::Straight);
    assert_eq!(clipped(&heard), 0);
    sim.stop().await;
}
