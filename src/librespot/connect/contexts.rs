//! Asks the service what contexts hold, off the main loop. Each question has a time limit and a few
//! tries, and ends in exactly one input.

use std::time::Duration;

use hyper::{Method, body::Bytes};
use librespot_core::Session;
use librespot_protocol::autoplay_context_request::AutoplayContextRequest;
use protobuf::Message;

use super::json;
use crate::{
    connect::{Action, Input, Listing, Missing, Page},
    librespot::service::{self, JSON, Patience, Question},
};

/// How long one try may take. A resolver that needs longer is a resolver that hangs.
const LIMIT: Duration = Duration::from_secs(8);

/// Somebody may wait for it, who gives up about then.
const PATIENCE: Patience = Patience {
    pauses: &[
        Duration::from_millis(300),
        Duration::from_millis(1_500),
        Duration::from_secs(3),
        Duration::from_secs(6),
    ],
    limit: Duration::from_secs(40),
};

const RESOLVE: &str = "/context-resolve/v1/";

/// Carries out one of the `Resolve…` actions; `None` for any other.
pub async fn answer(session: Session, action: Action) -> Option<Input> {
    match action {
        Action::ResolveContext { ticket, uri } => Some(Input::Resolved {
            ticket,
            listing: context(&session, &uri).await,
        }),
        Action::ResolvePage { ticket, url } => Some(Input::Paged {
            ticket,
            pages: page(&session, &url).await,
        }),
        Action::ResolveAutoplay {
            ticket,
            uri,
            recent,
        } => {
            let request = AutoplayContextRequest {
                context_uri: Some(uri),
                recent_track_uri: recent.iter().map(ToString::to_string).collect(),
                ..Default::default()
            };
            Some(Input::Autoplay {
                ticket,
                listing: following(&session, &request).await,
            })
        }
        _ => None,
    }
}

async fn context(session: &Session, uri: &str) -> Result<Listing, Missing> {
    let path = format!("{RESOLVE}{uri}");
    let answer = persist(session, &question(Method::GET, path, Vec::new())).await?;
    Ok(parse(&answer)?.into_listing())
}

async fn page(session: &Session, url: &str) -> Result<Vec<Page>, Missing> {
    let question = question(Method::GET, page_path(url), Vec::new());
    let answer = persist(session, &question).await?;
    Ok(parse(&answer)?.into_pages())
}

async fn following(
    session: &Session,
    request: &AutoplayContextRequest,
) -> Result<Listing, Missing> {
    let body = request.write_to_bytes().map_err(senseless)?;
    let path = format!("{RESOLVE}autoplay");
    let answer = persist(session, &question(Method::POST, path, body)).await?;
    Ok(parse(&answer)?.into_listing())
}

/// Where the address of a page leads. Those of artists name the album they stand for
/// (`hm://artistplaycontext/v1/page/spotify/album/{id}/km_artist`), which is asked for as a context
/// *(seen in librespot-connect)*; the others are paths of the service.
fn page_path(url: &str) -> String {
    let rest = url.strip_prefix("hm:/").unwrap_or(url);
    if rest.starts_with("/artistplaycontext/") {
        let named: Vec<_> = rest
            .split('/')
            .skip_while(|part| *part != "spotify")
            .take(3)
            .collect();
        if named.len() == 3 {
            return format!("{RESOLVE}{}", named.join(":"));
        }
    }
    if rest.starts_with("spotify:") {
        return format!("{RESOLVE}{rest}");
    }
    match rest.strip_prefix('/') {
        Some(path) => format!("/{path}"),
        None => format!("/{rest}"),
    }
}

fn question(method: Method, path: String, body: Vec<u8>) -> Question {
    Question {
        limit: LIMIT,
        ..Question::new(method, path, body, JSON)
    }
}

pub(crate) fn parse(answer: &[u8]) -> Result<json::Answer, Missing> {
    serde_json::from_slice(answer).map_err(senseless)
}

/// What would be the same another time.
fn senseless(error: impl std::fmt::Display) -> Missing {
    Missing {
        why: format!("the answer is not to be read: {error}"),
        may_pass: false,
    }
}

async fn persist(session: &Session, question: &Question) -> Result<Bytes, Missing> {
    let answer = service::persist(session, question, PATIENCE).await;
    answer.map_err(|trouble| Missing {
        why: trouble.to_string(),
        may_pass: trouble.may_pass(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_page_leads_to_the_service() {
        let artist =
            "hm://artistplaycontext/v1/page/spotify/album/5LFzwirfFwBKXJQGfwmiMY/km_artist";
        assert_eq!(
            page_path(artist),
            "/context-resolve/v1/spotify:album:5LFzwirfFwBKXJQGfwmiMY"
        );
        assert_eq!(
            page_path("hm://playlist/v2/page?n=2"),
            "/playlist/v2/page?n=2"
        );
        assert_eq!(
            page_path("spotify:album:1"),
            "/context-resolve/v1/spotify:album:1"
        );
    }
}
