//! Packets under the Shannon cipher: one key and one counter per direction.

use std::io;

use shannon::Shannon;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::Packet;

const HEADER: usize = 3;
const MAC: usize = 4;

/// One direction of a link.
pub(super) struct Half {
    cipher: Shannon,
    counter: u32,
}

impl Half {
    pub fn new(key: &[u8]) -> Self {
        Self {
            cipher: Shannon::new(key),
            counter: 0,
        }
    }

    fn next_nonce(&mut self) {
        self.cipher.nonce_u32(self.counter);
        self.counter = self.counter.wrapping_add(1);
    }

    /// Not safe to cancel: a packet half read is lost.
    pub async fn read(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Packet> {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header).await?;
        self.next_nonce();
        self.cipher.decrypt(&mut header);
        let length = u16::from_be_bytes([header[1], header[2]]);
        let mut payload = vec![0; usize::from(length)];
        stream.read_exact(&mut payload).await?;
        let mut mac = [0; MAC];
        stream.read_exact(&mut mac).await?;
        self.cipher.decrypt(&mut payload);
        self.cipher.check_mac(&mac)?;
        Ok((header[0], payload))
    }

    pub async fn write(
        &mut self,
        stream: &mut (impl AsyncWrite + Unpin),
        (command, payload): &Packet,
    ) -> io::Result<()> {
        let length = u16::try_from(payload.len()).map_err(io::Error::other)?;
        let mut packet = vec![*command];
        packet.extend(length.to_be_bytes());
        packet.extend(payload);
        self.next_nonce();
        self.cipher.encrypt(&mut packet);
        let mut mac = [0; MAC];
        self.cipher.finish(&mut mac);
        packet.extend(mac);
        stream.write_all(&packet).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_one_end_writes_the_other_end_reads() {
        let (mut writer, mut reader) = (Half::new(&[7; 32]), Half::new(&[7; 32]));
        let (mut near, mut far) = tokio::io::duplex(100_000);
        let packets = [(0x50, vec![1; 3]), (0x04, vec![]), (0x0c, vec![9; 60_000])];
        for packet in &packets {
            writer.write(&mut near, packet).await.unwrap();
        }
        for packet in packets {
            assert_eq!(reader.read(&mut far).await.unwrap(), packet);
        }
    }

    #[tokio::test]
    async fn a_wrong_key_is_noticed() {
        let (mut writer, mut reader) = (Half::new(&[7; 32]), Half::new(&[8; 32]));
        let (mut near, mut far) = tokio::io::duplex(1000);
        writer.write(&mut near, &(4, vec![0; 4])).await.unwrap();
        drop(near);
        assert!(reader.read(&mut far).await.is_err());
    }
}
