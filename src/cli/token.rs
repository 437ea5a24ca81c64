//! `siskin token`: what programs send to be let in over TCP, and the link for people.

use std::{net::IpAddr, process::ExitCode};

use super::{args::Door, door, exit, failed, misconfigured, print};
use crate::{
    config::Http,
    daemon::{places, token},
    model::Secret,
};

pub fn token(door: &Door, link: bool) -> ExitCode {
    let config = match door::settings(door) {
        Ok(config) => config,
        Err(problems) => return misconfigured(&problems),
    };
    let mut trouble = Vec::new();
    for dir in places::state_dirs(&config) {
        match token::read(&dir) {
            Ok(token) if link => return linked(&config.http, &token),
            Ok(token) => return print(&[token.expose(), b"\n"].concat()),
            Err(why) => trouble.push(format!("{}: {why}", token::file(&dir).display())),
        }
    }
    let what = format!("there is no token to read ({})", trouble.join("; "));
    let help = "it is made when siskin first runs with http.listen; ask as its user, or with sudo";
    failed(exit::FAILED, &what, help)
}

fn linked(http: &Http, token: &Secret) -> ExitCode {
    let uname = rustix::system::uname();
    let own = uname.nodename().to_string_lossy();
    match page(http, &own) {
        // Behind the #, so that no browser sends it anywhere.
        Some(page) => {
            let token = String::from_utf8_lossy(token.expose());
            print(format!("{page}#token={token}\n").as_bytes())
        }
        None => {
            let what = "there is no page to link to";
            let help = "set http.page = true and http.listen to an address; then reload";
            failed(exit::FAILED, what, help)
        }
    }
}

/// Where people find the page; by name where every address leads to it, and where a certificate is
/// held to it.
fn page(http: &Http, own: &str) -> Option<String> {
    let at = http.listen.filter(|_| http.page)?;
    let scheme = if http.tls.is_some() { "https" } else { "http" };
    let first = own.split('.').next().unwrap_or_default();
    let named = http.tls.as_ref().and(http.names.first());
    let host = match (at.ip(), named) {
        (ip, Some(name)) if !ip.is_loopback() => format!("{name}:{}", at.port()),
        (ip, _) if ip.is_unspecified() && !first.is_empty() => {
            format!("{first}.local:{}", at.port())
        }
        (IpAddr::V4(ip), _) if ip.is_unspecified() => format!("localhost:{}", at.port()),
        _ => at.to_string(),
    };
    Some(format!("{scheme}://{host}/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tls;

    #[test]
    fn the_link_leads_to_where_the_page_is() {
        let mut http = Http::default();
        assert_eq!(page(&http, "pi").as_deref(), Some("http://127.0.0.1:7070/"));
        http.listen = "0.0.0.0:80".parse().ok();
        assert_eq!(
            page(&http, "pi.lan").as_deref(),
            Some("http://pi.local:80/")
        );
        http.names = vec!["music.example".to_owned()];
        http.tls = Some(Tls {
            certificate: "cert.pem".into(),
            key: "key.pem".into(),
        });
        assert_eq!(
            page(&http, "pi").as_deref(),
            Some("https://music.example:80/")
        );
        http.listen = "127.0.0.1:81".parse().ok();
        assert_eq!(page(&http, "pi").as_deref(), Some("https://127.0.0.1:81/"));
        http.tls = None;
        http.listen = "[::1]:81".parse().ok();
        assert_eq!(page(&http, "pi").as_deref(), Some("http://[::1]:81/"));
        http.page = false;
        assert_eq!(page(&http, "pi"), None);
        assert_eq!(
            page(
                &Http {
                    listen: None,
                    ..Http::default()
                },
                "pi"
            ),
            None
        );
    }
}
