//! Where the bytes of the music come from, and how fast: servers that are slow, expired or without
//! the file, and lines that are quick.

use std::time::{Duration, Instant};

use spotify_sim::{Fault, Place, PlayOptions, Spoilt, Then, catalogue::Quality};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    time::sleep,
};

use crate::{
    ask::socket,
    booth::{Booth, assert_in_time, assert_yes, file_of},
    world::{PATIENCE, World, scenario, shows},
};

/// The part of a file that a request asked for.
fn span(request: &str) -> Option<(u64, u64)> {
    let (first, last) = request.split_once("bytes=")?.1.split_once('-')?;
    let last: u64 = last.trim().parse().ok()?;
    Some((first.parse().ok()?, last + 1))
}

#[test]
fn a_far_seek_on_a_quick_line_asks_for_no_more_than_is_heard() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Long").clone();
        let length = album.tracks[0].plain_file(Quality::Kbps320).len() as u64;
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        booth.listen(2_000).await;
        for place in [240_000, 60_000, 200_000] {
            sleep(Duration::from_millis(500)).await;
            let (mark, sent) = (world.sim.record().mark(), world.sim.audio_sent());
            let asked = Instant::now();
            let reply = booth.app.seek(place).await.expect("an answer");
            assert_yes(&reply, "seek");
            shows(&booth.app, "the place", |state| {
                state.position_ms.abs_diff(i64::from(place)) < 2_000
            })
            .await;
            let took = asked.elapsed();
            let sent = world.sim.audio_sent() - sent;
            assert!(took < Duration::from_secs(1), "{took:?}");
            // One small request led there; what follows is what comes after the first sound.
            let asked = world.sim.record().since(mark);
            let ranges: Vec<_> = asked
                .iter()
                .filter(|it| it.place == Place::Cdn)
                .filter_map(|it| span(&it.text))
                .collect();
            let target = u64::from(place) * length / u64::from(album.tracks[0].duration_ms());
            eprintln!("to {place} ms ({target}): {ranges:?}, {sent} bytes");
            let (first, second) = (ranges[0], ranges.get(1));
            assert!(first.1 - first.0 <= 150_000, "{ranges:?}");
            assert!(first.0.abs_diff(target) < length / 8, "{ranges:?}");
            assert!(
                second.is_none_or(|second| second.0 == first.1),
                "{ranges:?}"
            );
        }
    });
}

#[test]
fn a_server_that_drips_is_left_for_the_next() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Staircase").clone();
        let drips = Fault::on(Place::Cdn).at("/a/").forever();
        let faults = world.sim.faults();
        faults.add(drips.then(Then::Body(Spoilt::Trickle(2_000))));
        let from = booth.heard();
        let took = booth.sounds(&album.uri(), PlayOptions::default()).await;
        assert!(took < Duration::from_secs(6), "{took:?}");
        let began = Instant::now();
        booth.listen(6_000).await;
        let took = began.elapsed();
        assert!(took < Duration::from_millis(7_500), "{took:?}");
        booth.assert_begins(from, &album.tracks[0], 5_000, "unbroken");
    });
}

#[test]
fn an_expired_link_is_no_silence_while_another_one_is_good() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Staircase").clone();
        let faults = world.sim.faults();
        let expired = Fault::on(Place::Cdn).at("/a/").forever();
        faults.add(expired.then(Then::Status(403, None)));
        let file = file_of(&album.tracks[0]);
        let silent = Fault::on(Place::Storage).at(&file).after(1).forever();
        faults.add(silent.then(Then::Stall));
        let from = booth.heard();
        let took = booth.sounds(&album.uri(), PlayOptions::default()).await;
        assert!(took < Duration::from_secs(2), "{took:?}");
        booth.listen(3_000).await;
        booth.assert_begins(from, &album.tracks[0], 3_000, "from the next server");
    });
}

#[test]
fn an_album_that_no_server_has_stops_where_it_is_and_plays_when_it_is_back() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Dozen").clone();
        let gone = Fault::on(Place::Storage).forever();
        world.sim.faults().add(gone.then(Then::Status(404, None)));
        let mark = world.sim.record().mark();
        let reply = booth.app.play(&album.uri(), PlayOptions::default()).await;
        let reply = reply.expect("an answer");
        assert_in_time(&reply, "play");
        let first = album.tracks[0].uri();
        shows(&booth.app, "the first of them, paused", |state| {
            state.paused && state.track_uri == first
        })
        .await;
        assert_eq!(booth.falls_silent().await, 0);
        let asked = world.sim.record().since(mark);
        let asked = asked.iter().filter(|it| it.place == Place::Storage);
        assert_eq!(asked.count(), 3, "enough to see that it is all of them");
        // A minute later they are there again.
        world.sim.faults().clear();
        let from = booth.heard();
        assert_yes(&booth.app.resume().await.expect("an answer"), "resume");
        booth.listen(400).await;
        booth.assert_begins(from, &album.tracks[0], 400, "the first");
        booth.hush().await;
        // One alone is passed over.
        let gone = Fault::on(Place::Storage).at(&file_of(&album.tracks[4]));
        let gone = gone.forever().then(Then::Status(404, None));
        world.sim.faults().add(gone);
        let from = booth.heard();
        booth.sounds(&album.uri(), PlayOptions::from_index(4)).await;
        booth.listen(400).await;
        booth.assert_begins(from, &album.tracks[5], 400, "the one behind it");
    });
}

/// How often the music of the pipe broke off, by the numbers.
async fn gaps(world: &World) -> u64 {
    let mut stream = UnixStream::connect(socket(world))
        .await
        .expect("it listens");
    let request = b"GET /metrics HTTP/1.1\r\nHost: siskin\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    let line = answer
        .lines()
        .find(|line| line.starts_with("siskin_output_gaps_total{"));
    let number = line.and_then(|line| line.rsplit(' ').next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a number")
}

#[test]
fn music_that_runs_out_on_a_pipe_is_counted() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let album = world.sim.catalogue().titled("Staircase").clone();
        let faults = world.sim.faults();
        faults.add(Fault::on(Place::Cdn).after(1).forever().then(Then::Stall));
        booth.sounds(&album.uri(), PlayOptions::default()).await;
        assert_eq!(gaps(&world).await, 0);
        booth.falls_silent().await;
        faults.clear();
        booth.listen(1_000).await;
        let end = Instant::now() + PATIENCE;
        while gaps(&world).await != 1 {
            assert!(Instant::now() < end, "{}", gaps(&world).await);
            sleep(Duration::from_millis(50)).await;
        }
        // A pause and the end of it are none.
        booth.hush().await;
        assert_yes(&booth.app.resume().await.expect("an answer"), "resume");
        booth.listen(500).await;
        assert_eq!(gaps(&world).await, 1);
    });
}
