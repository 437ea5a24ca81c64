//! Signing in without a phone on the local network: who owns the flow, and what becomes of the
//! account it yields.
//!
//! The conversation with Spotify is held by a child process (`librespot/pair`); a [`Flow`] is one
//! such child from its start to its end. [`Pairings`] holds them to one a speaker. [`pair_here`] is
//! a flow without a daemon, on the state directory itself.

mod flow;
mod held;

use std::{future::ready, io, path::Path, pin::Pin, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};

pub use self::{
    flow::{Flow, Granted, Refused},
    held::Pairings,
};
use super::house::House;
use crate::{
    accounts::{AccountKey, SignedIn, Store, StoreError},
    bus::{Answer, Order, Reason, Unable},
    config::{Config, Speaker},
    engine::messages::{PROTOCOL, Pair},
    model::{CameBy, DeviceId, Login, Pairing, Way, unix_ms},
    speaker::Knock,
};

/// The speaker's own limit for a login is 9 s.
const KNOCK_LIMIT: Duration = Duration::from_secs(12);

/// Why there is no flow.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    #[error("a sign-in for this speaker is under way already")]
    UnderWay,
    #[error("the part of siskin that signs in could not be started: {0}")]
    Child(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PairError {
    /// What to do; shown after `help:`.
    pub fn help(&self) -> &'static str {
        match self {
            Self::UnderWay => "use the code that is shown, or cancel that sign-in first",
            Self::Child(_) => "see whether the machine is out of memory or processes",
            Self::Store(error) => error.help(),
        }
    }

    fn told(&self) -> Unable {
        let reason = match self {
            Self::UnderWay => Reason::Conflict,
            Self::Child(_) | Self::Store(_) => Reason::Broken,
        };
        Unable::new(reason, self.to_string(), self.help())
    }
}

/// What a child that signs somebody in is told.
pub fn order(device: DeviceId, name: &str, config: &Config, way: Way) -> Pair {
    Pair {
        protocol: PROTOCOL,
        device,
        name: name.to_owned(),
        network: config.network.clone(),
        log: config.log,
        client_id: config.pairing.client_id.clone(),
        way,
    }
}

/// Begins with an order about signing in; hands any other back.
///
/// # Errors
/// The order, when it is about something else.
pub fn begin(order: Order, house: &mut House) -> Result<Done, Order> {
    let answer = match order {
        Order::Pair { speaker, way } => match house.pair(&speaker, way, false) {
            Some(Ok(now)) => Ok(Answer::Pairing(now)),
            Some(Err(error)) => Err(error.told()),
            None => Err(Unable::unknown_speaker(&speaker)),
        },
        Order::Pairing { speaker } => match house.pairings().last(&speaker) {
            Some(now) => Ok(Answer::Pairing(now)),
            None => Err(Unable::no_pairing()),
        },
        Order::Paste { speaker, address } => match house.pairings().get(&speaker) {
            Some(flow) if flow.paste(address) => Ok(Answer::Done),
            Some(_) => Err(Unable::new(
                Reason::Conflict,
                "another address is being looked at",
                "wait for what comes of it",
            )),
            None => Err(Unable::no_pairing()),
        },
        Order::CancelPairing { speaker } => {
            let Some(flow) = house.pairings().get(&speaker) else {
                return Ok(Box::pin(ready(Err(Unable::no_pairing()))));
            };
            flow.cancel();
            let mut state = flow.watch();
            return Ok(Box::pin(async move {
                // A state that cannot be watched any more belongs to a flow that is gone.
                let _ = state.wait_for(Pairing::is_over).await;
                Ok(Answer::Done)
            }));
        }
        other => return Err(other),
    };
    Ok(Box::pin(ready(answer)))
}

/// What an order comes to.
pub type Done = Pin<Box<dyn Future<Output = Result<Answer, Unable>> + Send>>;

/// Hands the account over and waits for the speaker's word.
async fn knock(knocks: mpsc::Sender<Knock>, login: Login, way: Way) -> Result<(), Refused> {
    let (answer, answered) = oneshot::channel();
    let knock = Knock::SignIn {
        login,
        came_by: came_by(way),
        answer,
    };
    let asked = async {
        knocks.send(knock).await.ok()?;
        answered.await.ok()
    };
    let why = match timeout(KNOCK_LIMIT, asked).await {
        Ok(Some(Ok(()))) => return Ok(()),
        Ok(Some(Err(why))) => why,
        Ok(None) => "the speaker did not take the account".to_owned(),
        Err(_) => "the speaker did not sign the account in in time".to_owned(),
    };
    let cure = "whoever was signed in still is; siskin status tells more".to_owned();
    Err(Refused { why, cure })
}

fn came_by(way: Way) -> CameBy {
    match way {
        Way::Code => CameBy::Code,
        Way::Browser | Way::Paste => CameBy::Browser,
    }
}

/// Starts a flow without a daemon, on the state in `dir`. That is locked until the flow has ended;
/// the account is kept there, and the next start signs it in.
///
/// # Errors
/// [`StoreError::InUse`] while a daemon runs; or when the child cannot be started.
pub fn pair_here(
    config: &Config,
    dir: &Path,
    speaker: &Speaker,
    way: Way,
) -> Result<Flow, PairError> {
    let key = AccountKey::find(config.account_key_file.as_deref());
    let store = Store::open_with(dir, key)?;
    let (device, _) = store.device(&speaker.id);
    let pair = order(device, &speaker.name, config, way);
    let id = speaker.id.clone();
    let flow = Flow::start(pair, move |granted| async move {
        let kept = tokio::task::spawn_blocking(move || {
            let Granted {
                login,
                country,
                name,
            } = granted;
            let user = login.user.clone();
            let came_by = Some(came_by(way));
            store.signed_in(SignedIn {
                login,
                country,
                came_by,
                at_ms: unix_ms(),
            })?;
            if let Some(name) = name {
                store.shown_as(&user, &name)?;
            }
            store.take_seat(&id, Some(&user), None)
        });
        match kept.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(not_kept(&error)),
            Err(error) => Err(not_kept(&error.into())),
        }
    })?;
    Ok(flow)
}

fn not_kept(error: &io::Error) -> Refused {
    Refused {
        why: format!("the account could not be kept ({error})"),
        cure: "check the disk and the state directory, then ask for a code again".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Secret;

    #[tokio::test]
    async fn an_account_that_the_speaker_refuses_is_told_so() {
        let (knocks, mut knocked) = mpsc::channel(1);
        let login = Login {
            user: "kim".into(),
            kind: 1,
            secret: Secret::new(vec![1]),
        };
        let no = Err("not today".to_owned());
        for (verdict, why) in [
            (Some(Ok(())), None),
            (Some(no), Some("not today")),
            (None, Some("the speaker did not take the account")),
        ] {
            let speaker = async {
                let Some(Knock::SignIn {
                    came_by, answer, ..
                }) = knocked.recv().await
                else {
                    panic!("a sign-in");
                };
                assert_eq!(came_by, CameBy::Code);
                if let Some(verdict) = verdict {
                    let _ = answer.send(verdict);
                }
            };
            let handed_over = knock(knocks.clone(), login.clone(), Way::Code);
            let (handed_over, ()) = tokio::join!(handed_over, speaker);
            assert_eq!(handed_over.err().map(|refused| refused.why).as_deref(), why);
        }
    }
}
