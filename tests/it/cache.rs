//! Audio files kept on disk: what was played once needs the audio servers no more.

use std::{fs, os::unix::fs::FileExt, path::PathBuf, sync::Arc};

use spotify_sim::{
    Place, PlayOptions,
    catalogue::{Quality, Track},
};

use crate::{
    ask::status_says,
    booth::{Booth, assert_yes, file_of},
    files::SmallDisk,
    lan::{NULL, fifo, until},
    speakers::{plays, section},
    tape::frames,
    world::{PATIENCE, World, hears, scenario},
};

fn folder(world: &World) -> PathBuf {
    world.dir().join("kept")
}

fn settings(world: &World, size: &str) -> String {
    let folder = folder(world);
    format!(
        "[cache]\nsize = \"{size}\"\npath = \"{}\"\n",
        folder.display()
    )
}

fn kept(world: &World, track: &Track) -> PathBuf {
    folder(world).join(file_of(track))
}

fn only(world: &World, album: &str) -> Arc<Track> {
    world.sim.catalogue().titled(album).tracks[0].clone()
}

/// Requests for this file, or for where it lies.
fn asked(world: &World, track: &Track) -> usize {
    let file = file_of(track);
    let all = world.sim.record().all();
    let about = |place| matches!(place, Place::Cdn | Place::Storage);
    let asked = all
        .iter()
        .filter(|it| about(it.place) && it.text.contains(&file));
    asked.count()
}

/// Plays a track by itself until it is kept.
async fn keep(world: &World, booth: &Booth, track: &Track) {
    booth.sounds(&track.uri(), PlayOptions::default()).await;
    let path = kept(world, track);
    until("the file is kept", PATIENCE, || path.exists()).await;
}

#[test]
fn what_was_played_once_is_played_again_without_the_audio_servers() {
    scenario(async |world| {
        let mut booth = Booth::open_with(&world, &settings(&world, "20 MB")).await;
        let track = only(&world, "Staircase");
        keep(&world, &booth, &track).await;
        booth.hush().await;
        let before = asked(&world, &track);
        assert!(before >= 2);
        let keys = world.sim.record().count(Place::AudioKey);
        let from = booth.heard();
        booth.sounds(&track.uri(), PlayOptions::default()).await;
        booth.listen(1_500).await;
        booth.assert_begins(from, &track, 1_000, "from the disk");
        // And after a restart, from the middle.
        booth.hush().await;
        booth.daemon.stop().await;
        let settings = world.settings(&format!(
            "{}{}",
            settings(&world, "20 MB"),
            crate::world::pipe_to(booth.fifo.path())
        ));
        booth.daemon = world.start(&settings);
        booth.app = world.listed("kim").await;
        booth.sounds(&track.uri(), PlayOptions::default()).await;
        assert_yes(&booth.app.seek(60_000).await.expect("an answer"), "seek");
        booth.listen(500).await;
        assert_eq!(asked(&world, &track), before, "no request");
        let asked_again = world.sim.record().count(Place::AudioKey);
        assert_eq!(asked_again, keys + 2, "each play needs its key");
    });
}

#[test]
fn what_lies_on_disk_is_what_the_servers_sent_and_holds_no_key() {
    scenario(async |world| {
        let booth = Booth::open_with(&world, &settings(&world, "20 MB")).await;
        let track = only(&world, "Staircase");
        keep(&world, &booth, &track).await;
        let file = fs::read(kept(&world, &track)).expect("it is kept");
        let plain = track.plain_file(Quality::Kbps320);
        assert!(file.len() > plain.len());
        let holds = |what: &[u8]| file.windows(what.len()).any(|bytes| bytes == what);
        assert!(!holds(b"OggS\0\x02") && !holds(b"vorbis"));
        assert!(!holds(&track.key()));
        assert!(!holds(&plain[10_000..10_032]));
        let decoded = vorbis_rs::VorbisDecoder::new(std::io::Cursor::new(file));
        assert!(decoded.is_err(), "nobody can decode it");
    });
}

#[test]
fn the_limit_holds_and_what_was_played_last_stays() {
    scenario(async |world| {
        let booth = Booth::open_with(&world, &settings(&world, "1 MB")).await;
        let of = |title: &str| world.sim.catalogue().titled(title).tracks.clone();
        // A few more than there is room for.
        let mut bytes = 0;
        let mut tracks = [of("Staircase"), of("Tones"), of("Dozen")].concat();
        tracks.retain(|track| {
            let wanted = bytes < 1_100_000;
            bytes += track.plain_file(Quality::Kbps320).len() * usize::from(wanted);
            wanted
        });
        assert!(bytes >= 1_100_000, "too little for this test");
        for track in &tracks {
            keep(&world, &booth, track).await;
            let files = fs::read_dir(folder(&world)).expect("a folder");
            let bytes: u64 = files
                .filter_map(|file| Some(file.ok()?.metadata().ok()?.len()))
                .sum();
            assert!(bytes <= 1_000_000, "{bytes}");
        }
        let there = |track: &Track| kept(&world, track).exists();
        assert!(!there(&tracks[0]) && there(&tracks[tracks.len() - 1]));
    });
}

#[test]
fn a_file_that_is_damaged_on_disk_is_fetched_and_sounds_as_it_should() {
    scenario(async |world| {
        let booth = Booth::open_with(&world, &settings(&world, "20 MB")).await;
        let track = only(&world, "Staircase");
        keep(&world, &booth, &track).await;
        booth.hush().await;
        let before = asked(&world, &track);
        let file = fs::OpenOptions::new()
            .write(true)
            .open(kept(&world, &track));
        let spoilt = vec![0x5a; 20_000];
        let file = file.expect("it is kept");
        file.write_all_at(&spoilt, 40_000).expect("written");
        let from = booth.heard();
        booth.sounds(&track.uri(), PlayOptions::default()).await;
        booth.listen(3_500).await;
        booth.assert_begins(from, &track, 3_000, "in spite of the damage");
        assert!(asked(&world, &track) > before);
        // One that is cut is none.
        booth.hush().await;
        keep(&world, &booth, &track).await;
        let again = fs::OpenOptions::new()
            .write(true)
            .open(kept(&world, &track));
        again.expect("it is kept").set_len(50_000).expect("cut");
        booth.hush().await;
        let (from, before) = (booth.heard(), asked(&world, &track));
        keep(&world, &booth, &track).await;
        booth.listen(1_500).await;
        booth.assert_begins(from, &track, 1_000, "in spite of the cut");
        assert!(asked(&world, &track) > before);
    });
}

#[test]
fn a_full_disk_is_said_and_the_music_knows_nothing_of_it() {
    scenario(async |world| {
        let disk = SmallDisk::at(&folder(&world), 128);
        let booth = Booth::open_with(&world, &settings(&world, "20 MB")).await;
        let track = only(&world, "Staircase");
        let from = booth.heard();
        booth.sounds(&track.uri(), PlayOptions::default()).await;
        let told = booth.daemon.says("no_cache").await;
        assert!(told.contains("cannot be kept"), "{told}");
        booth.listen(3_000).await;
        booth.assert_begins(from, &track, 3_000, "on a full disk");
        let left = fs::read_dir(folder(&world)).expect("a folder").count();
        assert_eq!(left, 0, "what cannot be finished goes");
        drop(disk);
    });
}

#[test]
fn a_folder_that_cannot_be_used_is_told_of_also_when_that_is_known_before_anybody_sits_here() {
    scenario(async |world| {
        // A file lies where the folder is to be.
        fs::write(folder(&world), "").expect("a file");
        let settings = format!("{NULL}{}", settings(&world, "20 MB"));
        let _daemon = world.start(&world.settings(&settings));
        world.sign_in("kim").await;
        status_says(&world, "audio files cannot be kept on disk").await;
    });
}

#[test]
fn nothing_is_kept_unless_it_is_wanted() {
    scenario(async |world| {
        let booth = Booth::open(&world).await;
        let track = only(&world, "Short");
        booth.sounds(&track.uri(), PlayOptions::default()).await;
        booth.falls_silent().await;
        assert!(!world.dir().join(".cache").exists());
        let engine = booth.daemon.engines()[0];
        let names = fs::read_dir(format!("/proc/{engine}/task")).expect("its threads");
        let names: Vec<_> = names
            .flatten()
            .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
            .collect();
        assert!(
            !names.iter().any(|name| name.contains("cache")),
            "{names:?}"
        );
    });
}

#[test]
fn what_an_engine_left_unfinished_is_cleared_away() {
    scenario(async |world| {
        let track = only(&world, "Staircase");
        fs::create_dir_all(folder(&world)).expect("a folder");
        let draft = folder(&world).join(format!("{}.1-1.part", file_of(&track)));
        fs::write(&draft, [0; 1000]).expect("written");
        let _booth = Booth::open_with(&world, &settings(&world, "20 MB")).await;
        until("the draft is gone", PATIENCE, || !draft.exists()).await;
    });
}

#[test]
fn two_speakers_share_what_they_keep() {
    scenario(async |world| {
        let (in_kitchen, in_bath) = (fifo(), fifo());
        let kitchen = section("kitchen", "Kitchen", in_kitchen.path());
        let bath = section("bath", "Bath", in_bath.path());
        let cache = settings(&world, "20 MB");
        let both = world.settings(&format!("{cache}{kitchen}{bath}"));
        let _daemon = world.start(&both);
        let track = only(&world, "Staircase");
        plays(&world, "kim", "Kitchen", "Staircase").await;
        let path = kept(&world, &track);
        until("the file is kept", PATIENCE, || path.exists()).await;
        let before = asked(&world, &track);
        plays(&world, "alex", "Bath", "Staircase").await;
        hears(&in_bath, frames(2_000)).await;
        assert_eq!(asked(&world, &track), before);
    });
}

#[test]
fn whoever_switches_it_off_gets_the_room_back_at_a_reload_and_at_a_start() {
    scenario(async |world| {
        let mut booth = Booth::open_with(&world, &settings(&world, "20 MB")).await;
        let track = only(&world, "Staircase");
        keep(&world, &booth, &track).await;
        let of_others = folder(&world).join("shopping list");
        fs::write(&of_others, "milk").expect("a file");
        let is_cleared = || !kept(&world, &track).exists();
        let settings = |size: &str| {
            let pipe = crate::world::pipe_to(booth.fifo.path());
            world.settings(&format!("{}{pipe}", settings(&world, size)))
        };
        // As it lies there when somebody switches it off while nothing runs.
        let copy = fs::read(kept(&world, &track)).expect("it is kept");
        let (on, off) = (settings("20 MB"), settings("off"));
        assert_ne!(on, off);
        fs::write(world.dir().join("config.toml"), &off).expect("written");
        booth.daemon.signal(nix::sys::signal::Signal::SIGHUP);
        until("it is cleared", PATIENCE, is_cleared).await;
        booth.daemon.says("audio files are not kept in").await;
        booth.daemon.stop().await;
        fs::write(kept(&world, &track), copy).expect("written");
        booth.daemon = world.start(&off);
        until("it is cleared", PATIENCE, is_cleared).await;
        assert!(of_others.exists(), "nobody asked for that");
    });
}
