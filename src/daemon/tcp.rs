//! The door over TCP as the daemon opens it: with the token of this house, for its names.

use std::{io, path::Path};

use tokio::{sync::mpsc, task::spawn_blocking};

use super::{places, token};
use crate::{
    bus::Bus,
    config::{self, Config},
    control::{
        Notice,
        http::{Http, guard::Guard, tcp::Address},
    },
    model::{Condition, ConditionCode, Secret},
};

/// `None` where nobody is to be heard, or nobody could be let in.
pub async fn listen(config: &Config, bus: &Bus, notices: &mpsc::Sender<Notice>) -> Option<Http> {
    let at = config.http.listen?;
    let dir = places::state_dir(config);
    let made = spawn_blocking(move || token::read_or_make(&dir)).await;
    let token = match made.map_err(io::Error::other) {
        Ok(Ok(token)) => {
            if let Some((aside, why)) = &token.aside {
                let _ = notices.try_send(Notice::Raised(new_token(aside, why)));
            }
            token.secret
        }
        Ok(Err(error)) | Err(error) => {
            // Without a token nobody could be let in.
            let _ = notices.try_send(Notice::Raised(no_token(&error)));
            return None;
        }
    };
    let guard = guard(token, &config.http);
    let tls = config.http.tls.clone();
    let (address, page) = (Address { at, tls }, config.http.page);
    Some(Http::start_tcp(address, guard, page, bus.clone(), notices.clone()).await)
}

/// The machine's own name counts, also as phones and desktops look it up.
fn guard(token: Secret, http: &config::Http) -> Guard {
    let uname = rustix::system::uname();
    let own = uname.nodename().to_string_lossy();
    let mut names = http.names.clone();
    if let Some(first) = own.split('.').next().filter(|first| !first.is_empty()) {
        names.extend([first.to_owned(), format!("{first}.local"), own.to_string()]);
    }
    Guard::new(token, &names, &http.origins)
}

fn no_token(error: &io::Error) -> Condition {
    Condition::new(
        ConditionCode::NoHttp,
        "siskin cannot be asked over HTTP: there is no token",
        error.to_string(),
        "let siskin's user read the file http-token in the state directory and write there; then reload",
    )
}

fn new_token(aside: &Path, why: &str) -> Condition {
    Condition::new(
        ConditionCode::StateRepaired,
        "the token for programs that ask over HTTP was damaged, and siskin made a new one",
        format!("{why}; the old file is {} now", aside.display()),
        "give the new one, which siskin token prints, to programs that ask over HTTP, and open the page \
         with siskin token --link; this is told until siskin is started anew",
    )
}
