//! The whole output, from sink to target, without a sound card.

use std::time::{Duration, Instant};

use librespot_playback::{convert::Converter, decoder::AudioPacket};
use tokio::sync::mpsc::{Receiver, channel};

use super::*;
use crate::{config::VolumeSettings, model::Volume};

struct Rig {
    output: Output,
    sink: Box<dyn Sink>,
    reports: Receiver<Report>,
    converter: Converter,
}

impl Rig {
    fn new(settings: &config::Output) -> Self {
        let volume = VolumeControl::new(&VolumeSettings::default(), Volume::FULL);
        let (to, reports) = channel(32);
        let output = Output::open(settings, volume, to, std::process::id());
        let sink = output.sink_builder()();
        Self {
            output,
            sink,
            reports,
            converter: Converter::new(None),
        }
    }

    fn write(&mut self, samples: Vec<f64>) -> Result<(), String> {
        self.sink
            .write(AudioPacket::Samples(samples), &mut self.converter)
            .map_err(|error| error.to_string())
    }

    /// The next report, or none within five seconds.
    fn report(&mut self) -> Option<Report> {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match self.reports.try_recv() {
                Ok(report) => return Some(report),
                Err(_) if Instant::now() > deadline => return None,
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

/// Every step of sixteen bits but full scale, in a shape that is never symmetric: left and right differ.
fn pattern(frames: usize) -> Vec<i16> {
    (0..frames * 2)
        .map(|n| (n as u32).wrapping_mul(2_654_435_761) as i16)
        .collect()
}

fn samples(pattern: &[i16]) -> Vec<f64> {
    pattern.iter().map(|&s| f64::from(s) / 32_768.0).collect()
}

#[test]
fn a_wav_file_holds_exactly_the_samples_and_takes_as_long_as_the_music() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.wav");
    let mut rig = Rig::new(&config::Output::Wav {
        path: path.clone(),
        format: SampleFormat::S16,
    });
    let started = Instant::now();
    let source = pattern(22_050);
    rig.output.feed.note(edge::Edge::Load);
    rig.output.feed.note(edge::Edge::Start {
        track: 1,
        position_ms: 0,
    });
    rig.sink.start().expect("always starts");
    for packet in source.chunks(2000) {
        rig.write(samples(packet)).expect("written");
    }
    rig.output.feed.note(edge::Edge::End);
    rig.sink.stop().expect("always stops");
    assert!(started.elapsed() > Duration::from_millis(450));
    let played = rig.output.clock().now();
    assert_eq!(played.frames_taken, 22_050);
    assert_eq!((played.track, played.position_ms), (Some(1), 500));
    drop(rig);
    let bytes = std::fs::read(path).expect("the file");
    let written: Vec<u8> = source.iter().flat_map(|s| s.to_le_bytes()).collect();
    assert_eq!(bytes[40..44], (written.len() as u32).to_le_bytes());
    assert!(bytes[44..] == written, "other samples than were played");
}

#[test]
fn the_clock_of_a_null_output_follows_real_time_and_stands_still_in_a_pause() {
    let mut rig = Rig::new(&config::Output::Null);
    rig.output.feed.note(edge::Edge::Start {
        track: 3,
        position_ms: 60_000,
    });
    rig.sink.start().expect("always starts");
    let started = Instant::now();
    for _ in 0..30 {
        rig.write(vec![0.5; 2 * 882]).expect("written");
    }
    let wall = started.elapsed().as_millis() as u32;
    let played = rig.output.clock().now();
    assert!(played.consuming && played.track == Some(3));
    let gone = played.position_ms - 60_000;
    assert!(
        (480..wall + 30).contains(&gone),
        "{gone} ms after {wall} ms"
    );
    rig.sink.stop().expect("always stops");
    let paused = rig.output.clock().now();
    assert_eq!(paused.position_ms, 60_600);
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(rig.output.clock().now().position_ms, 60_600);
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
fn a_pipe_that_nobody_reads_refuses_samples_says_why_and_is_back_with_a_reader() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fifo");
    let mut rig = Rig::new(&config::Output::Pipe {
        path: Some(path.clone()),
        format: SampleFormat::S16,
    });
    rig.output.feed.note(edge::Edge::Start {
        track: 1,
        position_ms: 0,
    });
    rig.sink.start().expect("always starts");
    let source = pattern(30_000);
    let mut packets = source.chunks(2000);
    let refused = packets
        .by_ref()
        .map(|packet| rig.write(samples(packet)))
        .find_map(Result::err)
        .expect("nobody reads");
    assert!(refused.contains("nobody reads"), "{refused}");
    rig.sink.stop().expect("always stops");
    let Some(Report::Lost(condition)) = rig.report() else {
        panic!("no report of the loss");
    };
    assert!(condition.what.contains("nobody reads the pipe"));

    let reader = std::thread::spawn(move || std::fs::read(path));
    assert!(matches!(rig.report(), Some(Report::Opened(_))));
    assert_eq!(rig.report(), Some(Report::Back));
    rig.sink.start().expect("always starts");
    for packet in packets {
        rig.write(samples(packet)).expect("written");
    }
    rig.output.feed.note(edge::Edge::End);
    rig.sink.stop().expect("always stops");
    drop(rig);
    let read = reader.join().expect("no panic").expect("read");
    let written: Vec<u8> = source.iter().flat_map(|s| s.to_le_bytes()).collect();
    assert!(read == written, "{} bytes of {}", read.len(), written.len());
}

#[test]
fn a_player_that_is_gone_leaves_no_thread_behind() {
    let rig = Rig::new(&config::Output::Null);
    let started = Instant::now();
    rig.output.close();
    assert!(started.elapsed() < CLOSE_LIMIT);
}

/// Pauses and resumes, or seeks, in turn: none of it should click.
fn gesture(rig: &mut Rig, frame: u64) {
    if frame.is_multiple_of(2048) {
        rig.sink.stop().expect("always stops");
        std::thread::sleep(Duration::from_millis(200));
        rig.sink.start().expect("always starts");
    } else {
        rig.output.feed.note(edge::Edge::Jump {
            track: 1,
            position_ms: 1000,
        });
    }
}

/// Plays a tone as a player would: pauses when refused, goes on when the output is back. For a rig
/// or a real card: `SISKIN_TRY_DEVICE=hw:… SISKIN_TRY_SECONDS=10 cargo test try_a_card -- --ignored --nocapture`
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
        buffer_ms: 80,
    });
    let started = Instant::now();
    let mut told = started;
    let mut frame = 0u64;
    rig.output.feed.note(edge::Edge::Start {
        track: 1,
        position_ms: 0,
    });
    rig.sink.start().expect("always starts");
    while started.elapsed().as_secs_f64() < seconds {
        let packet = (frame..frame + 1024)
            .flat_map(|n| {
                let phase = n as f64 * hertz / f64::from(RATE) * std::f64::consts::TAU;
                [phase.sin() * 0.5; 2]
            })
            .collect();
        let result = rig.write(packet);
        frame += 1024;
        let at = started.elapsed().as_secs_f64();
        if let Err(why) = result {
            println!("{at:8.3} refused: {why}");
            rig.sink.stop().expect("always stops");
            while started.elapsed().as_secs_f64() < seconds {
                let report = rig.report();
                println!("{:8.3} {report:?}", started.elapsed().as_secs_f64());
                if report == Some(Report::Back) {
                    rig.sink.start().expect("always starts");
                    break;
                }
            }
        }
        while let Ok(report) = rig.reports.try_recv() {
            println!("{at:8.3} {report:?}");
        }
        if told.elapsed() > Duration::from_secs(1) {
            told = Instant::now();
            if var("SISKIN_TRY_GESTURES").is_some() {
                gesture(&mut rig, frame);
            }
            let stat = std::fs::read_to_string("/proc/self/stat").expect("/proc");
            let ticks: Vec<&str> = stat.split(' ').skip(13).take(2).collect();
            println!(
                "{at:8.3} {:?} cpu ticks {ticks:?}",
                rig.output.clock().now()
            );
        }
    }
    let stopping = Instant::now();
    rig.sink.stop().expect("always stops");
    println!("stop took {:?}", stopping.elapsed());
    println!("wrote {frame} frames, {:?}", rig.output.clock().now());
    std::thread::sleep(Duration::from_secs_f64(number("SISKIN_TRY_IDLE", 0.0)));
}
