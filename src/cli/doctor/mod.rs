//! `siskin doctor`: why a phone does not see, cannot connect to, or hears nothing from a speaker.
//!
//! Runs beside a live daemon, whose conditions it asks for, or without one. Looks at everything from
//! the outside, in the order in which music comes: settings, daemon, network, Spotify, sound. Each
//! finding says what is wrong, why, and what to do ([`findings`]).

mod findings;
mod machine;
mod network;
mod sound;
mod spotify;

use std::process::ExitCode;

use super::{
    args::Door,
    client::{Client, ClientError},
    door, exit, print,
};
use crate::{
    config::{self, Config, Surroundings},
    daemon::places,
    model::House,
};
use findings::{Finding, Report};

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

async fn look(report: &mut Report, door: &Door, test_tone: bool) {
    report.looks_at("the configuration");
    let Some(config) = settings(report, door) else {
        return;
    };
    report.looks_at("the daemon");
    let house = daemon(report, &config).await;
    machine::look(report);
    network::look(report, &config.network, house.as_ref()).await;
    spotify::look(report, &config.network).await;
    sound::look(report, &config, house.as_ref(), test_tone).await;
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
