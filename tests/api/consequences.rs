//! What becomes of booked visits when it changes who may practise where.

mod by_roster;
mod own_edits;
mod proof;
mod reassignment;

use chrono::TimeDelta;
use knead::bookings::licensing;
use knead::ids::{BookingId, TherapistId};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, DEEP_TISSUE, Person};

/// Changes a therapist's credentials, with what follows for visits in the same transaction.
async fn change(app: &App, therapist: &Person, statement: &str) {
    let id = TherapistId(therapist.id);
    let mut work = app.service.begin(None).await.unwrap();
    let lock = work.lock_time(id).await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("{statement} AND therapist_id = '{}'", therapist.id));
    sqlx::raw_sql(statement).execute(&mut **work).await.unwrap();
    licensing::reconcile(&mut work, &lock).await.unwrap();
    work.commit().await.unwrap();
}

const REVOKE: &str = "UPDATE credentials SET review_state = 'revoked' WHERE type = 'INSURANCE'";
const SUSPEND: &str = "UPDATE credentials SET review_state = 'suspended' WHERE type = 'INSURANCE'";
const REINSTATE: &str = "UPDATE credentials SET review_state = 'verified' WHERE type = 'INSURANCE'";

async fn booked(client: &Person, therapist: &Person, address: Uuid, start: &str) -> String {
    client.books(therapist, address, start).await.is(201).header("location")
}

/// What staff see of a booking.
async fn seen(admin: &Person, path: &str) -> Value {
    admin.get(path).await.is(200).body
}

fn under_admin(path: &str, operation: &str) -> String {
    format!("{}/{operation}", path.replace("/v1/", "/v1/admin/"))
}

/// Kinds of what a person was told, newest first.
async fn told(person: &Person) -> Vec<String> {
    let page = person.get("/v1/me/notices").await.is(200).body;
    let kinds = page["data"].as_array().unwrap().iter().map(|notice| notice["kind"].as_str().unwrap().to_owned());
    kinds.collect()
}

/// Everything that a second run could add to.
async fn traces(app: &App) -> Vec<i64> {
    let mut counts = Vec::new();
    for table in [
        "booking_events",
        "reliances",
        // What a therapist changes of themself is no consequence.
        "events WHERE kind NOT LIKE 'therapist.%'",
        "notices WHERE kind <> 'now_bookable'",
        "tasks",
        "reservations",
        "graphile_worker._private_jobs",
    ] {
        counts.push(app.rows(table).await);
    }
    counts
}

async fn settle(app: &App, path: &str) {
    let id = path.rsplit('/').next().unwrap().parse().unwrap();
    licensing::settle(&app.service, BookingId(id)).await.unwrap();
}

/// Two therapists, a client, an admin and a visit with the first, three days ahead and at risk.
struct Scene {
    app: App,
    old: Person,
    new: Person,
    client: Person,
    address: Uuid,
    admin: Person,
    path: String,
}

const START: &str = "2026-12-03T03:00:00Z";

async fn scene() -> Scene {
    let app = App::start().await;
    let (old, new, admin) = (app.therapist().await, app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let path = booked(&client, &old, address, START).await;
    change(&app, &old, SUSPEND).await;
    Scene { app, old, new, client, address, admin, path }
}

impl Scene {
    async fn reassigns(&self, to: Uuid) -> Answer {
        self.admin
            .post(&under_admin(&self.path, "reassign"), json!({ "therapist_id": to, "note": "Insurance ran out." }))
            .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_acts_on_each_visit_by_the_time_that_is_left() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let running = booked(&client, &therapist, address, "2026-11-30T03:00:00Z").await;
    let soon = booked(&client, &therapist, address, "2026-11-30T05:00:00Z").await;
    let in_three_days = booked(&client, &therapist, address, "2026-12-03T03:00:00Z").await;
    let in_thirty_days = booked(&client, &therapist, address, "2026-12-30T03:00:00Z").await;
    app.advance(TimeDelta::hours(2));
    app.sql("UPDATE bookings SET status = 'in_progress' WHERE start_at = '2026-11-30T03:00:00Z'").await.unwrap();

    change(&app, &therapist, REVOKE).await;
    let once = traces(&app).await;
    change(&app, &therapist, REVOKE).await;
    assert_eq!(traces(&app).await, once, "running it again changes nothing");

    let running = seen(&admin, &running).await;
    assert_eq!((&running["status"], &running["at_risk_since"]), (&json!("in_progress"), &Value::Null));
    let alerts = "tasks WHERE kind = 'visit_in_progress_unlicensed' AND subject_type = 'booking'";
    assert_eq!((app.rows(alerts).await, app.rows("tasks").await), (1, 1));

    let called_off = client.get(&soon).await.is(200).body;
    assert_eq!(called_off["status"], "cancelled");
    assert_eq!(called_off["cancellation"]["by"], "system");
    assert_eq!(called_off["cancellation"]["fee"]["amount"], 0);
    assert_eq!(called_off["cancellation"]["refund"], called_off["price"], "all of it");
    let events = client.get(&format!("{soon}/events")).await.is(200).body;
    let last = events["data"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["party"], &last["action"]), (&json!("system"), &json!("cancel")));
    assert_eq!(last["reason"], "The therapist may not practise there on that day.");

    for path in [&in_three_days, &in_thirty_days] {
        let visit = seen(&admin, path).await;
        assert_eq!((&visit["status"], &visit["at_risk_since"]), (&json!("confirmed"), &json!("2026-11-30T03:00:00Z")));
        for party in [&client, &therapist] {
            let view = party.get(path).await.is(200);
            assert!(!view.text.contains("at_risk"), "that is for staff: {}", view.text);
        }
    }
    assert_eq!(app.rows("reservations").await, 3, "the time of what was called off is free");
    assert_eq!(told(&client).await, ["visit_called_off"]);
    let mut kinds = told(&therapist).await;
    kinds.sort();
    kinds.retain(|kind| kind != "visit_booked");
    assert_eq!(kinds, ["visit_at_risk", "visit_at_risk", "visit_called_off"]);

    let list = admin.get("/v1/admin/bookings/at-risk?limit=1").await.is(200).body;
    let item = &list["data"][0];
    assert!(in_three_days.ends_with(item["booking"]["id"].as_str().unwrap()), "soonest first");
    assert_eq!(item["missing"], json!([{ "jurisdiction": "AU", "group": "insurance", "options": ["INSURANCE"] }]));
    assert_eq!(
        (&item["cancels_at"], &item["at_risk_since"]),
        (&json!("2026-12-02T03:00:00Z"), &json!("2026-11-30T03:00:00Z"))
    );
    let next = format!("/v1/admin/bookings/at-risk?limit=1&cursor={}", list["next_cursor"].as_str().unwrap());
    let rest = admin.get(&next).await.is(200).body;
    assert!(in_thirty_days.ends_with(rest["data"][0]["booking"]["id"].as_str().unwrap()));
    assert_eq!(rest["next_cursor"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_line_is_drawn_24_hours_before_the_start() {
    for (seconds, status) in [(0, "confirmed"), (1, "cancelled")] {
        let app = App::start().await;
        let (therapist, admin) = (app.therapist().await, app.admin().await);
        let (client, address) = app.client_at_home().await;
        let path = booked(&client, &therapist, address, "2026-12-01T03:00:00Z").await;
        app.advance(TimeDelta::hours(2) + TimeDelta::seconds(seconds));
        change(&app, &therapist, SUSPEND).await;
        change(&app, &therapist, SUSPEND).await;
        let visit = seen(&admin, &path).await;
        assert_eq!(visit["status"], status, "{seconds} s later");
        assert_eq!(visit["at_risk_since"].is_null(), status == "cancelled");
        // The job is due at once where the line is hit exactly.
        app.run_jobs().await;
        assert_eq!(seen(&admin, &path).await["status"], "cancelled");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_the_way_and_at_the_door_there_is_still_a_way_back() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let door = booked(&client, &therapist, address, "2026-11-30T03:00:00Z").await;
    let way = booked(&client, &therapist, address, "2026-11-30T05:00:00Z").await;
    app.sql("UPDATE bookings SET status = 'arrived' WHERE start_at = '2026-11-30T03:00:00Z'").await.unwrap();
    app.sql("UPDATE bookings SET status = 'on_the_way' WHERE start_at = '2026-11-30T05:00:00Z'").await.unwrap();
    app.advance(TimeDelta::minutes(119));
    change(&app, &therapist, SUSPEND).await;
    for path in [door, way] {
        assert_eq!(seen(&admin, &path).await["status"], "cancelled");
    }
    assert_eq!(app.rows("tasks").await, 0);
    assert_eq!(app.rows("reservations").await, 1, "who was at the door is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_still_at_risk_is_called_off_24_hours_before() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let path = booked(&client, &therapist, address, "2026-12-03T03:00:00Z").await;
    let (other, elsewhere) = app.client_at_home().await;
    let restored = booked(&other, &app.therapist().await, elsewhere, "2026-12-03T03:00:00Z").await;
    change(&app, &therapist, SUSPEND).await;
    assert_eq!(app.jobs_waiting().await, 1);
    app.advance(TimeDelta::hours(49) + TimeDelta::minutes(59));
    settle(&app, &path).await;
    assert_eq!(seen(&admin, &path).await["status"], "confirmed", "too early");
    assert_eq!(app.jobs_waiting().await, 2, "and asked for again");
    app.advance(TimeDelta::minutes(1));
    app.run_jobs().await;
    let visit = seen(&admin, &path).await;
    assert_eq!((&visit["status"], &visit["cancellation"]["by"]), (&json!("cancelled"), &json!("system")));
    assert_eq!(visit["cancellation"]["fee"]["amount"], 0);
    assert_eq!(visit["at_risk_since"], Value::Null);
    let once = traces(&app).await;
    settle(&app, &path).await;
    settle(&app, &restored).await;
    assert_eq!(traces(&app).await, once, "running it again changes nothing");
    assert_eq!(told(&client).await, ["visit_called_off"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_job_finds_a_licence_that_nobody_told_it_of() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let path = booked(&client, &therapist, address, "2026-12-03T03:00:00Z").await;
    change(&app, &therapist, SUSPEND).await;
    app.license(&therapist, "2028-12-31").await;
    app.advance(TimeDelta::hours(60));
    app.run_jobs().await;
    let visit = seen(&admin, &path).await;
    assert_eq!((&visit["status"], &visit["at_risk_since"]), (&json!("confirmed"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_that_comes_a_year_late_cancels_nothing() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let path = booked(&client, &therapist, address, "2026-12-03T03:00:00Z").await;
    change(&app, &therapist, SUSPEND).await;
    app.advance(TimeDelta::days(365));
    app.run_jobs().await;
    settle(&app, &path).await;
    assert_eq!(seen(&admin, &path).await["status"], "confirmed");
    assert_eq!(app.rows("tasks").await, 1, "staff are told, once");
    let list = admin.get("/v1/admin/bookings/at-risk").await.is(200).body;
    assert_eq!(list["data"], json!([]), "it is over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_pays_nothing_to_call_off_what_is_at_risk() {
    let app = App::start().await;
    let (therapist, licensed) = (app.therapist().await, app.therapist().await);
    let (client, address) = app.client_at_home().await;
    let sound = booked(&client, &licensed, address, "2026-12-03T05:00:00Z").await;
    let path = booked(&client, &therapist, address, "2026-12-03T03:00:00Z").await;
    change(&app, &therapist, SUSPEND).await;
    // The job is late.
    app.advance(TimeDelta::hours(71));
    for (path, fee) in [(sound, 6450), (path, 0)] {
        let quote = client.get(&format!("{path}/cancellation-quote")).await.is(200).body;
        assert_eq!(quote["fee"]["amount"], fee);
        assert_eq!(client.act(&format!("{path}/cancel")).await.is(200).body["cancellation"]["fee"]["amount"], fee);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reinstatement_restores_what_is_at_risk_and_nothing_else() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let soon = booked(&client, &therapist, address, "2026-11-30T05:00:00Z").await;
    let later = booked(&client, &therapist, address, "2026-12-03T03:00:00Z").await;
    change(&app, &therapist, SUSPEND).await;
    change(&app, &therapist, REINSTATE).await;
    assert_eq!(seen(&admin, &soon).await["status"], "cancelled");
    let visit = seen(&admin, &later).await;
    assert_eq!((&visit["status"], &visit["at_risk_since"]), (&json!("confirmed"), &Value::Null));
    assert_eq!(told(&therapist).await[0], "visit_restored");
    assert_eq!(
        app.count("SELECT max(revision) FROM (SELECT revision::bigint FROM reliances) r").await,
        1,
        "it relies on what it did"
    );
    app.advance(TimeDelta::hours(60));
    app.run_jobs().await;
    assert_eq!(seen(&admin, &later).await["status"], "confirmed", "the job finds it safe");

    // Another policy carries it: that is written down, once.
    let other = "INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, created_at)
                 SELECT gen_random_uuid(), therapist_id, type, 'Test', '2029-12-31', 'verified', 'active', created_at FROM credentials WHERE type = 'INSURANCE'";
    change(&app, &therapist, other).await;
    assert_eq!(app.rows("reliances WHERE revision = 2").await, 1);
    change(&app, &therapist, REINSTATE).await;
    assert_eq!(app.rows("reliances WHERE revision > 2").await, 0);
    let audit = admin.get("/v1/admin/audit?subject_type=booking&limit=100").await.is(200).body;
    let actions: Vec<&str> = audit["data"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..4], ["booking.relied_anew", "booking.restored", "booking.put_at_risk", "booking.cancel"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_put_at_risk_and_cannot_be_accepted() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let (client, address) = app.client_at_home().await;
    let soon = booked(&client, &therapist, address, "2026-11-30T05:00:00Z").await;
    let later = booked(&client, &therapist, address, "2026-12-03T03:00:00Z").await;
    change(&app, &therapist, SUSPEND).await;
    assert_eq!(seen(&admin, &soon).await["status"], "cancelled");
    let request = seen(&admin, &later).await;
    assert_eq!((&request["status"], request["at_risk_since"].is_null()), (&json!("requested"), false));
    therapist.act(&format!("{later}/accept")).await.refused(422, "credential_not_valid");
    change(&app, &therapist, REINSTATE).await;
    therapist.act(&format!("{later}/accept")).await.is(200);

    // A request that lapses is at risk no more.
    let lapsing = booked(&client, &therapist, address, "2026-12-04T03:00:00Z").await;
    change(&app, &therapist, SUSPEND).await;
    app.advance(TimeDelta::hours(25));
    let before = app.rows("booking_events").await;
    change(&app, &therapist, SUSPEND).await;
    assert_eq!(app.rows("booking_events").await, before);
    let lapsed = seen(&admin, &lapsing).await;
    assert_eq!((&lapsed["status"], &lapsed["at_risk_since"]), (&json!("expired"), &Value::Null));
    let list = admin.get("/v1/admin/bookings/at-risk").await.is(200).body;
    assert_eq!(list["data"].as_array().unwrap().len(), 1, "the confirmed one");
}

/// A therapist around `base` in `zone` with these credentials, who works from five in the evening until two.
async fn therapist_in_america(app: &App, zone: &str, base: (f64, f64), types: &[&str]) -> Person {
    let therapist = app.newcomer().await;
    let (latitude, longitude) = base;
    let profile = json!({
        "base_latitude": latitude, "base_longitude": longitude, "service_radius_km": 20, "booking_mode": "instant", "time_zone": zone,
    });
    therapist.change("/v1/therapists/me", profile).await.is(200);
    let offer = json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": [60] }] });
    therapist.replace("/v1/therapists/me/services", offer).await.is(200);
    therapist.works(&crate::support::WEEK.map(|day| (day, "17:00", "02:00"))).await;
    for code in types {
        app.sql(&format!(
            "INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, created_at)
             VALUES (gen_random_uuid(), '{}', '{code}', 'Test', '2027-12-31', 'verified', 'active', '2026-11-01T00:00:00Z')",
            therapist.id
        ))
        .await
        .unwrap();
    }
    therapist
}

fn in_america(region: &str, locality: &str, postcode: &str, point: (f64, f64)) -> Value {
    json!({
        "label": "Home", "kind": "home", "line1": "1 Main Street", "locality": locality, "region": region, "postcode": postcode,
        "country": "US", "latitude": point.0, "longitude": point.1,
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn validity_ends_with_the_day_in_hawaii() {
    let app = App::start().await;
    app.sql(
        "INSERT INTO credential_types (code, category, authority, evidence_required, expires) VALUES ('US-HI-LMT', 'licence', 'Hawaii', false, true);
         INSERT INTO credential_requirements (jurisdiction, service_kind, \"group\", options) VALUES ('US-HI', 'massage', 'licence', '{US-HI-LMT}')",
    )
    .await
    .unwrap();
    let honolulu = (21.3069, -157.8583);
    let therapist = therapist_in_america(&app, "Pacific/Honolulu", honolulu, &["US-HI-LMT"]).await;
    let (client, admin) = (app.client().await, app.admin().await);
    let address = client.address(in_america("HI", "Honolulu", "96813", honolulu)).await;
    // From eleven until midnight on the 29th, and from half past eleven until half past midnight on the 30th.
    let whole = booked(&client, &therapist, address, "2026-12-30T09:00:00Z").await;
    let across = booked(&client, &therapist, address, "2026-12-31T09:30:00Z").await;
    for (last_day, [whole_at_risk, across_at_risk]) in [
        ("2026-12-31", [false, false]),
        ("2026-12-30", [false, true]),
        ("2026-12-29", [false, true]),
        ("2026-12-28", [true, true]),
        ("2026-12-29", [false, true]),
    ] {
        let shorten = format!("UPDATE credentials SET expires_on = '{last_day}' WHERE type = 'US-HI-LMT'");
        change(&app, &therapist, &shorten).await;
        let at_risk = [seen(&admin, &whole).await, seen(&admin, &across).await];
        let at_risk = at_risk.map(|visit| !visit["at_risk_since"].is_null());
        assert_eq!(at_risk, [whole_at_risk, across_at_risk], "valid until the end of {last_day}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_licence_counts_on_its_own_side_of_the_state_line() {
    let app = App::start().await;
    let types = ["US-IN-LMT", "US-IL-LMT", "INSURANCE", "POLICE-CHECK"];
    let therapist = therapist_in_america(&app, "America/Chicago", (41.58, -87.49), &types).await;
    let (client, admin) = (app.client().await, app.admin().await);
    let hammond = client.address(in_america("IN", "Hammond", "46320", (41.58, -87.49))).await;
    let lansing = client.address(in_america("IL", "Lansing", "60438", (41.565, -87.56))).await;
    let indiana = booked(&client, &therapist, hammond, "2026-12-04T00:00:00Z").await;
    let illinois = booked(&client, &therapist, lansing, "2026-12-05T00:00:00Z").await;
    change(&app, &therapist, "UPDATE credentials SET board_status = 'suspended' WHERE type = 'US-IL-LMT'").await;
    assert_eq!(seen(&admin, &indiana).await["at_risk_since"], Value::Null);
    assert!(seen(&admin, &illinois).await["at_risk_since"].is_string());
    let list = admin.get("/v1/admin/bookings/at-risk").await.is(200).body;
    assert_eq!(
        list["data"][0]["missing"],
        json!([{ "jurisdiction": "US-IL", "group": "licence", "options": ["US-IL-LMT"] }])
    );
    let mut tx = app.service.db.begin().await.unwrap();
    for (prefix, count) in [(None, 1), (Some("US"), 1), (Some("US-IL"), 1), (Some("US-I"), 0), (Some("AU"), 0)] {
        let found = licensing::therapists_with_visits(&mut tx, prefix, app.now()).await.unwrap();
        assert_eq!(found.len(), count, "{prefix:?}");
    }
    tx.commit().await.unwrap();
    // An admin takes the requirement back, for everyone at once.
    let rules = admin.get("/v1/admin/credential-requirements?jurisdiction=US-IL").await.is(200).body;
    let licence = rules["data"].as_array().unwrap().iter().find(|rule| rule["group"] == "licence").unwrap();
    let rule = format!("/v1/admin/credential-requirements/{}", licence["id"].as_str().unwrap());
    admin.delete(&rule).await.is(204);
    assert!(seen(&admin, &illinois).await["at_risk_since"].is_string(), "the job does it");
    app.run_jobs().await;
    app.run_jobs().await;
    assert_eq!(seen(&admin, &illinois).await["at_risk_since"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_are_read_by_those_they_are_for() {
    let scene = scene().await;
    let Scene { app, old, new, client, .. } = &scene;
    scene.reassigns(new.id).await.is(200);
    let page = old.get("/v1/me/notices?limit=1").await.is(200).body;
    let newest = &page["data"][0];
    assert_eq!(
        (&newest["kind"], &newest["subject_type"], &newest["read_at"]),
        (&json!("visit_given_away"), &json!("booking"), &Value::Null)
    );
    assert_eq!(newest["details"], json!({ "start_at": START, "time_zone": "Australia/Sydney" }));
    let next = format!("/v1/me/notices?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    let page = old.get(&next).await.is(200).body;
    assert_eq!(page["data"][0]["kind"], "visit_at_risk");
    let last = format!("/v1/me/notices?limit=1&cursor={}", page["next_cursor"].as_str().unwrap());
    let oldest = old.get(&last).await.is(200).body;
    assert_eq!((&oldest["data"][0]["kind"], &oldest["next_cursor"]), (&json!("visit_booked"), &Value::Null));

    let read = format!("/v1/me/notices/{}/read", newest["id"].as_str().unwrap());
    for other in [client, new, &scene.admin] {
        other.act(&read).await.refused(404, "not_found");
    }
    let first = old.act(&read).await.is(200).body;
    assert_eq!(first["read_at"], json!("2026-11-30T01:00:00Z"));
    app.advance(TimeDelta::minutes(5));
    assert_eq!(old.act(&read).await.is(200).body, first, "when it was read first");
    let unread = old.get("/v1/me/notices?unread=true").await.is(200).body;
    assert_eq!(unread["data"].as_array().unwrap().len(), 2);
    assert_eq!(old.get("/v1/me/notices?unread=false").await.is(200).body["data"].as_array().unwrap().len(), 3);
    assert_eq!(scene.admin.get("/v1/me/notices").await.is(200).body["data"], json!([]));
    for (query, pointer) in
        [("unread=maybe", "/unread"), ("limit=0", "/limit"), ("cursor=zzz", "/cursor"), ("all=1", "/all")]
    {
        old.get(&format!("/v1/me/notices?{query}")).await.points_to(&[pointer]);
    }
    old.act(&format!("/v1/me/notices/{}/read", Uuid::now_v7())).await.refused(404, "not_found");
    app.nobody().get("/v1/me/notices").await.refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_at_risk_are_for_admins() {
    let scene = scene().await;
    let Scene { app, old, new, client, admin, path, .. } = &scene;
    let body = json!({ "therapist_id": new.id });
    for path in
        ["/v1/admin/bookings/at-risk".to_owned(), under_admin(path, "candidates"), under_admin(path, "licence-proof")]
    {
        app.nobody().get(&path).await.refused(401, "unauthorized");
        for person in [client, old] {
            person.get(&path).await.refused(403, "forbidden");
        }
    }
    app.nobody().post(&under_admin(path, "reassign"), body.clone()).await.refused(401, "unauthorized");
    for person in [client, old, new] {
        person.post(&under_admin(path, "reassign"), body.clone()).await.refused(403, "forbidden");
    }
    let nowhere = format!("/v1/bookings/{}", Uuid::now_v7());
    admin.post(&under_admin(&nowhere, "reassign"), body).await.refused(404, "not_found");
    for operation in ["candidates", "licence-proof"] {
        admin.get(&under_admin(&nowhere, operation)).await.refused(404, "not_found");
    }
    for (query, pointer) in [("limit=101", "/limit"), ("cursor=zzz", "/cursor"), ("from=now", "/from")] {
        admin.get(&format!("/v1/admin/bookings/at-risk?{query}")).await.points_to(&[pointer]);
    }
    admin.get(&format!("{}?gender=any", under_admin(path, "candidates"))).await.points_to(&["/gender"]);
}
