//! Authorities' lists: what is read, what stops, what takes effect and what is taken back.

use chrono::TimeDelta;
use futures_util::stream::{iter, unfold};
use knead::error::Error;
use knead::ids::{CredentialId, RosterImportId};
use knead::rosters::{applying, check, reading};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use uuid::Uuid;

use crate::commands::{knead, output};
use crate::support::{Answer, App, Person, send, url_of};

const IMPORTS: &str = "/v1/admin/roster-imports";
const MINE: &str = "/v1/therapists/me/credentials";
const HEADER: &str = "credentialnumber,lastname,firstname,middlename,credentialtype,status,firstissuedate,lastissuedate,expirationdate,actiontaken\n";

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/rosters/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A line of Washington's list.
pub fn line(number: u32, name: &str, status: &str, expires: &str) -> String {
    let (last, first) = name.split_once(", ").unwrap();
    format!("MA{number:08},{last},{first},,Massage Therapist License,{status},01/15/2020,01/15/2026,{expires},No\n")
}

/// Washington's list with these lines and `more` of nobody's.
pub fn washington(lines: &[String], more: u32) -> Vec<u8> {
    let filler = (0..more).map(|i| line(90_000_000 + i, "Filler, Phil", "ACTIVE", "06/30/2028"));
    [HEADER.to_owned(), lines.concat(), filler.collect()].concat().into_bytes()
}

pub async fn upload(admin: &Person, source: &str, date: &str, file: &[u8]) -> Answer {
    let parts: [(&str, Option<&str>, &[u8]); 3] =
        [("source", None, source.as_bytes()), ("source_date", None, date.as_bytes()), ("file", Some("list.csv"), file)];
    send(admin.form(IMPORTS, &parts)).await
}

/// Uploads and reads a list; its path.
pub async fn read(app: &App, admin: &Person, source: &str, date: &str, file: &[u8]) -> String {
    // Ids sort by the time.
    app.advance(TimeDelta::seconds(1));
    let answer = upload(admin, source, date, file).await.is(201);
    let path = answer.header("location");
    assert_eq!(
        (path.as_str(), &answer.body["state"]),
        (format!("{IMPORTS}/{}", answer.id()).as_str(), &json!("uploaded"))
    );
    app.run_jobs().await;
    path
}

async fn import(admin: &Person, path: &str) -> Value {
    admin.get(path).await.is(200).body
}

/// Reads and applies a list.
pub async fn apply(app: &App, admin: &Person, date: &str, file: &[u8]) -> String {
    let path = read(app, admin, "us-wa-doh", date, file).await;
    admin.act(&format!("{path}/apply")).await.is(202);
    app.run_jobs().await;
    assert_eq!(import(admin, &path).await["state"], "applied");
    path
}

/// A therapist with a credential that was submitted.
async fn holder(app: &App, kind: &str, number: &str, name: &str) -> (Person, Uuid) {
    let therapist = app.newcomer().await;
    let mut body = json!({ "type": kind, "number": number, "name_on_credential": name });
    if kind != "NPI" {
        body["expires_on"] = json!("2027-06-30");
    }
    let id = therapist.post(MINE, body).await.is(201).id();
    therapist.act(&format!("{MINE}/{id}/submit")).await.is(200);
    (therapist, id)
}

async fn state(admin: &Person, credential: Uuid) -> (String, String) {
    let body = admin.get(&format!("/v1/admin/credentials/{credential}")).await.is(200).body;
    (body["review_state"].as_str().unwrap().to_owned(), body["board_status"].as_str().unwrap().to_owned())
}

fn state_of(review: &str, board: &str) -> (String, String) {
    (review.to_owned(), board.to_owned())
}

async fn tasks(app: &App) -> Vec<String> {
    sqlx::query_scalar("SELECT kind FROM tasks ORDER BY kind").fetch_all(&*app.service.db).await.unwrap()
}

fn id_of(path: &str) -> RosterImportId {
    RosterImportId(path.rsplit('/').next().unwrap().parse().unwrap())
}

struct ReadSource {
    source: &'static str,
    file: &'static str,
    read_kept_rejected: [i64; 3],
}

#[tokio::test]
async fn every_source_is_read_and_shown_before_anything_changes() {
    let app = App::start().await;
    let admin = app.admin().await;
    let sources = admin.get("/v1/admin/roster-sources").await.is(200).body;
    assert_eq!(sources["data"].as_array().unwrap().len(), 6);
    let (_, texas) = holder(&app, "US-TX-LMT", "MT123456", "Sam Okafor").await;
    for ReadSource { source, file, read_kept_rejected } in [
        ReadSource { source: "us-tx-tdlr", file: "us-tx-tdlr.csv", read_kept_rejected: [7, 4, 1] },
        ReadSource { source: "us-wa-doh", file: "us-wa-doh.csv", read_kept_rejected: [5, 4, 0] },
        ReadSource { source: "us-fl-doh", file: "us-fl-doh.txt", read_kept_rejected: [6, 5, 0] },
        ReadSource { source: "us-il-idfpr", file: "us-il-idfpr.csv", read_kept_rejected: [4, 3, 0] },
        ReadSource { source: "us-co-dora", file: "us-co-dora.csv", read_kept_rejected: [4, 3, 0] },
        ReadSource { source: "us-oig-leie", file: "us-oig-leie.csv", read_kept_rejected: [4, 1, 0] },
    ] {
        let bytes = fixture(file);
        let path = read(&app, &admin, source, "2026-11-29", &bytes).await;
        let seen = import(&admin, &path).await;
        assert_eq!(seen["state"], "previewed", "{seen}");
        assert_eq!(
            json!([seen["rows_read"], seen["rows_kept"], seen["rows_rejected"]]),
            json!(read_kept_rejected),
            "{source}"
        );
        assert_eq!((&seen["bytes_read"], &seen["size"]), (&json!(bytes.len()), &json!(bytes.len())));
        let columns = seen["mapping"].to_string().to_lowercase();
        for personal in ["address", "phone", "birth", "dob", "mail", "zip"] {
            assert!(!columns.contains(personal), "{source} {personal}");
        }
    }
    let texan = admin.get(&format!("{IMPORTS}?source=us-tx-tdlr")).await.is(200).body["data"][0].clone();
    assert_eq!(texan["rejected"], json!([{ "line": 6, "reason": "number_missing" }]));
    let path = format!("{IMPORTS}/{}", texan["id"].as_str().unwrap());
    let seen = import(&admin, &path).await;
    assert_eq!((&seen["matched"], &seen["differing"], &seen["changed"]), (&json!(1), &json!(1), &json!(0)));
    assert_eq!(seen["outcomes"], json!({ "clean": 1, "adverse": 0, "unclear": 0, "absent": 0 }));
    let findings = admin.get(&format!("{path}/findings?verdict=clean")).await.is(200).body;
    let found = &findings["data"][0];
    assert_eq!((&found["credential_id"], &found["name_match"]), (&json!(texas), &json!("same")));
    assert!(found["note"].as_str().unwrap().contains("suspension cannot be seen"));
    assert_eq!(admin.get(&format!("{path}/findings?verdict=adverse")).await.is(200).body["data"], json!([]));
    assert_eq!(state(&admin, texas).await.0, "submitted");
    assert_eq!(app.rows("credential_verifications").await, 0);
    assert_eq!(app.rows("events WHERE kind = 'roster_import.previewed'").await, 6);
}

#[tokio::test]
async fn findings_take_effect_once_and_are_taken_back() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (_, clean) = holder(&app, "US-WA-LMT", "MA60000001", "Sam Okafor").await;
    let (_, close) = holder(&app, "US-WA-LMT", "MA60000002", "Samuel Okafor").await;
    let (_, other) = holder(&app, "US-WA-LMT", "MA60000003", "Maria Gomez").await;
    let (_, absent) = holder(&app, "US-WA-LMT", "MA60000004", "Rosa Alvarez").await;
    let good = "06/30/2028";
    let lines = [
        line(60_000_001, "Okafor, Sam", "ACTIVE", good),
        line(60_000_002, "Okafor, Sam", "ACTIVE", good),
        line(60_000_003, "Nguyen, Linh", "REVOKED", good),
    ];
    let file = washington(&lines, 0);
    let path = apply(&app, &admin, "2026-11-28", &file).await;
    let seen = import(&admin, &path).await;
    assert_eq!((&seen["matched"], &seen["changed"]), (&json!(3), &json!(1)));
    assert_eq!(seen["outcomes"], json!({ "clean": 1, "adverse": 0, "unclear": 2, "absent": 1 }));
    assert_eq!(state(&admin, clean).await, state_of("verified", "active"));
    for unchanged in [close, other, absent] {
        assert_eq!(state(&admin, unchanged).await, state_of("submitted", "unknown"));
    }
    let findings = admin.get(&format!("{path}/findings?verdict=unclear")).await.is(200).body;
    let mut bands: Vec<&str> =
        findings["data"].as_array().unwrap().iter().map(|f| f["name_match"].as_str().unwrap()).collect();
    bands.sort_unstable();
    assert_eq!(bands, ["mismatch", "review"]);
    assert_eq!(tasks(&app).await, ["adverse_finding", "finding_unclear"], "bad news are a task of another kind");

    // The same file again, under any date, is known.
    upload(&admin, "us-wa-doh", "2026-11-28", &file).await.refused(409, "roster_already_applied");
    upload(&admin, "us-wa-doh", "2026-11-29", &file).await.refused(409, "roster_already_applied");
    admin.act(&format!("{path}/apply")).await.refused(409, "roster_already_applied");
    let files = std::fs::read_dir(app.files.path().join("kept/rosters")).unwrap().count();
    assert_eq!(files, 0, "a list holds more of people than is kept, and goes when it was read");

    // Bad news suspends; a row that has gone proves nothing, and is looked into.
    let lines = [line(60_000_002, "Okafor, Sam", "ACTIVE", good), line(60_000_001, "Okafor, Sam", "REVOKED", good)];
    let second = apply(&app, &admin, "2026-11-29", &washington(&lines, 2)).await;
    assert_eq!(state(&admin, clean).await, state_of("suspended", "revoked"));
    assert!(tasks(&app).await.contains(&"suspended_by_roster".to_owned()));
    admin.act(&format!("{path}/roll-back")).await.refused(409, "roster_not_latest");
    admin.act(&format!("{second}/roll-back")).await.is(202);
    admin.act(&format!("{second}/roll-back")).await.is(202);
    app.run_jobs().await;
    assert_eq!(import(&admin, &second).await["state"], "rolled_back");
    assert_eq!(state(&admin, clean).await, state_of("verified", "active"));
    admin.act(&format!("{second}/roll-back")).await.refused(409, "invalid_transition");
    admin.act(&format!("{second}/apply")).await.refused(409, "roster_not_previewed");

    admin.act(&format!("{path}/roll-back")).await.is(202);
    app.run_jobs().await;
    assert_ne!(state(&admin, clean).await.0, "verified");
    assert_eq!(app.rows("roster_rows").await, 0, "rows go with what is done with");
    let steps: Vec<String> = sqlx::query_scalar(
        "SELECT kind FROM events WHERE subject_type = 'roster_import' AND subject_id = $1 ORDER BY position",
    )
    .bind(id_of(&path).to_string())
    .fetch_all(&*app.service.db)
    .await
    .unwrap();
    let expected = ["uploaded", "previewed", "apply", "applied", "roll_back", "rolled_back"];
    assert_eq!(steps, expected.map(|step| format!("roster_import.{step}")));
}

#[tokio::test]
async fn a_row_that_has_gone_is_looked_into_and_proves_nothing() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (_, id) = holder(&app, "US-WA-LMT", "60000001", "Sam Okafor").await;
    apply(&app, &admin, "2026-11-28", &washington(&[line(60_000_001, "Okafor, Sam", "ACTIVE", "06/30/2028")], 1)).await;
    apply(&app, &admin, "2026-11-29", &washington(&[], 2)).await;
    assert_eq!(state(&admin, id).await, state_of("verified", "active"));
    assert_eq!(tasks(&app).await, ["roster_row_missing"]);
}

#[tokio::test]
async fn what_has_changed_since_stays_when_an_import_is_rolled_back() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (therapist, id) = holder(&app, "US-WA-LMT", "60000001", "Sam Okafor").await;
    let path =
        apply(&app, &admin, "2026-11-28", &washington(&[line(60_000_001, "Okafor, Sam", "ACTIVE", "06/30/2028")], 0))
            .await;
    therapist.change(&format!("{MINE}/{id}"), json!({ "name_on_credential": "Sam O. Okafor" })).await.is(200);
    let before = state(&admin, id).await;
    admin.act(&format!("{path}/roll-back")).await.is(202);
    app.run_jobs().await;
    assert_eq!(state(&admin, id).await, before);
    let findings = admin.get(&format!("{path}/findings")).await.is(200).body;
    assert!(findings["data"][0]["note"].as_str().unwrap().contains("changed since"), "{findings}");
}

#[tokio::test]
async fn the_rules_stop_what_cannot_be_trusted() {
    let app = App::start().await;
    let admin = app.admin().await;
    let stopped = async |date: &str, file: &[u8]| {
        let path = read(&app, &admin, "us-wa-doh", date, file).await;
        let seen = import(&admin, &path).await;
        assert_eq!(seen["state"], "stopped", "{seen}");
        admin.act(&format!("{path}/apply")).await.refused(409, "roster_stopped");
        (path, seen["stop_reasons"].clone())
    };
    let whole = String::from_utf8(washington(&[], 100)).unwrap();
    let renamed = whole.replace("actiontaken", "action_taken");
    assert_eq!(stopped("2026-11-20", renamed.as_bytes()).await.1, json!(["header_changed"]));
    let lost = whole.replace(",actiontaken", "").replace(",No\n", "\n");
    assert_eq!(stopped("2026-11-20", lost.as_bytes()).await.1, json!(["header_changed"]));
    assert_eq!(stopped("2026-11-20", HEADER.as_bytes()).await.1, json!(["no_rows"]));
    assert_eq!(stopped("2026-11-20", b"<html>Not now</html>").await.1, json!(["header_changed"]));
    assert_eq!(stopped("2026-11-20", &whole.as_bytes()[..whole.len() - 20]).await.1, json!(["truncated"]));
    let quoted = format!("{whole}MA60000001,\"Okafor");
    assert_eq!(stopped("2026-11-20", quoted.as_bytes()).await.1, json!(["truncated"]));

    apply(&app, &admin, "2026-11-20", whole.as_bytes()).await;
    assert_eq!(stopped("2026-11-19", &washington(&[], 101)).await.1, json!(["source_older"]));
    assert_eq!(stopped("2026-11-20", &washington(&[], 101)).await.1, json!(["same_date_other_content"]));
    let gained = whole.replace("actiontaken\n", "actiontaken,mood\n").replace(",No\n", ",No,good\n");
    let path = read(&app, &admin, "us-wa-doh", "2026-11-21", gained.as_bytes()).await;
    let seen = import(&admin, &path).await;
    assert_eq!(
        (&seen["state"], &seen["mapping"]["added"]),
        (&json!("previewed"), &json!(["mood"])),
        "nothing reads it"
    );
    admin.act(&format!("{path}/discard")).await.is(200);
    let unread = whole.replace("lastissuedate", "reissued");
    let path = read(&app, &admin, "us-wa-doh", "2026-11-21", unread.as_bytes()).await;
    assert_eq!(import(&admin, &path).await["state"], "previewed");
    admin.act(&format!("{path}/discard")).await.is(200);
    let nameless = whole.replace("middlename", "second_name");
    let (path, reasons) = stopped("2026-11-21", nameless.as_bytes()).await;
    assert_eq!(reasons, json!(["header_changed"]));
    let accepted = json!({ "override": ["header_changed"], "note": "They have renamed it." });
    let seen = admin.post(&format!("{path}/apply"), accepted).await.is(202).body;
    assert_eq!(seen["overridden"], json!(["header_changed"]));
    app.run_jobs().await;
    admin.act(&format!("{path}/roll-back")).await.is(202);
    app.run_jobs().await;
    assert_eq!(stopped("2026-11-21", &washington(&[], 79)).await.1, json!(["rows_fell"]));
    let (older, reasons) = stopped("2026-11-18", &washington(&[], 79)).await;
    assert_eq!(reasons, json!(["rows_fell", "source_older"]));

    // 20 % fewer are no fall.
    let path = read(&app, &admin, "us-wa-doh", "2026-11-21", &washington(&[], 80)).await;
    assert_eq!(import(&admin, &path).await["state"], "previewed");
    admin.act(&format!("{path}/discard")).await.is(200);
    admin.act(&format!("{path}/apply")).await.refused(409, "roster_not_previewed");
    admin.act(&format!("{path}/discard")).await.refused(409, "invalid_transition");

    // Only the fall can be set aside, with a reason, and is written down.
    let (path, _) = stopped("2026-11-22", &washington(&[], 50)).await;
    let over = |rules: Value, note: Value| json!({ "override": rules, "note": note });
    let by = async |path: &str, body: Value| admin.post(&format!("{path}/apply"), body).await;
    by(&path, over(json!(["rows_fell"]), Value::Null)).await.points_to(&["/note"]);
    by(&path, over(json!(["rows_fell", "source_older"]), json!("So be it."))).await.points_to(&["/override/1"]);
    by(&path, over(json!(["whatever"]), json!("So be it."))).await.points_to(&["/override/0"]);
    by(&older, over(json!(["rows_fell"]), json!("So be it."))).await.refused(409, "roster_stopped");
    by(&path, over(json!(["rows_fell"]), json!("The board has tidied up."))).await.is(202);
    app.run_jobs().await;
    let seen = import(&admin, &path).await;
    assert_eq!(
        (&seen["state"], &seen["overridden"], &seen["note"]),
        (&json!("applied"), &json!(["rows_fell"]), &json!("The board has tidied up."))
    );
    let details: Value = sqlx::query_scalar(
        "SELECT details FROM events WHERE kind = 'roster_import.apply' ORDER BY position DESC LIMIT 1",
    )
    .fetch_one(&*app.service.db)
    .await
    .unwrap();
    assert_eq!(details["overridden"], json!(["rows_fell"]));
}

#[tokio::test]
async fn a_preview_that_was_overtaken_cannot_be_applied() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (first, second) = (washington(&[], 10), washington(&[], 11));
    let early = read(&app, &admin, "us-wa-doh", "2026-11-20", &first).await;
    let twin = read(&app, &admin, "us-wa-doh", "2026-11-21", &second).await;
    let late = read(&app, &admin, "us-wa-doh", "2026-11-21", &second).await;
    admin.act(&format!("{late}/apply")).await.is(202);
    admin.act(&format!("{twin}/apply")).await.refused(409, "roster_busy");
    app.run_jobs().await;
    admin.act(&format!("{early}/apply")).await.refused(409, "roster_stopped");
    admin.act(&format!("{twin}/apply")).await.refused(409, "roster_already_applied");
}

#[tokio::test]
async fn unknown_words_blank_dates_and_clear_but_inactive_verify_nobody() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (_, inactive) = holder(&app, "US-FL-LMT", "MA12346", "Linh Nguyen").await;
    let (_, blank) = holder(&app, "US-FL-LMT", "MA12348", "Rosa Alvarez").await;
    let (_, establishment) = holder(&app, "US-FL-LMT", "MM12345", "Calm Hands").await;
    let (_, good) = holder(&app, "US-FL-LMT", "MA12345", "Sam Okafor").await;
    let (_, unknown) = holder(&app, "US-WA-LMT", "MA60000003", "Rosa Alvarez").await;
    for (source, file) in [("us-fl-doh", "us-fl-doh.txt"), ("us-wa-doh", "us-wa-doh.csv")] {
        let path = read(&app, &admin, source, "2026-11-29", &fixture(file)).await;
        admin.act(&format!("{path}/apply")).await.is(202);
        app.run_jobs().await;
    }
    for id in [inactive, blank, establishment, unknown] {
        assert_eq!(state(&admin, id).await.0, "submitted");
    }
    assert_eq!(state(&admin, good).await, state_of("verified", "active"));
    let reasons = async |id: Uuid| -> Value {
        sqlx::query_scalar("SELECT verdict FROM roster_findings WHERE credential_id = $1")
            .bind(id)
            .fetch_one(&*app.service.db)
            .await
            .unwrap()
    };
    assert_eq!(reasons(inactive).await, json!({ "verdict": "adverse", "reasons": ["inactive"] }));
    assert_eq!(reasons(blank).await, json!({ "verdict": "unclear", "reasons": ["illegible"] }));
    assert_eq!(reasons(establishment).await, json!({ "verdict": "unclear", "reasons": ["establishment_number"] }));
    assert_eq!(reasons(unknown).await, json!({ "verdict": "unclear", "reasons": ["illegible"] }));
}

#[tokio::test]
async fn an_exclusion_is_for_a_person_to_look_at() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (_, excluded) = holder(&app, "NPI", "1234567893", "Sam Okafor").await;
    let (_, reinstated) = holder(&app, "NPI", "1245319599", "Linh Nguyen").await;
    let path = read(&app, &admin, "us-oig-leie", "2026-11-29", &fixture("us-oig-leie.csv")).await;
    admin.act(&format!("{path}/apply")).await.is(202);
    app.run_jobs().await;
    assert_eq!(state(&admin, excluded).await.0, "submitted");
    assert_eq!(state(&admin, reinstated).await.0, "submitted");
    assert_eq!(tasks(&app).await, ["finding_unclear"]);
    assert_eq!(import(&admin, &path).await["changed"], 0);
}

#[tokio::test]
async fn an_interrupted_apply_goes_on_where_it_was() {
    let app = App::start().await;
    let admin = app.admin().await;
    let mut ids = Vec::new();
    for number in 60_000_001..60_000_004_u32 {
        ids.push(holder(&app, "US-WA-LMT", &number.to_string(), "Sam Okafor").await.1);
    }
    let lines: Vec<String> = (60_000_001..60_000_005).map(|n| line(n, "Okafor, Sam", "ACTIVE", "06/30/2028")).collect();
    let path = read(&app, &admin, "us-wa-doh", "2026-11-29", &washington(&lines, 0)).await;
    // Handed in after the preview.
    ids.push(holder(&app, "US-WA-LMT", "60000004", "Sam Okafor").await.1);
    admin.act(&format!("{path}/apply")).await.is(202);
    let (service, import_id) = (app.service.clone(), id_of(&path));
    let killed =
        tokio::spawn(async move { applying::apply(&service.workshop(), import_id, |_| panic!("killed")).await });
    assert!(killed.await.is_err());
    let half = import(&admin, &path).await;
    assert_eq!((&half["state"], &half["changed"]), (&json!("applying"), &json!(1)));
    admin.act(&format!("{path}/apply")).await.is(202);
    app.run_jobs().await;
    let whole = import(&admin, &path).await;
    assert_eq!((&whole["state"], &whole["changed"], &whole["matched"]), (&json!("applied"), &json!(4), &json!(4)));
    for id in &ids {
        assert_eq!(state(&admin, *id).await, state_of("verified", "active"));
    }
    // The last one was also compared when it was handed in.
    let checks: i64 =
        sqlx::query_scalar("SELECT count(*) FROM credential_verifications WHERE credential_id = ANY ($1)")
            .bind(&ids[..3])
            .fetch_one(&*app.service.db)
            .await
            .unwrap();
    assert_eq!(checks, 3, "one each");
}

#[tokio::test]
async fn progress_shows_and_a_killed_reading_begins_anew() {
    let app = App::start().await;
    let admin = app.admin().await;
    let file = washington(&[], 25_000);
    let answer = upload(&admin, "us-wa-doh", "2026-11-29", &file).await.is(201);
    let (path, id) = (answer.header("location"), RosterImportId(answer.id()));
    let (feed, chunks) = mpsc::channel(1);
    let service = app.service.clone();
    let reading = tokio::spawn(async move {
        let chunks = unfold(chunks, async |mut chunks| chunks.recv().await.map(|chunk| (chunk, chunks)));
        reading::read(&service.workshop(), id, chunks, |_| {}).await
    });
    for piece in file[..file.len() / 2].chunks(60_000) {
        feed.send(Ok(piece.to_vec().into())).await.unwrap();
    }
    let mut seen = import(&admin, &path).await;
    for _ in 0..200 {
        if seen["rows_read"] != 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        seen = import(&admin, &path).await;
    }
    assert_eq!((&seen["state"], &seen["rows_read"]), (&json!("reading"), &json!(10_000)));
    assert!(seen["bytes_read"].as_u64().unwrap() < file.len() as u64);
    admin.act(&format!("{path}/apply")).await.refused(409, "roster_not_previewed");
    feed.send(Err(Error::Unavailable("killed".to_owned()))).await.unwrap();
    assert!(reading.await.unwrap().is_err());
    app.run_jobs().await;
    let seen = import(&admin, &path).await;
    assert_eq!((&seen["state"], &seen["rows_read"]), (&json!("previewed"), &json!(25_000)));
    assert_eq!(app.rows("roster_rows").await, 25_000);
    let again = reading::read(&app.service.workshop(), id, iter([]), |_| {}).await;
    assert!(again.is_err(), "what was read is not read again");
}

#[tokio::test]
async fn an_import_that_nobody_reads_can_be_put_aside() {
    let app = App::start().await;
    let admin = app.admin().await;
    let answer = upload(&admin, "us-wa-doh", "2026-11-29", &washington(&[], 1)).await.is(201);
    let path = answer.header("location");
    assert_eq!(admin.act(&format!("{path}/discard")).await.is(200).body["state"], "discarded");
    app.run_jobs().await;
    assert_eq!(import(&admin, &path).await["state"], "discarded");
    let kept = || std::fs::read_dir(app.files.path().join("kept/rosters")).unwrap().count();
    assert_eq!(kept(), 1);
    knead::rosters::forget_files(&app.service, app.now() + TimeDelta::days(2)).await.unwrap();
    assert_eq!(kept(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_that_permits_nothing_bars_under_any_name() {
    let app = App::start().await;
    let admin = app.admin().await;
    let good = "06/30/2028";
    let mut holders = Vec::new();
    for (number, name) in [(60_000_001, "Sam Okafor"), (60_000_002, "Linh Nguyen")] {
        holders.push(holder(&app, "US-WA-LMT", &number.to_string(), name).await.1);
    }
    let list = |first: &str, second: (&str, &str)| {
        washington(&[line(60_000_001, "Okafor, Sam", first, good), line(60_000_002, second.0, second.1, good)], 5)
    };
    apply(&app, &admin, "2026-11-27", &list("ACTIVE", ("Nguyen, Linh", "ACTIVE"))).await;
    for (day, status, means) in [("2026-11-28", "PROBATION", "probation"), ("2026-11-29", "FLOURISHING", "unknown")] {
        apply(&app, &admin, day, &list(status, ("Gomez, Maria", status))).await;
        assert_eq!(state(&admin, holders[0]).await, state_of("verified", means));
        let file = admin.get(&format!("/v1/admin/credentials/{}", holders[0])).await.is(200).body;
        assert_eq!(file["in_force"], false, "{status}");
        let other = admin.get(&format!("/v1/admin/credentials/{}", holders[1])).await.is(200).body;
        assert_eq!(other["in_force"], false, "the number is what was verified, whatever name stands there now");
    }
}

#[tokio::test]
async fn bad_news_of_a_verified_number_suspends_under_any_name() {
    let app = App::start().await;
    let admin = app.admin().await;
    let listed = ["Okafor, Sam", "Nguyen, Huong", "Garcia, Maria", "Gomez, Ana"];
    let now = ["Okafor-Smith, Samantha", "Thi Huong, Nguyen", "Garcia Lopez, Maria", "Baker, Tom"];
    let mut ids = Vec::new();
    for (number, name) in (60_000_001..).zip(["Sam Okafor", "Huong Nguyen", "Maria Garcia", "Ana Gomez"]) {
        let number: u32 = number;
        ids.push(holder(&app, "US-WA-LMT", &number.to_string(), name).await.1);
    }
    let list = |names: [&str; 4], status: &str| {
        let lines: Vec<String> =
            (60_000_001..).zip(names).map(|(number, name)| line(number, name, status, "06/30/2028")).collect();
        washington(&lines, 5)
    };
    apply(&app, &admin, "2026-11-28", &list(listed, "ACTIVE")).await;
    for id in &ids {
        assert_eq!(state(&admin, *id).await, state_of("verified", "active"));
    }
    apply(&app, &admin, "2026-11-29", &list(now, "REVOKED")).await;
    for id in &ids {
        assert_eq!(state(&admin, *id).await, state_of("suspended", "revoked"));
    }
    assert_eq!(tasks(&app).await.iter().filter(|kind| *kind == "suspended_by_roster").count(), 4);
}

#[tokio::test]
async fn what_a_person_decided_is_asked_again_only_when_the_row_changes() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (_, id) = holder(&app, "US-WA-LMT", "60000001", "Samuel Okafor").await;
    let list = |name: &str, status: &str, more: u32| washington(&[line(60_000_001, name, status, "06/30/2028")], more);
    let resolve = async || {
        let open: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM tasks WHERE resolved_at IS NULL")
            .fetch_all(&*app.service.db)
            .await
            .unwrap();
        for task in &open {
            admin.post(&format!("/v1/admin/tasks/{task}/resolve"), json!({ "note": "It is him." })).await.is(200);
        }
        open.len()
    };
    let open = async || app.rows("tasks WHERE resolved_at IS NULL").await;
    apply(&app, &admin, "2026-11-21", &list("Okafor, Sam", "ACTIVE", 1)).await;
    assert_eq!(resolve().await, 1);
    for (day, more) in [("2026-11-22", 2), ("2026-11-23", 3)] {
        apply(&app, &admin, day, &list("Okafor, Sam", "ACTIVE", more)).await;
        assert_eq!(open().await, 0, "the same row");
    }
    // Also when the task itself was forgotten.
    app.sql("DELETE FROM tasks").await.unwrap();
    apply(&app, &admin, "2026-11-24", &list("Okafor, Sam", "ACTIVE", 4)).await;
    assert_eq!(open().await, 0);
    apply(&app, &admin, "2026-11-25", &list("Okafor, Sam P", "ACTIVE", 5)).await;
    assert_eq!(tasks(&app).await, ["finding_unclear"], "another row");
    apply(&app, &admin, "2026-11-26", &list("Okafor, Sam P", "REVOKED", 6)).await;
    assert_eq!(tasks(&app).await, ["adverse_finding", "finding_unclear"], "though the other is open");
    resolve().await;
    // Whoever verifies with the row at hand has decided about it.
    apply(&app, &admin, "2026-11-27", &list("Okafor, Sam Q", "ACTIVE", 7)).await;
    assert_eq!(open().await, 1);
    resolve().await;
    app.sql("DELETE FROM tasks").await.unwrap();
    app.sql("DELETE FROM credential_rows_decided").await.unwrap();
    let file = format!("/v1/admin/credentials/{id}");
    let body = json!({ "reason_codes": ["verified_primary_source", "name_mismatch"], "name_found": "Sam Q Okafor" });
    app.advance(TimeDelta::seconds(1));
    admin.act(&format!("{file}/claim")).await.is(200);
    let verified = admin.post(&format!("{file}/verify"), body.clone()).await.is(200).body;
    assert_eq!(verified["review_state"], "pending_second");
    app.admin().await.post(&format!("{file}/verify"), body).await.is(200);
    apply(&app, &admin, "2026-11-28", &list("Okafor, Sam Q", "ACTIVE", 8)).await;
    assert_eq!(open().await, 0);
    apply(&app, &admin, "2026-11-29", &list("Okafor, Sam Q", "REVOKED", 9)).await;
    assert_eq!(
        (tasks(&app).await, state(&admin, id).await.0),
        (vec!["suspended_by_roster".to_owned()], "suspended".to_owned())
    );
}

#[tokio::test]
async fn what_is_unclear_of_a_row_takes_nothing_from_what_is_clear() {
    let app = App::start().await;
    let admin = app.admin().await;
    let mut ids = Vec::new();
    for (number, name) in [(60_000_001, "Sam Okafor"), (60_000_002, "Linh Nguyen"), (60_000_003, "Rosa Alvarez")] {
        ids.push(holder(&app, "US-WA-LMT", &number.to_string(), name).await.1);
    }
    let list = |first: (&str, &str), second: &str, third: &str, ends: &str| {
        let lines = [
            line(60_000_001, "Okafor, Sam", first.0, ends).replace(",No\n", first.1),
            line(60_000_002, "Nguyen, Linh", second, ends),
            line(60_000_003, third, "ACTIVE", ends),
        ];
        washington(&lines, 5)
    };
    let plain = ("ACTIVE", ",No\n");
    apply(&app, &admin, "2026-11-27", &list(plain, "ACTIVE", "Alvarez, Rosa", "06/30/2027")).await;
    let file = async |id: Uuid| admin.get(&format!("/v1/admin/credentials/{id}")).await.is(200).body;
    let news = list(("ACTIVE", ",Yes\n"), "CONDITIONAL", "Smith, Wilma", "06/30/2028");
    apply(&app, &admin, "2026-11-28", &news).await;
    let (sam, linh, rosa) = (file(ids[0]).await, file(ids[1]).await, file(ids[2]).await);
    assert_eq!((&sam["expires_on"], &sam["board_action"]), (&json!("2028-06-30"), &json!(true)), "an old board action");
    assert_eq!((&linh["expires_on"], &linh["board_status"]), (&json!("2028-06-30"), &json!("conditional")));
    assert_eq!(rosa["expires_on"], "2027-06-30", "good news of another name are no news");
    for (id, seen) in ids.iter().zip([&sam, &linh, &rosa]) {
        assert_eq!((&seen["review_state"], &seen["in_force"]), (&json!("verified"), &json!(true)), "{id}");
    }
    apply(&app, &admin, "2026-11-29", &list(plain, "TEMPORARY", "Alvarez, Rosa", "07/31/2028")).await;
    let linh = file(ids[1]).await;
    assert_eq!((&linh["expires_on"], &linh["board_status"]), (&json!("2028-07-31"), &json!("temporary")));
}

#[tokio::test]
async fn a_list_bears_the_day_that_it_is_where_its_authority_sits() {
    let app = App::start().await;
    let (_, id) = holder(&app, "US-WA-LMT", "60000001", "Sam Okafor").await;
    // Ten in the evening of 2 December in Seattle.
    app.advance("2026-12-03T06:00:00Z".parse::<chrono::DateTime<chrono::Utc>>().unwrap() - app.now());
    let admin = app.admin().await;
    let file = washington(&[line(60_000_001, "Okafor, Sam", "ACTIVE", "12/02/2026")], 3);
    let parts: [(&str, Option<&str>, &[u8]); 2] = [("source", None, b"us-wa-doh"), ("file", Some("a.csv"), &file)];
    upload(&admin, "us-wa-doh", "2026-12-04", &file).await.points_to(&["/source_date"]);
    upload(&admin, "us-wa-doh", "1999-12-31", &file).await.points_to(&["/source_date"]);
    let answer = send(admin.form(IMPORTS, &parts)).await.is(201);
    assert_eq!(answer.body["source_date"], "2026-12-02");
    app.run_jobs().await;
    admin.act(&format!("{}/apply", answer.header("location"))).await.is(202);
    app.run_jobs().await;
    assert_eq!(state(&admin, id).await, state_of("verified", "active"), "its last day is not over there");
    let public = async || {
        let therapist: Uuid = sqlx::query_scalar("SELECT therapist_id FROM credentials WHERE id = $1")
            .bind(id)
            .fetch_one(&*app.service.db)
            .await
            .unwrap();
        let page = app.admin().await.get(&format!("/v1/therapists/{therapist}/credentials")).await.is(200).body;
        page["data"].as_array().unwrap().iter().find(|c| c["type"] == "US-WA-LMT").unwrap()["status"].clone()
    };
    assert_eq!(public().await, "verified");
    app.advance(TimeDelta::hours(2));
    assert_eq!(public().await, "expired");
}

#[tokio::test]
async fn lists_come_packed_and_in_other_letters_and_say_what_is_odd() {
    use std::io::Write;
    let app = App::start().await;
    let admin = app.admin().await;
    let plain = washington(&[line(60_000_001, "Okafor, Sam", "ACTIVE", "06/30/2028")], 3);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&plain).unwrap();
    let packed = packed.finish().unwrap();
    let text = String::from_utf8(plain.clone()).unwrap();
    let wide: Vec<u8> = std::iter::once(0xfeff).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let latin = [
        &plain[..],
        b"MA60000009,Nu\xf1ez,Ana,,Massage Therapist License,ACTIVE,01/15/2020,01/15/2026,06/30/2028,No\n",
    ]
    .concat();
    for (file, rows, said) in [(&packed, 4, ".gz"), (&wide, 4, "UTF-16"), (&latin, 5, "Windows-1252")] {
        let path = read(&app, &admin, "us-wa-doh", "2026-11-28", file).await;
        let seen = import(&admin, &path).await;
        assert_eq!((&seen["state"], &seen["rows_kept"]), (&json!("previewed"), &json!(rows)), "{seen}");
        assert!(seen["warnings"].to_string().contains(said), "{}", seen["warnings"]);
        assert_eq!(seen["bytes_read"], seen["size"]);
    }
    let header = String::from_utf8(plain).unwrap().replace("actiontaken", "action\0\ntaken");
    for (file, reason) in [
        (&packed[..packed.len() / 2], "unreadable"),
        (&[0x1f, 0x8b, 8, 0][..], "unreadable"),
        (b"PK\x03\x04 and no more", "unreadable"),
        (header.as_bytes(), "header_changed"),
        (b"\0\0\0\0", "header_changed"),
    ] {
        let path = read(&app, &admin, "us-wa-doh", "2026-11-28", file).await;
        let seen = import(&admin, &path).await;
        assert_eq!((&seen["state"], &seen["stop_reasons"]), (&json!("stopped"), &json!([reason])), "{seen}");
        assert_ne!(seen["warnings"], json!([]), "{seen}");
        admin.act(&format!("{path}/apply")).await.refused(409, "roster_stopped");
        let over = json!({ "override": [reason], "note": "So be it." });
        admin.post(&format!("{path}/apply"), over).await.points_to(&["/override/0"]);
    }
}

#[tokio::test]
async fn a_file_that_is_gone_fails_its_import() {
    let app = App::start().await;
    let admin = app.admin().await;
    let answer = upload(&admin, "us-wa-doh", "2026-11-29", &washington(&[], 1)).await.is(201);
    std::fs::remove_dir_all(app.files.path().join("kept/rosters")).unwrap();
    app.run_jobs().await;
    assert_eq!(import(&admin, &answer.header("location")).await["state"], "failed");
}

#[tokio::test]
async fn one_credential_is_held_against_the_list_in_effect() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (_, early) = holder(&app, "US-WA-LMT", "60000001", "Sam Okafor").await;
    check(&app.service, CredentialId(early)).await.unwrap();
    assert_eq!(state(&admin, early).await.0, "submitted", "there is no list yet");
    let lines = [
        line(60_000_001, "Okafor, Sam", "ACTIVE", "06/30/2028"),
        line(60_000_002, "Nguyen, Linh", "ACTIVE", "06/30/2028"),
    ];
    let path = apply(&app, &admin, "2026-11-29", &washington(&lines, 0)).await;
    let (_, late) = holder(&app, "US-WA-LMT", "60000002", "Linh Nguyen").await;
    check(&app.service, CredentialId(late)).await.unwrap();
    assert_eq!(state(&admin, late).await, state_of("verified", "active"));
    check(&app.service, CredentialId(late)).await.unwrap();
    check(&app.service, CredentialId(Uuid::now_v7())).await.unwrap();
    let unlisted = json!({ "type": "FIRST-AID", "name_on_credential": "Sam Okafor", "expires_on": "2027-06-30" });
    let unlisted = app.newcomer().await.post(MINE, unlisted).await.is(201).id();
    check(&app.service, CredentialId(unlisted)).await.unwrap();
    // What rests on the list goes with it.
    admin.act(&format!("{path}/roll-back")).await.is(202);
    app.run_jobs().await;
    assert_ne!(state(&admin, late).await.0, "verified");
}

#[tokio::test]
async fn a_list_that_is_taken_back_leaves_nothing_of_a_check_beside_it() {
    let app = App::start().await;
    let admin = app.admin().await;
    let lines = [line(60_000_001, "Okafor, Sam", "ACTIVE", "06/30/2028")];
    let path = apply(&app, &admin, "2026-11-29", &washington(&lines, 0)).await;
    let (_, late) = holder(&app, "US-WA-LMT", "60000001", "Sam Okafor").await;
    // The check has read which list is in effect, and waits for the credential.
    let mut other = app.service.db.begin().await.unwrap();
    let held = sqlx::query("SELECT FROM credentials WHERE id = $1 FOR UPDATE").bind(late).execute(&mut *other);
    assert_eq!(held.await.unwrap().rows_affected(), 1);
    let waiting = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let release = async {
        while app.rows(waiting).await == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        let taken_back = async {
            admin.act(&format!("{path}/roll-back")).await.is(202);
            app.run_jobs().await;
        };
        let released = async {
            // Long enough for the list to be taken back, if nothing kept it.
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            other.rollback().await.unwrap();
        };
        tokio::join!(taken_back, released);
    };
    let (checked, ()) = tokio::join!(check(&app.service, CredentialId(late)), release);
    checked.unwrap();
    assert_eq!(import(&admin, &path).await["state"], "rolled_back");
    assert_ne!(state(&admin, late).await.0, "verified");
}

#[tokio::test]
async fn a_form_that_is_wrong_keeps_nothing() {
    let app = App::start().await;
    let admin = app.admin().await;
    let file = washington(&[], 1);
    for stranger in [app.client().await, app.newcomer().await] {
        upload(&stranger, "us-wa-doh", "2026-11-29", &file).await.refused(403, "forbidden");
        stranger.get("/v1/admin/roster-sources").await.refused(403, "forbidden");
    }
    upload(&app.nobody(), "us-wa-doh", "2026-11-29", &file).await.refused(401, "unauthorized");
    let unknown = upload(&admin, "us-zz", "2026-11-29", &file).await.points_to(&["/source"]);
    assert_eq!(unknown.body["errors"][0]["code"], "roster_source_unknown");
    for date in ["2026-12-01", "yesterday", "2026-02-30"] {
        upload(&admin, "us-wa-doh", date, &file).await.points_to(&["/source_date"]);
    }
    upload(&admin, "us-wa-doh", "2026-11-29", b"").await.points_to(&["/file"]);
    upload(&admin, "us-wa-doh", "2026-11-29", b"BZh91AY&SY").await.points_to(&["/file"]);
    send(admin.form(IMPORTS, &[("file", Some("a.csv"), &file)])).await.points_to(&["/source"]);
    send(admin.form(IMPORTS, &[("source", None, b"us-wa-doh")])).await.points_to(&["/file"]);
    send(admin.form(IMPORTS, &[("colour", None, b"red"), ("file", None, &file)])).await.points_to(&["/colour"]);
    admin.post(IMPORTS, json!({})).await.refused(415, "unsupported_media_type");
    assert_eq!(app.rows("roster_imports").await, 0);
    let kept = std::fs::read_dir(app.files.path().join("kept/rosters")).map_or(0, Iterator::count);
    assert_eq!(kept, 0);
    let nobodys = format!("{IMPORTS}/{}", Uuid::now_v7());
    for path in ["", "/findings"] {
        admin.get(&format!("{nobodys}{path}")).await.refused(404, "not_found");
    }
    for step in ["apply", "roll-back", "discard"] {
        admin.act(&format!("{nobodys}/{step}")).await.refused(404, "not_found");
    }
    admin.get(&format!("{IMPORTS}?state=lost")).await.points_to(&["/state"]);
    admin.get(&format!("{IMPORTS}?cursor=x")).await.points_to(&["/cursor"]);
}

#[tokio::test]
async fn an_upload_is_repeated_safely_and_history_comes_in_pages() {
    let app = App::start().await;
    let admin = app.admin().await;
    let file = washington(&[], 1);
    let parts: [(&str, Option<&str>, &[u8]); 2] = [("source", None, b"us-wa-doh"), ("file", Some("a.csv"), &file)];
    let once = async || send(admin.form(IMPORTS, &parts).header("Idempotency-Key", "k1")).await;
    let (first, again) = (once().await.is(201), once().await.is(201));
    assert_eq!((first.text.as_str(), again.header("idempotent-replay").as_str()), (again.text.as_str(), "true"));
    assert_eq!(first.body["source_date"], "2026-11-29", "today in Seattle");
    assert_eq!(app.rows("roster_imports").await, 1);
    assert_eq!(std::fs::read_dir(app.files.path().join("kept/rosters")).unwrap().count(), 1);
    let other = washington(&[], 2);
    let changed: [(&str, Option<&str>, &[u8]); 2] = [("source", None, b"us-wa-doh"), ("file", Some("a.csv"), &other)];
    send(admin.form(IMPORTS, &changed).header("Idempotency-Key", "k1")).await.refused(422, "idempotency_key_reused");
    app.advance(TimeDelta::seconds(1));
    let second = upload(&admin, "us-wa-doh", "2026-11-30", &other).await.is(201).id();
    let page = admin.get(&format!("{IMPORTS}?limit=1&state=uploaded")).await.is(200).body;
    assert_eq!(page["data"][0]["id"], json!(second));
    let next = page["next_cursor"].as_str().unwrap();
    let page = admin.get(&format!("{IMPORTS}?limit=1&cursor={next}")).await.is(200).body;
    assert_eq!((&page["data"][0]["id"], &page["next_cursor"]), (&json!(first.id()), &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_does_the_same() {
    let app = App::start().await;
    let admin = app.admin().await;
    let url = url_of(&app.database);
    let (_, id) = holder(&app, "US-WA-LMT", "60000001", "Sam Okafor").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("list.csv");
    let run = |arguments: &[&str]| {
        let mut command = knead();
        command.args(["roster", "import"]).arg(&file).args(arguments).env("DATABASE_URL", &url);
        output(&mut command)
    };
    let wa = ["--source", "us-wa-doh", "--source-date", "2026-11-10"];
    std::fs::write(&file, washington(&[], 0)).unwrap();
    let (ok, out, error) = run(&wa);
    assert!(!ok && error.contains("no_rows"), "{out}{error}");
    std::fs::write(&file, washington(&[line(60_000_001, "Okafor, Sam", "ACTIVE", "06/30/2028")], 5)).unwrap();
    let (ok, out, error) = run(&wa);
    assert!(ok && out.contains("6 rows read") && out.contains("1 clean"), "{out}{error}");
    assert_eq!(state(&admin, id).await.0, "submitted");
    let (ok, out, error) = run(&[&wa[..], &["--apply"]].concat());
    assert!(ok && out.contains("1 credentials changed"), "{out}{error}");
    assert_eq!(state(&admin, id).await, state_of("verified", "active"));
    let (ok, _, error) = run(&wa);
    assert!(!ok && error.contains("applied already"), "{error}");
    assert!(!run(&["--source", "us-zz"]).0);
    let (ok, out, _) = output(knead().args(["roster", "sources"]));
    assert!(ok && out.lines().count() == 6 && out.contains("us-tx-tdlr"));
}

#[tokio::test]
async fn only_another_name_number_or_type_of_a_licence_goes_back_to_review() {
    let app = App::start().await;
    let admin = app.admin().await;
    let (therapist, id) = holder(&app, "US-WA-LMT", "60000001", "Sam Okafor").await;
    let lines = [
        line(60_000_001, "Okafor, Sam", "ACTIVE", "06/30/2028"),
        line(60_000_002, "Okafor, Sam", "ACTIVE", "06/30/2029"),
    ];
    apply(&app, &admin, "2026-11-28", &washington(&lines, 0)).await;
    let path = format!("{MINE}/{id}");
    for (change, shown) in [
        (json!({ "expires_on": "2030-06-30" }), json!("2028-06-30")),
        (json!({ "issued_on": "2021-01-01" }), json!("2028-06-30")),
        (json!({ "issued_on": "2019-01-01" }), json!("2028-06-30")),
        (json!({ "covers_kinds": ["massage"] }), json!("2028-06-30")),
        (json!({ "expires_on": "2028-05-31" }), json!("2028-05-31")),
        (json!({ "expires_on": null }), json!("2028-05-31")),
    ] {
        let changed = therapist.change(&path, change.clone()).await.is(200).body;
        assert_eq!((&changed["review_state"], &changed["expires_on"]), (&json!("verified"), &shown), "{change}");
    }
    assert_eq!(tasks(&app).await, ["told_by_holder"]);
    for change in [json!({ "number": "60000002" }), json!({ "name_on_credential": "Samuel Okafor" })] {
        let changed = therapist.change(&path, change.clone()).await.is(200).body;
        assert_eq!(changed["review_state"], "submitted", "{change}");
        app.run_jobs().await;
        if change.get("number").is_some() {
            assert_eq!(state(&admin, id).await, state_of("verified", "active"), "the new number was checked");
            let file = admin.get(&format!("/v1/admin/credentials/{id}")).await.is(200).body;
            assert_eq!(file["expires_on"], "2029-06-30");
        }
    }
    assert_eq!(state(&admin, id).await.0, "submitted");
}
