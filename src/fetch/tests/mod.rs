//! A fetch against a line that misbehaves.

mod ahead;
mod drip;
pub(super) mod fake;
mod storm;
mod trouble;

use std::{future::ready, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Budget, Failure, Handle, Key, Reader, Source, SourceError, meter::SMALLEST, start};
use fake::{Fake, KEY};

/// What the first request brings.
const FIRST: usize = SMALLEST as usize;

/// How often a reader in a test looks again.
const LOOK: Duration = Duration::from_millis(5);

fn begin(fake: &Fake) -> (Reader, Handle) {
    start(fake.clone(), ready(Ok(KEY)), 0, Budget::Playing)
}

/// Reads up to `count` bytes from `offset`, waiting for each.
async fn read(reader: &mut Reader, offset: u64, count: usize) -> Result<Vec<u8>, Failure> {
    let mut got = Vec::new();
    let mut buf = vec![0; 10_000];
    while got.len() < count {
        let wanted = buf.len().min(count - got.len());
        let at = offset + got.len() as u64;
        match reader.read_at(at, &mut buf[..wanted], Duration::ZERO) {
            Ok(0) => break,
            Ok(n) => got.extend_from_slice(&buf[..n]),
            Err(SourceError::NotYet) => sleep(LOOK).await,
            Err(SourceError::Failed(why)) => {
                let failure = reader.shared.lock().failure.clone().expect("a reason");
                assert_eq!(why, failure.to_string());
                return Err(failure);
            }
        }
    }
    Ok(got)
}

async fn read_all(reader: &mut Reader) -> Result<Vec<u8>, Failure> {
    read(reader, 0, usize::MAX).await
}

#[tokio::test(start_paused = true)]
async fn a_file_comes_whole_and_in_order() {
    for length in [1, 100, FIRST - 1, FIRST, FIRST + 1, 3_000_000] {
        let fake = Fake::new(length);
        let (mut reader, handle) = begin(&fake);
        assert!(
            read_all(&mut reader).await.unwrap() == *fake.plain,
            "{length}"
        );
        assert_eq!(reader.len(), Some(length as u64));
        assert!(handle.tally().memory <= 1_575_000);
        let asked: u64 = fake
            .asked()
            .iter()
            .map(|(_, range)| range.end - range.start)
            .sum();
        // But what looks like a part that was taken for the whole.
        let twice = if length == FIRST { 2 } else { 1 };
        assert!(
            asked <= (length.max(FIRST) * twice) as u64,
            "{length}: nothing is asked for twice"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_of_64_kb_starts_a_track() {
    let fake = Fake::new(3_000_000).line(80, 400_000);
    let (mut reader, handle) = begin(&fake);
    let began = Instant::now();
    let head = read(&mut reader, 0, 16_384).await.unwrap();
    let took = began.elapsed();
    assert!(head == fake.plain[..16_384]);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(fake.asked().len(), 1);
    assert_eq!(handle.tally().bytes, FIRST as u64);
    // The list, the head, and 16 kB.
    assert!(took < Duration::from_millis(80 + 80 + 50), "{took:?}");
    // Well into it, the reader is fetched for again.
    read(&mut reader, 16_384, 34_000).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    assert!(handle.bytes_ahead(50_384) >= 1_200_000);
}

#[tokio::test(start_paused = true)]
async fn half_a_minute_lies_ahead_and_memory_stays_bounded() {
    let fake = Fake::new(6_000_000).line(80, 2_000_000);
    let (mut reader, handle) = begin(&fake);
    let mut at = 0;
    // As a player reads 320 kbit/s: 40 kB a second.
    while at < 5_000_000 {
        let got = read(&mut reader, at, 40_000).await.unwrap();
        assert!(got == fake.plain[at as usize..at as usize + got.len()]);
        at += got.len() as u64;
        sleep(Duration::from_secs(1)).await;
        let ahead = handle.bytes_ahead(at);
        let enough = ahead >= 1_200_000 || handle.has_all_from(at) || at < 200_000;
        assert!(enough, "{ahead} at {at}");
    }
    let tally = handle.tally();
    assert!(tally.memory <= 2_000_000, "{tally:?}");
    // Not a request a second: the radio sleeps.
    assert!(tally.requests < 50, "{tally:?}");
    assert!(fake.script.lock().unwrap().most <= 2);
}

#[tokio::test(start_paused = true)]
async fn the_next_track_holds_a_megabyte_until_it_plays() {
    let fake = Fake::new(6_000_000).line(80, 2_000_000);
    let (mut reader, handle) = start(fake.clone(), ready(Ok(KEY)), 0, Budget::Next);
    read(&mut reader, 0, 50_000).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    let before = handle.tally().memory;
    assert!((600_000..=1_000_000).contains(&before), "{before}");
    handle.set_budget(Budget::Playing);
    sleep(Duration::from_secs(10)).await;
    assert!(handle.bytes_ahead(50_000) >= 1_200_000);
    assert!(handle.tally().memory <= 1_575_000);
}

#[tokio::test(start_paused = true)]
async fn the_line_never_rests_between_two_requests() {
    let fake = Fake::new(1_500_000).line(80, 400_000);
    let (mut reader, _handle) = begin(&fake);
    read(&mut reader, 0, FIRST).await.unwrap();
    let began = Instant::now();
    read(&mut reader, FIRST as u64, 1_000_000).await.unwrap();
    let took = began.elapsed().as_secs_f64();
    // Two at once share nothing in this fake line, so it may even be quicker than the rate.
    assert!(took < 2.8, "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_jump_costs_one_request_and_ends_what_was_under_way() {
    let fake = Fake::new(6_000_000).line(80, 400_000);
    let (mut reader, _handle) = begin(&fake);
    read(&mut reader, 0, 100_000).await.unwrap();
    let before = fake.asked().len();
    let part = read(&mut reader, 4_000_001, 40_000).await.unwrap();
    assert!(part == fake.plain[4_000_001..4_040_001]);
    let asked = fake.asked();
    assert_eq!(asked[before].1.start, 4_000_001);
    assert!(asked.len() <= before + 2, "{asked:?}");
    // And back, far outside the window.
    let part = read(&mut reader, 5, 10).await.unwrap();
    assert!(part == fake.plain[5..15]);
}

#[tokio::test(start_paused = true)]
async fn a_small_step_back_or_ahead_is_free() {
    let fake = Fake::new(6_000_000).line(80, 400_000);
    let (mut reader, _handle) = begin(&fake);
    read(&mut reader, 0, 400_000).await.unwrap();
    sleep(Duration::from_secs(20)).await;
    let before = fake.asked();
    for offset in [300_000, 390_000, 900_000, 1_000_000, 850_000] {
        let part = read(&mut reader, offset, 1000).await.unwrap();
        assert!(part == fake.plain[offset as usize..offset as usize + 1000]);
    }
    // More is asked for ahead, and nothing again.
    let end = before.last().unwrap().1.end;
    assert!(
        fake.asked()[before.len()..]
            .iter()
            .all(|(_, range)| range.start >= end)
    );
}

#[tokio::test(start_paused = true)]
async fn a_fetch_may_begin_in_the_middle_and_behind_the_end() {
    let fake = Fake::new(1_000_000);
    let (mut reader, _handle) = start(fake.clone(), ready(Ok(KEY)), 500_000, Budget::Playing);
    assert!(read(&mut reader, 500_000, usize::MAX).await.unwrap() == fake.plain[500_000..]);
    assert_eq!(fake.asked()[0].1.start, 500_000);
    let (mut reader, _handle) = start(fake.clone(), ready(Ok(KEY)), 2_000_000, Budget::Playing);
    assert!(read(&mut reader, 2_000_000, 10).await.unwrap().is_empty());
    assert_eq!(reader.len(), Some(1_000_000));
    assert_eq!(reader.read_at(u64::MAX, &mut [0], Duration::ZERO), Ok(0));
}

#[tokio::test(start_paused = true)]
async fn bytes_come_before_the_key_and_are_read_with_it() {
    let fake = Fake::new(200_000);
    let key = async {
        sleep(Duration::from_secs(3)).await;
        Ok(KEY)
    };
    let (mut reader, handle) = start(fake.clone(), key, 0, Budget::Playing);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(handle.bytes_ahead(0), FIRST as u64);
    assert_eq!(
        reader.read_at(0, &mut [0; 9], Duration::ZERO),
        Err(SourceError::NotYet)
    );
    assert!(read_all(&mut reader).await.unwrap() == *fake.plain);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_ends_the_fetch_unless_the_file_needs_none() {
    let refusal = Failure::KeyRefused;
    let locked = Fake::new(200_000);
    let (mut reader, _handle) = start(locked, ready(Err(refusal.clone())), 0, Budget::Playing);
    assert_eq!(read_all(&mut reader).await, Err(refusal.clone()));
    let plain = [b"OggS\0\x02".as_slice(), &[9; 100_000]].concat();
    let open = Fake::new(1).unlocked(plain.clone());
    let (mut reader, _handle) = start(open, ready(Err(refusal)), 0, Budget::Playing);
    assert!(read_all(&mut reader).await.unwrap() == plain);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_nobody_reads_ends() {
    let fake = Fake::new(6_000_000).line(80, 40_000);
    let (mut reader, _handle) = begin(&fake);
    read(&mut reader, 0, 50_000).await.unwrap();
    drop(reader);
    sleep(Duration::from_millis(200)).await;
    let asked = fake.asked().len();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(fake.asked().len(), asked);
    assert_eq!(
        std::sync::Arc::strong_count(&fake.script),
        1,
        "the line is let go of"
    );
}

#[test]
fn a_thread_that_blocks_is_woken_by_bytes_and_by_the_end_of_its_patience() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let mut fake = Fake::new(100_000);
    fake.latency = Duration::from_millis(50);
    let _inside = runtime.enter();
    let (mut reader, _handle) = begin(&fake);
    let mut buf = [0; 1000];
    let early = reader.read_at(0, &mut buf, Duration::from_millis(1));
    assert_eq!(early, Err(SourceError::NotYet));
    assert_eq!(
        reader.read_at(0, &mut buf, Duration::from_secs(20)),
        Ok(1000)
    );
    assert!(buf[..] == fake.plain[..1000]);
}

#[test]
fn keys_are_not_shown() {
    assert!(!format!("{:?}", Key::Aes([0x61; 16])).contains("61"));
}
