//! What comes over the dealer and from connect-state, translated and carried to the machine that
//! decides.
//!
//! An input is a row of pieces: a byte for the kind, two for the length, and as many bytes.

use librespot_core::dealer::protocol::Request;
use librespot_protocol::{
    connect::{Cluster, ClusterUpdate},
    transfer_state::TransferState,
};
use protobuf::Message;
use serde_json::{Value, from_slice};

use super::machine::Machine;
use crate::{
    connect::{Action, Command, Input, Order, Sender, Settings},
    librespot::connect::{contexts, json, translate},
    model::Volume,
};

/// Pieces of one input.
const MOST: usize = 64;

pub(super) fn dealer(bytes: &[u8]) {
    let mut machine = Machine::new();
    let mut rest = bytes;
    for _ in 0..MOST {
        let Some((&[kind, low, high], behind)) = rest.split_first_chunk::<3>() else {
            break;
        };
        let length = usize::from(u16::from_le_bytes([low, high])).min(behind.len());
        let (piece, behind) = behind.split_at(length);
        take(&mut machine, kind, piece);
        rest = behind;
    }
    // Whoever asked has his answer when nothing more happens.
    machine.wait(5_000);
}

fn take(machine: &mut Machine, kind: u8, piece: &[u8]) {
    match kind % 11 {
        0 => {
            if let Ok(request) = from_slice::<Request>(piece) {
                let (from, command) = translate::command(request);
                machine.command(from, command);
            }
        }
        1 => {
            if let Ok(raw) = from_slice::<Value>(piece) {
                machine.command(Sender::default(), json::command(&raw));
            }
        }
        2 => {
            let update = ClusterUpdate::parse_from_bytes(piece).ok();
            if let Some(cluster) = update.and_then(translate::cluster_update) {
                machine.step(Input::Cluster(cluster));
            }
        }
        3 => {
            if let Ok(cluster) = Cluster::parse_from_bytes(piece) {
                let (number, cluster) = (machine.last_put(), translate::cluster(cluster));
                machine.step(Input::PutAnswered { number, cluster });
            }
        }
        4 => {
            if let Ok(state) = TransferState::parse_from_bytes(piece) {
                let transfer = Box::new(translate::transfer(state));
                machine.command(Sender::default(), Command::Transfer(Some(transfer)));
            }
        }
        5 => {
            if let Some((&kind, at)) = piece.split_first() {
                let at = at
                    .first_chunk::<4>()
                    .map_or(0, |at| u32::from_le_bytes(*at));
                machine.hear(kind, at);
            }
        }
        6 => answer(machine, piece),
        7 => {
            if let Ok(wish) = from_slice(piece) {
                let (ticket, order) = (machine.ticket(), translate::order(wish, "kim"));
                machine.step(Input::Asked { ticket, order });
            }
        }
        8 => {
            let ms = piece
                .first_chunk::<2>()
                .map_or(100, |ms| u16::from_le_bytes(*ms));
            machine.wait(u64::from(ms));
        }
        9 => {
            let playback = from_slice(piece).ok().or(machine.published.clone());
            if let Some(playback) = playback {
                machine.step(Input::Order(Order::Restore(playback)));
            }
        }
        _ => other(machine, piece),
    }
}

/// The service answers the question that was asked last; or cannot.
fn answer(machine: &mut Machine, piece: &[u8]) {
    let said = contexts::parse(piece);
    let Some(asked) = machine.question() else {
        return;
    };
    machine.step(match asked {
        Action::ResolveContext { ticket, .. } => Input::Resolved {
            ticket,
            listing: said.map(json::Answer::into_listing),
        },
        Action::ResolvePage { ticket, .. } => Input::Paged {
            ticket,
            pages: said.map(json::Answer::into_pages),
        },
        Action::ResolveAutoplay { ticket, .. } => Input::Autoplay {
            ticket,
            listing: said.map(json::Answer::into_listing),
        },
        _ => Input::Timer,
    });
}

/// Everything that needs few words.
fn other(machine: &mut Machine, piece: &[u8]) {
    let (&first, rest) = piece.split_first().unwrap_or((&0, &[]));
    let text = || String::from_utf8_lossy(rest).into_owned();
    machine.step(match first % 8 {
        0 => Input::Connected,
        1 => Input::Logout,
        2 => Input::SetVolume(Volume(u16::from(first) << 8)),
        3 => Input::Rename(text()),
        4 => Input::Settings(Settings {
            autoplay: first & 8 != 0,
            filter_explicit: first & 16 != 0,
        }),
        5 => Input::ContextChanged { uri: text() },
        6 => Input::NotFetched { why: text() },
        _ => Input::NotSent { why: text() },
    });
}
