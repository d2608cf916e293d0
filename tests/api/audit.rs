//! The audit: complete, append-only, and telling where it was tampered with.

use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::{join_all, try_join_all};
use knead::audit::sequencer::chain;
use knead::auth::generate_signing_key;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::commands::{Running, knead, output};
use crate::support::{App, Person, id_at, url_of};

/// Runs `statement` as someone who owns the database and has turned its guards off.
async fn tamper(app: &App, statement: &str) {
    let each = |what: &str| {
        let tables = ["events", "audit_links", "audit_heads", "audit_pending"];
        tables.map(|table| format!("ALTER TABLE {table} {what} TRIGGER USER;")).concat()
    };
    app.sql(&format!("{} {statement}; {}", each("DISABLE"), each("ENABLE"))).await.unwrap();
}

/// An admin of whose account the audit says nothing, so that a test counts its own entries alone.
async fn unrecorded_admin(app: &App) -> Person {
    let admin = app.admin().await;
    tamper(app, "DELETE FROM events; DELETE FROM audit_pending; ALTER TABLE events ALTER COLUMN position RESTART")
        .await;
    admin
}

async fn verified(admin: &Person) -> Value {
    admin.get("/v1/admin/audit/verify").await.is(200).body
}

/// A statement that adds `count` entries.
fn adding(count: u32) -> String {
    let at = "2026-12-07T01:00:00.123456Z";
    format!(
        "INSERT INTO events (id, therapist_id, at, kind, subject_type, subject_id, number, details)
         SELECT {}, '{}', '{at}', 'test.entry', 'test', n, 1, '{{\"n\": 1,  \"ü\":[]}}'
         FROM generate_series(1, {count}) n",
        id_at(&format!("'{at}'")),
        Uuid::nil()
    )
}

/// Adds `count` entries and chains them.
async fn entries(app: &App, count: u32) {
    app.sql(&adding(count)).await.unwrap();
    app.chain_audit().await;
}

/// Fails unless each entry has one link, and the links are numbered without a gap.
async fn assert_whole(app: &App, entries: i64) {
    assert_eq!(app.rows("events").await, entries);
    assert_eq!(app.rows("audit_links JOIN events USING (position)").await, entries);
    assert_eq!(app.count("SELECT coalesce(max(link) - min(link) + 1, 0) FROM audit_links").await, entries);
    assert_eq!(app.rows("audit_pending").await, 0);
}

/// Runs `knead audit ...` with the keys that `keys` names.
fn command(app: &App, keys: &str, arguments: &[&str]) -> (bool, String, String) {
    let mut command = knead();
    command.arg("audit").args(arguments).env("DATABASE_URL", url_of(&app.database)).env("KNEAD_AUDIT_KEY", keys);
    output(&mut command)
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
    assert_eq!(
        cancelled["details"],
        json!({
            "party": "client", "from": "confirmed", "to": "cancelled", "start_at": "2026-12-09T00:00:00Z",
            "time_zone": "Australia/Sydney",
        })
    );
    assert!(!page.to_string().contains("secret"), "what people write is not copied");
    let hashes = |page: &Value| page["data"].as_array().unwrap().iter().filter(|e| e["hash"].is_string()).count();
    assert_eq!((hashes(&page), page["data"].as_array().unwrap().len()), (0, 3), "shown at once, and not chained yet");
    app.chain_audit().await;
    assert_eq!(hashes(&admin.get(&about).await.is(200).body), 3);

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

/// The positions that a list of the audit shows, page by page.
async fn listed(admin: &Person, query: &str) -> Vec<i64> {
    let path = format!("/v1/admin/audit?{query}&limit=7");
    let (mut seen, mut next) = (Vec::new(), path.clone());
    loop {
        let page = admin.get(&next).await.is(200).body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|entry| entry["position"].as_i64().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else { return seen };
        next = format!("{path}&cursor={cursor}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_is_listed_over_many_months_whatever_is_asked() {
    let app = App::start().await;
    let admin = unrecorded_admin(&app).await;
    let someone = "0198c0de-0000-7000-8000-000000000000";
    // Two every third day for more than a year, of three kinds. Each tenth of these was written after one that is a minute younger.
    let at = "(timestamptz '2025-11-01T00:00:00Z' + n / 2 * interval '3 days' - (CASE WHEN n % 20 = 1 THEN 1 ELSE 0 END) * interval '1 minute')";
    let add = format!(
        "INSERT INTO events (id, therapist_id, at, kind, subject_type, subject_id, number, details)
         SELECT {}, CASE WHEN n % 4 = 0 THEN '{someone}'::uuid END, {at}, (ARRAY['test.often', 'test.often', 'test.rarely'])[1 + n % 3],
                CASE WHEN n % 5 = 0 THEN 'rare' ELSE 'test' END, n, 1, '{{}}' FROM generate_series(0, 259) n ORDER BY n",
        id_at(at)
    );
    app.sql(&format!("SELECT make_months('events', '2025-11-01', 14); {add}")).await.unwrap();
    let (about, by) = (format!("therapist_id={someone}"), format!("actor_id={someone}"));
    for (query, which) in [
        ("", "events"),
        ("action=test.rarely", "events WHERE kind = 'test.rarely'"),
        ("action=test.never", "events WHERE false"),
        ("subject_type=rare", "events WHERE subject_type = 'rare'"),
        ("subject_type=rare&action=test.rarely", "events WHERE subject_type = 'rare' AND kind = 'test.rarely'"),
        ("subject_id=100", "events WHERE subject_id = '100'"),
        ("subject_id=100&subject_type=test", "events WHERE false"),
        (&about, "events WHERE therapist_id IS NOT NULL"),
        (&by, "events WHERE false"),
        ("from=2026-02-10T00:00:00Z&to=2026-02-19T00:00:00Z", "events WHERE at >= '2026-02-10' AND at < '2026-02-19'"),
        ("to=2025-12-01T00:00:00Z", "events WHERE at < '2025-12-01'"),
        ("from=2026-11-01T00:00:00Z&to=2100-12-31T00:00:00Z", "events WHERE at >= '2026-11-01'"),
        ("from=2027-01-01T00:00:00Z", "events WHERE false"),
    ] {
        let seen = listed(&admin, query).await;
        assert_eq!(i64::try_from(seen.len()).unwrap(), app.rows(which).await, "{query}");
        assert!(seen.is_sorted_by(|a, b| a > b), "{query}: {seen:?}");
    }
    // A cursor of another list, or of none.
    admin.get("/v1/admin/audit?cursor=MTI").await.is(422).points_to(&["/cursor"]);
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
    entries(&app, 2).await;
    for statement in [
        "UPDATE events SET kind = 'test.other'",
        "DELETE FROM events",
        "TRUNCATE events",
        "UPDATE audit_links SET link = 9",
        "DELETE FROM audit_links",
        "TRUNCATE audit_links",
        "UPDATE audit_heads SET size = 9",
        "DELETE FROM audit_heads",
        "TRUNCATE audit_heads",
        "TRUNCATE credential_verifications CASCADE",
    ] {
        let refused = app.sql(statement).await.expect_err(statement);
        assert!(refused.to_string().contains("append-only"), "{statement}: {refused}");
    }
    assert_whole(&app, 2).await;
    app.sql(&adding(1)).await.unwrap();
    for statement in ["UPDATE events SET kind = 'test.other'", "DELETE FROM events"] {
        app.sql(statement).await.expect_err("what waits is held by the triggers too");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_writers_and_four_sequencers_at_once_make_one_whole_chain() {
    let app = App::start().await;
    let admin = unrecorded_admin(&app).await;
    let (database, keys, now) = (url_of(&app.database), app.audit_keys(), app.now());
    let writer = async |_| {
        let mut connection = PgConnection::connect(&database).await?;
        for _ in 0..4 {
            sqlx::raw_sql(sqlx::AssertSqlSafe(adding(1))).execute(&mut connection).await?;
        }
        connection.close().await
    };
    let (done, chained) = (AtomicBool::new(false), AtomicU32::new(0));
    let writers = async {
        try_join_all((0..50).map(writer)).await?;
        // Somebody goes on writing until the sequencers have had their turns: on a busy machine they come late.
        let mut written = 200;
        while chained.load(Ordering::Relaxed) < 2 {
            app.sql(&adding(1)).await?;
            written += 1;
        }
        done.store(true, Ordering::Relaxed);
        Ok::<_, sqlx::Error>(written)
    };
    let sequencer = async |_| {
        while !done.load(Ordering::Relaxed) {
            let has_chained = chain(&app.service.db, keys, now).await.unwrap();
            chained.fetch_add(u32::from(has_chained), Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let (written, _) = tokio::join!(writers, join_all((0..4).map(sequencer)));
    let written = written.unwrap();
    app.chain_audit().await;
    assert_whole(&app, written).await;
    let found = verified(&admin).await;
    assert_eq!((&found["intact"], &found["entries"]), (&json!(true), &json!(written)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sequencer_works_at_a_time() {
    let app = App::start().await;
    app.sql(&adding(3)).await.unwrap();
    let mut other = app.service.db.begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock(x'6b6e65616400'::bigint)").execute(&mut *other).await.unwrap();
    let go = || chain(&app.service.db, app.audit_keys(), app.now());
    assert!(!go().await.unwrap(), "another one is at it");
    assert_eq!(app.rows("audit_links").await, 0);
    other.rollback().await.unwrap();
    app.chain_audit().await;
    assert_whole(&app, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_commits_late_is_chained_late() {
    let app = App::start().await;
    let admin = unrecorded_admin(&app).await;
    let mut late = app.service.db.begin().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(adding(1))).execute(&mut *late).await.unwrap();
    let mut never = app.service.db.begin().await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(adding(1))).execute(&mut *never).await.unwrap();
    entries(&app, 2).await;
    never.rollback().await.unwrap();
    late.commit().await.unwrap();
    app.chain_audit().await;
    let order: Vec<i64> =
        sqlx::query_scalar("SELECT position FROM audit_links ORDER BY link").fetch_all(&*app.service.db).await.unwrap();
    assert_eq!(order, [3, 4, 1], "the order is the sequencer's own");
    assert_eq!(verified(&admin).await["intact"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sequencer_that_is_killed_loses_nothing_and_repeats_nothing() {
    let app = App::start().await;
    let admin = unrecorded_admin(&app).await;
    let worker = || {
        let (ok, lines, _) = output(knead().args(["config", "init"]));
        assert!(ok);
        let mut worker = knead();
        worker.arg("worker").envs(lines.lines().map(|line| line.split_once('=').unwrap()));
        worker
            .env("DATABASE_URL", url_of(&app.database))
            .env("KNEAD_AUDIT_KEY", app.audit_key())
            .env("RUST_LOG", "off");
        Running(worker.stderr(Stdio::null()).spawn().unwrap())
    };
    let mut written: i64 = 0;
    for _ in 0..3 {
        let running = worker();
        let before = app.rows("audit_links").await;
        // Killed in the midst: as soon as something more is chained, while more is being written.
        for round in 0.. {
            app.sql(&adding(500)).await.unwrap();
            written += 500;
            tokio::time::sleep(Duration::from_millis(40)).await;
            if app.rows("audit_links").await > before {
                break;
            }
            assert!(round < 500, "a worker chains");
        }
        running.signal("-KILL");
        drop(running);
        app.sql(&adding(3)).await.unwrap();
        written += 3;
    }
    let _running = worker();
    for round in 0.. {
        if app.rows("audit_pending").await == 0 {
            break;
        }
        assert!(round < 500, "the next one takes over");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    assert_whole(&app, written).await;
    let found = verified(&admin).await;
    assert_eq!(found["first_broken"], Value::Null);
}

struct Damage {
    statement: String,
    link: Value,
    position: Value,
    damage: &'static str,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampering_is_named_by_its_place() {
    // Entries of one link each, and the ninth and the tenth head.
    let cut = "DELETE FROM events WHERE position = 10; DELETE FROM audit_links WHERE link = 10";
    let forge = "INSERT INTO audit_heads SELECT size + 1, at, hash, key_id, signature FROM audit_heads WHERE size = 9";
    let altered = "UPDATE events SET subject_id = 'someone' WHERE position = 10";
    let made_anew = "UPDATE audit_links SET hash = sha256(
        (SELECT hash FROM audit_links WHERE link = 9)
        || convert_to((SELECT concat_ws(E'\\n', 10, id, position, therapist_id, '', (extract(epoch FROM at) * 1000000)::bigint, coalesce(actor_id::text, ''),
                                        '', kind, subject_type, subject_id, number, '', '', details) FROM events WHERE position = 10), 'UTF8'))
        WHERE link = 10";
    let insert = "INSERT INTO events (id, therapist_id, at, kind, subject_type, subject_id, number, details)
                  VALUES (gen_random_uuid(), gen_random_uuid(), '2026-11-30T00:58:00Z', 'test.entry', 'test', 'x', 1, '{}')";
    let damages = [
        Damage {
            statement: "UPDATE events SET subject_id = 'someone' WHERE position = 7".into(),
            link: json!(7),
            position: json!(7),
            damage: "altered",
        },
        Damage {
            statement: "UPDATE events SET at = at + interval '1 microsecond' WHERE position = 7".into(),
            link: json!(7),
            position: json!(7),
            damage: "altered",
        },
        Damage {
            statement: "UPDATE events SET details = '{\"n\": 2,  \"ü\":[]}' WHERE position = 7".into(),
            link: json!(7),
            position: json!(7),
            damage: "altered",
        },
        Damage {
            statement: "UPDATE events SET actor_id = gen_random_uuid() WHERE position = 7".into(),
            link: json!(7),
            position: json!(7),
            damage: "altered",
        },
        Damage {
            statement: "DELETE FROM events WHERE position = 7".into(),
            link: json!(7),
            position: json!(7),
            damage: "missing",
        },
        Damage {
            statement: "DELETE FROM events WHERE position = 7; DELETE FROM audit_links WHERE link = 7".into(),
            link: json!(8),
            position: json!(8),
            damage: "broken_before",
        },
        Damage {
            statement: "DELETE FROM events WHERE position >= 9; DELETE FROM audit_links WHERE link >= 9".into(),
            link: json!(9),
            position: Value::Null,
            damage: "end_missing",
        },
        Damage { statement: cut.into(), link: json!(10), position: Value::Null, damage: "end_missing" },
        Damage {
            statement: format!(
                "{cut}; UPDATE audit_heads SET size = 11 WHERE size = 10; DELETE FROM audit_heads WHERE size = 9; UPDATE audit_heads SET size = 9 WHERE size = 11"
            ),
            link: json!(9),
            position: json!(9),
            damage: "forged",
        },
        Damage {
            statement: format!("{cut}; DELETE FROM audit_heads WHERE size = 10; {forge}"),
            link: json!(10),
            position: Value::Null,
            damage: "forged",
        },
        Damage {
            statement: format!("{altered}; {made_anew}"),
            link: json!(10),
            position: json!(10),
            damage: "rewritten",
        },
        Damage {
            statement: format!(
                "{altered}; {made_anew}; UPDATE audit_heads SET hash = (SELECT hash FROM audit_links WHERE link = 10) WHERE size = 10"
            ),
            link: json!(10),
            position: json!(10),
            damage: "forged",
        },
        Damage {
            statement: "DELETE FROM audit_heads WHERE size = 10".into(),
            link: json!(10),
            position: json!(10),
            damage: "beyond_end",
        },
        Damage {
            statement: "UPDATE audit_heads SET signature = 'AAAA' WHERE size = 4".into(),
            link: json!(4),
            position: json!(4),
            damage: "forged",
        },
        Damage { statement: insert.into(), link: Value::Null, position: json!(11), damage: "unchained" },
    ];
    for Damage { statement, link, position, damage } in damages {
        let app = App::start().await;
        let admin = unrecorded_admin(&app).await;
        for _ in 0..10 {
            entries(&app, 1).await;
        }
        assert_eq!(verified(&admin).await["intact"], true);
        tamper(&app, &statement).await;
        let found = verified(&admin).await;
        assert_eq!(found["intact"], false, "{statement}");
        let first = json!({ "link": link, "position": position, "damage": damage });
        assert_eq!(found["first_broken"], first, "{statement}");

        // Nothing is signed on top of it as if nothing were wrong.
        app.sql(&adding(1)).await.unwrap();
        drop(chain(&app.service.db, app.audit_keys(), app.now()).await);
        assert_eq!(verified(&admin).await["intact"], false, "{statement}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_signed_on_top_of_an_end_that_was_cut() {
    for statement in [
        "DELETE FROM events WHERE position = 3; DELETE FROM audit_links WHERE link = 3",
        "DELETE FROM audit_heads WHERE size = 3",
        "DELETE FROM audit_heads",
        "UPDATE audit_heads SET hash = (SELECT hash FROM audit_links WHERE link = 2) WHERE size = 3",
        "UPDATE audit_heads SET key_id = 'other' WHERE size = 3",
        "UPDATE audit_links SET hash = sha256('x') WHERE link = 3",
    ] {
        let app = App::start().await;
        for _ in 0..3 {
            entries(&app, 1).await;
        }
        tamper(&app, statement).await;
        let links = app.rows("audit_links").await;
        app.sql(&adding(1)).await.unwrap();
        chain(&app.service.db, app.audit_keys(), app.now()).await.expect_err(statement);
        assert_eq!(app.rows("audit_links").await, links, "{statement}");
        assert_eq!(app.rows("audit_pending").await, 1, "it waits");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_that_nobody_chains_shows_after_a_minute() {
    let app = App::start().await;
    let admin = unrecorded_admin(&app).await;
    let (client, address) = app.client_at_home().await;
    let therapist = app.therapist().await;
    client.books(&therapist, address, "2026-12-09T00:00:00Z").await.is(201);
    let waiting = app.rows("audit_pending").await;
    assert!(waiting > 0);
    app.advance(TimeDelta::seconds(60));
    assert_eq!(verified(&admin).await["intact"], true);
    app.advance(TimeDelta::seconds(1));
    let found = verified(&admin).await;
    assert_eq!((&found["broken"], &found["first_broken"]["damage"]), (&json!(waiting), &json!("unchained")));
    app.chain_audit().await;
    assert_eq!(verified(&admin).await["intact"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_was_kept_elsewhere_tells_of_an_end_that_was_cut_with_its_heads() {
    let app = App::start().await;
    let admin = unrecorded_admin(&app).await;
    let (ok, _, error) = command(&app, app.audit_key(), &["head"]);
    assert!(!ok && error.contains("nothing was signed"), "{error}");
    entries(&app, 5).await;
    let (ok, early, told) = command(&app, app.audit_key(), &["head"]);
    assert!(ok, "{told}");
    let public = told.trim().rsplit(' ').next().unwrap().to_owned();
    entries(&app, 5).await;
    let (_, late, _) = command(&app, app.audit_key(), &["head"]);
    let (early, late) = (early.trim(), late.trim());
    let found = verified(&admin).await;
    assert_eq!((&found["head"], &found["public_key"]), (&json!(late), &json!(public)));
    assert_eq!(late.split(' ').count(), 6);

    let file = app.files.path().join("heads");
    std::fs::write(&file, format!("{early}\n{late}\n")).unwrap();
    let file = file.to_str().unwrap();
    for kept in [early, late, file] {
        let (ok, said, error) = command(&app, &public, &["verify", "--head", kept]);
        assert!(ok && said.contains("10 entries"), "a public key is enough: {error}");
    }
    for (kept, why) in [("/nowhere", "No such file"), (&early[..60], "No such file")] {
        let (ok, _, error) = command(&app, &public, &["verify", "--head", kept]);
        assert!(!ok && error.contains(why), "{error}");
    }

    // As if nothing had ever been there.
    tamper(&app, "DELETE FROM events WHERE position > 5; DELETE FROM audit_links WHERE link > 5; DELETE FROM audit_heads WHERE size > 5").await;
    assert_eq!(verified(&admin).await["intact"], true, "what is left was signed so");
    assert!(command(&app, &public, &["verify", "--head", early]).0);
    for kept in [late, file] {
        let (ok, _, error) = command(&app, &public, &["verify", "--head", kept]);
        assert!(!ok && error.contains("link 10: EndMissing"), "{error}");
    }
    // Nor does it help to fill it up again.
    entries(&app, 5).await;
    assert_eq!(verified(&admin).await["intact"], true);
    let (ok, _, error) = command(&app, &public, &["verify", "--head", late]);
    assert!(!ok && error.contains("position 15: Rewritten"), "{error}");
    let (ok, _, error) = command(&app, &public, &["verify", "--head", &late.replace(" 10 ", " 5 ")]);
    assert!(!ok && error.contains("Forged"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated() {
    let app = App::start().await;
    let admin = unrecorded_admin(&app).await;
    entries(&app, 3).await;
    let (_, public) = app.audit_keys().public().unwrap();
    let fresh = generate_signing_key().unwrap();
    app.sql(&adding(1)).await.unwrap();

    let forgetful = app.signing_audit_by(fresh.clone());
    chain(&forgetful.service.db, forgetful.audit_keys(), app.now()).await.expect_err("the old key is not known");
    let found = verified(&admin.at(&forgetful)).await;
    assert_eq!(found["first_broken"]["damage"], "forged");

    let keys = format!("{fresh},{public}");
    let rotated = app.signing_audit_by(keys.clone());
    rotated.chain_audit().await;
    assert_eq!(app.count("SELECT count(DISTINCT key_id) FROM audit_heads").await, 2);
    assert_eq!(verified(&admin.at(&rotated)).await["intact"], true);
    assert!(command(&app, &keys, &["verify"]).0);
    let (ok, _, error) = command(&app, &fresh, &["verify"]);
    assert!(!ok && error.contains("Forged"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_are_thinned_to_one_a_day() {
    let app = App::start().await;
    for _ in 0..5 {
        for _ in 0..3 {
            entries(&app, 1).await;
            app.advance(TimeDelta::hours(2));
        }
        app.advance(TimeDelta::hours(18));
    }
    // Begun at 1:00 on 30 November by UTC; it is 1:00 on 5 December.
    knead::audit::thin_heads(&app.service.db, app.now()).await.unwrap();
    let left: Vec<i64> =
        sqlx::query_scalar("SELECT size FROM audit_heads ORDER BY size").fetch_all(&*app.service.db).await.unwrap();
    assert_eq!(left, [3, 6, 9, 12, 13, 14, 15]);
    assert_eq!(verified(&app.admin().await).await["intact"], true);
    let refused = app.sql("DELETE FROM audit_heads WHERE size = 3").await.unwrap_err();
    assert!(refused.to_string().contains("append-only"), "{refused}");
    app.sql("DELETE FROM audit_heads WHERE size BETWEEN 13 AND 15").await.expect_err("nor a whole day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_audit_is_verified_in_parts_and_by_the_command() {
    let app = App::start().await;
    let admin = unrecorded_admin(&app).await;
    entries(&app, 23_500).await;
    let first = verified(&admin).await;
    let cursor = first["next_cursor"].as_str().expect("a second part");
    let second = admin.get(&format!("/v1/admin/audit/verify?cursor={cursor}")).await.is(200).body;
    assert_eq!(first["entries"].as_i64().unwrap() + second["entries"].as_i64().unwrap(), 23_500);
    assert_eq!((&second["intact"], &second["next_cursor"]), (&json!(true), &Value::Null));

    let (ok, said, _) = command(&app, app.audit_key(), &["verify"]);
    assert!(ok && said.contains("23500 entries"), "{said}");
    tamper(&app, "UPDATE events SET kind = 'test.other' WHERE position IN (23000, 22900)").await;
    let (ok, _, error) = command(&app, app.audit_key(), &["verify"]);
    assert!(!ok && error.contains("position 22900: Altered"), "{error}");
    let second = admin.get(&format!("/v1/admin/audit/verify?cursor={cursor}")).await.is(200).body;
    assert_eq!((&second["first_broken"]["position"], &second["broken"]), (&json!(22_900), &json!(2)));
}
