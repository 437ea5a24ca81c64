//! Signing somebody in without a phone on the local network: by a code typed at `spotify.com/pair`,
//! or in a browser.
//!
//! Owns the OAuth conversation, in a child process of its own, so that the daemon needs no TLS. What
//! comes out is the lasting credential, as [`Event::Ready`]; tokens are never kept or passed on.
//! Keeping the credential is left to whoever started the child. Start at [`pair`].

mod browser;
mod client;
mod device;
mod http;
mod pace;
mod sign_in;

#[cfg(any(test, fuzzing))]
pub(crate) use browser::read_address;

use std::time::Instant;

use tokio::sync::mpsc::Receiver;
use tracing::info;

use super::{session::Failure, stage, wire::Reporter};
use crate::{
    engine::messages::{Command, Event, Pair},
    model::{Pairing, Secret, Way},
};
use http::Door;
use pace::{End, FLOW_LIMIT};
use sign_in::SignedIn;

/// The whole life of the child: one flow, then the end. A closed channel or `Stop` cancels it.
pub async fn pair(pair: Pair, reporter: &Reporter, commands: Receiver<Command>) {
    let show = |now: Pairing| reporter.report(&Event::Pairing(now));
    let (pasted, paste) = tokio::sync::mpsc::channel(1);
    let ended = tokio::select! {
        ended = flow(&pair, reporter, paste, &show) => ended,
        () = told_to_stop(commands, pasted) => return show(Pairing::Cancelled),
    };
    match ended {
        Ok(SignedIn {
            login,
            country,
            name,
        }) => {
            if let Some(name) = name {
                reporter.report(&Event::Named { name });
            }
            reporter.report(&Event::Ready { login, country });
        }
        Err(End { why, cure }) => {
            info!("nobody was signed in: {why}");
            show(Pairing::Failed { why, cure });
        }
    }
}

async fn flow(
    pair: &Pair,
    reporter: &Reporter,
    paste: Receiver<Secret>,
    show: &impl Fn(Pairing),
) -> Result<SignedIn, End> {
    if let Err(Failure::Lost(why)) = stage::certificates(reporter) {
        let why = format!("this machine cannot tell whether it talks to Spotify ({why})");
        return Err(End::new(why, "install the package ca-certificates"));
    }
    let flow_ends = Instant::now() + FLOW_LIMIT;
    let oauth = client::oauth(pair.client_id.as_deref())?;
    let door = Door::new(pair.network.proxy.as_deref());
    let token = match pair.way {
        Way::Code => device::run(&oauth, &door, flow_ends, show).await?,
        Way::Browser => browser::run(oauth, &door, None, flow_ends, show).await?,
        Way::Paste => browser::run(oauth, &door, Some(paste), flow_ends, show).await?,
    };
    sign_in::lasting(pair, &token, show).await
}

async fn told_to_stop(mut commands: Receiver<Command>, pasted: tokio::sync::mpsc::Sender<Secret>) {
    loop {
        match commands.recv().await {
            None | Some(Command::Stop) => return,
            // One at a time; who pastes twice before the first was read means the same.
            Some(Command::Pasted { address }) => drop(pasted.try_send(address)),
            Some(_) => {}
        }
    }
}
