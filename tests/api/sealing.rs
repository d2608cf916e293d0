//! What is told of doors and of health is kept sealed: the tables themselves are looked through.

use reqwest::Method;
use serde_json::json;

use crate::support::{App, DEEP_TISSUE, Person, send, surry_hills};

const TUESDAY: &str = "2026-12-01T00:00:00Z";

/// The tables that hold `needle` in any column, as text or as bytes.
pub async fn tables_with(app: &App, needle: &str) -> Vec<String> {
    let tables: Vec<String> = sqlx::query_scalar(
        // A table that is partitioned stands for its partitions.
        "SELECT format('%I.%I', nspname, relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
         WHERE relkind IN ('r', 'p') AND NOT relispartition AND nspname NOT IN ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&*app.service.db)
    .await
    .unwrap();
    assert!(tables.len() > 20, "{tables:?}");
    let hex: String = needle.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut found = Vec::new();
    for table in tables {
        let query =
            format!("SELECT count(*) FROM {table} AS t WHERE strpos(t::text, $1) > 0 OR strpos(t::text, $2) > 0");
        let rows: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(query))
            .bind(needle)
            .bind(&hex)
            .fetch_one(&*app.service.db)
            .await
            .unwrap();
        if rows > 0 {
            found.push(table);
        }
    }
    found
}

async fn keyed(person: &Person, path: &str, body: &serde_json::Value) -> crate::support::Answer {
    send(person.request(Method::POST, path).header("Idempotency-Key", "k").json(body)).await
}

#[tokio::test]
async fn the_tables_tell_neither_of_doors_nor_of_health() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let client = app.client().await;
    let mut home = surry_hills();
    home["access_notes"] = json!("Rattlesnake 4711");
    (home["parking"], home["stairs"], home["pets"]) = (json!("Marmalade bay"), json!("Thirteen"), json!("Basilisk"));
    let first = keyed(&client, "/v1/me/addresses", &home).await.is(201);
    assert_eq!(first.body["access_notes"], "Rattlesnake 4711");
    let remarks = |body: &serde_json::Value| json!([body["parking"], body["stairs"], body["pets"]]);
    assert_eq!(remarks(&first.body), json!(["Marmalade bay", "Thirteen", "Basilisk"]));
    assert_eq!(keyed(&client, "/v1/me/addresses", &home).await.text, first.text);
    let path = first.header("location");
    client.change(&path, json!({ "access_notes": "Periwinkle 0815", "pets": "Wyvern" })).await.is(200);
    // What is not mentioned stays.
    let changed = client.change(&path, json!({ "pets": null })).await.is(200);
    assert_eq!(changed.body["access_notes"], "Periwinkle 0815");
    assert_eq!(remarks(&changed.body), json!(["Marmalade bay", "Thirteen", null]));
    let mut wish = client.wish(&therapist, first.id(), TUESDAY);
    let hold = keyed(&client, "/v1/holds", &wish).await.is(201);
    assert_eq!(hold.body["address"]["access_notes"], "Periwinkle 0815");
    assert_eq!(client.get("/v1/holds").await.is(200).body["data"][0], hold.body);
    wish = json!({ "hold_id": hold.id(), "notes": "Sciatica since May", "focus_areas": ["Coccyx", "Sacrum"] });
    let booked = client.books_with_key("k", &wish).await.is(201);
    assert_eq!(
        (&booked.body["notes"], &booked.body["address"]["access_notes"]),
        (&json!("Sciatica since May"), &json!("Periwinkle 0815"))
    );
    assert_eq!(client.books_with_key("k", &wish).await.text, booked.text, "byte for byte");
    let path = booked.header("location");
    let seen = therapist.get(&path).await.is(200).body;
    assert_eq!(
        (&seen["notes"], &seen["address"]["access_notes"]),
        (&json!("Sciatica since May"), &json!("Periwinkle 0815"))
    );
    for body in [&booked.body, &seen] {
        assert_eq!(remarks(&body["address"]), json!(["Marmalade bay", "Thirteen", null]));
        assert_eq!(body["focus_areas"], json!(["Coccyx", "Sacrum"]));
    }
    let off = json!({ "start_at": "2026-12-20T00:00:00Z", "end_at": "2026-12-21T00:00:00Z", "note": "Hernia" });
    let off = keyed(&therapist, "/v1/therapists/me/time-off", &off).await.is(201).header("location");
    assert_eq!(therapist.get(&off).await.is(200).body["note"], "Hernia");
    assert_eq!(therapist.get("/v1/therapists/me/time-off").await.is(200).body["data"][0]["note"], "Hernia");
    assert_eq!(therapist.change(&off, json!({ "note": "Meniscus" })).await.is(200).body["note"], "Meniscus");
    let called_off = client.post(&format!("{path}/cancel"), json!({ "reason": "Shingles" })).await.is(200);
    assert_eq!(called_off.body["cancellation"]["reason"], "Shingles");
    for party in [&client, &therapist] {
        assert_eq!(party.get(&path).await.is(200).body["cancellation"]["reason"], "Shingles");
        let events = party.get(&format!("{path}/events")).await.is(200).body;
        assert_eq!(events["data"][1]["reason"], "Shingles");
    }
    assert!(!tables_with(&app, "Crown Street").await.is_empty(), "the search finds what is plain");
    for secret in [
        "Rattlesnake",
        "Periwinkle",
        "Sciatica",
        "Marmalade",
        "Thirteen",
        "Basilisk",
        "Wyvern",
        "Coccyx",
        "Sacrum",
        "Hernia",
        "Meniscus",
        "Shingles",
    ] {
        assert_eq!(tables_with(&app, secret).await, Vec::<String>::new(), "{secret}");
    }
    client.change(&first.header("location"), json!({ "access_notes": null })).await.is(200);
    assert!(client.get(&first.header("location")).await.body["access_notes"].is_null());
    assert_eq!(client.get(&path).await.body["address"]["access_notes"], "Periwinkle 0815", "the visit keeps its own");
}

#[tokio::test]
async fn rows_that_are_swapped_show_nothing() {
    let app = App::start().await;
    let client = app.client().await;
    let (one, other) = (client.address(surry_hills()).await, client.address(surry_hills()).await);
    app.sql(&format!(
        "UPDATE addresses SET access_notes_sealed = (SELECT access_notes_sealed FROM addresses WHERE id = '{one}') WHERE id = '{other}'"
    ))
    .await
    .unwrap();
    client.get(&format!("/v1/me/addresses/{one}")).await.is(200);
    let answer = client.get(&format!("/v1/me/addresses/{other}")).await.refused(500, "internal");
    assert!(!answer.text.contains("Ring"), "{}", answer.text);
}

#[tokio::test]
async fn slots_and_search_need_no_key() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    app.sql("UPDATE addresses SET access_notes_sealed = 'broken'").await.unwrap();
    let path = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&address_id={address}"
    );
    assert_eq!(client.get(&path).await.is(200).body["data"][0]["therapist"]["id"], therapist.id.to_string());
}
