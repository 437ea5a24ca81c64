//! Sound cards and sound servers that come, go and misbehave. What counts is what the card heard.

mod choice;
mod lost;
mod ring;
mod server;
mod sound;

use std::time::{Duration, Instant};

use spotify_sim::{
    Controller, PlayOptions,
    listen::{self, Frame, position_of},
    rigs::{Card, FakeDac, State},
};

use crate::world::{Daemon, PATIENCE, World, scenario};

/// A tenth of a second at the card, enough to tell what is played and from where.
const TENTH: usize = 4_410;
const SECOND: usize = 44_100;

/// What the log says when there is an output again.
const OVER: &str = "over: output lost";

/// A speaker on the fake card.
struct Rig {
    daemon: Daemon,
    dac: FakeDac,
    world: World,
}

/// Runs a scenario on a card in this state, chosen by this line of the settings.
fn on_card(state: State, device: &'static str, play: impl AsyncFnOnce(Rig) + Send + 'static) {
    scenario(async move |world| {
        let dac = FakeDac::build().unwrap_or_else(|error| panic!("{error}"));
        dac.set(state);
        let daemon = start(&world, &dac, device);
        play(Rig { daemon, dac, world }).await;
    });
}

fn start(world: &World, dac: &FakeDac, device: &str) -> Daemon {
    world.start_with(&settings(world, device), |command| {
        command.env("ALSA_CONFIG_PATH", dac.alsa_config());
    })
}

fn settings(world: &World, device: &str) -> String {
    world.settings(&format!("[output]\n{device}\n[volume]\nstart = 100\n"))
}

impl Rig {
    /// The card that is tested most.
    fn card(&self) -> &Card {
        self.dac.usbdac()
    }

    /// Signs `user` in and orders an album from this place on.
    async fn orders(&self, user: &str, album: &str, seek_to: u32) -> Controller {
        let app = self.world.sign_in(user).await;
        plays(&self.world, &app, album, seek_to).await;
        app
    }
}

async fn plays(world: &World, app: &Controller, album: &str, seek_to: u32) {
    let from = PlayOptions {
        seek_to: Some(seek_to),
        ..PlayOptions::default()
    };
    let album = world.sim.catalogue().titled(album).uri();
    let reply = app.play(&album, from).await.expect("an answer");
    assert!(reply.success, "the speaker refused to play");
}

/// Waits for a stretch of sound of so many frames after `mark`, and returns its beginning.
async fn hears(card: &Card, mark: u64, frames: usize) -> Vec<Frame> {
    let mut found = Vec::new();
    until("sound at the card", || {
        let capture = since(card, mark);
        let runs = listen::playing(&capture);
        let run = runs.into_iter().find(|run| run.frames() >= frames);
        if let Some(run) = &run {
            found = capture[run.from..run.from + frames].to_vec();
        }
        run.is_some()
    })
    .await;
    found
}

/// What was heard after `mark`.
fn since(card: &Card, mark: u64) -> Vec<Frame> {
    let mut capture = card.capture();
    capture.split_off(capture.len().min(mark as usize))
}

/// Where the staircase was, in seconds, in the last tenth of a second that was heard.
fn last_position(capture: &[Frame]) -> Option<f64> {
    let run = listen::playing(capture).pop()?;
    position_of(&capture[run.to.checked_sub(TENTH)?..run.to])
}

/// Waits until the log has said `words` so many times.
async fn told(daemon: &Daemon, words: &str, times: usize) -> String {
    let lines = || {
        let log = daemon.log();
        let matching = log.into_iter().filter(|line| line.contains(words));
        matching.collect::<Vec<_>>()
    };
    until(words, || lines().len() >= times).await;
    lines().swap_remove(times - 1)
}

fn count(daemon: &Daemon, words: &str) -> usize {
    let log = daemon.log();
    log.iter().filter(|line| line.contains(words)).count()
}

/// Looks again and again, while the simulation goes on.
async fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while !ready() {
        assert!(
            Instant::now() < limit,
            "this did not happen within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
