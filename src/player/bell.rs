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
    // What is to be skipped to has to be there when its turn comes.
    let follows = matches!(order, Order::Next { .. } | Order::DropNext);
    let named = orders.iter().find_map(|old| match old {
        Order::Skip { id, .. } if follows => Some(*id),
        _ => None,
    });
    let kept = |old: &Order| matches!(old, Order::Next { id, .. } if named == Some(*id));
    let (replaced, mut kept): (VecDeque<_>, VecDeque<_>) = orders
        .drain(..)
        .partition(|old| pointless(old) && !kept(old));
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
    fn what_is_to_be_skipped_to_is_kept_though_something_else_follows() {
        use crate::player::tests::{next, skip};
        let ids = |bell: &Bell| -> Vec<String> {
            let orders = std::iter::from_fn(|| bell.next());
            orders
                .map(|order| match order {
                    Order::Next { id, .. } => format!("next {id}"),
                    Order::Skip { id, .. } => format!("skip {id}"),
                    Order::DropNext => "drop".to_owned(),
                    _ => "stop".to_owned(),
                })
                .collect()
        };
        let bell = Bell::default();
        for order in [next(1), next(2), skip(2), next(3), next(4)] {
            bell.post(order);
        }
        assert_eq!(ids(&bell), ["next 2", "skip 2", "next 4"]);
        for order in [next(2), skip(2), Order::DropNext, next(3), skip(3)] {
            bell.post(order);
        }
        assert_eq!(ids(&bell), ["next 2", "next 3", "skip 3"]);
        for order in [next(2), skip(2), next(3), Order::Stop] {
            bell.post(order);
        }
        assert_eq!(ids(&bell), ["stop"]);
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
