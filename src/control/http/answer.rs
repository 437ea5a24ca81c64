//! Every no in one shape: `{"error": {"code", "message", "help"}}`, with a status that fits.

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::bus::{Reason, Unable};

/// An answer that is a no: to a request that was not understood, or to an order that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    status: StatusCode,
    told: Told,
    /// What is left of the request is not read, so nothing can follow it.
    last: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
struct Told {
    /// Stable, `snake_case`, fit for programs.
    #[cfg_attr(test, schema(value_type = String))]
    code: &'static str,
    message: String,
    help: String,
}

/// Why not, for programs and for people.
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub(super) struct Body {
    error: Told,
}

impl Failed {
    pub fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let told = Told {
            code,
            message: message.into(),
            help: help.into(),
        };
        Self {
            status,
            told,
            last: false,
        }
    }

    /// The same, and the connection ends with it.
    pub fn and_close(mut self) -> Self {
        self.last = true;
        self
    }

    pub fn no_such_route() -> Self {
        let help = "everything is under /api/v1: status, speakers/{id}, accounts";
        Self::new(
            StatusCode::NOT_FOUND,
            "no_such_route",
            "nothing can be asked here",
            help,
        )
    }

    pub fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "wrong_method",
            "this cannot be asked with this method",
            "the header Allow names those that can",
        )
    }
}

impl From<Unable> for Failed {
    fn from(unable: Unable) -> Self {
        let (status, code) = match unable.code {
            Reason::UnknownSpeaker => (StatusCode::NOT_FOUND, "unknown_speaker"),
            Reason::UnknownAccount => (StatusCode::NOT_FOUND, "unknown_account"),
            Reason::UnknownDevice => (StatusCode::NOT_FOUND, "unknown_device"),
            Reason::NoOutput => (StatusCode::UNPROCESSABLE_ENTITY, "no_output"),
            Reason::Restricted => (StatusCode::CONFLICT, "restricted"),
            Reason::NoPairing => (StatusCode::NOT_FOUND, "no_pairing"),
            Reason::NotActive => (StatusCode::CONFLICT, "not_active"),
            Reason::NobodySignedIn => (StatusCode::CONFLICT, "nobody_signed_in"),
            Reason::Unplayable => (StatusCode::UNPROCESSABLE_ENTITY, "unplayable"),
            Reason::Invalid => (StatusCode::UNPROCESSABLE_ENTITY, "invalid"),
            Reason::Conflict => (StatusCode::CONFLICT, "conflict"),
            Reason::Refused => (StatusCode::FORBIDDEN, "refused"),
            Reason::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "broken"),
            Reason::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "timed_out"),
            Reason::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, code, unable.message, unable.help)
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Body { error: self.told })).into_response();
        if self.last {
            let close = header::HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        response
    }
}

/// An order that has taken effect and has nothing more to tell.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Done {
    done: bool,
}

impl Done {
    pub fn answer() -> Json<Self> {
        Json(Self { done: true })
    }
}
