//! Pipes: the daemon's own standard output, and a FIFO whose reader comes and goes.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use spotify_sim::{PlayOptions, listen};

use crate::world::{Daemon, PATIENCE, scenario, shows};

/// What a reader took so far.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<u8>>>);

impl Taken {
    /// Reads from `source` until it ends.
    fn from(mut source: impl Read + Send + 'static) -> Self {
        let taken = Self::default();
        let into = taken.clone();
        thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = source.read(&mut block) {
                into.0
                    .lock()
                    .expect("what was read")
                    .extend_from_slice(&block[..count]);
            }
        });
        taken
    }

    /// Waits for a second of sound and says which track it is.
    async fn track(&self, catalogue: &spotify_sim::catalogue::Catalogue) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let frames = listen::from_s16(&self.0.lock().expect("what was read"));
            if let Some(second) = frames.len().checked_sub(44_100) {
                let heard = listen::which_track(&frames[second + 22_050..], catalogue);
                return heard.expect("a track").title.clone();
            }
            assert!(Instant::now() < until, "{} frames were heard", frames.len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// A reader that opens its file when it is first read from: opening a FIFO waits for the other end.
struct Late(PathBuf, Option<File>);

impl Read for Late {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.1.is_none() {
            self.1 = Some(File::open(&self.0)?);
        }
        self.1.as_mut().map_or(Ok(0), |file| file.read(into))
    }
}

#[test]
fn the_music_can_go_to_the_daemons_own_standard_output() {
    scenario(async |world| {
        let output = "[output]\nkind = \"pipe\"\npath = \"-\"\n[volume]\nstart = 100\n";
        let mut daemon = world.start_with(&world.settings(output), |command| {
            command.stdout(Stdio::piped());
        });
        let taken = Taken::from(daemon.stdout().expect("its output"));
        let app = world.sign_in("kim").await;
        let album = world.sim.catalogue().titled("Tones").uri();
        app.play(&album, PlayOptions::default())
            .await
            .expect("an answer");
        assert_eq!(taken.track(world.sim.catalogue()).await, "Tone 1");
    });
}

#[test]
fn a_pipe_that_nobody_reads_is_a_condition_until_somebody_does() {
    scenario(async |world| {
        let path = world.dir().join("music");
        let settings = world.settings(&crate::world::pipe_to(&path));
        let daemon: Daemon = world.start(&settings);
        let app = world.sign_in("kim").await;
        let album = world.sim.catalogue().titled("Tones").uri();
        app.play(&album, PlayOptions::default())
            .await
            .expect("an answer");
        daemon.says("output_lost").await;
        shows(&app, "a pause", |state| state.paused).await;
        // To press play helps nobody: it says so, stays as it is, and goes on by itself all the same.
        let reply = app.resume().await.expect("an answer");
        assert!(
            !reply.success && reply.latency < Duration::from_secs(1),
            "{reply:?}"
        );
        shows(&app, "the pause still", |state| state.paused).await;
        let taken = Taken::from(Late(path, None));
        assert_eq!(taken.track(world.sim.catalogue()).await, "Tone 1");
        shows(&app, "the music going on", |state| state.playing).await;
        daemon.says("over: output lost").await;
    });
}

#[test]
fn an_ordinary_file_is_not_filled_with_music_and_it_is_said_why() {
    scenario(async |world| {
        let path = world.dir().join("music");
        std::fs::write(&path, "notes").expect("written");
        let daemon = world.start(&world.settings(&crate::world::pipe_to(&path)));
        let app = world.sign_in("kim").await;
        let album = world.sim.catalogue().titled("Tones").uri();
        app.play(&album, PlayOptions::default())
            .await
            .expect("an answer");
        let told = daemon.says("output_lost").await;
        assert!(told.contains("is no pipe"), "{told}");
        assert!(
            told.contains("ordinary file") && told.contains("FIFO"),
            "{told}"
        );
        assert_eq!(std::fs::read(&path).expect("the file"), b"notes");
        // Out of the way, it is followed by a pipe, and the music is heard.
        std::fs::remove_file(&path).expect("there");
        let until = Instant::now() + PATIENCE;
        while !path.exists() {
            assert!(Instant::now() < until, "no pipe was made");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let taken = Taken::from(Late(path, None));
        assert_eq!(taken.track(world.sim.catalogue()).await, "Tone 1");
    });
}
