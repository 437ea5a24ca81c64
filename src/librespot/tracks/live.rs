//! Through a real session, against the simulated service.
//!
//! The key of the access point is compiled in. So the program of these tests is copied with the
//! simulation's key in its place, and the copy runs the tests that are marked as not to be run
//! otherwise.

use std::{
    env, fs,
    process::Command,
    time::{Duration, Instant},
};

use librespot_core::{Session, SessionConfig, authentication::Credentials};
use librespot_protocol::authentication::AuthenticationType;
use spotify_sim::{
    Fault, Place, Sim, SimOptions, Spoilt, Then,
    catalogue::{Form, Quality, Track},
    key::swap_key,
};

use super::{super::current::Current, Opened, Reason, Unopened, Wish, look};
use crate::{
    config::Bitrate,
    decode::{Kind, Source, SourceError},
    fetch::{Blame, Failure},
};

const CERTIFICATE: &str = "SSL_CERT_FILE";

#[test]
fn all_of_it_works_with_a_real_session() {
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    swap_key(&env::current_exe().unwrap(), &copy).unwrap();
    let ran = Command::new(copy)
        .args([
            "librespot::tracks::live::",
            "--ignored",
            "--test-threads=1",
            "--show-output",
        ])
        .env(CERTIFICATE, dir.path().join("ca.pem"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}");
    for line in said.lines().filter(|line| line.contains("measured")) {
        println!("{line}");
    }
}

async fn stage(options: SimOptions) -> (Sim, Session) {
    stage_of(options, "kim").await
}

async fn stage_of(options: SimOptions, user: &str) -> (Sim, Session) {
    let sim = Sim::start(options).await.unwrap();
    fs::copy(sim.ca_file(), env::var_os(CERTIFICATE).unwrap()).unwrap();
    let config = SessionConfig {
        proxy: Some(sim.proxy_url().parse().unwrap()),
        ap_port: Some(sim.port()),
        device_id: "0123456789012345678901234567890123456789".into(),
        ..SessionConfig::default()
    };
    let session = Session::new(config, None);
    let credentials = Credentials {
        username: Some(user.into()),
        auth_type: AuthenticationType::AUTHENTICATION_STORED_SPOTIFY_CREDENTIALS,
        auth_data: sim.users().get(user).unwrap().stored_credential(),
    };
    session.connect(credentials, false).await.unwrap();
    // Country and product come right after the welcome.
    while session.country().is_empty() || session.get_user_attribute("catalogue").is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    (sim, session)
}

fn track(sim: &Sim, album: &str, number: usize) -> std::sync::Arc<Track> {
    sim.catalogue().titled(album).tracks[number].clone()
}

async fn open(session: &Session, uri: &str, wish: &Wish) -> Result<Opened, Unopened> {
    super::open(&Current::only(session.clone()), uri, wish).await
}

fn wish() -> Wish {
    Wish::now(Bitrate::Kbps160)
}

/// Reads `count` bytes on a thread that may block.
async fn read(opened: Opened, count: usize) -> (Opened, Result<Vec<u8>, Failure>) {
    tokio::task::spawn_blocking(move || {
        let mut opened = opened;
        let mut got = vec![0; count];
        let mut at = 0;
        while at < count {
            let wait = Duration::from_secs(40);
            match opened.source.read_at(at as u64, &mut got[at..], wait) {
                Ok(0) => break,
                Ok(n) => at += n,
                Err(SourceError::Failed(_)) => {
                    let failure = opened.fetch.failure().expect("a reason");
                    return (opened, Err(failure));
                }
                Err(SourceError::NotYet) => panic!("nothing within {wait:?}"),
            }
        }
        got.truncate(at);
        (opened, Ok(got))
    })
    .await
    .unwrap()
}

/// Opens and reads all of it, and compares it with the file.
async fn whole(sim: &Sim, session: &Session, track: &Track, form: Form) -> Opened {
    let opened = open(session, &track.uri(), &wish()).await.unwrap();
    let (opened, got) = read(opened, 10_000_000).await;
    assert!(
        got.unwrap() == *track.plain(form),
        "{}",
        sim.record().last(30)
    );
    opened
}

#[tokio::test]
#[ignore = "run by all_of_it_works_with_a_real_session, in a copy with the simulation's key"]
async fn a_track_is_described_opened_and_read() {
    let (sim, session) = stage(SimOptions::default()).await;
    let wanted = track(&sim, "Short", 1);
    let opened = whole(&sim, &session, &wanted, Form::Vorbis(Quality::Kbps160)).await;
    assert_eq!(opened.facts.title, wanted.title);
    assert_eq!(opened.facts.artists.join(", "), wanted.artist);
    assert_eq!(opened.facts.album, "Short");
    assert_eq!(opened.facts.duration_ms, wanted.duration_ms());
    assert!(opened.facts.covers[0].starts_with("https://i.scdn.co/image/"));
    assert_eq!(opened.facts.covers.len(), 3);
    assert_eq!((opened.kind, opened.kbps), (Kind::Vorbis, 160));
    assert_eq!(
        (opened.played.as_str(), opened.file.to_string().len()),
        (wanted.uri().as_str(), 40)
    );
}

#[tokio::test]
#[ignore = "run by all_of_it_works_with_a_real_session, in a copy with the simulation's key"]
async fn the_first_bytes_cost_one_request() {
    for (rate, limit) in [(400_000, 0.45), (60_000, 1.0)] {
        let (sim, session) = stage(SimOptions {
            delay: Duration::from_millis(80),
            cdn_rate: Some(rate),
            ..SimOptions::default()
        })
        .await;
        let wanted = track(&sim, "Tones", 0);
        wanted.plain_file(Quality::Kbps160);
        // A session in use has its tokens, and a connection to the service.
        look(&session, &wanted.uri()).await.unwrap();
        let began = Instant::now();
        let opened = open(&session, &wanted.uri(), &wish()).await.unwrap();
        let (opened, got) = read(opened, 16_384).await;
        let took = began.elapsed().as_secs_f64();
        assert_eq!(got.unwrap().len(), 16_384);
        assert_eq!(sim.record().count(Place::Cdn), 1);
        assert_eq!(sim.record().count(Place::AudioKey), 1);
        let (opened, _) = read(opened, 32_000).await;
        let later = began.elapsed().as_secs_f64();
        println!(
            "measured: {rate} B/s, 80 ms: 16 kB after {took:.3} s, 32 kB after {later:.3} s, \
             {:?}, sent {} B",
            opened.fetch.tally(),
            sim.audio_sent()
        );
        assert!(opened.fetch.tally().requests == 1);
        assert!(took < limit + 0.15, "{took}");
    }
}

#[tokio::test]
#[ignore = "run by all_of_it_works_with_a_real_session, in a copy with the simulation's key"]
async fn a_key_that_comes_after_three_seconds_is_accepted() {
    let (sim, session) = stage(SimOptions::default()).await;
    let late = Fault::on(Place::AudioKey).then(Then::Delay(Duration::from_millis(2_900)));
    sim.faults().add(late);
    let wanted = track(&sim, "Short", 0);
    whole(&sim, &session, &wanted, Form::Vorbis(Quality::Kbps160)).await;
    // The crate alone has given up by now; nothing was asked twice.
    sim.record().assert_count(0, Place::AudioKey, 1);
}

#[tokio::test]
#[ignore = "run by all_of_it_works_with_a_real_session, in a copy with the simulation's key"]
async fn a_key_refused_once_is_asked_for_again_and_twice_is_the_end() {
    let (sim, session) = stage(SimOptions::default()).await;
    sim.faults().add(Fault::on(Place::AudioKey));
    let wanted = track(&sim, "Short", 0);
    whole(&sim, &session, &wanted, Form::Vorbis(Quality::Kbps160)).await;
    sim.record().assert_count(0, Place::AudioKey, 2);
    sim.faults().add(Fault::on(Place::AudioKey).forever());
    let opened = open(&session, &wanted.uri(), &wish()).await.unwrap();
    let failure = read(opened, 100).await.1.unwrap_err();
    assert_eq!(failure.blame(), Blame::Key);
}

#[tokio::test]
#[ignore = "run by all_of_it_works_with_a_real_session, in a copy with the simulation's key"]
async fn servers_that_fail_in_every_way_lose_nothing() {
    let (sim, session) = stage(SimOptions::default()).await;
    let wanted = track(&sim, "Tones", 1);
    let form = Form::Vorbis(Quality::Kbps160);
    for then in [
        Then::Status(403, None),
        Then::Status(404, None),
        Then::Status(410, None),
        Then::Status(429, Some(Duration::from_secs(1))),
        Then::Status(503, None),
        Then::Truncate(10_000),
        Then::Drop,
        Then::Garbage,
        Then::Body(Spoilt::Empty),
        Then::Body(Spoilt::Whole),
        Then::Body(Spoilt::WrongRange),
        Then::Body(Spoilt::Moved),
        Then::Body(Spoilt::Packed),
        Then::Status(302, None),
        Then::Body(Spoilt::HangAfter(30_000)),
        Then::Body(Spoilt::Trickle(1)),
        Then::Stall,
    ] {
        let began = Instant::now();
        sim.faults().add(Fault::on(Place::Cdn).then(then.clone()));
        whole(&sim, &session, &wanted, form).await;
        assert!(sim.faults().is_empty());
        println!("measured: {then:?}: {:.2} s", began.elapsed().as_secs_f64());
    }
    sim.faults()
        .add(Fault::on(Place::Cdn).at("/a/").forever().then(Then::Stall));
    whole(&sim, &session, &wanted, form).await;
    sim.faults().clear();
    sim.faults().add(
        Fault::on(Place::Storage)
            .times(2)
            .then(Then::Status(503, None)),
    );
    sim.faults().add(
        Fault::on(Place::Metadata)
            .times(2)
            .then(Then::Status(503, None)),
    );
    whole(&sim, &session, &wanted, form).await;
}

#[tokio::test]
#[ignore = "run by all_of_it_works_with_a_real_session, in a copy with the simulation's key"]
async fn a_file_that_is_gone_is_the_fault_of_the_track() {
    let (sim, session) = stage(SimOptions::default()).await;
    let uri = track(&sim, "Short", 0).uri();
    for (place, then) in [
        (Place::Cdn, Then::Status(404, None)),
        (Place::Storage, Then::Status(404, None)),
        (Place::Storage, Then::Body(Spoilt::Empty)),
    ] {
        sim.faults()
            .add(Fault::on(place).forever().then(then.clone()));
        let opened = open(&session, &uri, &wish()).await.unwrap();
        let failure = read(opened, 100).await.1.unwrap_err();
        assert_eq!(failure.blame(), Blame::Track, "{then:?}: {failure}");
        sim.faults().clear();
    }
}

#[tokio::test]
#[ignore = "run by all_of_it_works_with_a_real_session, in a copy with the simulation's key"]
async fn what_may_not_be_played_is_told_with_its_reason() {
    let (sim, session) = stage(SimOptions::default()).await;
    let reason = async |number| {
        let uri = track(&sim, "Guarded", number).uri();
        match open(&session, &uri, &wish()).await {
            Ok(opened) => Ok(opened.played),
            Err(Unopened::Unplayable(reason)) => Err(reason),
            Err(other) => panic!("{other}"),
        }
    };
    assert!(reason(0).await.is_ok(), "explicit, and nobody minds");
    assert_eq!(reason(1).await, Err(Reason::Country));
    assert_eq!(reason(2).await, Ok(track(&sim, "Guarded Again", 0).uri()));
    assert_eq!(reason(3).await, Err(Reason::NoAudio));
    session.set_user_attribute("filter-explicit-content", "1");
    assert_eq!(reason(0).await, Err(Reason::Explicit));
    let nobody = open(&session, "spotify:track:4uLU6hMCjMI75M1A2tKUQC", &wish()).await;
    assert_eq!(nobody.err(), Some(Unopened::Unplayable(Reason::Unknown)));
    // The one that has moved is read with the key of where it has gone.
    let opened = open(&session, &track(&sim, "Guarded", 2).uri(), &wish()).await;
    let (_, got) = read(opened.unwrap(), 10_000_000).await;
    let there = track(&sim, "Guarded Again", 0);
    assert!(got.unwrap() == *there.plain_file(Quality::Kbps160));
}

#[tokio::test]
#[ignore = "run by all_of_it_works_with_a_real_session, in a copy with the simulation's key"]
async fn episodes_come_as_vorbis_or_mp3() {
    let (sim, session) = stage(SimOptions::default()).await;
    let episodes = sim.catalogue().shows[0].episodes.clone();
    let vorbis = whole(&sim, &session, &episodes[0], Form::Vorbis(Quality::Kbps160)).await;
    assert_eq!(vorbis.kind, Kind::Vorbis);
    assert_eq!(vorbis.facts.album, "Talk of the House");
    for episode in &episodes[1..] {
        let mp3 = whole(&sim, &session, episode, Form::Mp3).await;
        assert_eq!((mp3.kind, mp3.kbps), (Kind::Mp3, 96));
    }
}

#[tokio::test]
#[ignore = "run by all_of_it_works_with_a_real_session, in a copy with the simulation's key"]
async fn an_account_without_keys_is_told_from_a_dead_line() {
    let (sim, session) = stage_of(SimOptions::default(), "vera").await;
    let opened = open(&session, &track(&sim, "Short", 0).uri(), &wish()).await;
    let failure = read(opened.unwrap(), 100).await.1.unwrap_err();
    assert_eq!(failure.blame(), Blame::Key);
}
