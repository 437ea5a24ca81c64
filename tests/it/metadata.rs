//! What plays, read from the metadata pipe as displays do.

use std::{
    fs,
    io::Read as _,
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use nix::sys::signal::Signal;
use serde_json::json;

use crate::{
    ask::ask,
    lan::{NULL, play, plays, until},
    world::{Daemon, PATIENCE, World, scenario},
};

/// A display: reads items, never waiting for them.
struct Display {
    file: fs::File,
    text: String,
    /// Code and data of everything that was read.
    items: Vec<(String, String)>,
    /// Those with pictures in them, byte for byte.
    pictures: Vec<Vec<u8>>,
}

impl Display {
    fn open(path: &Path) -> Self {
        let flags = nix::libc::O_NONBLOCK;
        let opened = fs::OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path);
        Self {
            file: opened.expect("the pipe is there"),
            text: String::new(),
            items: Vec::new(),
            pictures: Vec::new(),
        }
    }

    fn read(&mut self) {
        let mut piece = [0; 4096];
        while let Ok(read) = self.file.read(&mut piece) {
            if read == 0 {
                break;
            }
            self.text
                .push_str(std::str::from_utf8(&piece[..read]).expect("text"));
        }
        while let Some((item, rest)) = self.text.split_once("</item>\n") {
            let item = item
                .strip_prefix("<item>")
                .unwrap_or_else(|| panic!("cut: {item}"));
            let between = |from: &str, to: &str| {
                let rest = item.split_once(from)?.1;
                Some(rest.split_once(to)?.0.to_owned())
            };
            let code = between("<code>", "</code>").expect("a code");
            let code = u32::from_str_radix(&code, 16).expect("hexadecimal");
            let data = between("base64\">\n", "</data>").unwrap_or_default();
            let data = STANDARD.decode(data).expect("base64");
            let length = between("<length>", "</length>").expect("a length");
            assert_eq!(length, data.len().to_string());
            let code = String::from_utf8_lossy(&code.to_be_bytes()).into_owned();
            if code == "PICT" {
                self.pictures.push(data.clone());
            }
            let data = String::from_utf8_lossy(&data).into_owned();
            self.items.push((code, data));
            self.text = rest.to_owned();
        }
    }

    /// Reads until this was said; what was said with it.
    async fn hears(&mut self, code: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            self.read();
            if let Some((_, data)) = self.items.iter().rfind(|(known, _)| known == code) {
                return data.clone();
            }
            assert!(Instant::now() < end, "no {code}: {:?}", self.items);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn codes(&self) -> Vec<&str> {
        self.items.iter().map(|(code, _)| code.as_str()).collect()
    }
}

async fn telling(world: &World) -> (Daemon, PathBuf) {
    let pipe = world.dir().join("metadata");
    let more = format!("{NULL}[metadata]\npipe = \"{}\"\n", pipe.display());
    let daemon = world.start(&world.settings(&more));
    until("a pipe", PATIENCE, || pipe.exists()).await;
    (daemon, pipe)
}

/// Covers that the simulation was asked for.
fn covers_fetched(world: &World) -> usize {
    let all = world.sim.record().all();
    all.iter()
        .filter(|entry| entry.text.contains("GET /image/"))
        .count()
}

async fn order(world: &World, what: &str) {
    let route = format!("/api/v1/speakers/main/{what}");
    let answer = ask(world, "POST", &route, Some(json!({}))).await;
    assert_eq!(answer.status, 200, "{what}: {:?}", answer.json);
}

#[test]
fn a_display_reads_what_plays_and_what_happens() {
    scenario(async |world| {
        let (daemon, pipe) = telling(&world).await;
        let found = fs::metadata(&pipe).expect("there");
        assert!(found.file_type().is_fifo());
        assert_eq!(found.permissions().mode() & 0o777, 0o660);
        let mut display = Display::open(&pipe);
        let app = plays(&world, "kim", "Dozen").await;
        display.hears("pbeg").await;
        let first = display.hears("minm").await;
        assert_eq!(display.hears("asal").await, "Dozen");
        assert!(!display.hears("asar").await.is_empty());
        display.hears("mden").await;
        let progress = display.hears("prgr").await;
        let frames: Vec<u64> = progress
            .split('/')
            .map(|frame| frame.parse().expect("a number"))
            .collect();
        assert!(frames.len() == 3 && frames.is_sorted(), "{progress}");
        assert!(display.hears("pvol").await.ends_with(",0.00,0.00,0.00"));

        order(&world, "pause").await;
        display.hears("pfls").await;
        order(&world, "play").await;
        display.hears("prsm").await;
        display.items.clear();
        order(&world, "next").await;
        assert_ne!(display.hears("minm").await, first);
        display.items.clear();
        app.transfer_away().await.expect("an answer");
        display.hears("pend").await;
        daemon.stop().await;
        assert!(pipe.exists(), "a display may wait for the next start");
    });
}

#[test]
fn a_display_gets_the_cover_of_what_plays_whole_and_after_everything_else() {
    scenario(async |world| {
        let (_daemon, pipe) = telling(&world).await;
        let mut display = Display::open(&pipe);
        let app = plays(&world, "kim", "Dozen").await;
        display.hears("pcen").await;
        let codes = display.codes().join(" ");
        assert!(
            codes.contains("mden") && codes.contains("pcst PICT pcen"),
            "{codes}"
        );
        assert!(codes.find("mden") < codes.find("pcst"), "{codes}");
        let first = display.pictures.last().expect("a picture").clone();
        assert!(
            first.starts_with(b"\x89PNG") && first.len() > 500,
            "{}",
            first.len()
        );
        // Another album has another one; music does not wait for it.
        play(&world, &app, "Staircase").await;
        let end = Instant::now() + PATIENCE;
        while display.pictures.last() == Some(&first) {
            display.read();
            assert!(
                Instant::now() < end,
                "the same cover: {:?}",
                display.codes()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(
            display
                .pictures
                .last()
                .is_some_and(|it| it.starts_with(b"\x89PNG"))
        );
        assert_eq!(display.hears("asal").await, "Staircase");
    });
}

#[test]
fn where_covers_are_not_wanted_none_is_asked_for() {
    scenario(async |world| {
        let pipe = world.dir().join("metadata");
        let more = format!(
            "{NULL}[metadata]\npipe = \"{}\"\ncovers = false\n",
            pipe.display()
        );
        let _daemon = world.start(&world.settings(&more));
        until("a pipe", PATIENCE, || pipe.exists()).await;
        let mut display = Display::open(&pipe);
        plays(&world, "kim", "Dozen").await;
        display.hears("prgr").await;
        order(&world, "next").await;
        display.items.clear();
        order(&world, "pause").await;
        display.hears("pfls").await;
        assert!(display.pictures.is_empty());
        assert_eq!(covers_fetched(&world), 0);
    });
}

#[test]
fn a_display_that_comes_late_or_again_is_told_what_holds() {
    scenario(async |world| {
        let (_daemon, pipe) = telling(&world).await;
        plays(&world, "kim", "Dozen").await;
        assert_eq!(covers_fetched(&world), 0, "nobody reads");
        let mut late = Display::open(&pipe);
        let title = late.hears("minm").await;
        late.hears("prgr").await;
        assert_eq!(late.codes()[0], "pbeg", "from its beginning");
        late.hears("pcen").await;
        let late_pictures = late.pictures.clone();
        drop(late);
        // At once after it, so that nobody could see that nobody was there.
        let mut again = Display::open(&pipe);
        assert_eq!(again.hears("minm").await, title);
        assert_eq!(again.codes()[0], "pbeg");
        again.hears("pcen").await;
        assert_eq!(again.pictures, late_pictures);
        assert_eq!(covers_fetched(&world), 1, "it is kept");
    });
}

/// What everything that is told anew begins with.
const BEGIN: &str = "<item><type>73736e63</type><code>70626567</code>";

/// Whether the daemon holds its end of the pipe.
fn is_held(daemon: &Daemon, pipe: &Path) -> bool {
    let folder = format!("/proc/{}/fd", daemon.pid());
    let mut open = fs::read_dir(folder).expect("a process").flatten();
    open.any(|it| fs::read_link(it.path()).is_ok_and(|to| to == pipe))
}

/// Reads until a picture is under way, and not to its end.
async fn leaves_in_the_middle_of_a_picture(pipe: &Path) {
    let mut display = Display::open(pipe);
    let end = Instant::now() + PATIENCE;
    let mut byte = [0];
    // Of the code of a picture.
    while !display.text.ends_with("50494354</code>") {
        assert!(Instant::now() < end, "no picture: {}", display.text);
        match display.file.read(&mut byte) {
            Ok(1) => display.text.push(byte[0].into()),
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
    let mut more = [0; 200];
    display.file.read_exact(&mut more).expect("a part of it");
}

#[test]
fn a_display_that_follows_one_which_left_in_the_middle_of_a_picture_is_told_everything_anew() {
    scenario(async |world| {
        let (daemon, pipe) = telling(&world).await;
        plays(&world, "kim", "Dozen").await;
        leaves_in_the_middle_of_a_picture(&pipe).await;
        until("the daemon lets go", PATIENCE, || !is_held(&daemon, &pipe)).await;
        let mut later = Display::open(&pipe);
        later.hears("pcen").await;
        assert_eq!(later.codes()[0], "pbeg", "from its beginning");
        let picture = later.pictures.last().expect("a picture").clone();
        drop(later);

        for _ in 0..20 {
            leaves_in_the_middle_of_a_picture(&pipe).await;
            // At once after it: what was left may be read before anybody can take it out. Readers
            // find their way again where an item begins on a line of its own.
            let mut again = Display::open(&pipe);
            let end = Instant::now() + PATIENCE;
            let mut text = "\n".to_owned();
            let whole = loop {
                // It ends with an error wherever nothing more is there.
                let _ = again.file.read_to_string(&mut text);
                if let Some(at) = text.find(&format!("\n{BEGIN}")) {
                    break text.split_off(at + 1);
                }
                assert!(Instant::now() < end, "{text}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            again.text = whole;
            again.hears("pcen").await;
            assert_eq!(again.codes()[0], "pbeg");
            assert!(again.pictures.iter().all(|it| *it == picture));
        }
    });
}

#[test]
fn a_display_that_does_not_read_holds_up_nothing_and_catches_up() {
    scenario(async |world| {
        let (_daemon, pipe) = telling(&world).await;
        let mut display = Display::open(&pipe);
        plays(&world, "kim", "Dozen").await;
        display.hears("minm").await;
        let begun = Instant::now();
        // Far more than a pipe holds.
        for turn in 0..900_u32 {
            let route = "/api/v1/speakers/main/volume";
            let body = json!({"percent": turn % 90 + 5});
            let answer = ask(&world, "POST", route, Some(body)).await;
            assert_eq!(answer.status, 200);
        }
        println!("900 levels took {:?}", begun.elapsed());
        let route = "/api/v1/speakers/main/volume";
        ask(&world, "POST", route, Some(json!({"percent": 0}))).await;
        let end = Instant::now() + PATIENCE;
        // Every item that is read is whole, and the last word comes.
        while display.hears("pvol").await != "-144.00,0.00,0.00,0.00" {
            assert!(Instant::now() < end, "{:?}", display.items.last());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
}

#[test]
fn a_pipe_that_cannot_be_made_is_a_condition_and_a_reload_mends_it() {
    scenario(async |world| {
        let pipe = world.dir().join("missing/metadata");
        let settings = |pipe: &Path| {
            let more = format!("{NULL}[metadata]\npipe = \"{}\"\n", pipe.display());
            world.settings(&more)
        };
        let daemon = world.start(&settings(&pipe));
        let told = daemon.says("no_metadata").await;
        assert!(told.contains("missing/metadata"), "{told}");
        assert!(told.contains("make its folder"), "{told}");
        let better = world.dir().join("metadata");
        fs::write(world.dir().join("config.toml"), settings(&better)).expect("written");
        daemon.signal(Signal::SIGHUP);
        daemon.says("over: no metadata").await;
        until("a pipe", PATIENCE, || better.exists()).await;
    });
}

#[test]
fn a_file_in_the_place_of_the_pipe_is_to_be_taken_away() {
    scenario(async |world| {
        let pipe = world.dir().join("metadata");
        fs::write(&pipe, "a list of mine").expect("written");
        let more = format!("{NULL}[metadata]\npipe = \"{}\"\n", pipe.display());
        let daemon = world.start(&world.settings(&more));
        let told = daemon.says("no_metadata").await;
        assert!(told.contains("which is no FIFO"), "{told}");
        assert!(told.contains("take that file away"), "{told}");
        assert!(!told.contains("folder"), "{told}");
        let kept = fs::read_to_string(&pipe).expect("still there");
        assert_eq!(kept, "a list of mine");
        fs::remove_file(&pipe).expect("taken away");
        daemon.says("over: no metadata").await;
    });
}
