//! Orders on their way to the player's thread, and what else wakes it.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::order::Order;

/// Never holds more than a handful: an order replaces those that it makes pointless.
#[derive(Debug, Default)]
struct Mail {
    orders: VecDeque<Order>,
    rung: bool,
    closing: bool,
    /// The player waits.
    asleep: bool,
}

#[derive(Debug, Default)]
pub(super) struct Bell {
    mail: Mutex<Mail>,
    changed: Condvar,
}

impl Bell {
    pub(super) fn post(&self, order: Order) {
        let mut mail = self.lock();
        // What is replaced may hold files and connections: dropped outside.
        let replaced = fold(&mut mail.orders, order);
        mail.rung = true;
        drop(mail);
        self.changed.notify_all();
        drop(replaced);
    }

    /// Wakes the player.
    pub(super) fn ring(&self) {
        self.lock().rung = true;
        self.changed.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().closing = true;
        self.changed.notify_all();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().closing
    }

    pub(super) fn next(&self) -> Option<Order> {
        self.lock().orders.pop_front()
    }

    /// Waits until somebody rings, but no longer than `limit`.
    pub(super) fn wait(&self, limit: Option<Duration>) {
        let deadline = limit.map(|limit| Instant::now() + limit);
        let mut mail = self.lock();
        mail.asleep = true;
        while !std::mem::take(&mut mail.rung) && !mail.closing {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            mail = match left {
                Some(Duration::ZERO) => break,
                Some(left) => {
                    self.changed
                        .wait_timeout(mail, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self
                    .changed
                    .wait(mail)
                    .unwrap_or_else(PoisonError::into_inner),
            };
        }
        mail.asleep = false;
    }

    /// Whether everything has been done that there was to do.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        let mail = self.lock();
        mail.asleep && !mail.rung && mail.orders.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Mail> {
        self.mail.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Appends an order, and takes out what it makes pointless.
fn fold(orders: &mut VecDeque<Order>, order: Order) -> VecDeque<Order> {
    let pointless: fn(&Order) -> bool = match order {
        Order::Load { .. } | Order::Stop => |old| !matches!(old, Order::Settings(_)),
        // What it skips to may not have been looked at yet.
        Order::Skip { .. } => |old| !matches!(old, Order::Settings(_) | Order::Next { .. }),
        Order::Next { .. } | Order::DropNext => {
            |old| matches!(old, Order::Next { .. } | Order::DropNext)
        }
        Order::Seek { .. } => |old| matches!(old, Order::Seek { .. }),
        Order::Play | Order::Pause => |old| matches!(old, Order::Play | Order::Pause),
        Order::Settings(_) => |old| matches!(old, Order::Settings(_)),
    };
    let (replaced, mut kept): (VecDeque<_>, VecDeque<_>) = orders.drain(..).partition(pointless);
    kept.push_back(order);
    *orders = kept;
    replaced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_orders_leaves_the_last_of_each_kind_in_order() {
        let bell = Bell::default();
        for ms in 0..1000 {
            bell.post(Order::Seek { ms });
            bell.post(Order::Pause);
            bell.post(Order::Play);
        }
        assert!(matches!(bell.next(), Some(Order::Seek { ms: 999 })));
        assert!(matches!(bell.next(), Some(Order::Play)));
        assert!(bell.next().is_none());
        bell.post(Order::Play);
        bell.post(Order::Stop);
        assert!(matches!(bell.next(), Some(Order::Stop)));
        assert!(bell.next().is_none());
    }

    #[test]
    fn a_ring_before_the_wait_is_not_lost() {
        let bell = Bell::default();
        bell.ring();
        bell.wait(None);
        let started = Instant::now();
        bell.wait(Some(Duration::from_millis(5)));
        assert!(started.elapsed() >= Duration::from_millis(5));
    }
}
