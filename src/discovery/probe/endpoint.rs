//! Asks the endpoint what a phone asks first.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::model::DeviceId;

/// For the connection and the answer together. A phone waits longer; a living endpoint takes 1 ms.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest honest answer is a tenth of this.
const MAX_ANSWER: u64 = 16 * 1024;

/// Asks who is at `at`; fine when that is `device` (anybody, when `None`) and says OK (101).
///
/// # Errors
/// What was wrong with the answer, in words.
pub async fn get_info(at: SocketAddr, device: Option<&DeviceId>) -> Result<(), String> {
    let answer = timeout(PATIENCE, ask(at)).await;
    let answer = answer
        .map_err(|_| format!("{at} does not answer"))?
        .map_err(|error| format!("{at}: {error}"))?;
    judge(&answer, device).map_err(|why| format!("{at}: {why}"))
}

async fn ask(at: SocketAddr) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(at).await?;
    let question = format!(
        "GET /?action=getInfo HTTP/1.1\r\nHost: {at}\r\nUser-Agent: siskin\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(question.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Whether the answer is that of `device` (of anybody, when `None`), who is fine.
pub(crate) fn judge(answer: &[u8], device: Option<&DeviceId>) -> Result<(), String> {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Err("what answers does not speak HTTP".into());
    };
    let status = head.split(' ').nth(1).unwrap_or_default();
    let body: serde_json::Value =
        serde_json::from_str(body).map_err(|_| format!("it answers {status} and no JSON"))?;
    if body["status"] != 101 {
        return Err(format!(
            "it answers {status} with status {}",
            body["status"]
        ));
    }
    match device {
        Some(device) if body["deviceID"] != device.as_str() => {
            Err("somebody else answers there".into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_device_that_says_it_is_fine_will_do() {
        let device = DeviceId::from_bytes([7; 20]);
        let said = |status: u32, id: &str| {
            format!("HTTP/1.1 200 OK\r\n\r\n{{\"status\":{status},\"deviceID\":\"{id}\"}}")
        };
        let ours = |text: &str| judge(text.as_bytes(), Some(&device));
        assert_eq!(ours(&said(101, device.as_str())), Ok(()));
        assert!(ours(&said(101, "somebody")).is_err());
        assert!(ours(&said(303, device.as_str())).is_err());
        assert!(ours("HTTP/1.1 200 OK\r\n\r\n<html>").is_err());
        assert!(ours("").is_err());
        assert_eq!(judge(said(101, "somebody").as_bytes(), None), Ok(()));
    }
}
