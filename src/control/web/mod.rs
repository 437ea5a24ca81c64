//! The page for people: files that are part of the binary, and the rules they are served by.
//!
//! Plain HTML, CSS and modules of JavaScript, as they stand in this folder: no step makes them, and
//! they ask nobody but this daemon. They hold nothing secret, so whoever may open a connection may
//! read them; the page asks for the token and sends it with each question to [`super::http`], which
//! it uses like any other program. Owns the files and their headers; knows no state. To add a file:
//! its line in [`FILES`], and in `index.html` if it is a module.
//!
//! Each file has an `ETag` of its bytes and is asked for again each time (`no-cache`): a page of an
//! old siskin never meets a new daemon, and what has not changed is not sent. Nothing is compressed:
//! all of it is less than one cover, and sent once.

use axum::{
    Router,
    extract::Path,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

use super::http::{
    answer::Failed,
    looks::{is_known, tag},
};

/// What the page may do: ask this daemon, show pictures that it has been given, and no more. Styles
/// and scripts come as files, nobody frames the page, and no form leaves it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; manifest-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// A file, its kind, and its bytes.
struct File {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

macro_rules! file {
    ($name:literal, $kind:literal) => {
        File {
            name: $name,
            kind: $kind,
            bytes: include_bytes!($name),
        }
    };
}

/// Everything there is. The first is the page itself.
const FILES: &[File] = &[
    file!("index.html", "text/html; charset=utf-8"),
    file!("style.css", "text/css; charset=utf-8"),
    file!("app.js", "text/javascript; charset=utf-8"),
    file!("api.js", "text/javascript; charset=utf-8"),
    file!("dom.js", "text/javascript; charset=utf-8"),
    file!("player.js", "text/javascript; charset=utf-8"),
    file!("queue.js", "text/javascript; charset=utf-8"),
    file!("people.js", "text/javascript; charset=utf-8"),
    file!("health.js", "text/javascript; charset=utf-8"),
    file!("doctor.js", "text/javascript; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
    file!("app.webmanifest", "application/manifest+json"),
];

/// Where the files lie, besides the page itself at `/`.
const FOLDER: &str = "/web/";

/// The page at `/`, its parts below [`FOLDER`].
pub fn routes() -> Router {
    Router::new()
        .route(
            "/",
            get(async |headers: HeaderMap| send("index.html", &headers)),
        )
        .route(
            "/web/{name}",
            get(async |Path(name): Path<String>, headers: HeaderMap| send(&name, &headers)),
        )
}

/// Whether a file of the page lies at this path.
pub fn is_file(path: &str) -> bool {
    path == "/"
        || path
            .strip_prefix(FOLDER)
            .is_some_and(|name| find(name).is_some())
}

fn find(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.name == name)
}

fn send(name: &str, headers: &HeaderMap) -> Response {
    let Some(file) = find(name) else {
        return Failed::no_such_route().into_response();
    };
    let tag = tag(file.bytes);
    let rules = [
        (header::ETAG, tag.as_str()),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_TYPE, file.kind),
    ];
    if is_known(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, rules).into_response();
    }
    (rules, file.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn text(file: &File) -> &'static str {
        std::str::from_utf8(file.bytes).expect("all of it is text")
    }

    #[test]
    fn all_of_it_together_is_small() {
        let mut sum = 0;
        for file in FILES {
            let mut packed = GzEncoder::new(Vec::new(), Compression::best());
            packed.write_all(file.bytes).expect("memory");
            let size = packed.finish().expect("memory").len();
            println!("{:>6} {:>6} {}", file.bytes.len(), size, file.name);
            sum += size;
        }
        assert!(sum < 60 * 1024, "{sum} bytes");
    }

    #[test]
    fn nothing_is_asked_of_anybody_else() {
        for file in FILES {
            let text = text(file);
            // Names of XML are no addresses.
            let text = text.replace("http://www.w3.org/", "");
            for begins in ["http://", "https://", "//cdn", "@import", "url("] {
                for (at, _) in text.match_indices(begins) {
                    let rest = &text[at + begins.len()..];
                    let is_address = rest.starts_with(|c: char| c.is_alphanumeric());
                    assert!(!is_address, "{} asks {begins}{:.40}", file.name, rest);
                }
            }
        }
    }

    #[test]
    fn no_text_of_anybody_becomes_markup_and_no_style_or_script_stands_in_the_page() {
        for file in FILES {
            let text = text(file);
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
            ] {
                assert!(!text.contains(word), "{} has {word}", file.name);
            }
        }
        let page = text(&FILES[0]);
        assert!(!page.contains("style=") && !page.contains("<style"));
        for (at, _) in page.match_indices(" on") {
            let word: String = page[at + 1..]
                .chars()
                .take_while(char::is_ascii_lowercase)
                .collect();
            assert!(!page[at + 1 + word.len()..].starts_with('='), "{word}");
        }
        for (at, _) in page.match_indices("<script") {
            assert!(page[at..].starts_with("<script type=\"module\" src="));
        }
    }

    #[test]
    fn every_file_that_is_named_is_there_and_the_other_way_round() {
        for file in FILES {
            let others = FILES.iter().filter(|other| other.name != file.name);
            let mut named = others.filter(|other| text(other).contains(file.name));
            let is_page = file.name == "index.html";
            assert!(
                is_page || named.next().is_some(),
                "nobody uses {}",
                file.name
            );
        }
        assert!(is_file("/") && is_file("/web/app.js"));
        for other in [
            "/web/",
            "/web/../Cargo.toml",
            "/web/x",
            "/api/v1/status",
            "/app.js",
        ] {
            assert!(!is_file(other), "{other}");
        }
    }

    #[test]
    fn what_has_not_changed_is_not_sent_again() {
        let mut headers = HeaderMap::new();
        let first = send("index.html", &headers);
        assert_eq!(first.status(), StatusCode::OK);
        let policy = first.headers()[header::CONTENT_SECURITY_POLICY].to_str();
        assert!(policy.expect("text").contains("default-src 'none'"));
        assert_eq!(first.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        headers.insert(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone());
        assert_eq!(
            send("index.html", &headers).status(),
            StatusCode::NOT_MODIFIED
        );
        assert_eq!(send("app.js", &headers).status(), StatusCode::OK);
        assert_eq!(send("nothing", &headers).status(), StatusCode::NOT_FOUND);
    }
}
