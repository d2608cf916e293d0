//! What one caller may ask for, and what is left of a request once it was answered.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::commands::{Running, answers, free_address, fresh_configuration, knead};
use crate::support::{self, Answer, App, DEEP_TISSUE, PASSWORD, Person, monday_noon, send};

/// An answer to `person` calling from `origin`.
async fn from(origin: &str, person: &Person, method: Method, path: &str, body: Option<Value>) -> Answer {
    let request = person.request(method, path).header("x-forwarded-for", origin);
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

async fn log_in(app: &App, origin: &str, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    from(origin, &app.nobody(), Method::POST, "/v1/auth/login", Some(body)).await
}

/// Asks `times` at once, so that little comes back meanwhile on a slow machine; those that were refused, and the others.
async fn at_once(times: usize, request: impl AsyncFn(usize) -> Answer) -> (Vec<Answer>, Vec<Answer>) {
    let answers = join_all((0..times).map(|n| request(n))).await;
    answers.into_iter().partition(|answer| answer.status == 429)
}

/// A refusal among the answers to many requests at once.
async fn refusal(request: impl AsyncFn(usize) -> Answer) -> Option<Answer> {
    let (mut refused, _) = at_once(150, request).await;
    refused.pop().map(|answer| answer.refused(429, "too_many_requests"))
}

#[tokio::test]
async fn too_many_requests_are_turned_away_by_caller() {
    let app = App::with(monday_noon(), true).await;
    let nobody = app.nobody();
    let first = nobody.get("/v1/services").await.is(200);
    assert_eq!(first.header("ratelimit-policy"), "\"caller\";q=100;w=5, \"address\";q=400;w=5");
    assert_eq!(first.header("ratelimit"), "\"caller\";r=99;t=1, \"address\";r=399;t=1");
    let log_out = async |address: &str| {
        let body = json!({ "refresh_token": "unknown" });
        from(address, &nobody, Method::POST, "/v1/auth/logout", Some(body)).await
    };
    let refused = refusal(async |_| log_out("203.0.113.7").await).await.expect("a limit");
    assert!((1..=5).contains(&refused.header("retry-after").parse::<u32>().unwrap()));
    assert!(refused.header("ratelimit").starts_with("\"sign-in\";r="), "{}", refused.header("ratelimit"));
    // What stands left of our proxy's word is the caller's own claim, and so is what stands left of a hop that cannot be read.
    log_out("198.51.100.1, 203.0.113.7:4711").await.refused(429, "too_many_requests");
    log_out("198.51.100.1").await.is(204);
    log_out("2001:db8:1:2::3").await.is(204);
    let refused = refusal(async |n| log_out(&format!("2001:db8:1:2::{n:x}")).await).await;
    assert!(refused.is_some(), "a network has many addresses");
    let refused = refusal(async |n| log_out(&format!("198.51.100.{n}, unknown")).await).await;
    assert!(refused.is_some(), "a claim left of a hop that cannot be read is not believed");
}

#[tokio::test]
async fn every_path_has_a_limit() {
    let app = App::with(monday_noon(), true).await;
    let nobody = app.nobody();
    for (method, path, policy) in [
        (Method::GET, "/livez", "probe"),
        (Method::GET, "/readyz", "probe"),
        (Method::POST, "/readyz", "probe"),
        (Method::GET, "/openapi.json", "caller"),
        (Method::GET, "/docs", "caller"),
        (Method::GET, "/docs/swagger-ui.css", "caller"),
        (Method::GET, "/.well-known/jwks.json", "caller"),
        (Method::GET, "/nope", "caller"),
        (Method::GET, "/v1/nope", "caller"),
        (Method::GET, "/%6e%6fpe%00", "caller"),
        (Method::DELETE, "/v1/services", "caller"),
        (Method::OPTIONS, "/v1/slots", "caller"),
        (Method::from_bytes(b"PROPFIND").unwrap(), "/v1/me", "caller"),
        (Method::POST, "/v1/%61uth/login", "sign-in"),
    ] {
        let request = nobody.request(method.clone(), path).header("x-forwarded-for", "203.0.113.1");
        let answer = send(request.header("accept", "image/png, application/json;q=0.1")).await;
        let told = answer.header("ratelimit-policy");
        assert!(told.starts_with(&format!("\"{policy}\"")), "{method} {path}: {told}");
    }
    let refused = async |origin: &str, method: Method, path: &str| {
        refusal(async |_| from(origin, &nobody, method.clone(), path, None).await).await
    };
    refused("203.0.113.2", Method::GET, "/nope").await.expect("a limit on what there is not");
    refused("203.0.113.3", Method::GET, "/openapi.json").await.expect("a limit on the document");
    refused("203.0.113.4", Method::DELETE, "/v1/services").await.expect("a limit on unknown methods");
    refused("203.0.113.5", Method::GET, "/readyz").await.expect("a limit on probes");
    from("203.0.113.2", &nobody, Method::GET, "/livez", None).await.is(200);
    // Nor is there a way round by asking for what is not answered with.
    let unacceptable = async |_| {
        let request = nobody.request(Method::GET, "/v1/services").header("x-forwarded-for", "203.0.113.6");
        send(request.header("accept", "text/html")).await
    };
    refusal(unacceptable).await.expect("a limit on what is not acceptable");
}

#[tokio::test]
async fn an_operation_costs_what_it_takes() {
    let app = App::with(monday_noon(), true).await;
    let client = app.client().await;
    for (n, (method, path, cost)) in [
        (Method::GET, "/v1/me", 1),
        (Method::GET, "/nope", 1),
        (Method::POST, "/v1/bookings", 5),
        (Method::GET, "/v1/slots", 10),
        (Method::GET, "/v1/%73lots", 10),
        (Method::POST, "/v1/slots/check", 10),
        (Method::GET, "/v1/admin/tasks", 5),
        (Method::GET, "/v1/admin/audit/verify", 50),
    ]
    .into_iter()
    .enumerate()
    {
        // Signed in, the caller is the account; so each is asked by nobody, from elsewhere.
        let answer = from(&format!("203.0.113.{n}"), &app.nobody(), method, path, None).await;
        let left = format!("\"caller\";r={};", 100 - cost);
        assert!(answer.header("ratelimit").starts_with(&left), "{path}: {}", answer.header("ratelimit"));
    }
    let start = Instant::now();
    let search = async |_| from("203.0.113.99", &client, Method::GET, "/v1/slots", None).await;
    let (_, looked_at) = at_once(40, search).await;
    // Ten at once, and two a second.
    let most = 10 + 2 * start.elapsed().as_secs() as usize + 2;
    assert!((10..=most).contains(&looked_at.len()), "{} searches in {:?}", looked_at.len(), start.elapsed());
}

#[tokio::test]
async fn accounts_and_their_address_both_count() {
    let app = App::with(monday_noon(), true).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        clients.push(app.client().await);
    }
    let start = Instant::now();
    // A search that is wrong costs as much as one that is right.
    let search =
        async |n: usize| from("203.0.113.7", &clients[n % 8], Method::POST, "/v1/slots/check", Some(json!({}))).await;
    let (refused, looked_at) = at_once(80, search).await;
    // Forty at once for the address, and eight a second; each account alone may ask for ten.
    let most = 40 + 8 * start.elapsed().as_secs() as usize + 8;
    assert!((40..=most).contains(&looked_at.len()), "{} searches in {:?}", looked_at.len(), start.elapsed());
    assert!(refused.iter().any(|refused| refused.header("ratelimit").starts_with("\"address\"")));
    // What an account is refused is not taken from others at its address.
    let search = async |_| from("203.0.113.9", &clients[0], Method::GET, "/v1/slots", None).await;
    assert!(refusal(search).await.is_some());
    let other = app.client().await;
    from("203.0.113.9", &other, Method::GET, "/v1/slots", None).await.points_to(&["/service_id"]);
    // An account is the same wherever it calls from.
    let client = app.client().await;
    let search = async |n| from(&format!("198.51.100.{n}"), &client, Method::GET, "/v1/slots", None).await;
    assert!(refusal(search).await.is_some());
}

#[tokio::test]
async fn what_is_refused_was_not_looked_up() {
    let app = App::with(monday_noon(), true).await;
    let (client, other) = (app.client().await, app.client().await);
    app.service.db.close().await;
    // Within the limit the session is looked up, which fails here; past it there is nothing that could fail.
    let show_me = async |_| {
        let answer = from("203.0.113.7", &client, Method::GET, "/v1/me", None).await;
        assert!(matches!(answer.status.as_u16(), 503 | 429), "{}", answer.status);
        answer
    };
    let refused = refusal(show_me).await.expect("the account is counted by its token");
    assert!(refused.header("ratelimit").starts_with("\"caller\";r=0;"), "{}", refused.header("ratelimit"));
    from("203.0.113.7", &other, Method::GET, "/v1/me", None).await.is(503);
    let mut forged = other.clone();
    forged.token = other.token.map(|token| format!("{token}x"));
    let show_me = async |_| from("203.0.113.8", &forged, Method::GET, "/v1/me", None).await;
    refusal(show_me).await.expect("a token that proves nothing counts for its address");
}

#[tokio::test]
async fn wrong_passwords_delay_the_guesser_and_do_not_keep_the_owner_out() {
    let app = App::with(monday_noon(), true).await;
    let client = app.client().await;
    for (origin, email) in [("203.0.113.66", client.email.as_str()), ("203.0.113.67", "unknown@knead.test")] {
        // At once, five are looked at, whether there is such an account or not.
        let (refused, looked_at) = at_once(8, async |_| log_in(&app, origin, email, "wrong password").await).await;
        assert_eq!((refused.len(), looked_at.len()), (3, 5), "{email}");
        assert!(looked_at.iter().all(|answer| answer.status == 401));
        assert!(refused.iter().all(|answer| answer.header("retry-after") == "1"));
    }
    log_in(&app, "203.0.113.66", &client.email, PASSWORD).await.refused(429, "too_many_requests");
    for wait in [1, 2, 4, 8] {
        app.advance(chrono::TimeDelta::seconds(wait));
        log_in(&app, "203.0.113.66", &client.email, "wrong password").await.is(401);
    }
    let refused = log_in(&app, "203.0.113.66", &client.email, PASSWORD).await.refused(429, "too_many_requests");
    assert_eq!(refused.header("retry-after"), "16");
    for n in 0..31 {
        log_in(&app, &format!("203.0.113.{}", 100 + n), &client.email, "wrong password").await.is(401);
    }
    log_in(&app, "198.51.100.1", &client.email, PASSWORD).await.is(200);
    log_in(&app, "198.51.100.1", &client.email.to_uppercase(), PASSWORD).await.is(200);
    app.advance(chrono::TimeDelta::seconds(60));
    log_in(&app, "203.0.113.66", &client.email, PASSWORD).await.is(200);
    // What was right forgives what was wrong before it.
    for _ in 0..2 {
        for _ in 0..4 {
            log_in(&app, "198.51.100.2", &client.email, "wrong password").await.is(401);
        }
        log_in(&app, "198.51.100.2", &client.email, PASSWORD).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_from_everywhere_are_slowed_and_the_owners_networks_are_not() {
    let app = App::with(monday_noon(), true).await;
    let client = app.client().await;
    let mut statuses = Vec::new();
    for n in 0..110 {
        statuses.push(log_in(&app, &format!("203.0.113.{n}"), &client.email, "wrong password").await.status.as_u16());
    }
    assert_eq!(statuses.iter().filter(|status| **status == 401).count(), 100, "{statuses:?}");
    let refused = log_in(&app, "198.51.100.9", &client.email, PASSWORD).await.refused(429, "too_many_requests");
    assert_eq!(refused.header("retry-after"), "30");
    // The account was registered from 127.0.0.1, and its session is continued from elsewhere.
    app.nobody().log_in(&client.email).await;
    let body = json!({ "refresh_token": client.refresh_token });
    from("198.51.100.9", &app.nobody(), Method::POST, "/v1/auth/refresh", Some(body)).await.is(200);
    log_in(&app, "198.51.100.9", &client.email, PASSWORD).await.is(200);
    app.advance(chrono::TimeDelta::seconds(30));
    log_in(&app, "198.51.100.10", &client.email, PASSWORD).await.is(200);
}

/// Pages in memory of a process, in bytes.
fn resident(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? * 1024)
}

/// Sends `times` requests for what is not there over one connection, a hundred at a time, and reads the answers.
fn ask_for_nothing(address: &str, times: usize) {
    let mut socket = TcpStream::connect(address).unwrap();
    for batch in 0..times / 100 {
        let heads: String = (0..25)
            .map(|n| {
                format!(
                    "GET /nope/{n} HTTP/1.1\r\nhost: x\r\n\r\nDELETE /v1/services HTTP/1.1\r\nhost: x\r\n\r\n\
                     GET /v1/%6eope?n={batch} HTTP/1.1\r\nhost: x\r\n\r\nM{n} /v1/bookings/{n} HTTP/1.1\r\nhost: x\r\n\r\n"
                )
            })
            .collect();
        socket.write_all(heads.as_bytes()).unwrap();
        let (mut answers, mut read) = (String::new(), [0; 16_384]);
        // Each answer ends with its body.
        while answers.matches("\"request_id\":").count() < 100 || !answers.ends_with('}') {
            let length = socket.read(&mut read).unwrap();
            assert!(length > 0, "{answers}");
            answers.push_str(std::str::from_utf8(&read[..length]).unwrap());
        }
        let count = |status: &str| answers.matches(&format!("HTTP/1.1 {status} ")).count();
        assert_eq!((count("404"), count("405")), (50, 50), "{answers}");
    }
}

/// What is not there costs no memory that stays: patterns are made when the service starts. A service that made them for
/// each request lost three kilobytes with each. The first thousands of requests take up what the start left free.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_leaves_nothing_behind() {
    let (url, _) = support::database().await;
    let address = free_address();
    let mut serve = knead();
    serve.args(["serve", "--no-worker", "--no-migrate"]).envs(fresh_configuration()).env("KNEAD_ADDR", &address);
    serve.env("DATABASE_URL", &url).env("RUST_LOG", "warn").env("KNEAD_RATE_LIMIT", "off").env("MALLOC_ARENA_MAX", "1");
    let running = Running(serve.spawn().unwrap());
    assert!(answers(&address, "/readyz").await);
    let process = running.0.id();
    let measured = tokio::task::spawn_blocking(move || {
        ask_for_nothing(&address, 4000);
        let before = resident(process);
        ask_for_nothing(&address, 4000);
        before.zip(resident(process))
    });
    // Elsewhere than on Linux, that all were answered has to do.
    let Some((before, after)) = measured.await.unwrap() else { return };
    let grown = after.saturating_sub(before);
    println!("{grown} bytes more");
    assert!(grown < 4 << 20, "{grown} bytes are gone");
}

/// Two searches of one caller are under way, whatever is searched; a third is told to come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn searches_of_every_kind_take_turns() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    for path in [
        "/v1/therapists".to_owned(),
        "/v1/therapists/me/availability?from=2026-12-01&to=2026-12-07".to_owned(),
        format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-07&latitude=-33.8886&longitude=151.2111\
             &country=AU&region=NSW"
        ),
    ] {
        let mut lock = app.service.db.begin().await.unwrap();
        sqlx::query("LOCK TABLE therapists IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
        let (refused, others) = at_once(3, async |_| therapist.get(&path).await).await;
        assert_eq!((refused.len(), others.len()), (1, 2), "{path}");
        assert!(!refused[0].header("retry-after").is_empty());
        lock.rollback().await.unwrap();
        therapist.get(&path).await.is(200);
    }
}
