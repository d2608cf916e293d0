//! "Was this therapist licensed for this visit?"

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::*;

/// Records that an admin read the authority's own record of each of a therapist's credentials.
pub async fn looked_up(app: &App, therapist: &Person, admin: &Person) {
    app.sql(&format!(
        "INSERT INTO credential_verifications (id, credential_id, actor_id, method, source, source_url, name_found, number_found, status_text, board_status, expires_on, at)
         SELECT gen_random_uuid(), id, '{}', 'primary_source', 'The board', 'https://board.example/1', 'Test', 'A1', 'Current', 'active', expires_on, created_at
         FROM credentials WHERE therapist_id = '{1}';
         UPDATE credentials c SET verification_id = v.id FROM credential_verifications v WHERE v.credential_id = c.id AND c.therapist_id = '{1}'",
        admin.id, therapist.id
    ))
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proof_says_the_same_whatever_is_changed_later() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    looked_up(&app, &therapist, &admin).await;
    let (client, address) = app.client_at_home().await;
    let path = booked(&client, &therapist, address, "2026-12-01T03:00:00Z").await;
    therapist.get(&path).await.is(200);
    app.advance(TimeDelta::days(3));
    let proof = admin.get(&under_admin(&path, "licence-proof")).await.is(200).body;
    assert_eq!((&proof["licensed"], &proof["reason"]), (&json!(true), &json!("verified")));
    assert_eq!((&proof["jurisdiction"], &proof["therapist_id"]), (&json!("AU-NSW"), &json!(therapist.id)));
    assert_eq!((&proof["first_date"], &proof["last_date"]), (&json!("2026-12-01"), &json!("2026-12-01")));
    let groups = proof["groups"].as_array().unwrap();
    let names: Vec<&str> = groups.iter().map(|group| group["group"].as_str().unwrap()).collect();
    assert_eq!(names, ["association", "background", "first_aid", "insurance", "qualification"]);
    let insurance = &groups[3];
    assert_eq!((&insurance["required_by"], &insurance["options"]), (&json!("AU"), &json!(["INSURANCE"])));
    assert_eq!(insurance["credential"]["type"], "INSURANCE");
    assert_eq!(insurance["credential"]["authority"], "Insurer: professional indemnity and public liability");
    let verification = &insurance["verification"];
    assert_eq!(
        (&verification["method"], &verification["source_url"]),
        (&json!("primary_source"), &json!("https://board.example/1"))
    );
    assert_eq!((&verification["status_text"], &verification["actor_id"]), (&json!("Current"), &json!(admin.id)));
    assert_eq!(proof["revisions"].as_array().unwrap().len(), 1);
    assert_eq!(proof["revisions"][0]["groups"], proof["groups"]);
    let entries = admin
        .get(&format!("/v1/admin/audit?subject_type=booking&subject_id={}", proof["booking_id"].as_str().unwrap()))
        .await
        .is(200)
        .body;
    let positions: Vec<i64> =
        entries["data"].as_array().unwrap().iter().map(|e| e["position"].as_i64().unwrap()).collect();
    assert_eq!(entries["data"][0]["action"], "booking.proof_read", "newest first");
    assert_eq!(
        proof["audit"],
        json!({ "first": positions[2], "last": positions[1], "entries": 2 }),
        "created, and the address shown"
    );

    change(&app, &therapist, REVOKE).await;
    change(&app, &therapist, "UPDATE credentials SET type = 'NPI', name_on_credential = 'Other', expires_on = '2026-01-01', verification_id = NULL WHERE type = 'POLICE-CHECK'").await;
    change(&app, &therapist, "UPDATE credentials SET review_state = 'superseded' WHERE type = 'FIRST-AID'").await;
    app.sql("UPDATE credential_types SET authority = 'Someone else'; UPDATE credential_requirements SET options = '{NPI}' WHERE jurisdiction = 'AU'")
        .await
        .unwrap();
    assert_eq!(admin.get(&under_admin(&path, "licence-proof")).await.is(200).body, proof);
    assert_eq!(app.rows("events WHERE kind = 'booking.proof_read'").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proof_does_not_claim_what_was_not_recorded() {
    let scene = scene().await;
    let Scene { app, old, new, client, address, admin, path } = &scene;
    let proof = |path: String| async move { admin.get(&under_admin(&path, "licence-proof")).await.is(200).body };
    let at_risk = proof(path.clone()).await;
    assert_eq!((&at_risk["licensed"], &at_risk["reason"]), (&json!(false), &json!("at_risk")));
    change(app, old, REINSTATE).await;
    let unrecorded = proof(path.clone()).await;
    assert_eq!((&unrecorded["licensed"], &unrecorded["reason"]), (&Value::Null, &json!("verification_not_recorded")));
    assert_eq!(unrecorded["groups"][0]["verification"], Value::Null);

    looked_up(app, new, admin).await;
    scene.reassigns(new.id).await.is(200);
    let moved = proof(path.clone()).await;
    assert_eq!(moved["licensed"], true);
    let therapists: Vec<&Value> = moved["revisions"].as_array().unwrap().iter().map(|r| &r["therapist_id"]).collect();
    assert_eq!(therapists, [&json!(old.id), &json!(new.id)], "oldest first");

    // What the source said is held against the visit, too.
    let other = booked(client, new, *address, "2026-12-05T03:00:00Z").await;
    app.sql("ALTER TABLE credential_verifications DISABLE TRIGGER USER; UPDATE credential_verifications SET expires_on = '2026-12-04'").await.unwrap();
    let short = proof(other.clone()).await;
    assert_eq!((&short["licensed"], &short["reason"]), (&json!(false), &json!("not_covered")));

    let soon = booked(client, new, *address, "2026-11-30T03:00:00Z").await;
    change(app, new, REVOKE).await;
    let called_off = proof(soon).await;
    assert_eq!((&called_off["licensed"], &called_off["reason"]), (&json!(false), &json!("called_off")));
    app.sql(
        "ALTER TABLE reliances DISABLE TRIGGER USER; DELETE FROM reliances; UPDATE bookings SET at_risk_since = NULL",
    )
    .await
    .unwrap();
    let nothing = proof(other).await;
    assert_eq!((&nothing["licensed"], &nothing["reason"]), (&Value::Null, &json!("nothing_recorded")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_one_name_may_be_asked_for_twice() {
    let app = App::start().await;
    let (therapist, admin) = (app.therapist().await, app.admin().await);
    app.sql("INSERT INTO credential_requirements (jurisdiction, service_kind, \"group\", options) VALUES ('AU-NSW', 'massage', 'insurance', '{INSURANCE}')")
        .await
        .unwrap();
    let (client, address) = app.client_at_home().await;
    let path = booked(&client, &therapist, address, START).await;
    let proof = admin.get(&under_admin(&path, "licence-proof")).await.is(200).body;
    assert_eq!(proof["groups"].as_array().unwrap().len(), 6);
}
