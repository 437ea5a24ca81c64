//! Hours of music in minutes: does memory grow?
//!
//! The sound card of this is in a hurry. Everything else is as it is: one context of hundreds of
//! tracks, each fetched, decoded, joined to the one before and told to everybody.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    Result,
    process::{machine, memory_mb, processor_time},
    stage::{Stage, on_stage},
};
use crate::{
    Controller, PlayOptions, SimOptions,
    catalogue::Album,
    receiver::{Binary, Kind, Sound},
    rigs::HastyDac,
};

const ALBUM: &str = "Evening";
/// Memory is looked at after so many minutes of music, and at the end.
const MARKS: [f64; 8] = [1.0, 10.0, 30.0, 60.0, 90.0, 120.0, 180.0, 240.0];
/// How often it is looked at how far the music is.
const LOOK: Duration = Duration::from_millis(100);
/// No track lasts so long at any speed.
const STUCK: Duration = Duration::from_secs(60);

/// What to play.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our release binary.
    pub siskin: PathBuf,
    pub minutes: u32,
    /// How often faster than real time.
    pub speed: u32,
    /// More settings, as environment variables.
    pub settings: Vec<(String, String)>,
}

/// Plays, and prints what memory it took on the way.
///
/// # Errors
/// When it could not be played to its end; not because of a number.
pub fn run(options: &Options) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("siskin-bench-").tempdir()?;
    let binary = Binary::prepare(Kind::Siskin, &options.siskin, folder.path())?;
    // A minute each, and a few more, so that it does not end before.
    let mut sim = SimOptions::default();
    sim.catalogue.add_evening(ALBUM, options.minutes + 10);
    let options = options.clone();
    on_stage(sim, async move |stage| play(stage, &binary, &options).await)
}

async fn play(stage: &Stage, binary: &Binary, options: &Options) -> Result<()> {
    let album = stage.sim.catalogue().titled(ALBUM).clone();
    let card = HastyDac::build(options.speed)?;
    let mut env = options.settings.clone();
    env.push(("ALSA_CONFIG_PATH".to_owned(), card.alsa_config()));
    // A card in a hurry asks for more at once.
    env.push(("SISKIN_OUTPUT_BUFFER_MS".to_owned(), "2000".to_owned()));
    let (mut guest, _) = stage.start_with(binary, Some(Sound::Card), env).await?;
    let app = stage.hand_over(&guest).await?.app;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let pids = guest.receiver.pids();
    println!("{}, {} times real time", machine(), options.speed);
    println!("| minutes of music | tracks | PSS, MB | daemon | engine | processor, s |");
    println!("| --- | --- | --- | --- | --- | --- |");
    print_row(0.0, 0, &pids)?;
    let begun = Instant::now();
    app.play(&album.uri(), PlayOptions::default()).await?;
    let far = listen(&app, &album, &pids, f64::from(options.minutes)).await;
    if let Err(why) = far {
        return Err(guest.explain(&why.to_string()).into());
    }
    println!("in {} s", begun.elapsed().as_secs());
    stage.leave(guest).await
}

/// Looks at the memory at each mark until so many minutes have passed.
async fn listen(app: &Controller, album: &Album, pids: &[u32], minutes: f64) -> Result<()> {
    let mut marks = MARKS.iter().copied().filter(|mark| *mark < minutes);
    let mut mark = marks.next().unwrap_or(minutes);
    let (mut at, mut since) = (0, Instant::now());
    loop {
        tokio::time::sleep(LOOK).await;
        let playing = app.state().track_uri;
        let found = album.tracks.iter().position(|track| track.uri() == playing);
        let now = found.unwrap_or(at);
        if now != at {
            (at, since) = (now, Instant::now());
        } else if since.elapsed() > STUCK {
            return Err(format!("stuck at track {}", at + 1).into());
        }
        let before: u64 = album.tracks[..at].iter().map(|track| track.frames()).sum();
        let passed = before as f64 / 44_100.0 / 60.0;
        while passed >= mark {
            print_row(passed, at, pids)?;
            if mark >= minutes {
                return Ok(());
            }
            mark = marks.next().unwrap_or(minutes);
        }
    }
}

fn print_row(minutes: f64, tracks: usize, pids: &[u32]) -> Result<()> {
    let (daemon, engine) = pids.split_at(1);
    println!(
        "| {minutes:.0} | {tracks} | {:.1} | {:.1} | {:.1} | {:.1} |",
        memory_mb(pids)?,
        memory_mb(daemon)?,
        memory_mb(engine)?,
        processor_time(pids)?.as_secs_f64(),
    );
    Ok(())
}
