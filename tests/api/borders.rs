//! The therapist's own rules at their exact borders, and hours on the dates when clocks change.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, App, Person, WEEK, at, send};

const PROFILE: &str = "/v1/therapists/me";

async fn around_the_clock(therapist: &Person) {
    therapist.works(&WEEK.map(|day| (day, "00:00", "00:00"))).await;
}

async fn hold(client: &Person, therapist: &Person, address: Uuid, start: &str) -> Answer {
    client.post("/v1/holds", client.wish(therapist, address, start)).await
}

async fn book_held(client: &Person, hold: &Answer) -> Answer {
    client.books_with_key(&Uuid::now_v7().to_string(), &json!({ "hold_id": hold.id() })).await
}

#[tokio::test]
async fn the_notice_is_counted_to_the_second() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let today = async || client.slots(&therapist, "2026-11-30", "2026-11-30").await;
    // It is noon in Sydney, and the notice two hours.
    assert_eq!(today().await[0], "2026-11-30T03:00:00Z");
    for soon in ["2026-11-30T02:45:00Z", "2026-11-30T02:59:59Z"] {
        client.books(&therapist, address, soon).await.refused(422, "notice_too_short");
        hold(&client, &therapist, address, soon).await.refused(422, "notice_too_short");
    }
    let held = hold(&client, &therapist, address, "2026-11-30T03:00:00Z").await.is(201);
    client.delete(&held.header("location")).await.is(204);
    app.advance(TimeDelta::seconds(1));
    assert_eq!(today().await[0], "2026-11-30T03:15:00Z");
    hold(&client, &therapist, address, "2026-11-30T03:00:00Z").await.refused(422, "notice_too_short");
    client.books(&therapist, address, "2026-11-30T03:00:00Z").await.refused(422, "notice_too_short");
    app.advance(TimeDelta::seconds(14 * 60 + 59));
    client.books(&therapist, address, "2026-11-30T03:15:00Z").await.is(201);
}

#[tokio::test]
async fn the_horizon_is_counted_to_the_second() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.change(PROFILE, json!({ "max_advance_days": 1 })).await.is(200);
    let (client, address) = app.client_at_home().await;
    let tomorrow = async || client.slots(&therapist, "2026-12-01", "2026-12-02").await.last().cloned();
    assert_eq!(tomorrow().await.unwrap(), "2026-12-01T01:00:00Z");
    client.books(&therapist, address, "2026-12-01T01:15:00Z").await.refused(422, "beyond_horizon");
    hold(&client, &therapist, address, "2026-12-01T01:15:00Z").await.refused(422, "beyond_horizon");
    app.advance(TimeDelta::seconds(14 * 60 + 59));
    client.books(&therapist, address, "2026-12-01T01:15:00Z").await.refused(422, "beyond_horizon");
    app.advance(TimeDelta::seconds(1));
    client.books(&therapist, address, "2026-12-01T01:15:00Z").await.is(201);
}

#[tokio::test]
async fn notice_and_horizon_are_stretches_of_time_and_not_of_the_clock() {
    // Half past one in the night in which Sydney jumps from two to three.
    let app = App::start_at(at("2026-10-03T15:30:00Z")).await;
    let therapist = app.therapist().await;
    around_the_clock(&therapist).await;
    therapist.change(PROFILE, json!({ "min_notice_minutes": 60, "max_advance_days": 1 })).await.is(200);
    let client = app.client().await;
    let slots = client.slots(&therapist, "2026-10-04", "2026-10-06").await;
    // An hour later it is half past three, and a day later half past two.
    assert_eq!((slots[0].as_str(), slots.last().unwrap().as_str()), ("2026-10-03T16:30:00Z", "2026-10-04T15:30:00Z"));
}

/// Instants around a date on which one visit is allowed.
struct CappedDate {
    day_before: &'static str,
    late: &'static str,
    first_minute: &'static str,
    minute_before: &'static str,
    minute_after: &'static str,
}

#[tokio::test]
async fn the_cap_counts_local_dates_of_23_and_25_hours() {
    let cases = [
        CappedDate {
            day_before: "2026-10-02T00:00:00Z",
            late: "2026-10-04T12:30:00Z",
            first_minute: "2026-10-03T14:00:00Z",
            minute_before: "2026-10-03T12:45:00Z",
            minute_after: "2026-10-04T14:15:00Z",
        },
        CappedDate {
            day_before: "2027-04-02T00:00:00Z",
            late: "2027-04-04T12:30:00Z",
            first_minute: "2027-04-03T13:00:00Z",
            minute_before: "2027-04-03T11:45:00Z",
            minute_after: "2027-04-04T14:15:00Z",
        },
    ];
    for CappedDate { day_before, late, first_minute, minute_before, minute_after } in cases {
        let app = App::start_at(at(day_before)).await;
        let therapist = app.therapist().await;
        around_the_clock(&therapist).await;
        therapist.change(PROFILE, json!({ "daily_cap": 1 })).await.is(200);
        let (client, address) = app.client_at_home().await;
        client.books(&therapist, address, late).await.is(201);
        client.books(&therapist, address, first_minute).await.refused(409, "slot_unavailable");
        hold(&client, &therapist, address, first_minute).await.refused(409, "slot_unavailable");
        let date = &late[..10];
        assert!(client.slots(&therapist, date, date).await.is_empty(), "{day_before}");
        for outside in [minute_before, minute_after] {
            client.books(&therapist, address, outside).await.is(201);
        }
    }
}

#[tokio::test]
async fn a_visit_counts_on_the_date_on_which_it_begins() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    around_the_clock(&therapist).await;
    therapist.change(PROFILE, json!({ "daily_cap": 1 })).await.is(200);
    let (client, address) = app.client_at_home().await;
    // From 23:30 on the 1st until 00:30 on the 2nd, with set-up from 23:20.
    client.books(&therapist, address, "2026-12-01T12:30:00Z").await.is(201);
    client.books(&therapist, address, "2026-12-01T00:00:00Z").await.refused(409, "slot_unavailable");
    client.books(&therapist, address, "2026-12-02T00:00:00Z").await.is(201);
    // At 00:00 on the 4th, with set-up on the 3rd.
    client.books(&therapist, address, "2026-12-03T13:00:00Z").await.is(201);
    client.books(&therapist, address, "2026-12-03T00:00:00Z").await.is(201);
    client.books(&therapist, address, "2026-12-04T00:00:00Z").await.refused(409, "slot_unavailable");
    therapist.change(PROFILE, json!({ "daily_cap": 2 })).await.is(200);
    client.books(&therapist, address, "2026-12-04T00:00:00Z").await.is(201);
}

#[tokio::test]
async fn holds_and_requests_count_towards_the_cap_and_never_against_themselves() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.change(PROFILE, json!({ "daily_cap": 1 })).await.is(200);
    let ((client, address), (other, elsewhere)) = (app.client_at_home().await, app.client_at_home().await);
    let (morning, afternoon) = ("2026-12-01T00:00:00Z", "2026-12-01T04:00:00Z");
    hold(&client, &therapist, address, morning).await.is(201);
    other.books(&therapist, elsewhere, afternoon).await.refused(409, "slot_unavailable");
    hold(&other, &therapist, elsewhere, afternoon).await.refused(409, "slot_unavailable");
    app.advance(TimeDelta::minutes(10));
    let held = hold(&other, &therapist, elsewhere, afternoon).await.is(201);
    let visit = book_held(&other, &held).await.is(201);
    hold(&client, &therapist, address, morning).await.refused(409, "slot_unavailable");
    other.post(&format!("{}/cancel", visit.header("location")), json!({})).await.is(200);

    therapist.change(PROFILE, json!({ "booking_mode": "request" })).await.is(200);
    let request = client.books(&therapist, address, morning).await.is(201);
    other.books(&therapist, elsewhere, afternoon).await.refused(409, "slot_unavailable");
    let accepted = therapist.act(&format!("{}/accept", request.header("location"))).await.is(200);
    assert_eq!(accepted.body["status"], "confirmed");
}

/// The hours of one date alone, by a clock in `zone`, as clients in Sydney see them.
async fn slots_of(zone: &str, now: &str, date: &str, windows: Value, days: [&str; 2]) -> Vec<String> {
    let app = App::start_at(at(now)).await;
    let therapist = app.therapist().await;
    therapist.replace("/v1/therapists/me/schedule", json!({ "time_zone": zone, "weekly": [] })).await.is(200);
    let path = format!("/v1/therapists/me/overrides/{date}");
    send(therapist.request(Method::PUT, &path).json(&json!({ "windows": windows }))).await.is(200);
    app.client().await.slots(&therapist, days[0], days[1]).await
}

#[tokio::test]
async fn hours_follow_the_clock_through_gaps_and_repeats() {
    let window = |start: &str, end: &str| json!([{ "start": start, "end": end }]);
    let spring = ("2026-10-01T00:00:00Z", "2026-10-04", ["2026-10-03", "2026-10-05"]);
    let autumn = ("2027-04-01T00:00:00Z", "2027-04-04", ["2027-04-03", "2027-04-05"]);
    let in_zone = async |zone: &str, (now, date, days): (&str, &str, [&str; 2]), start: &str, end: &str| {
        let slots = slots_of(zone, now, date, window(start, end), days).await;
        let times = slots.iter().map(|slot| slot[11..16].to_owned()).collect::<Vec<_>>().join(" ");
        (slots[0][..10].to_owned(), times)
    };
    let expect = |date: &str, times: &str| (date.to_owned(), times.to_owned());
    // Skipped: two becomes three, half an hour on Lord Howe. The hour on the table lasts an hour all the same.
    let sydney = "Australia/Sydney";
    assert_eq!(in_zone(sydney, spring, "02:15", "04:15").await, expect("2026-10-03", "16:00 16:15"));
    assert_eq!(in_zone(sydney, spring, "01:00", "03:30").await, expect("2026-10-03", "15:00 15:15 15:30"));
    let lord_howe = "Australia/Lord_Howe";
    assert_eq!(
        in_zone(lord_howe, spring, "01:00", "03:30").await,
        expect("2026-10-03", "14:30 14:45 15:00 15:15 15:30")
    );
    assert_eq!(in_zone(lord_howe, spring, "02:10", "03:30").await, expect("2026-10-03", "15:30"));
    // Repeated: from the first occurrence to the second.
    assert_eq!(in_zone(sydney, autumn, "02:00", "02:30").await, expect("2027-04-03", "15:00 15:15 15:30"));
    assert_eq!(in_zone(lord_howe, autumn, "01:30", "02:00").await, expect("2027-04-03", "14:30"));
    // Clocks that jump at midnight.
    let havana = ("2026-03-04T00:00:00Z", "2026-03-08", ["2026-03-07", "2026-03-10"]);
    assert_eq!(in_zone("America/Havana", havana, "00:00", "02:00").await, expect("2026-03-08", "05:00"));
    let havana = ("2027-11-03T00:00:00Z", "2027-11-07", ["2027-11-06", "2027-11-08"]);
    assert_eq!(
        in_zone("America/Havana", havana, "00:00", "01:00").await,
        expect("2027-11-07", "04:00 04:15 04:30 04:45 05:00")
    );
    let beirut = ("2027-03-25T00:00:00Z", "2027-03-28", ["2027-03-27", "2027-03-29"]);
    assert_eq!(in_zone("Asia/Beirut", beirut, "00:30", "02:00").await, expect("2027-03-27", "22:00"));
}

#[tokio::test]
async fn windows_of_a_date_are_many_and_join_their_neighbours() {
    let split = json!([{ "start": "13:00", "end": "14:00" }, { "start": "10:00", "end": "11:00" }, { "start": "09:00", "end": "10:00" }]);
    let days = ["2026-12-01", "2026-12-03"];
    let slots = slots_of("Australia/Sydney", "2026-11-30T01:00:00Z", "2026-12-02", split, days).await;
    let expected = ["01T22:00", "01T22:15", "01T22:30", "01T22:45", "01T23:00", "02T02:00"];
    assert_eq!(slots, expected.map(|time| format!("2026-12-{time}:00Z")), "nine to eleven is one stretch");

    // Past midnight, into the next date's window.
    let app = App::start().await;
    let therapist = app.therapist().await;
    let client = app.client().await;
    therapist.works(&[("thursday", "00:30", "01:30")]).await;
    let path = "/v1/therapists/me/overrides/2026-12-02";
    let night = json!({ "windows": [{ "start": "23:30", "end": "00:30" }] });
    send(therapist.request(Method::PUT, path).json(&night)).await.is(200);
    let slots = client.slots(&therapist, "2026-12-02", "2026-12-03").await;
    let expected = ["12:30", "12:45", "13:00", "13:15", "13:30"];
    assert_eq!(slots, expected.map(|time| format!("2026-12-02T{time}:00Z")));
    // A whole day and the night after it.
    therapist.replace(path, json!({ "windows": [{ "start": "00:00", "end": "00:00" }] })).await.is(200);
    let slots = client.slots(&therapist, "2026-12-02", "2026-12-03").await;
    assert_eq!((slots.len(), slots.last().unwrap().as_str()), (23 * 4 + 1 + 1, "2026-12-02T13:30:00Z"));
}
