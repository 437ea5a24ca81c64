//! The socket as a file: made, found stale, replaced, removed.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{UnixListener, UnixSocket, UnixStream},
    time::timeout,
};

use crate::model::{Condition, ConditionCode};

/// The user and the group of the daemon, nobody else.
const MODE: u32 = 0o660;
/// Programs that wait for their turn. The kernel has its own ceiling (`somaxconn`).
const BACKLOG: u32 = 1024;

/// For whoever serves a socket that stands in our place to take a connection.
const PATIENCE: Duration = Duration::from_secs(1);

/// A listening socket. Dropped, it takes its file away, unless another stands there by now.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    listener: UnixListener,
    /// Device and inode: what tells our file from another of its name.
    file: (u64, u64),
}

/// Bytes of `sockaddr_un`, without the one that ends them.
const LONGEST: usize = 107;

/// Why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    InUse { path: PathBuf },
    NoSocket { path: PathBuf },
    Failed { path: PathBuf, why: String },
}

impl Trouble {
    /// In the listener's words.
    pub fn condition(&self) -> Condition {
        let (path, why, cure) = match self {
            Self::InUse { path } => (
                path,
                "another siskin answers there".to_owned(),
                "give each daemon a socket of its own (socket = …), or stop the other one",
            ),
            // The kernel's limit, which Rust tells by the kernel's name for it.
            Self::Failed { path, .. } if path.as_os_str().len() > LONGEST => (
                path,
                format!("a socket's path may have {LONGEST} bytes at most"),
                "set socket to a shorter path; then reload",
            ),
            Self::NoSocket { path } => (
                path,
                "a file that is no socket stands there".to_owned(),
                "move it away, or set socket to another place; it is tried again by itself",
            ),
            Self::Failed { path, why } => (
                path,
                why.clone(),
                "set socket to a place that siskin may write; it is tried again by itself",
            ),
        };
        let what = format!("siskin cannot be asked at {}", path.display());
        Condition::new(ConditionCode::NoSocket, what, why, cure)
    }
}

impl Socket {
    /// Listens at `path`. A socket that nobody serves any more is replaced; nothing else is.
    pub async fn make(path: &Path) -> Result<Self, Trouble> {
        let failed = |error: io::Error| Trouble::Failed {
            path: path.to_owned(),
            why: error.to_string(),
        };
        clear_away(path).await?;
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed)?;
        }
        let socket = UnixSocket::new_stream().map_err(failed)?;
        socket.bind(path).map_err(failed)?;
        let opened = || {
            // Nobody can connect before it listens, so the mode holds from the first moment.
            fs::set_permissions(path, Permissions::from_mode(MODE))?;
            let file = identity(path)?;
            Ok((file, socket.listen(BACKLOG)?))
        };
        let (file, listener) = opened().map_err(|error| {
            let _ = fs::remove_file(path);
            failed(error)
        })?;
        Ok(Self {
            path: path.to_owned(),
            listener,
            file,
        })
    }

    /// Whether whoever looks for us at the path finds us.
    pub fn is_in_place(&self) -> bool {
        identity(&self.path).is_ok_and(|file| file == self.file)
    }

    /// Cancel safe.
    pub async fn accept(&self) -> io::Result<UnixStream> {
        Ok(self.listener.accept().await?.0)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.is_in_place() {
            // Failing that, the next daemon finds a socket that nobody serves, and replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

async fn clear_away(path: &Path) -> Result<(), Trouble> {
    let path_of = || path.to_owned();
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Making it will fail for the same reason, and say so.
        Err(_) => return Ok(()),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(Trouble::NoSocket { path: path_of() });
        }
        Ok(_) => {}
    }
    match timeout(PATIENCE, UnixStream::connect(path)).await {
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|error| Trouble::Failed {
                path: path_of(),
                why: error.to_string(),
            }),
        // It lives, or is so busy or so private that it must.
        _ => Err(Trouble::InUse { path: path_of() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_that_is_too_long_is_told_in_bytes() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("x".repeat(LONGEST));
        let Err(trouble) = Socket::make(&path).await else {
            panic!("the kernel takes it");
        };
        let told = trouble.condition();
        assert!(told.why.contains("107 bytes"), "{}", told.why);
    }

    #[tokio::test]
    async fn a_socket_that_nobody_serves_is_replaced_and_one_that_lives_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("deep/siskin.sock");
        let first = Socket::make(&path).await.expect("made");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o660);
        assert!(matches!(
            Socket::make(&path).await,
            Err(Trouble::InUse { .. })
        ));
        drop(first);
        assert!(!path.exists());
        drop(std::os::unix::net::UnixListener::bind(&path).expect("bound and left"));
        let second = Socket::make(&path).await.expect("replaced");
        assert!(second.is_in_place());
    }

    #[tokio::test]
    async fn a_file_that_is_no_socket_is_never_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("siskin.sock");
        fs::write(&path, "precious").expect("written");
        assert!(matches!(
            Socket::make(&path).await,
            Err(Trouble::NoSocket { .. })
        ));
        let too_long = folder.path().join("x".repeat(120));
        assert!(matches!(
            Socket::make(&too_long).await,
            Err(Trouble::Failed { .. })
        ));
        assert_eq!(fs::read_to_string(&path).expect("there"), "precious");
    }

    #[tokio::test]
    async fn a_socket_leaves_alone_what_stands_in_its_place_by_now() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("siskin.sock");
        let first = Socket::make(&path).await.expect("made");
        fs::remove_file(&path).expect("removed by somebody");
        assert!(!first.is_in_place());
        let second = Socket::make(&path).await.expect("made anew");
        drop(first);
        assert!(second.is_in_place());
    }
}
