//! Starts that are counted from the beginning of a window, and windows that can never be booked.

use knead::availability::hints;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{App, DEEP_TISSUE, Person, at, send};

const PROFILE: &str = "/v1/therapists/me";
const SCHEDULE: &str = "/v1/therapists/me/schedule";
const TUESDAY: &str = "2026-12-01";

fn week(windows: &[(&str, &str, &str)]) -> Value {
    let weekly = windows.iter().map(|(day, start, end)| json!({ "day": day, "start": start, "end": end }));
    json!({ "time_zone": "Australia/Sydney", "weekly": weekly.collect::<Vec<_>>() })
}

/// The days, windows and reasons that an answer tells of.
fn unbookable(answer: &Value) -> Vec<(String, String, String)> {
    let text = |window: &Value, name: &str| window[name].as_str().unwrap().to_owned();
    let told = answer["unbookable"].as_array().unwrap().iter();
    let told = told.inspect(|window| assert!(window["detail"].as_str().unwrap().ends_with('.'), "{window}"));
    told.map(|window| (text(window, "day"), text(window, "start"), text(window, "reason"))).collect()
}

async fn counts_from(therapist: &Person, anchor: &str, interval: i32) {
    let rules = json!({ "slot_anchor": anchor, "slot_interval_minutes": interval });
    let profile = therapist.change(PROFILE, rules).await.is(200).body;
    assert_eq!((&profile["slot_anchor"], &profile["slot_interval_minutes"]), (&json!(anchor), &json!(interval)));
}

#[tokio::test]
async fn hours_that_can_never_be_booked_are_told_of() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    assert_eq!(therapist.get(PROFILE).await.is(200).body["slot_anchor"], "midnight");
    let odd = week(&[("tuesday", "09:10", "10:10"), ("wednesday", "09:00", "09:30"), ("thursday", "09:00", "10:00")]);
    let off_grid = ("tuesday".to_owned(), "09:10".to_owned(), "off_grid".to_owned());
    let too_short = ("wednesday".to_owned(), "09:00".to_owned(), "too_short".to_owned());
    for (anchor, interval, expected) in [
        ("midnight", 60, vec![off_grid.clone(), too_short.clone()]),
        ("midnight", 15, vec![off_grid.clone(), too_short.clone()]),
        ("midnight", 10, vec![too_short.clone()]),
        ("window", 60, vec![too_short.clone()]),
    ] {
        counts_from(&therapist, anchor, interval).await;
        let saved = therapist.replace(SCHEDULE, odd.clone()).await.is(200);
        assert_eq!(unbookable(&saved.body), expected, "{anchor} {interval}");
        // The tag is that of the week, which shows nothing of it, and what was answered can be sent as it came.
        let read = therapist.get(SCHEDULE).await.is(200);
        assert_eq!((&read.body, read.header("etag")), (&odd, saved.header("etag")));
        let again =
            send(therapist.request(Method::PUT, SCHEDULE).header("If-Match", saved.header("etag")).json(&saved.body));
        assert_eq!(again.await.is(200).body, saved.body);
        let preview = format!("{PROFILE}/availability?from={TUESDAY}&to=2026-12-03");
        let preview = therapist.get(&preview).await.is(200).body;
        let told: Vec<_> = preview["unbookable"].as_array().unwrap().iter().map(|told| &told["reason"]).collect();
        assert_eq!(
            told,
            expected.iter().map(|(_, _, reason)| json!(reason)).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
    }
    counts_from(&therapist, "midnight", 60).await;
    let day = format!("{PROFILE}/availability?from={TUESDAY}&to={TUESDAY}");
    let told = therapist.get(&day).await.is(200).body["unbookable"][0].clone();
    assert_eq!((&told["start_at"], &told["end_at"]), (&json!("2026-11-30T22:10:00Z"), &json!("2026-11-30T23:10:00Z")));

    // A plan for later and a single date tell of it too; what touches it counts.
    let planned =
        send(therapist.request(Method::PUT, "/v1/therapists/me/schedules/2026-12-08").json(&odd)).await.is(200);
    assert_eq!(unbookable(&planned.body), [off_grid, too_short]);
    let put = |date: &str, start: &str, end: &str| {
        let body = json!({ "windows": [{ "start": start, "end": end }] });
        send(therapist.request(Method::PUT, &format!("/v1/therapists/me/overrides/{date}")).json(&body))
    };
    let single = put("2026-12-04", "23:30", "00:00").await.is(200);
    assert_eq!(unbookable(&single.body), [("friday".to_owned(), "23:30".to_owned(), "too_short".to_owned())]);
    let read = therapist.get("/v1/therapists/me/overrides/2026-12-04").await.is(200);
    assert_eq!(read.header("etag"), single.header("etag"));
    assert_eq!(unbookable(&put("2026-12-05", "00:00", "01:00").await.is(200).body), []);
    assert_eq!(unbookable(&put("2026-12-06", "00:00", "00:45").await.is(200).body).len(), 1);

    // Whoever offers nothing yet is told nothing.
    let newcomer = app.newcomer().await;
    assert_eq!(unbookable(&newcomer.replace(SCHEDULE, odd).await.is(200).body), []);
    newcomer.change(PROFILE, json!({ "slot_anchor": "noon" })).await.points_to(&["/slot_anchor"]);
}

#[tokio::test]
async fn starts_are_counted_from_the_window_that_began_last() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let hours = [("tuesday", "09:10", "11:25"), ("tuesday", "11:25", "13:30"), ("tuesday", "23:40", "02:00")];
    therapist.replace(SCHEDULE, week(&hours)).await.is(200);
    counts_from(&therapist, "window", 60).await;
    let listed = async |date: &str| client.slots(&therapist, date, date).await;
    // Sydney is 11 hours ahead. The two windows that touch hold a visit over their border, and the second counts anew.
    let tuesday = [
        "2026-11-30T22:10:00Z",
        "2026-11-30T23:10:00Z",
        "2026-12-01T00:10:00Z",
        "2026-12-01T00:25:00Z",
        "2026-12-01T01:25:00Z",
        "2026-12-01T12:40:00Z",
    ];
    assert_eq!(listed(TUESDAY).await, tuesday);
    assert_eq!(listed("2026-12-02").await, ["2026-12-01T13:40:00Z"], "what runs on past midnight is counted on");
    // Whoever asks for nobody in particular goes by hints, which know the same starts.
    hints::refresh(&app.service.db, app.now()).await.unwrap();
    let anybody = async || {
        let path = format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from={TUESDAY}&to={TUESDAY}&latitude=-33.8886&longitude=151.2111\
             &country=AU&region=NSW"
        );
        let page = client.get(&path).await.is(200).body;
        let slots = page["data"][0]["slots"].as_array().cloned().unwrap_or_default();
        slots.iter().map(|slot| slot["start_at"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(anybody().await, tuesday);

    // Checks, explanations and bookings go by the same starts.
    let question = json!({
        "therapist_id": therapist.id, "service_id": DEEP_TISSUE, "duration_minutes": 60, "latitude": -33.8886, "longitude": 151.2111,
        "country": "AU", "region": "NSW", "starts": [tuesday[0], "2026-11-30T22:15:00Z", tuesday[3], "2026-12-01T05:00:00Z"],
    });
    let checked = therapist.post("/v1/slots/check", question).await.is(200).body;
    let refusals: Vec<&Value> = checked["data"].as_array().unwrap().iter().map(|start| &start["refusals"]).collect();
    assert_eq!(refusals, [&json!([]), &json!(["grid"]), &json!([]), &json!(["grid", "hours"])]);
    let explained = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from={TUESDAY}&to={TUESDAY}&latitude=-33.8886&longitude=151.2111&country=AU\
         &region=NSW&therapist_id={}&explain=true",
        therapist.id
    );
    let explained = therapist.get(&explained).await.is(200).body;
    let refused = explained["refused"].as_array().unwrap().iter().map(|start| (&start["start_at"], &start["refusals"]));
    assert_eq!(refused.collect::<Vec<_>>(), [(&json!("2026-12-01T02:25:00Z"), &json!(["hours"]))]);
    client.books(&therapist, address, "2026-11-30T22:15:00Z").await.refused(409, "slot_unavailable");
    client.books(&therapist, address, tuesday[3]).await.is(201);

    // Searches that remember the diary, and those that go by hints, see the change.
    counts_from(&therapist, "midnight", 60).await;
    assert_eq!(listed(TUESDAY).await, ["2026-11-30T23:00:00Z"]);
    assert_eq!(anybody().await, ["2026-11-30T23:00:00Z"]);
}

#[tokio::test]
async fn a_night_whose_clocks_change_keeps_to_the_minutes_of_its_window() {
    // Sydney jumps from two to three, so that 02:20 moves to the end of the gap; and falls back from three to two, so that 02:20 comes twice.
    for (now, first, last, expected) in [
        ("2026-10-01T00:00:00Z", "2026-10-03", "2026-10-04", &["13:20", "14:20", "15:20", "16:00", "16:20"][..]),
        ("2027-04-01T00:00:00Z", "2027-04-03", "2027-04-04", &["12:20", "13:20", "14:20", "15:20", "16:20", "17:20"]),
    ] {
        let app = App::start_at(at(now)).await;
        let therapist = app.therapist().await;
        therapist.works(&[("saturday", "23:20", "04:20")]).await;
        counts_from(&therapist, "window", 60).await;
        let starts = app.client().await.slots(&therapist, first, last).await;
        let shown: Vec<&str> = starts.iter().map(|start| &start[11..16]).collect();
        assert_eq!(shown, expected, "{first}");
    }
}
