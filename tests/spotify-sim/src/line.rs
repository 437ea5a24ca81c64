//! The state of the line between the simulation and everybody: up, gone, or
//! up without a sound coming through.
//!
//! Every connection is served inside [`Line::carry`], so one switch cuts or
//! freezes all of them, whatever they speak.

use std::future::Future;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    /// Counts the cuts. A connection lives in the epoch it was made in.
    epoch: u64,
    /// Connections stay open, nothing is read or written.
    frozen: bool,
}

pub(crate) struct Line {
    state: watch::Sender<State>,
}

impl Line {
    pub fn new() -> Self {
        Self {
            state: watch::Sender::new(State {
                epoch: 0,
                frozen: false,
            }),
        }
    }

    /// Ends all connections there are.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.epoch += 1);
    }

    /// A half-open line: connections stay, but nothing moves until thawed.
    pub fn freeze(&self, frozen: bool) {
        self.state.send_modify(|state| state.frozen = frozen);
    }

    /// Runs a connection for as long as the line and `stop` let it.
    pub async fn carry(&self, stop: &CancellationToken, connection: impl Future<Output = ()>) {
        let mut changes = self.state.subscribe();
        let born = changes.borrow_and_update().epoch;
        let served = async {
            tokio::pin!(connection);
            loop {
                let state = *changes.borrow_and_update();
                if state.epoch != born {
                    return;
                }
                tokio::select! {
                    () = &mut connection, if !state.frozen => return,
                    changed = changes.changed() => if changed.is_err() { return },
                }
            }
        };
        let _ = stop.run_until_cancelled(served).await;
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc, time::Duration};

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn a_cut_ends_the_connections_of_before_and_not_those_of_after() {
        let line = Arc::new(Line::new());
        let stop = CancellationToken::new();
        let before = {
            let (line, stop) = (line.clone(), stop.clone());
            let (started, runs) = oneshot::channel();
            let task = tokio::spawn(async move {
                let connection = async {
                    let _ = started.send(());
                    pending().await
                };
                line.carry(&stop, connection).await;
            });
            runs.await.unwrap();
            task
        };
        line.cut();
        before.await.unwrap();
        let mut reached = false;
        line.carry(&stop, async { reached = true }).await;
        assert!(reached);
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_connection_moves_again_when_thawed() {
        let line = Arc::new(Line::new());
        line.freeze(true);
        let task = tokio::spawn({
            let line = line.clone();
            async move { line.carry(&CancellationToken::new(), async {}).await }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!task.is_finished());
        line.freeze(false);
        task.await.unwrap();
    }
}
