//! Where the daemon keeps things and is asked, for itself and for those who look for it.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::config::{self, Config};

/// The name of the socket in whatever folder it stands.
const SOCKET: &str = "siskin.sock";
/// `RuntimeDirectory=` of the unit that we ship, and its `StateDirectory=`.
const OF_THE_SERVICE: &str = "/run/siskin";
const KEPT_FOR_THE_SERVICE: &str = "/var/lib/siskin";

/// Where state is kept: as configured, else `$STATE_DIRECTORY` (systemd), else
/// `$XDG_STATE_HOME/siskin`, else `~/.local/state/siskin`.
pub fn state_dir(config: &Config) -> PathBuf {
    state_dir_with(config.state_dir.as_deref(), &set)
}

/// How audio files are kept, and where: as configured, else `$CACHE_DIRECTORY` (systemd), else
/// `$XDG_CACHE_HOME/siskin`, else `~/.cache/siskin`. `None`: they are not.
pub fn cache(config: &Config) -> Option<config::Cache> {
    let cache = config.cache.as_ref()?;
    let path = cache_dir_with(cache.path.as_deref(), &set);
    Some(config::Cache {
        bytes: cache.bytes,
        path: Some(path),
    })
}

/// Where audio files may lie from before, now that none are kept. `None`: they are.
pub fn unused_cache(config: &Config) -> Option<PathBuf> {
    let path = || cache_dir_with(config.cache_path.as_deref(), &set);
    config.cache.is_none().then(path)
}

/// Where the state of a daemon that does not run is looked for, the likeliest first.
pub fn state_dirs(config: &Config) -> Vec<PathBuf> {
    let mut places = vec![state_dir(config)];
    if config.state_dir.is_none() {
        places.push(KEPT_FOR_THE_SERVICE.into());
    }
    places
}

/// Where the socket is made: as configured, else `$RUNTIME_DIRECTORY` (systemd), else
/// `$XDG_RUNTIME_DIR/siskin`, else the state directory. `None`: it is not wanted.
pub fn socket(config: &Config) -> Option<PathBuf> {
    match &config.socket {
        config::Socket::Off => None,
        config::Socket::At(path) => Some(path.clone()),
        config::Socket::Usual => usual(&state_dir(config), &set).into_iter().next(),
    }
}

/// Where a running daemon's socket is looked for, the likeliest first: one that was configured, and
/// no other; else every place where a daemon of this user, or the service, makes it.
pub fn sockets(config: &Config) -> Vec<PathBuf> {
    match &config.socket {
        config::Socket::Off => Vec::new(),
        config::Socket::At(path) => vec![path.clone()],
        config::Socket::Usual => {
            let mut places = usual(&state_dir(config), &set);
            // A state directory of its own means a daemon of its own.
            if config.state_dir.is_none() {
                places.push(Path::new(OF_THE_SERVICE).join(SOCKET));
            }
            places
        }
    }
}

fn set(name: &str) -> Option<OsString> {
    env::var_os(name)
}

fn folder(name: &str, set: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    set(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// systemd may name several folders, separated by colons; ours is the first.
fn of_systemd(name: &str, set: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let all = set(name).filter(|value| !value.is_empty())?;
    env::split_paths(&all).next()
}

fn state_dir_with(configured: Option<&Path>, set: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    configured
        .map(Path::to_owned)
        .or_else(|| of_systemd("STATE_DIRECTORY", set))
        .unwrap_or_else(|| {
            folder("XDG_STATE_HOME", set)
                .or_else(|| folder("HOME", set).map(|home| home.join(".local/state")))
                .unwrap_or_else(|| PathBuf::from("/var/lib"))
                .join("siskin")
        })
}

fn cache_dir_with(configured: Option<&Path>, set: &dyn Fn(&str) -> Option<OsString>) -> PathBuf {
    configured
        .map(Path::to_owned)
        .or_else(|| of_systemd("CACHE_DIRECTORY", set))
        .unwrap_or_else(|| {
            folder("XDG_CACHE_HOME", set)
                .or_else(|| folder("HOME", set).map(|home| home.join(".cache")))
                .unwrap_or_else(|| PathBuf::from("/var/cache"))
                .join("siskin")
        })
}

fn usual(state_dir: &Path, set: &dyn Fn(&str) -> Option<OsString>) -> Vec<PathBuf> {
    let of_the_user = folder("XDG_RUNTIME_DIR", set).map(|dir| dir.join("siskin"));
    [
        of_systemd("RUNTIME_DIRECTORY", set),
        of_the_user,
        Some(state_dir.to_owned()),
    ]
    .into_iter()
    .flatten()
    .map(|dir| dir.join(SOCKET))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_stands_where_the_service_manager_says_then_with_the_user_then_with_the_state() {
        let state = Path::new("/state");
        let under = |name: &str| match name {
            "RUNTIME_DIRECTORY" => Some("/run/siskin:/run/more".into()),
            "XDG_RUNTIME_DIR" => Some("/run/user/7".into()),
            _ => None,
        };
        assert_eq!(
            usual(state, &under),
            [
                Path::new("/run/siskin/siskin.sock"),
                Path::new("/run/user/7/siskin/siskin.sock"),
                Path::new("/state/siskin.sock")
            ]
        );
        assert_eq!(
            usual(state, &|_| Some(OsString::new())),
            [Path::new("/state/siskin.sock")],
            "an empty variable says nothing"
        );
    }

    #[test]
    fn audio_is_kept_where_the_service_manager_says_or_with_the_user() {
        let systemd = |name: &str| (name == "CACHE_DIRECTORY").then(|| "/var/cache/siskin".into());
        let there = Path::new("/var/cache/siskin");
        assert_eq!(cache_dir_with(None, &systemd), there);
        let configured = Some(Path::new("/srv"));
        assert_eq!(cache_dir_with(configured, &systemd), Path::new("/srv"));
        let home = |name: &str| (name == "HOME").then(|| "/home/kim".into());
        let expected = Path::new("/home/kim/.cache/siskin");
        assert_eq!(cache_dir_with(None, &home), expected);
    }

    #[test]
    fn the_state_is_kept_where_it_was_configured_before_anywhere_else() {
        let under = |name: &str| (name == "STATE_DIRECTORY").then(|| "/var/lib/siskin".into());
        let configured = Some(Path::new("/srv"));
        assert_eq!(state_dir_with(configured, &under), Path::new("/srv"));
        assert_eq!(state_dir_with(None, &under), Path::new("/var/lib/siskin"));
        let home = |name: &str| (name == "HOME").then(|| "/home/kim".into());
        let expected = Path::new("/home/kim/.local/state/siskin");
        assert_eq!(state_dir_with(None, &home), expected);
    }
}
