//! Programs that are run when something happens: each event once, with what there is to know, and
//! nothing that a program does or fails to do holds up anything else.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use spotify_sim::PlayOptions;

use crate::{
    ask::{ask, has_no_secret, status_says},
    lan::{NULL, fifo, play, plays, until},
    world::{PATIENCE, World, hears, pipe_to, scenario, shows},
};

/// A program that writes its event down, one file a run, named by their order.
struct Diary {
    script: PathBuf,
    folder: PathBuf,
}

impl Diary {
    /// `more` is done after the event was written down.
    fn new(world: &World, name: &str, more: &str) -> Self {
        let folder = world.dir().join(name);
        fs::create_dir(&folder).expect("a folder");
        let script = world.dir().join(format!("{name}.sh"));
        // Written beside and renamed, so that whoever looks finds whole files.
        let text = format!(
            "#!/bin/sh\ncd '{0}' || exit 9\nn=$(ls | wc -l)\nread -r line\n\
             {{ env | grep ^SISKIN_ | sort; printf 'JSON %s\\nARGS %s\\n' \"$line\" \"$*\"; }} > .new\n\
             mv .new \"$(printf %05d \"$n\")\"\n{more}\n",
            folder.display()
        );
        fs::write(&script, text).expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("executable");
        Self { script, folder }
    }

    /// A `[[hook]]`; `more` are further lines of it.
    fn hook(&self, on: &str, more: &str) -> String {
        let on: Vec<_> = on.split(' ').map(|one| format!("{one:?}")).collect();
        format!(
            "[[hook]]\non = [{}]\nrun = [{:?}, \"an argument\"]\n{more}\n",
            on.join(", "),
            self.script.display().to_string()
        )
    }

    /// What was written so far, in order.
    fn pages(&self) -> Vec<String> {
        let mut files: Vec<_> = fs::read_dir(&self.folder)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| !path.ends_with(".new"))
            .collect();
        files.sort();
        let read = |path: &PathBuf| fs::read_to_string(path).expect("a page");
        files.iter().map(read).collect()
    }

    fn events(&self) -> Vec<String> {
        let pages = self.pages();
        pages.iter().map(|page| variable(page, "EVENT")).collect()
    }

    fn count(&self, event: &str) -> usize {
        let all = self.events();
        all.iter().filter(|one| *one == event).count()
    }

    /// Waits for the first page about `event`.
    async fn says(&self, event: &str) -> String {
        self.says_times(event, 1).await
    }

    /// Waits until `event` was told so often; the last page.
    async fn says_times(&self, event: &str, times: usize) -> String {
        let what = format!("{times} times {event}");
        let end = Instant::now() + PATIENCE;
        while self.count(event) < times {
            assert!(Instant::now() < end, "no {what}: {:?}", self.events());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let is_so = |page: &String| variable(page, "EVENT") == event;
        self.pages().into_iter().rfind(is_so).expect("it is there")
    }
}

fn variable(page: &str, name: &str) -> String {
    let begin = format!("SISKIN_{name}=");
    let value = page.lines().find_map(|line| line.strip_prefix(&begin));
    value.unwrap_or_default().to_owned()
}

fn json_of(page: &str) -> Value {
    let line = page.lines().find_map(|line| line.strip_prefix("JSON "));
    serde_json::from_str(line.expect("a line on standard input")).expect("JSON")
}

const ALL: &str = "playing paused stopped active inactive track volume condition \
                   condition-cleared output-lost output-back signed-in signed-out";

fn settings(world: &World, output: &str, hooks: &[String]) -> String {
    format!("{}\n{}", world.settings(output), hooks.concat())
}

async fn order(world: &World, what: &str, body: Value) {
    let route = format!("/api/v1/speakers/main/{what}");
    let answer = ask(world, "POST", &route, Some(body)).await;
    assert_eq!(answer.status, 200, "{what}: {:?}", answer.json);
}

/// The process is gone, or nothing but its name is left.
fn is_gone(pid: &str) -> bool {
    match fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat")) {
        Ok(stat) => stat.contains(") Z "),
        Err(_) => true,
    }
}

#[test]
fn every_event_is_told_once_with_what_there_is_to_know() {
    scenario(async |world| {
        let fifo = fifo();
        let diary = Diary::new(&world, "diary", "");
        let hook = diary.hook(ALL, "");
        let daemon = world.start(&settings(&world, &pipe_to(fifo.path()), &[hook]));
        let app = plays(&world, "kim", "Dozen").await;
        let page = diary.says("playing").await;
        let state = app.state();
        assert_eq!(variable(&page, "SPEAKER"), "main");
        assert_eq!(variable(&page, "SPEAKER_NAME"), "Kitchen");
        assert_eq!(variable(&page, "STATE"), "playing");
        assert_eq!(variable(&page, "ACTIVE"), "1");
        assert_eq!(variable(&page, "URI"), state.track_uri);
        assert_eq!(variable(&page, "CONTEXT"), state.context_uri);
        assert!(!variable(&page, "TITLE").is_empty(), "{page}");
        assert_eq!(variable(&page, "ALBUM"), "Dozen");
        assert!(page.contains("ARGS an argument"), "{page}");
        let json = json_of(&page);
        assert_eq!(json["event"], "playing");
        assert_eq!(json["track"]["title"], variable(&page, "TITLE").as_str());
        assert_eq!(json["volume_percent"], 100);
        assert!(json["account"].is_string(), "{json}");

        order(&world, "pause", json!({})).await;
        diary.says("paused").await;
        let first = state.track_uri;
        order(&world, "next", json!({})).await;
        let page = diary.says_times("track", 2).await;
        assert_ne!(variable(&page, "URI"), first);
        order(&world, "play", json!({})).await;
        diary.says_times("playing", 2).await;
        order(&world, "volume", json!({"percent": 41})).await;
        let page = diary.says_times("volume", 2).await;
        assert_eq!(variable(&page, "VOLUME_PERCENT"), "41");
        app.transfer_away().await.expect("an answer");
        diary.says("stopped").await;
        diary.says("inactive").await;
        let gone = ask(&world, "DELETE", "/api/v1/accounts", None).await;
        assert_eq!(gone.status, 200);
        diary.says("signed-out").await;

        let told = diary.events();
        for (event, times) in [
            ("signed-in", 1),
            ("active", 1),
            ("playing", 2),
            ("paused", 1),
            ("track", 2),
            ("volume", 2),
            ("stopped", 1),
            ("inactive", 1),
            ("signed-out", 1),
        ] {
            assert_eq!(diary.count(event), times, "{event}: {told:?}");
        }
        has_no_secret(&world, &diary.pages().concat());
        daemon.stop().await;
        assert_eq!(diary.count("inactive"), 1, "nothing is told twice");
    });
}

#[test]
fn an_output_that_is_lost_and_comes_back_is_told_and_so_is_its_condition() {
    scenario(async |world| {
        let mut fifo = fifo();
        let diary = Diary::new(&world, "diary", "");
        let hook = diary.hook("output-lost output-back condition condition-cleared", "");
        let _daemon = world.start(&settings(&world, &pipe_to(fifo.path()), &[hook]));
        plays(&world, "kim", "Dozen").await;
        hears(&fifo, 22_050).await;
        fifo.close();
        let page = diary.says("output-lost").await;
        assert_eq!(variable(&page, "CONDITION"), "output_lost");
        assert_eq!(variable(&page, "SEVERITY"), "trouble");
        for name in ["WHAT", "WHY", "CURE"] {
            assert!(!variable(&page, name).is_empty(), "{name}: {page}");
        }
        assert_eq!(json_of(&page)["condition"]["code"], "output_lost");
        diary.says("condition").await;
        fifo.resume().expect("a reader");
        diary.says("output-back").await;
        diary.says("condition-cleared").await;
    });
}

#[test]
fn a_hook_that_hangs_is_killed_with_its_children_and_delays_nobody_else() {
    scenario(async |world| {
        let child = world.dir().join("child");
        let more = format!(
            "[ \"$SISKIN_EVENT\" = active ] || exit 0\nsleep 300 & echo $! > {0}.new\n\
             mv {0}.new {0}\nwait",
            child.display()
        );
        let slow = Diary::new(&world, "slow", &more);
        let quick = Diary::new(&world, "quick", "");
        let hooks = [
            slow.hook("active paused", "timeout = \"3s\""),
            quick.hook("active playing paused", ""),
        ];
        let daemon = world.start(&settings(&world, NULL, &hooks));
        let app = plays(&world, "kim", "Dozen").await;
        quick.says("playing").await;
        slow.says("active").await;
        until("a child", PATIENCE, || child.exists()).await;
        let pid = fs::read_to_string(&child).expect("its number");
        assert!(!is_gone(&pid), "it sleeps");
        // The state, the sound and the other hook go on meanwhile.
        let begun = Instant::now();
        order(&world, "pause", json!({})).await;
        quick.says("paused").await;
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        shows(&app, "a pause", |state| state.paused).await;
        assert_eq!(slow.count("paused"), 0, "one at a time");
        slow.says("paused").await;
        assert!(is_gone(&pid), "with its children");
        // It was mended by the next run.
        daemon.says("hook_fails").await;
        daemon.says("over: hook fails").await;
        let told = daemon.log().join("\n");
        assert!(
            told.contains("slow.sh: it did not end within 3 s"),
            "{told}"
        );
    });
}

#[test]
fn a_hook_that_fails_is_a_condition_once_and_over_when_it_succeeds() {
    scenario(async |world| {
        let word = world.dir().join("word");
        let more = format!("test -e {}", word.display());
        let diary = Diary::new(&world, "diary", &more);
        let missing = "[[hook]]\non = [\"volume\"]\nrun = [\"/no/such/program\"]\n".to_owned();
        let hooks = [diary.hook("volume", ""), missing];
        let daemon = world.start(&settings(&world, NULL, &hooks));
        world.sign_in("kim").await;
        for percent in [10, 11, 12] {
            order(&world, "volume", json!({"percent": percent})).await;
            let begun = Instant::now();
            while diary
                .pages()
                .last()
                .map(|page| variable(page, "VOLUME_PERCENT"))
                != Some(percent.to_string())
            {
                assert!(begun.elapsed() < PATIENCE, "{:?}", diary.events());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
        daemon.says("2 hooks do not do their work").await;
        let told = status_says(&world, "hooks do not").await;
        assert!(told.contains("program: it cannot be started"), "{told}");
        let times = |words: &str| {
            let log = daemon.log();
            log.iter().filter(|line| line.contains(words)).count()
        };
        assert_eq!(times("hook_fails"), 2, "one line for each that fails");
        fs::write(&word, "").expect("written");
        order(&world, "volume", json!({"percent": 13})).await;
        // The other one still does.
        let still = async || {
            ask(&world, "GET", "/api/v1/status", None)
                .await
                .json
                .to_string()
        };
        let begun = Instant::now();
        while !still().await.contains("a hook does not do its work") {
            assert!(begun.elapsed() < PATIENCE, "{}", still().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
}

#[test]
fn two_hundred_levels_are_a_few_runs_and_the_last_one_counts() {
    scenario(async |world| {
        let diary = Diary::new(&world, "diary", "sleep 0.2");
        let hook = diary.hook("volume", "");
        let _daemon = world.start(&settings(&world, NULL, &[hook]));
        world.sign_in("kim").await;
        let begun = Instant::now();
        for turn in 0..200_u32 {
            order(&world, "volume", json!({"percent": turn % 50})).await;
        }
        let last = || {
            let pages = diary.pages();
            pages.last().map(|page| variable(page, "VOLUME_PERCENT"))
        };
        until("the last level", PATIENCE, || {
            last().as_deref() == Some("49")
        })
        .await;
        let (runs, most) = (diary.pages().len(), begun.elapsed().as_millis() / 200 + 2);
        assert!(runs as u128 <= most, "{runs} runs, at most {most}");
    });
}

async fn in_use(world: &World, diary: &Diary) -> PathBuf {
    plays(world, "kim", "Dozen").await;
    diary.says("active").await;
    world.dir().join("state/in-use.json")
}

#[test]
fn inactive_is_told_when_siskin_stops_also_behind_a_hook_that_hangs() {
    scenario(async |world| {
        let hang = "[ \"$SISKIN_EVENT\" = playing ] || exit 0\nsleep 300";
        let diary = Diary::new(&world, "diary", hang);
        let hook = diary.hook("active playing inactive", "timeout = \"60s\"");
        let daemon = world.start(&settings(&world, NULL, &[hook]));
        let mark = in_use(&world, &diary).await;
        diary.says("playing").await;
        assert!(mark.exists());
        let begun = Instant::now();
        let (status, _) = daemon.stop().await;
        assert!(status.success(), "{status}");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(diary.events().last().map(String::as_str), Some("inactive"));
        assert!(!mark.exists(), "it was said");
    });
}

#[test]
fn inactive_is_made_good_for_after_a_crash() {
    scenario(async |world| {
        let diary = Diary::new(&world, "diary", "");
        let hook = diary.hook("active inactive", "");
        let settings = settings(&world, NULL, &[hook]);
        let mut daemon = world.start(&settings);
        let mark = in_use(&world, &diary).await;
        daemon.signal(Signal::SIGKILL);
        daemon.ended(PATIENCE).await;
        assert!(mark.exists());
        assert_eq!(diary.count("inactive"), 0);
        let again = world.start(&settings);
        let page = diary.says("inactive").await;
        assert_eq!(variable(&page, "SPEAKER"), "main");
        assert_eq!(variable(&page, "SPEAKER_NAME"), "Kitchen");
        until("no mark", PATIENCE, || !mark.exists()).await;
        again.stop().await;
        assert_eq!(diary.count("inactive"), 1, "and not again");
    });
}

#[test]
fn with_a_delay_music_counts_and_a_pause_ends_it_after_a_while() {
    scenario(async |world| {
        let diary = Diary::new(&world, "diary", "");
        let hook = diary.hook("active inactive", "inactive_delay = \"2s\"");
        let _daemon = world.start(&settings(&world, NULL, &[hook]));
        let app = plays(&world, "kim", "Dozen").await;
        diary.says("active").await;
        let begun = Instant::now();
        order(&world, "pause", json!({})).await;
        order(&world, "play", json!({})).await;
        order(&world, "pause", json!({})).await;
        diary.says("inactive").await;
        assert!(
            begun.elapsed() >= Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        assert_eq!(diary.events(), ["active", "inactive"]);
        play(&world, &app, "Tones").await;
        diary.says_times("active", 2).await;
    });
}

#[test]
fn hooks_are_changed_by_a_reload_and_those_that_stay_are_not_disturbed() {
    scenario(async |world| {
        let stays = Diary::new(&world, "stays", "");
        let goes = Diary::new(&world, "goes", "");
        let comes = Diary::new(&world, "comes", "");
        let hook = |diary: &Diary| diary.hook("active inactive paused", "");
        let daemon = world.start(&settings(&world, NULL, &[hook(&stays), hook(&goes)]));
        plays(&world, "kim", "Dozen").await;
        stays.says("active").await;
        goes.says("active").await;
        let new = settings(&world, NULL, &[hook(&comes), hook(&stays)]);
        fs::write(world.dir().join("config.toml"), new).expect("written");
        daemon.signal(Signal::SIGHUP);
        goes.says("inactive").await;
        comes.says("active").await;
        order(&world, "pause", json!({})).await;
        comes.says("paused").await;
        stays.says("paused").await;
        assert_eq!(stays.events(), ["active", "paused"]);
        assert_eq!(goes.events(), ["active", "inactive"]);
        daemon.stop().await;
        assert_eq!(stays.count("inactive"), 1);
        assert_eq!(goes.count("inactive"), 1);
    });
}

#[test]
fn music_after_a_silence_waits_for_a_hook_but_not_for_ever() {
    scenario(async |world| {
        let fifo = fifo();
        let go = world.dir().join("go");
        let wait = format!("while ! [ -e {} ]; do sleep 0.02; done", go.display());
        let diary = Diary::new(&world, "diary", &wait);
        let hook = diary.hook("before-play", "wait = \"3s\"");
        let daemon = world.start(&settings(&world, &pipe_to(fifo.path()), &[hook]));
        let app = world.sign_in("kim").await;
        let context = world.sim.catalogue().titled("Dozen").uri();
        let reply = app.play(&context, PlayOptions::default()).await;
        assert!(reply.expect("an answer").success);
        let page = diary.says("before-play").await;
        assert_eq!(variable(&page, "SPEAKER"), "main");
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert_eq!(fifo.capture().len(), 0, "nothing before it is done");
        fs::write(&go, "").expect("written");
        let done = Instant::now();
        hears(&fifo, 4_410).await;
        println!("heard {:?} after the hook was done", done.elapsed());
        shows(&app, "music", |state| state.playing && !state.paused).await;

        // The next track, and a short pause, are no silence.
        order(&world, "next", json!({})).await;
        order(&world, "pause", json!({})).await;
        order(&world, "play", json!({})).await;
        let heard = fifo.capture().len();
        hears(&fifo, heard + 4_410).await;
        assert_eq!(diary.count("before-play"), 1);

        // A hook that hangs is waited for as long as was said, and no longer.
        fs::remove_file(&go).expect("there");
        order(&world, "pause", json!({})).await;
        tokio::time::sleep(Duration::from_millis(2_300)).await;
        let heard = fifo.capture().len();
        let begun = Instant::now();
        app.resume().await.expect("an answer");
        diary.says_times("before-play", 2).await;
        hears(&fifo, heard + 4_410).await;
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(2_800), "{took:?}");
        assert!(took < Duration::from_secs(7), "{took:?}");

        // Who pauses meanwhile hears nothing.
        fs::write(&go, "").expect("written");
        order(&world, "pause", json!({})).await;
        tokio::time::sleep(Duration::from_millis(2_300)).await;
        fs::remove_file(&go).expect("there");
        let heard = fifo.capture().len();
        app.resume().await.expect("an answer");
        diary.says_times("before-play", 3).await;
        assert!(app.pause().await.expect("an answer").success);
        fs::write(&go, "").expect("written");
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        assert_eq!(fifo.capture().len(), heard);
        shows(&app, "the pause", |state| state.paused).await;
        drop(daemon);
    });
}

#[test]
fn inactive_follows_before_play_also_where_the_music_never_came() {
    scenario(async |world| {
        let go = world.dir().join("go");
        let wait = format!(
            "[ \"$SISKIN_EVENT\" != before-play ] || while ! [ -e {} ]; do sleep 0.02; done",
            go.display()
        );
        let diary = Diary::new(&world, "diary", &wait);
        let more = "wait = \"10s\"\ninactive_delay = \"1s\"";
        let hook = diary.hook("before-play active inactive", more);
        let _daemon = world.start(&settings(&world, NULL, &[hook]));
        let app = world.sign_in("kim").await;
        let context = world.sim.catalogue().titled("Dozen").uri();
        let reply = app.play(&context, PlayOptions::default()).await;
        assert!(reply.expect("an answer").success);
        diary.says("before-play").await;
        let mark = world.dir().join("state/in-use.json");
        assert!(mark.exists(), "a crash from here on is made good");
        assert!(app.pause().await.expect("an answer").success);
        fs::write(&go, "").expect("written");
        diary.says("inactive").await;
        until("no mark", PATIENCE, || !mark.exists()).await;
        assert_eq!(diary.events(), ["before-play", "inactive"]);
    });
}

#[test]
fn an_inactive_that_failed_is_told_again_when_siskin_stops_and_not_before() {
    scenario(async |world| {
        let works = world.dir().join("works");
        let more = format!(
            "[ \"$SISKIN_EVENT\" != inactive ] || test -e {}",
            works.display()
        );
        let diary = Diary::new(&world, "diary", &more);
        let hook = diary.hook("active inactive paused", "");
        let daemon = world.start(&settings(&world, NULL, &[hook]));
        let app = plays(&world, "kim", "Dozen").await;
        diary.says("active").await;
        app.transfer_away().await.expect("an answer");
        diary.says("inactive").await;
        daemon.says("hook_fails").await;
        let mark = world.dir().join("state/in-use.json");
        assert!(mark.exists(), "it is owed still");
        fs::write(&works, "").expect("written");
        daemon.stop().await;
        assert_eq!(diary.count("inactive"), 2);
        assert!(!mark.exists(), "it was said");
    });
}

#[test]
fn what_a_display_is_to_show_can_be_read_by_others() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("display");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/hooks/siskin-display");
    // As the unit runs it.
    let ran = std::process::Command::new("/bin/sh")
        .args(["-c", "umask 077; exec /bin/sh \"$0\" \"$1\""])
        .args([&script, &file])
        .env("SISKIN_EVENT", "playing")
        .env("SISKIN_STATE", "playing")
        .env("SISKIN_TITLE", "First")
        .status();
    assert!(ran.expect("a shell").success());
    let shown = fs::read_to_string(&file).expect("a file");
    assert!(shown.starts_with("First\n"), "{shown}");
    let mode = fs::metadata(&file)
        .expect("it is there")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o644);
}
