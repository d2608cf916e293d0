//! What holds for every request: limits, headers, and answers to nonsense.

use std::io::{Read, Write};
use std::net::TcpStream;

use reqwest::Method;
use serde_json::json;

use crate::support::{App, monday_noon, send};

#[tokio::test]
async fn nonsense_is_answered_with_problem_details() {
    let app = App::start().await;
    let nobody = app.nobody();
    let login = |body: &'static str, kind: &'static str| {
        send(nobody.request(Method::POST, "/v1/auth/login").header("content-type", kind).body(body))
    };
    login("{", "application/json").await.refused(400, "malformed");
    login("", "application/json").await.refused(400, "malformed");
    login("{} {}", "application/json").await.points_to(&["/email"]);
    login("{}", "text/plain").await.refused(415, "unsupported_media_type");
    login("7", "application/json").await.points_to(&[""]);
    login("[\"a@b.org\", \"12345678\"]", "application/json").await.points_to(&[""]);
    send(nobody.request(Method::POST, "/v1/auth/login")).await.refused(415, "unsupported_media_type");
    let packed = nobody.request(Method::POST, "/v1/auth/login").header("content-encoding", "br").json(&json!({}));
    send(packed).await.refused(415, "unsupported_media_type");
    let large = json!({ "email": "x".repeat(70_000), "password": "12345678" });
    nobody.post("/v1/auth/login", large).await.refused(413, "payload_too_large");
    let nested = "[".repeat(60_000);
    send(nobody.request(Method::POST, "/v1/auth/login").header("content-type", "application/json").body(nested)).await;
    nobody.get("/v1/nothing").await.refused(404, "not_found");
    nobody.get("/%00").await.refused(404, "not_found");
    send(nobody.request(Method::GET, "/v1/services").header("accept", "text/html"))
        .await
        .refused(406, "not_acceptable");
    send(nobody.request(Method::GET, "/v1/services").header("accept", "text/html, */*;q=0.1")).await.is(200);
    send(nobody.request(Method::GET, "/v1/me").bearer_auth("nonsense")).await.refused(401, "unauthorized");
    send(nobody.request(Method::GET, "/v1/services").bearer_auth("nonsense")).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_known_path_names_its_methods_and_head_is_a_get_without_a_body() {
    let app = App::start().await;
    let nobody = app.nobody();
    let allow = |method: Method, path: &'static str| {
        let request = nobody.request(method, path);
        async move { send(request).await.refused(405, "method_not_allowed").header("allow") }
    };
    assert_eq!(allow(Method::DELETE, "/v1/services").await, "GET, HEAD");
    assert_eq!(allow(Method::POST, "/v1/therapists/me").await, "GET, HEAD, PATCH");
    assert_eq!(allow(Method::PUT, "/v1/bookings").await, "GET, HEAD, POST");
    assert_eq!(allow(Method::OPTIONS, "/v1/auth/login").await, "POST");
    let head = send(nobody.request(Method::HEAD, "/v1/services")).await.is(200);
    assert!(head.text.is_empty());
    assert!(head.header("content-length").parse::<usize>().unwrap() > 100);
    nobody.get("/v1/services").await.is(200);
}

#[tokio::test]
async fn every_answer_names_its_request() {
    let app = App::start().await;
    let nobody = app.nobody();
    let named = send(nobody.request(Method::GET, "/v1/me").header("x-request-id", "abc-1.2_3")).await;
    assert_eq!(named.header("x-request-id"), "abc-1.2_3");
    named.refused(401, "unauthorized");
    for odd in ["a b", "x\"y", &"x".repeat(129)] {
        let answer = send(nobody.request(Method::GET, "/livez").header("x-request-id", odd)).await.is(200);
        assert_ne!(answer.header("x-request-id"), odd);
    }
}

#[tokio::test]
async fn personal_data_are_not_to_be_stored() {
    let app = App::start().await;
    let client = app.client().await;
    assert_eq!(client.get("/v1/me").await.is(200).header("cache-control"), "no-store");
    assert_eq!(client.get("/v1/bookings").await.is(200).header("cache-control"), "no-store");
}

/// A slow body ends, and the service goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let app = App::start().await;
    let address = app.url.trim_start_matches("http://").to_owned();
    let slow = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(address).unwrap();
        let head =
            "POST /v1/auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 40\r\n\r\n{";
        socket.write_all(head.as_bytes()).unwrap();
        let mut answer = [0; 400];
        let read = socket.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..read]).into_owned()
    });
    app.nobody().get("/v1/services").await.is(200);
    let answer = slow.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn the_docs_come_from_the_binary() {
    let app = App::start().await;
    let nobody = app.nobody();
    let page = nobody.get("/docs").await.is(200).text;
    assert!(page.contains("swagger-ui"));
    // Nothing of the page stands in it that its policy would not run.
    assert!(!page.contains("<script>") && !page.contains("onload="), "{page}");
    for path in ["/docs/", "/docs/index.html", "/docs/swagger-ui-bundle.js", "/docs/swagger-initializer.js"] {
        let answer = nobody.get(path).await.is(200);
        let policy = answer.header("content-security-policy");
        for rule in ["default-src 'none'", "script-src 'self';", "connect-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
    }
    for path in ["/v1/services", "/v1/me", "/nope", "/openapi.json"] {
        let policy = nobody.get(path).await.header("content-security-policy");
        assert!(policy.contains("default-src 'none'; frame-ancestors 'none'"), "{path}: {policy}");
    }
    let document = nobody.get("/openapi.json").await.is(200);
    assert_eq!(document.body["openapi"], "3.1.0");
    nobody.get("/livez").await.is(200);
    nobody.get("/readyz").await.is(200);
}

#[tokio::test]
async fn a_path_is_the_same_however_it_is_written() {
    let app = App::with(monday_noon(), true).await;
    let nobody = app.nobody();
    let answer =
        send(nobody.request(Method::POST, "/v1/%61uth/logout").json(&json!({ "refresh_token": "x" }))).await.is(204);
    assert!(answer.header("ratelimit-policy").starts_with("\"sign-in\""));
    send(nobody.request(Method::GET, "/%761/services").header("accept", "text/html"))
        .await
        .refused(406, "not_acceptable");
}

#[tokio::test]
async fn a_cursor_of_ones_own_making_is_no_fault_of_ours() {
    use base64::Engine;
    let app = App::start().await;
    let (client, therapist) = (app.client().await, app.newcomer().await);
    let cursor = |key: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(key);
    let id = "4c923d71-5a38-4d8e-9ce0-61c38c5eb2cc";
    for (who, path, key) in [
        (&client, "/v1/therapists", format!("[1.0, \"a\\u0000b\", \"{id}\"]")),
        (&client, "/v1/bookings", format!("[\"-262143-01-01T00:00:00Z\", \"{id}\"]")),
        (&therapist, "/v1/therapists/me/time-off", format!("[\"-9999-01-01T00:00:00Z\", \"{id}\"]")),
        (&therapist, "/v1/therapists/me/overrides", "\"-4714-01-01\"".to_owned()),
        (&therapist, "/v1/therapists/me/overrides", format!("\"{}\"", "9".repeat(2000))),
    ] {
        who.get(&format!("{path}?cursor={}", cursor(&key))).await.points_to(&["/cursor"]);
    }
}
