//! A real sound server behind ALSA's own plugin, that dies and comes back.

use std::{
    fs,
    time::{Duration, Instant},
};

use spotify_sim::{
    listen::{playing, position_of},
    rigs::{PulseServer, Recording},
};

use super::{OVER, TENTH, count, plays, settings, told, until};
use crate::world::{Daemon, scenario, shows};

/// How long the server stays away.
const AWAY: Duration = Duration::from_secs(2);

#[test]
fn a_sound_server_that_dies_is_waited_for_without_spinning_and_music_goes_on() {
    scenario(async |world| {
        let pulse = blocking(PulseServer::start).await;
        let mut pulse = pulse.unwrap_or_else(|error| panic!("{error}"));
        let daemon = world.start_with(&settings(&world, "device = \"speaker\""), |command| {
            command.envs(pulse.environment());
        });
        let kim = world.sign_in("kim").await;
        plays(&world, &kim, "Staircase", 10_000).await;
        let (back, recording) = record(pulse).await;
        pulse = back;
        hears(&recording, 2 * TENTH).await;
        assert_eq!(count(&daemon, "output_lost"), 0, "nothing is wrong yet");
        let before = position_of(&tail(&recording)).expect("the staircase");

        pulse.kill();
        told(&daemon, "the sound server", 1).await;
        shows(&kim, "a pause", |state| state.paused).await;
        let (since, cpu) = (Instant::now(), cpu(&daemon));
        tokio::time::sleep(AWAY).await;
        let spent = self::cpu(&daemon) - cpu;
        println!(
            "{spent:?} of processor in {:?} without the server",
            since.elapsed()
        );
        assert!(spent < AWAY / 4, "{spent:?} in {:?}", since.elapsed());

        let begun = Instant::now();
        let pulse = blocking(move || pulse.restart().map(|()| pulse)).await;
        let pulse = pulse.unwrap_or_else(|error| panic!("{error}"));
        let (_pulse, recording) = record(pulse).await;
        hears(&recording, 2 * TENTH).await;
        let after = position_of(&tail(&recording)).expect("the staircase");
        let (gone, wall) = (after - before, begun.elapsed().as_secs_f64());
        println!("goes on {gone:.3} s after it broke off, {wall:.3} s after the restart");
        assert!((-0.5..wall + 0.5).contains(&gone), "{gone} s in {wall} s");
        told(&daemon, OVER, 1).await;
        shows(&kim, "a playing track", |state| state.playing).await;
    });
}

/// The rigs block; the simulation must go on meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

async fn record(pulse: PulseServer) -> (PulseServer, Recording) {
    let (pulse, recording) = blocking(|| {
        let recording = pulse.record();
        (pulse, recording)
    })
    .await;
    (pulse, recording.unwrap_or_else(|error| panic!("{error}")))
}

async fn hears(recording: &Recording, frames: usize) {
    until("sound at the server", || {
        let runs = playing(&recording.so_far());
        runs.last().is_some_and(|run| run.frames() >= frames)
    })
    .await;
}

/// The last tenth of a second that was heard.
fn tail(recording: &Recording) -> Vec<[f32; 2]> {
    let capture = recording.so_far();
    let end = playing(&capture).pop().expect("sound").to;
    capture[end - TENTH..end].to_vec()
}

/// Processor time of the daemon and its engines.
fn cpu(daemon: &Daemon) -> Duration {
    let processes = daemon.engines().into_iter().chain([daemon.pid()]);
    let ticks = processes.map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        // After the name in brackets, which may hold anything: user and system time are 12 and 13.
        let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
        let times = fields.skip(11).take(2);
        times
            .map(|ticks| ticks.parse::<u64>().expect("a number"))
            .sum::<u64>()
    });
    // A tick is 10 ms on every Linux that we meet.
    Duration::from_millis(10 * ticks.sum::<u64>())
}
