//! The one sink that librespot sees.
//!
//! `start` and `stop` always say Ok: librespot ends the process when they do not. Trouble comes
//! out of `write`, upon which the player pauses and tells the phone.

use std::sync::Arc;

use librespot_playback::{
    audio_backend::{Sink, SinkError, SinkResult},
    convert::Converter,
    decoder::AudioPacket,
};

use tokio::sync::mpsc;

use super::{
    feed::{Feed, Refusal},
    report::{Report, lost},
};

pub(super) struct OwnSink {
    pub(super) feed: Arc<Feed>,
    pub(super) reports: mpsc::Sender<Report>,
}

impl Sink for OwnSink {
    fn start(&mut self) -> SinkResult<()> {
        self.feed.start();
        Ok(())
    }

    fn stop(&mut self) -> SinkResult<()> {
        self.feed.stop();
        Ok(())
    }

    fn write(&mut self, packet: AudioPacket, _: &mut Converter) -> SinkResult<()> {
        let samples = packet
            .samples()
            .map_err(|error| SinkError::OnWrite(error.to_string()))?;
        self.feed.write(samples).map_err(|refusal| match refusal {
            Refusal::Lost(why) => SinkError::NotConnected(why),
            Refusal::Hangs => {
                let condition = lost(
                    "the output does not answer",
                    "opening it or writing to it has hung for three seconds",
                    "check the card and the sound server; music goes on when it answers",
                );
                let what = condition.what.clone();
                // With a full queue the engine is busy with earlier reports of the same trouble.
                let _ = self.reports.try_send(Report::Lost(condition));
                SinkError::OnWrite(what)
            }
        })
    }
}

impl Drop for OwnSink {
    /// The player is gone; a device must not stay open for it.
    fn drop(&mut self) {
        self.feed.stop();
    }
}
