//! What is held of a person, told to them, and accounts that are erased.

use chrono::TimeDelta;
use knead::values::Grant;
use reqwest::Method;
use serde_json::{Value, json};

use crate::care::{SWEDISH, screens};
use crate::care_visits::RECIPIENTS;
use crate::sealing::tables_with;
use crate::support::{Answer, App, PASSWORD, Person, send, surry_hills};

const CANARY: &str = "Zwielaubquoll";

/// Carries out what is due of erasures.
async fn erase_due(app: &App) {
    app.sql("SELECT graphile_worker.add_job('erase_accounts', 'null'::json)").await.unwrap();
    app.run_jobs().await;
}

/// The person, with the password proved just now.
async fn anew(app: &App, person: &Person) -> Person {
    let body = json!({ "email": person.email, "password": PASSWORD });
    person.signed_in(&app.nobody().post("/v1/auth/login", body).await.is(200))
}

async fn export(app: &App, person: &Person) -> Value {
    anew(app, person).await.get("/v1/me/export").await.is(200).body
}

fn part<'a>(export: &'a Value, name: &str) -> &'a [Value] {
    let parts = export["parts"].as_array().unwrap();
    parts.iter().find(|part| part["name"] == name).unwrap_or_else(|| panic!("no {name}"))["items"].as_array().unwrap()
}

/// A client of whom everything is said that the service takes, each with the canary in it, and a completed visit with a therapist.
struct Said {
    client: Person,
    therapist: Person,
    visit: Answer,
}

impl Said {
    async fn everything(app: &App) -> Self {
        let therapist = app.therapist().await;
        let client = app.client().await;
        let tag = client.get("/v1/me").await.header("etag");
        let name = json!({ "display_name": CANARY, "phone": "+61400471147" });
        send(client.request(Method::PATCH, "/v1/me").header("If-Match", tag).json(&name)).await.is(200);
        let mut home = surry_hills();
        for field in ["label", "line1", "line2", "access_notes", "parking", "stairs", "pets"] {
            home[field] = json!(CANARY);
        }
        let address = client.address(home).await;
        let own = client.get(RECIPIENTS).await.is(200).body["data"][0]["id"].as_str().unwrap().to_owned();
        let partner = json!({ "relation": "partner", "display_name": format!("{CANARY} II") });
        client.post(RECIPIENTS, partner).await.is(201);
        let own = format!("{RECIPIENTS}/{own}");
        let medicines = json!({ "takes_medicines": true, "medicines": [{ "class": "antiplatelet", "name": CANARY }] });
        drop(screens(app, &client, own.rsplit('/').next().unwrap(), medicines).await.is(201));
        let offer = json!({ "services": [{ "service_id": SWEDISH, "durations": [60] }] });
        therapist.replace("/v1/therapists/me/services", offer).await.is(200);
        let mut wish = client.wish(&therapist, address, "2026-12-01T00:00:00Z");
        wish["service_id"] = json!(SWEDISH);
        (wish["notes"], wish["focus_areas"]) = (json!(CANARY), json!([CANARY]));
        let visit = client.books_with_key("k", &wish).await.is(201);
        let path = visit.header("location");
        client.post(&format!("{path}/messages"), json!({ "text": CANARY })).await.is(201);
        let report = json!({ "kind": "conduct", "text": CANARY });
        client.post(&format!("{path}/incidents"), report).await.is(201);
        let mut wish = client.wish(&therapist, address, "2026-12-04T00:00:00Z");
        wish["service_id"] = json!(SWEDISH);
        let other = client.books_with_key("m", &wish).await.is(201).header("location");
        client.post(&format!("{other}/cancel"), json!({ "reason": CANARY })).await.is(200);
        client.post("/v1/me/blocks", json!({ "account_id": app.therapist().await.id, "note": CANARY })).await.is(201);
        Self { client, therapist, visit }
    }

    async fn completed(&self, app: &App) {
        app.sql(&format!("UPDATE bookings SET status = 'completed' WHERE id = '{}'", self.visit.id())).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_client_is_found_nowhere_and_the_visit_stays() {
    let app = App::start().await;
    let said = Said::everything(&app).await;
    let (client, therapist, path) = (&said.client, &said.therapist, said.visit.header("location"));
    client.delete("/v1/me").await.refused(409, "visits_open");
    said.completed(&app).await;
    client.post(&format!("{path}/reviews"), json!({ "rating": 5, "text": CANARY })).await.is(201);
    assert!(!tables_with(&app, CANARY).await.is_empty(), "it is there before");

    let closing = client.delete("/v1/me").await.is(200).body;
    assert_eq!(closing["erases_at"], json!(app.now() + TimeDelta::days(14)));
    app.advance(TimeDelta::minutes(3));
    assert_eq!(client.delete("/v1/me").await.is(200).body, closing, "to ask again changes nothing");
    let wish = client.wish(
        therapist,
        said.visit.body["address"]["id"].as_str().unwrap().parse().unwrap(),
        "2026-12-03T00:00:00Z",
    );
    client.books_with_key("l", &wish).await.refused(409, "account_closing");
    client.post("/v1/holds", wish.clone()).await.refused(409, "account_closing");
    assert_eq!(client.act("/v1/me/keep").await.is(200).body["erases_at"], json!(null));
    client.delete("/v1/me").await.is(200);

    app.advance(TimeDelta::days(13));
    erase_due(&app).await;
    assert_eq!(anew(&app, client).await.get("/v1/me").await.is(200).body["display_name"], CANARY, "not yet");
    app.advance(TimeDelta::days(1));
    let last = anew(&app, client).await;
    for _ in 0..2 {
        erase_due(&app).await;
        assert_eq!(tables_with(&app, CANARY).await, Vec::<String>::new());
        assert_eq!(tables_with(&app, &client.email).await, Vec::<String>::new());
        assert_eq!(tables_with(&app, "61400471147").await, Vec::<String>::new());
    }
    assert_eq!(app.rows("events WHERE kind = 'account.erase'").await, 1, "once");
    let left = format!("recipients r JOIN subject_keys k ON k.id = r.id WHERE r.account_id = '{}'", client.id);
    assert_eq!(app.rows(&left).await, 0, "no key");
    for gone in ["sessions", "notices", "mailed_codes", "deliveries", "idempotency_keys", "message_settings"] {
        assert_eq!(app.rows(&format!("{gone} WHERE account_id = '{}'", client.id)).await, 0, "{gone}");
    }
    last.get("/v1/me").await.refused(401, "unauthorized");
    let log_in = json!({ "email": client.email, "password": PASSWORD });
    app.nobody().post("/v1/auth/login", log_in).await.refused(401, "wrong_email_or_password");

    // The other side and staff still see what took place.
    let seen = anew(&app, therapist).await.get(&path).await.is(200).body;
    assert_eq!((&seen["client"]["display_name"], &seen["status"]), (&json!("Former client"), &json!("completed")));
    let proof = format!("{}/licence-proof", path.replace("/v1/", "/v1/admin/"));
    app.admin().await.get(&proof).await.is(200);
    app.chain_audit().await;
    app.events_are_in_order().await;

    // Whoever registers with the address anew gets nothing of the old.
    let body = json!({ "email": client.email, "password": PASSWORD, "role": "client", "display_name": "Mia" });
    let next = client.signed_in(&app.nobody().post("/v1/auth/register", body).await.is(201));
    assert_ne!(next.get("/v1/me").await.is(200).body["id"], json!(client.id));
    assert_eq!(next.get("/v1/bookings").await.is(200).body["data"], json!([]));
}

#[tokio::test]
async fn everyone_is_told_all_that_is_held_of_them_and_nothing_of_others() {
    let app = App::start().await;
    let said = Said::everything(&app).await;
    let told = export(&app, &said.client).await;
    for name in ["accounts", "addresses", "recipients", "screenings", "bookings", "booking_messages", "blocks"] {
        assert!(json!(part(&told, name)).to_string().contains(CANARY), "{name}: {:?}", part(&told, name));
    }
    let booked = part(&told, "bookings").iter().find(|one| one["id"] == said.visit.body["id"]).unwrap();
    assert_eq!((&booked["notes"], &booked["address"]["access_notes"]), (&json!(CANARY), &json!(CANARY)));
    assert!(!told.to_string().contains("_sealed") && !told.to_string().contains("argon2"), "{told}");
    assert!(!told.to_string().contains(&said.therapist.email));
    assert_eq!(app.rows("events WHERE kind = 'account.export'").await, 1, "it is written down");
    assert_eq!(
        app.rows(&format!("notices WHERE kind = 'data_exported' AND account_id = '{}'", said.client.id)).await,
        1
    );

    let therapist = export(&app, &said.therapist).await;
    assert_eq!(part(&therapist, "visits_carried_out").len(), 2);
    assert!(!part(&therapist, "credentials").is_empty() && !part(&therapist, "offers").is_empty());
    assert!(!therapist.to_string().contains(CANARY), "nothing of the client: {therapist}");
    let other = export(&app, &app.client().await).await;
    assert!(!other.to_string().contains(CANARY));
    assert_eq!(part(&export(&app, &app.admin().await).await, "accounts").len(), 1);

    for _ in 0..4 {
        export(&app, &said.client).await;
    }
    let client = anew(&app, &said.client).await;
    let refused = client.get("/v1/me/export").await.refused(429, "too_many_exports");
    assert!(!refused.header("retry-after").is_empty());
    app.advance(TimeDelta::hours(25));
    client.get("/v1/me/export").await.refused(401, "step_up_required");
    client.delete("/v1/me").await.refused(401, "step_up_required");
    client.act("/v1/me/keep").await.refused(401, "step_up_required");
    export(&app, &said.client).await;
    for (method, path) in [(Method::GET, "/v1/me/export"), (Method::DELETE, "/v1/me"), (Method::POST, "/v1/me/keep")] {
        send(app.nobody().request(method, path)).await.refused(401, "unauthorized");
    }
}

/// An adult who answered for themself is told of to nobody else, not even in what is held of the account.
#[tokio::test]
async fn what_a_guest_said_is_not_told_to_the_account() {
    let app = App::start().await;
    let client = app.client().await;
    let partner = json!({ "relation": "partner", "display_name": "Wilhelmina", "born_on": "1971-02-03" });
    let partner = client.post(RECIPIENTS, partner).await.is(201).id();
    let link = client.act(&format!("{RECIPIENTS}/{partner}/invitations")).await.is(201).body;
    let link = format!("/v1/care-invitations/{}", link["token"].as_str().unwrap());
    let medicines = json!({ "takes_medicines": true, "medicines": [{ "class": "antiplatelet", "name": CANARY }] });
    let answers = crate::care::answers(&app, medicines).await;
    let health =
        json!({ "questionnaires": [{ "code": "health", "version": 1 }], "answers": answers, "attested": true });
    app.nobody().post(&format!("{link}/screenings"), health).await.is(201);
    let told = export(&app, &client).await;
    assert!(!told.to_string().contains(CANARY) && !told.to_string().contains("antiplatelet"), "{told}");
    assert!(part(&told, "recipients").iter().any(|one| one.to_string().contains("Wilhelmina")), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erased_therapist_is_found_by_nobody_and_proofs_go_on_answering() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let visit = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201);
    therapist.delete("/v1/me").await.refused(409, "visits_open");
    app.sql("UPDATE bookings SET status = 'completed'").await.unwrap();
    let off = json!({ "start_at": "2026-12-20T00:00:00Z", "end_at": "2026-12-21T00:00:00Z", "note": CANARY });
    therapist.post("/v1/therapists/me/time-off", off).await.is(201);
    let calendar = json!({ "url": "https://calendar.example/secret-4711.ics", "label": CANARY });
    therapist.post("/v1/therapists/me/calendars", calendar).await.is(201);
    therapist.change("/v1/therapists/me", json!({ "bio": CANARY })).await.is(200);
    let proof = format!("{}/licence-proof", visit.header("location").replace("/v1/", "/v1/admin/"));
    let before = admin.get(&proof).await.is(200).body["groups"].clone();
    assert!(before[0].is_object(), "{}", admin.get(&proof).await.text);

    therapist.delete("/v1/me").await.is(200);
    assert!(client.slots(&therapist, "2026-12-02", "2026-12-02").await.is_empty());
    client.books(&therapist, address, "2026-12-02T00:00:00Z").await.refused(422, "not_accepting_bookings");
    let profile = therapist.change("/v1/therapists/me", json!({ "accepting_bookings": true })).await;
    profile.refused(409, "account_closing");
    therapist.act("/v1/me/keep").await.is(200);
    assert!(!client.slots(&therapist, "2026-12-02", "2026-12-02").await.is_empty(), "as before");
    therapist.delete("/v1/me").await.is(200);

    // A visit that came to be meanwhile is waited for, and the therapist hears of it.
    let booked = "UPDATE bookings SET status = 'confirmed', start_at = '2027-01-01T00:00:00Z'";
    app.sql(booked).await.unwrap();
    app.advance(TimeDelta::days(14));
    erase_due(&app).await;
    assert_eq!(app.rows("events WHERE kind = 'account.erase'").await, 0);
    assert_eq!(app.rows("notices WHERE kind = 'account_erasure_put_off'").await, 1);
    app.sql("UPDATE bookings SET status = 'completed'").await.unwrap();
    app.advance(TimeDelta::days(1));
    erase_due(&app).await;
    assert_eq!(app.rows("events WHERE kind = 'account.erase'").await, 1);
    assert_eq!(tables_with(&app, CANARY).await, Vec::<String>::new());
    let (client, admin) = (anew(&app, &client).await, anew(&app, &admin).await);
    let seen = client.get(&visit.header("location")).await.is(200).body;
    assert_eq!(seen["therapist"]["display_name"], "Former therapist");
    assert_eq!(admin.get(&proof).await.is(200).body["groups"], before, "licensed then, and for ever");
    client.get(&format!("/v1/therapists/{}", therapist.id)).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_last_owner_stays_and_other_staff_go() {
    let app = App::start().await;
    let (owner, other) = (app.admin().await, app.admin_with(&[Grant::Support]).await);
    owner.delete("/v1/me").await.refused(409, "last_owner");
    let endpoint = json!({ "url": "https://partner.example/hooks" });
    owner.post("/v1/webhook-endpoints", endpoint).await.is(201);
    let second = app.admin_with(&[Grant::Owner]).await;
    owner.delete("/v1/me").await.is(200);
    second.delete("/v1/me").await.refused(409, "last_owner");
    other.delete("/v1/me").await.is(200);
    app.advance(TimeDelta::days(14));
    erase_due(&app).await;
    assert_eq!(app.rows("events WHERE kind = 'account.erase'").await, 2);
    assert_eq!(app.rows("webhook_endpoints").await, 1, "it is the marketplace's");
    let staff = anew(&app, &second).await.get("/v1/admin/staff").await.is(200).text;
    assert!(!staff.contains(&owner.email) && !staff.contains(&other.email), "{staff}");
}

/// The words that are sealed by the keys of the service, opened: why steps were taken, what was reported, what was noted.
async fn words(app: &App) -> Vec<String> {
    let sealed: Vec<(String, String, knead::cipher::Sealed)> = sqlx::query_as(
        "SELECT 'events.reason', subject_id || '/' || split_part(kind, '.', 2) || '/' || (extract(epoch FROM at) * 1000000)::bigint, reason_sealed
         FROM events WHERE reason_sealed IS NOT NULL
         UNION ALL SELECT 'incidents.report', id::text, report FROM incidents WHERE report IS NOT NULL
         UNION ALL SELECT 'session_notes.text', booking_id || '/' || version, text_sealed FROM session_notes",
    )
    .fetch_all(&*app.service.db)
    .await
    .unwrap();
    sealed.iter().map(|(column, row, seal)| app.service.cipher.open(column, row, seal).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_end_in_rows_that_stay_at_once_or_years_later() {
    let app = App::start().await;
    let said = Said::everything(&app).await;
    let path = said.visit.header("location");
    app.sql(&format!("UPDATE bookings SET status = 'in_progress' WHERE id = '{}'", said.visit.id())).await.unwrap();
    let noted = said.therapist.request(Method::PUT, &format!("{path}/session-notes"));
    send(noted.json(&json!({ "text": CANARY }))).await.is(200);
    said.completed(&app).await;
    assert_eq!(words(&app).await, [CANARY; 3]);
    said.client.delete("/v1/me").await.is(200);
    app.advance(TimeDelta::days(14));
    erase_due(&app).await;
    let mut left = words(&app).await;
    left.sort();
    assert_eq!(left, ["", CANARY, CANARY], "why a step was taken has ended");
    app.chain_audit().await;
    app.events_are_in_order().await;
    let proof = app.admin().await.get("/v1/admin/audit/verify").await.is(200).body;
    assert_eq!(proof["intact"], true, "{proof}");

    app.advance(TimeDelta::days(9 * 365));
    crate::retention::sweep(&app).await;
    assert_eq!(words(&app).await.iter().filter(|words| *words == CANARY).count(), 2, "ten years are not over");
    app.advance(TimeDelta::days(370));
    crate::retention::sweep(&app).await;
    assert_eq!(words(&app).await, ["", "", ""]);
    let events = anew(&app, &said.therapist).await.get(&format!("{path}/events")).await.is(200).body;
    assert!(!events["data"].as_array().unwrap().is_empty());
}
