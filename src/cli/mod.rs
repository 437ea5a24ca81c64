//! The command line: says what is asked, loads the configuration, hands over.
//!
//! Owns the flags, the exit codes and what is printed on standard error before there is a log.
//! Start at [`main`]. Ending the process is left to `main.rs`.

mod accounts;
mod args;
mod client;
mod doctor;
mod door;
mod exit;
mod generate;
pub mod logging;
mod pair;
mod pick;
mod remote;
mod status;
#[cfg(feature = "http")]
mod token;
mod watch;

use std::{
    ffi::OsString,
    fmt::Display,
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{
    CommandFactory as _, Parser as _,
    error::{ContextKind, ContextValue, ErrorKind},
};

use crate::{
    config::{self, Loaded, Problems, Surroundings},
    daemon, librespot,
    model::Way,
    output,
};
use args::{Cli, Command, Settings, Starting};
use client::Method;

/// Parses, dispatches, and says how it ended.
pub fn main() -> ExitCode {
    // rustls refuses to guess where several providers could be meant. Fails only when there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let words: Vec<OsString> = std::env::args_os().collect();
    match usual(&words) {
        Some(Usual::Engine) => engine(),
        Some(Usual::Run(settings)) => run(&settings),
        None => any(words),
    }
}

/// What the processes that stay are started with.
enum Usual {
    Run(Box<Settings>),
    Engine,
}

/// The tree of all commands takes 140 kB of stack and as much code, and a stack never shrinks: what
/// stays does without it. `None` where the tree has to say what is meant, or what is wrong.
#[inline(never)]
fn usual(words: &[OsString]) -> Option<Usual> {
    match words {
        [_, engine] if engine == "engine" => Some(Usual::Engine),
        [_, run, ..] if run == "run" => {
            let starting = Starting::try_parse_from(&words[1..]).ok()?;
            Some(Usual::Run(Box::new(starting.settings)))
        }
        _ => None,
    }
}

/// Whatever else was asked.
#[inline(never)]
fn any(words: Vec<OsString>) -> ExitCode {
    let words = with_help_as_a_flag(words);
    let cli = match Cli::try_parse_from(&words) {
        Ok(cli) => cli,
        Err(error) => return answered(&error, &words),
    };
    match cli.command {
        Command::Run(settings) => run(&settings),
        Command::Status {
            speaker,
            watch: true,
            door,
            ..
        } => watch::watch(&door, speaker.as_deref()),
        Command::Status {
            speaker,
            json,
            door,
            ..
        } => door::ask(&door, async |client| {
            status::status(&client, speaker.as_deref(), json).await
        }),
        Command::Pair { speaker, door } => pair::pair(&door, speaker.as_deref(), Way::Code),
        Command::Login {
            speaker,
            paste,
            door,
            ..
        } => {
            let way = if paste { Way::Paste } else { Way::Browser };
            pair::pair(&door, speaker.as_deref(), way)
        }
        Command::Accounts { what, door } => accounts::run(&door, what),
        Command::Remote(what) => remote::run(what),
        Command::Events { door } => watch::events(&door),
        Command::LogLevel { level, door } => door::ask(&door, async |client| {
            let body = serde_json::json!({ "level": level });
            let done = client.send(Method::POST, &["log"], Some(&body)).await;
            let _: serde_json::Value = done.map_err(door::told)?;
            Ok(String::new())
        }),
        #[cfg(feature = "http")]
        Command::Token { link, door } => token::token(&door, link),
        #[cfg(not(feature = "http"))]
        Command::Token { .. } => {
            let what = "this siskin was built without HTTP over the network, so it takes no token";
            failed(
                exit::FAILED,
                what,
                "ask over its socket, or build it with the feature http",
            )
        }
        Command::Check { explain, settings } => check(&settings, explain),
        Command::Doctor {
            of_daemon: true, ..
        } => doctor::of_daemon(),
        Command::Doctor {
            json,
            test_tone,
            door,
            ..
        } => doctor::run(&door, json, test_tone),
        Command::Devices => devices(),
        Command::Engine => engine(),
        Command::Completions { shell } => print(&generate::completions(shell)),
        Command::Man => print(&generate::man()),
    }
}

#[inline(never)]
fn run(settings: &Settings) -> ExitCode {
    let loaded = match load(settings) {
        Ok(loaded) => loaded,
        Err(problems) => return misconfigured(&problems),
    };
    logging::start(loaded.config.log, None);
    if !loaded.passed_over.is_empty() {
        tracing::info!(
            "passed over, as a container orchestrator sets them for a service called siskin: {}",
            loaded.passed_over.join(", ")
        );
    }
    // The level follows the file as soon as it is known to be right.
    let settings = settings.clone();
    let reload = move || {
        let config = load(&settings)?.config;
        logging::set_level(config.log);
        Ok(config)
    };
    // One thread is enough for a daemon that mostly waits; the music has processes of its own.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => {
            let what = format!("the daemon could not start ({why})");
            return failed(
                exit::NOT_NOW,
                &what,
                "see whether the machine is out of files",
            );
        }
    };
    match runtime.block_on(daemon::run(loaded.config, reload, logging::set_level)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(exit::NOT_NOW, &in_full(&error), error.help()),
    }
}

fn check(settings: &Settings, explain: bool) -> ExitCode {
    let loaded = match load(settings) {
        Ok(loaded) => loaded,
        Err(problems) => return misconfigured(&problems),
    };
    let mut text = match &loaded.file {
        Some(file) => format!("{} is right\n", file.display()),
        None => "no file, and none is needed: the defaults hold\n".to_owned(),
    };
    if explain {
        text = loaded.explained.to_string();
    }
    print(text.as_bytes())
}

fn devices() -> ExitCode {
    print(list(&output::devices()).as_bytes())
}

/// Each card as the line that chooses it, with what it is below.
fn list(devices: &[output::DeviceLine]) -> String {
    if devices.is_empty() {
        return "no sound card was found\n  help: plug one in, or add this user to the group audio\n"
            .to_owned();
    }
    let mut text = String::new();
    for device in devices {
        let mark = if device.is_default { "  # default" } else { "" };
        let quoted = config::quoted(&device.name);
        let about = device.description.replace('\n', ", ");
        text += &format!("device = {quoted}{mark}\n    {about}\n");
    }
    text
}

/// The log begins with the first command, which says for whom and how much.
#[inline(never)]
fn engine() -> ExitCode {
    librespot::engine_main(
        |level, speaker| logging::start(level, Some(speaker)),
        logging::set_engine_level,
    )
}

fn load(settings: &Settings) -> Result<Loaded, Problems> {
    config::load(&settings.request(), &Surroundings::of_this_process())
}

fn misconfigured(problems: &Problems) -> ExitCode {
    tell(problems);
    ExitCode::from(exit::CONFIG)
}

fn failed(code: u8, what: &str, help: &str) -> ExitCode {
    tell(&format_args!("siskin: {what}\n  help: {help}"));
    ExitCode::from(code)
}

/// `siskin help volume` is what many people try first. (A command of clap's own would be one more
/// line of a page that just fits a small terminal.)
fn with_help_as_a_flag(mut words: Vec<OsString>) -> Vec<OsString> {
    if words.get(1).is_some_and(|word| word == "help") {
        words.remove(1);
        words.push("--help".into());
    }
    words
}

/// Help and version are answers; anything else is a command line that makes no sense.
fn answered(error: &clap::Error, words: &[OsString]) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // Nobody is left to tell when standard output is closed.
            let _ = error.print();
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(exit::USAGE)
        }
        _ => {
            let (what, help) = what_and_help(error, words);
            failed(exit::USAGE, &what, &help)
        }
    }
}

/// clap's page of text, in our two lines.
fn what_and_help(error: &clap::Error, words: &[OsString]) -> (String, String) {
    let rendered = error.render().to_string();
    let rendered = rendered.as_str();
    let command = command_of(words);
    let mut paragraphs = rendered.split("\n\n");
    let what = paragraphs.next().unwrap_or_default();
    let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
    let what = what.strip_prefix("error: ").unwrap_or(&what).to_owned();
    let tip = rendered
        .lines()
        .find_map(|line| line.trim().strip_prefix("tip: "));
    let help = elsewhere(error, &command)
        .or_else(|| tip.map(str::to_owned))
        .unwrap_or_else(|| match command.as_str() {
            "siskin" => "siskin --help lists what there is".to_owned(),
            command => format!("{command} --help says what it takes"),
        });
    (what, help)
}

/// The command that was meant, as far as it was understood: `siskin accounts use`.
fn command_of(words: &[OsString]) -> String {
    let mut tree = &Cli::command();
    let mut found = "siskin".to_owned();
    for word in words.iter().skip(1).filter_map(|word| word.to_str()) {
        let Some(below) = tree.find_subcommand(word) else {
            break;
        };
        found += &format!(" {word}");
        tree = below;
    }
    found
}

/// What to write in place of a flag that is another program's, or another command's.
fn elsewhere(error: &clap::Error, command: &str) -> Option<String> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let of_run = || {
        let run = Starting::command();
        let is_its = |arg: &clap::Arg| {
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            [long, short].into_iter().flatten().any(|it| it == *flag)
        };
        let its = command == "siskin" && run.get_arguments().any(is_its);
        its.then(|| format!("it stands behind a command: siskin run {flag} …"))
    };
    config::instead_of_flag(flag).or_else(of_run)
}

/// An error with everything that led to it.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(why) = source {
        text += &format!(": {why}");
        source = why.source();
    }
    text
}

/// On standard error; where that is closed there is nobody to tell.
fn tell(what: &dyn Display) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// On standard output. A reader that leaves early, as `head` does, is no failure.
fn print(text: &[u8]) -> ExitCode {
    let mut out = io::stdout();
    let written = out.write_all(text).and_then(|()| out.flush());
    match written {
        Err(why) if why.kind() != io::ErrorKind::BrokenPipe => failed(
            exit::NOT_NOW,
            &format!("standard output cannot be written ({why})"),
            "see where it is led to",
        ),
        _ => ExitCode::SUCCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(line: &str) -> (String, String) {
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Cli::try_parse_from(&words).expect_err(line);
        what_and_help(&error, &words)
    }

    #[test]
    fn who_comes_from_another_program_is_told_what_its_flags_are_here() {
        for (line, cure) in [
            (
                "siskin run --backend alsa",
                "librespot's --backend is --output here",
            ),
            ("siskin --backend alsa --name X", "siskin run --output"),
            (
                "siskin run --initial-volume 40",
                "volume.start in the configuration",
            ),
            ("siskin run --zeroconf-port=1234", "is --port here"),
            ("siskin run --onevent x", "[[hook]]"),
            ("siskin --name Kitchen", "siskin run --name …"),
            ("siskin -n Kitchen", "siskin run -n …"),
        ] {
            let (what, help) = told(line);
            assert!(what.starts_with("unexpected argument"), "{line}: {what}");
            assert!(help.contains(cure), "{line}: {help}");
        }
    }

    #[test]
    fn a_misspelt_flag_is_told_with_the_nearest_one() {
        let (what, help) = told("siskin run --naem x");
        assert_eq!(what, "unexpected argument '--naem' found");
        assert_eq!(help, "a similar argument exists: '--name'");
    }

    #[test]
    fn what_is_started_daily_is_read_without_the_tree_of_commands_as_with_it() {
        for line in [
            "siskin run",
            "siskin run -n Kitchen -c /etc/x.toml --log debug",
            "siskin run -vv --interface eth0 -i 'wl*' --port=4070",
            "siskin run --output pipe --path - --format s24 -b320 --proxy http://p:1",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let Some(Usual::Run(settings)) = usual(&words) else {
                panic!("{line}");
            };
            let Command::Run(meant) = Cli::try_parse_from(words).expect(line).command else {
                panic!("{line}");
            };
            assert_eq!(format!("{settings:?}"), format!("{meant:?}"));
        }
        for line in [
            "siskin",
            "siskin run --help",
            "siskin run -h",
            "siskin run --version",
            "siskin run --naem x",
            "siskin run help",
            "siskin run -q -v",
            "siskin engine --help",
            "siskin engines",
            "siskin status",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert!(usual(&words).is_none(), "{line}");
        }
    }

    #[test]
    fn what_is_missing_is_told_with_the_page_that_explains_it() {
        for (line, missing, page) in [
            ("siskin volume", "<TO>", "siskin volume --help"),
            ("siskin accounts use", "<", "siskin accounts use --help"),
            ("siskin login", "--browser|--paste", "siskin login --help"),
            ("siskin nonsense", "nonsense", "siskin --help lists"),
            ("siskin repeat bogus", "bogus", "siskin repeat --help"),
            ("siskin shuffle", "<ON>", "siskin shuffle --help"),
            ("siskin completions cmd", "cmd", "siskin completions --help"),
        ] {
            let (what, help) = told(line);
            assert!(what.contains(missing), "{what}");
            assert!(help.starts_with(page), "{help}");
        }
    }

    #[test]
    fn help_is_a_word_as_well_as_a_flag() {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (given, meant) in [
            ("siskin help", "siskin --help"),
            ("siskin help accounts use", "siskin accounts use --help"),
            ("siskin rename help", "siskin rename help"),
        ] {
            assert_eq!(with_help_as_a_flag(words(given)), words(meant));
        }
    }

    #[test]
    fn a_listed_card_can_be_copied_into_the_configuration() {
        let card = output::DeviceLine {
            name: r#"plug:"dac\x""#.into(),
            description: "USB DAC\nFront".into(),
            is_default: true,
        };
        let text = list(&[card]);
        let (line, about) = text.split_once('\n').expect("two lines");
        assert_eq!(line, r#"device = 'plug:"dac\x"'  # default"#);
        assert_eq!(about, "    USB DAC, Front\n");
        assert!(list(&[]).contains("help: "));
    }
}
