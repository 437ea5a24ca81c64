use std::{sync::Arc, thread};

use super::*;

const CAPACITY: usize = 3528;

fn ones(frames: usize) -> Vec<f64> {
    vec![1.0; frames * 2]
}

#[test]
fn a_writer_waits_for_room_and_goes_on_when_there_is_some() {
    let feed = Arc::new(Feed::new(CAPACITY));
    feed.opened(0);
    let writer = {
        let feed = Arc::clone(&feed);
        thread::spawn(move || feed.write(&ones(CAPACITY * 3)))
    };
    let mut taken = 0;
    let mut out = vec![0.0; 2048];
    while taken < CAPACITY {
        feed.wait_for_music(None);
        taken += feed.pull(&mut out, Pace::Patient, 0);
        if taken >= CAPACITY * 2 {
            break;
        }
    }
    while !writer.is_finished() {
        feed.pull(&mut out, Pace::Patient, 0);
        thread::yield_now();
    }
    assert_eq!(writer.join().expect("no panic"), Ok(()));
}

#[test]
fn a_lost_device_refuses_at_once_and_keeps_what_it_was_given() {
    let feed = Feed::new(CAPACITY);
    feed.lose("gone");
    let started = Instant::now();
    assert_eq!(
        feed.write(&ones(1000)),
        Err(Refusal::Lost("gone".to_owned()))
    );
    feed.stop();
    assert!(started.elapsed() < Duration::from_secs(1));
    assert!(feed.opened(0), "it had been lost");
    feed.write(&ones(CAPACITY - 1000)).expect("room");
    let mut out = vec![0.0; CAPACITY * 4];
    assert!(feed.pull(&mut out, Pace::Patient, 0) > CAPACITY - 1000);
}

#[test]
fn a_writer_is_woken_by_a_loss() {
    let feed = Arc::new(Feed::new(CAPACITY));
    feed.opened(0);
    let writer = {
        let feed = Arc::clone(&feed);
        thread::spawn(move || feed.write(&ones(CAPACITY * 2)))
    };
    feed.wait_for_music(None);
    feed.lose("unplugged");
    assert_eq!(
        writer.join().expect("no panic"),
        Err(Refusal::Lost("unplugged".to_owned()))
    );
}

#[test]
fn stopping_never_waits_for_a_device_that_takes_nothing() {
    let feed = Feed::new(CAPACITY);
    feed.opened(0);
    feed.write(&ones(CAPACITY)).expect("room");
    let started = Instant::now();
    feed.stop();
    assert!(started.elapsed() < Duration::from_secs(2));
}

#[test]
fn the_clock_stands_at_what_was_heard_and_not_at_what_was_decoded() {
    let feed = Feed::new(CAPACITY);
    feed.opened(0);
    feed.note(Edge::Start {
        track: 9,
        position_ms: 0,
    });
    feed.write(&ones(CAPACITY)).expect("room");
    let mut out = vec![0.0; 2 * 441];
    feed.pull(&mut out, Pace::Now, 1000);
    let now = Instant::now();
    let played = feed.played(now);
    assert_eq!((played.track, played.frames_taken), (Some(9), 441));
    assert!(played.position_ms <= 10 && played.consuming);
    let later = feed.played(now + Duration::from_secs(5));
    assert_eq!(later.position_ms, 10);
    assert!(!later.consuming);
}

#[test]
fn closing_frees_a_writer_and_tells_the_owner() {
    let feed = Arc::new(Feed::new(CAPACITY));
    let writer = {
        let feed = Arc::clone(&feed);
        thread::spawn(move || feed.write(&ones(CAPACITY * 2)))
    };
    feed.wait(None, |status| status.wanted);
    feed.close();
    assert!(feed.wait(None, |status| status.closing).closing);
    assert!(writer.join().expect("no panic").is_err());
}

#[test]
fn a_refusal_is_remembered_until_somebody_asks_also_when_the_device_is_back() {
    let feed = Feed::new(CAPACITY);
    feed.write(&ones(10)).expect("room");
    assert!(!feed.take_refusal());
    feed.lose("unplugged");
    assert!(feed.write(&ones(10)).is_err() && feed.is_lost());
    feed.opened(0);
    assert!(feed.take_refusal() && !feed.is_lost());
    assert!(!feed.take_refusal());
}
