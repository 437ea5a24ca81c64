//! How each fault is done. Returns when its cause is gone.

use std::time::{Duration, Instant};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::process::Command;

use super::{
    list::{Strike, Which},
    watch::Scene,
};
use crate::{
    bench::Result,
    phone::{Hostile, Login},
};

/// How long a scripted fault may take until it has happened as often as it was to.
const USED_UP: Duration = Duration::from_secs(60);

impl Scene<'_> {
    pub async fn strike(&mut self, strike: &Strike) -> Result<()> {
        let sim = &self.stage.sim;
        match strike {
            Strike::Links(which, then) => {
                if let Some((place, times, then)) = then {
                    sim.faults()
                        .add(crate::Fault::on(*place).times(*times).then(then.clone()));
                }
                match which {
                    Which::AccessPoint => drop(sim.drop_access_points()),
                    Which::Dealer => drop(sim.drop_dealers()),
                    Which::All => sim.cut(),
                }
                // The cause is gone when the last of them has been met.
                let until = Instant::now() + USED_UP;
                while !sim.faults().is_empty() && Instant::now() < until {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            Strike::HalfOpen(Which::Dealer) => drop(sim.mute_dealers()),
            Strike::HalfOpen(_) => drop(sim.mute_access_points()),
            Strike::Dark(seconds) => {
                sim.go_dark().await;
                tokio::time::sleep(Duration::from_secs(*seconds)).await;
                sim.come_back().await?;
            }
            Strike::Frozen(seconds) => {
                sim.freeze();
                tokio::time::sleep(Duration::from_secs(*seconds)).await;
                sim.thaw();
            }
            Strike::RevokedTokens => {
                sim.revoke_tokens();
                sim.drop_dealers();
            }
            Strike::Load(..) => {}
            Strike::Engine(signal) => {
                let pids = self.guest.receiver.pids();
                send(*pids.get(1).ok_or("there is no engine")?, *signal)?;
            }
            Strike::Daemon => self.guest.receiver.restart()?,
            Strike::Reload => send(self.guest.receiver.pids()[0], Signal::SIGHUP)?,
            Strike::Guest(user, knows) => self.guest_comes(user, *knows).await?,
            Strike::TenPhones => {
                let all = [
                    "fred", "alex", "fred", "alex", "fred", "alex", "fred", "alex", "fred", "alex",
                ];
                let this = &*self;
                let come = all.map(|user| this.guest_comes(user, user == "fred"));
                for came in futures_util::future::join_all(come).await {
                    came?;
                }
            }
            Strike::Hostile => self.be_hostile().await?,
            Strike::Crowd => {
                let to = self.guest.at.address()?;
                let crowd = Hostile::new(to, Duration::from_secs(3)).crowd(100).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                drop(crowd);
            }
            Strike::Network(words, pause) => {
                for (at, words) in words.iter().enumerate() {
                    if at > 0 {
                        tokio::time::sleep(Duration::from_secs(*pause)).await;
                    }
                    let done = Command::new("ip").args(words.split(' ')).output().await?;
                    if !done.status.success() {
                        return Err(format!(
                            "ip {words}: {}",
                            String::from_utf8_lossy(&done.stderr)
                        )
                        .into());
                    }
                }
            }
        }
        Ok(())
    }

    /// Somebody whom Spotify will not let in picks the speaker.
    async fn guest_comes(&self, user: &str, knows: bool) -> Result<()> {
        let stage = self.stage;
        let info = stage.phone.get_info(&self.guest.at).await?;
        let account = stage.sim.users().get(user).ok_or("no such user")?;
        let login = if knows {
            Login::stored(&account.stored_credential())
        } else {
            Login::password("guessed")
        };
        let answer = stage
            .phone
            .add_user(&self.guest.at, &info, user, &login)
            .await?;
        if answer.status() == Some(101) {
            return Err(format!("{user} was let in").into());
        }
        Ok(())
    }

    async fn be_hostile(&self) -> Result<()> {
        let hostile = Hostile::new(self.guest.at.address()?, Duration::from_secs(2));
        let long = format!("GET /?{} HTTP/1.1\r\n\r\n", "x".repeat(100_000));
        let bodies: [&[u8]; 5] = [
            b"\0\xff\xfe nonsense\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\naction=addUser",
            b"POST / HTTP/1.1\r\nContent-Length: 14\r\n\r\naction=addUser",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            long.as_bytes(),
        ];
        for body in bodies {
            // Whatever it says to that is right.
            let _ = hostile.send(body).await;
        }
        Ok(())
    }
}

fn send(pid: u32, signal: Signal) -> Result<()> {
    Ok(kill(Pid::from_raw(pid.cast_signed()), signal)?)
}
