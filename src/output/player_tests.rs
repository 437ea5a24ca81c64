//! librespot's own player on our sink: do its events fall where we think they do?

use std::{path::Path, time::Duration};

use librespot_core::{Session, SessionConfig, SpotifyUri};
use librespot_playback::{
    config::PlayerConfig,
    mixer::NoOpVolume,
    player::{Player, PlayerEvent, PlayerEventChannel},
};

use super::*;
use crate::{config::VolumeSettings, model::Volume};

/// A second and a bit, odd on purpose.
const FRAMES: usize = 48_511;

/// A FLAC file without compression, since that needs no library.
fn flac(title: &str, samples: &[i16]) -> Vec<u8> {
    const BLOCK: usize = 4096;
    let frames = (samples.len() / 2) as u64;
    let mut out = b"fLaC".to_vec();
    out.extend([0, 0, 0, 34]);
    out.extend([0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    let numbers = u64::from(RATE) << 44 | 1 << 41 | 15 << 36 | frames;
    out.extend(numbers.to_be_bytes());
    out.extend([0; 16]);
    let tags = ["ARTIST=a", "ALBUM=b", &format!("TITLE={title}")].map(str::to_owned);
    let mut comment = vec![0, 0, 0, 0, 3, 0, 0, 0];
    for tag in &tags {
        comment.extend((tag.len() as u32).to_le_bytes());
        comment.extend(tag.as_bytes());
    }
    out.extend([0x84, 0, 0, comment.len() as u8]);
    out.extend(comment);
    for (number, block) in samples.chunks(BLOCK * 2).enumerate() {
        let mut frame = vec![0xFF, 0xF8, 0x79, 0x18, number as u8];
        frame.extend(((block.len() / 2 - 1) as u16).to_be_bytes());
        frame.push(crc(&frame, 8, 0x07) as u8);
        for channel in 0..2 {
            frame.push(0x02);
            let side = block.iter().skip(channel).step_by(2);
            frame.extend(side.flat_map(|sample| sample.to_be_bytes()));
        }
        frame.extend((crc(&frame, 16, 0x8005) as u16).to_be_bytes());
        out.extend(frame);
    }
    out
}

fn crc(bytes: &[u8], bits: u32, polynomial: u32) -> u32 {
    let top = 1 << (bits - 1);
    let step = |crc: u32, _| match crc & top {
        0 => crc << 1,
        _ => crc << 1 ^ polynomial,
    };
    let all = bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte) << (bits - 8), step)
    });
    all & (u32::MAX >> (32 - bits))
}

fn pattern(frames: usize) -> Vec<i16> {
    (0..frames * 2)
        .map(|n| (n as u32).wrapping_mul(2_654_435_761) as i16 / 2)
        .collect()
}

fn uri(title: &str) -> SpotifyUri {
    SpotifyUri::from_uri(&format!("spotify:local:a:b:{title}:1")).expect("a good URI")
}

struct Rig {
    output: Output,
    player: Arc<Player>,
    events: PlayerEventChannel,
}

impl Rig {
    fn new(settings: &config::Output, music: &Path) -> Self {
        let volume = VolumeControl::new(&VolumeSettings::default(), Volume::FULL);
        let (reports, _) = mpsc::channel(32);
        let output = Output::open(settings, volume, reports, std::process::id());
        let player = Player::new(
            PlayerConfig {
                local_file_directories: vec![music.to_owned()],
                ..PlayerConfig::default()
            },
            Session::new(SessionConfig::default(), None),
            Box::new(NoOpVolume),
            output.sink_builder(),
        );
        output.follow(player.get_player_event_channel());
        let events = player.get_player_event_channel();
        Self {
            output,
            player,
            events,
        }
    }

    async fn event(&mut self, wanted: fn(&PlayerEvent) -> bool) -> PlayerEvent {
        let search = async {
            loop {
                match self.events.recv().await {
                    Some(event) if wanted(&event) => return event,
                    Some(_) => {}
                    None => panic!("the player is gone"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), search)
            .await
            .expect("no such event")
    }

    /// Waits until the clock says so.
    async fn heard(&self, wanted: impl Fn(&Played) -> bool) -> Played {
        let clock = self.output.clock();
        for _ in 0..2000 {
            let played = clock.now();
            if wanted(&played) {
                return played;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("never heard; last: {:?}", clock.now());
    }
}

fn is_end(event: &PlayerEvent) -> bool {
    matches!(event, PlayerEvent::EndOfTrack { .. })
}

fn is_preload(event: &PlayerEvent) -> bool {
    matches!(event, PlayerEvent::Preloading { .. })
}

fn is_paused(event: &PlayerEvent) -> bool {
    matches!(event, PlayerEvent::Paused { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tracks_leave_the_player_as_one_piece_of_music() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = pattern(2 * FRAMES);
    let (one, two) = source.split_at(FRAMES * 2);
    std::fs::write(folder.path().join("1.flac"), flac("one", one)).expect("a file");
    std::fs::write(folder.path().join("2.flac"), flac("two", two)).expect("a file");
    let path = folder.path().join("out.wav");
    let settings = config::Output::Wav {
        path: path.clone(),
        format: SampleFormat::S16,
    };
    let mut rig = Rig::new(&settings, folder.path());
    rig.player.load(uri("one"), true, 0);
    rig.player.preload(uri("two"));
    rig.event(is_preload).await;
    rig.event(is_end).await;
    rig.player.load(uri("two"), true, 0);
    rig.event(is_end).await;
    rig.player.stop();
    let stopped = |event: &PlayerEvent| matches!(event, PlayerEvent::Stopped { .. });
    rig.event(stopped).await;
    let played = rig.output.clock().now();
    assert_eq!(played.frames_taken, 2 * FRAMES as u64);
    assert_eq!(played.position_ms, 1100);
    tokio::task::spawn_blocking(move || drop((rig.player, rig.output)))
        .await
        .expect("no panic");
    let written = std::fs::read(path).expect("the file");
    let expected: Vec<u8> = source.iter().flat_map(|s| s.to_le_bytes()).collect();
    assert!(written[44..] == expected, "not the samples of the tracks");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clock_agrees_with_the_player_over_pause_seek_and_skip() {
    let folder = tempfile::tempdir().expect("a folder");
    for title in ["one", "two"] {
        let name = format!("{title}.flac");
        std::fs::write(folder.path().join(name), flac(title, &pattern(FRAMES))).expect("a file");
    }
    let mut rig = Rig::new(&config::Output::Null, folder.path());
    rig.player.load(uri("one"), true, 0);
    let first = rig.heard(|p| p.consuming && p.position_ms > 200).await;

    rig.player.pause();
    let PlayerEvent::Paused { position_ms, .. } = rig.event(is_paused).await else {
        unreachable!("asked for");
    };
    let paused = rig.output.clock().now();
    // The player names the beginning of its last packet, 93 ms of FLAC.
    let ahead = paused.position_ms - position_ms;
    assert!(ahead <= 94, "{paused:?} but the player says {position_ms}");
    assert_eq!(paused.track, first.track);

    rig.player.seek(900);
    rig.heard(|p| p.track == first.track && (800..=900).contains(&p.position_ms))
        .await;
    rig.player.play();
    let resumed = rig.heard(|p| p.consuming && p.position_ms > 900).await;
    assert!(resumed.frames_taken >= paused.frames_taken);

    rig.player.load(uri("two"), true, 0);
    let skipped = rig.heard(|p| p.track != first.track).await;
    assert!(skipped.position_ms < 100, "{skipped:?}");
    rig.player.seek(500);
    rig.heard(|p| p.position_ms > 500 && p.track == skipped.track)
        .await;
    tokio::task::spawn_blocking(move || drop((rig.player, rig.output)))
        .await
        .expect("no panic");
}
