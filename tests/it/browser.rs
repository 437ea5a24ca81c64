//! A real browser without a window, told what to do in WebDriver's words.

use std::{
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::world::{PATIENCE, World};

/// What WebDriver calls an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// A browser that starts on a busy machine.
const START: Duration = Duration::from_secs(60);

/// Dropped, it is killed, and the browser with it.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts a browser in this world's network, with nothing in its memory.
    pub async fn start(world: &World) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .env("HOME", world.dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("chromedriver starts: scripts/setup.sh test installs it");
        let said = driver.stdout.take().expect("piped");
        let port = tokio::task::spawn_blocking(move || {
            let lines = BufReader::new(said).lines().map_while(Result::ok);
            let mut words = lines.filter(|line| line.contains("started successfully"));
            let line = words.next()?;
            line.trim_end_matches('.').rsplit(' ').next()?.parse().ok()
        });
        let port = port.await.expect("read").expect("it says its port");
        let mut browser = Self {
            driver,
            port,
            session: String::new(),
        };
        let profile = world.dir().join("browser");
        let arguments = [
            "--headless=new".to_owned(),
            // The tests are root in their namespace.
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--hide-scrollbars".to_owned(),
            "--no-first-run".to_owned(),
            format!("--user-data-dir={}", profile.display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let made = browser.send("POST", "/session", wanted).await;
        let id = made["sessionId"].as_str().expect("a session");
        browser.session = format!("/session/{id}");
        browser
    }

    /// One order to the driver, and its answer.
    async fn send(&self, method: &str, path: &str, body: Value) -> Value {
        let answer = self.try_send(method, path, body.clone()).await;
        answer.unwrap_or_else(|why| panic!("{method} {path} {body}: {why}"))
    }

    async fn try_send(&self, method: &str, path: &str, body: Value) -> Result<Value, String> {
        let body = if method == "GET" {
            String::new()
        } else {
            body.to_string()
        };
        let asked = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let exchange = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await?;
            stream.write_all(asked.as_bytes()).await?;
            let mut answer = Vec::new();
            // The driver does not hang up by itself.
            while !is_whole(&answer) && stream.read_buf(&mut answer).await? > 0 {}
            Ok::<_, std::io::Error>(String::from_utf8_lossy(&answer).into_owned())
        };
        let answer = timeout(START, exchange).await.map_err(|_| "no answer")?;
        let answer = answer.map_err(|error| error.to_string())?;
        let (_, text) = answer.split_once("\r\n\r\n").ok_or("no body")?;
        let mut told: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let value = told["value"].take();
        match value["error"].is_string() {
            true => Err(value.to_string()),
            false => Ok(value),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.send("POST", &format!("{}{path}", self.session), body)
            .await
    }

    pub async fn open(&self, address: &str) {
        self.post("/url", json!({"url": address})).await;
    }

    /// What this expression is worth in the page.
    pub async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        self.post("/execute/sync", json!({"script": script, "args": []}))
            .await
    }

    /// Waits until the expression is true in the page.
    pub async fn until(&self, what: &str, expression: &str) {
        let end = Instant::now() + 2 * PATIENCE;
        while self.value(&format!("Boolean({expression})")).await != true {
            if Instant::now() >= end {
                let text = self.value("document.body.innerText").await;
                let log = self.log().await;
                panic!("never: {what} ({expression})\nthe page says {text}\nits log: {log:#?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until this element says these words.
    pub async fn says(&self, css: &str, words: &str) {
        let expression =
            format!("document.querySelector({css:?})?.textContent.includes({words:?})");
        self.until(&format!("{css} says {words}"), &expression)
            .await;
    }

    async fn element(&self, css: &str) -> String {
        let shown = format!("document.querySelector({css:?})?.checkVisibility()");
        self.until(&format!("{css} is there"), &shown).await;
        let wanted = json!({"using": "css selector", "value": css});
        let found = self.post("/element", wanted).await;
        found[ELEMENT].as_str().expect("an element").to_owned()
    }

    /// As a finger would: it must be seen and not covered.
    pub async fn click(&self, css: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            // A list that is drawn anew takes its elements with it.
            let element = self.element(css).await;
            let path = format!("{}/element/{element}/click", self.session);
            match self.try_send("POST", &path, json!({})).await {
                Ok(_) => return,
                Err(why) => assert!(Instant::now() < end, "{css}: {why}"),
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn type_into(&self, css: &str, text: &str) {
        let element = self.element(css).await;
        self.post(&format!("/element/{element}/value"), json!({"text": text}))
            .await;
    }

    /// Drags from the left end of a slider to this share of its width, in a few moves.
    pub async fn drag(&self, css: &str, share: f64) {
        let element = self.element(css).await;
        let width = self
            .value(&format!("document.querySelector({css:?}).clientWidth"))
            .await;
        let width = width.as_f64().expect("a width");
        let at = |share: f64| {
            let x = ((share - 0.5) * (width - 16.0)).round() as i64;
            json!({"type": "pointerMove", "duration": 20, "origin": {ELEMENT: element}, "x": x, "y": 0})
        };
        let (down, up) = (
            json!({"type": "pointerDown", "button": 0}),
            json!({"type": "pointerUp", "button": 0}),
        );
        let moves = [at(0.0), down, at(share / 2.0), at(share), up];
        let finger = json!({"type": "pointer", "id": "finger", "parameters": {"pointerType": "mouse"}, "actions": moves});
        self.post("/actions", json!({"actions": [finger]})).await;
    }

    /// An order to the browser itself, in the words of its own protocol.
    pub async fn tell(&self, what: &str, how: Value) {
        let order = json!({"cmd": what, "params": how});
        self.post("/goog/cdp/execute", order).await;
    }

    /// The screen, in dots of the page, and the colours that the system prefers.
    pub async fn screen(&self, width: u32, height: u32, colours: &str) {
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.tell("Emulation.setDeviceMetricsOverride", size).await;
        let features = json!([
            {"name": "prefers-color-scheme", "value": colours},
            // Nothing is half way when a picture is taken.
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.tell("Emulation.setEmulatedMedia", json!({"features": features}))
            .await;
    }

    /// Keeps what is seen as a PNG.
    pub async fn keep(&self, file: &Path) {
        let shot = self
            .send("GET", &format!("{}/screenshot", self.session), json!({}))
            .await;
        let bytes = BASE64
            .decode(shot.as_str().expect("base64"))
            .expect("base64");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, bytes).expect("written");
    }

    /// What the browser calls an error, since it was asked last.
    pub async fn log(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({"type": "browser"})).await;
        let lines = log.as_array().into_iter().flatten();
        let lines = lines.filter(|line| line["level"] == "SEVERE");
        lines.map(|line| line["message"].to_string()).collect()
    }
}

/// Whether an answer is as long as its head says.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, _)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let head_bytes = head.len() + 4;
    let head = head.to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"));
    let length = length.and_then(|length| length.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= head_bytes + length)
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser ends with its session; should the driver not listen, with the driver's group.
        let quit = || {
            use std::io::{Read as _, Write as _};
            let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            let asked = format!(
                "DELETE {} HTTP/1.1\r\nHost: localhost\r\n\r\n",
                self.session
            );
            stream.write_all(asked.as_bytes()).ok()?;
            stream.read(&mut [0; 64]).ok()
        };
        let _ = quit();
        let group = nix::unistd::Pid::from_raw(self.driver.id() as i32);
        let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
        let _ = self.driver.wait();
    }
}
