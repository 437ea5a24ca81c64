//! The command line as clap sees it.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand};
use clap_complete::Shell;

use super::remote::Remote;
use crate::config::{Flag, Request};

/// Ours, and that of the librespot crates; a test holds the latter to `Cargo.toml`.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (librespot 0.8.0)");

/// A Spotify Connect speaker: pick it in the Spotify app and it plays.
#[derive(Debug, Parser)]
#[command(
    name = "siskin",
    bin_name = "siskin",
    version = VERSION,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true,
    max_term_width = 80,
    after_help = "Remote control: play, pause, toggle, stop, next, prev, seek, volume, mute,\nshuffle, repeat, queue, pull, send, output, rename, sleep.\nFor programs: events, log-level, token.\nStart with: siskin run. It needs no configuration."
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Announce the speaker and play, until told to stop
    Run(Settings),
    /// Say what the speakers do, who is signed in, and what is wrong
    #[command(after_help = "Exits with 0 when siskin answers, with 1 when none runs here.")]
    Status {
        /// Only this one: its name or id, or how that begins
        speaker: Option<String>,
        /// Print the state as JSON
        #[arg(long)]
        json: bool,
        /// Follow what happens, in one line
        #[arg(long, conflicts_with = "json")]
        watch: bool,
        #[command(flatten)]
        door: Door,
    },
    /// Sign in by a code typed at spotify.com/pair
    #[command(after_help = "Exits with 0 when somebody is signed in, with 130 when cancelled.")]
    Pair {
        /// Which one: its name or id, or how that begins
        speaker: Option<String>,
        #[command(flatten)]
        door: Door,
    },
    /// Sign in with a browser
    #[command(
        group(ArgGroup::new("where").required(true).args(["browser", "paste"])),
        after_help = "Since August 2026 Spotify refuses this for many clients; siskin pair may still work."
    )]
    Login {
        /// Which one: its name or id, or how that begins
        speaker: Option<String>,
        /// The browser runs on this machine
        #[arg(long)]
        browser: bool,
        /// It runs elsewhere: paste the address that it ends up at
        #[arg(long)]
        paste: bool,
        #[command(flatten)]
        door: Door,
    },
    /// List the people of the house, sign in, rename or forget
    Accounts {
        #[command(subcommand)]
        what: Option<Accounts>,
        #[command(flatten)]
        door: Door,
    },
    #[command(flatten)]
    Remote(Remote),
    /// Print what happens, as lines of JSON
    #[command(hide = true)]
    Events {
        #[command(flatten)]
        door: Door,
    },
    /// Have the daemon log more or less, until it is started anew
    #[command(hide = true)]
    LogLevel {
        /// error, warn, info, debug or trace
        level: String,
        #[command(flatten)]
        door: Door,
    },
    /// Print the token that programs need to ask over TCP
    #[command(hide = true)]
    Token {
        /// Print the link to the page for people, with the token in it
        #[arg(long)]
        link: bool,
        #[command(flatten)]
        door: Door,
    },
    /// Say whether the configuration is right, and what is wrong with it
    Check {
        /// Also print every setting and where it came from
        #[arg(long)]
        explain: bool,
        #[command(flatten)]
        settings: Settings,
    },
    /// Say why a phone does not see, reach or hear the speakers
    #[command(after_help = "Exits with 0 when nothing is wrong, else with 1.")]
    Doctor {
        /// Print what was found as JSON
        #[arg(long)]
        json: bool,
        /// Play a tone of a second on each sound card that is used
        #[arg(long)]
        test_tone: bool,
        /// What the daemon asks: its settings and state come on standard input
        #[arg(long, hide = true, requires = "json", conflicts_with = "test_tone")]
        of_daemon: bool,
        #[command(flatten)]
        door: Door,
    },
    /// List the sound cards, with what to write after `device =`
    Devices,
    /// What the daemon starts to play; of no use by hand
    #[command(hide = true)]
    Engine,
    /// Print completions for a shell
    Completions { shell: Shell },
    /// Print the manual page
    Man,
}

/// The line that starts a daemon, from the word `run` on.
#[derive(Debug, Parser)]
pub struct Starting {
    #[command(flatten)]
    pub settings: Settings,
}

/// What `run` and `check` take. Everything else stands in the configuration.
#[derive(Debug, Clone, Default, Args)]
#[command(next_line_help = false)]
pub struct Settings {
    /// Read this file instead of looking for one
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What phones show
    #[arg(short, long)]
    pub name: Option<String>,
    /// Sound card, as `siskin devices` lists it
    #[arg(short, long)]
    pub device: Option<String>,
    /// 96, 160 or 320 (kbit/s)
    #[arg(short, long, value_name = "KBITS")]
    pub bitrate: Option<String>,
    /// card, pipe, wav or null
    #[arg(short, long, value_name = "KIND")]
    pub output: Option<String>,
    /// Where pipe and wav write; - is standard output
    #[arg(long)]
    pub path: Option<String>,
    /// Samples of pipe and wav: s16, s24, s24_3, s32, f32
    #[arg(long)]
    pub format: Option<String>,
    /// Use only this interface: name, glob or network; repeatable
    #[arg(short, long, value_name = "WHICH")]
    pub interface: Vec<String>,
    /// TCP port that phones hand accounts over to
    #[arg(short, long)]
    pub port: Option<String>,
    /// Where accounts are kept
    #[arg(long, value_name = "FOLDER")]
    pub state_dir: Option<String>,
    /// Where other programs ask; none: nowhere
    #[arg(long, value_name = "PATH")]
    pub socket: Option<String>,
    /// HTTP proxy: http://host:port
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
    /// Use only Spotify access points on this port
    #[arg(long, value_name = "PORT")]
    pub ap_port: Option<String>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", conflicts_with_all = ["verbose", "quiet"])]
    pub log: Option<String>,
    /// Tell more; -vv tells most
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Tell only what is wrong
    #[arg(short, long)]
    pub quiet: bool,
}

/// Names are matched as people write them: user or name, or how it begins.
#[derive(Debug, Clone, Subcommand)]
pub enum Accounts {
    /// List everybody who is remembered (the default)
    List,
    /// Sign an account in, without a phone
    Use {
        /// The account: its name or user, or how that begins
        account: String,
        /// On which speaker, where there are several
        #[arg(long)]
        speaker: Option<String>,
    },
    /// Sign an account out and remove it from this machine
    Forget {
        /// The account: its name or user, or how that begins
        #[arg(required_unless_present = "all", conflicts_with = "all")]
        account: Option<String>,
        /// Everybody
        #[arg(long)]
        all: bool,
    },
    /// Give an account another name, for this house only
    Rename {
        /// The account: its name or user, or how that begins
        account: String,
        /// What it is called from now on; "" takes the name away again
        name: String,
    },
}

/// Where a running daemon is found, and what it keeps.
#[derive(Debug, Clone, Default, Args)]
pub struct Door {
    /// The configuration of the daemon, instead of looking for it
    #[arg(short, long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Where the daemon keeps accounts
    #[arg(long, value_name = "FOLDER", global = true)]
    pub state_dir: Option<String>,
    /// Where the daemon is asked
    #[arg(long, value_name = "PATH", global = true)]
    pub socket: Option<String>,
}

impl Door {
    /// As the configuration wants to hear it.
    pub fn request(&self) -> Request {
        let settings = Settings {
            config: self.config.clone(),
            state_dir: self.state_dir.clone(),
            socket: self.socket.clone(),
            ..Settings::default()
        };
        settings.request()
    }
}

impl Settings {
    /// As the configuration wants to hear it; the values are checked there.
    pub fn request(&self) -> Request {
        let log = match (&self.log, self.verbose, self.quiet) {
            (Some(level), ..) => Some(("--log", level.as_str())),
            (None, 0, true) => Some(("--quiet", "warn")),
            (None, 0, false) => None,
            (None, 1, _) => Some(("--verbose", "debug")),
            (None, ..) => Some(("--verbose", "trace")),
        };
        let state_dir = self.state_dir.as_deref().map(from_here);
        let interfaces = self.interface.join(",");
        let interfaces = (!self.interface.is_empty()).then_some(interfaces);
        let given = [
            ("--name", "name", &self.name),
            ("--device", "output.device", &self.device),
            ("--bitrate", "audio.bitrate", &self.bitrate),
            ("--output", "output.kind", &self.output),
            ("--path", "output.path", &self.path),
            ("--format", "output.format", &self.format),
            ("--interface", "network.allow", &interfaces),
            ("--port", "network.port", &self.port),
            ("--state-dir", "state_dir", &state_dir),
            ("--socket", "socket", &self.socket),
            ("--proxy", "network.proxy", &self.proxy),
            ("--ap-port", "network.ap_port", &self.ap_port),
        ];
        let given = given.into_iter().filter_map(|(flag, key, value)| {
            let value = value.clone()?;
            Some(Flag { flag, key, value })
        });
        let log = log.map(|(flag, level)| Flag {
            flag,
            key: "log",
            value: level.to_owned(),
        });
        Request {
            file: self.config.clone(),
            flags: given.chain(log).collect(),
        }
    }
}

/// On a command line, a folder is one of the folder where one stands.
fn from_here(folder: &str) -> String {
    match std::path::absolute(folder) {
        Ok(path) => path.to_string_lossy().into_owned(),
        // The configuration says what is wrong with it.
        Err(_) => folder.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn help_fits_a_screen() {
        let mut command = Cli::command();
        command.build();
        let subcommands = command.get_subcommands().cloned().collect::<Vec<_>>();
        for mut command in [vec![command], subcommands].concat() {
            let help = command.render_help().to_string();
            let widest = help.lines().map(|line| line.chars().count()).max();
            assert!(help.lines().count() <= 24, "{help}");
            assert!(widest <= Some(80), "{help}");
        }
    }

    #[test]
    fn every_flag_sets_a_key_that_there_is() {
        let all = "siskin run -n a -d b -b 320 -o null --path x --format s16 -i eth0 -i wl* -p 1 \
                   --state-dir /x --socket none --proxy http://x:1 --ap-port 443 -vv";
        let cli = Cli::try_parse_from(all.split_whitespace()).expect("valid");
        let Command::Run(settings) = cli.command else {
            panic!("run");
        };
        let flags = settings.request().flags;
        assert_eq!(flags.len(), 13);
        let around = crate::config::Surroundings {
            variables: Vec::new(),
            host: String::new(),
            etc: "/nonexistent".into(),
        };
        for flag in flags {
            let shown = flag.value.clone();
            let request = Request {
                file: None,
                flags: vec![flag],
            };
            let explained = match crate::config::load(&request, &around) {
                Ok(loaded) => loaded.explained.to_string(),
                // A path alone has no meaning, but it was understood.
                Err(problems) => problems.to_string(),
            };
            assert!(explained.contains("--"), "{shown}: {explained}");
        }
    }

    #[test]
    fn a_folder_on_the_command_line_is_seen_from_where_one_stands() {
        let door = Door {
            state_dir: Some("kept".into()),
            ..Door::default()
        };
        let here = std::env::current_dir().expect("a folder");
        let [flag] = &door.request().flags[..] else {
            panic!("one");
        };
        assert_eq!(flag.value, here.join("kept").to_string_lossy());
    }

    #[test]
    fn the_librespot_release_is_the_one_that_is_built_in() {
        let manifest = include_str!("../../Cargo.toml");
        let (_, librespot) = VERSION.split_once("librespot ").expect("named");
        let librespot = librespot.trim_end_matches(')');
        let pin = format!("librespot-core = {{ version = \"={librespot}\"");
        assert!(manifest.contains(&pin));
    }
}
