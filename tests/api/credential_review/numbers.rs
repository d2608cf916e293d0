//! Whose a number is.

use serde_json::json;
use uuid::Uuid;

use super::{MINE, against, step, submitted, texas, verified, verify};
use crate::support::App;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_handed_in_twice_at_once_has_one_owner() {
    for round in 0..10 {
        let app = App::start().await;
        let (one, other) = (app.newcomer().await, app.newcomer().await);
        let (a, b) = tokio::join!(submitted(&one, texas("MT123456")), submitted(&other, texas("mt 123-456")));
        assert_eq!(app.rows("number_claims").await, 1, "round {round}");
        assert_eq!(app.rows("tasks WHERE kind = 'duplicate_claim'").await, 1);
        let (first, second) = (app.admin().await, app.admin().await);
        let owner = first.get(&a).await.is(200).body["number_claimed_by"].clone();
        let (mine, theirs) = if owner == json!(one.id) { (a, b) } else { (b, a) };
        let listed = first.get("/v1/admin/credentials?duplicate=true").await.is(200).body;
        assert_eq!(listed["data"].as_array().unwrap().len(), 1);
        assert!(theirs.ends_with(listed["data"][0]["id"].as_str().unwrap()));

        // The second claimant may turn out to be right: then two say so, and the number is theirs.
        step(&first, &theirs, "claim", json!({})).await.is(200);
        step(&first, &theirs, "verify", verified(&[])).await.refused(409, "duplicate_claim");
        step(&first, &theirs, "verify", verified(&["duplicate_claim"])).await.is(200);
        assert_eq!(
            step(&second, &theirs, "verify", verified(&["duplicate_claim"])).await.is(200).body["review_state"],
            "verified"
        );
        step(&first, &mine, "claim", json!({})).await.is(200);
        step(&first, &mine, "verify", verified(&[])).await.refused(409, "duplicate_claim");
        // While it is verified for one therapist nothing verifies it for another.
        step(&first, &mine, "verify", verified(&["duplicate_claim"])).await.is(200);
        step(&second, &mine, "verify", verified(&["duplicate_claim"])).await.refused(409, "duplicate_claim");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_is_given_up_is_free_again() {
    let app = App::start().await;
    let (one, other, admin) = (app.newcomer().await, app.newcomer().await, app.admin().await);
    let first = submitted(&one, texas("MT123456")).await;
    let second = submitted(&other, texas("MT123456")).await;
    one.act(&format!("{}/withdraw", first.replace("/v1/admin/credentials", MINE))).await.is(200);
    assert_eq!(app.rows("number_claims").await, 0);
    verify(&admin, &second).await;
    assert_eq!(admin.get(&second).await.is(200).body["number_claimed_by"], json!(other.id));
    // What was verified keeps its number, also when it is revoked.
    step(&admin, &second, "revoke", against("suspected_forgery")).await.is(200);
    let third = submitted(&one, texas("MT123456")).await;
    assert_eq!(admin.get(&third).await.is(200).body["number_claimed_by"], json!(other.id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_that_was_only_tried_is_free_when_it_is_revoked() {
    let app = App::start().await;
    let (squatter, owner, admin) = (app.newcomer().await, app.newcomer().await, app.admin().await);
    let first = submitted(&squatter, texas("MT123456")).await;
    let second = submitted(&owner, texas("MT123456")).await;
    step(&admin, &first, "revoke", against("suspected_forgery")).await.is(200);
    verify(&admin, &second).await;
    assert_eq!(admin.get(&second).await.is(200).body["number_claimed_by"], json!(owner.id));
}

#[tokio::test]
async fn zeros_before_a_number_hide_no_twin() {
    let app = App::start().await;
    let colorado = |number: &str| json!({ "type": "US-CO-LMT", "number": number, "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" });
    let mut ids = Vec::new();
    for number in ["MT.0012345", "12345", "CO 012345"] {
        let therapist = app.newcomer().await;
        let id = therapist.post("/v1/therapists/me/credentials", colorado(number)).await.is(201).id();
        therapist.act(&format!("/v1/therapists/me/credentials/{id}/submit")).await.is(200);
        ids.push(id);
    }
    let flagged = app.rows("tasks WHERE kind = 'duplicate_claim'").await;
    assert_eq!(flagged, 2, "all but the first");

    // What was stored under the older rule is found too, also where both were verified.
    app.sql(
        "UPDATE credentials SET normalised_number = '0099999', number = 'MT.0099999', review_state = 'verified' WHERE number LIKE 'MT%'",
    )
    .await
    .unwrap();
    app.sql(
        "UPDATE credentials SET normalised_number = '99999', number = '99999', review_state = 'verified' WHERE number = '12345'",
    )
    .await
    .unwrap();
    app.sql("DELETE FROM tasks").await.unwrap();
    knead::queue::Run::run(knead::credentials::jobs::LookAhead, app.service.clone()).await.unwrap();
    let flagged = app.rows("tasks WHERE kind = 'duplicate_claim'").await;
    assert_eq!(flagged, 1, "the pair");
    app.sql(&format!("UPDATE credentials SET review_state = 'withdrawn' WHERE id = '{}'", ids[1])).await.unwrap();
    app.sql("DELETE FROM tasks").await.unwrap();
    knead::queue::Run::run(knead::credentials::jobs::LookAhead, app.service.clone()).await.unwrap();
    let mended = app.rows("credentials WHERE number = 'MT.0099999' AND normalised_number = '99999'").await;
    assert_eq!(mended, 1);
}

#[tokio::test]
async fn a_policy_of_a_group_insures_everyone_in_it() {
    let app = App::start().await;
    let (one, other) = (app.therapist().await, app.therapist().await);
    app.sql("UPDATE credentials SET review_state = 'submitted', normalised_number = NULL, number = NULL WHERE type = 'INSURANCE'")
        .await
        .unwrap();
    for therapist in [&one, &other] {
        let id: Uuid = sqlx::query_scalar("SELECT id FROM credentials WHERE type = 'INSURANCE' AND therapist_id = $1")
            .bind(therapist.id)
            .fetch_one(&*app.service.db)
            .await
            .unwrap();
        let number = format!(
            "UPDATE credentials SET number = 'GRP-0042', normalised_number = 'GRP0042@' || therapist_id WHERE id = '{id}'"
        );
        app.sql(&number).await.unwrap();
        let admin = app.admin().await;
        verify(&admin, &format!("/v1/admin/credentials/{id}")).await;
        let seen = admin.get(&format!("/v1/admin/credentials/{id}")).await.is(200).body;
        assert_eq!((&seen["review_state"], &seen["duplicates"]), (&json!("verified"), &json!([])));
    }
    assert_eq!(app.rows("tasks WHERE kind = 'duplicate_claim'").await, 0);
}

#[tokio::test]
async fn what_was_barred_is_known_again_without_a_number() {
    let app = App::start().await;
    let admin = app.admin().await;
    for (state, former, anew) in [
        ("revoked", "NULL", "NULL"),
        ("suspended", "'POL-1'", "NULL"),
        ("revoked", "NULL", "'POL-1'"),
        ("revoked", "'POL-1'", "'POL-1'"),
        ("revoked", "'POL-1'", "'POL-2'"),
    ] {
        let therapist = app.therapist().await;
        let number = |number: &str| {
            format!("number = {number}, normalised_number = replace({number}, '-', '') || '@' || therapist_id")
        };
        let body = json!({
            "type": "INSURANCE", "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30",
            "cover": { "amount": 2_000_000_000, "currency": "AUD" },
        });
        let id = therapist.post(MINE, body).await.is(201).id();
        app.sql(&format!(
            "UPDATE credentials SET review_state = '{state}', {} WHERE type = 'INSURANCE' AND therapist_id = '{}' AND id <> '{id}'",
            number(former), therapist.id
        ))
        .await
        .unwrap();
        app.sql(&format!(
            "UPDATE credentials SET review_state = 'submitted', submitted_at = '2026-11-30', {} WHERE id = '{id}'",
            number(anew)
        ))
        .await
        .unwrap();
        let path = format!("/v1/admin/credentials/{id}");
        admin.act(&format!("{path}/claim")).await.is(200);
        let answer =
            admin.post(&format!("{path}/verify"), json!({ "reason_codes": ["verified_primary_source"] })).await;
        if anew == "'POL-2'" {
            answer.is(200);
        } else {
            answer.refused(422, "override_not_stated");
        }
    }
}
