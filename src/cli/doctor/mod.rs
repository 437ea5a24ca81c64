//! `siskin doctor`: why a phone does not see, cannot connect to, or hears nothing from a speaker.
//!
//! Looks at everything from the outside, in the order in which music comes: settings, daemon, network,
//! Spotify, sound. Each finding says what is wrong, why, and what to do ([`findings`]). Where a daemon
//! answers, that one is asked to look: it runs the same in a process of its own, and hands over what
//! it knows ([`of_daemon`]). Where none does, this process looks, with the settings that it finds.

mod cache;
mod findings;
mod machine;
mod network;
mod sound;
mod spotify;

use std::{
    io::{self, Read as _},
    process::ExitCode,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::time::sleep;

use super::{
    args::Door,
    client::{Client, ClientError, Method},
    door, exit, failed, print,
};
use crate::{
    config::{self, Cache, Config, Network, Speaker, Surroundings},
    daemon::{doctor::Case, places},
    model::{Examination, Finding, House},
};
use findings::Report;

/// No daemon has more to tell, in bytes.
const LONGEST_CASE: u64 = 4 * 1024 * 1024;
/// Music comes first, whoever asks.
const NICE: i32 = 10;
/// For a daemon to look: its own limit is 45 s.
const ITS_LOOK: Duration = Duration::from_secs(50);
/// What one says that looks for somebody else.
const BUSY: &str = "conflict";
/// Between two times of asking one that looks for somebody else.
const AGAIN: Duration = Duration::from_secs(1);
/// Whose view it is; the other one begins alike.
const OF_DAEMON: &str = "seen by the siskin that runs, with the settings that it has now";

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
        tone,
    } = case;
    let looked = door::wait_for(async {
        of_house(&mut report, &house);
        let kept = cache.as_ref();
        examine(&mut report, &network, &speakers, kept, Some(&house), tone).await;
        Ok(())
    });
    match looked {
        Ok(()) => print(report.json().as_bytes()),
        Err(failed) => door::answer(Err(failed)),
    }
}

/// A daemon that answers knows what it was started with, what was chosen since, and what its user may
/// do: then it looks. Else this process does, with what it finds.
async fn look(report: &mut Report, door: &Door, test_tone: bool) {
    report.looks_at("the configuration");
    let Some((config, file)) = settings(report, door) else {
        return;
    };
    report.looks_at("the daemon");
    let house = match daemon(report, &config).await {
        Some((client, house)) => match seen_by_it(report, &client, test_tone).await {
            Ok(seen) => {
                report.fact(OF_DAEMON);
                beside(report, &house, seen).await;
                return;
            }
            Err(error) => {
                report.fact(format!(
                    "the running siskin could not look itself ({error}); what follows is seen from \
                     here, with the settings found here"
                ));
                of_house(report, &house);
                Some(house)
            }
        },
        None => {
            report.fact(
                "seen from here, with the settings found here: no siskin that runs was asked",
            );
            None
        }
    };
    report.facts.extend(file);
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

/// Has a daemon look. While it does so for somebody else, it is waited for.
async fn seen_by_it(
    report: &Report,
    client: &Client,
    tone: bool,
) -> Result<Examination, ClientError> {
    report.looks_at("everything else, as the running siskin sees it");
    let body = match tone {
        true => json!({ "tone": true }),
        false => json!({}),
    };
    let until = Instant::now() + ITS_LOOK;
    loop {
        let asked = client.send_within(ITS_LOOK, Method::POST, &["doctor"], Some(&body));
        match asked.await {
            Err(ClientError::Refused(told)) if told.code == BUSY && Instant::now() < until => {
                sleep(AGAIN).await;
            }
            seen => return seen,
        }
    }
}

/// What a daemon saw, and what may be seen better from here: a service sees no programs of others,
/// and root sees the firewall.
async fn beside(report: &mut Report, house: &House, mut seen: Examination) {
    let is_root = rustix::process::geteuid().is_root();
    machine::receivers(report);
    if is_root {
        machine::sharers(report);
        seen.findings.retain(|found| found.code != machine::SHARED);
        if network::firewall(report, Some(house)).await {
            seen.facts.retain(|fact| fact != network::UNREAD);
        }
    }
    if report.has(machine::RECEIVER) {
        seen.findings
            .retain(|found| found.code != machine::RECEIVER);
    }
    report.facts.extend(seen.facts);
    for found in seen.findings {
        report.found(found);
    }
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

/// The settings, those that lead to a daemon at least, and what is to be said of their file.
fn settings(report: &mut Report, door: &Door) -> Option<(Config, Option<String>)> {
    let loaded = config::load(&door.request(), &Surroundings::of_this_process());
    match loaded {
        Ok(loaded) => {
            let file = match &loaded.file {
                Some(file) => format!("the configuration {} is right", file.display()),
                None => "there is no configuration file, and none is needed".to_owned(),
            };
            return Some((loaded.config, Some(file)));
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
    Some((door::settings(door).ok()?, None))
}

async fn daemon(report: &mut Report, config: &Config) -> Option<(Client, House)> {
    let asked = async {
        let client = Client::find(&places::sockets(config)).await?;
        let house = client.get::<House>(&["status"]).await?;
        Ok::<_, ClientError>((client, house))
    };
    match asked.await {
        Ok(found) => Some(found),
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
