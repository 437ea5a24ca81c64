//! Ours with every face on: what it costs, and how fast an order through one of them is.

use std::{
    fs,
    net::{self, Ipv4Addr},
    os::unix,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpStream, UnixStream},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};

use super::{
    Result,
    process::memory_mb,
    stage::{Guest, PATIENCE, Stage},
    table::{Figures, Row},
};
use crate::receiver::Binary;

/// On a stage of its own, every port is free.
const BROKER: u16 = 1883;
const PAGE: u16 = 7070;
/// Until what a start has stirred up has settled.
const REST: Duration = Duration::from_millis(2500);
/// Of music between two pauses.
const MUSIC: Duration = Duration::from_millis(700);
/// Orders for each pause: they are much shorter.
const ORDERS: usize = 5;

/// Memory before a handoff, then orders through the socket while music plays.
pub async fn measure(stage: &Stage, binary: &Binary, rounds: usize) -> Result<Figures> {
    let mut figures = Figures::default();
    let folder = tempfile::tempdir()?;
    let servers = Servers::start(folder.path()).await?;
    let (env, sections) = servers.settings(folder.path());
    let mut guest = stage.start_unasked_with(binary, env, sections).await?;
    if let Err(why) = is_up(&guest).await {
        return Err(guest.explain(&why.to_string()).into());
    }
    let socket = guest.receiver.state_folder().join("siskin.sock");
    for path in ["/metrics", "/api/v1/status"] {
        let (status, _) = Line::open(&socket).await?.ask("GET", path, "").await?;
        if status != 200 {
            return Err(format!("{path} was answered {status}").into());
        }
    }
    page().await?;
    let mut reader = Reader::open(&socket).await?;
    tokio::time::sleep(REST).await;
    let memory = memory_mb(&guest.receiver.pids())?;
    figures.add(Row::MemoryFaces, binary.kind, memory);

    let handoff = stage.hand_over(&guest).await?;
    guest.play(&handoff.app, &stage.road().uri()).await?;
    let mut line = Line::open(&socket).await?;
    for round in 0..rounds {
        tokio::time::sleep(MUSIC).await;
        let took = guest.falls_silent(line.order("pause", "{}")).await?;
        figures.add(Row::OrderSilence, binary.kind, took.as_secs_f64() * 1e3);
        line.order("play", "{}").await?;
        for turn in 0..ORDERS {
            let percent = 20 + (round * ORDERS + turn) % 60;
            let body = format!("{{\"percent\":{percent}}}");
            let sent = Instant::now();
            line.order("volume", &body).await?;
            let told = reader.is_told(percent).await?;
            let took = told.saturating_duration_since(sent);
            figures.add(Row::OrderEcho, binary.kind, took.as_secs_f64() * 1e3);
        }
    }
    drop(reader);
    stage.leave(guest).await?;
    Ok(figures)
}

/// Opens the page as a browser does.
async fn page() -> Result<()> {
    for path in ["/", "/web/app.js"] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, PAGE)).await?;
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        if !answer.starts_with(b"HTTP/1.1 200") {
            return Err(format!("{path} is not there").into());
        }
    }
    Ok(())
}

/// Waits until it is on all of them.
async fn is_up(guest: &Guest) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    for words in ["connected to the MQTT broker", "is on the session bus"] {
        while !guest.receiver.log().contains(words) {
            if Instant::now() > until {
                return Err(format!("it never said “{words}”").into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    Ok(())
}

/// A broker and a bus. Dropped, they are killed.
struct Servers(Vec<Child>);

impl Servers {
    async fn start(folder: &Path) -> Result<Self> {
        let mut servers = Self(Vec::new());
        let broker = folder.join("mosquitto.conf");
        let text = format!(
            "listener {BROKER} 127.0.0.1\nuser root\npersistence false\nallow_anonymous true\n"
        );
        fs::write(&broker, text)?;
        servers.run(Command::new("mosquitto").arg("-c").arg(broker))?;
        let bus = folder.join("bus.conf");
        let text = format!(
            "<busconfig>\n<type>session</type>\n<listen>unix:path={}</listen>\n\
             <auth>EXTERNAL</auth>\n<policy context=\"default\">\n<allow send_destination=\"*\"/>\
             <allow receive_sender=\"*\"/><allow own=\"*\"/>\n</policy>\n</busconfig>\n",
            Self::bus(folder).display()
        );
        fs::write(&bus, text)?;
        let config = format!("--config-file={}", bus.display());
        servers.run(Command::new("dbus-daemon").args(["--nofork", "--nopidfile", &config]))?;
        let until = Instant::now() + PATIENCE;
        while net::TcpStream::connect((Ipv4Addr::LOCALHOST, BROKER)).is_err()
            || unix::net::UnixStream::connect(Self::bus(folder)).is_err()
        {
            if Instant::now() > until {
                return Err("mosquitto and dbus-daemon do not listen".into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(servers)
    }

    fn run(&mut self, command: &mut Command) -> Result<()> {
        let name = command.get_program().to_string_lossy().into_owned();
        let command = command.stdin(Stdio::null()).stdout(Stdio::null());
        let started = command.stderr(Stdio::null()).spawn();
        let missing = |why| format!("{name} does not start ({why}): scripts/setup.sh test");
        self.0.push(started.map_err(missing)?);
        Ok(())
    }

    fn bus(folder: &Path) -> PathBuf {
        folder.join("bus")
    }

    /// Environment and configuration of a receiver that uses them, and everything else there is.
    fn settings(&self, folder: &Path) -> (Vec<(String, String)>, String) {
        let address = format!("unix:path={}", Self::bus(folder).display());
        let env = vec![("DBUS_SESSION_BUS_ADDRESS".to_owned(), address)];
        let pipe = serde_json::Value::from(folder.join("metadata").to_string_lossy());
        let sections = format!(
            "[http]\nlisten = \"127.0.0.1:{PAGE}\"\n[mpris]\nbus = \"session\"\n\
             [mqtt]\nbroker = \"mqtt://127.0.0.1:{BROKER}\"\n[metadata]\npipe = {pipe}\n\
             [[hook]]\non = [\"playing\", \"paused\", \"volume\"]\nrun = [\"/bin/true\"]\n"
        );
        (env, sections)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // Fails only where there is nothing left to kill or to wait for.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One connection, for one question after the other.
struct Line(BufReader<UnixStream>);

impl Line {
    async fn open(socket: &Path) -> Result<Self> {
        Ok(Self(BufReader::new(UnixStream::connect(socket).await?)))
    }

    /// Gives an order that has to be obeyed.
    async fn order(&mut self, what: &str, body: &str) -> Result<()> {
        let path = format!("/api/v1/speakers/main/{what}");
        match self.ask("POST", &path, body).await? {
            (200, _) => Ok(()),
            (status, told) => Err(format!("{what} was answered {status}: {told}").into()),
        }
    }

    async fn ask(&mut self, method: &str, path: &str, body: &str) -> Result<(u16, String)> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: siskin\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.write_all(request.as_bytes()).await?;
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await?;
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(number) = line.strip_prefix("content-length: ") {
                length = number.parse()?;
            } else if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().unwrap_or_default().parse()?;
            } else if line.is_empty() {
                break;
            }
        }
        let mut told = vec![0; length];
        self.0.read_exact(&mut told).await?;
        Ok((status, String::from_utf8_lossy(&told).into_owned()))
    }
}

/// Somebody who reads the events.
struct Reader {
    /// When which level was told.
    levels: mpsc::Receiver<(Instant, usize)>,
    task: JoinHandle<()>,
}

impl Reader {
    async fn open(socket: &Path) -> Result<Self> {
        let mut wire = UnixStream::connect(socket).await?;
        let request = b"GET /api/v1/events HTTP/1.1\r\nHost: siskin\r\n\r\n";
        wire.write_all(request).await?;
        let mut lines = BufReader::new(wire).lines();
        let (tell, levels) = mpsc::channel(1024);
        let task = tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let now = Instant::now();
                let found = line.split_once("\"volume_percent\":").map(|(_, rest)| rest);
                let digits = found.and_then(|rest| rest.split([',', '}']).next());
                if let Some(level) = digits.and_then(|digits| digits.parse().ok())
                    && tell.send((now, level)).await.is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { levels, task })
    }

    /// When it was told of this level.
    async fn is_told(&mut self, percent: usize) -> Result<Instant> {
        let told = async {
            while let Some((at, level)) = self.levels.recv().await {
                if level == percent {
                    return Some(at);
                }
            }
            None
        };
        let told = timeout(PATIENCE, told).await.ok().flatten();
        told.ok_or_else(|| format!("nobody was told of {percent} %").into())
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}
