//! `spotify-sim demo` plays a tune through siskin without account or phone, `bench` measures it;
//! `serve` runs the simulated Spotify for receivers started by hand, `swap-key` makes a receiver
//! that trusts it.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use spotify_sim::{Sim, SimOptions, bench, chaos, demo, key::swap_key};

/// A simulated Spotify on loopback.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Serve until interrupted.
    Serve {
        /// The port on 127.0.0.1; any free one by default.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// How long each HTTP answer takes, in milliseconds.
        #[arg(long, default_value_t = 0)]
        delay_ms: u64,
        /// The speed of the audio files' line, in bytes per second.
        #[arg(long)]
        cdn_rate: Option<u64>,
    },
    /// Copy a receiver's binary with the simulation's key in it.
    SwapKey { from: PathBuf, to: PathBuf },
    /// Hand a made-up account to siskin and play a tune.
    Demo {
        /// Play into ./demo.wav even where there is a sound card.
        #[arg(long)]
        wav: bool,
    },
    /// Measure siskin beside the published librespot (SISKIN_PEER).
    Bench {
        /// Less often and not as long.
        #[arg(long)]
        quick: bool,
        /// Put the table into the README.
        #[arg(long)]
        write_readme: bool,
        /// Instead, play a context of this many minutes and see whether memory grows.
        #[arg(long, value_name = "MINUTES", num_args = 0..=1, default_missing_value = "250")]
        long: Option<u32>,
        /// How often faster than real time that is played.
        #[arg(long, default_value_t = 40)]
        speed: u32,
        /// A setting of siskin for it, such as SISKIN_CACHE_SIZE="1 GB".
        #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
        settings: Vec<(String, String)>,
    },
    /// Break what siskin stands on, and measure how long until all is as before.
    Chaos {
        /// How often each fault.
        #[arg(long, default_value_t = 10)]
        rounds: usize,
        /// How many speakers suffer at the same time, each in a network of its own.
        #[arg(long, default_value_t = 8)]
        jobs: usize,
        /// Only faults whose name contains this.
        #[arg(long)]
        only: Option<String>,
        /// None of those whose name contains this.
        #[arg(long)]
        but: Option<String>,
        /// So many rounds of some faults on one speaker each, to see what it loses, instead of the
        /// table.
        #[arg(long, value_name = "ROUNDS")]
        leaks: Option<usize>,
        /// Go on after an interruption: measure only what was not.
        #[arg(long)]
        resume: bool,
        /// Where what was measured is kept until then; target/chaos.jsonl by default.
        #[arg(long, value_name = "FILE")]
        keep: Option<PathBuf>,
        /// A random fault every 30 s for so many minutes, instead of the table.
        #[arg(long, value_name = "MINUTES")]
        soak: Option<u64>,
        /// Put the table into docs/resilience.md.
        #[arg(long)]
        write: bool,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Serve {
            port,
            delay_ms,
            cdn_rate,
        } => serve(SimOptions {
            port,
            delay: Duration::from_millis(delay_ms),
            cdn_rate,
            ..SimOptions::default()
        }),
        Task::SwapKey { from, to } => swap_key(&from, &to)
            .map(|swapped| println!("{swapped}"))
            .map_err(Into::into),
        Task::Demo { wav } => demo::run(&demo::Options {
            siskin: bench::our_binary(),
            wav,
        }),
        Task::Bench {
            long: Some(minutes),
            speed,
            settings,
            ..
        } => bench::hours::run(&bench::hours::Options {
            siskin: bench::our_binary(),
            minutes,
            speed,
            settings,
        }),
        Task::Bench {
            quick,
            write_readme,
            ..
        } => bench::run(&bench::Options {
            siskin: bench::our_binary(),
            peer: bench::peer_binary(),
            quick,
            readme: write_readme.then(|| bench::workspace().join("README.md")),
        }),
        Task::Chaos {
            rounds,
            jobs,
            only,
            but,
            leaks,
            resume,
            keep,
            soak,
            write,
        } => chaos::run(&chaos::Options {
            siskin: bench::our_binary(),
            symbols: bench::binary_with_symbols(),
            peer: bench::peer_binary(),
            rounds,
            jobs,
            only,
            but,
            leaks,
            kept: keep.unwrap_or_else(|| bench::workspace().join("target/chaos.jsonl")),
            resume,
            soak: soak.map(|minutes| Duration::from_secs(minutes * 60)),
            write: write.then(|| bench::workspace().join("docs/resilience.md")),
        }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("spotify-sim: {why}");
            ExitCode::FAILURE
        }
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn serve(options: SimOptions) -> bench::Result<()> {
    let sim = Sim::start(options).await?;
    for (name, value) in sim.env() {
        println!("export {name}={value}");
    }
    println!("# for a receiver with a swapped key:");
    println!("#   --proxy {} --ap-port {}", sim.proxy_url(), sim.port());
    println!("# users: {:?}", sim.users().all());
    println!("# passwords are the name followed by -password");
    for album in &sim.catalogue().albums {
        println!("# album \"{}\": {}", album.title, album.uri());
    }
    tokio::signal::ctrl_c().await?;
    sim.stop().await;
    Ok(())
}
