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

use super::feed::Feed;

pub(super) struct OwnSink {
    pub(super) feed: Arc<Feed>,
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
        self.feed.write(samples).map_err(SinkError::NotConnected)
    }
}

impl Drop for OwnSink {
    /// The player is gone; a device must not stay open for it.
    fn drop(&mut self) {
        self.feed.stop();
    }
}
