//! The simulation against a receiver that others wrote: a librespot 0.8
//! binary, built with native TLS roots. Opt-in, since it must be built first:
//!
//! ```text
//! cargo install librespot --version 0.8.0 --locked --no-default-features \
//!     --features "rustls-tls-native-roots with-libmdns"
//! SISKIN_PEER=~/.cargo/bin/librespot cargo test -p spotify-sim --test peer
//! ```

mod handoff;
mod receiver;

use std::time::Duration;

use receiver::Peer;
use spotify_sim::{Fault, Place, PlayOptions, Sim, SimOptions, Then, catalogue::Album};

const LIMIT: Duration = Duration::from_secs(20);

fn album<'a>(sim: &'a Sim, title: &str) -> &'a Album {
    sim.catalogue().titled(title)
}

/// Signal to noise of what was heard against the source, in dB, over all
/// tracks as one piece.
fn fidelity(heard: &[[i16; 2]], album: &Album) -> f64 {
    let source = album
        .tracks
        .iter()
        .flat_map(|track| track.samples().to_vec());
    let (mut signal, mut noise) = (0.0, 0.0);
    for (heard, source) in heard.iter().zip(source) {
        for (heard, source) in heard.iter().zip(source) {
            let source = f64::from(source);
            signal += source * source;
            noise += (f64::from(*heard) / 32768.0 - source).powi(2);
        }
    }
    10.0 * (signal / noise).log10()
}

#[tokio::test]
async fn a_receiver_signs_in_is_listed_and_plays_an_album_to_the_last_sample() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let Some(peer) = Peer::start(&sim, "kim", 8) else {
        return;
    };
    let app = sim.controller("kim");
    let device = app.wait_for_device("Peer", LIMIT).await.unwrap();
    assert_eq!((device.kind.as_str(), device.is_active), ("SPEAKER", false));
    sim.record().assert_order(
        0,
        &[
            Place::ClientToken,
            Place::ApResolve,
            Place::ApConnect,
            Place::ApLogin,
            Place::Login5,
            Place::Dealer,
            Place::ConnectState,
        ],
    );

    let album = album(&sim, "Short");
    let reply = app
        .play(&album.uri(), PlayOptions::default())
        .await
        .unwrap();
    assert!(reply.success);
    let first = &album.tracks[0];
    app.wait_until(LIMIT, |state| {
        state.playing && state.track_uri == first.uri()
    })
    .await
    .unwrap();
    let frames: u64 = album.tracks.iter().map(|track| track.frames()).sum();
    peer.wait_for_frames(frames as usize).await;
    let state = app.wait_until(LIMIT, |state| !state.playing).await.unwrap();
    assert_eq!(state.context_uri, album.uri());
    let heard = peer.frames();
    assert_eq!(heard.len() as u64, frames);
    let fidelity = fidelity(&heard, album);
    println!("{fidelity:.1} dB\n{}", sim.record().last(1000));
    assert!(fidelity > 20.0, "{fidelity} dB");
    sim.stop().await;
}

#[tokio::test]
async fn a_receiver_does_what_the_app_asks() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let Some(_peer) = Peer::start(&sim, "alex", 1) else {
        return;
    };
    let app = sim.controller("alex");
    app.wait_for_device("Peer", LIMIT).await.unwrap();
    let tones = album(&sim, "Tones");
    let uri = |index: usize| tones.tracks[index].uri();
    let options = PlayOptions {
        seek_to: Some(3_000),
        ..PlayOptions::from_track(&uri(1))
    };
    assert!(app.play(&tones.uri(), options).await.unwrap().success);
    let state = app.wait_until(LIMIT, |state| state.playing).await.unwrap();
    assert_eq!(
        (state.track_uri.as_str(), state.title.as_str()),
        (uri(1).as_str(), "Tone 2")
    );
    assert!((3_000..6_000).contains(&state.position_ms), "{state:?}");
    assert_eq!(state.next.first(), Some(&uri(2)));

    assert!(app.pause().await.unwrap().success);
    app.wait_until(LIMIT, |state| state.paused).await.unwrap();
    assert!(app.resume().await.unwrap().success);
    app.wait_until(LIMIT, |state| state.playing).await.unwrap();
    assert!(app.seek(15_000).await.unwrap().success);
    app.wait_until(LIMIT, |state| state.position_ms >= 15_000)
        .await
        .unwrap();
    assert!(app.next().await.unwrap().success);
    app.wait_until(LIMIT, |state| state.playing && state.track_uri == uri(2))
        .await
        .unwrap();
    assert!(app.previous().await.unwrap().success);
    app.wait_until(LIMIT, |state| state.playing && state.track_uri == uri(1))
        .await
        .unwrap();
    assert!(app.volume(20_000).await.unwrap().success);
    assert!(app.shuffle(true).await.unwrap().success);
    assert!(app.repeat_context(true).await.unwrap().success);
    assert!(app.repeat_track(true).await.unwrap().success);
    let all = |state: &spotify_sim::AppState| {
        state.shuffle && state.repeat_context && state.repeat_track && state.playing
    };
    app.wait_until(LIMIT, all).await.unwrap();
    let queued = album(&sim, "Tune").tracks[0].uri();
    assert!(app.add_to_queue(&queued).await.unwrap().success);
    app.wait_until(LIMIT, |state| state.queued == [queued.clone()])
        .await
        .unwrap();

    assert!(app.transfer_away().await.unwrap().success);
    let state = app.state();
    assert!(
        state
            .active
            .is_some_and(|device| device.name == "alex's phone")
    );
    assert!(app.transfer_here("Peer").await.unwrap().success);
    let whole = |state: &spotify_sim::AppState| state.playing && state.queued == [queued.clone()];
    let state = app.wait_until(LIMIT, whole).await.unwrap();
    assert_eq!(state.track_uri, uri(1));
    assert!(state.active.is_some_and(|device| device.name == "Peer"));

    let playlist = &sim.catalogue().playlists[0];
    assert!(
        app.play(&playlist.uri(), PlayOptions::from_index(1))
            .await
            .unwrap()
            .success
    );
    let second = playlist.tracks[1].uri();
    app.wait_until(LIMIT, |state| state.playing && state.track_uri == second)
        .await
        .unwrap();
    sim.stop().await;
}

#[tokio::test]
async fn a_receiver_takes_over_where_the_phone_is() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let Some(_peer) = Peer::start(&sim, "noa", 1) else {
        return;
    };
    let app = sim.controller("noa");
    app.wait_for_device("Peer", LIMIT).await.unwrap();
    let stairs = album(&sim, "Staircase");
    app.play_on_phone(&stairs.uri(), 0, 40_000).await.unwrap();
    assert!(app.transfer_here("Peer").await.unwrap().success);
    let state = app.wait_until(LIMIT, |state| state.playing).await.unwrap();
    assert_eq!(state.track_uri, stairs.tracks[0].uri());
    assert!((40_000..50_000).contains(&state.position_ms), "{state:?}");
    sim.stop().await;
}

#[tokio::test]
async fn trouble_that_passes_is_survived() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let faults = sim.faults();
    for place in [Place::Context, Place::Metadata, Place::Storage] {
        faults.add(Fault::on(place).times(2).then(Then::Status(503, None)));
    }
    faults.add(Fault::on(Place::Cdn).after(3).then(Then::Truncate(1000)));
    let Some(_peer) = Peer::start(&sim, "sam", 1) else {
        return;
    };
    let app = sim.controller("sam");
    let device = app.wait_for_device("Peer", LIMIT).await.unwrap();
    let tones = album(&sim, "Tones");
    assert!(
        app.play(&tones.uri(), PlayOptions::default())
            .await
            .unwrap()
            .success
    );
    app.wait_until(LIMIT, |state| state.playing).await.unwrap();

    // The dealer comes back by itself, and the music goes on meanwhile.
    let mark = sim.record().mark();
    assert_eq!(sim.drop_dealers(), 1);
    let again = |entry: &spotify_sim::Entry| {
        entry.place == Place::ConnectState && entry.text.contains("NEW_DEVICE")
    };
    sim.record().wait_for(LIMIT, mark, again).await.unwrap();
    app.wait_until(LIMIT, |state| state.playing).await.unwrap();
    assert_eq!(
        app.devices(),
        [device].map(|device| spotify_sim::DeviceShown {
            is_active: true,
            ..device
        })
    );
    sim.stop().await;
}

#[tokio::test]
async fn what_is_refused_for_good_shows_in_the_record() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let Some(mut vera) = Peer::start(&sim, "vera", 1) else {
        return;
    };
    let app = sim.controller("vera");
    app.wait_for_device("Peer", LIMIT).await.unwrap();
    app.play(&album(&sim, "Short").uri(), PlayOptions::default())
        .await
        .unwrap();
    let key = |entry: &spotify_sim::Entry| entry.place == Place::AudioKey;
    sim.record().wait_for(LIMIT, 0, key).await.unwrap();

    // A receiver that ends without a word leaves the list after the grace.
    vera.kill();
    app.wait_until_gone("Peer", LIMIT).await.unwrap();

    let mark = sim.record().mark();
    let Some(_fred) = Peer::start(&sim, "fred", 1) else {
        return;
    };
    let login = |entry: &spotify_sim::Entry| entry.place == Place::ApLogin;
    let entry = sim.record().wait_for(LIMIT, mark, login).await.unwrap();
    assert_eq!(entry.user.as_deref(), Some("fred"));
    sim.stop().await;
}

#[tokio::test]
async fn a_service_that_went_dark_comes_back_on_the_same_port() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let Some(_peer) = Peer::start(&sim, "robin", 1) else {
        return;
    };
    let app = sim.controller("robin");
    app.wait_for_device("Peer", LIMIT).await.unwrap();
    sim.go_dark().await;
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", sim.port()))
            .await
            .is_err()
    );
    app.wait_until_gone("Peer", LIMIT).await.unwrap();
    sim.come_back().await.unwrap();
    // librespot tries the dealer again every ten seconds.
    app.wait_for_device("Peer", LIMIT).await.unwrap();
    sim.stop().await;
}

#[tokio::test]
async fn a_receiver_goes_on_by_itself_with_what_a_phone_left() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let app = sim.controller("kim");
    let stairs = album(&sim, "Staircase");
    app.play_on_phone(&stairs.uri(), 0, 30_000).await.unwrap();
    app.leave_playback();
    let Some(_peer) = Peer::start(&sim, "kim", 1) else {
        return;
    };
    let state = app.wait_until(LIMIT, |state| state.playing).await.unwrap();
    assert!(state.position_ms >= 30_000, "{state:?}");
    sim.stop().await;
}

#[tokio::test]
async fn a_half_open_dealer_is_noticed_by_the_receiver() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let Some(_peer) = Peer::start(&sim, "alex", 1) else {
        return;
    };
    sim.controller("alex")
        .wait_for_device("Peer", LIMIT)
        .await
        .unwrap();
    let mark = sim.record().mark();
    assert_eq!((sim.mute_dealers(), sim.mute_access_points()), (1, 1));
    // It pings every thirty seconds and waits three for the pong.
    let patience = Duration::from_secs(60);
    let again = |entry: &spotify_sim::Entry| entry.place == Place::Dealer && entry.text == "open";
    sim.record().wait_for(patience, mark, again).await.unwrap();
    sim.stop().await;
}
