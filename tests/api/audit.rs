//! The audit: complete, append-only, and telling where it was tampered with.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::commands::{knead, output};
use crate::support::{App, Person, url_of};

/// Runs `statement` as someone who owns the database and has turned its guards off.
async fn tamper(app: &App, statement: &str) {
    let unguarded = |table| format!("ALTER TABLE {table} DISABLE TRIGGER USER;");
    let guarded = |table| format!("ALTER TABLE {table} ENABLE TRIGGER USER;");
    let [events, chains] = ["audit_events", "audit_chains"];
    let all = [&unguarded(events), &unguarded(chains), statement, ";", &guarded(events), &guarded(chains)];
    app.sql(&all.map(String::from).concat()).await.unwrap();
}

async fn verified(admin: &Person) -> Value {
    admin.get("/v1/admin/audit/verify").await.is(200).body
}

/// Adds `count` entries to a chain, a few at a time: the chain's end is a row that each of them writes anew.
async fn entries(app: &App, chain: Uuid, count: u32) {
    for first in (1..=count).step_by(500) {
        let last = count.min(first + 499);
        app.sql(&format!(
            "INSERT INTO audit_events (chain, at, action, subject_type, subject_id, details)
             SELECT '{chain}', '2026-12-07T01:00:00.123456Z', 'test.entry', 'test', n, '{{\"n\": 1,  \"ü\":[]}}'
             FROM generate_series({first}, {last}) n"
        ))
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_of_a_visit_is_in_the_audit() {
    let app = App::start().await;
    let (client, address) = app.client_at_home().await;
    let therapist = app.therapist().await;
    let admin = app.admin().await;
    let booking = client.books(&therapist, address, "2026-12-09T00:00:00Z").await.is(201).id();
    therapist.get(&format!("/v1/bookings/{booking}")).await.is(200);
    client.post(&format!("/v1/bookings/{booking}/cancel"), json!({ "reason": "A secret of mine." })).await.is(200);

    let about = format!("/v1/admin/audit?subject_type=booking&subject_id={booking}");
    let page = admin.get(&about).await.is(200).body;
    let actions: Vec<&str> = page["data"].as_array().unwrap().iter().map(|e| e["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["booking.cancel", "booking.address_disclosed", "booking.create"], "newest first");
    let cancelled = &page["data"][0];
    assert_eq!(cancelled["actor_id"], json!(client.id));
    assert_eq!(cancelled["therapist_id"], json!(therapist.id));
    assert_eq!(cancelled["details"], json!({ "party": "client", "from": "confirmed", "to": "cancelled" }));
    assert!(!page.to_string().contains("secret"), "what people write is not copied");

    let mut seen = Vec::new();
    let mut next = format!("{about}&limit=2");
    loop {
        let page = admin.get(&next).await.is(200).body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|e| e["position"].as_i64().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{about}&limit=2&cursor={cursor}");
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.is_sorted_by(|a, b| a > b));

    let instant = |at: DateTime<Utc>| at.format("%FT%T%.6fZ").to_string();
    for (query, count) in [
        (format!("actor_id={}", client.id), 2),
        (format!("therapist_id={}&action=booking.cancel", therapist.id), 1),
        (format!("therapist_id={}&from={}", therapist.id, instant(app.now() + TimeDelta::microseconds(1))), 0),
        (format!("therapist_id={}&to={}", therapist.id, instant(app.now())), 0),
    ] {
        let page = admin.get(&format!("/v1/admin/audit?{query}")).await.is(200).body;
        assert_eq!(page["data"].as_array().unwrap().len(), count, "{query}");
    }
    assert_eq!(verified(&admin).await["intact"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn admins_alone_read_the_audit_and_nonsense_is_pointed_to() {
    let app = App::start().await;
    let (client, therapist, admin) = (app.client().await, app.newcomer().await, app.admin().await);
    for path in ["/v1/admin/audit", "/v1/admin/audit/verify"] {
        app.nobody().get(path).await.is(401);
        client.get(path).await.is(403);
        therapist.get(path).await.is(403);
    }
    for (query, pointer) in [
        ("limit=0", "/limit"),
        ("cursor=zzz", "/cursor"),
        ("actor_id=me", "/actor_id"),
        ("from=yesterday", "/from"),
        ("subject_id=%00", "/subject_id"),
    ] {
        admin.get(&format!("/v1/admin/audit?{query}")).await.is(422).points_to(&[pointer]);
    }
    admin.get("/v1/admin/audit/verify?cursor=Zm9v").await.is(422).points_to(&["/cursor"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_refuses_every_change() {
    let app = App::start().await;
    entries(&app, Uuid::nil(), 2).await;
    for statement in [
        "UPDATE audit_events SET action = 'test.other'",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "UPDATE audit_chains SET link = 1",
        "DELETE FROM audit_chains",
        "TRUNCATE audit_chains",
        "TRUNCATE credential_decisions CASCADE",
        "TRUNCATE credential_verifications CASCADE",
        "TRUNCATE booking_events",
    ] {
        let refused = app.sql(statement).await.expect_err(statement);
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
    assert_eq!(app.count("SELECT count(*) FROM audit_events").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_who_write_at_once_make_whole_chains() {
    let app = App::start().await;
    let admin = app.admin().await;
    let chains: Vec<Uuid> = (0..3).map(|_| Uuid::now_v7()).collect();
    join_all((0..50).map(|i| entries(&app, chains[i % 3], 4))).await;
    let found = verified(&admin).await;
    assert_eq!((&found["intact"], &found["entries"]), (&json!(true), &json!(200)));
    let whole = "SELECT count(*) FROM (SELECT chain FROM audit_events GROUP BY chain HAVING count(*) = max(link) AND min(link) = 1) whole";
    assert_eq!(app.count(whole).await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampering_is_named_by_its_position() {
    let damages: [(&str, i64, &str); 7] = [
        ("UPDATE audit_events SET subject_id = 'someone' WHERE position = 7", 7, "altered"),
        ("UPDATE audit_events SET at = at + interval '1 microsecond' WHERE position = 7", 7, "altered"),
        ("UPDATE audit_events SET details = '{\"n\": 2,  \"ü\":[]}' WHERE position = 7", 7, "altered"),
        ("UPDATE audit_events SET actor_id = gen_random_uuid() WHERE position = 7", 7, "altered"),
        ("DELETE FROM audit_events WHERE position = 7", 8, "broken_before"),
        ("DELETE FROM audit_events WHERE position >= 9", 10, "end_missing"),
        (
            "DELETE FROM audit_events WHERE position = 10; UPDATE audit_chains SET link = 9, position = 9",
            9,
            "beyond_end",
        ),
    ];
    for (statement, position, damage) in damages {
        let app = App::start().await;
        let admin = app.admin().await;
        entries(&app, Uuid::nil(), 10).await;
        assert_eq!(verified(&admin).await["intact"], true);
        tamper(&app, statement).await;
        let found = verified(&admin).await;
        assert_eq!(found["intact"], false, "{statement}");
        assert_eq!(found["first_broken"], json!({ "position": position, "damage": damage }), "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_audit_is_verified_in_parts_and_by_the_command() {
    let app = App::start().await;
    let admin = app.admin().await;
    entries(&app, Uuid::nil(), 20_500).await;
    entries(&app, Uuid::now_v7(), 3_000).await;
    let first = verified(&admin).await;
    let cursor = first["next_cursor"].as_str().expect("a second part");
    let second = admin.get(&format!("/v1/admin/audit/verify?cursor={cursor}")).await.is(200).body;
    assert_eq!(first["entries"].as_i64().unwrap() + second["entries"].as_i64().unwrap(), 23_500);
    assert_eq!((&second["intact"], &second["next_cursor"]), (&json!(true), &Value::Null));

    let command = || output(knead().args(["audit", "verify"]).env("DATABASE_URL", url_of(&app.database)));
    let (ok, said, _) = command();
    assert!(ok && said.contains("23500 entries"), "{said}");
    tamper(&app, "UPDATE audit_events SET action = 'test.other' WHERE position IN (23000, 22900)").await;
    let (ok, _, error) = command();
    assert!(!ok && error.contains("position 22900"), "{error}");
    let second = admin.get(&format!("/v1/admin/audit/verify?cursor={cursor}")).await.is(200).body;
    assert_eq!((&second["first_broken"]["position"], &second["broken"]), (&json!(22_900), &json!(2)));
}
