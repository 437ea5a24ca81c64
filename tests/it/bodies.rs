//! What whoever sends a wrong body over HTTP is told.

use crate::{
    ask::siskin,
    http::{listening, post, send, token},
    world::scenario,
};

#[test]
fn a_wrong_body_is_told_in_words_what_each_field_takes() {
    scenario(async |world| {
        let (_daemon, port) = listening(&world).await;
        let token = token(&world).await;
        for (method, route, body, message, help) in [
            (
                "POST",
                "speakers/main/volume",
                "{\"percent\": 300}",
                "percent is 300",
                "percent is a whole number from 0 to 100",
            ),
            (
                "POST",
                "speakers/main/volume",
                "{\"loud\": 1}",
                "it takes no \"loud\"",
                "by (a whole number from -100 to 100, or nothing)",
            ),
            (
                "POST",
                "speakers/main/seek",
                "{\"position_ms\": -1}",
                "position_ms is -1",
                "from 0 to 4294967295",
            ),
            (
                "POST",
                "speakers/main/seek",
                "{\"by_ms\": 0.5}",
                "by_ms is 0.5",
                "by_ms is a whole number",
            ),
            (
                "POST",
                "speakers/main/shuffle",
                "{\"on\": \"yes\"}",
                "on is \"yes\"",
                "on is true or false",
            ),
            (
                "POST",
                "speakers/main/mute",
                "{\"on\": 1}",
                "on is 1",
                "on is true or false",
            ),
            (
                "POST",
                "speakers/main/repeat",
                "{}",
                "mode is missing",
                "mode is one of off, context, track",
            ),
            (
                "POST",
                "speakers/main/play",
                "{\"index\": \"first\"}",
                "index is \"first\"",
                "a whole number",
            ),
            (
                "POST",
                "speakers/main/queue",
                "{\"uri\": 7}",
                "uri is 7",
                "a Spotify URI",
            ),
            (
                "POST",
                "speakers/main/sleep",
                "{\"after_s\": -5}",
                "after_s is -5",
                "from 1 to 86400",
            ),
            (
                "POST",
                "speakers/main/send",
                "{\"device\": null}",
                "device is nothing",
                "device is a text",
            ),
            (
                "POST",
                "speakers/main/output",
                "{}",
                "device is missing",
                "device is a text",
            ),
            (
                "POST",
                "speakers/main/name",
                "{\"name\": 5}",
                "name is no text",
                "name is a text",
            ),
            (
                "POST",
                "speakers/main/pause",
                "{\"now\": true}",
                "it takes no \"now\"",
                "it takes nothing: send {}",
            ),
            (
                "POST",
                "speakers/main/account",
                "{}",
                "user is missing",
                "user is a text",
            ),
            (
                "PATCH",
                "accounts/kim",
                "{\"name\": []}",
                "name is a list",
                "name is a text",
            ),
            (
                "POST",
                "speakers/main/pairing",
                "{\"way\": \"fax\"}",
                "way is \"fax\"",
                "one of code, browser, paste",
            ),
            (
                "PATCH",
                "speakers/main/pairing",
                "{\"address\": 5}",
                "address is no text",
                "address is a text",
            ),
            (
                "POST",
                "log",
                "{\"level\": \"loud\"}",
                "\"loud\" is no level",
                "error, warn, info, debug or trace",
            ),
            (
                "POST",
                "doctor",
                "{\"x\": 1}",
                "it takes no \"x\"",
                "it takes tone (true or false, or nothing)",
            ),
        ] {
            let request = format!(
                "{method} /api/v1/{route} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let (status, told) = send(port, request.as_bytes()).await;
            let error = &told["error"];
            assert_eq!(
                (status, &error["code"]),
                (422, &"invalid".into()),
                "{route} {told}"
            );
            let words = |key: &str| error[key].as_str().expect("words").to_owned();
            assert!(
                words("message").starts_with(message),
                "{route} {body}: {told}"
            );
            assert!(words("help").contains(help), "{route} {body}: {told}");
            for rust in ["u8", "i64", "expected", "struct", "variant", "line 1"] {
                assert!(!told.to_string().contains(rust), "{told}");
            }
        }
        // Levels of the log are known in capitals, too.
        let known = post(port, "/api/v1/log", &token, b"{\"level\": \"INFO\"}").await;
        assert_eq!(known.0, 200, "{}", known.1);
        let said = siskin(&world, &["log-level", "Warn"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
        let said = siskin(&world, &["check", "--log", "DEBUG"]).await;
        assert_eq!(said.code, Some(0), "{said:?}");
    });
}
