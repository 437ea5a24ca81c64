//! HTTPS: the certificate that is shown, from its files to the handshake.
//!
//! Owns how the files are read and what can be wrong with them; when that is done is the door's
//! business. One that is not asked for costs nothing.

use std::{
    fmt,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    Error, ServerConfig,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::spawn_blocking,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::validity::Validity;
use crate::{config, model::local_date};

/// From the connection to the end of its handshake. It holds a place all that time.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// A certificate with all its authorities has a tenth of it.
const FILE_BYTES: u64 = 256 * 1024;
/// A disk that does not answer keeps the door waiting no longer.
const READING: Duration = Duration::from_secs(5);
/// So long before its end people are told, or for the last third of its time where that is shorter:
/// some are renewed every week.
const SOON_MS: i64 = 14 * 24 * 60 * 60 * 1000;
/// What every encrypted conversation begins with.
const HANDSHAKE_RECORD: u8 = 0x16;
/// Of a plain request, so that its sender gets to the answer.
const READ_AWAY: u64 = 64 * 1024;

/// What a person reads who forgot the s.
const PLAIN: &str = r#"{"error":{"code":"not_encrypted","message":"siskin is asked over HTTPS here","help":"begin the address with https://"}}"#;

/// A certificate with its key, ready to be shown.
#[derive(Clone)]
pub struct Certificate {
    acceptor: TlsAcceptor,
    /// Where that can be read.
    validity: Option<Validity>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub file: PathBuf,
    pub why: String,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl Certificate {
    /// Reads the files, and holds them to each other.
    ///
    /// # Errors
    /// Which file is not what it should be, and why.
    pub async fn read(files: &config::Tls) -> Result<Self, Fault> {
        let asked = files.clone();
        let reading = spawn_blocking(move || made(&asked));
        match timeout(READING, reading).await {
            Ok(Ok(made)) => made,
            Ok(Err(panic)) => Err(Fault::of(&files.certificate, panic.to_string())),
            Err(_) => {
                let why = format!("it could not be read within {} s", READING.as_secs());
                Err(Fault::of(&files.certificate, why))
            }
        }
    }

    /// Why whoever connects at that time will not have it, if that is known. It is shown all the same:
    /// a person may look past it.
    pub fn is_out_of_time(&self, now_ms: i64) -> Option<String> {
        let Validity { from_ms, until_ms } = self.validity?;
        if now_ms > until_ms {
            return Some(format!("it was valid until {}", local_date(until_ms)));
        }
        let early = now_ms < from_ms;
        early.then(|| format!("it is valid from {} on", local_date(from_ms)))
    }

    /// The day of its end, when that is near at that time.
    pub fn expires_soon(&self, now_ms: i64) -> Option<String> {
        let validity = self.validity?;
        validity
            .ends_within(SOON_MS, now_ms)
            .then(|| local_date(validity.until_ms))
    }

    /// Speaks TLS with whoever came, within a limit. Who speaks plain HTTP is told so.
    ///
    /// # Errors
    /// When no encrypted connection came of it.
    pub async fn greet(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let greeting = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE_RECORD {
                send_away(stream).await?;
                return Err(io::Error::other("plain HTTP where HTTPS is spoken"));
            }
            self.acceptor.accept(stream).await
        };
        let late = |_| Err(io::ErrorKind::TimedOut.into());
        timeout(HANDSHAKE, greeting).await.unwrap_or_else(late)
    }
}

impl Fault {
    fn of(file: &Path, why: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            why: why.into(),
        }
    }
}

fn made(files: &config::Tls) -> Result<Certificate, Fault> {
    let text = read(&files.certificate)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|why| Fault::of(&files.certificate, format!("no PEM: {why}")))?;
    if chain.is_empty() {
        let why = "it holds no certificate (BEGIN CERTIFICATE)";
        return Err(Fault::of(&files.certificate, why));
    }
    let validity = chain.first().and_then(|own| Validity::of(own));
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key)?).map_err(|_| {
        let why = "it holds no private key (BEGIN PRIVATE KEY), or one with a password";
        Fault::of(&files.key, why)
    })?;
    let provider = Arc::new(default_provider());
    let made = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = made.map_err(|error| match error {
        Error::InvalidCertificate(_) => Fault::of(&files.certificate, error.to_string()),
        Error::InconsistentKeys(_) => {
            let certificate = files.certificate.display();
            Fault::of(&files.key, format!("it is not the key of {certificate}"))
        }
        other => Fault::of(&files.key, other.to_string()),
    })?;
    // The only one that is spoken behind it.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Certificate {
        acceptor: TlsAcceptor::from(Arc::new(config)),
        validity,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let failed = |why: io::Error| Fault::of(path, why.to_string());
    // A pipe in its place would be waited for.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Fault::of(path, "it is no file"));
    }
    let mut text = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let read = file.take(FILE_BYTES + 1).read_to_end(&mut text);
    match read.map_err(failed)? as u64 > FILE_BYTES {
        true => Err(Fault::of(path, "it is larger than 256 kB")),
        false => Ok(text),
    }
}

async fn send_away(mut stream: TcpStream) -> io::Result<()> {
    let answer = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{PLAIN}",
        PLAIN.len()
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    // Closed on what was not read, the connection would take the answer with it.
    let mut rest = stream.take(READ_AWAY);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn pair() -> (String, String) {
        let names = vec!["localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn why(certificate: &str, key: &str) -> Result<(), (String, String)> {
        let folder = tempfile::tempdir().expect("a folder");
        let files = config::Tls {
            certificate: folder.path().join("cert.pem"),
            key: folder.path().join("key.pem"),
        };
        fs::write(&files.certificate, certificate).expect("written");
        fs::write(&files.key, key).expect("written");
        let named = |fault: Fault| {
            let name = fault.file.file_name().expect("a name").to_string_lossy();
            (name.into_owned(), fault.why)
        };
        made(&files).map(drop).map_err(named)
    }

    #[test]
    fn a_certificate_with_its_key_is_taken_also_from_one_file() {
        let (certificate, key) = pair();
        assert_eq!(why(&certificate, &key), Ok(()));
        let both = format!("{key}{certificate}");
        assert_eq!(why(&both, &both), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_told_of_the_file_that_it_is_about() {
        let (certificate, key) = pair();
        let (_, other) = pair();
        for (certificate, key, file, words) in [
            (
                certificate.as_str(),
                other.as_str(),
                "key.pem",
                "not the key of",
            ),
            (&certificate, "", "key.pem", "no private key"),
            (&certificate, &certificate, "key.pem", "no private key"),
            ("", &key, "cert.pem", "no certificate"),
            (&key, &key, "cert.pem", "no certificate"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                &key,
                "cert.pem",
                "",
            ),
            (&"x".repeat(300_000), &key, "cert.pem", "larger"),
        ] {
            let (told, why) = why(certificate, key).expect_err(words);
            assert_eq!(told, file, "{why}");
            assert!(why.contains(words), "{why}");
            assert!(!why.contains("PRIVATE KEY-----\n"), "{why}");
        }
        let files = config::Tls {
            certificate: "/nonexistent/cert.pem".into(),
            key: "/dev/null".into(),
        };
        let fault = made(&files).map(drop).expect_err("not there");
        assert_eq!(fault.file, files.certificate);
    }
}
