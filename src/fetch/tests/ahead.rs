//! A reader that goes far ahead, on lines of any speed: never forgotten, and never made to wait for
//! what it does not want.

use std::{future::ready, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    super::{Budget, Source, SourceError, start},
    begin,
    fake::{Fake, KEY},
    read,
};

/// How often a player looks for bytes that are not urgent.
const LOOK: Duration = Duration::from_millis(50);

#[tokio::test(start_paused = true)]
async fn a_reader_far_ahead_of_a_fast_line_is_not_forgotten() {
    let fake = Fake::new(6_000_000);
    for budget in [Budget::Next, Budget::Playing] {
        for target in [900_000, 1_600_000, 5_000_000] {
            let (mut reader, _handle) = start(fake.clone(), ready(Ok(KEY)), 0, budget);
            read(&mut reader, 0, 5_000).await.unwrap();
            let began = Instant::now();
            let mut buf = [0; 1_000];
            while let Err(error) = reader.read_at(target, &mut buf, Duration::ZERO) {
                assert_eq!(error, SourceError::NotYet, "{budget:?} {target}");
                sleep(LOOK).await;
            }
            let took = began.elapsed();
            assert!(took < Duration::from_millis(200), "{target}: {took:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_skips_within_what_is_asked_for_is_fetched_for_in_time() {
    let fake = Fake::new(5_000_000).line(20, 4_000_000);
    let (mut reader, handle) = begin(&fake);
    read(&mut reader, 0, 100_000).await.unwrap();
    sleep(Duration::from_secs(5)).await;
    let end = 100_000 + handle.bytes_ahead(100_000);
    // To the end of what is there, and a bit beyond.
    for step in [10_000, 60_000, 100_000] {
        let at = end + step;
        read(&mut reader, at, 200_000).await.unwrap();
        sleep(Duration::from_secs(5)).await;
        let ahead = handle.bytes_ahead(at + 200_000);
        assert!(ahead >= 1_200_000, "{ahead} after {step}");
    }
}

/// What is asked for, and how long it takes, until 40 kB from `target` on are there. Asked for in
/// vain is what was before.
async fn jump(fake: &Fake, target: u64) -> (usize, u64, Duration) {
    let (mut reader, handle) = begin(fake);
    read(&mut reader, 0, 80_000).await.unwrap();
    sleep(Duration::from_secs(2)).await;
    let (asked, came) = (fake.asked().len(), handle.tally().bytes);
    let began = Instant::now();
    let part = read(&mut reader, target, 40_000).await.unwrap();
    assert!(part == fake.plain[target as usize..][..40_000]);
    let took = began.elapsed();
    let came = handle.tally().bytes - came;
    (fake.asked().len() - asked, came, took)
}

#[tokio::test(start_paused = true)]
async fn a_far_seek_costs_two_requests_at_most_however_fast_the_line_is() {
    let fake = Fake::new(5_000_000);
    for rate in [60_000, 400_000, 2_000_000, 12_500_000, u64::MAX] {
        let mut fake = fake.clone().line(20, rate);
        fake.rate = fake.rate.filter(|rate| *rate < u64::MAX);
        let (requests, came, took) = jump(&fake, 4_000_000).await;
        assert!(requests <= 2, "{rate}: {requests}");
        assert!(came <= 200_000, "{rate}: {came}");
        assert!(took < Duration::from_millis(900), "{rate}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_does_not_bring_what_was_passed_over() {
    let fake = Fake::new(1_000_000).line(80, 60_000);
    let (mut reader, handle) = begin(&fake);
    read(&mut reader, 0, 80_000).await.unwrap();
    let edge = 80_000 + handle.bytes_ahead(80_000);
    let began = Instant::now();
    read(&mut reader, edge + 60_000, 4_000).await.unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_millis(300), "{took:?}");
}
