//! The whole output, from inlet to target, without a sound card.

use std::{
    thread,
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{Receiver, channel};

use super::*;
use crate::{
    config::VolumeSettings,
    model::{CHANNELS, RATE, Volume},
};

/// No wait of these tests is longer.
const LIMIT: Duration = Duration::from_secs(10);

struct Rig {
    output: Output,
    inlet: Inlet,
    reports: Receiver<Report>,
}

impl Rig {
    fn new(settings: &config::Output) -> Self {
        let volume = VolumeControl::new(&VolumeSettings::default(), Volume::FULL);
        let (to, reports) = channel(32);
        let output = Output::open(settings, volume, to, std::process::id());
        Self {
            inlet: output.inlet(),
            output,
            reports,
        }
    }

    /// Pushes everything, as there is room.
    fn push(&self, samples: &[f32]) {
        let mut rest = samples;
        self.until(|rig| {
            rest = &rest[rig.inlet.push(rest) * CHANNELS..];
            rest.is_empty()
        });
    }

    /// A whole track, from its first sample to its last.
    fn track(&self, track: u64, samples: &[f32]) {
        self.inlet.begin(track, 0);
        self.inlet.run();
        self.push(samples);
        self.inlet.end();
    }

    fn until(&self, mut done: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done(self) {
            assert!(Instant::now() < deadline, "last: {:?}", self.inlet.look());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until everything that was pushed has left.
    fn played_out(&self) {
        self.until(|rig| {
            let look = rig.inlet.look();
            look.taken == look.written
        });
    }

    /// The next report, or none within a while.
    fn report(&mut self) -> Option<Report> {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.reports.try_recv() {
                Ok(report) => return Some(report),
                Err(_) if Instant::now() > deadline => return None,
                Err(_) => thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

/// Every step of sixteen bits but full scale, in a shape that is never symmetric: left and right differ.
fn pattern(frames: usize) -> Vec<i16> {
    (0..frames * CHANNELS)
        .map(|n| (n as u32).wrapping_mul(2_654_435_761) as i16)
        .collect()
}

fn samples(pattern: &[i16]) -> Vec<f32> {
    pattern.iter().map(|&s| f32::from(s) / 32_768.0).collect()
}

fn bytes(pattern: &[i16]) -> Vec<u8> {
    pattern.iter().flat_map(|s| s.to_le_bytes()).collect()
}

#[test]
fn a_wav_file_holds_exactly_the_samples_and_takes_as_long_as_the_music() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.wav");
    let rig = Rig::new(&config::Output::Wav {
        path: path.clone(),
        format: SampleFormat::S16,
    });
    let started = Instant::now();
    let source = pattern(22_050);
    rig.track(1, &samples(&source));
    rig.played_out();
    assert!(started.elapsed() > Duration::from_millis(400));
    let clock = rig.output.clock();
    rig.output.close();
    let played = clock.now();
    assert_eq!(played.frames_taken, 22_050);
    assert_eq!((played.track, played.position_ms), (Some(1), 500));
    let written = std::fs::read(path).expect("the file");
    let expected = bytes(&source);
    assert_eq!(written[40..44], (expected.len() as u32).to_le_bytes());
    assert!(written[44..] == expected, "other samples than were played");
}

#[test]
fn the_clock_of_a_null_output_follows_real_time_and_stands_still_in_a_pause() {
    let rig = Rig::new(&config::Output::Null);
    rig.inlet.begin(3, 60_000);
    rig.inlet.run();
    let started = Instant::now();
    rig.push(&vec![0.5; CHANNELS * 44_100]);
    rig.until(|rig| rig.output.clock().now().position_ms > 60_400);
    let wall = started.elapsed().as_millis() as u32;
    let played = rig.output.clock().now();
    assert!(played.consuming && played.track == Some(3));
    let gone = played.position_ms - 60_000;
    // A block is taken at once, and what was late is made up for.
    assert!(gone < wall + 150, "{gone} ms after {wall} ms");
    rig.inlet.pause();
    rig.until(|rig| rig.inlet.look().silent);
    rig.until(|rig| {
        let look = rig.inlet.look();
        look.heard == look.taken
    });
    let paused = rig.output.clock().now();
    assert!(paused.position_ms < 61_000, "most of it waits");
    thread::sleep(Duration::from_millis(20));
    let later = rig.output.clock().now();
    assert_eq!(later.position_ms, paused.position_ms);
    assert_eq!(later.frames_taken, paused.frames_taken);
}

#[test]
fn nothing_is_opened_before_there_is_something_to_play() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.wav");
    let rig = Rig::new(&config::Output::Wav {
        path: path.clone(),
        format: SampleFormat::S16,
    });
    rig.output.close();
    assert!(!path.exists());
}

#[test]
fn a_pipe_that_nobody_reads_keeps_what_waits_says_why_and_is_back_with_a_reader() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fifo");
    let mut rig = Rig::new(&config::Output::Pipe {
        path: Some(path.clone()),
        format: SampleFormat::S16,
    });
    let source = pattern(30_000);
    rig.track(1, &samples(&source));
    let Some(Report::Lost(condition)) = rig.report() else {
        panic!("no report of the loss");
    };
    assert!(condition.what.contains("nobody reads the pipe"));
    assert!(rig.inlet.look().lost);

    let reader = thread::spawn(move || std::fs::read(path));
    assert!(matches!(rig.report(), Some(Report::Opened(_))));
    assert_eq!(rig.report(), Some(Report::Back));
    rig.played_out();
    rig.output.close();
    let read = reader.join().expect("no panic").expect("read");
    let written = bytes(&source);
    assert!(read == written, "{} bytes of {}", read.len(), written.len());
}

#[test]
fn a_skip_takes_back_what_the_reader_of_a_pipe_has_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fifo");
    let mut rig = Rig::new(&config::Output::Pipe {
        path: Some(path.clone()),
        format: SampleFormat::S16,
    });
    rig.inlet.begin(1, 0);
    rig.inlet.run();
    rig.push(&[0.5; 20_000 * CHANNELS]);
    assert!(matches!(rig.report(), Some(Report::Lost(_))));
    // Opens without waiting, and does not read before it is told to.
    let (reading, told) = std::sync::mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        let mut file = std::fs::File::open(path).expect("the FIFO");
        told.recv().expect("the word");
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut read).expect("read");
        read
    });
    rig.until(|rig| rig.inlet.look().taken > 0);
    rig.inlet.flush();
    rig.track(2, &[0.25; 10_000 * CHANNELS]);
    rig.until(|rig| rig.inlet.look().place.is_some_and(|(track, _)| track == 2));
    reading.send(()).expect("it waits");
    rig.played_out();
    rig.output.close();
    let read = reader.join().expect("no panic");
    let left: Vec<i16> = read
        .chunks_exact(4)
        .map(|frame| i16::from_le_bytes([frame[0], frame[1]]))
        .collect();
    let (fade, next) = left.split_at(reel::FADE);
    assert!(fade.is_sorted_by(|a, b| a > b), "{fade:?}");
    assert_eq!(next, vec![8192; 10_000]);
}

#[test]
fn a_player_that_is_gone_leaves_no_thread_behind() {
    let rig = Rig::new(&config::Output::Null);
    let started = Instant::now();
    rig.output.close();
    assert!(started.elapsed() < CLOSE_LIMIT);
}

/// Pauses and resumes, or seeks, in turn: none of it should click.
fn gesture(rig: &Rig, turn: u64) {
    if turn.is_multiple_of(2) {
        rig.inlet.pause();
        thread::sleep(Duration::from_millis(200));
        rig.inlet.run();
    } else {
        rig.inlet.flush();
        rig.inlet.begin(1, 1000);
    }
}

/// Plays a tone as the player would: pushes as there is room, and goes on when the output is back.
/// For a rig or a real card:
/// `SISKIN_TRY_DEVICE=hw:… SISKIN_TRY_SECONDS=10 cargo test try_a_card -- --ignored --nocapture`
#[test]
#[ignore = "plays on a real sound card; run by hand"]
fn try_a_card() {
    let var = |name: &str| std::env::var(name).ok();
    let number = |name: &str, default: f64| {
        var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let seconds = number("SISKIN_TRY_SECONDS", 5.0);
    let hertz = number("SISKIN_TRY_HERTZ", 1000.0);
    for line in devices() {
        println!("{line:?}");
    }
    let mut rig = Rig::new(&config::Output::Card {
        device: var("SISKIN_TRY_DEVICE"),
        buffer_ms: 46,
    });
    let started = Instant::now();
    let mut turn = 0;
    let mut frame = 0u64;
    rig.inlet.begin(1, 0);
    rig.inlet.run();
    while started.elapsed().as_secs_f64() < seconds {
        let packet: Vec<f32> = (frame..frame + 1024)
            .flat_map(|n| {
                let phase = n as f64 * hertz / f64::from(RATE) * std::f64::consts::TAU;
                [(phase.sin() * 0.5) as f32; CHANNELS]
            })
            .collect();
        frame += rig.inlet.push(&packet) as u64;
        if rig.inlet.look().room < 1024 {
            thread::sleep(Duration::from_millis(50));
        }
        let at = started.elapsed().as_secs_f64();
        while let Ok(report) = rig.reports.try_recv() {
            println!("{at:8.3} {report:?}");
        }
        if at as u64 > turn {
            turn = at as u64;
            if var("SISKIN_TRY_GESTURES").is_some() {
                gesture(&rig, turn);
            }
            let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
            let ticks: Vec<&str> = stat.split(' ').skip(13).take(2).collect();
            println!(
                "{at:8.3} {:?} cpu ticks {ticks:?}",
                rig.output.clock().now()
            );
        }
    }
    rig.inlet.pause();
    println!("wrote {frame} frames, {:?}", rig.output.clock().now());
    thread::sleep(Duration::from_secs_f64(number("SISKIN_TRY_IDLE", 0.0)));
}
