//! What the system decides by itself, on what an authority's list says.

use knead::credentials::checks::{CheckMethod, Found, Verdict};
use knead::credentials::review::ReasonCode;
use knead::credentials::{BoardStatus, settle, unsettle};
use knead::ids::{CredentialId, TherapistId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{state, step, submitted, texas, verified};
use crate::support::{App, Person};

pub(super) fn found(status: BoardStatus) -> Found {
    Found {
        method: CheckMethod::Roster,
        source: "us-tx-tdlr".to_owned(),
        source_url: None,
        source_date: None,
        name: Some("OKAFOR, SAM".to_owned()),
        number: Some("123456".to_owned()),
        status_text: None,
        board_status: status,
        expires_on: "2027-08-31".parse().ok(),
        board_action: false,
        name_similarity: Some(1.0),
    }
}

/// Lets a roster's verdict take effect, and gives what changed.
pub(super) async fn roster(
    app: &App,
    therapist: &Person,
    id: Uuid,
    found: &Found,
    verdict: &Verdict,
) -> knead::credentials::checks::Change {
    let mut work = app.service.begin(None).await.unwrap();
    work.lock_time(TherapistId(therapist.id)).await.unwrap();
    let change = settle(&mut work, CredentialId(id), found, verdict).await.unwrap().unwrap();
    work.commit().await.unwrap();
    change
}

pub(super) async fn take_back(
    app: &App,
    therapist: &Person,
    id: Uuid,
    change: &knead::credentials::checks::Change,
) -> bool {
    let mut work = app.service.begin(None).await.unwrap();
    work.lock_time(TherapistId(therapist.id)).await.unwrap();
    let undone = unsettle(&mut work, CredentialId(id), change).await.unwrap();
    work.commit().await.unwrap();
    undone
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_system_verifies_in_the_one_clean_case_and_takes_it_back() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let path = submitted(&therapist, texas("MT123456")).await;
    let id: Uuid = path.rsplit('/').next().unwrap().parse().unwrap();
    let change = roster(&app, &therapist, id, &found(BoardStatus::Active), &Verdict::Clean).await;
    let file = admin.get(&path).await.is(200).body;
    assert_eq!(
        (&file["review_state"], &file["expires_on"], &file["in_force"]),
        (&json!("verified"), &json!("2027-08-31"), &json!(true))
    );
    assert_eq!(file["decisions"][1]["actor_id"], Value::Null);
    let again = roster(&app, &therapist, id, &found(BoardStatus::Active), &Verdict::Clean).await;
    assert!(!again.is_real(), "a second look changes nothing");
    assert!(!take_back(&app, &therapist, id, &change).await, "it stands otherwise since");
    assert!(take_back(&app, &therapist, id, &again).await);
    assert!(take_back(&app, &therapist, id, &change).await);
    let file = admin.get(&path).await.is(200).body;
    assert_eq!((&file["review_state"], &file["expires_on"]), (&json!("submitted"), &json!("2027-06-30")));

    // Adverse news suspend, and a person reinstates.
    let change = roster(&app, &therapist, id, &found(BoardStatus::Active), &Verdict::Clean).await;
    assert!(change.is_real());
    let adverse = Verdict::Adverse { reasons: vec![ReasonCode::DisciplinaryAction] };
    let change = roster(&app, &therapist, id, &found(BoardStatus::Revoked), &adverse).await;
    assert_eq!(state(&admin, &path).await, "suspended");
    roster(&app, &therapist, id, &found(BoardStatus::Active), &Verdict::Clean).await;
    assert_eq!(state(&admin, &path).await, "suspended");
    assert_eq!(app.rows("tasks WHERE kind = 'reinstatement_possible'").await, 1);
    assert!(take_back(&app, &therapist, id, &change).await);
    assert_eq!(state(&admin, &path).await, "verified");

    // Words that nobody knows are no permission.
    let unclear = Verdict::Unclear { reasons: vec![ReasonCode::Inactive] };
    roster(&app, &therapist, id, &found(BoardStatus::Unknown), &unclear).await;
    let file = admin.get(&path).await.is(200).body;
    assert_eq!(
        (&file["review_state"], &file["board_status"], &file["in_force"]),
        (&json!("verified"), &json!("unknown"), &json!(false))
    );
    assert_eq!(app.rows("tasks WHERE kind = 'status_unknown'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_system_does_not_verify_where_a_person_must() {
    let app = App::start().await;
    let (therapist, other, admin) = (app.newcomer().await, app.newcomer().await, app.admin().await);
    let id_of = |path: &str| -> Uuid { path.rsplit('/').next().unwrap().parse().unwrap() };
    let clean = async |person: &Person, path: &str| {
        roster(&app, person, id_of(path), &found(BoardStatus::Active), &Verdict::Clean).await;
        state(&admin, path).await
    };
    let first = submitted(&therapist, texas("MT123456")).await;
    let second = submitted(&other, texas("MT123456")).await;
    assert_eq!(clean(&other, &second).await, "submitted", "another claims the number");
    step(&admin, &first, "claim", json!({})).await.is(200);
    assert_eq!(clean(&therapist, &first).await, "in_review", "an admin is at it");
    step(&admin, &first, "release", json!({})).await.is(200);
    app.sql("UPDATE credential_types SET four_eyes = true WHERE code = 'US-TX-LMT'").await.unwrap();
    assert_eq!(clean(&therapist, &first).await, "submitted", "it takes two");
    app.sql("UPDATE credential_types SET four_eyes = false WHERE code = 'US-TX-LMT'").await.unwrap();
    assert_eq!(clean(&therapist, &first).await, "verified");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_date_that_contradicts_the_holders_is_refused_or_believed() {
    let app = App::start().await;
    let (therapist, admin) = (app.newcomer().await, app.admin().await);
    let mut body = texas("MT123456");
    (body["issued_on"], body["expires_on"]) = (json!("2030-01-01"), json!("2031-01-01"));
    let path = submitted(&therapist, body).await;
    step(&admin, &path, "claim", json!({})).await.is(200);
    let mut ended = verified(&[]);
    ended["expires_on"] = json!("2027-08-31");
    step(&admin, &path, "verify", ended).await.points_to(&["/expires_on"]);
    step(&admin, &path, "release", json!({})).await.is(200);
    // A roster's row counts: it had begun by then.
    let id: Uuid = path.rsplit('/').next().unwrap().parse().unwrap();
    roster(&app, &therapist, id, &found(BoardStatus::Active), &Verdict::Clean).await;
    let file = admin.get(&path).await.is(200).body;
    assert_eq!(
        (&file["review_state"], &file["issued_on"], &file["expires_on"]),
        (&json!("verified"), &Value::Null, &json!("2027-08-31"))
    );
}
