//! Programs that call in their own name: their keys, what each scope lets them do, and what ends it.

use chrono::TimeDelta;
use futures_util::future::join_all;
use knead::values::{Grant, Scope};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::rosters;
use crate::support::{Answer, App, DEEP_TISSUE, Person, send};

const CLIENTS: &str = "/v1/admin/api-clients";
const ENDPOINTS: &str = "/v1/webhook-endpoints";

async fn makes(owner: &Person, scopes: &[Scope]) -> Answer {
    owner.post(CLIENTS, json!({ "name": "Booking page", "scopes": scopes })).await
}

async fn makes_key(owner: &Person, client: &str) -> Answer {
    owner.post(&format!("{CLIENTS}/{client}/keys"), json!({})).await
}

/// Whoever calls with this key.
fn with_key(app: &App, key: &Value) -> Person {
    app.nobody().with_key(key.as_str().unwrap())
}

/// A program with these scopes; its id is that of the API client.
pub async fn keyed(app: &App, owner: &Person, scopes: &[Scope]) -> Person {
    let client = makes(owner, scopes).await.is(201).id();
    let key = makes_key(owner, &client.to_string()).await.is(201).body["key"].clone();
    let mut program = with_key(app, &key);
    program.id = client;
    program
}

/// A search for an hour in Surry Hills.
fn search() -> String {
    format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&latitude=-33.8886&longitude=151.2111\
         &country=AU&region=NSW"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_shown_once_and_its_digest_is_kept() {
    let app = App::start().await;
    let owner = app.admin().await;
    let made = makes(&owner, &[Scope::RostersWrite, Scope::SlotsRead]).await.is(201);
    let path = made.header("location");
    assert_eq!(made.body["scopes"], json!(["slots:read", "rosters:write"]));
    assert_eq!((&made.body["name"], &made.body["created_by"]), (&json!("Booking page"), &json!(owner.id)));
    assert_eq!(owner.get(&path).await.is(200).body, made.body);
    assert_eq!(owner.get(CLIENTS).await.is(200).body["data"], json!([made.body]));
    let shown = makes_key(&owner, &made.id().to_string()).await.is(201);
    let key = shown.body["key"].as_str().unwrap();
    assert!(key.starts_with(shown.body["beginning"].as_str().unwrap()), "{key}");
    let kept = owner.get(&format!("{path}/keys")).await.is(200);
    assert!(!kept.text.contains(key), "{}", kept.text);
    assert_eq!(
        (&kept.body["data"][0]["last_used_at"], &kept.body["data"][0]["revoked_at"]),
        (&Value::Null, &Value::Null)
    );
    let whole = format!("api_client_keys WHERE digest = sha256('{key}')");
    assert_eq!(app.rows(&whole).await, 1);
    with_key(&app, &shown.body["key"]).get(&search()).await.is(200);
    app.advance(TimeDelta::minutes(20));
    with_key(&app, &shown.body["key"]).get(&search()).await.is(200);
    let used =
        owner.refreshed().await.get(&format!("{path}/keys")).await.is(200).body["data"][0]["last_used_at"].clone();
    assert_eq!(used, json!("2026-11-30T01:00:00Z"), "to the hour");
    app.chain_audit().await;
    let seen = owner
        .refreshed()
        .await
        .get(&format!("/v1/admin/audit?subject_type=api_client&subject_id={}", made.id()))
        .await
        .is(200);
    let actions: Vec<&Value> = seen.body["data"].as_array().unwrap().iter().map(|entry| &entry["action"]).collect();
    assert!(
        actions.contains(&&json!("api_client.create")) && actions.contains(&&json!("api_client.key_create")),
        "{}",
        seen.text
    );
    assert!(!seen.text.contains(key), "no key is in the audit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_ended_or_is_mistyped_is_nobodys() {
    let app = App::start().await;
    let owner = app.admin().await;
    let client = makes(&owner, &[Scope::SlotsRead]).await.is(201).id();
    let keys = format!("{CLIENTS}/{client}/keys");
    let first = makes_key(&owner, &client.to_string()).await.is(201);
    let until = owner.post(&keys, json!({ "expires_at": "2026-11-30T01:05:00Z" })).await.is(201);
    owner
        .post(&keys, json!({ "expires_at": "2026-11-30T01:00:00Z" }))
        .await
        .refused(422, "invalid")
        .points_to(&["/expires_at"]);
    let (one, other) = (with_key(&app, &first.body["key"]), with_key(&app, &until.body["key"]));
    one.get(&search()).await.is(200);
    other.get(&search()).await.is(200);
    app.advance(TimeDelta::minutes(5));
    other.get(&search()).await.refused(401, "unauthorized");
    one.get(&search()).await.is(200);
    owner.delete(&first.header("location")).await.is(204);
    one.get(&search()).await.refused(401, "unauthorized");
    owner.delete(&first.header("location")).await.is(204);
    owner.delete(&format!("{keys}/{}", Uuid::now_v7())).await.is(404);
    // Check digits are looked at before the database is: it may as well be away.
    let fresh = makes_key(&owner, &client.to_string()).await.is(201).body["key"].as_str().unwrap().to_owned();
    app.sql("ALTER TABLE api_client_keys RENAME TO away").await.unwrap();
    let mistyped = fresh.replacen("knead_0", "knead_1", 1);
    with_key(&app, &json!(mistyped)).get(&search()).await.refused(401, "unauthorized");
    app.sql("ALTER TABLE away RENAME TO api_client_keys").await.unwrap();
    with_key(&app, &json!(fresh)).get(&search()).await.is(200);
    owner.delete(&format!("{CLIENTS}/{client}")).await.is(204);
    with_key(&app, &json!(fresh)).get(&search()).await.refused(401, "unauthorized");
    owner.get(&format!("{CLIENTS}/{client}")).await.is(404);
    assert_eq!(app.rows("api_client_keys").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_alone_make_clients_and_prove_their_password_for_it() {
    let app = App::start().await;
    let owner = app.admin().await;
    let client = makes(&owner, &[Scope::SlotsRead]).await.is(201).id();
    for other in [app.admin_with(&[Grant::Support]).await, app.client().await, keyed(&app, &owner, &Scope::ALL).await] {
        makes(&other, &[Scope::SlotsRead]).await.refused(403, "forbidden");
        makes_key(&other, &client.to_string()).await.refused(403, "forbidden");
        other.get(CLIENTS).await.refused(403, "forbidden");
        other.get(&format!("{CLIENTS}/{client}/keys")).await.refused(403, "forbidden");
        other.delete(&format!("{CLIENTS}/{client}")).await.refused(403, "forbidden");
    }
    makes(&app.nobody(), &[Scope::SlotsRead]).await.refused(401, "unauthorized");
    makes(&owner, &[]).await.refused(422, "invalid").points_to(&["/scopes"]);
    owner.post(CLIENTS, json!({ "name": "x", "scopes": ["slots:write"] })).await.refused(422, "invalid");
    let with_key = |key: &'static str| {
        let request = owner.request(Method::POST, CLIENTS).header("Idempotency-Key", key);
        send(request.json(&json!({ "name": "Once", "scopes": ["slots:read"] })))
    };
    assert_eq!(with_key("once").await.is(201).id(), with_key("once").await.is(201).id());
    for _ in 0..5 {
        makes_key(&owner, &client.to_string()).await.is(201);
    }
    makes_key(&owner, &client.to_string()).await.refused(409, "too_many_api_keys");
    makes_key(&owner, &Uuid::now_v7().to_string()).await.is(404);
    app.sql(&format!(
        "INSERT INTO api_clients SELECT gen_random_uuid(), 'Many', '{{slots:read}}', '{}', now() FROM generate_series(1, 100 - {})",
        owner.id,
        app.rows("api_clients").await
    ))
    .await
    .unwrap();
    makes(&owner, &[Scope::SlotsRead]).await.refused(409, "too_many_api_clients");
    app.advance(TimeDelta::minutes(11));
    let owner = owner.refreshed().await;
    makes(&owner, &[Scope::SlotsRead]).await.refused(401, "step_up_required");
    makes_key(&owner, &client.to_string()).await.refused(401, "step_up_required");
    owner.delete(&format!("{CLIENTS}/{client}")).await.refused(401, "step_up_required");
    owner.delete(&format!("{CLIENTS}/{client}/keys/{client}")).await.refused(401, "step_up_required");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_reads_where_visits_stand_and_nothing_of_people() {
    let app = App::start().await;
    let owner = app.admin().await;
    let (therapist, (client, address)) = (app.therapist().await, app.client_at_home().await);
    let booking = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201);
    let reader = keyed(&app, &owner, &[Scope::BookingsRead]).await;
    let seen = reader.get(&booking.header("location")).await.is(200);
    let fields: Vec<&String> = seen.body.as_object().unwrap().keys().collect();
    let shown = [
        "cancelled_at",
        "client_id",
        "created_at",
        "duration_minutes",
        "end_at",
        "id",
        "respond_by",
        "seen_as",
        "service_id",
        "start_at",
        "status",
        "therapist_id",
        "time_zone",
    ];
    let mut sorted = fields.clone();
    sorted.sort();
    assert_eq!(sorted, shown);
    assert_eq!((&seen.body["seen_as"], &seen.body["status"]), (&json!("api_client"), &json!("confirmed")));
    assert_eq!(reader.get("/v1/bookings").await.is(200).body["data"], json!([seen.body]));
    let narrow = format!("/v1/bookings?updated_since=2026-11-30T00:00:00Z&client_id={}", client.id);
    assert_eq!(reader.get(&narrow).await.is(200).body["data"], json!([seen.body]));
    reader.get("/v1/bookings?updated_since=2026-11-30T00:00:00Z").await.refused(422, "invalid");
    reader.get("/v1/bookings?q=Test").await.refused(422, "invalid").points_to(&["/q"]);
    reader.get(&format!("/v1/bookings/{}", Uuid::now_v7())).await.is(404);
    reader.get(&search()).await.refused(403, "forbidden");
    reader.get("/v1/me").await.refused(403, "forbidden");
    reader.act(&format!("{}/cancel", booking.header("location"))).await.refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_has_webhooks_of_its_own() {
    let app = App::start().await;
    let owner = app.admin().await;
    let (one, other) =
        (keyed(&app, &owner, &[Scope::WebhooksManage]).await, keyed(&app, &owner, &[Scope::WebhooksManage]).await);
    let new = json!({ "url": "https://partner.example/hooks", "kinds": ["booking.moved"] });
    let add = send(one.request(Method::POST, ENDPOINTS).header("Idempotency-Key", "one").json(&new)).await.is(201);
    let again = send(one.request(Method::POST, ENDPOINTS).header("Idempotency-Key", "one").json(&new)).await.is(201);
    assert_eq!(add.body, again.body, "a program repeats a request as people do");
    let staffs = owner.post(ENDPOINTS, new.clone()).await.is(201);
    assert_eq!((&add.body["api_client_id"], &add.body["created_by"]), (&json!(one.id), &json!(owner.id)));
    assert_eq!(staffs.body["api_client_id"], Value::Null);
    let path = add.header("location");
    assert_eq!(one.get(ENDPOINTS).await.is(200).body["data"].as_array().unwrap().len(), 1);
    assert_eq!(other.get(ENDPOINTS).await.is(200).body["data"], json!([]));
    assert_eq!(owner.get(ENDPOINTS).await.is(200).body["data"].as_array().unwrap().len(), 2);
    for theirs in [&path, &staffs.header("location")] {
        other.get(theirs).await.is(404);
        other.delete(theirs).await.is(404);
        other.act(&format!("{theirs}/test")).await.is(404);
        other.act(&format!("{theirs}/enable")).await.is(404);
        other.act(&format!("{theirs}/rotate-secret")).await.is(404);
        other.get(&format!("{theirs}/deliveries")).await.is(404);
        other.post(&format!("{theirs}/recover"), json!({ "since": "2026-11-30T00:00:00Z" })).await.is(404);
        let change = other.request(Method::PATCH, theirs).header("If-Match", "*").json(&json!({ "kinds": [] }));
        send(change).await.is(404);
    }
    one.act(&format!("{path}/test")).await.is(202);
    one.act(&format!("{path}/rotate-secret")).await.is(200);
    assert_eq!(one.get(&format!("{path}/deliveries")).await.is(200).body["data"].as_array().unwrap().len(), 1);
    one.change(&path, json!({ "kinds": ["booking.cancelled"] })).await.is(200);
    owner.delete(&format!("{CLIENTS}/{}", one.id)).await.is(204);
    owner.get(&path).await.is(404);
    owner.get(&staffs.header("location")).await.is(200);
    assert_eq!(app.rows("deliveries WHERE endpoint_id IS NOT NULL AND state IN ('pending', 'sending')").await, 0);
    assert_eq!(
        app.rows(&format!("events WHERE kind = 'webhook_endpoint.test' AND actor_id = '{}'", one.id)).await,
        1,
        "it acts in its own name"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_of_a_client_outlasts_it() {
    let app = App::start().await;
    let owner = app.admin().await;
    let new = json!({ "url": "https://partner.example/hooks" });
    for _ in 0..20 {
        let program = keyed(&app, &owner, &[Scope::WebhooksManage]).await;
        let gone = format!("{CLIENTS}/{}", program.id);
        let adds = join_all((0..4).map(|_| program.post(ENDPOINTS, new.clone())));
        let (added, deleted) = tokio::join!(adds, owner.delete(&gone));
        deleted.is(204);
        for answer in added {
            assert!([201, 401].contains(&answer.status.as_u16()), "{}", answer.text);
        }
        assert_eq!(app.rows("webhook_endpoints").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_uploads_lists_which_staff_apply() {
    let app = App::start().await;
    let owner = app.admin().await;
    let uploader = keyed(&app, &owner, &[Scope::RostersWrite]).await;
    uploader.get("/v1/admin/roster-sources").await.is(200);
    let import = rosters::upload(&uploader, "us-tx-tdlr", "2026-11-29", b"LICENSE TYPE\n").await.is(201);
    assert_eq!(import.body["uploaded_by"], Value::Null);
    let path = import.header("location");
    uploader.get(&path).await.is(200);
    uploader.get("/v1/admin/roster-imports").await.is(200);
    uploader.act(&format!("{path}/apply")).await.refused(403, "forbidden");
    uploader.act(&format!("{path}/discard")).await.refused(403, "forbidden");
    uploader.get(&format!("{path}/findings")).await.refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_has_an_allowance_of_its_own_whichever_key_it_shows() {
    let app = App::with(crate::support::monday_noon(), true).await;
    let owner = app.admin().await;
    let (one, other) = (keyed(&app, &owner, &[Scope::SlotsRead]).await, keyed(&app, &owner, &[Scope::SlotsRead]).await);
    let second = makes_key(&owner, &one.id.to_string()).await.is(201).body["key"].clone();
    let second = with_key(&app, &second);
    let from = |person: &Person, origin: String| {
        let person = person.clone();
        async move {
            send(person.request(Method::GET, "/v1/services").header("x-forwarded-for", origin)).await.status.as_u16()
        }
    };
    let mut refused = 0;
    for n in 0..160 {
        let caller = if n % 2 == 0 { &one } else { &second };
        refused += u32::from(from(caller, format!("203.0.113.{n}")).await == 429);
    }
    assert!(refused > 0, "from everywhere it may ask for a hundred at once");
    assert_eq!(from(&other, "198.51.100.1".to_owned()).await, 200, "and another one for a hundred more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_ended_are_forgotten_after_three_months() {
    let app = App::start().await;
    let owner = app.admin().await;
    let client = makes(&owner, &[Scope::SlotsRead]).await.is(201).id().to_string();
    let revoked = makes_key(&owner, &client).await.is(201);
    makes_key(&owner, &client).await.is(201);
    owner.delete(&revoked.header("location")).await.is(204);
    app.advance(TimeDelta::days(89));
    crate::retention::sweep(&app).await;
    assert_eq!(app.rows("api_client_keys").await, 2);
    app.advance(TimeDelta::days(2));
    crate::retention::sweep(&app).await;
    assert_eq!(app.rows("api_client_keys WHERE revoked_at IS NULL").await, 1);
    assert_eq!(app.rows("api_client_keys").await, 1);
}
