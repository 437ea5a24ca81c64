//! The page for people, in a real browser, and the files that it is made of.

use std::path::{Path, PathBuf};

use serde_json::json;
use spotify_sim::{Controller, SimOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    ask::{ask, siskin, status_says},
    browser::Browser,
    http::{answers, get, listening, token},
    lan::{NULL, plays},
    world::{PATIENCE, World, scenario, scenario_on, shows},
};

/// What is seen is kept, for people to look at.
fn picture(name: &str) -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("target");
    target.join("screenshots").join(format!("{name}.png"))
}

/// A head and what follows it, as text.
async fn raw(port: u16, route: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port))
        .await
        .expect("it listens");
    let request =
        format!("GET {route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("taken");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_page_is_open_to_all_and_what_it_shows_is_not() {
    scenario(async |world| {
        let (daemon, port) = listening(&world).await;
        let page = raw(port, "/", "").await;
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
        let head = page.to_lowercase();
        for rule in [
            "content-type: text/html",
            "content-security-policy: default-src 'none'; script-src 'self'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-cache",
            "etag: \"",
        ] {
            assert!(head.contains(rule), "{rule}: {head}");
        }
        let tag = head
            .split("etag: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next());
        let known = format!("If-None-Match: {}\r\n", tag.expect("a tag"));
        assert!(raw(port, "/", &known).await.starts_with("HTTP/1.1 304"));
        assert!(
            raw(port, "/web/app.js", "")
                .await
                .starts_with("HTTP/1.1 200")
        );
        for closed in [
            "/web/../Cargo.toml",
            "/web/nothing",
            "/api/v1/status",
            "/web",
        ] {
            let answer = raw(port, closed, "").await;
            assert!(answer.starts_with("HTTP/1.1 401"), "{closed}: {answer}");
        }
        let foreign = get(port, "/", "Host: evil.example\r\n").await;
        assert_eq!(foreign.0, 421, "not even the page, for other names");

        let link = siskin(&world, &["token", "--link"]).await;
        let token = token(&world).await;
        let expected = format!("http://127.0.0.1:{port}/#token={token}");
        assert_eq!(link.out.trim(), expected);
        daemon.stop().await;

        // Switched off, there is nothing of it.
        let http = format!("[http]\nlisten = \"127.0.0.1:{port}\"\npage = false\n");
        let _daemon = world.start(&world.settings(&(http + NULL)));
        answers(port).await;
        assert!(raw(port, "/", "").await.starts_with("HTTP/1.1 401"));
        let known = format!("Authorization: Bearer {token}\r\n");
        assert!(raw(port, "/", &known).await.starts_with("HTTP/1.1 404"));
        let link = siskin(&world, &["token", "--link"]).await;
        assert_eq!(link.code, Some(1));
        assert!(link.err.contains("http.page"), "{link:?}");
    });
}

/// Covers that the simulation was asked for.
fn covers_fetched(world: &World) -> usize {
    let all = world.sim.record().all();
    all.iter()
        .filter(|entry| entry.text.contains("GET /image/"))
        .count()
}

#[test]
fn a_cover_is_fetched_when_somebody_asks_and_then_kept() {
    scenario(async |world| {
        let _daemon = world.start(&world.settings(NULL));
        let cover = "/api/v1/speakers/main/cover?size=medium";
        status_says(&world, "Kitchen").await;
        let none = ask(&world, "GET", cover, None).await;
        assert_eq!((none.status, none.code()), (404, "no_cover"));
        let app = plays(&world, "kim", "Dozen").await;
        assert_eq!(covers_fetched(&world), 0, "nobody has asked");
        let ten = (0..10).map(|_| ask(&world, "GET", cover, None));
        for answer in futures_util::future::join_all(ten).await {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert!(
                answer.head.contains("content-type: image/png"),
                "{}",
                answer.head
            );
            assert!(answer.head.contains("nosniff"), "{}", answer.head);
        }
        assert_eq!(covers_fetched(&world), 1, "ten asked, one went");
        let other = ask(&world, "GET", &format!("{cover}&of=spotify:track:x"), None).await;
        assert_eq!((other.status, other.code()), (404, "no_cover"));
        let strange = ask(
            &world,
            "GET",
            "/api/v1/speakers/main/cover?size=../../",
            None,
        )
        .await;
        assert_eq!(strange.status, 404);

        let next = app.state().next;
        let names = format!(
            "/api/v1/speakers/main/tracks?uri={}&uri={}",
            next[0], next[1]
        );
        let named = ask(&world, "GET", &names, None).await;
        let titles = |at: usize| {
            named.json["tracks"][at]["title"]
                .as_str()
                .map(str::to_owned)
        };
        let expected = |at: usize| {
            world
                .sim
                .catalogue()
                .track(&next[at])
                .map(|track| track.title.clone())
        };
        assert_eq!(
            (titles(0), titles(1)),
            (expected(0), expected(1)),
            "{named:?}"
        );
        for bad in ["", "?uri=spotify:album:4uLU6hMCjMI75M1A2tKUQC", "?uri=x"] {
            let answer = ask(
                &world,
                "GET",
                &format!("/api/v1/speakers/main/tracks{bad}"),
                None,
            )
            .await;
            assert_eq!(answer.status, 422, "{bad}");
        }
        // What cannot be had now is said, and costs the music nothing.
        world.sim.freeze();
        let late = ask(&world, "GET", &names.replace(&next[1], &next[2]), None).await;
        world.sim.thaw();
        assert!(
            late.status == 200 && late.json["tracks"][1].is_null() || late.status == 503,
            "{late:?}"
        );
        assert!(app.state().playing);
    });
}

/// Every size and both colours of what is seen now.
async fn pictures(browser: &Browser, what: &str) {
    for colours in ["light", "dark"] {
        for (name, width, height) in [
            ("phone", 390, 844),
            ("desktop", 1280, 800),
            ("kiosk", 480, 320),
        ] {
            browser.screen(width, height, colours).await;
            let fits = "document.documentElement.scrollWidth <= innerWidth";
            browser.until(&format!("{what} fits a {name}"), fits).await;
            browser
                .keep(&picture(&format!("{what}-{name}-{colours}")))
                .await;
        }
    }
    browser.screen(1280, 800, "light").await;
}

async fn comes_in(world: &World, browser: &Browser, port: u16) {
    browser.open(&format!("http://127.0.0.1:{port}/")).await;
    browser.says("#unlock", "needs a token").await;
    pictures(browser, "door").await;
    browser.type_into("#token", "0123").await;
    browser.click("#unlock button").await;
    browser.says("#wrong", "not the one").await;
    let token = token(world).await;
    browser.open("about:blank").await;
    browser
        .open(&format!("http://127.0.0.1:{port}/#token={token}"))
        .await;
    browser.says("#name", "Kitchen").await;
    browser
        .until(
            "the page is seen",
            "!document.getElementById('main').hidden",
        )
        .await;
    let address = browser.value("location.href").await;
    assert_eq!(
        address,
        format!("http://127.0.0.1:{port}/"),
        "no token on the screen"
    );
    // It is asked for once.
    browser.open(&format!("http://127.0.0.1:{port}/")).await;
    browser.says("#name", "Kitchen").await;
    browser
        .until(
            "the page is seen",
            "!document.getElementById('main').hidden",
        )
        .await;
}

async fn plays_by_the_page(browser: &Browser, app: &Controller) {
    let title = app.state().title;
    browser.says("#title", &title).await;
    browser
        .until(
            "a cover",
            "document.querySelector('#cover img').naturalWidth > 100",
        )
        .await;
    browser
        .until(
            "a colour of it",
            "document.documentElement.style.getPropertyValue('--tint')",
        )
        .await;
    let gone = browser
        .value("document.querySelector('#gone').textContent")
        .await;
    browser
        .until(
            "progress moves",
            &format!("document.querySelector('#gone').textContent != {gone}"),
        )
        .await;
    browser.says("#lists .current", &title).await;
    browser.until("names of what comes", "document.querySelectorAll('#lists .line .title').length > 5 && \
        ![...document.querySelectorAll('#lists .line .title')].some((one) => one.textContent == '…')").await;
    pictures(browser, "playing").await;

    browser.click("#toggle").await;
    shows(app, "a pause by the page", |state| state.paused).await;
    browser
        .until(
            "a button to play",
            "document.querySelector('#toggle').ariaLabel == 'Play'",
        )
        .await;
    browser.click("#toggle").await;
    shows(app, "that it plays on", |state| state.playing).await;
    browser.click("#next").await;
    shows(app, "the next track", |state| state.title != title).await;
    browser.says("#title", &app.state().title).await;
    browser.says("#said", &app.state().title).await;
    browser.click("#shuffle").await;
    shows(app, "shuffle", |state| state.shuffle).await;
    browser
        .until(
            "it is on",
            "document.querySelector('#shuffle').ariaPressed == 'true'",
        )
        .await;
    browser.click("#repeat").await;
    shows(app, "repeat", |state| state.repeat_context).await;

    browser.drag("#volume", 0.75).await;
    let near = |volume: u16| (0.70..0.80).contains(&(f64::from(volume) / 65_535.0));
    shows(app, "three quarters", |state| {
        state.volume.is_some_and(near)
    })
    .await;
    browser.click("#mute").await;
    shows(app, "silence", |state| state.volume == Some(0)).await;
    browser.click("#mute").await;
    shows(app, "what it was", |state| state.volume.is_some_and(near)).await;
    let half = app.state().duration_ms / 2;
    browser.drag("#seek", 0.5).await;
    shows(app, "the middle", |state| {
        (state.position_ms - half).abs() < half / 2
    })
    .await;
    // By keyboard, and said to screen readers.
    browser.value("document.activeElement.blur()").await;
    browser.type_into("body", " ").await;
    shows(app, "a pause by the space bar", |state| state.paused).await;
    let said = browser
        .value("document.querySelector('#seek').getAttribute('aria-valuetext')")
        .await;
    assert!(
        said.as_str().is_some_and(|said| said.contains(" of ")),
        "{said}"
    );
    let nameless = "[...document.querySelectorAll('button, input, select')].filter((one) => \
        one.checkVisibility() && !(one.ariaLabel || one.textContent.trim() || one.labels?.length)).map((one) => one.outerHTML)";
    assert_eq!(
        browser.value(nameless).await,
        json!([]),
        "everything has a name"
    );
}

async fn signs_in_and_forgets(world: &World, browser: &Browser) {
    let listener = world.sim.authorization();
    browser.click("#views [data-view=people]").await;
    browser.says("#accounts", "Kim").await;
    browser.click("#pairing button").await;
    let code = listener.code(PATIENCE).await.expect("a code");
    browser.says("#code", &code).await;
    browser
        .until(
            "a QR code",
            "document.querySelector('#qr').naturalWidth > 0",
        )
        .await;
    browser.says("#countdown", ":").await;
    pictures(browser, "pairing").await;
    listener.approve(&code, "alex");
    browser.says("#pairing", "Alex is signed in").await;
    browser.says("#accounts", "Alex").await;
    pictures(browser, "people").await;
    browser.click("#accounts [data-does='forget alex']").await;
    browser.says("#dialog", "Forget Alex?").await;
    browser.keep(&picture("forget-desktop-light")).await;
    browser.click("#dialog .quiet").await;
    browser.says("#accounts", "Alex").await;
    browser.click("#accounts [data-does='forget alex']").await;
    browser.click("#dialog .danger").await;
    let gone = "!document.querySelector('#accounts').textContent.includes('Alex')";
    browser.until("Alex is forgotten", gone).await;
    let kept = ask(world, "GET", "/api/v1/accounts", None).await;
    assert!(!kept.json.to_string().contains("alex"), "{}", kept.json);
}

#[test]
fn a_listener_does_everything_in_a_browser() {
    scenario(async |world| {
        let (daemon, port) = listening(&world).await;
        let browser = Browser::start(&world).await;
        comes_in(&world, &browser, port).await;
        pictures(&browser, "nobody").await;
        let app = plays(&world, "kim", "Dozen").await;
        plays_by_the_page(&browser, &app).await;
        browser.click("#views [data-view=speaker]").await;
        browser.says("#conditions", "Nothing is wrong").await;
        browser.says("#layers", "Announced on the network").await;
        pictures(&browser, "speaker").await;
        signs_in_and_forgets(&world, &browser).await;

        // What was fetched so far was fetched without complaint; only the wrong token was refused.
        let log = browser.log().await;
        let odd: Vec<_> = log.iter().filter(|line| !line.contains("401")).collect();
        assert!(odd.is_empty(), "{odd:#?}");

        daemon.stop().await;
        browser.says("#away", "Kitchen is away").await;
        let inert = browser.value("document.querySelector('#main').inert").await;
        assert_eq!(inert, true, "nobody presses what nobody hears");
        pictures(&browser, "away").await;
        let settings = std::fs::read_to_string(world.dir().join("config.toml")).expect("there");
        let _daemon = world.start(&settings);
        browser
            .until("it is back", "document.body.dataset.link == 'up'")
            .await;
        let shown = browser
            .value("document.querySelector('#away').hidden")
            .await;
        assert_eq!(shown, true);
    });
}

#[test]
fn what_spotify_does_not_allow_cannot_be_pressed_and_says_why() {
    let options = SimOptions {
        forbidden: ["disallow_skipping_next_reasons", "disallow_seeking_reasons"]
            .map(|key| ("Dozen".into(), key.into()))
            .into(),
        ..SimOptions::default()
    };
    scenario_on(options, async |world| {
        let (_daemon, port) = listening(&world).await;
        let browser = Browser::start(&world).await;
        comes_in(&world, &browser, port).await;
        plays(&world, "kim", "Dozen").await;
        for id in ["next", "seek"] {
            let told = format!(
                "document.querySelector('#{id}').disabled && \
                 document.querySelector('#{id}').title.includes('license')"
            );
            browser.until("it cannot be pressed", &told).await;
        }
        for id in ["toggle", "previous", "shuffle", "repeat"] {
            let free = format!("!document.querySelector('#{id}').disabled");
            browser.until("it can be pressed", &free).await;
        }
    });
}

#[test]
fn a_sleep_timer_is_set_with_its_fade_and_taken_back() {
    scenario(async |world| {
        let (_daemon, port) = listening(&world).await;
        let browser = Browser::start(&world).await;
        comes_in(&world, &browser, port).await;
        plays(&world, "kim", "Dozen").await;
        browser.click("#views [data-view=speaker]").await;
        browser
            .until(
                "it can be set",
                "!document.querySelector('#sleep').disabled",
            )
            .await;
        let choose = async |id: &str, value: &str| {
            let chosen = format!(
                "(() => {{ const it = document.querySelector('#{id}'); it.value = '{value}'; \
                 it.dispatchEvent(new Event('change')); return it.value; }})()"
            );
            assert_eq!(browser.value(&chosen).await, value);
        };
        let fades = async |ms: u64| {
            let end = std::time::Instant::now() + PATIENCE;
            loop {
                let told = ask(&world, "GET", "/api/v1/speakers/main", None).await;
                if told.json["playback"]["sleep_fade_ms"] == ms {
                    return told.json["playback"]["sleep"].clone();
                }
                assert!(std::time::Instant::now() < end, "{}", told.json);
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        choose("fade", "120").await;
        choose("sleep", "30").await;
        assert!(fades(120_000).await["at"]["unix_ms"].is_number());
        browser.says("#sleep", "fades for 2 min").await;
        // Another fade for the timer that runs.
        choose("fade", "20").await;
        assert!(fades(20_000).await["at"]["unix_ms"].is_number());
        choose("sleep", "off").await;
        assert_eq!(fades(0).await, "off");
    });
}

#[test]
fn a_listener_has_the_doctor_look_and_gives_the_speaker_another_name() {
    scenario(async |world| {
        let (_daemon, port) = listening(&world).await;
        let browser = Browser::start(&world).await;
        let app = plays(&world, "kim", "Dozen").await;
        let token = token(&world).await;
        let address = format!("http://127.0.0.1:{port}/#token={token}");
        browser.open(&address).await;
        browser.says("#name", "Kitchen").await;
        browser.click("#views [data-view=speaker]").await;
        browser.says("#own", "Kitchen").await;
        browser.says("#output", "As configured").await;
        browser.says("#facts", "Ogg Vorbis").await;

        // With the keyboard alone; on a phone, nothing of it is behind the bar at the foot.
        browser.screen(390, 600, "light").await;
        browser
            .value("document.getElementById('examine').focus()")
            .await;
        let seen = "document.querySelector('#examine').getBoundingClientRect().bottom \
            <= document.querySelector('#views').getBoundingClientRect().top";
        browser.until("the button is seen", seen).await;
        browser.screen(1280, 800, "light").await;
        browser
            .value("document.getElementById('examine').focus()")
            .await;
        browser.type_into("#examine", "\u{E007}").await;
        let busy = "document.querySelector('#examine').getAttribute('aria-busy') == 'true'";
        browser.until("it takes a while", busy).await;
        browser.says("#examines", "Looking").await;
        browser.says("#examines", "found nothing wrong").await;
        browser
            .says("#findings summary", "What was looked at")
            .await;
        browser.click("#findings summary").await;
        browser
            .says("#findings details[open]", "login5.spotify.com is reached")
            .await;
        let role = browser
            .value("document.querySelector('#examines').getAttribute('role')")
            .await;
        assert_eq!(role, "status", "ears hear of it");
        let focused = browser.value("document.activeElement.id").await;
        assert!(!focused.is_null(), "{focused}");
        pictures(&browser, "doctor").await;

        browser.click("#rename").await;
        browser
            .says("#dialog", "What is Kitchen to be called?")
            .await;
        browser
            .value("document.querySelector('#dialog input').value = ''")
            .await;
        browser
            .type_into("#dialog input", "Den & <b>Bar</b>\u{E007}")
            .await;
        browser.says("#own", "Den & <b>Bar</b>").await;
        browser.says("#name", "Den & <b>Bar</b>").await;
        browser.says("#said", "It is called Den").await;
        app.wait_for_device("Den & <b>Bar</b>", PATIENCE)
            .await
            .expect("the picker shows it");
        assert!(app.state().playing, "the music goes on");
        browser.click("#rename").await;
        browser.click("#dialog .quiet").await;
        browser.says("#own", "Den").await;
        browser.click("#rename").await;
        browser
            .value("document.querySelector('#dialog input').value = ''")
            .await;
        browser.click("#dialog button[value=yes]").await;
        browser.says("#own", "Kitchen").await;
        let log = browser.log().await;
        assert!(log.is_empty(), "{log:#?}");
    });
}

#[test]
fn what_is_wrong_is_shown_with_its_cure_and_a_second_doctor_is_not_let_in() {
    scenario(async |world| {
        let (_daemon, port) = listening(&world).await;
        let browser = Browser::start(&world).await;
        let token = token(&world).await;
        let address = format!("http://127.0.0.1:{port}/#token={token}");
        browser.open(&address).await;
        browser.says("#name", "Kitchen").await;
        browser.click("#views [data-view=speaker]").await;
        browser.screen(1280, 800, "light").await;
        // Nobody answers for Spotify: the doctor waits for that, and somebody else asks meanwhile.
        world.sim.freeze();
        browser.click("#examine").await;
        browser.says("#examines", "Looking").await;
        let other = ask(&world, "POST", "/api/v1/doctor", Some(json!({}))).await;
        assert_eq!((other.status, other.code()), (409, "conflict"));
        browser
            .says("#findings .condition.trouble", "Spotify")
            .await;
        browser.says("#examines", "wrong").await;
        let cure = "[...document.querySelectorAll('#findings .trouble .cure')].every((one) => one.textContent.length > 10)";
        browser.until("cures", cure).await;
        browser
            .says("#findings [data-code=output_null]", "makes no sound")
            .await;
        world.sim.thaw();
        pictures(&browser, "doctor-trouble").await;
    });
}
