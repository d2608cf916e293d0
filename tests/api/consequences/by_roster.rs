//! An authority's list takes licences away and gives them back: visits follow, once.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{booked, in_america, seen, therapist_in_america};
use crate::rosters::{apply, line, read, upload, washington};
use crate::support::App;

const SEATTLE: (f64, f64) = (47.6062, -122.3321);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_that_revokes_acts_on_visits_once_and_its_roll_back_restores_what_is_at_risk() {
    let app = App::start().await;
    let zone = "America/Los_Angeles";
    let types = ["US-WA-LMT", "INSURANCE", "POLICE-CHECK"];
    let therapist = therapist_in_america(&app, zone, SEATTLE, &types).await;
    app.sql(
        "UPDATE credentials SET number = 'MA60000001', normalised_number = '60000001', name_on_credential = 'Sam Okafor',
                                issuing_jurisdiction = 'US-WA' WHERE type = 'US-WA-LMT'",
    )
    .await
    .unwrap();
    let (client, admin) = (app.client().await, app.admin().await);
    let address = client.address(in_america("WA", "Seattle", "98101", SEATTLE)).await;
    // It is five in the afternoon of the 29th there.
    let soon = booked(&client, &therapist, address, "2026-11-30T03:00:00Z").await;
    let in_three_days = booked(&client, &therapist, address, "2026-12-03T03:00:00Z").await;
    let in_thirty_days = booked(&client, &therapist, address, "2026-12-30T03:00:00Z").await;
    let proof = |path: &str| format!("{}/licence-proof", path.replace("/v1/", "/v1/admin/"));
    let listed = |status: &str| washington(&[line(60_000_001, "Okafor, Sam", status, "06/30/2028")], 5);

    // A first list confirms it; the visits rest on what it said from then on.
    apply(&app, &admin, "2026-11-27", &listed("ACTIVE")).await;
    let on_record = admin.get(&proof(&in_three_days)).await.is(200).body;
    let licence = on_record["groups"].as_array().unwrap().iter().find(|group| group["group"] == "licence").unwrap();
    assert_eq!(licence["verification"]["source"], "us-wa-doh", "{licence}");
    assert_eq!(licence["verification"]["status_text"], "ACTIVE");

    let revoking = listed("REVOKED");
    let path = apply(&app, &admin, "2026-11-28", &revoking).await;
    assert_eq!(admin.get(&path).await.is(200).body["changed"], 1);
    let visits = async || {
        let mut found = Vec::new();
        for path in [&soon, &in_three_days, &in_thirty_days] {
            let visit = seen(&admin, path).await;
            found.push((visit["status"].as_str().unwrap().to_owned(), !visit["at_risk_since"].is_null()));
        }
        found
    };
    let as_expected = [("cancelled", false), ("confirmed", true), ("confirmed", true)].map(|(s, r)| (s.to_owned(), r));
    assert_eq!(visits().await, as_expected);
    let called_off = client.get(&soon).await.is(200).body;
    assert_eq!(
        (&called_off["cancellation"]["by"], &called_off["cancellation"]["refund"]),
        (&json!("system"), &called_off["price"])
    );

    // The same list again, and the same news with a later date: nothing happens twice.
    upload(&admin, "us-wa-doh", "2026-11-28", &revoking).await.refused(409, "roster_already_applied");
    assert_eq!(visits().await, as_expected);
    let later = washington(&[line(60_000_001, "Okafor, Sam", "REVOKED", "06/30/2028")], 6);
    let again = read(&app, &admin, "us-wa-doh", "2026-11-29", &later).await;
    admin.act(&format!("{again}/apply")).await.is(202);
    app.run_jobs().await;
    assert_eq!(visits().await, as_expected);
    let steps = "booking_events WHERE action = 'cancel'";
    assert_eq!((app.rows(steps).await, app.rows("credential_decisions WHERE action = 'suspend'").await), (1, 1));

    // Taken back, newest first: what is at risk is restored, what was cancelled stays so.
    for import in [&again, &path] {
        admin.act(&format!("{import}/roll-back")).await.is(202);
        app.run_jobs().await;
        assert_eq!(admin.get(import).await.is(200).body["state"], "rolled_back");
    }
    assert_eq!(
        visits().await,
        [("cancelled", false), ("confirmed", false), ("confirmed", false)].map(|(s, r)| (s.to_owned(), r))
    );
    let restored = admin.get(&proof(&in_three_days)).await.is(200).body;
    assert_eq!(restored["groups"], on_record["groups"], "it rests on what the first list said");
    app.chain_audit().await;
    assert_eq!(admin.get("/v1/admin/audit/verify").await.is(200).body["intact"], true);

    // Expiry by the list acts on the visits beyond it alone.
    let ending = washington(&[line(60_000_001, "Okafor, Sam", "ACTIVE", "12/15/2026")], 7);
    apply(&app, &admin, "2026-11-30", &ending).await;
    assert_eq!(
        visits().await,
        [("cancelled", false), ("confirmed", false), ("confirmed", true)].map(|(s, r)| (s.to_owned(), r))
    );
    app.advance(TimeDelta::days(29) + TimeDelta::hours(3));
    app.run_jobs().await;
    let last = seen(&admin, &in_thirty_days).await;
    assert_eq!((&last["status"], &last["at_risk_since"]), (&json!("cancelled"), &Value::Null));
}
