use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, send};

const SCHEDULE: &str = "/v1/therapists/me/schedule";
const OVERRIDES: &str = "/v1/therapists/me/overrides";
const TIME_OFF: &str = "/v1/therapists/me/time-off";

#[tokio::test]
async fn a_week_comes_back_in_order() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let window = |day: &str, start: &str, end: &str| json!({ "day": day, "start": start, "end": end });
    let week = |windows: &[Value]| json!({ "time_zone": "Australia/Lord_Howe", "weekly": windows });
    let (late, early, split) =
        (window("sunday", "22:00", "02:00"), window("monday", "09:00", "12:00"), window("monday", "13:00", "00:00"));
    let saved = therapist.replace(SCHEDULE, week(&[late.clone(), split.clone(), early.clone()])).await.is(200).body;
    let sorted = week(&[early, split, late]);
    let told = json!({ "time_zone": sorted["time_zone"], "weekly": sorted["weekly"], "unbookable": [] });
    assert_eq!(saved, told);
    assert_eq!(therapist.get(SCHEDULE).await.is(200).body, sorted);
    assert_eq!(therapist.get("/v1/therapists/me").await.body["time_zone"], "Australia/Lord_Howe");
}

#[tokio::test]
async fn a_bad_week_is_pointed_to() {
    let app = App::start().await;
    let therapist = app.newcomer().await;
    let put = |weekly: Value| therapist.replace(SCHEDULE, json!({ "time_zone": "UTC", "weekly": weekly }));
    let window = |day: &str, start: &str, end: &str| json!({ "day": day, "start": start, "end": end });
    put(json!([window("monday", "09:00", "12:00"), window("monday", "11:00", "13:00")]))
        .await
        .points_to(&["/weekly/1"]);
    put(json!([window("monday", "00:30", "02:00"), window("sunday", "23:00", "01:00")]))
        .await
        .points_to(&["/weekly/0"]);
    put(json!([window("moonday", "09:00", "12:00")])).await.points_to(&["/weekly/0/day"]);
    for bad in ["9:00", "24:00", "09:60", "09:00:00", "+9:00", "noon"] {
        put(json!([window("monday", bad, "12:00")])).await.points_to(&["/weekly/0/start"]);
    }
    for zone in
        [json!("Nowhere"), json!("+10:00"), json!("Australia/"), json!("\u{0}"), json!(""), json!(10), json!(null)]
    {
        let week = json!({ "time_zone": zone, "weekly": [] });
        therapist.replace(SCHEDULE, week).await.points_to(&["/time_zone"]);
    }
    assert_eq!(therapist.get(SCHEDULE).await.body["weekly"], json!([]));
}

#[tokio::test]
async fn an_override_replaces_the_day() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let client = app.client().await;
    let put = |date: &str, windows: Value| {
        send(therapist.request(Method::PUT, &format!("{OVERRIDES}/{date}")).json(&json!({ "windows": windows })))
    };
    put("2026-12-02", json!([])).await.is(200);
    let noon = json!([{ "start": "12:00", "end": "13:00" }]);
    let saved = put("2026-12-03", noon.clone()).await.is(200);
    assert_eq!(saved.body, json!({ "date": "2026-12-03", "windows": noon, "unbookable": [] }));
    assert!(client.slots(&therapist, "2026-12-02", "2026-12-02").await.is_empty());
    assert_eq!(client.slots(&therapist, "2026-12-03", "2026-12-03").await, ["2026-12-03T01:00:00Z"]);

    put("2026-12-03", json!([])).await.refused(428, "precondition_required");
    therapist.replace(&format!("{OVERRIDES}/2026-12-03"), json!({ "windows": [] })).await.is(200);
    let dates = therapist.get(&format!("{OVERRIDES}?limit=1")).await.is(200).body;
    assert_eq!(dates["data"][0]["date"], "2026-12-02");
    let next = dates["next_cursor"].as_str().unwrap();
    assert_eq!(therapist.get(&format!("{OVERRIDES}?cursor={next}")).await.body["data"][0]["date"], "2026-12-03");

    therapist.delete(&format!("{OVERRIDES}/2026-12-02")).await.is(204);
    therapist.delete(&format!("{OVERRIDES}/2026-12-02")).await.refused(404, "not_found");
    therapist.get(&format!("{OVERRIDES}/2026-12-02")).await.refused(404, "not_found");
    assert!(!client.slots(&therapist, "2026-12-02", "2026-12-02").await.is_empty());

    for bad in ["2026-13-01", "tomorrow", "1999-12-31", "+2026-12-01", "%00"] {
        put(bad, json!([])).await.points_to(&["/date"]);
    }
    let overlapping = json!([{ "start": "09:00", "end": "12:00" }, { "start": "11:59", "end": "13:00" }]);
    put("2026-12-05", overlapping).await.points_to(&["/windows/1"]);
}

#[tokio::test]
async fn time_off_lists_the_visits_that_it_hits_and_cancels_none() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let booking = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201);
    let off = json!({ "start_at": "2026-12-01T11:05:00+11:00", "end_at": "2026-12-02T00:00:00Z", "note": "Family" });
    let made = therapist.post(TIME_OFF, off).await.is(201);
    assert_eq!(made.body["start_at"], "2026-12-01T00:05:00Z");
    assert_eq!(made.body["bookings"], json!([{ "id": booking.body["id"], "start_at": "2026-12-01T00:00:00Z" }]));
    assert_eq!(client.get(&booking.header("location")).await.body["status"], "confirmed");
    let before = ["2026-11-30T22:00:00Z", "2026-11-30T22:15:00Z", "2026-11-30T22:30:00Z"];
    assert_eq!(client.slots(&therapist, "2026-12-01", "2026-12-01").await, before);
    client.books(&therapist, address, "2026-12-01T03:00:00Z").await.refused(409, "slot_unavailable");

    let id = made.id();
    assert_eq!(therapist.get(TIME_OFF).await.is(200).body["data"][0]["id"], id.to_string());
    app.therapist().await.delete(&format!("{TIME_OFF}/{id}")).await.refused(404, "not_found");
    therapist.delete(&format!("{TIME_OFF}/{id}")).await.is(204);
    client.books(&therapist, address, "2026-12-01T03:00:00Z").await.is(201);

    let reversed = json!({ "start_at": "2026-12-02T00:00:00Z", "end_at": "2026-12-02T00:00:00Z" });
    therapist.post(TIME_OFF, reversed).await.points_to(&["/end_at"]);
    for bad in ["2026-12-02", "2026-12-02T00:00:00", "+262142-01-01T00:00:00Z", "infinity", "1999-01-01T00:00:00Z"] {
        therapist
            .post(TIME_OFF, json!({ "start_at": bad, "end_at": "2026-12-03T00:00:00Z" }))
            .await
            .points_to(&["/start_at"]);
    }
}

#[tokio::test]
async fn time_off_says_what_it_hits_now() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let first = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201);
    let second = client.books(&therapist, address, "2026-12-01T03:00:00Z").await.is(201);
    let hit = |booking: &Answer| json!({ "id": booking.body["id"], "start_at": booking.body["start_at"] });
    let off = async |start: &str, end: &str| {
        therapist.post(TIME_OFF, json!({ "start_at": start, "end_at": end })).await.is(201)
    };
    // Pack-up of the first visit ends at 01:10, and set-up of the second begins at 02:50.
    let between = off("2026-12-01T01:10:00Z", "2026-12-01T02:50:00Z").await;
    let both = off("2026-12-01T01:09:00Z", "2026-12-01T02:51:00Z").await;
    off("2026-12-05T00:00:00Z", "2026-12-06T00:00:00Z").await;
    assert_eq!(both.body["bookings"], json!([hit(&first), hit(&second)]));
    let listed = therapist.get(TIME_OFF).await.is(200).body;
    let hits: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|off| &off["bookings"]).collect();
    assert_eq!(hits, [&both.body["bookings"], &json!([]), &json!([])]);
    let shown = therapist.get(&both.header("location")).await.is(200);
    assert_eq!((&shown.body, shown.header("etag")), (&both.body, both.header("etag")));

    client.post(&format!("{}/cancel", first.header("location")), json!({})).await.is(200);
    assert_eq!(therapist.get(&both.header("location")).await.body["bookings"], json!([hit(&second)]));
    let stale = therapist.request(Method::PATCH, &both.header("location")).header("If-Match", both.header("etag"));
    send(stale.json(&json!({}))).await.refused(412, "precondition_failed");
    // A request that lapses is hit no more, and a hold never was.
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    therapist.delete(&between.header("location")).await.is(204);
    therapist.delete(&both.header("location")).await.is(204);
    let request = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201);
    client.post("/v1/holds", client.wish(&therapist, address, "2026-12-01T05:00:00Z")).await.is(201);
    let all_day = off("2026-12-01T00:00:00Z", "2026-12-01T12:00:00Z").await;
    assert_eq!(all_day.body["bookings"], json!([hit(&request), hit(&second)]));
    app.advance(TimeDelta::hours(12));
    assert_eq!(therapist.get(&all_day.header("location")).await.body["bookings"], json!([hit(&second)]));
}

#[tokio::test]
async fn time_off_is_changed_by_whoever_has_read_it() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let visit = client.books(&therapist, address, "2026-12-02T00:00:00Z").await.is(201);
    let off = json!({ "start_at": "2026-12-01T00:00:00Z", "end_at": "2026-12-01T02:00:00Z", "note": "Family" });
    let path = therapist.post(TIME_OFF, off).await.is(201).header("location");
    let patch = |body: Value| send(therapist.request(Method::PATCH, &path).json(&body));
    patch(json!({ "note": null })).await.refused(428, "precondition_required");
    for (body, pointer) in [
        (json!({ "end_at": "2026-12-01T00:00:00Z" }), "/end_at"),
        (json!({ "start_at": "2026-12-01T02:00:00Z" }), "/end_at"),
        (json!({ "start_at": null, "end_at": "tomorrow" }), "/end_at"),
        (json!({ "note": "" }), "/note"),
        (json!({ "bookings": [] }), "/bookings"),
    ] {
        therapist.change(&path, body).await.points_to(&[pointer]);
    }
    let changed = therapist.change(&path, json!({ "note": null })).await.is(200).body;
    assert_eq!((&changed["note"], &changed["end_at"]), (&Value::Null, &json!("2026-12-01T02:00:00Z")));
    let moved = json!({ "start_at": "2026-12-01T23:00:00Z", "end_at": "2026-12-02T02:00:00Z" });
    let moved = therapist.change(&path, moved).await.is(200);
    assert_eq!(moved.body["bookings"], json!([{ "id": visit.body["id"], "start_at": "2026-12-02T00:00:00Z" }]));
    assert_eq!(therapist.get(&path).await.header("etag"), moved.header("etag"));
    client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201);
    client.books(&therapist, address, "2026-12-01T22:00:00Z").await.refused(409, "slot_unavailable");

    let other = app.newcomer().await;
    other.get(&path).await.refused(404, "not_found");
    send(other.request(Method::PATCH, &path).header("If-Match", "*").json(&json!({}))).await.refused(404, "not_found");
    assert!(other.get(TIME_OFF).await.body["data"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn time_off_may_touch_and_overlap() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let client = app.client().await;
    let off = async |start: &str, end: &str| {
        let body = json!({ "start_at": format!("2026-12-01T{start}:00Z"), "end_at": format!("2026-12-01T{end}:00Z") });
        therapist.post(TIME_OFF, body).await.is(201).header("location")
    };
    // From 09:00 until 15:00 in Sydney, in four pieces.
    off("01:00", "02:00").await;
    let long = off("00:00", "03:30").await;
    off("03:30", "04:00").await;
    // The evening before has no hours.
    let body = json!({ "start_at": "2026-11-30T12:00:00Z", "end_at": "2026-12-01T00:00:00Z" });
    therapist.post(TIME_OFF, body).await.is(201);
    let slots = client.slots(&therapist, "2026-12-01", "2026-12-01").await;
    // Set-up may not begin before 15:00 either.
    assert_eq!((slots[0].as_str(), slots.len()), ("2026-12-01T04:15:00Z", 4));
    // What one of them covered alone is free again, and what others cover is not.
    therapist.delete(&long).await.is(204);
    let slots = client.slots(&therapist, "2026-12-01", "2026-12-01").await;
    assert_eq!(slots[0], "2026-12-01T02:15:00Z");
    assert!(!slots.contains(&"2026-12-01T02:30:00Z".to_owned()), "pack-up would run into it");
}
