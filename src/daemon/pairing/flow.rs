//! One sign-in: a child process from its start to its end, and what becomes of the account.

use std::io;

use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::LogLevel,
    engine::{
        Engine, Heard,
        messages::{Command, Event, Pair},
    },
    model::{Login, Pairing, Secret},
};

/// More than a child says at once.
const HEARD: usize = 16;

/// One sign-in, from its start to its end. Dropping it ends the child.
#[derive(Debug)]
pub struct Flow {
    state: watch::Receiver<Pairing>,
    paste: mpsc::Sender<Secret>,
    log: watch::Sender<LogLevel>,
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
        K: FnOnce(Granted) -> F + Send + 'static,
        F: Future<Output = Result<(), Refused>> + Send + 'static,
    {
        let (log, level) = watch::channel(pair.log);
        let (ear, heard) = mpsc::channel(HEARD);
        let engine = Engine::spawn(pair, ear, |heard| heard)?;
        let (show, state) = watch::channel(Pairing::Asking { trouble: None });
        let (paste, pasted) = mpsc::channel(1);
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let task = tokio::spawn(async move {
            let end = attend(&engine, heard, (pasted, level), &show, keep, stop).await;
            // The child first: who sees the end may start another at once.
            engine.stop().await;
            show.send_replace(end);
        });
        Ok(Self {
            state,
            paste,
            log,
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

    /// How much the child logs from now on.
    pub fn log_at(&self, level: LogLevel) {
        self.log.send_replace(level);
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

/// An account that Spotify has let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The lasting credential.
    pub login: Login,
    pub country: Option<String>,
    /// What Spotify shows, where it told that in time.
    pub name: Option<String>,
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
    (mut pasted, mut level): (mpsc::Receiver<Secret>, watch::Receiver<LogLevel>),
    show: &watch::Sender<Pairing>,
    keep: K,
    stop: CancellationToken,
) -> Pairing
where
    K: FnOnce(Granted) -> F,
    F: Future<Output = Result<(), Refused>>,
{
    let mut name = None;
    loop {
        let heard = tokio::select! {
            () = stop.cancelled() => return Pairing::Cancelled,
            Some(address) = pasted.recv() => {
                engine.send(Command::Pasted { address });
                continue;
            }
            Ok(()) = level.changed() => {
                let level = *level.borrow_and_update();
                engine.send(Command::Log { level });
                continue;
            }
            heard = heard.recv() => heard,
        };
        match said(heard) {
            Said::Nothing => {}
            Said::Now(state) => drop(show.send_replace(state)),
            Said::Called(called) => name = Some(called),
            Said::End(end) => return end,
            // Not cancelled any more from here on: half an account is worse than one too many.
            Said::Account(login, country) => {
                let called = name.clone().unwrap_or_else(|| login.user.clone());
                let granted = Granted {
                    login,
                    country,
                    name,
                };
                return match keep(granted).await {
                    Ok(()) => Pairing::Ready { name: called },
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
    Called(String),
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
            Event::Named { name } => Said::Called(name),
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
}
