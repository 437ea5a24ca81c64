//! Signing in without a phone on the local network: who owns the flow, and what becomes of the
//! account it yields.
//!
//! The conversation with Spotify is held by a child process (`librespot/pair`); a [`Flow`] is one
//! such child from its start to its end. [`Pairings`] holds them to one a speaker. [`pair_here`] is
//! a flow without a daemon, on the state directory itself.

use std::{collections::BTreeMap, io, path::PathBuf, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{board::Place, state_dir};
use crate::{
    accounts::{Store, StoreError},
    config::{self, Config},
    engine::{
        Engine, Heard,
        messages::{Command, Event, PROTOCOL, Pair, Way},
    },
    model::{DeviceId, Login, Pairing, Secret},
    speaker::Knock,
};

/// More than a child says at once.
const HEARD: usize = 16;

/// The speaker's own limit for a login is 9 s.
const KNOCK_LIMIT: Duration = Duration::from_secs(12);

/// Why there is no flow.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    #[error("a sign-in for this speaker is under way already")]
    UnderWay,
    #[error("there is no speaker {given:?}; there is {known}")]
    NoSuchSpeaker { given: String, known: String },
    #[error("there are several speakers: {known}")]
    WhichSpeaker { known: String },
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
            Self::NoSuchSpeaker { .. } | Self::WhichSpeaker { .. } => {
                "name one of them: siskin pair SPEAKER"
            }
            Self::Child(_) => "see whether the machine is out of memory or processes",
            Self::Store(error) => error.help(),
        }
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

/// One sign-in, from its start to its end. Dropping it ends the child.
#[derive(Debug)]
pub struct Flow {
    state: watch::Receiver<Pairing>,
    paste: mpsc::Sender<Secret>,
    cancel: CancellationToken,
    task: JoinHandle<()>,
}

impl Flow {
    /// Starts a child. `keep` takes the account over, once, when there is one; what it answers
    /// otherwise is told as the reason.
    ///
    /// # Errors
    /// When the child cannot be started.
    pub fn start<K, F>(pair: Pair, keep: K) -> io::Result<Self>
    where
        K: FnOnce(Login, Option<String>) -> F + Send + 'static,
        F: Future<Output = Result<(), Refused>> + Send + 'static,
    {
        let (ear, heard) = mpsc::channel(HEARD);
        let engine = Engine::spawn(pair, ear, |heard| heard)?;
        let (show, state) = watch::channel(Pairing::Asking { trouble: None });
        let (paste, pasted) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let task = tokio::spawn(async move {
            let end = attend(&engine, heard, pasted, &show, keep, stop).await;
            // The child first: who sees the end may start another at once.
            engine.stop().await;
            show.send_replace(end);
        });
        Ok(Self {
            state,
            paste,
            cancel,
            task,
        })
    }

    /// Where it stands now and from now on. The last state is the end.
    pub fn watch(&self) -> watch::Receiver<Pairing> {
        self.state.clone()
    }

    pub fn is_over(&self) -> bool {
        self.state.borrow().is_over()
    }

    /// The address that a browser was led to. False while the one before was not read.
    pub fn paste(&self, address: String) -> bool {
        self.paste
            .try_send(Secret::new(address.into_bytes()))
            .is_ok()
    }

    /// Asks it to end; the state says when it has.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Cancels and waits for the end, which comes within seconds.
    pub async fn close(mut self) {
        self.cancel.cancel();
        // A panic there was told; here it only means that the child is gone.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        // An engine that is dropped is killed.
        self.task.abort();
    }
}

/// Why an account that Spotify let in was not kept, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub why: String,
    pub cure: String,
}

async fn attend<K, F>(
    engine: &Engine,
    mut heard: mpsc::Receiver<Heard>,
    mut pasted: mpsc::Receiver<Secret>,
    show: &watch::Sender<Pairing>,
    keep: K,
    stop: CancellationToken,
) -> Pairing
where
    K: FnOnce(Login, Option<String>) -> F,
    F: Future<Output = Result<(), Refused>>,
{
    loop {
        let heard = tokio::select! {
            () = stop.cancelled() => return Pairing::Cancelled,
            Some(address) = pasted.recv() => {
                engine.send(Command::Pasted { address });
                continue;
            }
            heard = heard.recv() => heard,
        };
        match said(heard) {
            Said::Nothing => {}
            Said::Now(state) => drop(show.send_replace(state)),
            Said::End(end) => return end,
            // Not cancelled any more from here on: half an account is worse than one too many.
            Said::Account(login, country) => {
                let name = login.user.clone();
                return match keep(login, country).await {
                    Ok(()) => Pairing::Ready { name },
                    Err(Refused { why, cure }) => Pairing::Failed { why, cure },
                };
            }
        }
    }
}

#[derive(Debug, PartialEq)]
enum Said {
    Nothing,
    Now(Pairing),
    End(Pairing),
    Account(Login, Option<String>),
}

/// What the child's words mean for the flow.
fn said(heard: Option<Heard>) -> Said {
    let again = "ask for a code again; please report it if this happens twice";
    match heard {
        Some(Heard::Event(event)) => match event {
            Event::Pairing(state) if state.is_over() => Said::End(state),
            Event::Pairing(state) => Said::Now(state),
            Event::Ready { login, country } => Said::Account(login, country),
            Event::Refused { refusal } => {
                Said::End(Pairing::failed(refusal.to_string(), refusal.cure()))
            }
            Event::Lost { why } => Said::End(Pairing::failed(why, again)),
            _ => Said::Nothing,
        },
        Some(Heard::Ended { how }) => Said::End(Pairing::failed(
            format!("the part of siskin that signs in ended by itself ({how})"),
            again,
        )),
        None => Said::End(Pairing::Cancelled),
    }
}

/// The flows of the house: one a speaker.
#[derive(Debug, Default)]
pub struct Pairings(BTreeMap<Place, Flow>);

impl Pairings {
    /// Starts a flow whose account is handed to the speaker as if a phone had brought it.
    ///
    /// # Errors
    /// While another one for this speaker is under way, or when no child can be started.
    pub fn start(
        &mut self,
        place: &Place,
        pair: Pair,
        knocks: mpsc::Sender<Knock>,
    ) -> Result<watch::Receiver<Pairing>, PairError> {
        if self.0.get(place).is_some_and(|flow| !flow.is_over()) {
            return Err(PairError::UnderWay);
        }
        let flow = Flow::start(pair, move |login, _| knock(knocks, login))?;
        let state = flow.watch();
        self.0.insert(place.clone(), flow);
        Ok(state)
    }

    /// The flow of this speaker; an ended one until the next is started.
    pub fn get(&self, place: &str) -> Option<&Flow> {
        self.0.get(place)
    }

    /// A speaker is gone, and its flow with it.
    pub fn remove(&mut self, place: &str) {
        self.0.remove(place);
    }

    /// Ends them all, each in order.
    pub async fn close(&mut self) {
        let flows = std::mem::take(&mut self.0);
        for flow in flows.values() {
            flow.cancel();
        }
        for flow in flows.into_values() {
            flow.close().await;
        }
    }
}

/// Hands the account over and waits for the speaker's word.
async fn knock(knocks: mpsc::Sender<Knock>, login: Login) -> Result<(), Refused> {
    let (answer, answered) = oneshot::channel();
    let asked = async {
        knocks.send(Knock::AddUser { login, answer }).await.ok()?;
        answered.await.ok()
    };
    match timeout(KNOCK_LIMIT, asked).await {
        Ok(Some(true)) => Ok(()),
        _ => Err(Refused {
            why: "the speaker did not take the account".to_owned(),
            cure: "siskin status says why; then ask for a code again".to_owned(),
        }),
    }
}

/// The one that `given` names by id or name; without a name, the only one.
///
/// # Errors
/// When that is none, or could be several.
pub fn which<'a>(
    speakers: &'a [config::Speaker],
    given: Option<&str>,
) -> Result<&'a config::Speaker, PairError> {
    let known = || {
        let names: Vec<_> = speakers.iter().map(|one| format!("{:?}", one.id)).collect();
        names.join(", ")
    };
    match (given, speakers) {
        (None, [only]) => Ok(only),
        (None, _) => Err(PairError::WhichSpeaker { known: known() }),
        (Some(given), _) => speakers
            .iter()
            .find(|one| one.id == given)
            .or_else(|| speakers.iter().find(|one| one.name == given))
            .ok_or_else(|| PairError::NoSuchSpeaker {
                given: given.to_owned(),
                known: known(),
            }),
    }
}

/// Starts a flow without a daemon. The state directory is locked until the flow has ended; the
/// account is kept there, and the next start signs it in.
///
/// # Errors
/// [`StoreError::InUse`] while a daemon runs; or when there is no such speaker, or no child.
pub fn pair_here(config: &Config, speaker: Option<&str>, way: Way) -> Result<Flow, PairError> {
    let speaker = which(&config.speakers, speaker)?;
    let store = Store::open(&dir(config))?;
    let (device, _) = store.device(&speaker.id);
    let pair = order(device, &speaker.name, config, way);
    let id = speaker.id.clone();
    let flow = Flow::start(pair, move |login, country| async move {
        let kept = tokio::task::spawn_blocking(move || store.signed_in(&id, &login, country));
        match kept.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(not_kept(&error)),
            Err(error) => Err(not_kept(&error.into())),
        }
    })?;
    Ok(flow)
}

fn dir(config: &Config) -> PathBuf {
    config.state_dir.clone().unwrap_or_else(state_dir)
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
    use crate::model::Refusal;

    fn speaker(id: &str, name: &str) -> config::Speaker {
        config::Speaker {
            id: id.into(),
            name: name.into(),
            device_type: crate::model::DeviceType::Speaker,
            port: 0,
            audio: config::Audio::default(),
            output: config::Output::default(),
            volume: config::VolumeSettings::default(),
        }
    }

    #[test]
    fn a_speaker_is_meant_by_id_by_name_or_because_there_is_no_other() {
        let both = [speaker("1", "Kitchen"), speaker("bath", "Bath")];
        let id = |given| which(&both, given).map(|one| one.id.as_str());
        assert_eq!(id(Some("bath")).ok(), Some("bath"));
        assert_eq!(id(Some("Kitchen")).ok(), Some("1"));
        assert_eq!(which(&both[..1], None).map(|one| &*one.id).ok(), Some("1"));
        assert!(matches!(id(None), Err(PairError::WhichSpeaker { .. })));
        let error = id(Some("attic")).expect_err("none");
        assert!(error.to_string().contains("\"bath\""), "{error}");
    }

    #[test]
    fn a_refusal_and_a_lost_child_end_the_flow_with_a_cure() {
        let refusal = Refusal::NotPremium {
            product: "free".into(),
        };
        let refused = said(Some(Heard::Event(Event::Refused { refusal })));
        let Said::End(Pairing::Failed { why, cure }) = refused else {
            panic!("{refused:?}");
        };
        assert!(why.contains("Premium") && cure.contains("Premium"));
        let ended = said(Some(Heard::Ended { how: "9".into() }));
        assert!(matches!(ended, Said::End(Pairing::Failed { .. })));
        let now = Pairing::SigningIn { trouble: None };
        let told = said(Some(Heard::Event(Event::Pairing(now.clone()))));
        assert_eq!(told, Said::Now(now));
    }

    #[tokio::test]
    async fn an_account_that_the_speaker_refuses_is_told_so() {
        let (knocks, mut knocked) = mpsc::channel(1);
        let login = Login {
            user: "kim".into(),
            kind: 1,
            secret: Secret::new(vec![1]),
        };
        for (verdict, taken) in [(Some(true), true), (Some(false), false), (None, false)] {
            let speaker = async {
                if let Some(Knock::AddUser { answer, .. }) = knocked.recv().await
                    && let Some(verdict) = verdict
                {
                    let _ = answer.send(verdict);
                }
            };
            let handed_over = knock(knocks.clone(), login.clone());
            let (handed_over, ()) = tokio::join!(handed_over, speaker);
            assert_eq!(handed_over.is_ok(), taken, "{verdict:?}");
        }
    }
}
