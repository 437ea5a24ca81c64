//! The faults by name.

use std::time::Duration;

use super::watch::Mood::{self, Idle, Paused, Playing};
use crate::{Place, Spoilt, Then, faults::access_point_error::TRY_ANOTHER, rigs::State as Card};

/// One thing that goes wrong.
#[derive(Debug)]
pub struct Fault {
    pub name: &'static str,
    pub moods: &'static [Mood],
    /// All is to be well again so long after the cause is gone.
    pub bound: Duration,
    /// Takes long by its nature: nothing for a soak.
    pub slow: bool,
    /// Can be done to the published librespot too.
    pub for_peer: bool,
    /// What it needs around the receiver from the start.
    pub rig: Rig,
    pub strike: Strike,
}

/// What a receiver stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rig {
    /// A pipe with an ear at its end.
    Plain,
    /// The fake sound card in place of the pipe.
    Card,
    /// A clock that can be set (libfaketime).
    Clock,
}

/// What is done.
#[derive(Clone, Debug)]
pub enum Strike {
    /// The links are ended, and those that follow meet this so often.
    Links(Which, Option<(Place, u32, Then)>),
    /// They stay, and nothing moves on them any more.
    HalfOpen(Which),
    /// No new dealer, token or access point for so long (s).
    Dark(u64),
    Frozen(u64),
    RevokedTokens,
    /// A place answers wrongly so often, and a track is asked for.
    Load(Place, u32, Then),
    /// This signal to the engine.
    Engine(nix::sys::signal::Signal),
    /// Killed, and started again as a supervisor would.
    Daemon,
    Reload,
    Guest(&'static str, bool),
    TenPhones,
    Hostile,
    Crowd,
    /// These commands, one after the other; so many seconds between. One with a minus may fail.
    Network(&'static [&'static str], u64),
    /// For so long (s) nothing that matches this rule of nftables gets through.
    Firewall(&'static str, u64),
    /// Nothing gets through between the receiver and Spotify for so long (s), and nobody says so.
    Blackhole(u64),
    /// There is no default route for so long (s), and the kernel says so.
    NoRoute(u64),
    /// Another responder for mDNS is started, or ended, so often.
    Avahi(u32),
    /// The folder of what is kept takes nothing any more, for a while.
    Folder(Folder),
    /// What is kept is nonsense, and the daemon is started again; a phone comes anew.
    Damaged,
    /// The dealers are ended, and this place refuses for so long (s).
    Refused(Place, u64),
    /// The engine calls `exit(1)`, wherever it is (gdb).
    Exit,
    /// The thread that calls this function of ours panics there (gdb, and a binary with symbols).
    Panic(&'static str),
    /// The access point sends a packet over which librespot panics, on its own task.
    CutPacket,
    /// Nothing at all: what the others are held to.
    Nothing,
    /// Nobody reads the pipe for so long (s); `true`: nobody is even there.
    Deaf(bool, u64),
    /// The sound card does this for so long (s).
    Card(Card, u64),
    /// The clock is set so many days on, or back to ours the next time.
    Clock(i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    Full,
    ReadOnly,
}

impl Strike {
    /// Whether it may keep phones from finding the speaker.
    pub fn on_air(&self) -> bool {
        matches!(
            self,
            Self::Network(..) | Self::Firewall(..) | Self::Avahi(_) | Self::Daemon | Self::Damaged
        )
    }

    /// Whether only a binary with symbols can suffer it.
    pub fn needs_symbols(&self) -> bool {
        matches!(self, Self::Panic(_))
    }

    /// Roughly how long it takes and what it does takes to mend (s): the longest are begun first.
    pub fn takes(&self) -> u64 {
        match self {
            Self::Dark(seconds)
            | Self::Refused(_, seconds)
            | Self::Frozen(seconds)
            | Self::Firewall(_, seconds)
            | Self::Blackhole(seconds)
            | Self::NoRoute(seconds)
            | Self::Deaf(_, seconds)
            | Self::Card(_, seconds) => *seconds,
            Self::Network(words, pause) => pause * words.len() as u64,
            Self::HalfOpen(Which::Dealer) | Self::Engine(SIGSTOP) => 30,
            Self::Clock(_) => 24,
            Self::Avahi(times) => 2 * u64::from(*times),
            Self::Links(..) | Self::HalfOpen(_) | Self::Folder(_) | Self::Load(..) => 4,
            _ => 1,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    AccessPoint,
    Dealer,
    All,
}

const ALL: &[Mood] = &[Idle, Playing, Paused];
const MUSIC: &[Mood] = &[Playing];

const fn fault(name: &'static str, strike: Strike) -> Fault {
    Fault {
        name,
        moods: ALL,
        bound: Duration::from_secs(20),
        slow: false,
        for_peer: true,
        rig: Rig::Plain,
        strike,
    }
}

/// What only siskin has: an engine, settings that are read again, a folder of its own.
const fn ours(name: &'static str, strike: Strike) -> Fault {
    Fault {
        for_peer: false,
        ..fault(name, strike)
    }
}

const fn slow(name: &'static str, seconds: u64, strike: Strike) -> Fault {
    Fault {
        slow: true,
        moods: MUSIC,
        bound: Duration::from_secs(seconds),
        ..fault(name, strike)
    }
}

const fn load(name: &'static str, place: Place, times: u32, then: Then) -> Fault {
    Fault {
        moods: MUSIC,
        ..fault(name, Strike::Load(place, times, then))
    }
}

const fn again(name: &'static str, which: Which, place: Place, times: u32, then: Then) -> Fault {
    fault(name, Strike::Links(which, Some((place, times, then))))
}

const fn music(name: &'static str, rig: Rig, strike: Strike) -> Fault {
    Fault {
        moods: MUSIC,
        rig,
        ..ours(name, strike)
    }
}

const fn heard(name: &'static str, strike: Strike) -> Fault {
    Fault {
        moods: MUSIC,
        ..fault(name, strike)
    }
}

const fn clock(name: &'static str, days: i64) -> Fault {
    Fault {
        slow: true,
        rig: Rig::Clock,
        ..ours(name, Strike::Clock(days))
    }
}

const BUSY: Then = Then::Status(503, None);
const WAIT: Then = Then::Status(429, Some(Duration::from_secs(1)));

use Which::{AccessPoint, All, Dealer};
use nix::sys::signal::Signal::{SIGABRT, SIGKILL, SIGSTOP, SIGTERM};

/// What the others are held to.
pub static NOTHING: Fault = music("nothing at all", Rig::Plain, Strike::Nothing);

pub static FAULTS: &[Fault] = &[
    fault("access point closed", Strike::Links(AccessPoint, None)),
    fault("dealer closed", Strike::Links(Dealer, None)),
    fault("every connection cut", Strike::Links(All, None)),
    again(
        "access point answers TryAnotherAP six times",
        AccessPoint,
        Place::ApLogin,
        6,
        Then::LoginError(TRY_ANOTHER),
    ),
    again(
        "access point closes the next three",
        AccessPoint,
        Place::ApConnect,
        3,
        Then::Drop,
    ),
    again(
        "access point silent once",
        AccessPoint,
        Place::ApConnect,
        1,
        Then::Stall,
    ),
    again(
        "access point talks nonsense once",
        AccessPoint,
        Place::ApConnect,
        1,
        Then::Garbage,
    ),
    again(
        "access point with a forged key once",
        AccessPoint,
        Place::ApConnect,
        1,
        Then::BadSignature,
    ),
    again(
        "access point list 503 three times",
        AccessPoint,
        Place::ApResolve,
        3,
        BUSY,
    ),
    again(
        "client token 503 twice",
        AccessPoint,
        Place::ClientToken,
        2,
        BUSY,
    ),
    again("login5 503 twice", AccessPoint, Place::Login5, 2, BUSY),
    again(
        "login5 429, wait a second",
        AccessPoint,
        Place::Login5,
        1,
        WAIT,
    ),
    again(
        "login5 talks nonsense once",
        AccessPoint,
        Place::Login5,
        1,
        Then::Garbage,
    ),
    again("dealer refused three times", Dealer, Place::Dealer, 3, BUSY),
    again("dealer silent once", Dealer, Place::Dealer, 1, Then::Stall),
    again(
        "connect-state 503 three times",
        Dealer,
        Place::ConnectState,
        3,
        BUSY,
    ),
    again(
        "connect-state 429, wait a second",
        Dealer,
        Place::ConnectState,
        1,
        WAIT,
    ),
    again(
        "connect-state hangs up twice",
        Dealer,
        Place::ConnectState,
        2,
        Then::Drop,
    ),
    again(
        "connect-state silent once",
        Dealer,
        Place::ConnectState,
        1,
        Then::Stall,
    ),
    fault("all tokens worthless", Strike::RevokedTokens),
    fault("Spotify gone for 3 s", Strike::Dark(3)),
    fault("line frozen for 3 s", Strike::Frozen(3)),
    slow("Spotify gone for 20 s", 60, Strike::Dark(20)),
    slow(
        "dealer refuses for a minute",
        70,
        Strike::Refused(Place::Dealer, 60),
    ),
    slow("access point half-open", 150, Strike::HalfOpen(AccessPoint)),
    slow("dealer half-open", 90, Strike::HalfOpen(Dealer)),
    load(
        "audio file 403 once",
        Place::Cdn,
        1,
        Then::Status(403, None),
    ),
    load(
        "audio file 404 once",
        Place::Cdn,
        1,
        Then::Status(404, None),
    ),
    load("audio file 429, wait a second", Place::Cdn, 1, WAIT),
    load("audio file 503 twice", Place::Cdn, 2, BUSY),
    load(
        "audio file cut short",
        Place::Cdn,
        1,
        Then::Truncate(10_000),
    ),
    load("audio file never comes", Place::Cdn, 1, Then::Stall),
    load(
        "audio file hangs half way",
        Place::Cdn,
        1,
        Then::Body(Spoilt::HangAfter(20_000)),
    ),
    load(
        "audio file at a byte a second",
        Place::Cdn,
        1,
        Then::Body(Spoilt::Trickle(1)),
    ),
    load(
        "audio file as a whole",
        Place::Cdn,
        1,
        Then::Body(Spoilt::Whole),
    ),
    load(
        "audio file of a wrong place",
        Place::Cdn,
        1,
        Then::Body(Spoilt::WrongRange),
    ),
    load(
        "storage-resolve empty once",
        Place::Storage,
        1,
        Then::Body(Spoilt::Empty),
    ),
    load("storage-resolve 503 twice", Place::Storage, 2, BUSY),
    load(
        "storage-resolve silent once",
        Place::Storage,
        1,
        Then::Stall,
    ),
    load("metadata 503 once", Place::Metadata, 1, BUSY),
    load("metadata silent once", Place::Metadata, 1, Then::Stall),
    load(
        "audio key after 3 s",
        Place::AudioKey,
        1,
        Then::Delay(Duration::from_secs(3)),
    ),
    load("audio key refused once", Place::AudioKey, 1, Then::Refuse),
    load("audio key never comes", Place::AudioKey, 1, Then::Stall),
    load("context 503 once", Place::Context, 1, BUSY),
    ours("engine SIGKILL", Strike::Engine(SIGKILL)),
    ours("engine SIGABRT", Strike::Engine(SIGABRT)),
    ours("engine SIGTERM", Strike::Engine(SIGTERM)),
    ours("engine calls exit(1)", Strike::Exit),
    music(
        "engine's player panics",
        Rig::Plain,
        Strike::Panic("siskin::player::deck::Deck::pump"),
    ),
    fault(
        "librespot panics over a packet cut short",
        Strike::CutPacket,
    ),
    Fault {
        slow: true,
        bound: Duration::from_secs(40),
        ..ours("engine SIGSTOP", Strike::Engine(SIGSTOP))
    },
    ours("daemon SIGKILL, started again", Strike::Daemon),
    ours("settings read again", Strike::Reload),
    fault("a guest with a Free account", Strike::Guest("fred", true)),
    fault(
        "a guest with a wrong password",
        Strike::Guest("alex", false),
    ),
    fault("ten phones at once", Strike::TenPhones),
    fault("hostile requests", Strike::Hostile),
    fault("a hundred open connections", Strike::Crowd),
    fault(
        "address goes and comes back",
        Strike::Network(
            &[
                "ip address del 10.77.0.1/24 dev lo",
                "ip address add 10.77.0.1/24 dev lo",
            ],
            2,
        ),
    ),
    fault(
        "address changes",
        Strike::Network(
            &[
                "ip address add 10.77.0.9/25 dev lo",
                "ip address del 10.77.0.1/24 dev lo",
                "ip address add 10.77.0.1/24 dev lo",
                "ip address del 10.77.0.9/25 dev lo",
            ],
            1,
        ),
    ),
    fault(
        "another interface comes and goes",
        Strike::Network(
            &[
                "ip link add other type veth peer name far",
                "ip address add 10.78.0.1/24 dev other",
                "ip link set other up",
                "ip link del other",
            ],
            1,
        ),
    ),
    fault(
        "link down for 3 s",
        Strike::Network(
            &[
                "ip link set lo down",
                "ip link set lo up",
                "ip route replace 224.0.0.0/4 dev lo",
            ],
            3,
        ),
    ),
    fault(
        "DHCP gives another network",
        Strike::Network(
            &[
                "ip address add 10.88.0.5/24 dev lo",
                "ip address del 10.77.0.1/24 dev lo",
                "ip address del 10.88.0.5/24 dev lo",
                "ip address add 10.77.0.1/24 dev lo",
            ],
            2,
        ),
    ),
    fault(
        "another interface stays",
        Strike::Network(
            &[
                "-ip link del other",
                "ip link add other type veth peer name far",
                "ip address add 10.78.0.1/24 dev other",
                "ip link set far up",
                "ip link set other up",
            ],
            0,
        ),
    ),
    fault(
        "multicast blocked for 10 s",
        Strike::Firewall("udp dport 5353 drop", 10),
    ),
    slow(
        "our port blocked for 10 s",
        40,
        Strike::Firewall("tcp dport != 0 ip daddr 10.77.0.1 drop", 10),
    ),
    slow("nothing gets through for 20 s", 60, Strike::Blackhole(20)),
    slow(
        "nothing gets through for 2 minutes",
        120,
        Strike::Blackhole(120),
    ),
    slow(
        "default route gone for 2 minutes",
        120,
        Strike::NoRoute(120),
    ),
    fault("avahi started beside us", Strike::Avahi(1)),
    fault("avahi started and stopped", Strike::Avahi(2)),
    fault("avahi restarted", Strike::Avahi(3)),
    ours("state folder full", Strike::Folder(Folder::Full)),
    ours("state folder read-only", Strike::Folder(Folder::ReadOnly)),
    Fault {
        moods: &[Idle],
        ..ours("state folder damaged, started again", Strike::Damaged)
    },
    heard("reader of the pipe gone for 3 s", Strike::Deaf(true, 3)),
    heard("pipe blocked for 5 s", Strike::Deaf(false, 5)),
    music(
        "sound card unplugged for 3 s",
        Rig::Card,
        Strike::Card(Card::Gone, 3),
    ),
    music(
        "sound card busy for 3 s",
        Rig::Card,
        Strike::Card(Card::Busy, 3),
    ),
    music(
        "sound card with errors for 3 s",
        Rig::Card,
        Strike::Card(Card::Eio, 3),
    ),
    music(
        "sound card stalled for 5 s",
        Rig::Card,
        Strike::Card(Card::Stall, 5),
    ),
    music(
        "sound card hangs for 5 s",
        Rig::Card,
        Strike::Card(Card::Hang, 5),
    ),
    clock("clock set on by a year", 365),
    clock("clock set back by a year", -365),
    clock("clock set back by ten years", -3_650),
];
