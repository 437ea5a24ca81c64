//! What the document of the API promises, held to by a machine that tries what nobody would: no
//! answer that is not in it, and none that blames the daemon.

use std::{path::Path, process::Stdio};

use tokio::{net::TcpListener, process::Command};

use crate::{
    ask::{ask, status_says},
    http,
    lan::NULL,
    world::scenario,
};

/// Made by the set-up of the tests.
const FUZZER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/fuzzer/bin/schemathesis"
);
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance";
/// Of each route: half a minute in all. `SISKIN_FUZZ` has it try more.
const TRIES: &str = "12";

#[test]
fn whatever_is_asked_is_answered_as_the_document_says() {
    scenario(async |world| {
        assert!(
            Path::new(FUZZER).exists(),
            "{FUZZER} is missing: scripts/setup.sh test makes it"
        );
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = free.local_addr().expect("its number").port();
        drop(free);
        let http = format!("[http]\nlisten = \"127.0.0.1:{port}\"\n");
        let _daemon = world.start(&world.settings(&(http + NULL)));
        status_says(&world, "Kitchen").await;
        http::answers(port).await;
        let token = http::token(&world).await;
        let served = ask(&world, "GET", "/api/v1/openapi.json", None).await;
        assert_eq!(
            (served.status, &served.json["openapi"]),
            (200, &"3.1.0".into())
        );
        let document = world.dir().join("openapi.json");
        std::fs::write(&document, served.json.to_string()).expect("written");

        let tries = std::env::var("SISKIN_FUZZ").unwrap_or_else(|_| TRIES.to_owned());
        let fuzzed = Command::new(FUZZER)
            .current_dir(world.dir())
            .args(["run", "openapi.json", "--url"])
            .arg(format!("http://127.0.0.1:{port}"))
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--checks", CHECKS])
            // One answer that goes on for ever.
            .args(["--exclude-path", "/api/v1/events"])
            .args(["--phases", "examples,coverage,fuzzing", "--seed", "1"])
            .args(["--max-examples", &tries, "--rate-limit", "200/s"])
            .args(["--request-timeout", "10", "--no-color"])
            .args(["--suppress-health-check", "all", "--warnings", "off"])
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .expect("the fuzzer runs");
        let said = String::from_utf8_lossy(&fuzzed.stdout);
        println!("{said}");
        assert!(!said.contains("No tests were run"), "{said}");
        let trouble = String::from_utf8_lossy(&fuzzed.stderr);
        assert!(fuzzed.status.success(), "{said}\n{trouble}");
        let alive = ask(&world, "GET", "/api/v1/status", None).await;
        assert_eq!(alive.status, 200);
    });
}
