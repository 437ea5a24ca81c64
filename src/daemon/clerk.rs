//! Carries out what surfaces ask for, beside the daemon's loop: no order holds up another.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{house::House, pairing};
use crate::{
    accounts::Store,
    bus::{Answer, Asked, Order, Reason, Unable},
};

/// Orders under way at once. Each has its limit; the next one is told to come back.
const AT_WORK: usize = 32;

/// Dropped, it leaves what is under way; whoever waits is told.
pub struct Clerk {
    store: Option<Arc<Store>>,
    at_work: JoinSet<()>,
}

impl Clerk {
    pub fn new(store: Option<Arc<Store>>) -> Self {
        Self {
            store,
            at_work: JoinSet::new(),
        }
    }

    /// Begins with an order.
    pub fn take(&mut self, Asked { order, answer }: Asked, house: &mut House) {
        if self.at_work.len() >= AT_WORK {
            let help = "ask again in a moment";
            let busy = Unable::new(Reason::Unavailable, "too much is asked at once", help);
            // Who has left needs no answer.
            return drop(answer.send(Err(busy)));
        }
        match pairing::begin(order, house) {
            Ok(done) => self.at_work.spawn(async move {
                let _ = answer.send(done.await);
            }),
            Err(order) => {
                let done = self.begin(order, house);
                self.at_work.spawn(async move {
                    let _ = answer.send(done.await);
                })
            }
        };
    }

    /// Waits until an order is done; for ever when none is under way. Cancel safe.
    pub async fn work(&mut self) {
        if self.at_work.join_next().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    fn begin(
        &self,
        order: Order,
        _house: &House,
    ) -> impl Future<Output = Result<Answer, Unable>> + Send + 'static {
        let store = self.store.clone();
        async move {
            let _ = store;
            let _ = order;
            Err(Unable::new(Reason::Unavailable, "not yet", "later"))
        }
    }
}
