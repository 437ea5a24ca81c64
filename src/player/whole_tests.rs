//! The player on a real output, in real time.

use std::path::PathBuf;

use super::{
    tests::{PLAIN, opened, straight},
    *,
};
use crate::{
    config::{self, SampleFormat, VolumeSettings},
    model::Volume,
    output::{Output, VolumeControl},
};

fn rig(path: PathBuf, level: Volume) -> (Output, Player, mpsc::Receiver<Event>) {
    let (reports, _) = mpsc::channel(32);
    let format = SampleFormat::S16;
    let settings = config::Output::Wav { path, format };
    let volume = VolumeControl::new(&VolumeSettings::default(), level);
    let output = Output::open(&settings, volume, reports, std::process::id());
    let (player, news) = Player::start(output.inlet(), PLAIN).expect("a thread");
    (output, player, news)
}

fn wait(news: &mut mpsc::Receiver<Event>, wanted: impl Fn(&Event) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        match news.try_recv() {
            Ok(event) if wanted(&event) => return,
            _ => thread::sleep(Duration::from_micros(500)),
        }
        assert!(Instant::now() < deadline, "not told");
    }
}

#[test]
fn a_file_holds_two_tracks_as_one_with_a_pause_that_left_no_trace_but_its_fades() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.wav");
    let (output, player, mut news) = rig(path.clone(), Volume::FULL);
    let open = opened("Tune");
    player.order(Order::Load {
        id: 1,
        open,
        position_ms: 7000,
        play: true,
    });
    player.order(Order::Next {
        id: 2,
        open: opened("Tone 7"),
        position_ms: 0,
        consecutive: false,
    });
    wait(&mut news, |event| *event == Event::Started { id: 1 });
    let asked = Instant::now();
    player.order(Order::Pause);
    wait(&mut news, |event| matches!(event, Event::Paused { .. }));
    println!("silent after {:?}", asked.elapsed());
    assert!(asked.elapsed() < Duration::from_secs(1));
    player.order(Order::Play);
    wait(&mut news, |event| matches!(event, Event::Resumed { .. }));
    wait(&mut news, |event| {
        *event == Event::Joined { from: 1, to: 2 }
    });
    let place = output.clock().now();
    assert!(
        place.track == Some(2) && place.position_ms < 200,
        "{place:?}"
    );
    wait(&mut news, |event| *event == Event::Ended { id: 2 });
    drop(player);
    output.close();
    let written = std::fs::read(path).expect("the file");
    let written: Vec<i16> = written[44..]
        .as_chunks::<2>()
        .0
        .iter()
        .map(|two| i16::from_le_bytes(*two))
        .collect();
    let expected = [&straight("Tune")[7 * 88_200..], &straight("Tone 7")].concat();
    assert_eq!(written.len(), expected.len());
    let steps = |sample: &f32| {
        (sample * 32_768.0)
            .round_ties_even()
            .clamp(-32_768.0, 32_767.0) as i16
    };
    let other = written
        .iter()
        .zip(&expected)
        .filter(|(written, sample)| **written != steps(sample))
        .count();
    // The fade at the beginning, which is in the middle of a track, and those of the pause.
    assert!(other <= 3 * 2 * 221, "{other} other samples");
}

/// What playing costs: `cargo rustc --lib --profile test -- -C opt-level=3`, then run the binary
/// with `try_playing --ignored --nocapture`.
#[test]
#[ignore = "takes half a minute; run by hand"]
fn try_playing() {
    let (output, player, mut news) = rig("/dev/null".into(), Volume(40_000));
    let open = opened("Long Road");
    let began = Instant::now();
    player.order(Order::Load {
        id: 1,
        open,
        position_ms: 60_000,
        play: true,
    });
    while news.try_recv() != Ok(Event::Started { id: 1 }) {
        thread::sleep(Duration::from_micros(200));
    }
    println!("first sample after {:?}", began.elapsed());
    let costs = || -> Vec<(String, f64, u64)> {
        let tasks = std::fs::read_dir("/proc/self/task").expect("/proc");
        tasks
            .filter_map(|task| {
                let path = task.ok()?.path();
                let read = |name: &str| std::fs::read_to_string(path.join(name)).ok();
                let spent = read("schedstat")?.split(' ').next()?.parse::<f64>().ok()?;
                let status = read("status")?;
                let switches = status.lines().find(|l| l.starts_with("voluntary"))?;
                let switches = switches.split_whitespace().nth(1)?.parse().ok()?;
                Some((read("comm")?.trim().to_owned(), spent / 1e6, switches))
            })
            .filter(|(name, ..)| name.starts_with("siskin"))
            .collect()
    };
    let before = costs();
    thread::sleep(Duration::from_secs(20));
    for (name, spent, switches) in costs() {
        let (_, then, woken) = before.iter().find(|b| b.0 == name).expect("the same");
        let spent = spent - then;
        println!(
            "{name}: {spent:.1} ms and {} wake-ups in 20 s",
            switches - woken
        );
    }
    drop(player);
    output.close();
}
