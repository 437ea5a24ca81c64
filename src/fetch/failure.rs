//! Why a file was given up.

/// The end of an attempt, told apart by what it says about the line, the track and the account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The network or the audio servers: the same track may play in a minute.
    #[error("its audio did not come: {why}")]
    Line { why: String },
    /// No server has the file: other tracks play.
    #[error("Spotify has no audio of it: {why}")]
    Gone { why: String },
    /// The access point gave no key, twice. One track, or all tracks of this account.
    #[error("Spotify refused the key to it")]
    KeyRefused,
}

/// On whom a failure reflects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Wait, and try the same again.
    Line,
    /// Go on with the next track.
    Track,
    /// Go on with the next track; when it happens to several in a row, it is the account.
    Key,
}

impl Failure {
    pub(crate) fn line(why: impl Into<String>) -> Self {
        Self::Line { why: why.into() }
    }

    /// What should follow from it.
    pub fn blame(&self) -> Blame {
        match self {
            Self::Line { .. } => Blame::Line,
            Self::Gone { .. } => Blame::Track,
            Self::KeyRefused => Blame::Key,
        }
    }
}
