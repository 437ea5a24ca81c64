//! A speaker with every face it has, and somebody in front of each.

use serde_json::json;
use spotify_sim::{Controller, rigs::FakeDac};
use tokio::{
    net::{TcpListener, TcpStream, UnixStream},
    process::Child,
};

use super::{Face, eyes::Reader};
use crate::{
    ask::{ask, siskin, socket, status_says},
    broker::{Broker, Home, on_broker},
    browser::Browser,
    dbus::{BusDaemon, OPEN, Remote, SISKIN, bus_at},
    http,
    lan::plays,
    world::{Daemon, World},
};

/// The other device of the account, as the simulated app calls it.
pub const PHONE: &str = "kim's phone";

pub struct Stage {
    pub world: World,
    _daemon: Daemon,
    pub app: Controller,
    pub port: u16,
    pub token: String,
    pub readers: Vec<(Face, Reader)>,
    _broker: Broker,
    pub home: Home,
    _bus: BusDaemon,
    pub remote: Remote,
    pub page: Option<Browser>,
    /// A command that goes on.
    pub begun: Option<Child>,
}

impl Stage {
    /// Kim's speaker, which plays; its sound goes where `sound` says, to one of these cards.
    pub async fn set(world: World, sound: &str, cards: Option<&FakeDac>) -> Self {
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let broker = Broker::start(&world).await;
        let bus = BusDaemon::start(&world, OPEN).await;
        let faces = format!(
            "[http]\nlisten = \"127.0.0.1:{port}\"\n{sound}[mpris]\nbus = \"session\"\n{}",
            on_broker("")
        );
        let daemon = world.start_with(&world.settings(&faces), |command| {
            bus_at(&bus.address())(command);
            if let Some(cards) = cards {
                command.env("ALSA_CONFIG_PATH", cards.alsa_config());
            }
        });
        status_says(&world, "Kitchen").await;
        http::answers(port).await;
        let home = Home::enter().await;
        let remote = Remote::new(&bus, SISKIN).await;
        remote.finds().await;
        let token = siskin(&world, &["token"]).await.out.trim().to_owned();
        let app = plays(&world, "kim", "Dozen").await;
        // It is a device of the account once it has played.
        app.transfer_away().await.expect("an answer");
        let route = "/api/v1/speakers/main/pull";
        let pulled = ask(&world, "POST", route, Some(json!({}))).await;
        assert_eq!(pulled.status, 200, "{pulled:?}");
        home.says("siskin/attic/main/state", "playing").await;
        let local = UnixStream::connect(socket(&world)).await.expect("open");
        let tcp = TcpStream::connect(("127.0.0.1", port)).await.expect("open");
        let readers = vec![
            (Face::Socket, Reader::open(local, "").await),
            (Face::Tcp, Reader::open(tcp, &token).await),
        ];
        Self {
            world,
            _daemon: daemon,
            app,
            port,
            token,
            readers,
            _broker: broker,
            home,
            _bus: bus,
            remote,
            page: None,
            begun: None,
        }
    }

    /// Somebody looks at this view of the page from now on.
    pub async fn open_page(&mut self, view: &str) {
        let page = Browser::start(&self.world).await;
        let address = format!("http://127.0.0.1:{}/#token={}", self.port, self.token);
        page.open(&address).await;
        page.says("#name", "Kitchen").await;
        page.until("the page", "!document.getElementById('main').hidden")
            .await;
        page.click(&format!("#views [data-view={view}]")).await;
        self.page = Some(page);
    }

    /// Both have signed in, Kim last.
    pub async fn kim_sits_and_alex_is_known(&mut self) {
        let found = self.world.find().await;
        for (user, name) in [("alex", "Alex"), ("kim", "Kim")] {
            assert_eq!(self.world.hand_over(&found, user).await, 101);
            self.home.says("siskin/attic/main/account", name).await;
            self.home.says("siskin/attic/main/state", "idle").await;
        }
    }
}
