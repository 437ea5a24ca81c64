//! What happens, as it happens: `siskin events` and `siskin status --watch`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    process::ExitCode,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    args::Door,
    client::{Client, Events},
    door::{self, Failure, told},
    remote,
    status::{line, plain},
};
use crate::model::{House, SpeakerState, unix_ms};

/// So often the bar moves while nothing happens.
const TICK: Duration = Duration::from_millis(500);

/// Every event as a line of JSON, until the daemon or the reader ends.
pub fn events(door: &Door) -> ExitCode {
    door::ask(door, async |client| {
        let mut events = client.events().await.map_err(told)?;
        while let Some((kind, data)) = events.next().await.map_err(told)? {
            if !say(&format!("{}\n", json!({"event": kind, "data": data}))) {
                return Ok(String::new());
            }
        }
        Err(ended())
    })
}

/// One line that follows what a speaker does: drawn over itself on a terminal, else one line a
/// change.
pub fn watch(door: &Door, speaker: Option<&str>) -> ExitCode {
    door::ask(door, async |client| {
        let mut state = remote::speaker(&client, speaker).await?;
        let mut events = client.events().await.map_err(told)?;
        let terminal = io::stdout().is_terminal();
        let mut shown = String::new();
        loop {
            let text = plain(&line(&state, unix_ms()));
            let told = match terminal {
                true => say(&format!("\r\x1b[2K{text}")),
                // The bar alone is no news to a file.
                false if text == shown => true,
                false => say(&format!("{text}\n")),
            };
            if !told {
                return Ok(String::new());
            }
            shown = text;
            if !follow(&client, &mut events, &mut state, terminal).await? {
                return Err(ended());
            }
        }
    })
}

/// Waits for news of the speaker, or on a terminal for the next tick. False: the daemon is gone.
async fn follow(
    _: &Client,
    events: &mut Events,
    state: &mut SpeakerState,
    ticking: bool,
) -> Result<bool, Failure> {
    loop {
        let next = match ticking {
            true => match timeout(TICK, events.next()).await {
                Ok(next) => next,
                Err(_) => return Ok(true),
            },
            false => events.next().await,
        };
        let Some((kind, data)) = next.map_err(told)? else {
            return Ok(false);
        };
        if let Some(new) = of(&kind, data, &state.id) {
            *state = new;
            return Ok(true);
        }
    }
}

fn of(kind: &str, data: Value, id: &str) -> Option<SpeakerState> {
    match kind {
        "speaker" => serde_json::from_value(data)
            .ok()
            .filter(|speaker: &SpeakerState| speaker.id == id),
        "snapshot" => {
            let house: House = serde_json::from_value(data).ok()?;
            house.speaker(id).cloned()
        }
        _ => None,
    }
}

/// False when nobody reads any more.
fn say(text: &str) -> bool {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .is_ok()
}

fn ended() -> Failure {
    let what = "siskin has ended".to_owned();
    (
        what,
        "start it with: siskin run, or: systemctl start siskin".to_owned(),
    )
}
