//! A speaker that is listened to: its daemon, the far end of its pipe, and the app of its user.

use std::time::{Duration, Instant};

use spotify_sim::{
    Controller, PlayOptions, Reply, Sim,
    catalogue::Track,
    listen::Frame,
    rigs::{Fifo, FifoFormat, Pace},
};

use crate::{
    lan::until,
    tape::{FADE, decoded, frames, stretches},
    world::{Daemon, PATIENCE, World, hears, pipe_to, shows},
};

/// A command is answered within this, whatever happens elsewhere.
pub const ANSWERED: Duration = Duration::from_secs(2);

/// Nothing heard for so long is silence.
const STILL: Duration = Duration::from_millis(150);

pub struct Booth {
    pub daemon: Daemon,
    pub fifo: Fifo,
    pub app: Controller,
}

impl Booth {
    /// Kim's speaker at full volume, on a pipe that is read at the pace of music.
    pub async fn open(world: &World) -> Self {
        Self::open_with(world, "").await
    }

    /// The same with more settings; tables may follow each other.
    pub async fn open_with(world: &World, more: &str) -> Self {
        let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO");
        let daemon = world.start(&world.settings(&format!("{more}\n{}", pipe_to(fifo.path()))));
        let app = world.sign_in("kim").await;
        Self { daemon, fifo, app }
    }

    pub fn heard(&self) -> usize {
        self.fifo.capture().len()
    }

    /// Waits until so many ms more were heard.
    pub async fn listen(&self, ms: i64) {
        hears(&self.fifo, self.heard() + frames(ms)).await;
    }

    /// Plays a context from its beginning and waits for the first sound; how long that took.
    pub async fn sounds(&self, uri: &str, options: PlayOptions) -> Duration {
        let (asked, from) = (Instant::now(), self.heard());
        assert_yes(&self.app.play(uri, options).await.expect("an answer"), uri);
        hears(&self.fifo, from + frames(100)).await;
        asked.elapsed()
    }

    /// Pauses, and waits until nothing more comes.
    pub async fn hush(&self) -> usize {
        assert_yes(&self.app.pause().await.expect("an answer"), "pause");
        shows(&self.app, "a pause", |state| state.paused).await;
        self.falls_silent().await
    }

    /// Waits until nothing more comes, and returns what was heard by then.
    pub async fn falls_silent(&self) -> usize {
        let begun = Instant::now();
        until("silence", PATIENCE, || {
            let last = self.fifo.intake().last().map_or(begun, |last| last.at);
            last.max(begun).elapsed() > STILL
        })
        .await;
        self.heard()
    }

    /// What was heard from there on is this track from its first sample on, for so many ms.
    #[track_caller]
    pub fn assert_begins(&self, from: usize, track: &Track, ms: i64, what: &str) {
        let capture = self.fifo.capture();
        let source = decoded(track, 1 + usize::try_from(ms / 1_000).expect("a length"));
        let pieces = stretches(&capture[from..], &[source]);
        let whole = pieces.iter().find(|piece| piece.from <= FADE);
        assert!(
            whole.is_some_and(|piece| piece.to() >= frames(ms)),
            "{what}: not the beginning of the track: {pieces:#?}"
        );
    }

    /// What was heard from there on are these tracks, whole and one right after the other.
    #[track_caller]
    pub fn assert_whole(&self, from: usize, sources: &[Vec<Frame>]) {
        let capture = self.fifo.capture();
        let pieces = stretches(&capture[from..], sources);
        let (mut at, mut next) = (0, 0);
        for piece in &pieces {
            assert_eq!(piece.source, next, "{pieces:#?}");
            // The first frames of a tone may be silent.
            assert!(
                piece.from <= FADE && piece.at.abs_diff(at) <= FADE,
                "{pieces:#?}"
            );
            assert_eq!(
                piece.at - piece.from,
                at,
                "not a sample more or less: {pieces:#?}"
            );
            assert!(sources[next].len() - piece.to() <= FADE, "{pieces:#?}");
            at += sources[next].len();
            next += 1;
        }
        assert_eq!(next, sources.len(), "{pieces:#?}");
    }
}

/// "Yes", in time.
#[track_caller]
pub fn assert_yes(reply: &Reply, what: &str) {
    assert!(reply.success, "{what}: refused");
    assert_in_time(reply, what);
}

#[track_caller]
pub fn assert_in_time(reply: &Reply, what: &str) {
    assert!(reply.latency < ANSWERED, "{what}: {:?}", reply.latency);
}

/// The tracks of an album by their uris.
pub fn uris(sim: &Sim, album: &str) -> Vec<String> {
    let tracks = &sim.catalogue().titled(album).tracks;
    tracks.iter().map(|track| track.uri()).collect()
}

/// How a file is called in the paths of its servers.
pub fn file_of(track: &Track) -> String {
    let id = track.file_id(spotify_sim::catalogue::Quality::Kbps320);
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}
