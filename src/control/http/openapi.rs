//! The document of the API (OpenAPI 3.1): made from the types of the code when it is tested, and
//! held to the one that is served. The binary holds nothing of this but the finished text.
//!
//! After a change of the API: `SISKIN_WRITE=1 cargo test --lib openapi`.

use serde::Serialize as _;
use serde_json::{
    Map, Value, json,
    ser::{PrettyFormatter, Serializer},
};
use utoipa::{PartialSchema, ToSchema, openapi::schema::Schema};

use super::{
    Health, accounts,
    answer::{Body, Done},
    looks, pairing, setup, transport,
};
use crate::model;

/// What an order may be answered besides "done".
const ORDER: &[u16] = &[
    400, 401, 403, 404, 408, 409, 413, 415, 421, 422, 429, 500, 503, 504,
];
/// The same for a question.
const QUESTION: &[u16] = &[400, 401, 403, 404, 408, 409, 421, 422, 429, 500, 503, 504];

/// Everything that `error.code` may say.
const CODES: &[&str] = &[
    "bad_body",
    "bad_host",
    "bad_json",
    "bad_path",
    "broken",
    "conflict",
    "foreign_host",
    "foreign_origin",
    "invalid",
    "no_cover",
    "no_output",
    "no_pairing",
    "no_such_route",
    "no_token",
    "nobody_signed_in",
    "not_active",
    "not_encrypted",
    "not_json",
    "refused",
    "restricted",
    "timed_out",
    "too_large",
    "too_many_readers",
    "too_often",
    "too_slow",
    "unavailable",
    "unknown_account",
    "unknown_device",
    "unknown_speaker",
    "unplayable",
    "wrong_method",
];

/// One thing that can be asked.
struct Operation {
    method: &'static str,
    path: &'static str,
    about: &'static str,
    /// Names of schemas.
    body: Option<&'static str>,
    answer: &'static str,
}

fn get(path: &'static str, about: &'static str, answer: &'static str) -> Operation {
    Operation {
        method: "get",
        path,
        about,
        body: None,
        answer,
    }
}

fn order(
    method: &'static str,
    path: &'static str,
    about: &'static str,
    body: Option<&'static str>,
) -> Operation {
    Operation {
        method,
        path,
        about,
        body,
        answer: "Done",
    }
}

fn post(path: &'static str, about: &'static str, body: &'static str) -> Operation {
    order("post", path, about, Some(body))
}

fn operations() -> Vec<Operation> {
    vec![
        get("/status", "Everything that is so now", "House"),
        get(
            "/events",
            "The same, and what changes, as it happens",
            "Events",
        ),
        get("/openapi.json", "This document", "Document"),
        post(
            "/log",
            "How much the daemon logs, until it is started anew",
            "Level",
        ),
        Operation {
            answer: "Examination",
            ..post(
                "/doctor",
                "Has the whole way from a phone to the music looked at",
                "Look",
            )
        },
        get("/accounts", "Every account that is remembered", "Accounts"),
        order("delete", "/accounts", "Forgets all of them", None),
        order(
            "patch",
            "/accounts/{user}",
            "Calls one otherwise",
            Some("AccountName"),
        ),
        order("delete", "/accounts/{user}", "Forgets it", None),
        get("/speakers/{id}", "One speaker as it is now", "SpeakerState"),
        post(
            "/speakers/{id}/play",
            "Goes on, or plays something else",
            "Play",
        ),
        post("/speakers/{id}/pause", "Pauses", "Nothing"),
        post(
            "/speakers/{id}/toggle",
            "Pauses while music plays, else plays",
            "Nothing",
        ),
        post(
            "/speakers/{id}/stop",
            "Falls silent and lets others play",
            "Nothing",
        ),
        post("/speakers/{id}/next", "To the next track", "Nothing"),
        post(
            "/speakers/{id}/previous",
            "To the beginning, or to the track before",
            "Nothing",
        ),
        post(
            "/speakers/{id}/pull",
            "Moves playback here from another device",
            "Nothing",
        ),
        post(
            "/speakers/{id}/send",
            "Moves playback to another device of the account",
            "To",
        ),
        post(
            "/speakers/{id}/seek",
            "To another place in the track",
            "Seek",
        ),
        post("/speakers/{id}/volume", "Louder or softer", "Level100"),
        post("/speakers/{id}/mute", "Mute, or as loud as before", "Mute"),
        post(
            "/speakers/{id}/shuffle",
            "Plays in a shuffled order",
            "Switch",
        ),
        post("/speakers/{id}/repeat", "Repeats all, or one track", "Mode"),
        get(
            "/speakers/{id}/queue",
            "What was, what is, what comes",
            "Queue",
        ),
        post(
            "/speakers/{id}/queue",
            "Plays it after the current track",
            "Enqueue",
        ),
        post("/speakers/{id}/sleep", "Pauses later", "Sleep"),
        get(
            "/speakers/{id}/outputs",
            "Looks where the sound could go",
            "OutputList",
        ),
        post("/speakers/{id}/output", "Leads the sound elsewhere", "To"),
        post(
            "/speakers/{id}/name",
            "Gives the speaker another name",
            "Called",
        ),
        post(
            "/speakers/{id}/account",
            "Signs a remembered account in",
            "Who",
        ),
        get(
            "/speakers/{id}/pairing",
            "Where a sign-in stands",
            "Pairing",
        ),
        Operation {
            answer: "Pairing",
            ..post(
                "/speakers/{id}/pairing",
                "Begins to sign somebody in",
                "How",
            )
        },
        order(
            "patch",
            "/speakers/{id}/pairing",
            "The address that a browser was led to",
            Some("Led"),
        ),
        order("delete", "/speakers/{id}/pairing", "Ends a sign-in", None),
        get(
            "/speakers/{id}/pairing/qr.svg",
            "The address to sign in at, as a QR code",
            "Drawing",
        ),
        get("/speakers/{id}/cover", "The cover of what plays", "Picture"),
        get(
            "/speakers/{id}/tracks",
            "What tracks and episodes are called",
            "Names",
        ),
    ]
}

fn named(schemas: &mut Map<String, Value>, name: String, schema: &utoipa::openapi::RefOr<Schema>) {
    let schema = serde_json::to_value(schema).expect("plain values");
    let known = schemas.insert(name.clone(), schema.clone());
    assert!(
        known.is_none_or(|known| known == schema),
        "two are called {name}"
    );
}

fn add<T: ToSchema>(schemas: &mut Map<String, Value>) {
    let mut others = Vec::new();
    T::schemas(&mut others);
    for (name, schema) in others {
        named(schemas, name, &schema);
    }
    named(
        schemas,
        T::name().into_owned(),
        &<T as PartialSchema>::schema(),
    );
}

fn schemas() -> Map<String, Value> {
    let mut all = Map::new();
    add::<model::House>(&mut all);
    add::<model::SpeakerState>(&mut all);
    add::<model::Pairing>(&mut all);
    add::<model::Examination>(&mut all);
    add::<Body>(&mut all);
    add::<Done>(&mut all);
    add::<Health>(&mut all);
    add::<transport::Nothing>(&mut all);
    add::<super::doctor::Look>(&mut all);
    add::<transport::Play>(&mut all);
    add::<transport::Seek>(&mut all);
    add::<transport::Volume>(&mut all);
    add::<transport::Mute>(&mut all);
    add::<transport::Switch>(&mut all);
    add::<transport::Mode>(&mut all);
    add::<transport::Enqueue>(&mut all);
    add::<transport::Sleep>(&mut all);
    add::<transport::Queue>(&mut all);
    add::<setup::Outputs>(&mut all);
    add::<setup::To>(&mut all);
    add::<setup::Called>(&mut all);
    add::<setup::Level>(&mut all);
    add::<accounts::List>(&mut all);
    add::<accounts::Who>(&mut all);
    add::<accounts::Name>(&mut all);
    add::<pairing::How>(&mut all);
    add::<pairing::Led>(&mut all);
    all.insert("Events".into(), json!({"type": "string"}));
    add::<looks::Names>(&mut all);
    for image in ["Drawing", "Picture"] {
        all.insert(image.into(), json!({"type": "string"}));
    }
    all.insert("Document".into(), json!({"type": "object"}));
    all["Told"]["properties"]["code"]["enum"] = json!(CODES);
    all["Percent"]["maximum"] = json!(100);
    all
}

fn content(schema: &str) -> Value {
    let kind = match schema {
        "Events" => "text/event-stream",
        "Drawing" => "image/svg+xml",
        "Picture" => "image/*",
        _ => "application/json",
    };
    let schema = format!("#/components/schemas/{schema}");
    json!({ kind: {"schema": {"$ref": schema}} })
}

/// What may stand behind the question mark.
fn query(answer: &str) -> Vec<Value> {
    let text = || json!({"type": "string"});
    match answer {
        "Picture" => vec![
            json!({
                "name": "size", "in": "query",
                "schema": {"type": "string", "enum": ["large", "medium", "small"]},
            }),
            json!({"name": "of", "in": "query", "schema": text()}),
        ],
        "Names" => vec![json!({
            "name": "uri", "in": "query",
            "schema": {"type": "array", "items": text()},
        })],
        _ => Vec::new(),
    }
}

fn described(operation: &Operation) -> Value {
    let no = match operation.method {
        "get" => QUESTION,
        _ => ORDER,
    };
    let mut responses = Map::new();
    responses.insert(
        "200".into(),
        json!({"description": "So it is", "content": content(operation.answer)}),
    );
    for status in no {
        responses.insert(
            status.to_string(),
            json!({"$ref": "#/components/responses/No"}),
        );
    }
    let parts = operation.path.split('/').filter(|part| !part.is_empty());
    let plain = parts.map(|part| part.trim_matches(['{', '}']).replace(".json", ""));
    let id: Vec<_> = [operation.method.to_owned()]
        .into_iter()
        .chain(plain)
        .collect();
    let mut described = json!({
        "operationId": id.join("_"),
        "summary": operation.about,
        "responses": responses,
    });
    if let Some(body) = operation.body {
        described["requestBody"] = json!({"required": true, "content": content(body)});
    }
    if let Some((_, rest)) = operation.path.split_once('{') {
        let name = rest.split('}').next().expect("closed");
        let mut parameters = vec![json!({
            "name": name, "in": "path", "required": true, "schema": {"type": "string"},
        })];
        parameters.extend(query(operation.answer));
        described["parameters"] = parameters.into();
    }
    described
}

fn document() -> String {
    let mut paths = Map::new();
    for operation in operations() {
        let path = format!("/api/v1{}", operation.path);
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[operation.method] = described(&operation);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "siskin",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "What a house can ask of its speakers. On the Unix socket whoever may open \
                it may do everything; over TCP the token of `siskin token` is asked for. An order is \
                answered when it has taken effect, and the state that is read after that shows it.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "responses": {"No": {
                "description": "Why not, for programs and for people",
                "content": content("Body"),
            }},
            "schemas": schemas(),
        },
    });
    // The binary carries it: one space is enough for people.
    let mut text = Vec::new();
    let thin = PrettyFormatter::with_indent(b" ");
    let written = document.serialize(&mut Serializer::with_formatter(&mut text, thin));
    written.expect("plain values");
    String::from_utf8(text).expect("JSON") + "\n"
}

#[test]
fn the_document_that_is_served_is_made_from_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let made = document();
    if std::env::var_os("SISKIN_WRITE").is_some() {
        std::fs::write(path, &made).expect("written");
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        kept == made,
        "docs/openapi.json is older than the code: SISKIN_WRITE=1 cargo test --lib openapi"
    );
}

/// The routes as they are written down beside this.
fn routes() -> Vec<(String, String)> {
    let source = include_str!("mod.rs");
    let (_, source) = source
        .split_once("let v1 = Router::new()")
        .expect("the routes");
    let (source, _) = source.split_once(".nest(").expect("their end");
    let mut found = Vec::new();
    for route in source.split(".route(").skip(1) {
        let path = route.split('"').nth(1).expect("a path");
        for (word, method) in [
            ("get(", "get"),
            ("post(", "post"),
            ("plain(", "post"),
            ("patch(", "patch"),
            ("delete(", "delete"),
        ] {
            if route.contains(word) {
                found.push((path.to_owned(), method.to_owned()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_route_is_in_the_document_and_nothing_else() {
    let mut told: Vec<_> = operations()
        .iter()
        .map(|one| (one.path.to_owned(), one.method.to_owned()))
        .collect();
    told.sort();
    assert_eq!(told, routes());
}
