//! The machine itself: its clock, its certificates, and who else is on it.

use std::{
    collections::{BTreeSet, HashSet},
    fs,
    path::Path,
};

use super::findings::Report;
use crate::{
    daemon::presence::clock,
    model::{Finding, unix_ms},
};

/// The port of mDNS, as the kernel's tables write it.
const MDNS: &str = "14E9";
/// Programs that are Spotify Connect speakers as well. `comm` is cut after 15 bytes.
const RECEIVERS: [&str; 6] = [
    "librespot",
    "spotifyd",
    "raspotify",
    "go-librespot",
    "librespot-java",
    "spotify-connect",
];
pub const RECEIVER: &str = "other_receiver";
pub const SHARED: &str = "port_5353_shared";
/// Our own begin so.
const US: &str = "siskin";

pub fn look(report: &mut Report) {
    report.looks_at("this machine");
    let now = unix_ms();
    if clock::is_wrong(now) {
        report.found((&clock::wrong(now)).into());
    }
    let certificates = rustls_native_certs::load_native_certs();
    if certificates.certs.is_empty() {
        report.found(Finding::trouble(
            "no_certificates",
            "this machine cannot tell whether it talks to Spotify",
            "no certificate bundle was found",
            "install the package ca-certificates",
        ));
    }
    receivers(report);
    sharers(report);
}

/// Who else on this machine is a speaker in the picker.
pub fn receivers(report: &mut Report) {
    let receivers = running(Path::new("/proc"), |name| {
        RECEIVERS.iter().any(|known| begins(name, known))
    });
    if !receivers.is_empty() {
        report.found(Finding::notice(
            RECEIVER,
            "another Spotify receiver runs on this machine",
            receivers.into_iter().collect::<Vec<_>>().join(", "),
            "stop it if it has the same name or the same sound card (systemctl disable --now …)",
        ));
    }
}

/// Who else on this machine speaks mDNS. Only root sees everybody.
pub fn sharers(report: &mut Report) {
    let (holders, hidden) = mdns_holders(Path::new("/proc"));
    let others: Vec<_> = holders
        .iter()
        .filter(|name| !name.starts_with(US))
        .cloned()
        .collect();
    if !others.is_empty() || hidden {
        let mut who = others.join(", ");
        if who.is_empty() {
            who = "a program of another user (ask as root for its name)".into();
        }
        report.found(Finding::notice(
            SHARED,
            "another program speaks mDNS (UDP port 5353) on this machine, too",
            who,
            "nothing, as long as phones find the speaker: siskin shares the port and claims no name of theirs",
        ));
    }
}

fn begins(name: &str, known: &str) -> bool {
    name == &known[..known.len().min(15)]
}

/// Names of the processes whose name fits.
fn running(proc: &Path, fits: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let names = processes(proc).filter_map(|folder| name(&folder));
    names.filter(|name| fits(name)).collect()
}

fn processes(proc: &Path) -> impl Iterator<Item = std::path::PathBuf> {
    let entries = fs::read_dir(proc).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .bytes()
                .all(|b| b.is_ascii_digit())
        })
        .map(|entry| entry.path())
}

fn name(process: &Path) -> Option<String> {
    let text = fs::read_to_string(process.join("comm")).ok()?;
    Some(text.trim().to_owned())
}

/// Who has UDP port 5353 open, and whether there is somebody who cannot be seen.
fn mdns_holders(proc: &Path) -> (BTreeSet<String>, bool) {
    let mut inodes = HashSet::new();
    for table in ["net/udp", "net/udp6"] {
        let text = fs::read_to_string(proc.join(table)).unwrap_or_default();
        inodes.extend(text.lines().skip(1).filter_map(inode));
    }
    let mut names = BTreeSet::new();
    for process in processes(proc) {
        let files = fs::read_dir(process.join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        for file in files {
            let Ok(target) = fs::read_link(file.path()) else {
                continue;
            };
            let target = target.to_string_lossy();
            let socket = target
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            if let Some(socket) = socket
                && inodes.remove(socket)
                && let Some(name) = name(&process)
            {
                names.insert(name);
            }
        }
    }
    (names, !inodes.is_empty())
}

/// The inode of a socket that is bound to the port of mDNS.
fn inode(line: &str) -> Option<String> {
    let mut columns = line.split_whitespace().skip(1);
    let (_, port) = columns.next()?.rsplit_once(':')?;
    let inode = columns.nth(7)?;
    (port == MDNS).then(|| inode.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_holds_the_port_is_named() {
        let proc = tempfile::tempdir().expect("a folder");
        let at = |path: &str| proc.path().join(path);
        fs::create_dir_all(at("net")).expect("a folder");
        let line = "  1: 00000000:14E9 00000000:0000 07 00000000:00000000 00:00000000 00000000 110 0 777 2 0 0";
        fs::write(at("net/udp"), format!("  sl local_address …\n{line}\n")).expect("a file");
        assert_eq!(mdns_holders(proc.path()), (BTreeSet::new(), true));
        fs::create_dir_all(at("42/fd")).expect("a folder");
        fs::write(at("42/comm"), "avahi-daemon\n").expect("a file");
        std::os::unix::fs::symlink("socket:[777]", at("42/fd/7")).expect("a link");
        let avahi = BTreeSet::from(["avahi-daemon".to_owned()]);
        assert_eq!(mdns_holders(proc.path()), (avahi, false));
    }

    #[test]
    fn other_receivers_are_known_by_their_names() {
        let proc = tempfile::tempdir().expect("a folder");
        for (pid, comm) in [("1", "spotifyd"), ("2", "siskin"), ("3", "librespotter")] {
            fs::create_dir_all(proc.path().join(pid)).expect("a folder");
            fs::write(proc.path().join(pid).join("comm"), comm).expect("a file");
        }
        let found = running(proc.path(), |name| {
            RECEIVERS.iter().any(|known| begins(name, known))
        });
        assert_eq!(found, BTreeSet::from(["spotifyd".to_owned()]));
    }
}
