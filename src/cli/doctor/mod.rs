//! `siskin doctor`: why a phone does not see, cannot connect to, or hears nothing from a speaker.
//!
//! Runs beside a live daemon, whose conditions it asks for, or without one. Looks at everything from
//! the outside, in the order in which music comes: settings, daemon, network, Spotify, sound. Each
//! finding says what is wrong, why, and what to do ([`findings`]). A daemon that is asked for it runs
//! the same in a process of its own, and hands over what it knows ([`of_daemon`]).

mod cache;
mod findings;
mod machine;
mod network;
mod sound;
mod spotify;

use std::{
    io::{self, Read as _},
    process::ExitCode,
};

use super::{
    args::Door,
    client::{Client, ClientError},
    door, exit, failed, print,
};
use crate::{
    config::{self, Cache, Config, Network, Speaker, Surroundings},
    daemon::{doctor::Case, places},
    model::{Finding, House},
};
use findings::Report;

/// No daemon has more to tell, in bytes.
const LONGEST_CASE: u64 = 4 * 1024 * 1024;
/// Music comes first, whoever asks.
const NICE: i32 = 10;

pub fn run(door: &Door, json: bool, test_tone: bool) -> ExitCode {
    let mut report = Report {
        quiet: json,
        ..Report::default()
    };
    let looked = door::wait_for(async {
        look(&mut report, door, test_tone).await;
        Ok(())
    });
    if let Err(failed) = looked {
        return door::answer(Err(failed));
    }
    let text = match json {
        true => report.json(),
        false => report.text(),
    };
    let printed = print(text.as_bytes());
    match report.is_healthy() {
        true => printed,
        false => ExitCode::from(exit::FAILED),
    }
}

/// What a daemon asks: its case comes on standard input, the report goes to standard output.
pub fn of_daemon() -> ExitCode {
    let mut told = String::new();
    let read = io::stdin().take(LONGEST_CASE).read_to_string(&mut told);
    let case: Case = match read.map(|_| serde_json::from_str(&told)) {
        Ok(Ok(case)) => case,
        Ok(Err(why)) => return failed(exit::USAGE, &why.to_string(), "use siskin doctor"),
        Err(why) => return failed(exit::USAGE, &why.to_string(), "use siskin doctor"),
    };
    // Where that is not allowed, it goes without.
    let _ = rustix::process::setpriority_process(None, NICE);
    let mut report = Report {
        quiet: true,
        ..Report::default()
    };
    let Case {
        network,
        speakers,
        cache,
        house,
    } = case;
    let looked = door::wait_for(async {
        of_house(&mut report, &house);
        let kept = cache.as_ref();
        examine(&mut report, &network, &speakers, kept, Some(&house), false).await;
        Ok(())
    });
    match looked {
        Ok(()) => print(report.json().as_bytes()),
        Err(failed) => door::answer(Err(failed)),
    }
}

async fn look(report: &mut Report, door: &Door, test_tone: bool) {
    report.looks_at("the configuration");
    let Some(config) = settings(report, door) else {
        return;
    };
    report.looks_at("the daemon");
    let house = daemon(report, &config).await;
    let Config {
        network, speakers, ..
    } = &config;
    let kept = places::cache(&config);
    examine(
        report,
        network,
        speakers,
        kept.as_ref(),
        house.as_ref(),
        test_tone,
    )
    .await;
}

/// All of it that is outside of siskin.
async fn examine(
    report: &mut Report,
    network: &Network,
    speakers: &[Speaker],
    kept: Option<&Cache>,
    house: Option<&House>,
    test_tone: bool,
) {
    machine::look(report);
    cache::look(report, kept);
    network::look(report, network, house).await;
    spotify::look(report, network).await;
    sound::look(report, speakers, house, test_tone).await;
}

/// The settings, those that lead to a daemon at least.
fn settings(report: &mut Report, door: &Door) -> Option<Config> {
    let loaded = config::load(&door.request(), &Surroundings::of_this_process());
    match loaded {
        Ok(loaded) => {
            report.fact(match &loaded.file {
                Some(file) => format!("the configuration {} is right", file.display()),
                None => "there is no configuration file, and none is needed".to_owned(),
            });
            return Some(loaded.config);
        }
        Err(problems) => report.found(Finding::trouble(
            "config_invalid",
            "the configuration is wrong, so siskin would not start with it",
            problems
                .to_string()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            "correct what is said, then look again with siskin check",
        )),
    }
    door::settings(door).ok()
}

async fn daemon(report: &mut Report, config: &Config) -> Option<House> {
    let asked = async {
        let client = Client::find(&places::sockets(config)).await?;
        client.get::<House>(&["status"]).await
    };
    match asked.await {
        Ok(house) => {
            of_house(report, &house);
            Some(house)
        }
        Err(error) => {
            let code = match error {
                ClientError::NoDaemon { .. } => "no_daemon",
                ClientError::Forbidden { .. } => "daemon_forbidden",
                _ => "daemon_silent",
            };
            let why = "its socket was asked, as siskin status does";
            report.found(Finding::trouble(code, error.to_string(), why, error.help()));
            None
        }
    }
}

/// What the daemon says of itself and of its speakers.
fn of_house(report: &mut Report, house: &House) {
    for (_, condition) in house.conditions.iter() {
        report.found(condition.into());
    }
    for speaker in &house.speakers {
        report.fact(format!(
            "the speaker {} runs, {}",
            speaker.name,
            match speaker.addresses.as_slice() {
                [] => "and is not announced anywhere".to_owned(),
                [first, ..] => format!("announced at {first}"),
            }
        ));
        for (_, condition) in speaker.conditions.iter() {
            report.found(condition.into());
        }
    }
}
