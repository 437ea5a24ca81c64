use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
};

use tokio::sync::mpsc;

use super::*;
use crate::{
    config::VolumeSettings,
    model::Volume,
    output::{Inlet, report::lost},
};

/// Opens at any time, like a file on a disk that is full, and takes bytes when it has room.
#[derive(Clone, Default)]
struct Full {
    has_room: Arc<Mutex<bool>>,
    refusals: Arc<AtomicU32>,
    kept: Arc<Mutex<Vec<u8>>>,
}

impl Target for Full {
    fn open(&mut self) -> Result<Opened, Condition> {
        Null.open()
    }

    fn write(&mut self, bytes: &mut Vec<u8>, _: &dyn Fn() -> bool) -> Result<(), Condition> {
        if !*self.has_room.lock().expect("no panic") {
            self.refusals.fetch_add(1, Ordering::Relaxed);
            return Err(lost("full", "full", "make room"));
        }
        self.kept.lock().expect("no panic").append(bytes);
        Ok(())
    }
}

struct Rig {
    full: Full,
    feed: Arc<Feed>,
    inlet: Inlet,
    reports: mpsc::Receiver<Report>,
    writer: JoinHandle<()>,
}

/// Music at this level, refused once.
fn refused(level: f32) -> Rig {
    let full = Full::default();
    let feed = Arc::new(Feed::new(44_100));
    let (to, reports) = mpsc::channel(64);
    let writer = Writer {
        feed: Arc::clone(&feed),
        volume: VolumeControl::new(&VolumeSettings::default(), Volume::FULL),
        outbox: Outbox::new(to),
        target: Box::new(full.clone()),
        format: SampleFormat::F32,
        patience: Duration::from_millis(1),
        bytes: Vec::new(),
        flushes: 0,
    };
    let writer = writer.spawn().expect("a thread");
    let inlet = Inlet::new(Arc::clone(&feed));
    let rig = Rig {
        full,
        feed,
        inlet,
        reports,
        writer,
    };
    rig.plays(1, level);
    rig.until(|rig| rig.refused() > 0);
    rig
}

impl Rig {
    fn plays(&self, track: u64, level: f32) {
        self.inlet.begin(track, 0);
        self.inlet.run();
        self.inlet.push(&vec![level; 4 * BLOCK * CHANNELS]);
        self.inlet.end();
    }

    fn refused(&self) -> u32 {
        self.full.refusals.load(Ordering::Relaxed)
    }

    fn until(&self, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done(self) {
            assert!(Instant::now() < deadline, "it never comes");
            thread::yield_now();
        }
    }

    /// Makes room, and returns what was written until the end.
    fn makes_room(mut self) -> (Vec<f32>, Vec<Report>) {
        *self.full.has_room.lock().expect("no panic") = true;
        self.until(|rig| rig.inlet.look().taken == rig.inlet.look().written);
        self.feed.close();
        self.writer.join().expect("no panic");
        let kept = self.full.kept.lock().expect("no panic");
        let (samples, _) = kept.as_chunks::<4>();
        let samples = samples.iter().map(|four| f32::from_le_bytes(*four));
        let mut reports = Vec::new();
        while let Ok(report) = self.reports.try_recv() {
            reports.push(report);
        }
        (samples.collect(), reports)
    }
}

#[test]
fn a_disk_that_stays_full_is_told_of_once_and_loses_no_sample() {
    let rig = refused(0.5);
    let enough = rig.refused() + 5;
    rig.until(|rig| rig.refused() >= enough);
    let (heard, reports) = rig.makes_room();
    assert_eq!(heard.len(), 4 * BLOCK * CHANNELS);
    let first = &heard[..BLOCK * CHANNELS];
    assert!(first.iter().all(|sample| *sample == 0.5));
    let losses = |report: &&Report| matches!(report, Report::Lost(_));
    assert_eq!(reports.iter().filter(losses).count(), 1);
    let back = |report: &&Report| **report == Report::Back;
    assert_eq!(reports.iter().filter(back).count(), 1);
}

#[test]
fn what_is_left_of_music_that_nobody_waits_for_is_not_heard_before_the_next() {
    let rig = refused(0.5);
    rig.inlet.flush();
    rig.plays(2, -0.25);
    let (heard, _) = rig.makes_room();
    let after = heard.iter().position(|sample| *sample == -0.25);
    assert_eq!(after, Some(0), "{:?}", &heard[..4]);
}
