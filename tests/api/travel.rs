//! The way from one visit to the next: estimated, or by what a routing service says.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, HttpServer, web};
use chrono::{DateTime, TimeDelta, Utc};
use knead::availability::travel::tidy;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{App, DEEP_TISSUE, Person, at, monday_noon, surry_hills};

fn bondi() -> Value {
    let mut place = surry_hills();
    (place["latitude"], place["longitude"]) = (json!(-33.8915), json!(151.2767));
    place
}

/// The slots in Bondi on `day` with `therapist`: when they start, and the travel that they leave room for.
async fn in_bondi(person: &Person, therapist: &Person, day: &str) -> Vec<(DateTime<Utc>, Value)> {
    let path = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from={day}&to={day}&latitude=-33.8915&longitude=151.2767\
         &country=AU&region=NSW&therapist_id={}",
        therapist.id
    );
    // Whoever asks sees the same starts; the therapist sees the travel as well.
    let page = person.get(&path).await.is(200).body;
    let own = therapist.get(&path).await.is(200).body;
    let starts = |page: &Value| -> Vec<Value> {
        let found = page["data"].as_array().unwrap().iter();
        found.flat_map(|found| found["slots"].as_array().unwrap()).map(|slot| slot["start_at"].clone()).collect()
    };
    assert_eq!(starts(&page), starts(&own));
    assert!(person.id == therapist.id || !page.to_string().contains("travel"));
    let page = own;
    let slots = page["data"].as_array().unwrap().iter().flat_map(|found| found["slots"].as_array().unwrap().clone());
    slots.map(|slot| (at(slot["start_at"].as_str().unwrap()), slot["travel_minutes"].clone())).collect()
}

/// The last slot before and the first after `visit`.
fn around(slots: &[(DateTime<Utc>, Value)], visit: &str) -> (String, String) {
    let text = |slot: Option<&(DateTime<Utc>, Value)>| slot.map(|(start, _)| start.to_rfc3339()[11..16].to_owned());
    let (before, after) =
        (slots.iter().rfind(|(start, _)| *start < at(visit)), slots.iter().find(|(start, _)| *start > at(visit)));
    (text(before).unwrap_or_default(), text(after).unwrap_or_default())
}

#[tokio::test]
async fn slots_say_the_travel_that_they_assume() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    therapist.works(&[("tuesday", "06:00", "23:00")]).await;
    let (client, address) = app.client_at_home().await;
    // Noon to one, and four to five in Sydney.
    client.books(&therapist, address, "2026-12-01T01:00:00Z").await.is(201);
    client.books(&therapist, address, "2026-12-01T05:00:00Z").await.is(201);
    let slots = in_bondi(&client, &therapist, "2026-12-01").await;
    let travel = |start: &str| slots.iter().find(|(found, _)| *found == at(start)).map(|(_, travel)| travel.clone());
    let minutes = |from: Option<i32>, to: Option<i32>| Some(json!({ "from_previous": from, "to_next": to }));
    assert_eq!(travel("2026-11-30T20:00:00Z"), minutes(None, Some(30)), "leaves at ten past eight, as everyone does");
    assert_eq!(travel("2026-11-30T22:30:00Z"), minutes(None, Some(25)));
    assert_eq!(travel("2026-12-01T03:00:00Z"), minutes(Some(25), Some(25)));
    assert_eq!(travel("2026-12-01T07:00:00Z"), minutes(Some(30), None), "left at ten past five");
    assert_eq!(around(&slots, "2026-12-01T01:00:00Z"), ("23:15".to_owned(), "02:45".to_owned()));
    assert_eq!(around(&slots, "2026-12-01T05:00:00Z"), ("03:15".to_owned(), "07:00".to_owned()));
    // At the same place nobody travels.
    let path = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&latitude=-33.8886&longitude=151.2111\
         &country=AU&region=NSW&therapist_id={}",
        therapist.id
    );
    let page = therapist.get(&path).await.is(200).body;
    let of = |start: &str| {
        page["data"][0]["slots"].as_array().unwrap().iter().find(|slot| slot["start_at"] == start).cloned()
    };
    let travel = of("2026-12-01T02:30:00Z").expect("a slot")["travel_minutes"].clone();
    assert_eq!(Some(travel), minutes(Some(0), Some(0)));
}

#[tokio::test]
async fn a_new_visit_leaves_its_neighbours_reachable_also_those_booked_before_a_change() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let away = client.address(bondi()).await;
    // By car, with ten minutes to set up and to pack up: taken from 22:50 to 00:10 and from 03:50 to 05:10.
    client.books(&therapist, address, "2026-11-30T23:00:00Z").await.is(201);
    client.books(&therapist, address, "2026-12-01T04:00:00Z").await.is(201);
    for (mode, minutes) in [("bicycle", 35), ("car", 25), ("transit", 35)] {
        let profile =
            json!({ "travel_mode": mode, "setup_minutes": 0, "packup_minutes": 20, "slot_interval_minutes": 5 });
        therapist.change("/v1/therapists/me", profile).await.is(200);
        let slots = in_bondi(&client, &therapist, "2026-12-01").await;
        let between = |(start, _): &&(DateTime<Utc>, Value)| {
            at("2026-11-30T23:00:00Z") < *start && *start < at("2026-12-01T04:00:00Z")
        };
        let between: Vec<_> = slots.iter().filter(between).collect();
        let first = at("2026-12-01T00:10:00Z") + TimeDelta::minutes(minutes);
        let last = at("2026-12-01T03:50:00Z") - TimeDelta::minutes(minutes + 80);
        assert_eq!((between[0].0, between[between.len() - 1].0), (first, last), "{mode}");
        for (edge, too_far) in [(first, first - TimeDelta::minutes(5)), (last, last + TimeDelta::minutes(5))] {
            client.books(&therapist, away, &too_far.to_rfc3339()).await.refused(409, "slot_unavailable");
            let booked = client.books(&therapist, away, &edge.to_rfc3339()).await.is(201);
            client.post(&format!("{}/cancel", booked.header("location")), json!({})).await.is(200);
        }
    }
    // On foot nobody gets there and back.
    therapist.change("/v1/therapists/me", json!({ "travel_mode": "walk" })).await.is(200);
    let slots = in_bondi(&client, &therapist, "2026-12-01").await;
    assert_eq!(around(&slots, "2026-12-01T01:00:00Z"), (String::new(), String::new()));
    client.books(&therapist, away, "2026-12-01T02:00:00Z").await.refused(409, "slot_unavailable");
}

/// What the routing service does when it is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mood {
    /// So many seconds eastwards and westwards.
    Right(i32, i32),
    /// There is no road.
    Null,
    /// It knows no roads there.
    NoSegment,
    Slow,
    Broken,
    Garbage,
    Endless,
    /// It sends elsewhere.
    Away,
    OtherTable,
}

/// A routing service on loopback.
struct Osrm {
    url: reqwest::Url,
    mood: Arc<Mutex<Mood>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Osrm {
    fn start(mood: Mood) -> Self {
        let (mood, asked) = (Arc::new(Mutex::new(mood)), Arc::new(Mutex::new(Vec::new())));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/roads/", listener.local_addr().unwrap()).parse().unwrap();
        let data = web::Data::new((mood.clone(), asked.clone()));
        let server = HttpServer::new(move || {
            let service = web::resource("/roads/table/v1/{profile}/{points}").get(answer);
            actix_web::App::new().app_data(data.clone()).service(service)
        });
        tokio::spawn(server.workers(1).disable_signals().listen(listener).unwrap().run());
        Self { url, mood, asked }
    }

    fn feels(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

type Shared = web::Data<(Arc<Mutex<Mood>>, Arc<Mutex<Vec<String>>>)>;

async fn answer(request: HttpRequest, shared: Shared) -> HttpResponse {
    let mood = *shared.0.lock().unwrap();
    let path = request.match_info();
    shared.1.lock().unwrap().push(format!("{} {}", path.query("profile"), request.query_string()));
    let points: Vec<f64> =
        path.query("points").split(';').map(|point| point.split(',').next().unwrap().parse().unwrap()).collect();
    let query: Vec<(String, String)> =
        web::Query::from_query(request.query_string()).map(web::Query::into_inner).unwrap();
    let indexes = |name: &str| -> Vec<usize> {
        let value = &query.iter().find(|(found, _)| found == name).unwrap().1;
        value.split(';').map(|index| index.parse().unwrap()).collect()
    };
    let table = |seconds: &dyn Fn(f64, f64) -> Value| {
        let row = |from: &usize| indexes("destinations").iter().map(|to| seconds(points[*from], points[*to])).collect();
        let rows: Vec<Vec<Value>> = indexes("sources").iter().map(row).collect();
        HttpResponse::Ok().json(json!({ "code": "Ok", "durations": rows }))
    };
    match mood {
        Mood::Right(east, west) => table(&|from, to| json!(if from < to { east } else { west })),
        Mood::Null => table(&|_, _| Value::Null),
        Mood::NoSegment => HttpResponse::BadRequest().json(json!({ "code": "NoSegment", "message": "no street" })),
        Mood::Slow => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            HttpResponse::Ok().finish()
        }
        Mood::Broken => HttpResponse::InternalServerError().json(json!({ "code": "Ok", "durations": [[1, 1]] })),
        Mood::Garbage => HttpResponse::Ok().body("<html>It works!</html>"),
        Mood::Endless => {
            let spaces = web::Bytes::from(vec![b' '; 10_000]);
            let body = futures_util::stream::repeat_with(move || Ok::<_, actix_web::Error>(spaces.clone()));
            HttpResponse::Ok().streaming(body)
        }
        Mood::Away => HttpResponse::Found().insert_header(("location", "/roads/elsewhere")).finish(),
        Mood::OtherTable => HttpResponse::Ok().json(json!({ "code": "Ok", "durations": [[1, 2, 3], [4, 5, 6]] })),
    }
}

impl App {
    async fn with_roads(osrm: &Osrm) -> Self {
        Self::routed(monday_noon(), false, Some(osrm.url.clone())).await
    }

    /// Waits until so many ways are noted that are to be asked.
    async fn wants(&self, ways: i64) {
        for _ in 0..200 {
            if self.rows("road_times WHERE wanted_at IS NOT NULL").await == ways {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{ways} ways are not noted");
    }
}

/// A therapist with a visit at noon in Surry Hills on `day`, and a client with an address in Bondi.
async fn with_a_visit(app: &App, start: &str) -> (Person, Person, Uuid) {
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    client.books(&therapist, address, start).await.is(201);
    let away = client.address(bondi()).await;
    (therapist, client, away)
}

const NOON: &str = "2026-12-01T01:00:00Z";

fn pair(before: &str, after: &str) -> (String, String) {
    (before.to_owned(), after.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_and_the_booking_decide_by_the_same_roads() {
    // East takes long, west is quick.
    let osrm = Osrm::start(Mood::Right(3000, 240));
    let app = App::with_roads(&osrm).await;
    let (therapist, client, away) = with_a_visit(&app, NOON).await;
    let estimated = in_bondi(&client, &therapist, "2026-12-01").await;
    assert_eq!(around(&estimated, NOON), pair("23:15", "02:45"), "nobody waits for the roads");
    app.wants(2).await;
    in_bondi(&client, &therapist, "2026-12-01").await;
    assert_eq!(app.jobs_waiting().await, 1, "one job, however often they are missed");
    assert!(osrm.asked().is_empty(), "only the job asks");
    app.run_jobs().await;
    let mut asked = osrm.asked();
    asked.sort();
    let query = "sources=0&destinations=1&annotations=duration";
    assert_eq!(asked.len(), 2);
    assert!(
        asked
            .iter()
            .all(|asked| asked == &format!("car {query}")
                || asked == "car sources=1&destinations=0&annotations=duration"),
        "{asked:?}"
    );
    app.wants(0).await;

    // Fifty minutes there, four back, and five to park.
    let by_road = in_bondi(&client, &therapist, "2026-12-01").await;
    assert_eq!(around(&by_road, NOON), pair("23:30", "03:15"));
    let of = |start: &str| by_road.iter().find(|(found, _)| *found == at(start)).unwrap().1.clone();
    assert_eq!(of("2026-12-01T03:15:00Z"), json!({ "from_previous": 55, "to_next": null }));
    assert_eq!(of("2026-11-30T23:30:00Z"), json!({ "from_previous": null, "to_next": 10 }));
    client.books(&therapist, away, "2026-12-01T03:00:00Z").await.refused(409, "slot_unavailable");
    client.books(&therapist, away, "2026-12-01T03:15:00Z").await.is(201);
    client.books(&therapist, away, "2026-11-30T23:30:00Z").await.is(201);
    assert!(osrm.asked().is_empty(), "what is known is not asked again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_notes_what_it_misses_too() {
    let osrm = Osrm::start(Mood::Right(600, 600));
    let app = App::with_roads(&osrm).await;
    let (therapist, client, away) = with_a_visit(&app, NOON).await;
    client.books(&therapist, away, "2026-12-01T04:00:00Z").await.is(201);
    app.wants(2).await;
    app.run_jobs().await;
    assert_eq!(osrm.asked().len(), 2);
    assert_eq!(app.rows("road_times WHERE seconds = 600").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_queues_nowhere_and_is_noted_by_the_next_who_misses_it() {
    let osrm = Osrm::start(Mood::Right(3000, 240));
    let app = App::with_roads(&osrm).await;
    let (therapist, client, _) = with_a_visit(&app, NOON).await;
    // Notes cannot be written; what is known can still be read.
    let mut other = app.service.db.begin().await.unwrap();
    sqlx::query("LOCK TABLE road_times IN SHARE ROW EXCLUSIVE MODE").execute(&mut *other).await.unwrap();
    for _ in 0..12 {
        let estimated = in_bondi(&client, &therapist, "2026-12-01").await;
        assert_eq!(around(&estimated, NOON), pair("23:15", "02:45"));
    }
    let waiting = "pg_locks WHERE NOT granted AND relation = 'road_times'::regclass";
    assert!((1..=2).contains(&app.rows(waiting).await), "a dozen searches leave connections to others");
    other.rollback().await.unwrap();
    app.wants(2).await;
    app.sql("DELETE FROM road_times").await.unwrap();
    // Whoever was turned away was not remembered, and is helped by the next.
    in_bondi(&client, &therapist, "2026-12-01").await;
    app.wants(2).await;
    app.run_jobs().await;
    assert_eq!(around(&in_bondi(&client, &therapist, "2026-12-01").await, NOON), pair("23:30", "03:15"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_of_no_use_is_done_without() {
    let osrm = Osrm::start(Mood::Broken);
    let app = App::with_roads(&osrm).await;
    let (therapist, client, away) = with_a_visit(&app, NOON).await;
    let estimated = in_bondi(&client, &therapist, "2026-12-01").await;
    app.wants(2).await;
    for mood in [Mood::Broken, Mood::Garbage, Mood::Endless, Mood::Away, Mood::OtherTable, Mood::Slow] {
        osrm.feels(mood);
        tidy(&app.service, app.now()).await.unwrap();
        app.run_jobs().await;
        assert_eq!(osrm.asked().len(), 1, "{mood:?}: it is asked once and then left alone");
        assert_eq!(in_bondi(&client, &therapist, "2026-12-01").await, estimated, "{mood:?}");
        app.wants(2).await;
    }
    // Where there is no road, that is an answer; the estimate holds.
    for mood in [Mood::Null, Mood::NoSegment] {
        app.sql("UPDATE road_times SET wanted_at = '2026-11-30', fetched_at = NULL").await.unwrap();
        osrm.feels(mood);
        tidy(&app.service, app.now()).await.unwrap();
        app.run_jobs().await;
        app.wants(0).await;
        assert_eq!(app.rows("road_times WHERE seconds IS NULL").await, 2);
        assert_eq!(in_bondi(&client, &therapist, "2026-12-01").await, estimated, "{mood:?}");
    }
    client.books(&therapist, away, "2026-12-01T02:45:00Z").await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_answering_at_all_changes_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap()).parse().unwrap();
    drop(silent);
    let app = App::routed(monday_noon(), true, Some(url)).await;
    let (therapist, client, _) = with_a_visit(&app, NOON).await;
    let estimated = in_bondi(&client, &therapist, "2026-12-01").await;
    app.wants(2).await;
    app.run_jobs().await;
    assert_eq!(in_bondi(&client, &therapist, "2026-12-01").await, estimated);
    // What was never answered is forgotten after a day, and noted again by whoever needs it.
    app.advance(TimeDelta::hours(25));
    tidy(&app.service, app.now()).await.unwrap();
    assert_eq!(app.rows("road_times").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn road_times_are_asked_again_after_a_month_and_forgotten_when_nobody_needs_them() {
    let osrm = Osrm::start(Mood::Right(3000, 3000));
    let app = App::with_roads(&osrm).await;
    let noon = "2027-01-19T01:00:00Z";
    let (therapist, _, _) = with_a_visit(&app, noon).await;
    let nobody = app.nobody();
    in_bondi(&nobody, &therapist, "2027-01-19").await;
    app.wants(2).await;
    app.run_jobs().await;
    assert_eq!(around(&in_bondi(&nobody, &therapist, "2027-01-19").await, noon).1, "03:15");
    osrm.feels(Mood::Right(600, 600));
    app.advance(TimeDelta::days(31));
    assert_eq!(
        around(&in_bondi(&nobody, &therapist, "2027-01-19").await, noon).1,
        "03:15",
        "the old ones hold until then"
    );
    app.wants(2).await;
    app.run_jobs().await;
    assert_eq!(around(&in_bondi(&nobody, &therapist, "2027-01-19").await, noon).1, "02:45");
    app.advance(TimeDelta::days(61));
    tidy(&app.service, app.now()).await.unwrap();
    assert_eq!(app.rows("road_times").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trains_are_never_asked_for() {
    let osrm = Osrm::start(Mood::Right(60, 60));
    let app = App::with_roads(&osrm).await;
    let (therapist, client, _) = with_a_visit(&app, NOON).await;
    for mode in ["transit", "bicycle", "walk"] {
        therapist.change("/v1/therapists/me", json!({ "travel_mode": mode })).await.is(200);
        in_bondi(&client, &therapist, "2026-12-01").await;
    }
    app.wants(4).await;
    app.run_jobs().await;
    let mut profiles: Vec<String> =
        osrm.asked().iter().map(|asked| asked.split(' ').next().unwrap().to_owned()).collect();
    profiles.sort();
    assert_eq!(profiles, ["bicycle", "bicycle", "foot", "foot"]);
}
