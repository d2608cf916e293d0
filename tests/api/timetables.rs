//! Timetables that begin on a date, copied weeks, and the bookings that a change leaves outside the hours.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, Person, WEEK, at, send};

const SCHEDULE: &str = "/v1/therapists/me/schedule";
const SCHEDULES: &str = "/v1/therapists/me/schedules";
const COPIES: &str = "/v1/therapists/me/schedule/copies";
const OVERRIDES: &str = "/v1/therapists/me/overrides";
const OUTSIDE: &str = "/v1/therapists/me/bookings-outside-hours";

fn windows(days: &[&str], start: &str, end: &str) -> Value {
    days.iter().map(|day| json!({ "day": day, "start": start, "end": end })).collect()
}

fn week(weekly: Value) -> Value {
    json!({ "time_zone": "Australia/Sydney", "weekly": weekly })
}

async fn put(person: &Person, path: &str, body: Value) -> Answer {
    send(person.request(Method::PUT, path).json(&body)).await
}

async fn plan(therapist: &Person, date: &str, weekly: Value) -> Answer {
    put(therapist, &format!("{SCHEDULES}/{date}"), week(weekly)).await
}

/// Sets the hours of a date, whether it differs already or not.
async fn set_date(therapist: &Person, date: &str, windows: Value) {
    let path = format!("{OVERRIDES}/{date}");
    let mut request = therapist.request(Method::PUT, &path).json(&json!({ "windows": windows }));
    if therapist.get(&path).await.status == 200 {
        request = request.header("If-Match", "*");
    }
    send(request).await.is(200);
}

async fn outside(therapist: &Person) -> Vec<Uuid> {
    let listed = therapist.get(OUTSIDE).await.is(200).body;
    listed["data"].as_array().unwrap().iter().map(|hit| hit["id"].as_str().unwrap().parse().unwrap()).collect()
}

#[tokio::test]
async fn a_timetable_takes_over_on_its_date() {
    let app = App::start().await;
    let (therapist, client) = (app.therapist().await, app.client().await);
    let before = therapist.get(SCHEDULE).await.is(200).body;
    let noon = windows(&WEEK, "12:00", "13:15");
    let planned = plan(&therapist, "2026-12-03", noon.clone()).await.is(200);
    let view = json!({ "effective_from": "2026-12-03", "time_zone": "Australia/Sydney", "weekly": noon });
    let mut told = view.clone();
    told["unbookable"] = json!([]);
    assert_eq!(planned.body, told);
    assert_eq!(therapist.get(&format!("{SCHEDULES}/2026-12-03")).await.is(200).header("etag"), planned.header("etag"));
    let listed = therapist.get(&format!("{SCHEDULES}?limit=1")).await.is(200).body;
    assert_eq!(listed["data"][0]["effective_from"], "2000-01-01");
    let rest = format!("{SCHEDULES}?cursor={}", listed["next_cursor"].as_str().unwrap());
    assert_eq!(therapist.get(&rest).await.is(200).body, json!({ "data": [view], "next_cursor": null }));

    assert_eq!(therapist.get(SCHEDULE).await.body, before, "the old one holds until then");
    let slots = client.slots(&therapist, "2026-12-02", "2026-12-03").await;
    assert_eq!((slots[0].as_str(), slots.len()), ("2026-12-01T22:00:00Z", 29 + 2));
    assert_eq!(slots[29..], ["2026-12-03T01:00:00Z", "2026-12-03T01:15:00Z"]);

    // Midnight in Sydney, to the second.
    app.advance(at("2026-12-02T12:59:59Z") - app.now());
    assert_eq!(therapist.get(SCHEDULE).await.body, before);
    app.advance(TimeDelta::seconds(1));
    assert_eq!(therapist.get(SCHEDULE).await.body, week(windows(&WEEK, "12:00", "13:15")));
    // What is in force is replaced, and the past stays as it was.
    therapist.works(&[]).await;
    let listed = therapist.get(SCHEDULES).await.body["data"].clone();
    assert_eq!((&listed[0]["weekly"], &listed[1]["weekly"]), (&before["weekly"], &json!([])));
    for past in ["2000-01-01", "2026-12-02"] {
        let path = format!("{SCHEDULES}/{past}");
        therapist.delete(&path).await.points_to(&["/effective_from"]);
        plan(&therapist, past, json!([])).await.points_to(&["/effective_from"]);
    }
    therapist.delete(&format!("{SCHEDULES}/2026-12-03")).await.points_to(&["/effective_from"]);
    plan(&therapist, "2026-12-03", json!([])).await.refused(428, "precondition_required");
    therapist.replace(&format!("{SCHEDULES}/2026-12-03"), week(windows(&WEEK, "08:00", "09:00"))).await.is(200);
    assert_eq!(therapist.get(SCHEDULE).await.body, week(windows(&WEEK, "08:00", "09:00")), "today's may be written");
}

#[tokio::test]
async fn a_dropped_plan_leaves_the_timetable_before_it() {
    let app = App::start().await;
    let (therapist, client) = (app.therapist().await, app.client().await);
    plan(&therapist, "2026-12-03", json!([])).await.is(200);
    plan(&therapist, "2026-12-04", windows(&["friday"], "09:00", "10:00")).await.is(200);
    assert_eq!(client.slots(&therapist, "2026-12-03", "2026-12-04").await, ["2026-12-03T22:00:00Z"]);
    let path = format!("{SCHEDULES}/2026-12-04");
    let stale = json!({ "time_zone": "Australia/Sydney", "weekly": [] });
    send(therapist.request(Method::PUT, &path).header("If-Match", "\"old\"").json(&stale))
        .await
        .refused(412, "precondition_failed");
    therapist.delete(&path).await.is(204);
    therapist.delete(&path).await.refused(404, "not_found");
    therapist.get(&path).await.refused(404, "not_found");
    assert!(client.slots(&therapist, "2026-12-03", "2026-12-04").await.is_empty(), "an empty timetable holds on");
    therapist.delete(&format!("{SCHEDULES}/2026-12-03")).await.is(204);
    assert_eq!(client.slots(&therapist, "2026-12-03", "2026-12-04").await.len(), 2 * 29);
    // A plan is its owner's alone.
    app.newcomer().await.get(&format!("{SCHEDULES}/2026-12-04")).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_evening_runs_on_into_a_new_timetable() {
    let app = App::start().await;
    let (therapist, client) = (app.therapist().await, app.client().await);
    therapist.works(&[("wednesday", "22:00", "02:00"), ("thursday", "20:00", "22:00")]).await;
    let night = async || client.slots(&therapist, "2026-12-02", "2026-12-03").await;
    // Thursday's new window begins where Wednesday's ends: one stretch from 22:00 to 03:00.
    plan(&therapist, "2026-12-03", windows(&["thursday"], "02:00", "03:00")).await.is(200);
    let slots = night().await;
    assert_eq!(
        (slots.first().unwrap().as_str(), slots.last().unwrap().as_str()),
        ("2026-12-02T11:00:00Z", "2026-12-02T15:00:00Z")
    );
    assert_eq!(slots.len(), 17, "none is missing across midnight and across the change");
    therapist.replace(&format!("{SCHEDULES}/2026-12-03"), week(json!([]))).await.is(200);
    assert_eq!(night().await.last().unwrap(), "2026-12-02T14:00:00Z");
    // A date that differs still replaces what the new timetable says.
    set_date(&therapist, "2026-12-03", json!([{ "start": "12:00", "end": "13:00" }])).await;
    assert_eq!(night().await.last().unwrap(), "2026-12-03T01:00:00Z");
}

#[tokio::test]
async fn a_bad_plan_is_pointed_to() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    for bad in ["1999-12-31", "2101-01-01", "tomorrow", "2026-13-01", "+2026-12-01", "%00"] {
        plan(&therapist, bad, json!([])).await.points_to(&["/effective_from"]);
        therapist.get(&format!("{SCHEDULES}/{bad}")).await.points_to(&["/effective_from"]);
        therapist.delete(&format!("{SCHEDULES}/{bad}")).await.points_to(&["/effective_from"]);
    }
    plan(&therapist, "2026-11-29", json!([])).await.points_to(&["/effective_from"]);
    plan(&therapist, "2100-12-31", json!([])).await.is(200);
    let overlapping = json!([
        { "day": "monday", "start": "09:00", "end": "12:00" }, { "day": "monday", "start": "11:00", "end": "13:00" },
    ]);
    plan(&therapist, "2026-12-01", overlapping).await.points_to(&["/weekly/1"]);
    let path = format!("{SCHEDULES}/2026-12-01");
    for zone in ["Nowhere", "", "UTC+10", "australia/sydney\u{0}", "../zone", "Australia/Sydney "] {
        put(&therapist, &path, json!({ "time_zone": zone, "weekly": [] })).await.points_to(&["/time_zone"]);
        therapist.replace(SCHEDULE, json!({ "time_zone": zone, "weekly": [] })).await.points_to(&["/time_zone"]);
    }
    put(&therapist, &path, json!({ "time_zone": 10, "weekly": [] })).await.points_to(&["/time_zone"]);
    put(&therapist, &path, json!({ "weekly": [] })).await.points_to(&["/time_zone"]);
}

#[tokio::test]
async fn there_is_one_zone_for_all_timetables() {
    let app = App::start().await;
    let (therapist, client) = (app.therapist().await, app.client().await);
    let planned = windows(&WEEK, "12:00", "13:00");
    plan(&therapist, "2026-12-03", planned.clone()).await.is(200);
    let perth = |weekly: &Value| json!({ "time_zone": "Australia/Perth", "weekly": weekly });
    put(&therapist, &format!("{SCHEDULES}/2026-12-05"), perth(&planned)).await.points_to(&["/time_zone"]);
    assert_eq!(client.slots(&therapist, "2026-12-03", "2026-12-03").await, ["2026-12-03T01:00:00Z"]);

    therapist.replace(SCHEDULE, perth(&json!([]))).await.is(200);
    let path = format!("{SCHEDULES}/2026-12-03");
    let view = json!({ "effective_from": "2026-12-03", "time_zone": "Australia/Perth", "weekly": planned });
    assert_eq!(therapist.get(&path).await.is(200).body, view);
    assert_eq!(client.slots(&therapist, "2026-12-03", "2026-12-03").await, ["2026-12-03T04:00:00Z"]);
    // From 21:00 until midnight in Perth it is the 3rd in Sydney: today is a matter of the therapist's own zone.
    app.advance(at("2026-12-02T15:59:59Z") - app.now());
    assert_eq!(therapist.get(SCHEDULE).await.body["weekly"], json!([]));
    put(&therapist, &format!("{SCHEDULES}/2026-12-02"), perth(&json!([]))).await.is(200);
    app.advance(TimeDelta::seconds(1));
    assert_eq!(therapist.get(SCHEDULE).await.body["weekly"], planned);
    put(&therapist, &format!("{SCHEDULES}/2026-12-02"), perth(&json!([]))).await.points_to(&["/effective_from"]);
}

#[tokio::test]
async fn plans_are_bounded() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    app.sql(&format!(
        "INSERT INTO timetables SELECT '{}', '2026-11-30'::date + n FROM generate_series(0, 48) n",
        therapist.id
    ))
    .await
    .unwrap();
    plan(&therapist, "2027-06-01", json!([])).await.is(200);
    plan(&therapist, "2027-07-01", json!([])).await.refused(422, "too_many_timetables");
    therapist.replace(&format!("{SCHEDULES}/2027-06-01"), week(windows(&WEEK, "09:00", "10:00"))).await.is(200);
    // What has passed does not count.
    app.advance(TimeDelta::days(1));
    plan(&therapist, "2027-07-01", json!([])).await.is(200);
    plan(&therapist, "2027-08-01", json!([])).await.refused(422, "too_many_timetables");
}

#[tokio::test]
async fn a_week_is_copied_as_it_really_is() {
    let app = App::start().await;
    let (therapist, client) = (app.therapist().await, app.client().await);
    therapist.works(&[("monday", "09:00", "10:00"), ("monday", "13:00", "14:00"), ("friday", "22:00", "02:00")]).await;
    // Within the week that is copied: a new timetable from its Thursday, and a date that differs.
    plan(&therapist, "2026-12-10", windows(&["thursday", "saturday"], "12:00", "13:00")).await.is(200);
    set_date(&therapist, "2026-12-08", json!([{ "start": "23:00", "end": "00:00" }])).await;
    set_date(&therapist, "2026-12-22", json!([])).await;

    let wish = json!({ "from_week": "2026-12-07", "to_weeks": ["2026-12-21", "2026-12-14"] });
    let copy = async || {
        let post = therapist.request(Method::POST, COPIES).header("Idempotency-Key", "a week").json(&wish);
        send(post).await.is(201)
    };
    let copied = copy().await;
    assert_eq!(copied.header("location"), OVERRIDES);
    let date = |date: &str, windows: &[(&str, &str)]| {
        let windows: Value = windows.iter().map(|(start, end)| json!({ "start": start, "end": end })).collect();
        json!({ "date": date, "windows": windows })
    };
    let noon: &[_] = &[("12:00", "13:00")];
    let two: &[_] = &[("09:00", "10:00"), ("13:00", "14:00")];
    let week = |dates: [&str; 7]| {
        let windows = [two, &[("23:00", "00:00")], &[], noon, &[], noon, &[]];
        dates.iter().zip(windows).map(|(day, windows)| date(day, windows)).collect::<Vec<_>>()
    };
    let mut written =
        week(["2026-12-21", "2026-12-22", "2026-12-23", "2026-12-24", "2026-12-25", "2026-12-26", "2026-12-27"]);
    written.remove(1);
    let first =
        week(["2026-12-14", "2026-12-15", "2026-12-16", "2026-12-17", "2026-12-18", "2026-12-19", "2026-12-20"]);
    written.extend(first);
    assert_eq!(copied.body, json!({ "written": written, "kept": ["2026-12-22"] }));
    assert_eq!(copy().await.header("idempotent-replay"), "true");
    let other = json!({ "from_week": "2026-12-07", "to_weeks": ["2026-12-28"] });
    send(therapist.request(Method::POST, COPIES).header("Idempotency-Key", "a week").json(&other))
        .await
        .refused(422, "idempotency_key_reused");
    assert_eq!(therapist.get(&format!("{OVERRIDES}/2026-12-22")).await.body["windows"], json!([]));
    assert_eq!(
        client.slots(&therapist, "2026-12-14", "2026-12-15").await,
        ["2026-12-13T22:00:00Z", "2026-12-14T02:00:00Z", "2026-12-15T12:00:00Z"]
    );

    let again = json!({ "from_week": "2026-12-07", "to_weeks": ["2026-12-21"], "replace": true });
    let replaced = therapist.post(COPIES, again).await.is(201).body;
    assert_eq!((replaced["written"].as_array().unwrap().len(), &replaced["kept"]), (7, &json!([])));
    assert_eq!(therapist.get(&format!("{OVERRIDES}/2026-12-22")).await.body["windows"][0]["start"], "23:00");
}

#[tokio::test]
async fn a_bad_copy_is_pointed_to_and_writes_nothing() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let copy = |from: &str, to: &[&str]| therapist.post(COPIES, json!({ "from_week": from, "to_weeks": to }));
    copy("2026-12-08", &["2026-12-14"]).await.points_to(&["/from_week"]);
    copy("1999-12-27", &["2026-12-14"]).await.points_to(&["/from_week"]);
    copy("2026-12-07", &["2026-12-15"]).await.points_to(&["/to_weeks/0"]);
    copy("2026-12-07", &["2026-12-14", "2026-12-07", "2026-11-30", "2026-12-14"]).await.points_to(&[
        "/to_weeks/1",
        "/to_weeks/2",
        "/to_weeks/3",
    ]);
    copy("2026-12-07", &[]).await.points_to(&["/to_weeks"]);
    let thirteen: Vec<String> =
        (1..14).map(|n| (at("2026-12-07T00:00:00Z") + TimeDelta::weeks(n)).date_naive().to_string()).collect();
    let thirteen: Vec<&str> = thirteen.iter().map(String::as_str).collect();
    copy("2026-12-07", &thirteen).await.points_to(&["/to_weeks"]);
    copy("2026-12-07", &thirteen[..12]).await.is(201);
    app.sql("DELETE FROM overrides").await.unwrap();
    copy("2026-12-07", &["2027-12-13"]).await.is(201);
    app.sql("DELETE FROM overrides").await.unwrap();
    copy("2026-12-07", &["2027-12-20"]).await.points_to(&["/to_weeks/0"]);
    // The last week of 2100 ends in 2101.
    copy("2100-12-20", &["2100-12-27"]).await.points_to(&["/to_weeks/0"]);
    copy("2100-12-13", &["2100-12-20"]).await.is(201);
    app.sql("DELETE FROM overrides").await.unwrap();
    // More windows on a day than a date can hold.
    let time = |minutes: i32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    let short = (0..25).map(|n| json!({ "day": "monday", "start": time(n * 30), "end": time(n * 30 + 15) }));
    let short: Value = short.collect();
    therapist.replace(SCHEDULE, week(short)).await.is(200);
    copy("2026-12-07", &["2026-12-14"]).await.points_to(&["/from_week"]);
    assert_eq!(app.rows("overrides").await, 0);
}

#[tokio::test]
async fn no_copy_reaches_into_the_past() {
    // Sunday in Sydney, half past eleven in the evening; Monday in Auckland.
    let app = App::start_at(at("2026-12-06T12:30:00Z")).await;
    let therapist = app.therapist().await;
    let copy = async |to: &[&str], replace: bool| {
        let wish = json!({ "from_week": "2026-11-16", "to_weeks": to, "replace": replace });
        therapist.post(COPIES, wish).await
    };
    copy(&["2026-12-07", "2026-11-23"], true).await.points_to(&["/to_weeks/1"]);
    assert_eq!(app.rows("overrides").await, 0);
    // Of the current week only Sunday is left, whatever `replace` says.
    let copied = copy(&["2026-11-30"], true).await.is(201).body;
    assert_eq!(copied["written"][0]["date"], "2026-12-06");
    assert_eq!(copied["written"].as_array().unwrap().len(), 1);
    let past: Vec<String> =
        (0..6).map(|n| (at("2026-11-30T00:00:00Z") + TimeDelta::days(n)).date_naive().to_string()).collect();
    assert_eq!(copied["kept"], json!(past));
    assert_eq!(app.rows("overrides").await, 1);

    // In Auckland the week is over.
    let schedule = json!({ "time_zone": "Pacific/Auckland", "weekly": windows(&WEEK, "09:00", "17:00") });
    therapist.replace(SCHEDULE, schedule).await.is(200);
    copy(&["2026-11-30"], true).await.points_to(&["/to_weeks/0"]);
    copy(&["2026-12-07"], true).await.is(201);
    assert_eq!(app.rows("overrides").await, 8);
}

#[tokio::test]
async fn bookings_outside_the_hours_are_listed_and_stay() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let book = async |start: &str| client.books(&therapist, address, start).await.is(201);
    let (tuesday, wednesday, late) =
        (book("2026-12-01T00:00:00Z").await, book("2026-12-02T00:00:00Z").await, book("2026-12-14T05:00:00Z").await);
    assert!(outside(&therapist).await.is_empty());

    set_date(&therapist, "2026-12-01", json!([])).await;
    assert_eq!(outside(&therapist).await, [tuesday.id()]);
    plan(&therapist, "2026-12-02", windows(&WEEK, "09:00", "16:30")).await.is(200);
    assert_eq!(outside(&therapist).await, [tuesday.id(), late.id()], "from 16:00 to 17:00 is half outside");
    therapist.post(COPIES, json!({ "from_week": "2026-11-30", "to_weeks": ["2026-12-14"] })).await.is(201);
    assert_eq!(outside(&therapist).await, [tuesday.id()], "the 14th is like the 30th was");
    therapist.replace(&format!("{SCHEDULES}/2026-12-02"), week(json!([]))).await.is(200);
    assert_eq!(outside(&therapist).await, [tuesday.id(), wednesday.id()]);
    set_date(&therapist, "2026-12-14", json!([{ "start": "16:15", "end": "18:00" }])).await;
    assert_eq!(outside(&therapist).await, [tuesday.id(), wednesday.id(), late.id()]);
    for booking in [&tuesday, &wednesday, &late] {
        assert_eq!(client.get(&booking.header("location")).await.body["status"], "confirmed");
    }

    let page = therapist.get(&format!("{OUTSIDE}?limit=2")).await.is(200).body;
    assert_eq!(page["data"][1], json!({ "id": wednesday.id(), "start_at": "2026-12-02T00:00:00Z" }));
    let rest = format!("{OUTSIDE}?cursor={}", page["next_cursor"].as_str().unwrap());
    let rest = therapist.get(&rest).await.is(200).body;
    assert_eq!((&rest["data"][0]["id"], &rest["next_cursor"]), (&json!(late.id()), &Value::Null));
    therapist.get(&format!("{OUTSIDE}?cursor=x")).await.points_to(&["/cursor"]);
    assert!(outside(&app.therapist().await).await.is_empty(), "another's are not listed");

    client.post(&format!("{}/cancel", tuesday.header("location")), json!({})).await.is(200);
    set_date(&therapist, "2026-12-14", json!([{ "start": "16:00", "end": "17:00" }])).await;
    assert_eq!(outside(&therapist).await, [wednesday.id()], "what is called off or back within the hours is not");
    app.advance(at("2026-12-02T00:59:59Z") - app.now());
    assert_eq!(outside(&therapist).await, [wednesday.id()]);
    app.advance(TimeDelta::seconds(1));
    assert!(outside(&therapist).await.is_empty(), "what is over is not");
}

#[tokio::test]
async fn a_visit_is_outside_by_the_therapists_own_clock_and_across_midnight() {
    let app = App::start_at(at("2026-09-28T00:00:00Z")).await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    therapist.works(&WEEK.map(|day| (day, "22:00", "06:00"))).await;
    // In the night that is an hour short: from 23:30 to 00:30, and from 03:30 to 04:30.
    let eve = client.books(&therapist, address, "2026-10-03T13:30:00Z").await.is(201);
    let morning = client.books(&therapist, address, "2026-10-03T16:30:00Z").await.is(201);
    therapist.works(&WEEK.map(|day| (day, "22:00", "04:30"))).await;
    assert!(outside(&therapist).await.is_empty());
    therapist.works(&WEEK.map(|day| (day, "22:00", "04:15"))).await;
    assert_eq!(outside(&therapist).await, [morning.id()]);
    // The evening belongs to the 3rd: closing the 4th does not touch it.
    set_date(&therapist, "2026-10-04", json!([])).await;
    assert_eq!(outside(&therapist).await, [morning.id()]);
    set_date(&therapist, "2026-10-03", json!([{ "start": "22:00", "end": "00:15" }])).await;
    assert_eq!(outside(&therapist).await, [eve.id(), morning.id()]);
    set_date(&therapist, "2026-10-03", json!([{ "start": "22:00", "end": "00:00" }])).await;
    set_date(&therapist, "2026-10-04", json!([{ "start": "00:00", "end": "05:00" }])).await;
    assert!(outside(&therapist).await.is_empty(), "windows that touch are one");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_change_of_hours_and_a_booking_at_once_know_of_each_other() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let (mut booked, mut refused) = (0, 0);
    for round in 0..100 {
        // In turn: a date, the week in force, a planned timetable, a copied week.
        let change = async || match round % 4 {
            0 => set_date(&therapist, "2026-12-14", json!([])).await,
            1 => therapist.works(&[]).await,
            2 => drop(plan(&therapist, "2026-12-14", json!([])).await.is(200)),
            _ => {
                let copy = json!({ "from_week": "2026-12-07", "to_weeks": ["2026-12-14"] });
                drop(therapist.post(COPIES, copy).await.is(201));
            }
        };
        if round % 4 == 3 {
            set_date(&therapist, "2026-12-07", json!([])).await;
        }
        let change_and_look = async || {
            change().await;
            outside(&therapist).await
        };
        let (listed, visit) =
            tokio::join!(change_and_look(), client.books(&therapist, address, "2026-12-14T00:00:00Z"));
        match visit.status.as_u16() {
            201 => {
                booked += 1;
                assert_eq!(listed, [visit.id()], "the change came second, and whoever made it can see the visit");
                client.post(&format!("{}/cancel", visit.header("location")), json!({})).await.is(200);
            }
            409 => {
                refused += 1;
                visit.refused(409, "slot_unavailable");
                assert!(listed.is_empty(), "the change came first");
            }
            other => panic!("{other}: {}", visit.text),
        }
        app.sql("DELETE FROM overrides; DELETE FROM timetables WHERE effective_from > '2000-01-01'").await.unwrap();
        therapist.works(&WEEK.map(|day| (day, "09:00", "17:00"))).await;
    }
    println!("100 rounds: {booked} booked, {refused} refused");
}
