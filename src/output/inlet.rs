//! The player's end of the output: a ring of samples behind which volume, pause and fades lie.

use std::sync::Arc;

use super::feed::Feed;

/// Where the player puts samples: interleaved stereo, 44 100 frames a second.
#[derive(Debug, Clone)]
pub struct Inlet {
    #[expect(dead_code)]
    pub(super) feed: Arc<Feed>,
}
