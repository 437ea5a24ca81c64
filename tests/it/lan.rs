//! What tests of the local network need besides the stage: other settings, other places to look
//! from, and a look at what a process has open.

use std::{
    fs,
    net::Ipv4Addr,
    thread,
    time::{Duration, Instant},
};

use spotify_sim::{
    Controller, PlayOptions,
    phone::{Found, Phone, Watch},
    rigs::{Fifo, FifoFormat, Network, Pace},
};

use crate::world::{Daemon, PATIENCE, World, shows};

/// Sound that goes nowhere, at the pace of music.
pub const NULL: &str = "[output]\nkind = \"null\"\n";

/// Settings that lead to the simulation, with these lines in `[network]` and none of their own
/// about interfaces.
pub fn settings_on(world: &World, more: &str, network: &str) -> String {
    let settings = world.settings(more);
    let stripped = settings.replace("allow = [\"lo\"]\n", "");
    assert_ne!(settings, stripped);
    stripped + network
}

/// A FIFO that is read at the pace of music.
pub fn fifo() -> Fifo {
    Fifo::start(FifoFormat::S16, Pace::RealTime).expect("a FIFO")
}

/// Signs `user` in and plays an album from its beginning.
pub async fn plays(world: &World, user: &str, album: &str) -> Controller {
    let app = world.sign_in(user).await;
    play(world, &app, album).await;
    app
}

/// Plays an album from its beginning.
pub async fn play(world: &World, app: &Controller, album: &str) {
    let context = world.sim.catalogue().titled(album).uri();
    let reply = app.play(&context, PlayOptions::default()).await;
    assert!(reply.expect("an answer").success);
    shows(app, "a playing track", |state| state.playing).await;
}

/// Opens a phone's list of speakers somewhere else.
pub fn watch_in(network: &Network) -> Watch {
    inside(network, || Phone::new("Far phone").watch()).expect("a phone that looks")
}

/// Does something in another network. Must not wait for anything.
pub fn inside<T: Send>(network: &Network, act: impl FnOnce() -> T + Send) -> T {
    let stay = || {
        let _inside = network.enter().expect("the network is there");
        act()
    };
    thread::scope(|scope| scope.spawn(stay).join().expect("no panic inside"))
}

/// A speaker that was announced; says what was seen instead.
pub async fn sees(watch: &mut Watch, fits: impl Fn(&Found) -> bool) -> Found {
    watch
        .until(fits, PATIENCE)
        .await
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The IPv4 addresses that somebody in the process's network listens on with TCP at this port.
pub fn listeners(pid: u32, port: u16) -> Vec<Ipv4Addr> {
    const LISTEN: &str = "0A";
    let table = fs::read_to_string(format!("/proc/{pid}/net/tcp")).expect("a process");
    let mut found: Vec<_> = table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace().skip(1);
            let (ip, at) = columns.next()?.split_once(':')?;
            let state = columns.nth(1)?;
            let ip = u32::from_str_radix(ip, 16).ok()?;
            let here = state == LISTEN && u16::from_str_radix(at, 16) == Ok(port);
            here.then(|| Ipv4Addr::from(ip.to_ne_bytes()))
        })
        .collect();
    found.sort();
    found
}

/// Resident memory of a process in kB.
pub fn resident_kb(pid: u32) -> i64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("a number of kB")
}

/// Waits until something is so. Lets the simulation go on meanwhile.
pub async fn until(what: &str, limit: Duration, is_so: impl Fn() -> bool) {
    let end = Instant::now() + limit;
    while !is_so() {
        assert!(Instant::now() < end, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The engine, once those on their way out have left.
pub async fn one_engine(daemon: &Daemon) -> u32 {
    until("one engine", PATIENCE, || daemon.engines().len() == 1).await;
    daemon.engines()[0]
}

/// How often a line with `words` in it was logged.
pub fn count(daemon: &Daemon, words: &str) -> usize {
    let log = daemon.log();
    log.iter().filter(|line| line.contains(words)).count()
}
