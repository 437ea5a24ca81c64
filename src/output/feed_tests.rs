use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use super::*;
use crate::{model::CHANNELS, output::Inlet};

const CAPACITY: usize = 3528;

fn ones(frames: usize) -> Vec<f32> {
    vec![1.0; frames * CHANNELS]
}

/// An open device, and a player that has begun its track 9.
fn playing() -> (Arc<Feed>, Inlet) {
    let feed = Arc::new(Feed::new(CAPACITY));
    feed.opened(0);
    let inlet = Inlet::new(Arc::clone(&feed));
    inlet.begin(9, 0);
    inlet.run();
    (feed, inlet)
}

fn calls(inlet: &Inlet) -> Arc<AtomicU32> {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    inlet.on_change(Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
    }));
    calls
}

#[test]
fn what_does_not_fit_is_not_taken_and_the_player_is_woken_once_when_there_is_room() {
    let (feed, inlet) = playing();
    let calls = calls(&inlet);
    assert_eq!(inlet.push(&ones(CAPACITY + 100)), CAPACITY);
    assert_eq!(inlet.look().room, 0);
    assert!(!inlet.wake_at(1000));
    let mut out = vec![0.0; 600 * CHANNELS];
    feed.pull(&mut out, Pace::Now, 0);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    feed.pull(&mut out, Pace::Now, 0);
    feed.pull(&mut out, Pace::Now, 0);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(inlet.wake_at(1000), "it has left");
    assert_eq!(inlet.push(&ones(CAPACITY)), 1800);
}

#[test]
fn a_lost_device_keeps_what_it_was_given_and_the_player_hears_of_both_ends() {
    let (feed, inlet) = playing();
    let calls = calls(&inlet);
    inlet.push(&ones(1000));
    feed.lose();
    assert!(inlet.look().lost && calls.load(Ordering::Relaxed) == 1);
    inlet.push(&ones(1000));
    let mut out = vec![0.0; CAPACITY * CHANNELS];
    assert_eq!(feed.pull(&mut out, Pace::Patient, 0), 0);
    assert!(feed.opened(0), "it had been lost");
    assert!(!inlet.look().lost && calls.load(Ordering::Relaxed) == 2);
    inlet.end();
    assert_eq!(feed.pull(&mut out, Pace::Patient, 0), 2000);
}

#[test]
fn the_devices_owner_is_woken_by_the_first_samples() {
    let (feed, inlet) = playing();
    let owner = {
        let feed = Arc::clone(&feed);
        thread::spawn(move || feed.wait_for_music().ready)
    };
    inlet.push(&ones(CAPACITY));
    assert!(owner.join().expect("no panic"));
}

#[test]
fn a_rest_is_waited_for_and_never_longer_than_allowed() {
    let (feed, inlet) = playing();
    inlet.push(&ones(CAPACITY));
    let mut out = vec![0.0; 441 * CHANNELS];
    feed.pull(&mut out, Pace::Now, 0);
    // The device takes nothing more: the fade stays where it is.
    inlet.pause();
    let started = Instant::now();
    feed.rest(Duration::from_millis(30));
    assert!(started.elapsed() >= Duration::from_millis(30));
    feed.pull(&mut out, Pace::Now, 0);
    feed.rest(Duration::from_secs(60));
    assert!(started.elapsed() < Duration::from_secs(30));
    assert!(feed.status().idle_since.is_some());
}

#[test]
fn the_clock_stands_at_what_was_heard_and_not_at_what_was_decoded() {
    let (feed, inlet) = playing();
    inlet.push(&ones(CAPACITY));
    let mut out = vec![0.0; 441 * CHANNELS];
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
fn closing_tells_the_owner_wherever_it_waits() {
    let feed = Arc::new(Feed::new(CAPACITY));
    let waits: [fn(&Feed) -> Status; 2] = [
        |feed| feed.wait(None, |status| status.closing),
        Feed::wait_for_music,
    ];
    let owners = waits.map(|wait| {
        let feed = Arc::clone(&feed);
        thread::spawn(move || wait(&feed))
    });
    feed.close();
    for owner in owners {
        assert!(owner.join().expect("no panic").closing);
    }
}

/// A player that has begun its track 9, on an output that asks before music is heard.
fn asking() -> (Arc<Feed>, Inlet, mpsc::Receiver<Report>) {
    let (asks, asked) = mpsc::channel(4);
    let feed = Arc::new(Feed::new(CAPACITY));
    feed.lock().asks = Some(asks);
    feed.opened(0);
    let inlet = Inlet::new(Arc::clone(&feed));
    inlet.begin(9, 0);
    // As at every load.
    inlet.pause();
    inlet.run();
    inlet.push(&ones(2000));
    (feed, inlet, asked)
}

#[test]
fn music_after_a_silence_waits_for_a_word_and_a_short_pause_is_no_silence() {
    let (feed, inlet, mut asked) = asking();
    let mut out = vec![0.0; 500 * CHANNELS];
    assert_eq!(asked.try_recv(), Ok(Report::Holding));
    assert_eq!(feed.pull(&mut out, Pace::Now, 0), 0);
    assert!(!inlet.look().dry, "nobody misses anything");
    inlet.run();
    assert_eq!(
        feed.pull(&mut out, Pace::Now, 0),
        0,
        "a jump changes nothing"
    );
    feed.release();
    assert_eq!(feed.pull(&mut out, Pace::Now, 0), 500);
    inlet.pause();
    feed.pull(&mut out, Pace::Now, 0);
    inlet.run();
    assert!(asked.try_recv().is_err(), "no silence");
    assert_eq!(feed.pull(&mut out, Pace::Now, 0), 500);
}

#[test]
fn a_pause_while_the_music_waits_is_a_pause_and_the_question_stands() {
    let (feed, inlet, mut asked) = asking();
    assert!(asked.try_recv().is_ok());
    let mut out = vec![0.0; 500 * CHANNELS];
    inlet.pause();
    feed.release();
    assert_eq!(feed.pull(&mut out, Pace::Now, 0), 0, "paused");
    inlet.run();
    assert!(asked.try_recv().is_err(), "it was answered just now");
    assert_eq!(feed.pull(&mut out, Pace::Now, 0), 500);
    let (feed, inlet, mut asked) = asking();
    inlet.pause();
    inlet.run();
    assert!(
        asked.try_recv().is_ok() && asked.try_recv().is_ok(),
        "and again"
    );
    assert_eq!(feed.pull(&mut out, Pace::Now, 0), 0);
    // Where nobody listens, nobody is waited for.
    drop(asked);
    inlet.pause();
    inlet.run();
    assert_eq!(feed.pull(&mut out, Pace::Now, 0), 500);
}

#[test]
fn an_owner_who_is_caught_in_the_device_is_noticed_and_one_who_waits_or_takes_is_not() {
    let (feed, inlet) = playing();
    let hangs = || feed.hangs(Duration::from_millis(30));
    let pause = Duration::from_millis(60);
    inlet.push(&ones(1000));
    thread::sleep(pause);
    assert!(hangs(), "it has gone away and takes nothing");
    feed.pull(&mut [0.0; 32], Pace::Now, 0);
    assert!(!hangs(), "it takes some");
    let waiting = Arc::clone(&feed);
    let until = Instant::now() + 4 * pause;
    let owner = thread::spawn(move || waiting.wait(Some(until), |_| false));
    while !feed.lock().owner_waits {
        thread::yield_now();
    }
    thread::sleep(2 * pause);
    assert!(!hangs(), "it waits");
    owner.join().expect("no panic");
    inlet.pause();
    thread::sleep(pause);
    assert!(!hangs(), "nothing is to be heard");
}

#[test]
fn a_device_that_is_given_up_in_a_pause_wakes_the_player() {
    let (feed, inlet) = playing();
    inlet.push(&ones(2000));
    feed.pull(&mut vec![0.0; 100 * CHANNELS], Pace::Now, 0);
    inlet.pause();
    let calls = calls(&inlet);
    // It has stalled: nobody takes the fade any more.
    feed.closed();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    assert!(inlet.look().silent);
}

#[test]
fn a_pause_gives_a_patient_taker_the_end_that_it_was_waiting_with() {
    let (feed, inlet) = playing();
    inlet.push(&ones(1000));
    let mut out = vec![0.0; 1000 * CHANNELS];
    assert!(feed.pull(&mut out, Pace::Patient, 0) < 1000, "it may go on");
    let (told, hears) = std::sync::mpsc::channel();
    let owner = Arc::clone(&feed);
    thread::spawn(move || told.send(owner.wait_for_music().ready));
    while !feed.lock().owner_waits {
        thread::yield_now();
    }
    inlet.pause();
    assert_eq!(hears.recv_timeout(Duration::from_secs(10)), Ok(true));
    assert!(feed.pull(&mut out, Pace::Patient, 0) > 0);
    assert!(inlet.look().silent);
}

#[test]
fn music_that_waits_for_a_word_waits_at_another_output_too() {
    let (feed, _inlet, _asked) = asking();
    feed.reopen(CAPACITY);
    feed.opened(0);
    let mut out = vec![0.0; 500 * CHANNELS];
    assert_eq!(feed.pull(&mut out, Pace::Now, 0), 0);
    feed.release();
    assert_eq!(feed.pull(&mut out, Pace::Now, 0), 500);
}
