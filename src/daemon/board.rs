//! The board of conditions: what is wrong now, in the house and at each speaker.

use std::{collections::BTreeMap, sync::Arc};

use tracing::{info, warn};

use crate::model::{Condition, ConditionCode, Conditions, PlayState, Severity};

/// Names a place that conditions belong to: a speaker's id, or [`HOUSE`].
pub type Place = Arc<str>;

/// The daemon itself: network, configuration, certificates.
pub const HOUSE: &str = "";

/// What a speaker does, as far as one line can tell.
#[derive(Debug, Clone, Default)]
pub struct Doing {
    pub name: String,
    pub signed_in: bool,
    pub state: Option<PlayState>,
}

#[derive(Debug, Default)]
pub struct Board {
    places: BTreeMap<Place, Conditions>,
    pub speakers: BTreeMap<Place, Doing>,
}

impl Board {
    /// Hangs a condition up, and says so once.
    pub fn raise(&mut self, place: &Place, condition: Condition, now_ms: i64) {
        let text = format!("{} ({}): {}", condition.what, condition.why, condition.cure);
        let (code, severity) = (condition.code.key(), condition.code.severity());
        if self
            .places
            .entry(place.clone())
            .or_default()
            .raise(condition, now_ms)
        {
            match severity {
                Severity::Trouble => warn!(condition = code, "{text}"),
                Severity::Notice => info!(condition = code, "{text}"),
            }
        }
    }

    pub fn clear(&mut self, place: &Place, code: ConditionCode) {
        if self
            .places
            .get_mut(place)
            .is_some_and(|conditions| conditions.clear(code))
        {
            info!(
                condition = code.key(),
                "over: {}",
                code.key().replace('_', " ")
            );
        }
    }

    /// A speaker is gone, and its troubles with it.
    pub fn remove(&mut self, place: &str) {
        self.places.remove(place);
        self.speakers.remove(place);
    }

    /// One line for whoever asks the service manager: the first trouble, else what is going on.
    /// Notices are for the log: a guest who was refused an hour ago is no state of the speaker.
    pub fn status(&self) -> String {
        let troubles = self.places.values().flat_map(Conditions::iter);
        let mut troubles = troubles.filter(|found| found.code.severity() == Severity::Trouble);
        if let Some(Condition {
            what, why, cure, ..
        }) = troubles.next()
        {
            return format!("{what} ({why}); {cure}");
        }
        let doing: Vec<_> = self.speakers.values().map(Doing::line).collect();
        doing.join("; ")
    }
}

impl Doing {
    fn line(&self) -> String {
        let what = match (self.signed_in, self.state) {
            (false, _) => "waiting to be picked in the Spotify app",
            (true, Some(PlayState::Playing | PlayState::Loading)) => "playing",
            (true, Some(PlayState::Paused)) => "paused",
            (true, _) => "ready",
        };
        format!("{}: {what}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_line_tells_trouble_before_anything_else_and_leaves_notices_out() {
        let mut board = Board::default();
        let kitchen: Place = "kitchen".into();
        board.speakers.insert(
            kitchen.clone(),
            Doing {
                name: "Kitchen".into(),
                ..Doing::default()
            },
        );
        assert_eq!(
            board.status(),
            "Kitchen: waiting to be picked in the Spotify app"
        );
        let lost = Condition::new(
            ConditionCode::OutputLost,
            "no sound card",
            "unplugged",
            "plug it in",
        );
        board.raise(&kitchen, lost, 0);
        assert_eq!(board.status(), "no sound card (unplugged); plug it in");
        board.clear(&kitchen, ConditionCode::OutputLost);
        let guest = Condition::new(ConditionCode::GuestRefused, "not let in", "Free", "Premium");
        board.raise(&kitchen, guest, 0);
        assert!(board.status().starts_with("Kitchen"));
    }
}
