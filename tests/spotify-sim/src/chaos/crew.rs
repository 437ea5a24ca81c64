//! Many things at the same time: what is measured here is mostly waiting.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    thread,
};

/// Does every job, `hands` at a time, in this order. Returns when all are done.
pub fn work<J: Send>(jobs: Vec<J>, hands: usize, act: impl Fn(J) + Sync) {
    let jobs = Mutex::new(VecDeque::from(jobs));
    let next = || {
        let mut jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.pop_front()
    };
    thread::scope(|scope| {
        for _ in 0..hands.max(1) {
            scope.spawn(|| {
                while let Some(job) = next() {
                    act(job);
                }
            });
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_however_many_hands_there_are() {
        for hands in [0, 1, 3, 50] {
            let done = Mutex::new(Vec::new());
            work((0..20).collect(), hands, |job: u32| {
                done.lock().expect("the list").push(job);
            });
            let mut done = done.into_inner().expect("the list");
            done.sort_unstable();
            assert_eq!(done, (0..20).collect::<Vec<_>>());
        }
    }
}
