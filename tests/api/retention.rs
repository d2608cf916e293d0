//! Everything that grows ends, and docs/retention.md says when.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::json;
use sqlx::PgConnection;
use tokio::task::JoinSet;

use crate::support::{App, id_at, send, surry_hills};

#[tokio::test]
async fn every_table_says_how_its_rows_end() {
    let app = App::start().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition",
    )
    .fetch_all(&*app.service.db)
    .await
    .unwrap();
    let page = include_str!("../../docs/retention.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let mut told = BTreeSet::new();
    for (table, how) in rows {
        assert!(told.insert(table.to_owned()), "{table} is there twice");
        assert!(how.len() > 10, "{table}");
    }
    assert_eq!(told, tables.into_iter().collect());
}

#[tokio::test]
async fn history_has_its_months_made_ahead() {
    let app = App::start().await;
    let months = || app.rows("pg_inherits WHERE inhparent = 'notices'::regclass");
    let all = || app.rows("pg_inherits JOIN pg_partitioned_table ON inhparent = partrelid");
    assert_eq!(all().await, 4 * months().await, "notices, events, reliances and disclosures have the same");
    let before = months().await;
    app.advance(TimeDelta::days(400));
    sweep(&app).await;
    assert_eq!(months().await, before + 4);
    sweep(&app).await;
    assert_eq!(months().await, before + 4, "those that are there stay");
    let notice = |at: &str| {
        format!(
            "INSERT INTO notices (id, account_id, kind, subject_type, subject_id, created_at)
             SELECT {}, id, 'a', 'b', id, '{at}' FROM accounts LIMIT 1",
            id_at(&format!("'{at}'"))
        )
    };
    app.client().await;
    app.sql(&notice("2028-02-01")).await.unwrap();
    app.sql(&notice("2040-02-01")).await.unwrap();
    let counts =
        ["notices WHERE tableoid = 'notices_2028_02'::regclass", "notices WHERE tableoid = 'notices_other'::regclass"];
    for count in counts {
        assert_eq!(app.rows(count).await, 1, "{count}");
    }
    // What the default has is left to it.
    app.sql("SELECT make_months('notices', '2040-01-15', 2)").await.unwrap();
    assert_eq!(months().await, before + 6);
}

#[tokio::test]
async fn whoever_writes_is_not_kept_waiting_for_new_months() {
    let app = App::start().await;
    let mut writer = app.service.db.begin().await.unwrap();
    sqlx::query("LOCK TABLE reliances IN ROW EXCLUSIVE MODE").execute(&mut *writer).await.unwrap();
    let begun = Instant::now();
    let error = app.sql("SELECT make_months('reliances', '2030-01-01', 0)").await.unwrap_err();
    assert!(error.to_string().contains("lock timeout") && begun.elapsed() < Duration::from_secs(1), "{error}");
    writer.commit().await.unwrap();
    app.sql("SELECT make_months('reliances', '2030-01-01', 0)").await.unwrap();
}

#[tokio::test]
async fn one_month_is_read_for_one_row() {
    let app = App::start().await;
    app.sql("SELECT make_months('events', '2026-01-01', 11)").await.unwrap();
    let mut db = app.service.db.acquire().await.unwrap();
    let setup = "SET plan_cache_mode = force_generic_plan;
                 PREPARE one (uuid) AS SELECT FROM events WHERE id = $1;
                 PREPARE last (text) AS SELECT number FROM events
                     WHERE subject_type = 'booking' AND subject_id = $1 AND id >= history_of($1) ORDER BY position DESC LIMIT 1";
    sqlx::raw_sql(setup).execute(&mut *db).await.unwrap();
    let explained = async |db: &mut PgConnection, execute: String| -> String {
        let plan: Vec<String> =
            sqlx::query_scalar(sqlx::AssertSqlSafe(format!("EXPLAIN EXECUTE {execute}"))).fetch_all(db).await.unwrap();
        plan.join("\n")
    };
    let one = explained(&mut db, "one (least_id('2026-05-15'))".into()).await;
    assert!(one.contains("on events_2026_05") && one.matches(" on events_").count() == 1, "{one}");
    let last = explained(&mut db, format!("last ({}::text)", id_at("'2026-11-15'"))).await;
    assert!(
        last.contains("on events_2026_11") && !last.contains("on events_2026_0"),
        "what came before its subject is not read: {last}"
    );
    let of_a_code = explained(&mut db, "last ('AU-NSW')".into()).await;
    assert!(of_a_code.contains("on events_2026_01"), "no one knows when it was made: {of_a_code}");
}

pub async fn sweep(app: &App) {
    app.sql("SELECT graphile_worker.add_job('sweep', 'null'::json)").await.unwrap();
    // The sweep asks for the sweeps, which are jobs of their own.
    app.run_jobs().await;
    app.run_jobs().await;
}

#[tokio::test]
async fn what_is_long_over_is_swept_away_and_what_is_not_stays() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let visit = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201);
    client
        .post(&format!("{}/counter-offers", visit.header("location")), json!({ "start_at": "2026-12-01T03:00:00Z" }))
        .await
        .is(201);
    let off = json!({ "start_at": "2026-12-02T00:00:00Z", "end_at": "2026-12-02T01:00:00Z" });
    therapist.post("/v1/therapists/me/time-off", off).await.is(201);
    let insert = format!(
        "INSERT INTO overrides (therapist_id, date, windows) VALUES ('{0}', '2026-12-03', '{{}}');
         INSERT INTO timetables (therapist_id, effective_from) VALUES ('{0}', '2026-11-01'), ('{0}', '2026-11-30');
         INSERT INTO tasks (id, kind, subject_type, subject_id, raised_at, resolved_at, resolved_by)
         VALUES (gen_random_uuid(), 'a', 'b', gen_random_uuid(), '2026-11-01', '2026-11-30', '{0}'),
                (gen_random_uuid(), 'c', 'b', gen_random_uuid(), '2026-11-01', NULL, NULL);
         UPDATE bookings SET status = 'completed';",
        therapist.id
    );
    app.sql(&insert).await.unwrap();
    let left = async || {
        let mut left = Vec::new();
        for of in [
            "reservations WHERE booking_id IS NOT NULL",
            "counter_offers",
            "time_off",
            "overrides",
            "timetables",
            "tasks",
        ] {
            left.push(app.rows(of).await);
        }
        for of in ["notices", "sessions", "refresh_tokens"] {
            left.push(app.rows(of).await.min(1));
        }
        left
    };
    sweep(&app).await;
    assert_eq!(left().await, [1, 1, 1, 1, 3, 2, 1, 1, 1]);
    // Two days after the visit its time is free of it, and neither hints nor diaries hear of that.
    let revision = "SELECT sum(revision)::bigint FROM hint_states";
    app.advance(TimeDelta::days(2));
    sweep(&app).await;
    app.advance(TimeDelta::days(18));
    let before = app.count(revision).await;
    sweep(&app).await;
    assert_eq!(left().await, [0, 1, 1, 1, 3, 2, 1, 1, 1]);
    assert_eq!(app.count(revision).await, before);
    app.advance(TimeDelta::days(420));
    sweep(&app).await;
    // The first timetable stays, and the one in force; of tasks the one that is open and the one that was resolved a year ago.
    assert_eq!(left().await, [0, 0, 0, 0, 2, 2, 0, 0, 0]);
    app.advance(TimeDelta::days(330));
    sweep(&app).await;
    assert_eq!(left().await, [0, 0, 0, 0, 2, 1, 0, 0, 0]);
}

#[tokio::test]
async fn a_sweep_that_fails_keeps_no_other_from_its_turn() {
    let app = App::start().await;
    app.client().await;
    // The second of all fails, and so does one in the middle.
    app.sql("ALTER TABLE counter_offers RENAME TO gone; ALTER TABLE tasks RENAME TO gone_too").await.unwrap();
    app.advance(TimeDelta::days(32));
    sweep(&app).await;
    assert_eq!(app.rows("refresh_tokens").await, 0);
    let failed = "graphile_worker._private_jobs WHERE last_error IS NOT NULL";
    assert_eq!((app.jobs_waiting().await, app.rows(failed).await), (2, 2));
    // Asked for again before it was tried again, each waits once.
    sweep(&app).await;
    // The queue lets go of the key of one that just ran, and gives it up: it is no run that waits.
    let waiting: Vec<String> =
        sqlx::query_scalar("SELECT key FROM graphile_worker._private_jobs WHERE key IS NOT NULL ORDER BY key")
            .fetch_all(&*app.service.db)
            .await
            .unwrap();
    assert_eq!(waiting, ["sweep_one:counter_offers", "sweep_one:tasks"]);
}

#[tokio::test]
async fn sweeps_go_on_until_nothing_is_left() {
    let app = App::start().await;
    let client = app.client().await;
    app.sql(&format!(
        "INSERT INTO notices (id, account_id, kind, subject_type, subject_id, created_at)
         SELECT gen_random_uuid(), '{}', 'a', 'b', gen_random_uuid(), '2020-01-01' FROM generate_series(1, 2500)",
        client.id
    ))
    .await
    .unwrap();
    sweep(&app).await;
    assert_eq!(app.rows("notices").await, 0);
}

#[tokio::test]
async fn one_recheck_of_a_credential_waits_at_a_time() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    app.sql(&format!(
        "UPDATE credentials SET recheck_on = '2020-01-01' WHERE therapist_id = '{}' AND type = 'AU-QUAL'",
        therapist.id
    ))
    .await
    .unwrap();
    for _ in 0..3 {
        knead::credentials::reminders::recheck(&app.service).await.unwrap();
    }
    assert_eq!(app.rows("graphile_worker.jobs WHERE task_identifier = 'recheck_credential'").await, 1);
}

#[tokio::test]
async fn long_answers_are_kept_small_and_replayed_byte_for_byte() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let weeks: Vec<String> = (0..12)
        .map(|n| (chrono::NaiveDate::from_ymd_opt(2026, 12, 14).unwrap() + TimeDelta::weeks(n)).to_string())
        .collect();
    let copy = json!({ "from_week": "2026-12-07", "to_weeks": weeks, "replace": true });
    let request = |key: &str| {
        let path = "/v1/therapists/me/schedule/copies";
        send(therapist.request(Method::POST, path).header("Idempotency-Key", key).json(&copy))
    };
    let first = request("once").await.is(201);
    let again = request("once").await.is(201);
    assert_eq!((&again.text, again.header("idempotent-replay")), (&first.text, "true".to_owned()));
    let kept = app.count("SELECT sum(octet_length(body_sealed))::bigint FROM idempotency_keys").await;
    let sent = first.text.len();
    assert!(sent > 4_000 && kept < 1_500, "{kept} bytes kept of {sent}");
    assert!(app.count("SELECT bytes FROM key_allowances").await > kept, "the fingerprint counts too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_account_keeps_so_many_answers_in_an_hour_and_no_more_in_a_race() {
    let app = App::start().await;
    let client = app.client().await;
    let post = |key: String| {
        send(client.request(Method::POST, "/v1/me/addresses").header("Idempotency-Key", key).json(&surry_hills()))
    };
    post("first".to_owned()).await.is(201);
    app.sql("UPDATE key_allowances SET keys = 595").await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..20 {
        tasks.spawn(post(format!("key-{n}")));
    }
    let answers = tasks.join_all().await;
    let kept = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(kept, 5);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.status, 429, "{}", refused.text);
        assert!((1..=3600).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    }
    // What was refused has no effect, and what was answered before is answered still.
    assert_eq!(app.rows("addresses").await, 6);
    assert_eq!(post("first".to_owned()).await.is(201).header("idempotent-replay"), "true");
    app.advance(TimeDelta::hours(1));
    let again =
        client.request(Method::POST, "/v1/me/addresses").header("Idempotency-Key", "later").json(&surry_hills());
    send(again).await.is(201);
    assert_eq!(app.count("SELECT keys::bigint FROM key_allowances").await, 1);
    // A booking keeps its answer in a statement of its own.
    app.sql("UPDATE key_allowances SET bytes = 2097152").await.unwrap();
    let (therapist, address) = (app.therapist().await, client.address(surry_hills()).await);
    let booked = client.books(&therapist, address, "2026-12-01T03:00:00Z").await;
    assert_eq!((booked.status.as_u16(), app.rows("bookings").await), (429, 0), "{}", booked.text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pool_of_two_serves_requests_and_jobs_side_by_side() {
    let app = App::start().await;
    let client = app.client().await;
    let small = app.with_pool(2);
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = knead::worker::workers(&small.service, async { drop(stopped.await) }).await.unwrap();
    let working = tokio::spawn(async move { worker.run().await });
    let began = std::time::Instant::now();
    app.sql(
        "SELECT graphile_worker.add_job('sweep', 'null'::json), graphile_worker.add_job('look_ahead', 'null'::json)",
    )
    .await
    .unwrap();
    let client = client.at(&small);
    for _ in 0..50 {
        client.get("/v1/me").await.is(200);
    }
    while app.jobs_waiting().await > 0 {
        assert!(began.elapsed().as_secs() < 20, "jobs hang");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    stop.send(()).unwrap();
    working.await.unwrap().unwrap();
    assert!(began.elapsed().as_secs() < 20);
}
