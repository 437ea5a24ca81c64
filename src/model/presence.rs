//! Whether a phone could pick a speaker now, layer by layer.

use serde::{Deserialize, Serialize};

/// The way from a phone to the music, each part as it was last seen from the outside.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Presence {
    /// The announcement answers a question on every interface that is used.
    pub announced: Layer,
    /// The endpoint answers at every address.
    pub endpoint: Layer,
    /// The process that plays answers.
    pub engine: Layer,
    /// The link to Spotify's access point answers.
    pub session: Layer,
    /// The link that Spotify sends orders over.
    pub dealer: Layer,
    /// The Spotify app of the account lists the speaker.
    pub listed: Layer,
}

/// One part of the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Layer {
    pub state: LayerState,
    /// Unix time in ms since when it is so; 0 for what was never looked at.
    pub since_ms: i64,
    /// Why it is not fine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LayerState {
    Ok,
    Failed,
    /// Nothing is expected of it now, or nobody has looked yet.
    #[default]
    Unknown,
}

impl Layer {
    /// Writes down what was seen. The age stays while the state does.
    pub fn is(&mut self, state: LayerState, why: Option<&str>, now_ms: i64) {
        if self.state != state {
            self.state = state;
            self.since_ms = now_ms;
        }
        self.why = why.map(str::to_owned);
    }
}

impl Presence {
    /// Every part with its name, from the phone on.
    pub fn layers(&self) -> [(&'static str, &Layer); 6] {
        [
            ("announcement", &self.announced),
            ("endpoint", &self.endpoint),
            ("engine", &self.engine),
            ("session", &self.session),
            ("dealer", &self.dealer),
            ("listing", &self.listed),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_as_old_as_its_state() {
        let mut layer = Layer::default();
        layer.is(LayerState::Failed, Some("silent"), 5);
        layer.is(LayerState::Failed, Some("wrong port"), 9);
        assert_eq!(
            (layer.since_ms, layer.why.as_deref()),
            (5, Some("wrong port"))
        );
        layer.is(LayerState::Ok, None, 11);
        assert_eq!((layer.since_ms, layer.why), (11, None));
    }
}
