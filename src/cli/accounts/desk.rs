//! Who carries out what `siskin accounts` asks for: the daemon, or we ourselves on its files.

use std::{fs, io, os::unix::fs::MetadataExt as _, path::Path};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    accounts::{AccountKey, Store, StoreError},
    cli::{
        args,
        client::{Client, ClientError, Method},
        door::{Failure, told},
    },
    config::{self, Config, Surroundings},
    daemon::places,
    model::{Account, Condition, House, Phase, SpeakerState},
};

pub enum Desk {
    Daemon(Client),
    /// Nobody uses the files but us. `None`: there are none yet.
    Files {
        store: Option<Store>,
        /// Name and id of each speaker that is configured.
        speakers: Vec<(String, String)>,
    },
}

/// An account on a speaker.
pub struct Seat {
    pub user: String,
    /// Of the speaker.
    pub name: String,
}

#[derive(Deserialize)]
struct List {
    accounts: Vec<Account>,
}

impl Desk {
    /// The daemon where one answers, else its files.
    pub async fn open(door: &args::Door, config: &Config) -> Result<Self, Failure> {
        match Client::find(&places::sockets(config)).await {
            Ok(client) => Ok(Self::Daemon(client)),
            Err(ClientError::NoDaemon { .. }) => Self::on_files(door),
            Err(error) => Err(told(error)),
        }
    }

    /// Whose files these are must be certain, so a configuration with mistakes will not do.
    fn on_files(door: &args::Door) -> Result<Self, Failure> {
        let config = config::load(&door.request(), &Surroundings::of_this_process())
            .map_err(|problems| {
                let what = format!(
                    "no siskin runs here, and where it keeps accounts is not certain:\n{problems}"
                );
                (
                    what,
                    "correct the configuration, or start siskin".to_owned(),
                )
            })?
            .config;
        let speakers = config.speakers.iter();
        let speakers = speakers.map(|speaker| (speaker.name.clone(), speaker.id.clone()));
        let speakers = speakers.collect();
        for dir in places::state_dirs(&config) {
            if is_ours(&dir)? {
                let key = AccountKey::find(config.account_key_file.as_deref());
                // A folder that holds nothing of siskin's is not made into one by a question.
                let store = Store::find(&dir, key).map_err(not_opened)?;
                if store.is_some() {
                    return Ok(Self::Files { store, speakers });
                }
            }
        }
        Ok(Self::Files {
            store: None,
            speakers,
        })
    }

    /// Everybody, and what could not be read.
    pub async fn accounts(&self) -> Result<(Vec<Account>, Vec<Condition>), Failure> {
        match self {
            Self::Daemon(client) => {
                let List { accounts } = client.get(&["accounts"]).await.map_err(told)?;
                Ok((accounts, Vec::new()))
            }
            Self::Files { store: None, .. } => Ok((Vec::new(), Vec::new())),
            Self::Files {
                store: Some(store), ..
            } => {
                let (accounts, damage) = store.accounts();
                Ok((
                    accounts,
                    damage.into_iter().map(|damage| damage.0).collect(),
                ))
            }
        }
    }

    /// Who is signed in where; nobody while siskin does not run.
    pub async fn seats(&self) -> Result<Vec<Seat>, Failure> {
        let house = self.house().await?;
        let seat = |speaker: SpeakerState| {
            let account = speaker.account.filter(|_| speaker.phase == Phase::Online);
            let user = account?.user;
            let name = speaker.name;
            Some(Seat { user, name })
        };
        Ok(house.speakers.into_iter().filter_map(seat).collect())
    }

    /// Name and id of each speaker.
    pub async fn speakers(&self) -> Result<Vec<(String, String)>, Failure> {
        if let Self::Files { speakers, .. } = self {
            return Ok(speakers.clone());
        }
        let speakers = self.house().await?.speakers.into_iter();
        Ok(speakers.map(|speaker| (speaker.name, speaker.id)).collect())
    }

    async fn house(&self) -> Result<House, Failure> {
        match self {
            Self::Daemon(client) => client.get(&["status"]).await.map_err(told),
            Self::Files { .. } => Ok(House::default()),
        }
    }

    /// True when the account is signed in now; false: with the next start.
    pub async fn sign_in(&self, speaker: &str, user: &str) -> Result<bool, Failure> {
        match self {
            Self::Daemon(client) => {
                let route = ["speakers", speaker, "account"];
                order(client, Method::POST, &route, Some(json!({"user": user}))).await?;
                Ok(true)
            }
            Self::Files { store, .. } => {
                let taken = writable(store)?.take_seat(speaker, Some(user), None);
                taken.map(|()| false).map_err(not_written)
            }
        }
    }

    pub async fn forget(&self, user: &str) -> Result<(), Failure> {
        match self {
            Self::Daemon(client) => order(client, Method::DELETE, &["accounts", user], None).await,
            Self::Files { store, .. } => match writable(store)?.forget_account(user) {
                Ok(true) => Ok(()),
                Ok(false) => Err(unknown(user)),
                Err(why) => Err(not_written(why)),
            },
        }
    }

    pub async fn forget_all(&self) -> Result<(), Failure> {
        match self {
            Self::Daemon(client) => order(client, Method::DELETE, &["accounts"], None).await,
            // Where nothing was ever kept, everybody is forgotten.
            Self::Files { store: None, .. } => Ok(()),
            Self::Files { store, .. } => {
                let gone = writable(store)?.forget_all();
                gone.map(drop).map_err(not_written)
            }
        }
    }

    pub async fn rename(&self, user: &str, name: &str) -> Result<(), Failure> {
        match self {
            Self::Daemon(client) => {
                let body = json!({"name": name});
                order(client, Method::PATCH, &["accounts", user], Some(body)).await
            }
            Self::Files { store, .. } => match writable(store)?.rename(user, name) {
                Ok(true) => Ok(()),
                Ok(false) => Err(unknown(user)),
                Err(why) => Err(not_written(why)),
            },
        }
    }
}

async fn order(
    client: &Client,
    method: Method,
    route: &[&str],
    body: Option<Value>,
) -> Result<(), Failure> {
    let done: Result<Value, _> = client.send(method, route, body.as_ref()).await;
    done.map(drop).map_err(told)
}

/// False where there is no such folder. Files that somebody else would have to read afterwards are
/// not touched: what we write belongs to us.
pub fn is_ours(dir: &Path) -> Result<bool, Failure> {
    let found = match fs::metadata(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => {
            return Err((
                format!(
                    "no siskin runs here, and {} cannot be looked at ({error})",
                    dir.display()
                ),
                "ask as the user that siskin runs as, or with sudo".to_owned(),
            ));
        }
    };
    let us = rustix::process::geteuid().as_raw();
    if found.uid() == us {
        return Ok(true);
    }
    let (owner, dir) = (found.uid(), dir.display());
    Err((
        format!("no siskin runs here, and {dir} belongs to user {owner}"),
        format!(
            "start siskin and ask again, or ask as that user: sudo -u '#{owner}' siskin accounts"
        ),
    ))
}

fn writable(store: &Option<Store>) -> Result<&Store, Failure> {
    store.as_ref().ok_or_else(|| {
        let help = "pick the speaker in the Spotify app first";
        ("nobody is remembered here".to_owned(), help.to_owned())
    })
}

fn not_opened(error: StoreError) -> Failure {
    match error {
        StoreError::InUse { .. } => (
            "siskin runs, and cannot be asked here".to_owned(),
            "name its socket with --socket, or stop it first".to_owned(),
        ),
        error => (error.to_string(), error.help().to_owned()),
    }
}

fn not_written(why: io::Error) -> Failure {
    let help = match why.kind() {
        io::ErrorKind::InvalidInput => "use another name",
        _ => "check the disk and who owns the state directory",
    };
    (format!("that could not be kept: {why}"), help.to_owned())
}

fn unknown(user: &str) -> Failure {
    let help = "siskin accounts lists everybody";
    (
        format!("no account {user:?} is remembered here"),
        help.to_owned(),
    )
}
