use std::collections::HashSet;

use chrono::TimeDelta;
use knead::availability::hints;
use serde_json::{Value, json};

use crate::support::{App, DEEP_TISSUE, Person, WEEK};

const SURRY_HILLS: &str = "latitude=-33.8886&longitude=151.2111&country=AU&region=NSW";

async fn refresh(app: &App) {
    hints::refresh(&app.service.db, app.now()).await.unwrap();
}

/// A page of slots of an hour in Surry Hills.
async fn page(app: &App, rest: &str) -> Value {
    let path = format!("/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&{SURRY_HILLS}&{rest}");
    app.nobody().get(&path).await.is(200).body
}

const TUESDAY: &str = "from=2026-12-01&to=2026-12-01";

/// Who is listed on Tuesday, and their first start.
async fn listed(app: &App, rest: &str) -> Vec<(String, String)> {
    let data = page(app, &format!("{TUESDAY}&{rest}")).await["data"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    data.iter().map(|found| (text(&found["therapist"]["id"]), text(&found["slots"][0]["start_at"]))).collect()
}

/// Everyone who is listed page by page; `between` runs after each page.
async fn every_page(app: &App, rest: &str, mut between: impl AsyncFnMut(&Value)) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = page(app, &format!("{rest}{cursor}")).await;
        let found = page["data"].as_array().unwrap();
        seen.extend(found.iter().map(|found| found["therapist"]["id"].as_str().unwrap().to_owned()));
        between(&page).await;
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return seen,
        }
    }
}

async fn works_on_tuesday(therapist: &Person, from: &str, to: &str) {
    therapist.works(&[("tuesday", from, to)]).await;
}

#[tokio::test]
async fn the_soonest_come_first_with_hints_and_without() {
    let app = App::start().await;
    let mut expected = Vec::new();
    for (from, to, start) in [
        ("15:00", "17:00", "04:00"),
        ("09:00", "11:00", "22:00"),
        ("12:00", "13:00", "01:00"),
        ("09:30", "17:00", "22:30"),
    ] {
        let therapist = app.therapist().await;
        works_on_tuesday(&therapist, from, to).await;
        let day = if start.starts_with("22") { "2026-11-30" } else { "2026-12-01" };
        expected.push((format!("{day}T{start}:00Z"), therapist.id.to_string()));
    }
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(start, id)| (id, start)).collect();
    assert_eq!(listed(&app, "").await, expected, "everyone counts as perhaps free");
    refresh(&app).await;
    assert_eq!(app.rows("hint_states WHERE good_until = 'epoch'").await, 0);
    assert_eq!(listed(&app, "").await, expected);
    assert_eq!(every_page(&app, &format!("{TUESDAY}&limit=1"), async |_| {}).await.len(), 4);
    assert!(listed(&app, "gender=male").await.is_empty());
}

#[tokio::test]
async fn pages_go_on_though_slots_are_taken_and_freed_meanwhile() {
    for hinted in [false, true] {
        let app = App::start().await;
        let mut everyone = Vec::new();
        for hour in ["09:00", "09:00", "10:00", "11:00", "12:00", "13:00"] {
            let therapist = app.therapist().await;
            works_on_tuesday(&therapist, hour, "17:00").await;
            everyone.push(therapist);
        }
        if hinted {
            refresh(&app).await;
        }
        // Whoever was shown gets later, and would come again; the clock goes on too.
        let seen = every_page(&app, &format!("{TUESDAY}&limit=2"), async |page| {
            for found in page["data"].as_array().unwrap() {
                let shown = everyone.iter().find(|t| found["therapist"]["id"] == t.id.to_string()).unwrap();
                let (client, address) = app.client_at_home().await;
                client.books(shown, address, found["slots"][0]["start_at"].as_str().unwrap()).await.is(201);
            }
            if hinted {
                refresh(&app).await;
            }
            app.advance(TimeDelta::minutes(1));
        })
        .await;
        let mut expected: Vec<_> = everyone.iter().map(|therapist| therapist.id.to_string()).collect();
        let mut sorted = seen.clone();
        expected.sort();
        sorted.sort();
        assert_eq!(sorted, expected, "hinted: {hinted}");
    }
}

#[tokio::test]
async fn a_slot_that_is_freed_is_listed_before_any_job_runs() {
    let app = App::start().await;
    let (client, address) = app.client_at_home().await;
    let therapist = app.therapist().await;
    works_on_tuesday(&therapist, "12:00", "13:00").await;
    let start = "2026-12-01T01:00:00Z";
    let gone = async |why: &str| {
        refresh(&app).await;
        assert!(listed(&app, "").await.is_empty(), "{why}");
    };
    let back = async |why: &str| assert_eq!(listed(&app, "").await.len(), 1, "{why}");
    back("at first").await;

    let booking = client.books(&therapist, address, start).await.is(201).header("location");
    gone("booked").await;
    assert_eq!(app.rows("hints WHERE day = '2026-12-01'").await, 0, "the day has no time");
    client.act(&format!("{booking}/cancel")).await.is(200);
    back("cancelled").await;

    client.post("/v1/holds", client.wish(&therapist, address, start)).await.is(201);
    gone("held").await;
    app.advance(TimeDelta::minutes(11));
    back("the hold has lapsed").await;

    let off = json!({ "start_at": "2026-12-01T00:00:00Z", "end_at": "2026-12-01T09:00:00Z" });
    let off = therapist.post("/v1/therapists/me/time-off", off).await.is(201).header("location");
    gone("time off").await;
    therapist.delete(&off).await.is(204);
    back("back from time off").await;

    let closed = "/v1/therapists/me/overrides/2026-12-01";
    crate::support::send(therapist.request(reqwest::Method::PUT, closed).json(&json!({ "windows": [] }))).await.is(200);
    gone("closed").await;
    therapist.delete(closed).await.is(204);
    back("open again").await;

    therapist.works(&[("monday", "09:00", "10:00")]).await;
    gone("another day").await;
    works_on_tuesday(&therapist, "12:00", "13:00").await;
    back("the day again").await;

    therapist.change("/v1/therapists/me", json!({ "base_latitude": -37.81, "base_longitude": 144.96 })).await.is(200);
    gone("moved away").await;
    therapist
        .change("/v1/therapists/me", json!({ "base_latitude": -33.8981, "base_longitude": 151.1743 }))
        .await
        .is(200);
    back("moved back").await;

    let offers = |minutes: i32| json!({ "services": [{ "service_id": DEEP_TISSUE, "durations": [minutes] }] });
    therapist.replace("/v1/therapists/me/services", offers(90)).await.is(200);
    gone("offers longer visits").await;
    therapist.replace("/v1/therapists/me/services", offers(60)).await.is(200);
    back("offers an hour again").await;
    client.books(&therapist, address, start).await.is(201);
}

#[tokio::test]
async fn freeing_time_while_hints_are_made_is_not_missed() {
    let app = App::start().await;
    let (client, address) = app.client_at_home().await;
    let therapist = app.therapist().await;
    works_on_tuesday(&therapist, "12:00", "13:00").await;
    for round in 0..8 {
        let booking = client.books(&therapist, address, "2026-12-01T01:00:00Z").await.is(201).header("location");
        let cancel = format!("{booking}/cancel");
        let (answer, (), ()) = tokio::join!(client.act(&cancel), refresh(&app), refresh(&app));
        answer.is(200);
        assert_eq!(listed(&app, "").await.len(), 1, "round {round}");
    }
}

#[tokio::test]
async fn bookings_leave_hints_behind_and_a_job_catches_up() {
    let app = App::start().await;
    let (client, address) = app.client_at_home().await;
    let therapist = app.therapist().await;
    refresh(&app).await;
    client.books(&therapist, address, "2026-11-30T22:00:00Z").await.is(201);
    assert_eq!(app.rows("hint_states WHERE behind AND good_until > 'epoch'").await, 1);
    assert_eq!(listed(&app, "").await[0].1, "2026-11-30T23:30:00Z", "the engine has the last word");
    let soonest = "SELECT extract(epoch FROM soonest)::int8 FROM hints WHERE day = '2026-12-01'";
    let before = app.count(soonest).await;
    refresh(&app).await;
    // An hour, pack-up and set-up, to the next quarter.
    assert_eq!(app.count(soonest).await - before, 90 * 60);
    assert_eq!(app.rows("hint_states WHERE behind").await, 0);
    assert_eq!(app.jobs_waiting().await, 0, "nothing is queued for each booking");

    // What was made step by step is what is made anew.
    let all = "SELECT sum(hashtext(hints::text))::int8 FROM hints";
    let kept = app.count(all).await;
    assert_eq!(hints::rebuild(&app.service.db, app.now()).await.unwrap(), 1);
    assert_eq!(app.count(all).await, kept);

    // Nobody is hidden where the job has not run for weeks.
    app.advance(TimeDelta::days(40));
    assert_eq!(page(&app, "from=2027-01-20&to=2027-01-20").await["data"].as_array().unwrap().len(), 1);
    refresh(&app).await;
    assert_eq!(page(&app, "from=2027-01-20&to=2027-01-20").await["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn hints_are_made_of_all_whom_nobody_else_sees_to() {
    let app = App::start().await;
    a_crowd(&app, 170).await;
    let rank = "substring(therapist_id::text FROM 25)";
    for due in [
        format!("good_until = 'epoch'::timestamptz + ('x' || {rank})::bit(48)::bigint * interval '1 second'"),
        "behind = true".to_owned(),
    ] {
        app.sql(&format!("UPDATE hint_states SET {due}")).await.unwrap();
        let mut other = app.service.db.begin().await.unwrap();
        // Three batches' worth, first in line.
        let first = "SELECT therapist_id FROM hint_states ORDER BY good_until, therapist_id LIMIT 155 FOR UPDATE";
        assert_eq!(sqlx::query(first).fetch_all(&mut *other).await.unwrap().len(), 155);
        assert_eq!(hints::refresh(&app.service.db, app.now()).await.unwrap(), 15, "{due}");
        other.rollback().await.unwrap();
        assert_eq!(hints::refresh(&app.service.db, app.now()).await.unwrap(), 155, "{due}");
        assert_eq!(hints::refresh(&app.service.db, app.now()).await.unwrap(), 0, "{due}");
    }
}

#[tokio::test]
async fn a_diary_that_cannot_be_read_keeps_nobody_else_from_their_hints() {
    let app = App::start().await;
    a_crowd(&app, 60).await;
    app.sql("UPDATE accounts SET time_zone = 'Mars/Base' WHERE id::text LIKE '%000001'").await.unwrap();
    app.sql("UPDATE hint_states SET good_until = 'epoch'::timestamptz - interval '1 day' WHERE therapist_id::text LIKE '%000001'")
        .await
        .unwrap();
    assert_eq!(hints::refresh(&app.service.db, app.now()).await.unwrap(), 59);
    assert_eq!(hints::refresh(&app.service.db, app.now()).await.unwrap(), 0, "it is left, and nobody is made twice");
    app.sql("UPDATE accounts SET time_zone = 'Australia/Sydney' WHERE id::text LIKE '%000001'").await.unwrap();
    assert_eq!(hints::refresh(&app.service.db, app.now()).await.unwrap(), 1);
}

#[tokio::test]
async fn who_can_come_next_is_told_where_nobody_can_in_the_range() {
    let app = App::start().await;
    let (client, address) = app.client_at_home().await;
    let therapist = app.therapist().await;
    therapist.works(&[("friday", "09:00", "11:00")]).await;
    for hinted in [false, true] {
        if hinted {
            refresh(&app).await;
        }
        let none = page(&app, TUESDAY).await;
        assert_eq!(none["data"], json!([]));
        assert_eq!(none["next_available"]["start_at"], "2026-12-03T22:00:00Z");
        assert_eq!(none["next_available"]["end_at"], "2026-12-03T23:00:00Z");
        assert_eq!(none["next_available"]["therapist"]["id"], therapist.id.to_string());
        let of_one = page(&app, &format!("{TUESDAY}&therapist_id={}", therapist.id)).await;
        assert_eq!(of_one["next_available"], none["next_available"]);
        let some = page(&app, "from=2026-12-04&to=2026-12-04").await;
        assert_eq!((some["data"].as_array().unwrap().len(), &some["next_available"]), (1, &json!(null)));
        assert_eq!(page(&app, &format!("{TUESDAY}&gender=male")).await["next_available"], json!(null));
    }
    client.books(&therapist, address, "2026-12-03T22:00:00Z").await.is(201);
    therapist.works(&[]).await;
    assert_eq!(page(&app, TUESDAY).await["next_available"], json!(null));
}

#[tokio::test]
async fn slots_are_narrowed_by_condition_and_language() {
    let app = App::start().await;
    let (one, other) = (app.therapist().await, app.therapist().await);
    one.change("/v1/therapists/me", json!({ "conditions": ["back-pain"], "languages": ["vi"] })).await.is(200);
    for sort in ["soonest", "distance", "rating"] {
        for (narrowed, expected) in
            [("condition=back-pain", vec![&one]), ("language=en", vec![&other]), ("language=de", vec![])]
        {
            let found = listed(&app, &format!("sort={sort}&{narrowed}")).await;
            let expected: Vec<_> = expected.into_iter().map(|therapist| therapist.id.to_string()).collect();
            assert_eq!(found.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), expected, "{sort} {narrowed}");
        }
        let narrowed = format!("sort={sort}&language=en&therapist_id={}", one.id);
        assert!(listed(&app, &narrowed).await.is_empty());
    }
    let path = format!("/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&{SURRY_HILLS}&{TUESDAY}");
    app.nobody().get(&format!("{path}&language=English")).await.points_to(&["/language"]);
    app.nobody().get(&format!("{path}&condition=%00")).await.points_to(&["/condition"]);
}

#[tokio::test]
async fn the_best_rated_come_first_and_few_ratings_tell_little() {
    let app = App::start().await;
    let mut rated = Vec::new();
    // Reviews and stars: many good ones, one of five stars, none (as four), many bad ones.
    for (count, sum) in [(40, 80), (0, 0), (1, 5), (40, 190), (0, 0)] {
        let id = app.therapist().await.id;
        app.sql(&format!("UPDATE therapists SET rating_count = {count}, rating_sum = {sum} WHERE id = '{id}'"))
            .await
            .unwrap();
        rated.push(id.to_string());
    }
    let mut unrated = [rated[1].clone(), rated[4].clone()];
    unrated.sort();
    let expected = [rated[3].clone(), rated[2].clone(), unrated[0].clone(), unrated[1].clone(), rated[0].clone()];
    assert_eq!(every_page(&app, &format!("{TUESDAY}&sort=rating&limit=2"), async |_| {}).await, expected);
    for place in ["", "latitude=-33.8886&longitude=151.2111&"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page =
                app.nobody().get(&format!("/v1/therapists?{place}sort=rating&limit=2{cursor}")).await.is(200).body;
            seen.extend(page["data"].as_array().unwrap().iter().map(|found| found["id"].as_str().unwrap().to_owned()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{place}");
    }
}

#[tokio::test]
async fn therapists_are_found_by_the_dates_on_which_they_have_time() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.works(&[("friday", "09:00", "10:00")]).await;
    let found = async |query: &str| {
        app.nobody().get(&format!("/v1/therapists?{query}")).await.is(200).body["data"].as_array().unwrap().len()
    };
    for hinted in [false, true] {
        if hinted {
            refresh(&app).await;
        }
        for order in ["sort=name", "sort=rating", "latitude=-33.8886&longitude=151.2111"] {
            assert_eq!(found(&format!("{order}&from=2026-12-01&to=2026-12-03")).await, 0, "{order}");
            assert_eq!(found(&format!("{order}&from=2026-12-01&to=2026-12-04")).await, 1, "{order}");
        }
        assert_eq!(found(&format!("service_id={DEEP_TISSUE}&from=2026-12-04&to=2026-12-04")).await, 1);
    }
    let (client, address) = app.client_at_home().await;
    client.books(&therapist, address, "2026-12-03T22:00:00Z").await.is(201);
    assert_eq!(found("from=2026-12-04&to=2026-12-04").await, 0, "the hint is behind, the diary is not");
    let nobody = app.nobody();
    nobody.get("/v1/therapists?from=2026-12-01").await.points_to(&["/to"]);
    nobody.get("/v1/therapists?to=2026-12-01").await.points_to(&["/from"]);
    nobody.get("/v1/therapists?from=2026-12-02&to=2026-12-01").await.points_to(&["/to"]);
    nobody.get("/v1/therapists?from=2026-12-01&to=2026-12-15").await.points_to(&["/to"]);
}

#[tokio::test]
async fn a_zone_far_from_the_place_hides_no_slot() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    // Round the clock, by a clock on the other side of the globe.
    let all_day: Vec<Value> = WEEK.map(|day| json!({ "day": day, "start": "00:00", "end": "00:00" })).to_vec();
    let schedule = json!({ "time_zone": "America/Los_Angeles", "weekly": all_day });
    therapist.replace("/v1/therapists/me/schedule", schedule).await.is(200);
    let before = page(&app, "from=2026-12-02&to=2026-12-02").await["data"][0]["slots"].clone();
    refresh(&app).await;
    let after = page(&app, "from=2026-12-02&to=2026-12-02").await["data"][0]["slots"].clone();
    assert_eq!((before.as_array().unwrap().len(), after), (96, before));
}

/// So many therapists at one place, by numbers, each alike and fully licensed.
async fn a_crowd(app: &App, count: usize) {
    let zone = "Australia/Sydney";
    app.sql(&format!(
        "CREATE TEMP TABLE crowd ON COMMIT DROP AS SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS id, n FROM generate_series(1, {count}) n;
         INSERT INTO accounts (id, email, password_hash, role, display_name, time_zone, created_at)
         SELECT id, 'crowd-' || n || '@knead.test', 'x', 'therapist', 'Test', '{zone}', '{now}' FROM crowd;
         INSERT INTO therapists (id, base_latitude, base_longitude, gender) SELECT id, -33.8981, 151.1743, 'female' FROM crowd;
         INSERT INTO offers (therapist_id, service_id, duration_minutes) SELECT id, '{DEEP_TISSUE}', 60 FROM crowd;
         INSERT INTO weekly_windows (therapist_id, effective_from, opens, closes) SELECT id, '2000-01-01', 1440 + 540, 1440 + 660 FROM crowd;
         INSERT INTO credentials (id, therapist_id, type, name_on_credential, expires_on, review_state, board_status, created_at)
         SELECT gen_random_uuid(), id, code, 'Test', CASE WHEN code <> 'AU-QUAL' THEN '2027-12-31'::date END, 'verified', 'active', '{now}'
         FROM crowd, unnest(ARRAY['AU-QUAL', 'AU-ASSOC', 'INSURANCE', 'POLICE-CHECK', 'FIRST-AID']) code",
        now = app.now()
    ))
    .await
    .unwrap();
}

#[tokio::test]
async fn a_crowd_is_listed_to_its_end_and_each_once() {
    let app = App::start().await;
    a_crowd(&app, 430).await;
    for hinted in [false, true] {
        if hinted {
            refresh(&app).await;
        }
        for sort in ["soonest", "distance", "rating"] {
            let mut seen = every_page(&app, &format!("{TUESDAY}&limit=47&sort={sort}"), async |_| {}).await;
            let count = seen.len();
            seen.sort();
            seen.dedup();
            assert_eq!((count, seen.len()), (430, 430), "{sort}, hinted: {hinted}");
        }
    }
}

#[tokio::test]
async fn whose_hints_end_between_pages_is_listed_still() {
    let app = App::start().await;
    a_crowd(&app, 430).await;
    refresh(&app).await;
    let mut shown = 0;
    let seen = every_page(&app, &format!("{TUESDAY}&limit=47"), async |page| {
        shown += page["data"].as_array().unwrap().len();
        // Beyond the first candidates that pages look at together, and before the last of all are looked at.
        if (300..383).contains(&shown) {
            let last = "UPDATE hint_states SET good_until = 'epoch' WHERE therapist_id::text LIKE '%0001ae'";
            app.sql(last).await.unwrap();
        }
    })
    .await;
    assert_eq!((seen.len(), seen.iter().collect::<HashSet<_>>().len()), (430, 430));
}

#[tokio::test]
async fn one_therapist_is_found_beyond_a_nearer_crowd() {
    let app = App::start().await;
    a_crowd(&app, 1400).await;
    let therapist = app.therapist().await;
    therapist.change("/v1/therapists/me", json!({ "base_latitude": -33.95, "base_longitude": 151.15 })).await.is(200);
    works_on_tuesday(&therapist, "09:00", "11:00").await;
    let found = listed(&app, &format!("therapist_id={}&gender=female", therapist.id)).await;
    assert_eq!(found.len(), 1);
}
