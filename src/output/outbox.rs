//! Reports on their way to the engine, from threads that must not wait for it.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::report::Report;
use crate::model::Condition;

/// Reports kept while the engine is slow. Beyond it the oldest are superseded anyway.
const KEPT: usize = 32;

#[derive(Debug)]
pub(super) struct Outbox {
    to: mpsc::Sender<Report>,
    waiting: VecDeque<Report>,
    lost: Option<Condition>,
    xruns: u64,
}

impl Outbox {
    pub(super) fn new(to: mpsc::Sender<Report>) -> Self {
        Self {
            to,
            waiting: VecDeque::new(),
            lost: None,
            xruns: 0,
        }
    }

    pub(super) fn send(&mut self, report: Report) {
        if self.waiting.len() == KEPT {
            self.waiting.pop_front();
        }
        self.waiting.push_back(report);
        self.flush();
    }

    /// Sends what could not be sent before. Called again and again by the owner's loop.
    pub(super) fn flush(&mut self) {
        while let Some(report) = self.waiting.pop_front() {
            match self.to.try_send(report) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(report)) => {
                    self.waiting.push_front(report);
                    return;
                }
                Err(mpsc::error::TrySendError::Closed(_)) => self.waiting.clear(),
            }
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.is_some()
    }

    /// Reports a loss once, and again when it says something else.
    pub(super) fn lost(&mut self, condition: Condition) {
        if self.lost.as_ref() != Some(&condition) {
            self.lost = Some(condition.clone());
            self.send(Report::Lost(condition));
        } else {
            self.flush();
        }
    }

    /// Reports that the loss is over, if there was one: told from here, or noticed by a writer.
    pub(super) fn back(&mut self, noticed: bool) {
        if self.lost.take().is_some() || noticed {
            self.send(Report::Back);
        }
    }

    /// Counts on by `more`, and tells the sum when it has changed.
    pub(super) fn xruns(&mut self, more: u64) {
        self.xruns += more;
        if more > 0 {
            self.send(Report::Xrun { count: self.xruns });
        } else {
            self.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::report::lost;

    #[test]
    fn a_loss_is_told_once_and_its_end_once() {
        let (to, mut from) = mpsc::channel(8);
        let mut outbox = Outbox::new(to);
        let gone = lost("gone", "why", "cure");
        outbox.back(false);
        outbox.lost(gone.clone());
        outbox.lost(gone.clone());
        outbox.back(false);
        outbox.back(false);
        assert_eq!(from.try_recv(), Ok(Report::Lost(gone)));
        assert_eq!(from.try_recv(), Ok(Report::Back));
        assert!(from.try_recv().is_err());
    }

    #[test]
    fn a_slow_engine_gets_its_reports_later_and_in_order() {
        let (to, mut from) = mpsc::channel(1);
        let mut outbox = Outbox::new(to);
        outbox.xruns(1);
        outbox.xruns(2);
        assert_eq!(from.try_recv(), Ok(Report::Xrun { count: 1 }));
        outbox.xruns(0);
        assert_eq!(from.try_recv(), Ok(Report::Xrun { count: 3 }));
    }
}
