//! The measurements themselves.

use std::time::{Duration, Instant};

use super::{
    Effort, Result,
    ear::Awaited,
    process::{memory_mb, processor_time, wake_ups},
    stage::{Guest, Stage},
    table::{Figures, Row},
};
use crate::{PlayOptions, receiver::Binary};

/// Until what a start or a sign-in has stirred up has settled.
const REST: Duration = Duration::from_millis(2500);
/// Into the music, before its memory is looked at: the start is over, the second track far off.
const WARM: Duration = Duration::from_secs(5);

/// Into a track, before it is left: what follows has been fetched by then.
const FETCHED: Duration = Duration::from_millis(2500);
/// Where the high part of the staircase is.
const HIGH_MS: u32 = 60_000;
/// A part of the long track that nobody has fetched.
const FAR_MS: u32 = 180_000;

fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

/// From nothing to sound to silence, and every step timed.
pub async fn round(stage: &Stage, binary: &Binary) -> Result<Figures> {
    let mut figures = Figures::default();
    let mut add = |row, value| figures.add(row, binary.kind, value);
    let (guest, birth) = stage.start(binary).await?;
    add(Row::Announced, ms(birth.announced));
    add(Row::Info, ms(birth.info));
    let handoff = stage.hand_over(&guest).await?;
    add(Row::Answered, ms(handoff.answered));
    add(Row::Registered, ms(handoff.registered));
    let road = stage.road().uri();
    let before = stage.spent();
    let (took, spent) = guest.play(&handoff.app, &road).await?;
    add(Row::FirstSample, ms(took));
    add(
        Row::FirstRequests,
        (spent.requests - before.requests) as f64,
    );
    add(Row::FirstBytes, (spent.bytes - before.bytes) as f64 / 1e3);
    tokio::time::sleep(Duration::from_millis(700)).await;
    add(Row::Silence, ms(guest.pause(&handoff.app).await?));
    stage.leave(guest).await?;
    Ok(figures)
}

/// To the next track and to another place, both of which have been fetched.
pub async fn jumps(stage: &Stage, binary: &Binary) -> Result<Figures> {
    let mut figures = Figures::default();
    let (guest, _) = stage.start(binary).await?;
    let app = stage.hand_over(&guest).await?.app;
    guest.play(&app, &stage.staircase().uri()).await?;
    tokio::time::sleep(FETCHED).await;
    let (took, _) = guest
        .leads_to(Awaited::HighPitch, app.seek(HIGH_MS))
        .await?;
    figures.add(Row::Seek, binary.kind, ms(took));
    app.play_tracks(&stage.two_tones()?, PlayOptions::default())
        .await?;
    tokio::time::sleep(FETCHED).await;
    let (took, _) = guest.leads_to(Awaited::HighPitch, app.next()).await?;
    figures.add(Row::Skip, binary.kind, ms(took));
    stage.leave(guest).await?;
    Ok(figures)
}

/// The same over a slow line, as far as the line matters.
pub async fn slow_round(stage: &Stage, binary: &Binary) -> Result<Figures> {
    let mut figures = Figures::default();
    let mut add = |row, value| figures.add(row, binary.kind, value);
    let (guest, _) = stage.start(binary).await?;
    let handoff = stage.hand_over(&guest).await?;
    add(Row::SlowRegistered, ms(handoff.registered));
    let (app, road) = (handoff.app, stage.road().uri());
    let (took, _) = guest.play(&app, &road).await?;
    add(Row::SlowFirstSample, ms(took));
    tokio::time::sleep(FETCHED).await;
    let before = stage.spent();
    let (took, spent) = guest.leads_to(Awaited::EndOfGap, app.seek(FAR_MS)).await?;
    add(Row::SlowSeek, ms(took));
    add(Row::SeekRequests, (spent.requests - before.requests) as f64);
    stage.leave(guest).await?;
    Ok(figures)
}

/// Over a line that is hardly faster than the music.
pub async fn slower_round(stage: &Stage, binary: &Binary) -> Result<Figures> {
    let mut figures = Figures::default();
    let (guest, _) = stage.start(binary).await?;
    let app = stage.hand_over(&guest).await?.app;
    let (took, _) = guest.play(&app, &stage.road().uri()).await?;
    figures.add(Row::SlowerFirstSample, binary.kind, ms(took));
    stage.leave(guest).await?;
    Ok(figures)
}

/// One receiver for minutes: memory in every phase, idle wake-ups, processor time while playing.
pub async fn long(stage: &Stage, binary: &Binary, effort: Effort) -> Result<Figures> {
    let mut figures = Figures::default();
    let kind = binary.kind;
    let guest = stage.start_unasked(binary).await?;
    tokio::time::sleep(REST).await;
    figures.add(Row::MemoryBefore, kind, memory_mb(&guest.receiver.pids())?);
    let idle = idle(&guest, effort.idle).await?;
    figures.add(Row::WakeUpsBefore, kind, idle);
    stage.answers(&guest.at).await?;
    tokio::time::sleep(REST).await;
    figures.add(Row::MemoryAsked, kind, memory_mb(&guest.receiver.pids())?);

    let handoff = stage.hand_over(&guest).await?;
    tokio::time::sleep(REST).await;
    let pids = guest.receiver.pids();
    figures.add(Row::MemorySignedIn, kind, memory_mb(&pids)?);
    let idle = self::idle(&guest, effort.idle).await?;
    figures.add(Row::WakeUpsSignedIn, kind, idle);

    let road = stage.road().uri();
    guest.play(&handoff.app, &road).await?;
    let begun = Instant::now();
    tokio::time::sleep(WARM).await;
    figures.add(Row::MemoryPlaying, kind, memory_mb(&pids)?);
    while begun.elapsed() < effort.music {
        let (used, music) = (processor_time(&pids)?, guest.ear.seconds());
        tokio::time::sleep(effort.window).await;
        let used = processor_time(&pids)?.saturating_sub(used);
        let music = guest.ear.seconds() - music;
        if music < effort.window.as_secs_f64() / 2.0 {
            return Err(format!("{} played only {music:.1} s", kind.name()).into());
        }
        let a_minute = used.as_secs_f64() / music * 60.0;
        figures.add(Row::Processor, kind, a_minute);
    }
    figures.add(Row::MemoryLater, kind, memory_mb(&pids)?);
    stage.leave(guest).await?;
    Ok(figures)
}

/// Wake-ups a second while nobody wants anything.
async fn idle(guest: &Guest, window: Duration) -> Result<f64> {
    let pids = guest.receiver.pids();
    let (before, since) = (wake_ups(&pids)?, Instant::now());
    tokio::time::sleep(window).await;
    let woken = wake_ups(&pids)?.saturating_sub(before);
    Ok(woken as f64 / since.elapsed().as_secs_f64())
}
