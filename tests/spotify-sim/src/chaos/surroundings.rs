//! Faults of what is around the receiver: firewall, other responders, its folder, its clock.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{process::Command, time::sleep};

use super::{list::Folder, watch::Scene};
use crate::bench::Result;

/// How long the folder stays as it was made.
const SPOILT: Duration = Duration::from_secs(4);
/// How long another responder takes to come up or go.
const RESPONDER: Duration = Duration::from_secs(2);
/// How long a route has stood before it goes.
const SETTLED: Duration = Duration::from_secs(1);
/// Where avahi keeps its socket and the number of its process.
const RUN: &str = "/run/avahi-daemon";
/// Where Debian has the library that sets clocks.
const FAKETIME: &str = "faketime/libfaketime.so.1";

impl Scene<'_> {
    /// Nothing that matches gets through for a while, in either direction.
    pub(super) async fn block(&self, rule: &str, seconds: u64) -> Result<()> {
        run("nft add table inet chaos").await?;
        let chain = "nft add chain inet chaos in { type filter hook input priority 0 ; }";
        run(chain).await?;
        run(&format!("nft add rule inet chaos in {rule}")).await?;
        sleep(Duration::from_secs(seconds)).await;
        run("nft delete table inet chaos").await
    }

    /// There is a default route, and then none for a while. The way to this Spotify needs none, for it is
    /// on the same machine; so a rule about its port says what the kernel would say of a Spotify far away.
    pub(super) async fn no_route(&self, spotify: u16, seconds: u64) -> Result<()> {
        // Machines look at their own addresses before any rule of ours, unless that is put behind.
        let _ = run("ip rule add pref 10 lookup local").await;
        let _ = run("ip rule del pref 0").await;
        run("ip route replace default via 10.77.0.254 dev lo").await?;
        sleep(SETTLED).await;
        run("ip route del default").await?;
        let rule = format!("pref 1 ipproto tcp dport {spotify} unreachable");
        run(&format!("ip rule add {rule}")).await?;
        sleep(Duration::from_secs(seconds)).await;
        run(&format!("ip rule del {rule}")).await?;
        run("ip route add default via 10.77.0.254 dev lo").await
    }

    /// Starts avahi (1), and stops it (2), and starts it again (3). It ends with the scene.
    pub(super) async fn avahi(&mut self, times: u32) -> Result<()> {
        self.avahi = None;
        // Speakers beside us, in networks of their own, have responders of their own.
        if !self.own_run {
            let _ = fs::create_dir_all(RUN);
            run(&format!("mount -t tmpfs -o mode=755 chaos {RUN}")).await?;
            self.own_run = true;
        }
        for time in 0..times {
            if time % 2 == 1 {
                self.avahi = None;
            } else {
                self.avahi = Some(Avahi::start()?);
            }
            sleep(RESPONDER).await;
            if let Some(avahi) = &mut self.avahi
                && let Some(status) = avahi.child.try_wait()?
            {
                return Err(format!("avahi-daemon ended: {status}").into());
            }
        }
        Ok(())
    }

    /// What is kept cannot be written for a while, and something is to be.
    pub(super) async fn spoil_folder(&self, how: Folder) -> Result<()> {
        let folder = self.guest.receiver.state_folder();
        let kept = TempDir::with_prefix("kept-")?;
        let (at, aside) = (folder.display(), kept.path().display());
        match how {
            Folder::Full => {
                run(&format!("cp -a {at}/. {aside}")).await?;
                run(&format!("mount -t tmpfs -o size=64k,mode=700 chaos {at}")).await?;
                run(&format!("cp -a {aside}/. {at}")).await?;
                // As much as there is room for.
                let _ = fs::write(folder.join("filler"), vec![b'x'; 128 * 1024]);
            }
            Folder::ReadOnly => {
                run(&format!("mount --bind {at} {at}")).await?;
                run(&format!("mount -o remount,bind,ro {at}")).await?;
            }
        }
        // A level is kept, and so is who was let in or refused.
        let _ = self.app.volume(60_000).await;
        sleep(SPOILT).await;
        // Its socket may have been made anew in there meanwhile, which keeps it busy until the next look.
        run(&format!("umount --lazy {at}")).await?;
        let _ = self.app.volume(u16::MAX).await;
        Ok(())
    }

    /// Everything that is kept is nonsense when it starts again; somebody picks it anew.
    pub(super) async fn damage(&mut self) -> Result<()> {
        for file in files(&self.guest.receiver.state_folder())? {
            fs::write(file, b"{ \"half\": [\0\xff")?;
        }
        self.guest.receiver.restart()?;
        self.stage.answers(&self.guest.at).await?;
        self.app = self.stage.hand_over(&self.guest).await?.app;
        Ok(())
    }
}

/// Another responder on port 5353.
pub struct Avahi {
    child: std::process::Child,
    _folder: TempDir,
}

impl Avahi {
    fn start() -> Result<Self> {
        let folder = TempDir::with_prefix("avahi-")?;
        let file = folder.path().join("avahi-daemon.conf");
        let text = "[server]\nenable-dbus=no\nallow-interfaces=lo\nhost-name=neighbour\n\
                    [publish]\npublish-workstation=no\n";
        fs::write(&file, text)?;
        let _ = fs::remove_file(Path::new(RUN).join("pid"));
        let child = std::process::Command::new("avahi-daemon")
            .args(["--no-drop-root", "--no-chroot", "--no-rlimits", "--file"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| format!("avahi-daemon: {why}; install the package avahi-daemon"))?;
        let _folder = folder;
        Ok(Self { child, _folder })
    }
}

impl Drop for Avahi {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A clock for one receiver, which runs like ours until it is set.
pub struct Clock {
    file: PathBuf,
    shim: PathBuf,
    /// So many days from ours.
    days: Cell<i64>,
    _folder: TempDir,
}

impl Clock {
    pub fn new() -> Result<Self> {
        let places = [
            "/usr/lib/x86_64-linux-gnu",
            "/usr/lib/aarch64-linux-gnu",
            "/usr/lib",
        ];
        let shim = places
            .iter()
            .map(|place| Path::new(place).join(FAKETIME))
            .find(|shim| shim.exists())
            .ok_or("libfaketime is not there; install the package faketime")?;
        let folder = TempDir::with_prefix("clock-")?;
        let clock = Self {
            file: folder.path().join("clock"),
            shim,
            days: Cell::new(0),
            _folder: folder,
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// So many days away from ours, or back when it is not ours now.
    pub fn turn(&self, days: i64) -> Result<()> {
        let days = if self.days.get() == 0 { days } else { 0 };
        self.days.set(days);
        self.set(days)
    }

    fn set(&self, days: i64) -> Result<()> {
        let draft = self.file.with_extension("draft");
        fs::write(&draft, format!("{:+}\n", days * 86_400))?;
        Ok(fs::rename(&draft, &self.file)?)
    }

    pub fn env(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: String| (name.to_owned(), value);
        vec![
            pair("LD_PRELOAD", self.shim.display().to_string()),
            pair("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            pair("FAKETIME_CACHE_DURATION", "1".to_owned()),
            pair("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.is_file() {
            found.push(path);
        }
    }
    Ok(found)
}

/// Runs a command in our network.
pub(super) async fn run(words: &str) -> Result<()> {
    let mut parts = words.split(' ');
    let program = parts.next().unwrap_or_default();
    let done = Command::new(program).args(parts).output().await;
    let done = done.map_err(|why| format!("{program}: {why}; see scripts/setup.sh"))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{words}: {said}").into());
    }
    Ok(())
}
