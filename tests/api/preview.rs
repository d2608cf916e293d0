//! What a therapist sees of their own time.

use serde_json::{Value, json};

use crate::support::{App, Person, surry_hills};

const PREVIEW: &str = "/v1/therapists/me/availability";

/// Kind, beginning, end and booking, with the date left out of times on the first of December.
fn told(interval: &Value) -> (String, String, String, bool) {
    let text = |name: &str| interval[name].as_str().unwrap().replace("2026-12-01T", "");
    (text("kind"), text("start_at"), text("end_at"), interval["booking_id"].is_string())
}

async fn preview(therapist: &Person, from: &str, to: &str) -> Vec<(String, String, String, bool)> {
    let body = therapist.get(&format!("{PREVIEW}?from={from}&to={to}")).await.is(200).body;
    assert_eq!(body["time_zone"], "Australia/Sydney");
    body["data"].as_array().unwrap().iter().map(told).collect()
}

fn interval(kind: &str, start: &str, end: &str, booked: bool) -> (String, String, String, bool) {
    (kind.to_owned(), start.to_owned(), end.to_owned(), booked)
}

#[tokio::test]
async fn a_day_as_its_therapist_sees_it() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    assert_eq!(
        preview(&therapist, "2026-12-01", "2026-12-01").await,
        [
            interval("window", "2026-11-30T22:00:00Z", "06:00:00Z", false),
            interval("free", "2026-11-30T22:00:00Z", "06:00:00Z", false),
        ]
    );
    let (client, address) = app.client_at_home().await;
    let mut bondi = surry_hills();
    (bondi["latitude"], bondi["longitude"]) = (json!(-33.8915), json!(151.2767));
    let away = client.address(bondi).await;
    let booked = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201);
    client.post("/v1/holds", client.wish(&therapist, away, "2026-12-01T03:00:00Z")).await.is(201);
    let off = json!({ "start_at": "2026-12-01T05:00:00Z", "end_at": "2026-12-01T12:00:00Z" });
    therapist.post("/v1/therapists/me/time-off", off).await.is(201);
    let day = [
        interval("window", "2026-11-30T22:00:00Z", "06:00:00Z", false),
        interval("free", "2026-11-30T22:00:00Z", "2026-11-30T23:50:00Z", false),
        interval("set_up", "2026-11-30T23:50:00Z", "00:00:00Z", true),
        interval("visit", "00:00:00Z", "01:00:00Z", true),
        interval("pack_up", "01:00:00Z", "01:10:00Z", true),
        interval("travel", "01:10:00Z", "01:35:00Z", false),
        interval("free", "01:35:00Z", "02:50:00Z", false),
        interval("set_up", "02:50:00Z", "03:00:00Z", false),
        interval("hold", "03:00:00Z", "04:00:00Z", false),
        interval("pack_up", "04:00:00Z", "04:10:00Z", false),
        interval("free", "04:10:00Z", "05:00:00Z", false),
        interval("time_off", "05:00:00Z", "12:00:00Z", false),
    ];
    assert_eq!(preview(&therapist, "2026-12-01", "2026-12-01").await, day);
    let body = therapist.get(&format!("{PREVIEW}?from=2026-12-01&to=2026-12-01")).await.body;
    assert_eq!(body["data"][3]["booking_id"], json!(booked.id()));

    // What was set up for stays so long, whatever changes later.
    therapist.change("/v1/therapists/me", json!({ "setup_minutes": 30, "packup_minutes": 0 })).await.is(200);
    assert_eq!(preview(&therapist, "2026-12-01", "2026-12-01").await, day);
    // A hold that has lapsed is gone, and the way to it too.
    app.advance(chrono::TimeDelta::minutes(11));
    let later = preview(&therapist, "2026-12-01", "2026-12-01").await;
    assert_eq!(later[5..7], [interval("free", "01:10:00Z", "05:00:00Z", false), day[11].clone()]);
    client.post(&format!("{}/cancel", booked.header("location")), json!({})).await.is(200);
    assert_eq!(preview(&therapist, "2026-12-01", "2026-12-01").await.len(), 3);
}

#[tokio::test]
async fn a_counter_offer_is_shown_as_one_with_its_booking() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, "2026-12-01T00:00:00Z").await.is(201).header("location");
    let offers = format!("{path}/counter-offers");
    let offer = client.post(&offers, json!({ "start_at": "2026-12-01T03:00:00Z" })).await.is(201);
    let body = therapist.get(&format!("{PREVIEW}?from=2026-12-01&to=2026-12-01")).await.is(200).body;
    let shown: Vec<_> = body["data"].as_array().unwrap().iter().skip(1).map(told).collect();
    let visit = [
        interval("free", "2026-11-30T22:00:00Z", "2026-11-30T23:50:00Z", false),
        interval("set_up", "2026-11-30T23:50:00Z", "00:00:00Z", true),
        interval("visit", "00:00:00Z", "01:00:00Z", true),
        interval("pack_up", "01:00:00Z", "01:10:00Z", true),
    ];
    assert_eq!(shown[..4], visit);
    assert_eq!(
        shown[4..],
        [
            interval("free", "01:10:00Z", "02:50:00Z", false),
            interval("set_up", "02:50:00Z", "03:00:00Z", true),
            interval("counter_offer", "03:00:00Z", "04:00:00Z", true),
            interval("pack_up", "04:00:00Z", "04:10:00Z", true),
            interval("free", "04:10:00Z", "06:00:00Z", false),
        ]
    );
    assert_eq!(path, format!("/v1/bookings/{}", body["data"][7]["booking_id"].as_str().unwrap()));

    // Where it overlaps its visit, it takes up what comes after.
    client.act(&format!("{}/withdraw", offer.header("location"))).await.is(200);
    client.post(&offers, json!({ "start_at": "2026-12-01T00:30:00Z" })).await.is(201);
    let shown = preview(&therapist, "2026-12-01", "2026-12-01").await;
    assert_eq!(shown[1..5], visit);
    assert_eq!(
        shown[5..],
        [
            interval("counter_offer", "01:10:00Z", "01:30:00Z", true),
            interval("pack_up", "01:30:00Z", "01:40:00Z", true),
            interval("free", "01:40:00Z", "06:00:00Z", false),
        ]
    );
    // From half of the time to the visit on it has lapsed, whether anyone has noticed or not.
    app.advance(chrono::TimeDelta::minutes(11 * 60 + 30));
    assert_eq!(
        preview(&therapist, "2026-12-01", "2026-12-01").await[5..],
        [interval("free", "01:10:00Z", "06:00:00Z", false)]
    );
}

#[tokio::test]
async fn windows_are_cut_to_the_dates_and_visits_are_whole() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.works(&[("tuesday", "20:00", "04:00")]).await;
    let (client, address) = app.client_at_home().await;
    // Half past eleven until half past twelve at night.
    client.books(&therapist, address, "2026-12-01T12:30:00Z").await.is(201);
    let visit = [
        interval("set_up", "12:20:00Z", "12:30:00Z", true),
        interval("visit", "12:30:00Z", "13:30:00Z", true),
        interval("pack_up", "13:30:00Z", "13:40:00Z", true),
    ];
    let tuesday = preview(&therapist, "2026-12-01", "2026-12-01").await;
    assert_eq!(tuesday[0], interval("window", "09:00:00Z", "13:00:00Z", false));
    assert_eq!(tuesday[2..], visit[..2], "packing up is on Wednesday");
    let wednesday = preview(&therapist, "2026-12-02", "2026-12-02").await;
    assert_eq!(wednesday[0], visit[1]);
    assert_eq!(wednesday[1], interval("window", "13:00:00Z", "17:00:00Z", false));
    assert_eq!(wednesday[3], interval("free", "13:40:00Z", "17:00:00Z", false));
    assert_eq!(preview(&therapist, "2026-12-03", "2026-12-07").await, []);
}

#[tokio::test]
async fn only_therapists_preview_and_only_two_weeks() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let get = |query: &str| {
        let (therapist, path) = (therapist.clone(), format!("{PREVIEW}?{query}"));
        async move { therapist.get(&path).await }
    };
    get("from=2026-12-01&to=2026-12-14").await.is(200);
    get("from=2000-01-01&to=2000-01-01").await.is(200);
    get("from=2100-12-31&to=2100-12-31").await.is(200);
    get("from=2026-12-01&to=2026-12-15").await.points_to(&["/to"]);
    get("from=2026-12-02&to=2026-12-01").await.points_to(&["/to"]);
    get("from=2026-12-02").await.points_to(&["/to"]);
    get("to=2026-12-02").await.points_to(&["/from"]);
    get("from=1999-12-31&to=2000-01-01").await.points_to(&["/from"]);
    get("from=2100-12-31&to=2101-01-01").await.points_to(&["/to"]);
    get("from=today&to=2101-01-01").await.points_to(&["/from"]);
    get("from=2026-12-01&to=2026-12-01&zone=UTC").await.points_to(&["/zone"]);
    let path = format!("{PREVIEW}?from=2026-12-01&to=2026-12-01");
    app.nobody().get(&path).await.refused(401, "unauthorized");
    app.client().await.get(&path).await.refused(403, "forbidden");
    app.admin().await.get(&path).await.refused(403, "forbidden");
    // Someone else's time is not shown.
    assert_eq!(app.newcomer().await.get(&path).await.is(200).body["data"], json!([]));
}
