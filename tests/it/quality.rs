//! What is fetched and how loud it comes out, as the settings ask for it.

use spotify_sim::{
    Controller, Place, PlayOptions,
    catalogue::Quality,
    listen::{Frame, level_db},
    rigs::{Fifo, FifoFormat, Pace},
};

use crate::{
    ask::ask,
    tape::{decoded, frames},
    world::{Daemon, PATIENCE, World, hears, pipe_to, scenario, shows},
};

/// Starts a daemon; the first one of a scenario is handed the account, later ones remember it.
async fn start(world: &World, settings: &str) -> (Daemon, Controller) {
    let remembered = world.dir().join("state/accounts").exists();
    let daemon = world.start(&world.settings(settings));
    let app = if remembered {
        world.listed("kim").await
    } else {
        world.sign_in("kim").await
    };
    (daemon, app)
}

async fn stop(daemon: Daemon, app: &Controller) {
    daemon.stop().await;
    app.wait_until_gone("Kitchen", PATIENCE)
        .await
        .expect("gone from the app");
}

#[test]
fn the_wanted_bitrate_is_what_is_fetched() {
    scenario(async |world| {
        let track = world.sim.catalogue().titled("Dozen").tracks[0].clone();
        for quality in Quality::ALL {
            let kbps = quality.kbps();
            let settings = format!("[audio]\nbitrate = {kbps}\n[output]\nkind = \"null\"\n");
            let (daemon, app) = start(&world, &settings).await;
            let mark = world.sim.record().mark();
            app.play(&track.uri(), PlayOptions::default())
                .await
                .expect("an answer");
            shows(&app, "a playing track", |state| state.playing).await;
            let wanted: String = track
                .file_id(quality)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            let asked = world.sim.record().since(mark);
            for place in [Place::Storage, Place::Cdn] {
                let mut files = asked.iter().filter(|entry| entry.place == place).peekable();
                assert!(files.peek().is_some(), "{kbps}: nothing asked of {place:?}");
                for file in files {
                    assert!(file.text.contains(&wanted), "{kbps} kbit/s is not {file}");
                }
            }
            stop(daemon, &app).await;
        }
    });
}

#[test]
fn normalisation_changes_the_level_as_the_file_says() {
    scenario(async |world| {
        let fifo = Fifo::start(FifoFormat::F32, Pace::RealTime).expect("a FIFO");
        let album = world.sim.catalogue().titled("Dozen").clone();
        let (track, mixed) = (&album.tracks[3], &world.sim.catalogue().playlists[0].uri());
        let source = decoded(track, 1);
        let level = |of: &[Frame]| level_db(of[frames(300)..frames(600)].iter().flatten().copied());
        let own = f64::from(track.gains.track_db);
        let albums = f64::from(track.gains.album_db);
        let cases = [
            ("normalisation = \"track\"", &album.uri(), own),
            (
                "normalisation = \"album\"\npregain_db = -2.5",
                &album.uri(),
                albums - 2.5,
            ),
            ("normalisation = \"auto\"", mixed, own),
            (
                "normalisation = \"auto\"\nnormalisation_method = \"dynamic\"",
                &album.uri(),
                albums,
            ),
        ];
        for (setting, context, wanted) in cases {
            let from = fifo.capture().len();
            let pipe = pipe_to(fifo.path()).replace("[volume]", "format = \"f32\"\n[volume]");
            let (daemon, app) = start(&world, &format!("[audio]\n{setting}\n{pipe}")).await;
            app.play(context, PlayOptions::from_track(&track.uri()))
                .await
                .expect("an answer");
            hears(&fifo, from + frames(650)).await;
            let changed = level(&fifo.capture()[from..]) - level(&source);
            eprintln!("{setting}: {changed:.2} dB, wanted {wanted} dB");
            assert!(
                (changed - wanted).abs() < 0.1,
                "{setting}: {changed} dB instead of {wanted}"
            );
            let told = ask(&world, "GET", "/api/v1/speakers/main", None).await;
            let gain = told.json["playback"]["track"]["stream"]["gain_db"].as_f64();
            let gain = gain.unwrap_or_else(|| panic!("{:?}", told.json));
            assert!((gain - wanted).abs() < 0.1, "{gain} is shown for {wanted}");
            stop(daemon, &app).await;
        }
    });
}
