//! Signing in without a phone on the local network: who owns the flow, and what becomes of the
//! account it yields.
//!
//! The conversation with Spotify is held by a child process (`librespot/pair`); a [`Flow`] is one
//! such child from its start to its end. [`Pairings`] holds them to one a speaker. [`pair_here`] is
//! a flow without a daemon, on the state directory itself.

use std::{collections::BTreeMap, future::ready, io, path::Path, pin::Pin, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use super::{board::Place, house::House};
use crate::{
    accounts::{AccountKey, SignedIn, Store, StoreError},
    bus::{Answer, Order, Reason, Unable},
    config::{Config, Speaker},
    engine::{
        Engine, Heard,
        messages::{Command, Event, PROTOCOL, Pair},
    },
    model::{CameBy, DeviceId, Login, Pairing, Secret, Way, unix_ms},
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

    pub fn now(&self) -> Pairing {
        self.state.borrow().clone()
    }

    pub fn is_over(&self) -> bool {
        self.state.borrow().is_over()
    }

    /// The address that a browser was led to. False while the one before was not read.
    pub fn paste(&self, address: Secret) -> bool {
        self.paste.try_send(address).is_ok()
    }

    /// Asks it to end; the state says when it has.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Waits for its end, which comes within seconds of [`Flow::cancel`].
    pub async fn ended(&mut self) {
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
pub struct Pairings {
    flows: BTreeMap<Place, Held>,
    /// Hears of every state of every flow.
    tell: mpsc::Sender<(Place, Pairing)>,
}

struct Held {
    flow: Flow,
    /// Nobody asked for it: it was offered because the stored login was refused.
    offered: bool,
    teller: JoinHandle<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.teller.abort();
    }
}

impl Pairings {
    pub fn new(tell: mpsc::Sender<(Place, Pairing)>) -> Self {
        Self {
            flows: BTreeMap::new(),
            tell,
        }
    }

    /// Starts a flow whose account is handed to the speaker as if a phone had brought it.
    ///
    /// # Errors
    /// While another one for this speaker is under way, or when no child can be started.
    pub fn start(
        &mut self,
        place: &Place,
        pair: Pair,
        knocks: mpsc::Sender<Knock>,
        offered: bool,
    ) -> Result<Pairing, PairError> {
        if let Some(held) = self.flows.get_mut(place)
            && !held.flow.is_over()
        {
            // Whoever asks now has taken the offer up.
            return match std::mem::replace(&mut held.offered, offered) {
                true if !offered => Ok(held.flow.now()),
                _ => Err(PairError::UnderWay),
            };
        }
        let way = pair.way;
        let flow = Flow::start(pair, move |login, _| knock(knocks, login, way))?;
        let teller = tokio::spawn(pass_on(flow.watch(), place.clone(), self.tell.clone()));
        let now = flow.now();
        let held = Held {
            flow,
            offered,
            teller,
        };
        self.flows.insert(place.clone(), held);
        Ok(now)
    }

    /// The flow of this speaker while it is under way.
    pub fn get(&self, place: &str) -> Option<&Flow> {
        let flow = &self.flows.get(place)?.flow;
        (!flow.is_over()).then_some(flow)
    }

    /// Where the flow of this speaker stands, or how the last one ended.
    pub fn last(&self, place: &str) -> Option<Pairing> {
        self.flows.get(place).map(|held| held.flow.now())
    }

    /// Nobody needs the code any more that nobody asked for.
    pub fn withdraw(&self, place: &str) {
        if let Some(held) = self.flows.get(place).filter(|held| held.offered) {
            held.flow.cancel();
        }
    }

    /// A speaker is gone, and its flow with it.
    pub fn remove(&mut self, place: &str) {
        self.flows.remove(place);
    }

    /// Asks them all to end.
    pub fn cancel(&self) {
        for held in self.flows.values() {
            held.flow.cancel();
        }
    }

    /// Waits until all have ended that were asked to.
    pub async fn ended(&mut self) {
        for held in self.flows.values_mut() {
            held.flow.ended().await;
        }
    }
}

/// Tells every state until the last.
async fn pass_on(
    mut state: watch::Receiver<Pairing>,
    place: Place,
    tell: mpsc::Sender<(Place, Pairing)>,
) {
    loop {
        let now = state.borrow_and_update().clone();
        let over = now.is_over();
        if tell.send((place.clone(), now)).await.is_err() || over {
            return;
        }
        if state.changed().await.is_err() {
            return;
        }
    }
}

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
    let flow = Flow::start(pair, move |login, country| async move {
        let kept = tokio::task::spawn_blocking(move || {
            let user = login.user.clone();
            let came_by = Some(came_by(way));
            store.signed_in(SignedIn {
                login,
                country,
                came_by,
                at_ms: unix_ms(),
            })?;
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
    use crate::model::Refusal;

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
