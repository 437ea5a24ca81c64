//! What a request brings along, read within limits. A no is told in our own shape.

use std::time::Duration;

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, Path, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::answer::Failed;
use crate::control::wanted::{Field, Wanted, wrong};

/// For a whole body. The largest that makes sense is a list of a few hundred URIs.
const BODY_BYTES: usize = 64 * 1024;
/// For the same, in time.
const BODY: Duration = Duration::from_secs(5);

/// The one name in the path of a route.
#[derive(Debug)]
pub struct Named(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failed> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(why) => Err(Failed::new(
                StatusCode::BAD_REQUEST,
                "bad_path",
                why.to_string(),
                "write names in UTF-8, percent-encoded",
            )),
        }
    }
}

/// A body of JSON.
#[derive(Debug)]
pub struct Given<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Wanted> FromRequest<S> for Given<T> {
    type Rejection = Failed;

    async fn from_request(request: Request, _: &S) -> Result<Self, Failed> {
        let (head, body) = request.into_parts();
        // A request without a body and without a word about one is no form of a foreign page that
        // browsers send unasked: those name a type.
        let is_silent = body.is_end_stream() && !head.headers.contains_key(header::CONTENT_TYPE);
        if !is_silent && !is_json(&head.headers) {
            return Err(Failed::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "not_json",
                "the body is not said to be JSON",
                "send it with Content-Type: application/json",
            )
            .and_close());
        }
        let bytes = read(body).await?;
        // A route that can do without words may be asked without them.
        let bytes = if bytes.is_empty() {
            b"{}".as_slice()
        } else {
            &bytes
        };
        // serde takes a list for a struct whose fields come in order: nobody means that.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(Failed::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "the body is a list",
                "send an object: {…}",
            ));
        }
        serde_json::from_slice(bytes)
            .map(Self)
            .map_err(|error| refused(T::FIELDS, bytes, &error))
    }
}

fn refused(fields: &[Field], bytes: &[u8], error: &serde_json::Error) -> Failed {
    let (status, code) = match error.is_data() {
        true => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
        false => (StatusCode::BAD_REQUEST, "bad_json"),
    };
    let given = serde_json::from_slice(bytes).ok();
    let (what, help) = given
        .and_then(|given| wrong(fields, &given))
        .unwrap_or_else(|| {
            let help = "send an object of JSON, with each field once".to_owned();
            (format!("the body makes no sense: {error}"), help)
        });
    Failed::new(status, code, what, help)
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE);
    let kind = given.and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = kind.split(';').next().unwrap_or("").trim();
    kind.eq_ignore_ascii_case("application/json")
}

async fn read(body: Body) -> Result<hyper::body::Bytes, Failed> {
    let limited = Limited::new(body, BODY_BYTES).collect();
    match timeout(BODY, limited).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Failed::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "the body is larger than 64 kB",
            "send less at once",
        )
        .and_close()),
        Ok(Err(error)) => Err(Failed::new(
            StatusCode::BAD_REQUEST,
            "bad_body",
            format!("the body could not be read: {error}"),
            "send as much as Content-Length says",
        )
        .and_close()),
        Err(_) => Err(Failed::new(
            StatusCode::REQUEST_TIMEOUT,
            "too_slow",
            "the body did not come within 5 s",
            "send it at once",
        )
        .and_close()),
    }
}
