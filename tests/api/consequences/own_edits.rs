//! A therapist's own edit of a licence: the visits that are lost by it are the therapist's to answer for, and what was edited is checked again.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::*;
use crate::rosters::{apply, line, washington};

const MINE: &str = "/v1/therapists/me/credentials";

/// Where the therapist's credential of this type is found.
async fn mine(therapist: &Person, code: &str) -> String {
    let page = therapist.get(MINE).await.is(200).body;
    let found = page["data"].as_array().unwrap().iter().find(|credential| credential["type"] == code).unwrap().clone();
    format!("{MINE}/{}", found["id"].as_str().unwrap())
}

async fn late_cancellations(admin: &Person, therapist: &Person) -> Value {
    let path = format!("/v1/admin/therapists/{}/reliability", therapist.id);
    admin.get(&path).await.is(200).body["late_cancellations"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_that_are_lost_to_ones_own_edit_count_as_called_off_by_oneself() {
    for by_therapist in [true, false] {
        let app = App::start().await;
        let (therapist, admin) = (app.therapist().await, app.admin().await);
        let (client, address) = app.client_at_home().await;
        let soon = booked(&client, &therapist, address, "2026-11-30T05:00:00Z").await;
        let later = booked(&client, &therapist, address, "2026-12-03T03:00:00Z").await;
        if by_therapist {
            let edit = json!({ "name_on_credential": "Test Married" });
            let edited = therapist.change(&mine(&therapist, "INSURANCE").await, edit).await.is(200).body;
            assert_eq!(edited["review_state"], "submitted");
        } else {
            change(&app, &therapist, SUSPEND).await;
        }
        let (who, marks) = if by_therapist { ("therapist", 1) } else { ("system", 0) };
        let called_off = client.get(&soon).await.is(200).body;
        let ended = &called_off["cancellation"];
        assert_eq!((&called_off["status"], &ended["by"]), (&json!("cancelled"), &json!(who)));
        assert_eq!(
            (&ended["fee"]["amount"], &ended["refund"]),
            (&json!(0), &called_off["price"]),
            "the client pays nothing"
        );
        assert_eq!(late_cancellations(&admin, &therapist).await, marks, "{who}");

        // There is time to find someone else for the other. Where nobody is found, it is theirs too, at the last moment.
        let at_risk = seen(&admin, &later).await;
        assert_eq!((&at_risk["status"], at_risk["at_risk_since"].is_null()), (&json!("confirmed"), false));
        app.advance(TimeDelta::hours(51) - TimeDelta::minutes(30));
        app.run_jobs().await;
        let called_off = seen(&admin, &later).await;
        assert_eq!((&called_off["status"], &called_off["cancellation"]["by"]), (&json!("cancelled"), &json!(who)));
        assert_eq!(late_cancellations(&admin, &therapist).await, 2 * marks, "{who}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_was_edited_is_checked_again() {
    let app = App::start().await;
    let admin = app.admin().await;
    let list = washington(
        &[
            line(60_000_001, "Okafor, Sam", "ACTIVE", "06/30/2028"),
            line(60_000_002, "Okafor, Sam", "ACTIVE", "06/30/2029"),
            line(60_000_003, "Okafor, Sam", "REVOKED", "06/30/2029"),
        ],
        5,
    );
    for (number, state, ends) in [
        ("MA60000002", "verified", "2029-06-30"),
        ("MA60000003", "submitted", "2028-06-30"),
        ("MA60000009", "submitted", "2028-06-30"),
    ] {
        let app = if number == "MA60000002" { &app } else { &App::start().await };
        let admin = if number == "MA60000002" { admin.clone() } else { app.admin().await };
        let therapist = app.newcomer().await;
        let licence = json!({ "type": "US-WA-LMT", "number": "MA60000001", "name_on_credential": "Sam Okafor", "expires_on": "2028-06-30" });
        let id = therapist.post(MINE, licence).await.is(201).id();
        let path = format!("{MINE}/{id}");
        therapist.act(&format!("{path}/submit")).await.is(200);
        apply(app, &admin, "2026-11-27", &list).await;
        assert_eq!(therapist.get(&path).await.is(200).body["review_state"], "verified", "by the list");
        let edited = therapist.change(&path, json!({ "number": number })).await.is(200).body;
        assert_eq!(edited["review_state"], "submitted", "the list said nothing of this number yet");
        app.run_jobs().await;
        let checked = therapist.get(&path).await.is(200).body;
        assert_eq!((&checked["review_state"], &checked["expires_on"]), (&json!(state), &json!(ends)), "{number}");
        // What the list says of the new number is written down, good or bad.
        let reviewed = admin.get(&format!("/v1/admin/credentials/{id}")).await.is(200).body;
        let checks = reviewed["checks"].as_array().unwrap();
        let found: Vec<_> = checks.iter().filter(|check| check["number_found"] == number).collect();
        let said: Vec<&Value> = found.iter().map(|check| &check["board_status"]).collect();
        let expected: &[Value] = match number {
            "MA60000002" => &[json!("active")],
            "MA60000003" => &[json!("revoked")],
            _ => &[],
        };
        assert_eq!(said, expected.iter().collect::<Vec<_>>(), "{number}");
        let standing = therapist.get(&path).await.is(200).body;
        assert_eq!(standing["review_state"] == "verified", number == "MA60000002", "{standing}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_across_the_midnight_of_a_renewal_is_booked_where_there_is_no_gap() {
    for (begins, status) in [("2026-12-02", 201), ("2026-12-03", 422)] {
        let app = App::start().await;
        let (therapist, admin) = (app.therapist().await, app.admin().await);
        therapist.works(&[("tuesday", "20:00", "02:00")]).await;
        app.sql(&format!(
            "UPDATE credentials SET expires_on = '2026-12-01' WHERE type = 'INSURANCE';
             INSERT INTO credentials (id, therapist_id, type, name_on_credential, issued_on, expires_on, review_state, board_status, created_at)
             VALUES (gen_random_uuid(), '{}', 'INSURANCE', 'Test', '{begins}', '2027-12-01', 'verified', 'active', '2026-11-01T00:00:00Z')",
            therapist.id
        ))
        .await
        .unwrap();
        proof::looked_up(&app, &therapist, &admin).await;
        let (client, address) = app.client_at_home().await;
        // From half past eleven until half past midnight in Sydney.
        let night = "2026-12-01T12:30:00Z";
        let listed = client.slots(&therapist, "2026-12-01", "2026-12-01").await;
        assert_eq!(listed.contains(&night.to_owned()), status == 201, "renewed from {begins}");
        let answer = client.books(&therapist, address, night).await;
        if status == 422 {
            answer.refused(422, "credential_not_valid");
            // What ends with the first day needs nothing of the second.
            client.books(&therapist, address, "2026-12-01T12:00:00Z").await.is(201);
            continue;
        }
        let path = answer.is(201).header("location");
        let proof = admin.get(&under_admin(&path, "licence-proof")).await.is(200).body;
        assert_eq!(
            (&proof["licensed"], &proof["first_date"], &proof["last_date"]),
            (&json!(true), &json!("2026-12-01"), &json!("2026-12-02"))
        );
        let insurances = proof["groups"].as_array().unwrap().iter().filter(|group| group["group"] == "insurance");
        let ends: Vec<&Value> = insurances.map(|group| &group["credential"]["expires_on"]).collect();
        let mut ends: Vec<&str> = ends.into_iter().filter_map(Value::as_str).collect();
        ends.sort_unstable();
        assert_eq!(ends, ["2026-12-01", "2027-12-01"], "both are written down");
        // It stays so when anything else changes, and is lost where the renewal is.
        let now = seen(&admin, &path).await;
        assert!(now["at_risk_since"].is_null());
        change(&app, &therapist, "UPDATE credentials SET review_state = 'suspended' WHERE expires_on = '2027-12-01'")
            .await;
        assert!(!seen(&admin, &path).await["at_risk_since"].is_null());
    }
}
