//! What failed for a reason that may pass is tried again, later and later, while what there is
//! plays.

/// Pauses between tries (ms); the last one holds for all that follow.
const PAUSES_MS: [u64; 4] = [5_000, 15_000, 30_000, 60_000];

/// How often one thing has failed, and when it is tried again.
#[derive(Debug, Clone, Copy, Default)]
pub struct Retry {
    failures: usize,
    due: Option<u64>,
}

impl Retry {
    pub fn failed(&mut self, tick_ms: u64) {
        let last = PAUSES_MS.len() - 1;
        self.due = Some(tick_ms + PAUSES_MS[self.failures.min(last)]);
        self.failures += 1;
    }

    /// It is tried now.
    pub fn begun(self) -> Self {
        Self { due: None, ..self }
    }

    /// When it is tried again, if it failed.
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    pub fn waits(&self) -> bool {
        self.due.is_some()
    }

    pub fn is_due(&self, tick_ms: u64) -> bool {
        self.due.is_some_and(|due| due <= tick_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_minute() {
        let mut retry = Retry::default();
        assert!(!retry.waits() && !retry.is_due(1));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            retry.failed(100);
            pauses.push(retry.due().unwrap_or(0) - 100);
            retry = retry.begun();
            assert!(!retry.waits());
        }
        assert_eq!(pauses, [5_000, 15_000, 30_000, 60_000, 60_000, 60_000]);
    }
}
