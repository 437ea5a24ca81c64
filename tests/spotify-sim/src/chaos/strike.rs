//! How each fault is done. Returns when its cause is gone.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::sleep;

use super::{
    inside,
    list::{Strike, Which},
    surroundings::run,
    watch::{ENDED, Scene},
};
use crate::{
    Place, Then,
    bench::{Result, stage::USER},
    phone::{Hostile, Login, Phone},
    receiver::Kind,
    rigs::State as Card,
};

/// How long a scripted fault may take until it has happened as often as it was to.
const USED_UP: Duration = Duration::from_secs(60);

/// How long a condition may take to be in the log.
const TOLD: Duration = Duration::from_secs(5);

impl Scene<'_> {
    /// Returns when the cause was gone, if that was not when it returns.
    pub async fn strike(&mut self, strike: &Strike) -> Result<Option<Instant>> {
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
                    if self.guest.receiver.ended().is_some() {
                        return Err(ENDED.into());
                    }
                    sleep(Duration::from_millis(5)).await;
                }
            }
            Strike::HalfOpen(Which::Dealer) => drop(sim.mute_dealers()),
            Strike::HalfOpen(_) => drop(sim.mute_access_points()),
            Strike::Dark(seconds) => {
                sim.go_dark().await;
                sleep(Duration::from_secs(*seconds)).await;
                sim.come_back().await?;
            }
            Strike::Refused(place, seconds) => {
                let refused = Then::Status(503, None);
                sim.faults()
                    .add(crate::Fault::on(*place).forever().then(refused));
                sim.drop_dealers();
                sleep(Duration::from_secs(*seconds)).await;
                sim.faults().clear();
            }
            Strike::Frozen(seconds) => {
                sim.freeze();
                sleep(Duration::from_secs(*seconds)).await;
                sim.thaw();
            }
            Strike::RevokedTokens => {
                sim.revoke_tokens();
                sim.drop_dealers();
            }
            Strike::Load(..) | Strike::Nothing => {}
            Strike::Exit => return inside::exit(self.engine()?).await.map(Some),
            Strike::Panic(function) => {
                let binary = self.symbols.as_deref().ok_or("no binary with symbols")?;
                inside::panic(self.engine()?, binary, function).await?;
                if !self.guest.receiver.log().contains("panicked") {
                    return Err("it did not panic".into());
                }
                self.told_as("engine_lost", "spotify_unreachable").await?;
            }
            Strike::CutPacket => {
                self.sign_ins_due = sim.record().count(Place::ApLogin) + 1;
                sim.cut_packet(USER);
            }
            Strike::Engine(signal) => {
                send(self.engine()?, *signal)?;
            }
            Strike::Daemon => self.guest.receiver.restart()?,
            Strike::Reload => send(self.guest.receiver.pids()[0], Signal::SIGHUP)?,
            Strike::Guest(user, knows) => self.guest_comes(user, *knows).await?,
            Strike::TenPhones => {
                let this = &*self;
                let come = (0..10_u8).map(async |number| {
                    let user = if number % 2 == 0 { "fred" } else { "alex" };
                    let phone = Phone::new(user).at([127, 0, 1, number].into());
                    this.calls(&phone, user, user == "fred").await
                });
                for came in join_all(come).await {
                    came?;
                }
            }
            Strike::Hostile => self.be_hostile().await?,
            Strike::Crowd => {
                let to = self.guest.at.address()?;
                let crowd = Hostile::new(to, Duration::from_secs(3)).crowd(100).await;
                sleep(Duration::from_secs(1)).await;
                drop(crowd);
            }
            Strike::Network(words, pause) => {
                for (at, words) in words.iter().enumerate() {
                    if at > 0 {
                        sleep(Duration::from_secs(*pause)).await;
                    }
                    match words.strip_prefix('-') {
                        Some(words) => drop(run(words).await),
                        None => run(words).await?,
                    }
                }
            }
            Strike::Firewall(rule, seconds) => self.block(rule, *seconds).await?,
            Strike::Blackhole(seconds) => {
                let port = sim.port();
                let rule = format!("tcp dport {port} drop");
                self.block(&rule, *seconds).await?;
            }
            Strike::NoRoute(seconds) => self.no_route(sim.port(), *seconds).await?,
            Strike::Avahi(times) => self.avahi(*times).await?,
            Strike::Folder(how) => self.spoil_folder(*how).await?,
            Strike::Damaged => self.damage().await?,
            Strike::Deaf(gone, seconds) => {
                let ear = &mut self.guest.ear;
                if *gone {
                    ear.leave();
                } else {
                    ear.stick(true);
                }
                sleep(Duration::from_secs(*seconds)).await;
                if *gone {
                    ear.listen_again()?;
                } else {
                    ear.stick(false);
                }
            }
            Strike::Card(state, seconds) => {
                let begun = Instant::now();
                let card = self.card.as_ref().ok_or("there is no card")?;
                card.set(*state);
                if *state == Card::Busy {
                    // Only who opens it hears of that.
                    card.set(Card::Gone);
                    sleep(Duration::from_millis(500)).await;
                    card.set(*state);
                }
                sleep(Duration::from_secs(*seconds)).await;
                // It may be heard again before anybody looks.
                let last = self.last_heard().map_or(begun, |last| last.max(begun));
                let silent_for = last.elapsed();
                card.set(Card::Ok);
                self.silent_for = silent_for;
            }
            Strike::Clock(days) => {
                let clock = self.clock.as_ref().ok_or("there is no clock")?;
                let noticed = || self.guest.receiver.log().matches("clock").count();
                let before = noticed();
                clock.turn(*days)?;
                // It is looked at three times a minute; and what is told meanwhile has its time on it.
                for level in [60_000, u16::MAX] {
                    self.app.volume(level).await?;
                    sleep(Duration::from_secs(11)).await;
                }
                if noticed() == before {
                    return Err("it did not notice that its clock was set".into());
                }
            }
        }
        Ok(None)
    }

    /// Waits until the log names this, and not that.
    async fn told_as(&self, this: &str, not_that: &str) -> Result<()> {
        let until = Instant::now() + TOLD;
        loop {
            let log = self.guest.receiver.log();
            if log.contains(not_that) {
                return Err(format!("it was told as {not_that}").into());
            }
            if log.contains(this) {
                return Ok(());
            }
            if Instant::now() > until {
                return Err(format!("nobody was told of {this}").into());
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn engine(&self) -> Result<u32> {
        let pids = self.guest.receiver.pids();
        Ok(*pids.get(1).ok_or("there is no engine")?)
    }

    /// Somebody whom Spotify will not let in picks the speaker.
    async fn guest_comes(&self, user: &str, knows: bool) -> Result<()> {
        self.calls(&self.stage.phone, user, knows).await
    }

    async fn calls(&self, phone: &Phone, user: &str, knows: bool) -> Result<()> {
        let stage = self.stage;
        let info = phone.get_info(&self.guest.at).await?;
        let account = stage.sim.users().get(user).ok_or("no such user")?;
        let login = if knows {
            Login::stored(&account.stored_credential())
        } else {
            Login::password("guessed")
        };
        let answer = phone.add_user(&self.guest.at, &info, user, &login).await?;
        // The published librespot says yes before it asks Spotify.
        let ours = self.guest.receiver.kind == Kind::Siskin;
        if ours && answer.status() == Some(101) {
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
