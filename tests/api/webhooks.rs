//! Other programs are told of what happens: endpoints, what is sent to them, and what becomes of it.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use knead::clock::Clock;
use knead::ids::{EndpointId, TherapistId};
use knead::messages::webhooks::{Happened, Outcome, Room, Wanted, kinds, may_try, plan, send as deliver};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use sqlx::Row;
use standardwebhooks::Webhook;
use uuid::Uuid;

use crate::sealing::tables_with;
use crate::support::{Answer, App, Person, send};

const ENDPOINTS: &str = "/v1/webhook-endpoints";
const PARTNER: &str = "https://partner.example/hooks";
const BODY: &[u8] = br#"{"type":"booking.moved"}"#;

/// What a receiver was sent.
#[derive(Clone, Debug)]
struct Received {
    headers: HeaderMap,
    body: Vec<u8>,
}

/// Somebody else's server: it answers all requests alike, and remembers them.
#[derive(Clone)]
struct Receiver {
    port: u16,
    head: Arc<Mutex<String>>,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    fn answering(head: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let receiver = Self { port, head: Arc::new(Mutex::new(head.to_owned())), received: Arc::default() };
        let (head, received) = (receiver.head.clone(), receiver.received.clone());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let lines = (&mut reader).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
                let headers: HashMap<String, String> = lines
                    .filter_map(|line| {
                        line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                    })
                    .collect();
                let headers: HeaderMap = (&headers).try_into().unwrap();
                let mut body = vec![0; headers["content-length"].to_str().unwrap().parse().unwrap()];
                reader.read_exact(&mut body).unwrap();
                received.lock().unwrap().push(Received { headers, body });
                let head = head.lock().unwrap().clone();
                drop(write!(stream, "HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
            }
        });
        receiver
    }

    fn answers(&self, head: &str) {
        *self.head.lock().unwrap() = head.to_owned();
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks", self.port)
    }

    fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }
}

async fn add(owner: &Person, url: &str) -> Answer {
    owner.post(ENDPOINTS, json!({ "url": url })).await.is(201)
}

async fn attempt(app: &App, endpoint: Uuid) -> Outcome {
    deliver(&app.service, EndpointId(endpoint), Uuid::now_v7(), app.now(), BODY).await.unwrap()
}

async fn room(app: &App, endpoint: Uuid) -> Room {
    may_try(&*app.service.db, &[EndpointId(endpoint)], app.now()).await.unwrap()[&EndpointId(endpoint)]
}

fn is_sent(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Sent { .. })
}

fn secret(answer: &Answer) -> String {
    answer.body["secret"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_added_changed_and_taken_away() {
    let app = App::start().await;
    let (owner, other) = (app.admin().await, app.admin().await);
    let body = json!({ "url": format!("{PARTNER}#part"), "description": "The clinic", "kinds": ["booking.moved", "booking.cancelled", "booking.moved"] });
    let made = owner.post(ENDPOINTS, body).await.is(201);
    let path = format!("{ENDPOINTS}/{}", made.id());
    assert_eq!(made.header("location"), path);
    assert!(secret(&made).starts_with("whsec_") && made.body["public_key"].as_str().unwrap().starts_with("whpk_"));
    assert_eq!(
        (&made.body["url"], &made.body["kinds"]),
        (&json!(PARTNER), &json!(["booking.moved", "booking.cancelled"]))
    );
    assert_eq!(made.body["created_by"], json!(owner.id));
    let shown = other.get(&path).await.is(200);
    assert_eq!(shown.body.get("secret"), None, "it is shown once");
    assert_eq!(shown.header("etag"), made.header("etag"));
    for (field, value) in
        [("state", json!("enabled")), ("description", json!("The clinic")), ("failing_since", Value::Null)]
    {
        assert_eq!((&shown.body[field], &made.body[field]), (&value, &value));
    }
    assert_eq!(owner.get(ENDPOINTS).await.is(200).body["data"], json!([shown.body]));
    assert_eq!(tables_with(&app, "whsec_").await, Vec::<String>::new());
    assert_eq!(tables_with(&app, "whsk_").await, Vec::<String>::new());

    // The path changes, and the secret stays; another host does not get to know it.
    let changed =
        other.change(&path, json!({ "url": "https://partner.example/new", "description": null })).await.is(200);
    assert_eq!((&changed.body["secret"], &changed.body["description"]), (&Value::Null, &Value::Null));
    let moved = owner.change(&path, json!({ "url": "https://else.example/", "kinds": [] })).await.is(200);
    assert!(secret(&moved) != secret(&made) && moved.body["kinds"] == json!([]));
    assert_eq!(moved.body["previous_secret_until"], Value::Null);
    assert_eq!(moved.body["public_key"], made.body["public_key"]);
    assert_eq!(moved.header("etag"), owner.get(&path).await.header("etag"));
    send(owner.request(Method::PATCH, &path).json(&json!({}))).await.refused(428, "precondition_required");
    let stale = owner.request(Method::PATCH, &path).header("If-Match", made.header("etag"));
    send(stale.json(&json!({}))).await.refused(412, "precondition_failed");
    owner.change(&path, json!({ "url": "https://10.0.0.1/" })).await.refused(422, "not_public");

    owner.delete(&path).await.is(204);
    for answer in [
        owner.get(&path).await,
        owner.delete(&path).await,
        owner.act(&format!("{path}/rotate-secret")).await,
        owner.act(&format!("{path}/enable")).await,
        owner.act(&format!("{path}/test")).await,
        owner.get(&format!("{path}/deliveries")).await,
        owner.act(&format!("{path}/deliveries/{}/retry", Uuid::now_v7())).await,
        owner.post(&format!("{path}/recover"), json!({ "since": "2026-12-01T00:00:00Z" })).await,
        send(owner.request(Method::PATCH, &path).header("If-Match", "*").json(&json!({}))).await,
    ] {
        answer.refused(404, "not_found");
    }
    app.chain_audit().await;
    for step in ["create", "update", "delete"] {
        let seen = owner.get(&format!("/v1/admin/audit?action=webhook_endpoint.{step}")).await.is(200);
        assert!(!seen.body["data"].as_array().unwrap().is_empty() && !seen.text.contains("hooks"), "{}", seen.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_owners_come_near_and_what_they_say_is_checked() {
    let app = App::start().await;
    let owner = app.admin().await;
    for person in [app.client().await, app.newcomer().await, app.admin_with(&[knead::values::Grant::Support]).await] {
        person.get(ENDPOINTS).await.refused(403, "forbidden");
        person.post(ENDPOINTS, json!({ "url": PARTNER })).await.refused(403, "forbidden");
    }
    app.nobody().get(ENDPOINTS).await.refused(401, "unauthorized");
    for (body, pointer) in [
        (json!({}), "/url"),
        (json!({ "url": "partner.example" }), "/url"),
        (json!({ "url": "https://me:secret@partner.example/" }), "/url"),
        (json!({ "url": PARTNER, "kinds": ["booking.hovered"] }), "/kinds/0"),
        (json!({ "url": PARTNER, "kinds": ["endpoint.test"] }), "/kinds/0"),
        (json!({ "url": PARTNER, "kinds": null }), "/kinds"),
        (json!({ "url": PARTNER, "description": "" }), "/description"),
        (json!({ "url": PARTNER, "secret": "whsec_AAAA" }), "/secret"),
    ] {
        owner.post(ENDPOINTS, body).await.points_to(&[pointer]);
    }
    for url in [
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://localhost/",
        "https://printer.local/",
        "https://partner.example:25/",
        "http://partner.example/",
        // Our own.
        "https://knead.test/",
        "http://[::ffff:10.0.0.1]/",
    ] {
        let refused = owner.post(ENDPOINTS, json!({ "url": url })).await.refused(422, "not_public");
        assert_eq!(refused.body["errors"][0]["pointer"], "/url");
    }
    let path = format!("{ENDPOINTS}/{}", add(&owner, PARTNER).await.id());
    owner.post(&format!("{path}/recover"), json!({})).await.points_to(&["/since"]);
    owner.post(&format!("{path}/recover"), json!({ "since": "yesterday" })).await.points_to(&["/since"]);
    owner.post(&format!("{path}/test"), json!({ "loud": true })).await.points_to(&["/loud"]);
    owner.post(&format!("{path}/enable"), json!({ "loud": true })).await.points_to(&["/loud"]);
    owner.post(&format!("{path}/rotate-secret"), json!({ "loud": true })).await.points_to(&["/loud"]);
    owner.get(&format!("{path}/deliveries?cursor=x")).await.points_to(&["/cursor"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_are_twenty_endpoints_also_where_many_are_added_at_once() {
    let app = App::start().await;
    let owner = app.admin().await;
    let answers = join_all((0..25).map(|_| owner.post(ENDPOINTS, json!({ "url": PARTNER })))).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!((made, app.rows("webhook_endpoints").await), (20, 20));
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.refused(409, "too_many_webhook_endpoints");
    }
    let page = owner.get(&format!("{ENDPOINTS}?limit=15")).await.is(200).body;
    let rest = format!("{ENDPOINTS}?cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(owner.get(&rest).await.is(200).body["data"].as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_again_makes_no_second_secret() {
    let app = App::start().await;
    let owner = app.admin().await;
    let post = |path: String| owner.request(Method::POST, &path).header("Idempotency-Key", "k");
    let made = send(post(ENDPOINTS.to_owned()).json(&json!({ "url": PARTNER }))).await.is(201);
    let again = send(post(ENDPOINTS.to_owned()).json(&json!({ "url": PARTNER }))).await.is(201);
    assert_eq!((made.text, app.rows("webhook_endpoints").await), (again.text.clone(), 1));
    let rotate = format!("{ENDPOINTS}/{}/rotate-secret", again.id());
    let rotated = send(post(rotate.clone())).await.is(200);
    assert_eq!(send(post(rotate)).await.is(200).text, rotated.text);
    assert_eq!(tables_with(&app, "whsec_").await, Vec::<String>::new());
    let other = format!("{ENDPOINTS}/{}/rotate-secret", add(&owner, PARTNER).await.id());
    send(post(other)).await.refused(422, "idempotency_key_reused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_verifies_by_each_secret_that_is_good() {
    let app = App::start().await;
    let (owner, receiver) = (app.admin().await, Receiver::answering("204 No Content"));
    let made = add(&owner, &receiver.url()).await;
    let (id, delivery) = (made.id(), Uuid::now_v7());
    let sent = deliver(&app.service, EndpointId(id), delivery, Clock::System.now(), BODY).await.unwrap();
    assert!(matches!(sent, Outcome::Sent { status: 204, ms: 0.. }), "{sent:?}");
    let received = receiver.received().pop().unwrap();
    let verify =
        |secret: &str, received: &Received| Webhook::new(secret).unwrap().verify(&received.body, &received.headers);
    assert!(verify(&secret(&made), &received).is_ok());
    assert_eq!((received.headers["webhook-id"].to_str().unwrap(), &received.body[..]), (&*delivery.to_string(), BODY));
    assert_eq!(received.headers["content-type"], "application/json");

    let rotated = owner.act(&format!("{ENDPOINTS}/{id}/rotate-secret")).await.is(200);
    assert!(rotated.body["previous_secret_until"].is_string() && secret(&rotated) != secret(&made));
    let good_now = async |at: DateTime<Utc>| {
        let delivery = Uuid::now_v7();
        assert!(is_sent(&deliver(&app.service, EndpointId(id), delivery, at, BODY).await.unwrap()));
        let received = receiver.received().pop().unwrap();
        let signed = received.headers["webhook-signature"].to_str().unwrap().to_owned();
        let is_good = |secret: &str| {
            let expected = Webhook::new(secret).unwrap().sign(&delivery.to_string(), at.timestamp(), BODY).unwrap();
            signed.split(' ').any(|signature| signature == expected)
        };
        assert_eq!(signed.split(' ').filter(|signature| signature.starts_with("v1a,")).count(), 1);
        (is_good(&secret(&made)), is_good(&secret(&rotated)))
    };
    assert_eq!(good_now(app.now()).await, (true, true));
    assert_eq!(good_now(app.now() + TimeDelta::hours(24) - TimeDelta::minutes(1)).await, (true, true));
    assert_eq!(good_now(app.now() + TimeDelta::hours(24)).await, (false, true));
    app.advance(TimeDelta::hours(24));
    let shown = owner.get(&format!("{ENDPOINTS}/{id}")).await.is(200);
    assert_eq!(shown.body["previous_secret_until"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_fails_is_tried_by_one_and_gets_well_by_two_and_four() {
    let app = App::start().await;
    let (owner, receiver) = (app.admin().await, Receiver::answering("500 Internal Server Error"));
    let id = add(&owner, &receiver.url()).await.id();
    for failures in 1..=5 {
        assert_eq!(room(&app, id).await, Room::Any);
        let outcome = attempt(&app, id).await;
        let Outcome::Retry { why, status, after: None, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!((why.as_str(), status), ("status_500", Some(500)), "{failures}");
    }
    assert_eq!(room(&app, id).await, Room::AtOnce(0));
    let tag = owner.get(&format!("{ENDPOINTS}/{id}")).await.is(200);
    assert!(tag.body["failing_since"].is_string());
    app.advance(TimeDelta::minutes(1));
    assert_eq!(room(&app, id).await, Room::AtOnce(1));
    attempt(&app, id).await;
    assert_eq!(room(&app, id).await, Room::AtOnce(0));
    app.advance(TimeDelta::minutes(2));
    // A redirect leads nowhere.
    receiver.answers("307 Temporary Redirect\r\nLocation: /elsewhere");
    assert!(matches!(attempt(&app, id).await, Outcome::Retry { why, .. } if why == "redirect"));
    assert_eq!(receiver.received().len(), 7);
    app.advance(TimeDelta::minutes(4));
    receiver.answers("200 OK");
    for (before, after) in
        [(Room::AtOnce(1), Room::AtOnce(2)), (Room::AtOnce(2), Room::AtOnce(4)), (Room::AtOnce(4), Room::Any)]
    {
        assert_eq!(room(&app, id).await, before);
        assert!(is_sent(&attempt(&app, id).await));
        assert_eq!(room(&app, id).await, after);
    }
    assert_eq!(owner.get(&format!("{ENDPOINTS}/{id}")).await.is(200).body["failing_since"], Value::Null);
    // Of many failures at once each counts, and none is lost.
    receiver.answers("500 Internal Server Error");
    join_all((0..4).map(|_| attempt(&app, id))).await;
    assert_eq!((room(&app, id).await, app.rows("webhook_endpoints WHERE failures = 4").await), (Room::Any, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_gone_or_fails_for_five_days_is_disabled_and_the_owner_is_told() {
    let app = App::start().await;
    let (owner, other) = (app.admin().await, app.admin().await);
    let receiver = Receiver::answering("410 Gone");
    let (gone, failing) = (add(&owner, &receiver.url()).await.id(), add(&owner, &receiver.url()).await.id());
    let outcome = attempt(&app, gone).await;
    assert!(matches!(outcome, Outcome::Final { ref why, status: Some(410), .. } if why == "gone"), "{outcome:?}");
    assert_eq!(attempt(&app, gone).await, Outcome::Disabled);
    assert_eq!(attempt(&app, Uuid::now_v7()).await, Outcome::Disabled);
    receiver.answers("503 Service Unavailable\r\nRetry-After: 30");
    for _ in 0..2 {
        let outcome = attempt(&app, failing).await;
        assert!(matches!(outcome, Outcome::Retry { after: Some(wait), .. } if wait == Duration::from_secs(30)));
    }
    app.advance(TimeDelta::days(5));
    attempt(&app, failing).await;
    assert_eq!(receiver.received().len(), 4);
    assert_eq!(attempt(&app, failing).await, Outcome::Disabled);
    for (id, reason) in [(gone, "gone"), (failing, "failing")] {
        let shown = owner.get(&format!("{ENDPOINTS}/{id}")).await.is(200).body;
        assert_eq!((&shown["state"], &shown["disabled_reason"]), (&json!("disabled"), &json!(reason)));
    }
    let notices = owner.get("/v1/me/notices").await.is(200).body;
    let told: Vec<(&Value, &Value, &Value)> = notices["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|n| (&n["kind"], &n["subject_id"], &n["details"]["error"]))
        .collect();
    assert_eq!(told.len(), 2, "{notices}");
    for (id, reason) in [(gone, "gone"), (failing, "failing")] {
        assert!(told.contains(&(&json!("webhook_disabled"), &json!(id), &json!(reason))), "{notices}");
    }
    assert_eq!(other.get("/v1/me/notices").await.is(200).body["data"], json!([]));

    // It goes on as if nothing had been.
    receiver.answers("200 OK");
    let enabled = other.act(&format!("{ENDPOINTS}/{failing}/enable")).await.is(200).body;
    assert_eq!((&enabled["state"], &enabled["disabled_reason"]), (&json!("enabled"), &Value::Null));
    assert!(is_sent(&attempt(&app, failing).await));
    other.act(&format!("{ENDPOINTS}/{failing}/enable")).await.is(200);
    assert_eq!(app.rows("events WHERE kind = 'webhook_endpoint.enable'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_turned_inward_gets_nothing() {
    let app = App::start().await;
    let owner = app.admin().await;
    let id = add(&owner, PARTNER).await.id();
    for url in ["https://10.0.0.1/", "https://knead.test/", "https://localhost/"] {
        app.sql(&format!("UPDATE webhook_endpoints SET url = '{url}'")).await.unwrap();
        assert!(
            matches!(attempt(&app, id).await, Outcome::Retry { why, status: None, .. } if why == "not_public"),
            "{url}"
        );
    }
}

/// Puts a message into the log, as if it had been planned.
async fn log(app: &App, endpoint: Uuid, state: &str) -> Uuid {
    let id = Uuid::new_v7(uuid::Timestamp::from_unix(
        uuid::NoContext,
        app.now().timestamp().unsigned_abs(),
        app.now().timestamp_subsec_nanos(),
    ));
    sqlx::query(
        "INSERT INTO deliveries (id, once, event_id, event_kind, message, booking_id, endpoint_id, class, channel, lane, state, due_at, expires_at,
                                 valid, attempts, last_error, created_at, ended_at, lease_until)
         VALUES ($1, $1::text, $1, 'booking.reschedule', 'booking.moved', $1, $2, 'webhook', 'webhook', 'l', $3, $4 + interval '1 hour',
                 $4 + interval '3 days', '{}', 9, 'status_500', $4, CASE WHEN $3 NOT IN ('pending', 'sending') THEN $4 END,
                 CASE WHEN $3 = 'sending' THEN $4 + interval '1 minute' END)",
    )
    .bind(id)
    .bind(endpoint)
    .bind(state)
    .bind(app.now())
    .execute(&*app.service.db)
    .await
    .unwrap();
    for (number, status) in [(1, None), (2, Some(500))] {
        sqlx::query("INSERT INTO delivery_attempts (delivery_id, number, at, ms, status, error) VALUES ($1, $2, $3, 40, $4, 'e')")
            .bind(id)
            .bind(number)
            .bind(app.now())
            .bind(status)
            .execute(&*app.service.db)
            .await
            .unwrap();
    }
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_messages_is_shown_and_they_can_be_sent_again() {
    let app = App::start().await;
    let owner = app.admin().await;
    let (id, other) = (add(&owner, PARTNER).await.id(), add(&owner, PARTNER).await.id());
    let path = format!("{ENDPOINTS}/{id}");
    let mut logged = Vec::new();
    for state in ["sent", "failed", "pending", "sending", "withdrawn"] {
        app.advance(TimeDelta::seconds(1));
        logged.push(log(&app, id, state).await);
    }
    let elsewhere = log(&app, other, "failed").await;
    let all = owner.get(&format!("{path}/deliveries")).await.is(200).body;
    let ids = |page: &Value| -> Vec<Uuid> {
        page["data"].as_array().unwrap().iter().map(|d| d["id"].as_str().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(ids(&all), logged.iter().rev().copied().collect::<Vec<_>>());
    let failed = &all["data"][3];
    assert_eq!(
        (&failed["state"], &failed["error"], &failed["due_at"]),
        (&json!("failed"), &json!("status_500"), &Value::Null)
    );
    assert_eq!((&failed["type"], &failed["booking_id"]), (&json!("booking.moved"), &json!(logged[1])));
    assert_eq!((&failed["attempts"][0]["status"], &failed["attempts"][1]["status"]), (&Value::Null, &json!(500)));
    let first = owner.get(&format!("{path}/deliveries?limit=3")).await.is(200).body;
    let next = format!("{path}/deliveries?limit=3&cursor={}", first["next_cursor"].as_str().unwrap());
    assert_eq!([ids(&first), ids(&owner.get(&next).await.is(200).body)].concat(), ids(&all));

    let retry = |delivery: Uuid| format!("{path}/deliveries/{delivery}/retry");
    for delivery in [logged[0], logged[3], logged[4]] {
        owner.act(&retry(delivery)).await.refused(409, "delivery_not_retriable");
    }
    for missing in [elsewhere, Uuid::now_v7()] {
        owner.act(&retry(missing)).await.refused(404, "not_found");
    }
    let now = json!(app.now());
    for delivery in [logged[1], logged[2]] {
        let again = owner.act(&retry(delivery)).await.is(202).body;
        assert_eq!((&again["state"], &again["due_at"], &again["ended_at"]), (&json!("pending"), &now, &Value::Null));
    }
    assert_eq!(app.rows("deliveries WHERE state = 'pending' AND attempts = 0").await, 1, "all attempts anew");
    assert_eq!(app.rows("deliveries WHERE state = 'pending' AND attempts = 9").await, 1, "the next attempt");

    let since = app.now();
    let mut lost = Vec::new();
    for _ in 0..3 {
        app.advance(TimeDelta::seconds(10));
        lost.push(log(&app, id, "failed").await);
    }
    let recovered =
        owner.post(&format!("{path}/recover"), json!({ "since": since + TimeDelta::seconds(15) })).await.is(202);
    assert_eq!(recovered.body, json!({ "messages": 2, "more": false }));
    let states = format!("deliveries WHERE state = 'failed' AND id = '{}'", lost[0]);
    assert_eq!((app.rows(&states).await, app.rows("deliveries WHERE state = 'failed'").await), (1, 2));

    app.sql("UPDATE webhook_endpoints SET state = 'disabled', disabled_reason = 'gone'").await.unwrap();
    owner.act(&retry(lost[0])).await.refused(409, "endpoint_disabled");
    owner.act(&format!("{path}/test")).await.refused(409, "endpoint_disabled");
    owner.post(&format!("{path}/recover"), json!({ "since": since })).await.refused(409, "endpoint_disabled");
    owner.delete(&path).await.is(204);
    assert_eq!(app.rows(&format!("deliveries WHERE endpoint_id = '{id}' AND state = 'pending'")).await, 0);
    assert_eq!(app.rows(&format!("deliveries WHERE endpoint_id = '{other}' AND state = 'failed'")).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_than_a_thousand_messages_are_sent_again_in_turn() {
    let app = App::start().await;
    let owner = app.admin().await;
    let id = add(&owner, PARTNER).await.id();
    sqlx::query(
        "INSERT INTO deliveries (id, once, event_kind, message, endpoint_id, class, channel, lane, state, due_at, expires_at, valid, created_at, ended_at)
         SELECT id, id::text, 'booking.reschedule', 'booking.moved', $1, 'webhook', 'webhook', 'l', 'failed', $2, $2, '{}', $2, $2 FROM unnest($3) AS id",
    )
    .bind(id)
    .bind(app.now())
    .bind((0..1001).map(|_| Uuid::now_v7()).collect::<Vec<_>>())
    .execute(&*app.service.db)
    .await
    .unwrap();
    let recover =
        async || owner.post(&format!("{ENDPOINTS}/{id}/recover"), json!({ "since": "2000-01-01T00:00:00Z" })).await;
    for (messages, more) in [(1000, true), (1, false), (0, false)] {
        assert_eq!(recover().await.is(202).body, json!({ "messages": messages, "more": more }));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_is_tried_out() {
    let app = App::start().await;
    let (owner, receiver) = (app.admin().await, Receiver::answering("200 OK"));
    let made = add(&owner, &receiver.url()).await;
    let post =
        || owner.request(Method::POST, &format!("{ENDPOINTS}/{}/test", made.id())).header("Idempotency-Key", "t");
    let test = send(post()).await.is(202);
    assert_eq!((&test.body["type"], &test.body["state"]), (&json!("endpoint.test"), &json!("pending")));
    assert_eq!(send(post()).await.is(202).text, test.text);
    assert_eq!(app.rows("deliveries WHERE channel = 'webhook'").await, 1);
    let endpoint = EndpointId(made.id());
    let body = kinds::test_body(endpoint, app.now()).unwrap();
    let body = body.to_string();
    assert!(is_sent(&deliver(&app.service, endpoint, test.id(), Clock::System.now(), body.as_bytes()).await.unwrap()));
    let received = receiver.received().pop().unwrap();
    Webhook::new(&secret(&made)).unwrap().verify(&received.body, &received.headers).unwrap();
    let body: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!((&body["type"], &body["data"]["endpoint_id"]), (&json!("endpoint.test"), &json!(made.id())));
}

/// All that happened, in order.
async fn happened(app: &App) -> Vec<Happened> {
    let rows = sqlx::query(
        "SELECT id, kind, subject_id, at, number, therapist_id, from_state, to_state, details::jsonb FROM events ORDER BY position",
    );
    let rows = rows.fetch_all(&*app.service.db).await.unwrap();
    let event = |row: &sqlx::postgres::PgRow| {
        Some(Happened {
            id: row.get(0),
            kind: row.get(1),
            subject: row.get::<String, _>(2).parse().ok()?,
            at: row.get(3),
            number: row.get(4),
            therapist: row.get::<Option<Uuid>, _>(5).map(TherapistId),
            from: row.get(6),
            to: row.get(7),
            details: row.get(8),
        })
    };
    rows.iter().filter_map(event).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_are_told_of_the_steps_of_a_visit_in_order() {
    let app = App::start().await;
    let (owner, therapist, (client, address)) = (app.admin().await, app.therapist().await, app.client_at_home().await);
    let all = EndpointId(add(&owner, PARTNER).await.id());
    let some = owner.post(ENDPOINTS, json!({ "url": PARTNER, "kinds": ["booking.cancelled"] })).await.is(201);
    let booked = client.books(&therapist, address, "2026-12-02T00:00:00Z").await.is(201);
    let visit = format!("/v1/bookings/{}", booked.id());
    client.post(&format!("{visit}/reschedule"), json!({ "start_at": "2026-12-02T02:00:00Z" })).await.is(200);
    let offer = json!({ "start_at": "2026-12-02T04:00:00Z" });
    let offer = therapist.post(&format!("{visit}/counter-offers"), offer).await.is(201).id();
    client.act(&format!("{visit}/counter-offers/{offer}/decline")).await.is(200);
    client.post(&format!("{visit}/cancel"), json!({})).await.is(200);
    let late = EndpointId(add(&owner, PARTNER).await.id());

    let events = happened(&app).await;
    let wanted = plan(&*app.service.db, &events).await.unwrap();
    let of = |endpoint: EndpointId| -> Vec<&Wanted> { wanted.iter().filter(|w| w.endpoint == endpoint).collect() };
    let kinds_of = |endpoint| of(endpoint).iter().map(|w| w.kind).collect::<Vec<_>>();
    let steps =
        ["booking.confirmed", "booking.moved", "counter_offer.proposed", "counter_offer.declined", "booking.cancelled"];
    assert_eq!(kinds_of(all), steps);
    assert_eq!(kinds_of(EndpointId(some.id())), ["booking.cancelled"]);
    let is_late =
        wanted.iter().any(|w| w.endpoint == late && events.iter().any(|e| e.id == w.event && e.at < app.now()));
    assert!(!is_late, "it hears of what happened since it was made");
    let mut last = 0;
    for wanted in of(all) {
        let event = events.iter().find(|event| event.id == wanted.event).unwrap();
        let body = kinds::body(event).unwrap().unwrap();
        assert_eq!((&body["type"], &body["data"]["booking_id"]), (&json!(wanted.kind), &json!(booked.id())));
        let sequence = body["data"]["sequence"].as_i64().unwrap();
        assert!(sequence > last, "{body}");
        last = sequence;
    }
    app.sql("UPDATE webhook_endpoints SET state = 'disabled', disabled_reason = 'failing'").await.unwrap();
    let wanted = plan(&*app.service.db, &events).await.unwrap();
    assert!(!wanted.is_empty() && wanted.iter().all(|wanted| !wanted.is_open));
}

/// The kinds that a receiver was told of a visit, in order.
fn told(receiver: &Receiver, booking: Uuid) -> Vec<String> {
    let bodies = receiver.received().into_iter().map(|one| serde_json::from_slice::<Value>(&one.body).unwrap());
    let of = bodies.filter(|body| body["data"]["booking_id"] == json!(booking));
    of.map(|body| body["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_sent_once_in_order_and_goes_on_after_the_endpoint_was_away() {
    let app = App::start().await;
    let (owner, receiver) = (app.admin().await, Receiver::answering("204 No Content"));
    let made = add(&owner, &receiver.url()).await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let booking = client.books(&therapist, address, "2026-12-10T03:00:00Z").await.is(201).id();
    app.send_messages().await;
    app.send_messages().await;
    assert_eq!(told(&receiver, booking), ["booking.confirmed"]);
    for one in receiver.received() {
        // Signed by the test's clock, which a receiver would not believe.
        let text = |name: &str| one.headers[name].to_str().unwrap().to_owned();
        let webhook = Webhook::new(&secret(&made)).unwrap();
        let signed = webhook.sign(&text("webhook-id"), text("webhook-timestamp").parse().unwrap(), &one.body).unwrap();
        assert!(text("webhook-signature").split(' ').any(|one| one == signed));
    }
    // It is away: what happens meanwhile waits, and none is put together with another.
    receiver.answers("503 Service Unavailable");
    for start in ["2026-12-10T04:00:00Z", "2026-12-11T03:00:00Z"] {
        let path = format!("/v1/bookings/{booking}/reschedule");
        client.post(&path, json!({ "start_at": start })).await.is(200);
    }
    client.post(&format!("/v1/bookings/{booking}/cancel"), json!({})).await.is(200);
    app.send_messages().await;
    assert_eq!(told(&receiver, booking), ["booking.confirmed", "booking.moved"], "the head of the lane alone is tried");
    receiver.answers("204 No Content");
    app.advance(TimeDelta::seconds(13));
    app.send_messages().await;
    assert_eq!(
        told(&receiver, booking),
        ["booking.confirmed", "booking.moved", "booking.moved", "booking.moved", "booking.cancelled"]
    );
    let ids: Vec<_> = receiver.received().iter().map(|one| one.headers["webhook-id"].clone()).collect();
    assert_eq!(
        ids.iter().filter(|id| **id == ids[ids.len() - 3]).count(),
        2,
        "an attempt bears the id of the one before"
    );
    assert_eq!(app.rows("deliveries WHERE channel = 'webhook' AND state <> 'sent'").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_fail_keep_no_other_waiting_and_what_they_missed_can_be_recovered() {
    let app = App::start().await;
    let (owner, living) = (app.admin().await, Receiver::answering("204 No Content"));
    add(&owner, &living.url()).await;
    let gone = Receiver::answering("410 Gone");
    let dead = add(&owner, &gone.url()).await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    for (n, day) in (10..14).enumerate() {
        let booking = client.books(&therapist, address, &format!("2026-12-{day}T03:00:00Z")).await.is(201).id();
        app.send_messages().await;
        assert_eq!(told(&living, booking), ["booking.confirmed"], "the {n}th");
    }
    assert_eq!(gone.received().len(), 1, "nothing is sent to who is gone");
    let failed = app.rows("deliveries WHERE state = 'failed'").await;
    assert!(failed >= 4, "{failed}");
    gone.answers("204 No Content");
    let path = format!("{ENDPOINTS}/{}", dead.id());
    owner
        .post(&format!("{path}/recover"), json!({ "since": app.now() - TimeDelta::hours(1) }))
        .await
        .refused(409, "endpoint_disabled");
    owner.act(&format!("{path}/enable")).await.is(200);
    owner.post(&format!("{path}/recover"), json!({ "since": app.now() - TimeDelta::hours(1) })).await.is(202);
    app.send_messages().await;
    assert_eq!(app.rows("deliveries WHERE state = 'failed'").await, 0);
    assert_eq!(gone.received().len() as i64, failed + 1);
}
