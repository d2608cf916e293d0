//! What a decision about a credential is, for whom it is decided about: words of its own, a notice, a way on; and for whoever decides: a look before,
//! and time to think better of it.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::documents::png;
use crate::support::{Answer, App, Person, send};

const MINE: &str = "/v1/therapists/me/credentials";

fn texas(number: &str) -> Value {
    json!({ "type": "US-TX-LMT", "number": number, "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" })
}

/// Kinds of what a person was told, newest first.
async fn told(person: &Person) -> Vec<String> {
    let page = person.get("/v1/me/notices").await.is(200).body;
    page["data"].as_array().unwrap().iter().map(|notice| notice["kind"].as_str().unwrap().to_owned()).collect()
}

/// A credential that is handed in and claimed, for its holder and for staff.
async fn claimed(therapist: &Person, admin: &Person, number: &str) -> (String, String) {
    let id = therapist.post(MINE, texas(number)).await.is(201).id();
    therapist.act(&format!("{MINE}/{id}/submit")).await.is(200);
    let path = format!("/v1/admin/credentials/{id}");
    admin.act(&format!("{path}/claim")).await.is(200);
    (format!("{MINE}/{id}"), path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_holder_reads_the_words_for_them_and_none_of_those_for_staff() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let (mine, path) = claimed(&therapist, &admin, "MT123456").await;
    assert_eq!(therapist.get(&mine).await.is(200).body["last_decision"], Value::Null);
    let body = json!({ "reason_codes": ["illegible"], "note": "Looks like a photocopy.", "message": "Page 2 cannot be read." });
    admin.post(&format!("{path}/request-info"), body).await.is(200);

    let seen = therapist.get(&mine).await.is(200);
    let expected = json!({ "action": "request_info", "reason_codes": ["illegible"], "message": "Page 2 cannot be read.",
                           "at": "2026-11-30T01:00:00Z" });
    assert_eq!(seen.body["last_decision"], expected);
    assert!(!seen.text.contains("photocopy"), "{}", seen.text);
    let listed = therapist.get(MINE).await.is(200);
    assert_eq!(listed.body["data"][0]["last_decision"], expected);
    assert_eq!(told(&therapist).await, ["credential_info_requested"]);
    let notice = &therapist.get("/v1/me/notices").await.is(200).body["data"][0];
    assert_eq!(notice["details"], json!({ "type": "US-TX-LMT", "reason_codes": ["illegible"] }));
    assert_eq!(format!("{MINE}/{}", notice["subject_id"].as_str().unwrap()), mine);

    // Staff see both, and whose words were whose.
    let history = admin.get(&format!("{path}/history")).await.is(200).body;
    let last =
        history["data"].as_array().unwrap().iter().find(|step| step["action"] == "request_info").unwrap().clone();
    assert_eq!(
        (&last["note"], &last["message"]),
        (&json!("Looks like a photocopy."), &json!("Page 2 cannot be read."))
    );
    assert!(
        history["data"]
            .as_array()
            .unwrap()
            .iter()
            .all(|step| step["action"] == "request_info" || step["message"].is_null())
    );
    // Words to a person are in no event.
    assert_eq!(app.rows("events WHERE details::text LIKE '%cannot be read%'").await, 0);

    // The decision stays until the next one.
    therapist.act(&format!("{mine}/submit")).await.is(200);
    assert_eq!(therapist.get(&mine).await.is(200).body["last_decision"], expected);
    admin.act(&format!("{path}/claim")).await.is(200);
    admin.post(&format!("{path}/reject"), json!({ "reason_codes": ["expired"] })).await.is(200);
    let decision = &therapist.get(&mine).await.is(200).body["last_decision"];
    assert_eq!((&decision["action"], &decision["message"]), (&json!("reject"), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rejected_can_be_mended_with_its_files() {
    let app = App::start().await;
    let (therapist, other, admin) = (app.newcomer().await, app.newcomer().await, app.admin().await);
    let id = therapist.post(MINE, texas("MT123456")).await.is(201).id();
    let (mine, path) = (format!("{MINE}/{id}"), format!("/v1/admin/credentials/{id}"));
    therapist.upload(&format!("{mine}/documents"), "licence.png", &png()).await.is(201);
    therapist.act(&format!("{mine}/submit")).await.is(200);
    admin.act(&format!("{path}/claim")).await.is(200);
    therapist.act(&format!("{mine}/reopen")).await.refused(409, "invalid_transition");
    admin
        .post(&format!("{path}/reject"), json!({ "reason_codes": ["number_not_found"], "message": "No such number." }))
        .await
        .is(200);

    other.act(&format!("{mine}/reopen")).await.refused(404, "not_found");
    admin.act(&format!("{mine}/reopen")).await.refused(403, "forbidden");
    let draft = therapist.act(&format!("{mine}/reopen")).await.is(200).body;
    assert_eq!(
        (&draft["review_state"], &draft["last_decision"]["message"]),
        (&json!("draft"), &json!("No such number."))
    );
    let kept = therapist.get(&format!("{mine}/documents")).await.is(200).body;
    assert_eq!(kept["data"].as_array().unwrap().len(), 1);
    therapist.change(&mine, json!({ "number": "MT123465" })).await.is(200);
    therapist.act(&format!("{mine}/submit")).await.is(200);
    admin.act(&format!("{path}/claim")).await.is(200);
    let body = json!({ "reason_codes": ["verified_primary_source"], "method": "primary_source" });
    admin.post(&format!("{path}/verify"), body).await.is(200);
    therapist.act(&format!("{mine}/reopen")).await.refused(409, "invalid_transition");
    assert_eq!(told(&therapist).await, ["credential_verified", "credential_rejected"]);
    let history = admin.get(&format!("{path}/history")).await.is(200).body;
    let steps: Vec<&str> =
        history["data"].as_array().unwrap().iter().map(|step| step["action"].as_str().unwrap()).collect();
    assert_eq!(steps, ["submit", "claim", "reject", "reopen", "submit", "claim", "verify"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn becoming_bookable_is_told_once_each_time() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    app.sql(&format!("UPDATE credentials SET review_state = 'submitted', submitted_at = created_at WHERE therapist_id = '{}' AND type = 'FIRST-AID'", therapist.id))
        .await
        .unwrap();
    app.sql("DELETE FROM bookable_therapists").await.unwrap();
    let queue = admin.get("/v1/admin/credentials?type=FIRST-AID").await.is(200).body;
    let path = format!("/v1/admin/credentials/{}", queue["data"][0]["id"].as_str().unwrap());
    app.nobody().get(&format!("/v1/therapists/{}", therapist.id)).await.refused(404, "not_found");
    admin.act(&format!("{path}/claim")).await.is(200);
    let verified = json!({ "reason_codes": ["verified_primary_source"], "method": "primary_source" });
    admin.post(&format!("{path}/verify"), verified.clone()).await.is(200);
    assert_eq!(told(&therapist).await, ["now_bookable", "credential_verified"]);
    app.nobody().get(&format!("/v1/therapists/{}", therapist.id)).await.is(200);

    // It begins again after it ended, and not with a change that changes nothing of it.
    therapist.change("/v1/therapists/me", json!({ "bio": "Calm and firm." })).await.is(200);
    therapist.change("/v1/therapists/me", json!({ "accepting_bookings": false })).await.is(200);
    assert_eq!(told(&therapist).await.len(), 2);
    therapist.change("/v1/therapists/me", json!({ "accepting_bookings": true })).await.is(200);
    assert_eq!(told(&therapist).await[0], "now_bookable");
    assert_eq!(told(&therapist).await.len(), 3);
    admin.post(&format!("{path}/suspend"), json!({ "reason_codes": ["inactive"] })).await.is(200);
    admin.post(&format!("{path}/reinstate"), verified).await.is(200);
    assert_eq!(told(&therapist).await[..3], ["now_bookable", "credential_reinstated", "credential_suspended"]);
    // What changed is written down by name.
    let changes = admin.get("/v1/admin/audit?action=therapist.update").await.is(200).body;
    assert_eq!(changes["data"][0]["details"], json!({ "changed": ["accepting_bookings"] }));
}

/// A therapist with one visit today, one in three days and one under way, and the credential on which all rest.
struct Scene {
    app: App,
    therapist: Person,
    client: Person,
    admin: Person,
    address: Uuid,
    credential: String,
    soon: String,
    later: String,
}

async fn scene() -> Scene {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    let (client, address) = app.client_at_home().await;
    let soon = client.books(&therapist, address, "2026-11-30T05:00:00Z").await.is(201).header("location");
    let later = client.books(&therapist, address, "2026-12-03T03:00:00Z").await.is(201).header("location");
    let queue = admin.get("/v1/admin/credentials?type=INSURANCE").await.is(200).body;
    let credential = format!("/v1/admin/credentials/{}", queue["data"][0]["id"].as_str().unwrap());
    Scene { app, therapist, client, admin, address, credential, soon, later }
}

fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

impl Scene {
    async fn suspends(&self, query: &str, body: Value) -> Answer {
        self.admin.post(&format!("{}/suspend{query}", self.credential), body).await
    }

    async fn status(&self, path: &str) -> String {
        self.admin.get(path).await.is(200).body["status"].as_str().unwrap().to_owned()
    }

    async fn reinstates(&self) -> Answer {
        let body = json!({ "reason_codes": ["verified_primary_source"], "method": "primary_source" });
        self.admin.post(&format!("{}/reinstate", self.credential), body).await.is(200)
    }

    /// Everything that a look could leave behind.
    async fn traces(&self) -> Vec<i64> {
        let mut counts = Vec::new();
        for table in ["events", "notices", "tasks", "reservations", "decisions_told", "graphile_worker._private_jobs"] {
            counts.push(self.app.rows(table).await);
        }
        counts
    }
}

fn barred() -> Value {
    json!({ "reason_codes": ["inactive"] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_tells_what_the_step_then_does_and_does_nothing() {
    let scene = scene().await;
    let before = scene.traces().await;
    let foreseen = scene.suspends("?preview=true", barred()).await.is(200).body;
    assert_eq!(scene.traces().await, before);
    assert_eq!((&foreseen["preview"], &foreseen["review_state"]), (&json!(true), &json!("suspended")));
    let expected = json!([
        { "id": id_of(&scene.soon), "start_at": "2026-11-30T05:00:00Z", "becomes": "at_risk", "call_off_at": "2026-11-30T01:15:00Z" },
        { "id": id_of(&scene.later), "start_at": "2026-12-03T03:00:00Z", "becomes": "at_risk", "call_off_at": "2026-12-02T03:00:00Z" },
    ]);
    assert_eq!(foreseen["visits"], expected);
    let at_once =
        scene.suspends("?preview=true", json!({ "reason_codes": ["inactive"], "hold_minutes": 0 })).await.is(200).body;
    assert_eq!(
        (&at_once["visits"][0]["becomes"], &at_once["visits"][0]["call_off_at"]),
        (&json!("cancelled"), &Value::Null)
    );
    let credential = scene.admin.get(&scene.credential).await.is(200).body;
    assert_eq!(credential["review_state"], "verified");

    let done = scene.suspends("", barred()).await.is(200).body;
    assert_eq!((&done["preview"], &done["visits"]), (&json!(false), &expected));
    assert_eq!(scene.status(&scene.soon).await, "confirmed");
    // The same again is no step, in a preview neither.
    scene.suspends("?preview=true", barred()).await.refused(409, "invalid_transition");
    scene.suspends("?preview=maybe", barred()).await.points_to(&["/preview"]);
    scene.suspends("?dry_run=true", barred()).await.points_to(&["/dry_run"]);
    for minutes in [-1, 61] {
        scene
            .suspends("", json!({ "reason_codes": ["inactive"], "hold_minutes": minutes }))
            .await
            .points_to(&["/hold_minutes"]);
    }
    for step in ["revoke", "reject"] {
        let path = format!("{}/{step}?preview=true", scene.credential);
        let answer = scene.admin.post(&path, barred()).await;
        if step == "revoke" {
            assert_eq!(answer.is(200).body["preview"], true);
        } else {
            answer.refused(409, "invalid_transition");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_thinks_better_of_it_in_time_loses_no_visit() {
    let scene = scene().await;
    scene.suspends("", barred()).await.is(200);
    // The licence bars at once.
    scene
        .client
        .books(&scene.therapist, scene.address, "2026-12-04T03:00:00Z")
        .await
        .refused(422, "credential_not_valid");
    scene.therapist.act(&format!("{}/on-the-way", scene.soon)).await.is(409);
    scene.app.advance(TimeDelta::minutes(14));
    scene.app.run_jobs().await;
    let restored = scene.reinstates().await.body;
    let becomes: Vec<&Value> = restored["visits"].as_array().unwrap().iter().map(|visit| &visit["becomes"]).collect();
    assert_eq!(becomes, ["restored", "restored"]);
    scene.app.advance(TimeDelta::hours(1));
    scene.app.run_jobs().await;
    assert_eq!(
        (scene.status(&scene.soon).await, scene.status(&scene.later).await),
        ("confirmed".into(), "confirmed".into())
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_called_off_is_offered_again_within_the_hour_where_it_is_free() {
    let scene = scene().await;
    let taken =
        scene.client.books(&scene.therapist, scene.address, "2026-11-30T03:15:00Z").await.is(201).header("location");
    scene.suspends("", barred()).await.is(200);
    let at_risk = scene.admin.get("/v1/admin/bookings/at-risk").await.is(200).body;
    assert_eq!(at_risk["data"][0]["cancels_at"], "2026-11-30T01:15:00Z");
    scene.app.advance(TimeDelta::minutes(15));
    scene.app.run_jobs().await;
    assert_eq!((scene.status(&scene.soon).await, scene.status(&taken).await), ("cancelled".into(), "cancelled".into()));
    assert_eq!(scene.status(&scene.later).await, "confirmed");
    // Somebody else's way is across one of them by now: their own time off.
    let off = json!({ "start_at": "2026-11-30T03:00:00Z", "end_at": "2026-11-30T04:00:00Z" });
    scene.therapist.post("/v1/therapists/me/time-off", off).await.is(201);
    let answer = scene.reinstates().await.body;
    let followed: Vec<(&str, &str)> = answer["visits"]
        .as_array()
        .unwrap()
        .iter()
        .map(|visit| (visit["id"].as_str().unwrap(), visit["becomes"].as_str().unwrap()))
        .collect();
    assert_eq!(followed, [(id_of(&scene.soon), "offered_again"), (id_of(&scene.later), "restored")]);
    let notice = scene.client.get("/v1/me/notices").await.is(200).body["data"][0].clone();
    assert_eq!((&notice["kind"], &notice["subject_id"]), (&json!("visit_free_again"), &json!(id_of(&scene.soon))));
    assert_eq!(notice["details"]["start_at"], "2026-11-30T05:00:00Z");
    // What was called off stays so; the client books it anew.
    assert_eq!(scene.status(&scene.soon).await, "cancelled");
    scene.client.books(&scene.therapist, scene.address, "2026-11-30T05:00:00Z").await.is(201);

    // Two hours later nothing is offered.
    scene.suspends("", barred()).await.is(200);
    scene.app.advance(TimeDelta::minutes(15));
    scene.app.run_jobs().await;
    scene.app.advance(TimeDelta::minutes(61));
    let late = scene.reinstates().await.body;
    assert!(late["visits"].as_array().unwrap().iter().all(|visit| visit["becomes"] == "restored"), "{late}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_requirements_can_be_looked_at_first() {
    let scene = scene().await;
    let (admin, requirements) = (&scene.admin, "/v1/admin/credential-requirements");
    let rule = json!({ "jurisdiction": "AU-NSW", "service_kind": "massage", "group": "number", "options": ["NPI"] });
    let before = scene.traces().await;
    let request = |body: &Value, query: &str| {
        admin
            .request(reqwest::Method::POST, &format!("{requirements}{query}"))
            .header("Idempotency-Key", "rule")
            .json(body)
    };
    let foreseen = send(request(&rule, "?preview=true")).await.is(200).body;
    let becomes: Vec<&Value> = foreseen["visits"].as_array().unwrap().iter().map(|visit| &visit["becomes"]).collect();
    assert_eq!((becomes, &foreseen["complete"]), (vec![&json!("at_risk"), &json!("at_risk")], &json!(true)));
    assert_eq!(foreseen["visits"][0]["call_off_at"], "2026-11-30T01:15:00Z");
    assert_eq!(scene.traces().await, before);

    // The key of a look is free for the deed.
    let made = send(request(&rule, "")).await.is(201).id();
    let path = format!("{requirements}/{made}");
    let tag = admin.get(&path).await.is(200).header("etag");
    let ended = json!({ "jurisdiction": "AU-NSW", "service_kind": "massage", "group": "number", "options": ["NPI"], "valid_until": "2026-12-01" });
    let replaced =
        send(admin.request(reqwest::Method::PUT, &format!("{path}?preview=true")).header("If-Match", tag).json(&ended))
            .await
            .is(200)
            .body;
    assert_eq!(replaced["visits"].as_array().unwrap().len(), 1, "{replaced}");
    assert_eq!(admin.get(&path).await.is(200).body["valid_until"], Value::Null);
    scene.app.run_jobs().await;
    let at_risk = admin.get("/v1/admin/bookings/at-risk").await.is(200).body;
    assert_eq!(at_risk["data"].as_array().unwrap().len(), 2);
    let gone = send(admin.request(reqwest::Method::DELETE, &format!("{path}?preview=true"))).await.is(200).body;
    assert!(gone["visits"].as_array().unwrap().iter().all(|visit| visit["becomes"] == "restored"), "{gone}");
    assert_eq!(gone["visits"].as_array().unwrap().len(), 2);
    admin.delete(&path).await.is(204);
    scene.app.run_jobs().await;
    assert_eq!(scene.status(&scene.soon).await, "confirmed");
    // Nobody else may look.
    send(scene.client.request(reqwest::Method::DELETE, &format!("{path}?preview=true")))
        .await
        .refused(403, "forbidden");
}
