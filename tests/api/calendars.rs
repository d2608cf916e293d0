//! Calendars elsewhere, which keep a therapist from being booked, and the calendar of one's own visits.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use icalendar::{Calendar, CalendarComponent, Component, EventLike};
use knead::availability::hints;
use knead::calendars::reading::read_due;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::sealing::tables_with;
use crate::support::{Answer, App, Person, send};

const CALENDARS: &str = "/v1/therapists/me/calendars";
const FEED: &str = "/v1/me/calendar-feed";

/// Tuesday from ten to noon in Sydney.
const DENTIST: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Test//EN\r\nBEGIN:VEVENT\r\nUID:1@test\r\nSUMMARY:Dentist\r\n\
    LOCATION:12 Secret Street\r\nDTSTART;TZID=Australia/Sydney:20261201T100000\r\nDTEND;TZID=Australia/Sydney:20261201T120000\r\n\
    END:VEVENT\r\nEND:VCALENDAR\r\n";

/// Somebody else's server: it gives the same answer to whatever it is asked, and remembers what that was.
#[derive(Clone)]
struct Elsewhere {
    port: u16,
    answer: Arc<Mutex<Vec<u8>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Elsewhere {
    fn serving(calendar: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let elsewhere =
            Self { port: listener.local_addr().unwrap().port(), answer: Arc::default(), asked: Arc::default() };
        elsewhere.serves(calendar);
        let (answer, asked) = (elsewhere.answer.clone(), elsewhere.asked.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
                asked.lock().unwrap().push(head.join("\n").to_lowercase());
                let bytes = answer.lock().unwrap().clone();
                // Whoever has read enough hangs up.
                drop(stream.write_all(&bytes));
            }
        });
        elsewhere
    }

    fn answers(&self, head: &str, body: &[u8]) {
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        *self.answer.lock().unwrap() = [head.as_bytes(), body].concat();
    }

    fn serves(&self, calendar: &str) {
        self.answers("200 OK\r\nContent-Type: text/calendar\r\nETag: \"one\"", calendar.as_bytes());
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}/private-5f2a/basic.ics", self.port)
    }

    fn last_asked(&self) -> String {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

impl Person {
    async fn subscribes(&self, elsewhere: &Elsewhere) -> String {
        let made = self.post(CALENDARS, json!({ "url": elsewhere.url(), "label": "Family" })).await.is(201);
        format!("{CALENDARS}/{}", made.id())
    }
}

/// Has the calendar read again, a while later.
async fn read(app: &App, person: &Person, calendar: &str) -> Value {
    app.advance(TimeDelta::minutes(2));
    person.act(&format!("{calendar}/refresh")).await.is(202);
    app.run_jobs().await;
    person.get(calendar).await.is(200).body
}

const TUESDAY_AT_ELEVEN: &str = "2026-12-01T00:00:00Z";
const TUESDAY_AT_ONE: &str = "2026-12-01T02:00:00Z";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_booked_while_a_calendar_elsewhere_is_busy() {
    let app = App::start().await;
    let (therapist, (client, address)) = (app.therapist().await, app.client_at_home().await);
    let free = client.slots(&therapist, "2026-12-01", "2026-12-01").await;
    assert!(free.contains(&TUESDAY_AT_ELEVEN.to_owned()) && free.contains(&TUESDAY_AT_ONE.to_owned()));

    let elsewhere = Elsewhere::serving(DENTIST);
    let made = therapist.post(CALENDARS, json!({ "url": elsewhere.url(), "label": "Family" })).await.is(201);
    let calendar = format!("{CALENDARS}/{}", made.id());
    assert_eq!(made.header("location"), calendar);
    assert_eq!((&made.body["status"], &made.body["host"]), (&json!("pending"), &json!("127.0.0.1")));
    app.run_jobs().await;
    let shown = therapist.get(&calendar).await.is(200);
    assert_eq!(
        (&shown.body["status"], &shown.body["error"], &shown.body["busy_intervals"]),
        (&json!("ok"), &Value::Null, &json!(1))
    );
    for answer in [&made, &shown, &therapist.get(CALENDARS).await.is(200)] {
        assert!(!answer.text.contains("private-5f2a"), "the address is a secret: {}", answer.text);
    }
    // What is busy is kept, and nothing of what it is about.
    let kept = app.rows("calendars c WHERE c::text ILIKE '%dentist%' OR c::text ILIKE '%secret street%'").await;
    assert_eq!(kept, 0);
    assert_eq!(tables_with(&app, "private-5f2a").await, Vec::<String>::new());

    let free = client.slots(&therapist, "2026-12-01", "2026-12-01").await;
    assert!(!free.contains(&TUESDAY_AT_ELEVEN.to_owned()) && free.contains(&TUESDAY_AT_ONE.to_owned()), "{free:?}");
    client.books(&therapist, address, TUESDAY_AT_ELEVEN).await.refused(409, "slot_unavailable");
    let booked = client.books(&therapist, address, TUESDAY_AT_ONE).await.is(201);

    // The dentist moves onto a visit, which stays booked.
    elsewhere.serves(&DENTIST.replace("T100000", "T130000").replace("T120000", "T140000"));
    read(&app, &therapist, &calendar).await;
    assert_eq!(client.get(&format!("/v1/bookings/{}", booked.id())).await.is(200).body["status"], "confirmed");
    assert!(client.slots(&therapist, "2026-12-01", "2026-12-01").await.contains(&TUESDAY_AT_ELEVEN.to_owned()));

    client.post(&format!("/v1/bookings/{}/cancel", booked.id()), json!({})).await.is(200);
    assert!(!client.slots(&therapist, "2026-12-01", "2026-12-01").await.contains(&TUESDAY_AT_ONE.to_owned()));
    therapist.delete(&calendar).await.is(204);
    assert!(client.slots(&therapist, "2026-12-01", "2026-12-01").await.contains(&TUESDAY_AT_ONE.to_owned()));
    assert_eq!(app.rows("busy_intervals").await, 0);
    therapist.get(&calendar).await.refused(404, "not_found");
    therapist.delete(&calendar).await.refused(404, "not_found");
    therapist.act(&format!("{calendar}/refresh")).await.refused(404, "not_found");
    // The job of a calendar that is gone does no harm.
    app.run_jobs().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_is_still_to_come_ends_the_hints_when_it_is_dropped() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let event = |uid: i32, from: &str, to: &str| {
        format!("BEGIN:VEVENT\r\nUID:{uid}@test\r\nDTSTART:{from}Z\r\nDTEND:{to}Z\r\nEND:VEVENT\r\n")
    };
    let calendar_of = |events: &[String]| {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Test//EN\r\n{}END:VCALENDAR\r\n", events.concat())
    };
    // Over since yesterday, for an hour, just now (a visit right after it would need its set-up), and to come.
    let all = [
        event(1, "20261129T000000", "20261129T010000"),
        event(2, "20261129T230000", "20261130T000000"),
        event(3, "20261130T003000", "20261130T010000"),
        event(4, "20261201T000000", "20261201T010000"),
    ];
    let elsewhere = Elsewhere::serving(&calendar_of(&all));
    let calendar = therapist.subscribes(&elsewhere).await;
    app.run_jobs().await;
    assert_eq!(app.rows("busy_intervals").await, 4);
    for (kept, good) in [(&all[2..], true), (&all[3..], false), (&[][..], false)] {
        hints::refresh(&app.service.db, app.now()).await.unwrap();
        elsewhere.serves(&calendar_of(kept));
        read(&app, &therapist, &calendar).await;
        let left = i64::try_from(kept.len()).unwrap();
        assert_eq!(app.rows("busy_intervals").await, left);
        let good_hints = app.rows("hint_states WHERE good_until > 'epoch'").await;
        assert_eq!(good_hints, i64::from(good), "{left} are left");
    }
    // Whoever leaves a calendar may be free at any of its times.
    elsewhere.serves(&calendar_of(&all));
    read(&app, &therapist, &calendar).await;
    hints::refresh(&app.service.db, app.now()).await.unwrap();
    therapist.delete(&calendar).await.is(204);
    assert_eq!(app.rows("hint_states WHERE good_until = 'epoch'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_lead_inside_are_refused() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    for url in [
        "http://calendar.example/a.ics",
        "https://me:secret@calendar.example/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://[fd00::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://localhost/a.ics",
        "webcal://intranet/a.ics",
        "https://nas.local/a.ics",
        "https://calendar.example:0/a.ics",
        "https://calendar.example:22/a.ics",
        "https://calendar.example:80/a.ics",
        "https://calendar.example:1023/a.ics",
        "file:///etc/passwd",
        "calendar",
        "",
        &format!("https://a.example/{}", "x".repeat(2000)),
    ] {
        therapist.post(CALENDARS, json!({ "url": url, "label": "Family" })).await.points_to(&["/url"]);
    }
    let url = "https://calendar.example/a.ics";
    for label in [String::new(), "x".repeat(61), "a\u{0}b".to_owned()] {
        therapist.post(CALENDARS, json!({ "url": url, "label": label })).await.points_to(&["/label"]);
    }
    therapist.post(CALENDARS, json!({ "url": url })).await.points_to(&["/label"]);
    therapist.post(CALENDARS, json!({ "url": url, "label": "A", "color": "red" })).await.points_to(&["/color"]);
    assert_eq!(app.rows("calendars").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_therapist_has_five_calendars_each_once_and_nobody_elses() {
    let app = App::start().await;
    let (therapist, other) = (app.therapist().await, app.therapist().await);
    let wish = |number: usize| json!({ "url": format!("https://127.0.0.1:9999/{number}.ics"), "label": "A" });
    let key = Uuid::now_v7().to_string();
    let once = || send(therapist.request(Method::POST, CALENDARS).header("Idempotency-Key", &key).json(&wish(0)));
    let first = once().await.is(201);
    assert_eq!(once().await.is(201).header("idempotent-replay"), "true");
    therapist.post(CALENDARS, wish(0)).await.refused(409, "calendar_known");
    // Six more at once: four of them find room.
    let wishes = (1..7).map(|number| therapist.post(CALENDARS, wish(number)));
    let answers: Vec<Answer> = futures_util::future::join_all(wishes).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 4);
    for answer in answers.into_iter().filter(|answer| answer.status != 201) {
        answer.refused(409, "too_many_calendars");
    }
    assert_eq!(therapist.get(CALENDARS).await.is(200).body["data"].as_array().unwrap().len(), 5);

    other.post(CALENDARS, wish(0)).await.is(201);
    let path = format!("{CALENDARS}/{}", first.id());
    other.get(&path).await.refused(404, "not_found");
    other.delete(&path).await.refused(404, "not_found");
    other.act(&format!("{path}/refresh")).await.refused(404, "not_found");
    assert_eq!(therapist.get(CALENDARS).await.is(200).body["data"].as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calendar_is_read_again_only_where_it_changed_or_a_day_has_passed() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let elsewhere = Elsewhere::serving(DENTIST);
    let calendar = therapist.subscribes(&elsewhere).await;
    app.run_jobs().await;
    assert!(!elsewhere.last_asked().contains("if-none-match"));
    assert!(elsewhere.last_asked().contains("accept-encoding: identity"));

    elsewhere.answers("304 Not Modified", b"");
    let shown = read(&app, &therapist, &calendar).await;
    assert!(elsewhere.last_asked().contains("if-none-match: \"one\""));
    assert_eq!((&shown["status"], &shown["busy_intervals"]), (&json!("ok"), &json!(1)));
    // Once a minute is enough.
    let early = therapist.act(&format!("{calendar}/refresh")).await.refused(429, "too_many_requests");
    assert!((1..=60).contains(&early.header("retry-after").parse::<u64>().unwrap()));

    // By itself it is read every quarter of an hour, and not sooner.
    let asked = || elsewhere.asked.lock().unwrap().len();
    read_due(&app.service).await.unwrap();
    assert_eq!(asked(), 2);
    app.advance(TimeDelta::minutes(16));
    read_due(&app.service).await.unwrap();
    read_due(&app.service).await.unwrap();
    assert_eq!(asked(), 3);

    // In another zone, and after a day, the same text means something else.
    therapist
        .replace("/v1/therapists/me/schedule", json!({ "time_zone": "Australia/Perth", "weekly": [] }))
        .await
        .is(200);
    elsewhere.serves(DENTIST);
    read(&app, &therapist, &calendar).await;
    assert!(!elsewhere.last_asked().contains("if-none-match"));
    app.advance(TimeDelta::hours(25));
    read(&app, &therapist, &calendar).await;
    assert!(!elsewhere.last_asked().contains("if-none-match"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_has_its_name_and_leaves_what_was_read() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let elsewhere = Elsewhere::serving(DENTIST);
    let calendar = therapist.subscribes(&elsewhere).await;
    app.run_jobs().await;
    let here = format!("302 Found\r\nLocation: {}", elsewhere.url());
    let large = [DENTIST.as_bytes(), &vec![b' '; 25 * 1024 * 1024]].concat();
    let cases: &[(&str, &[u8], &str)] = &[
        ("404 Not Found", b"", "not_served"),
        ("401 Unauthorized", DENTIST.as_bytes(), "not_served"),
        ("500 Internal Server Error", b"", "not_served"),
        (&here, b"", "too_many_redirects"),
        ("302 Found", b"", "bad_redirect"),
        ("302 Found\r\nLocation: http://calendar.example/", b"", "bad_redirect"),
        ("302 Found\r\nLocation: https://a:b@calendar.example/", b"", "bad_redirect"),
        ("301 Moved\r\nLocation: https://10.0.0.1/", b"", "not_public"),
        ("301 Moved\r\nLocation: https://intranet/", b"", "not_public"),
        ("302 Found\r\nLocation: https://127.0.0.1:25/", b"", "not_public"),
        ("307 Moved\r\nLocation: https://[::ffff:169.254.169.254]/latest", b"", "not_public"),
        ("200 OK\r\nContent-Encoding: gzip", DENTIST.as_bytes(), "compressed"),
        ("200 OK", &large, "too_large"),
        ("200 OK", b"<html>Sign in</html>", "not_a_calendar"),
        ("200 OK", b"", "not_a_calendar"),
        ("200 OK", &DENTIST.as_bytes()[..100], "not_a_calendar"),
        ("nonsense", b"", "unreachable"),
    ];
    for (head, body, code) in cases {
        elsewhere.answers(head, body);
        let shown = read(&app, &therapist, &calendar).await;
        let found = (&shown["status"], &shown["error"], &shown["busy_intervals"]);
        assert_eq!(found, (&json!("failing"), &json!(code), &json!(1)), "{head}");
    }
    elsewhere.serves(DENTIST);
    assert_eq!(read(&app, &therapist, &calendar).await["status"], "ok");
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere =
        therapist.post(CALENDARS, json!({ "url": format!("https://{closed}/"), "label": "None" })).await.is(201).id();
    app.advance(TimeDelta::minutes(1));
    app.run_jobs().await;
    let shown = therapist.get(&format!("{CALENDARS}/{nowhere}")).await.is(200).body;
    assert_eq!((&shown["error"], &shown["busy_intervals"]), (&json!("unreachable"), &json!(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_calendar_that_fails_for_two_days_is_told_of_once_and_still_blocks() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let elsewhere = Elsewhere::serving(&DENTIST.replace("20261201", "20261210"));
    let calendar = therapist.subscribes(&elsewhere).await;
    app.run_jobs().await;
    elsewhere.answers("500 Internal Server Error", b"");
    let told = || async {
        let notices = therapist.get("/v1/me/notices").await.is(200).body;
        notices["data"].as_array().unwrap().iter().filter(|notice| notice["kind"] == "calendar_failing").count()
    };
    read(&app, &therapist, &calendar).await;
    // The waits grow: in two days it is tried about a dozen times, and not two hundred.
    let mut rounds = 0;
    for _ in 0..(47 * 4) {
        app.advance(TimeDelta::minutes(15));
        let before = elsewhere.asked.lock().unwrap().len();
        read_due(&app.service).await.unwrap();
        rounds += elsewhere.asked.lock().unwrap().len() - before;
    }
    assert!((8..=16).contains(&rounds), "{rounds}");
    assert_eq!(told().await, 0);
    app.advance(TimeDelta::hours(8));
    read_due(&app.service).await.unwrap();
    assert_eq!(told().await, 1);
    app.advance(TimeDelta::hours(8));
    read_due(&app.service).await.unwrap();
    assert_eq!(told().await, 1);
    assert_eq!(therapist.get(&calendar).await.is(200).body["busy_intervals"], 1);
    let free = app.nobody().slots(&therapist, "2026-12-10", "2026-12-10").await;
    assert!(
        !free.contains(&"2026-12-10T00:00:00Z".to_owned()) && free.contains(&"2026-12-10T02:00:00Z".to_owned()),
        "{free:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_is_asked_once_a_minute_also_where_its_calendar_is_deleted_and_added_again() {
    let app = App::start().await;
    let (therapist, other) = (app.therapist().await, app.therapist().await);
    let elsewhere = Elsewhere::serving(DENTIST);
    let asked = || elsewhere.asked.lock().unwrap().len();
    for _ in 0..6 {
        let calendar = therapist.subscribes(&elsewhere).await;
        app.run_jobs().await;
        therapist.delete(&calendar).await.is(204);
    }
    assert_eq!(asked(), 1);
    // Another port is the same host; another therapist is not the same therapist.
    let calendar = therapist.subscribes(&elsewhere).await;
    let second = Elsewhere::serving(DENTIST);
    let waiting = therapist.subscribes(&second).await;
    other.subscribes(&elsewhere).await;
    app.run_jobs().await;
    assert_eq!((asked(), second.asked.lock().unwrap().len()), (2, 0));
    assert_eq!(therapist.get(&calendar).await.is(200).body["status"], "pending");
    // Each is read in its turn, a minute apart, and none is forgotten. Those that wait for a turn try again every five seconds, and the jobs of
    // calendars that are deleted take turns too: a few tries lie beyond the minute.
    let minute = async || {
        for _ in 0..12 {
            app.advance(TimeDelta::seconds(7));
            app.run_jobs().await;
        }
    };
    let of_both = || asked() + second.asked.lock().unwrap().len();
    minute().await;
    assert_eq!(of_both(), 2 + 1);
    minute().await;
    assert_eq!((asked(), second.asked.lock().unwrap().len()), (3, 1));
    for calendar in [&calendar, &waiting] {
        assert_eq!(therapist.get(calendar).await.is(200).body["status"], "ok");
    }

    // And all hosts together so often in an hour.
    app.sql("UPDATE calendar_fetches SET fetches = 60 WHERE host = ''").await.unwrap();
    app.advance(TimeDelta::minutes(2));
    therapist.act(&format!("{calendar}/refresh")).await.is(202);
    app.run_jobs().await;
    assert_eq!(asked(), 3);
    app.advance(TimeDelta::hours(1));
    app.run_jobs().await;
    assert_eq!(asked(), 4);
    // What limits nothing any more is gone.
    app.sql("DELETE FROM calendars").await.unwrap();
    app.advance(TimeDelta::hours(1));
    read_due(&app.service).await.unwrap();
    assert_eq!(app.rows("calendar_fetches").await, 0);
}

/// Servers that take every connection and answer none, at addresses of their own; and how many wait there.
fn silent(count: u8) -> (Vec<String>, Arc<Mutex<Vec<TcpStream>>>) {
    let waiting: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
    let urls = (1..=count).map(|number| {
        let listener = TcpListener::bind(format!("127.0.0.{number}:0")).unwrap();
        let url = format!("https://{}/a.ics", listener.local_addr().unwrap());
        let waiting = waiting.clone();
        std::thread::spawn(move || {
            listener.incoming().flatten().for_each(|stream| waiting.lock().unwrap().push(stream))
        });
        url
    });
    (urls.collect(), waiting)
}

/// Waits until something is so.
async fn until(what: &str, within: Duration, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < within, "{what} after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_calendars_keep_neither_a_lapse_nor_each_other_waiting() {
    let app = App::start().await;
    let (therapist, (client, address)) = (app.therapist().await, app.client_at_home().await);
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let requested = client.books(&therapist, address, "2026-12-04T00:00:00Z").await.is(201).id();
    app.advance(TimeDelta::hours(25));
    let (urls, waiting) = silent(6);
    let mut slow = Vec::new();
    for url in &urls {
        let person = app.newcomer().await;
        person.post(CALENDARS, json!({ "url": url, "label": "Slow" })).await.is(201);
        slow.push(person);
    }
    // All five of one therapist are slow, at five hosts.
    let greedy = app.newcomer().await;
    let (others, of_one) = silent(5);
    for url in &others {
        greedy.post(CALENDARS, json!({ "url": url, "label": "Slow" })).await.is(201);
    }
    // The calendars stand before the lapse in the queue.
    app.sql(
        "UPDATE graphile_worker._private_jobs SET run_at = now() - interval '1 minute';
         SELECT graphile_worker.add_job('lapse_requests', 'null'::json)",
    )
    .await
    .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async move { drop(stopped.await) };
    let workers = knead::worker::workers(&app.service, stopped).await.unwrap();
    let working = tokio::spawn(async move { workers.run().await });
    let begun = Instant::now();
    until("all are asked", Duration::from_secs(8), async || waiting.lock().unwrap().len() == 6).await;
    until("the request lapses", Duration::from_secs(8), async || {
        app.rows("bookings WHERE status = 'expired'").await == 1
    })
    .await;
    // A quick one finds a place too.
    let elsewhere = Elsewhere::serving(DENTIST);
    let calendar = therapist.subscribes(&elsewhere).await;
    // The queue goes by the machine's clock.
    app.sql("UPDATE graphile_worker._private_jobs SET run_at = now() WHERE run_at > now()").await.unwrap();
    until("the quick one is read", Duration::from_secs(8), async || {
        therapist.get(&calendar).await.is(200).body["status"] == "ok"
    })
    .await;
    // Within the ten seconds that the slow ones are given.
    assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    assert_eq!((waiting.lock().unwrap().len(), of_one.lock().unwrap().len()), (6, 1));
    assert_eq!(client.get(&format!("/v1/bookings/{requested}")).await.is(200).body["status"], "expired");
    // Who hangs up lets the workers end.
    drop(stop);
    waiting.lock().unwrap().clear();
    of_one.lock().unwrap().clear();
    working.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_understood_blocks_and_is_told() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let calendar_of = |lines: &str| {
        let lines = lines.replace('\n', "\r\n");
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
    };
    let elsewhere = Elsewhere::serving(DENTIST);
    let calendar = therapist.subscribes(&elsewhere).await;
    app.run_jobs().await;
    // Eleven in Sydney is midnight in UTC.
    for (lines, skipped) in [
        ("DTSTART;TZID=Customized Time Zone:20261201T110000\nDURATION:PT1H", 1),
        ("DTSTART;TZID=Customized Time Zone:20261201T000000\nDURATION:PT1H", 1),
        ("DTSTART;TZID=\"(UTC+08:00) Perth\":20261201T080000\nDURATION:PT1H", 0),
        ("DTSTART;TZID=(UTC+08:00) Perth:20261201T080000\nDURATION:PT1H", 0),
        ("DTSTART;VALUE=DATE:20261201\nDTEND;VALUE=DATE:20261201", 0),
        ("DTSTART;VALUE=DATE:20261201\nDTEND;VALUE=DATE:20261130", 1),
        ("DTSTART:20261201T000000Z\nDTEND:20261130T000000Z", 1),
        ("DTSTART:20261201T000000Z\nDURATION:an hour", 1),
        ("DTSTART:18500101T000000Z\nDTEND:22500101T000000Z", 0),
    ] {
        elsewhere.serves(&calendar_of(lines));
        let shown = read(&app, &therapist, &calendar).await;
        assert_eq!((&shown["status"], &shown["skipped_events"]), (&json!("ok"), &json!(skipped)), "{lines}");
        let free = app.nobody().slots(&therapist, "2026-12-01", "2026-12-01").await;
        assert!(!free.contains(&TUESDAY_AT_ELEVEN.to_owned()), "{lines}: {free:?}");
    }
    // A history of twenty megabytes is read, and what is to come after it.
    let past = format!(
        "BEGIN:VEVENT\r\nUID:2\r\nDTSTART:20200101T000000Z\r\nDESCRIPTION:{}\r\nEND:VEVENT\r\n",
        "long ".repeat(200)
    );
    elsewhere.serves(&DENTIST.replacen("BEGIN:VEVENT", &format!("{}BEGIN:VEVENT", past.repeat(20_000)), 1));
    let shown = read(&app, &therapist, &calendar).await;
    let found = (&shown["status"], &shown["busy_intervals"], &shown["skipped_events"], &shown["cut"]);
    assert_eq!(found, (&json!("ok"), &json!(1), &json!(0), &json!(false)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_and_invitations_may_keep_nobody_busy() {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let calendar_of = |lines: &str| {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\n{lines}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
    };
    let birthday = Elsewhere::serving(&calendar_of("DTSTART;VALUE=DATE:20261201"));
    let wish = |all_day: &str| json!({ "url": birthday.url(), "label": "Birthdays", "all_day": all_day });
    for odd in ["", "blocks", "BLOCK"] {
        therapist.post(CALENDARS, wish(odd)).await.points_to(&["/all_day"]);
    }
    let made = therapist.post(CALENDARS, wish("ignore")).await.is(201);
    assert_eq!(made.body["all_day"], "ignore");
    app.run_jobs().await;
    let shown = therapist.get(&format!("{CALENDARS}/{}", made.id())).await.is(200).body;
    assert_eq!((&shown["status"], &shown["busy_intervals"]), (&json!("ok"), &json!(0)));

    let invited = |partstat: &str| {
        calendar_of(&format!(
            "DTSTART:20261201T000000Z\r\nDURATION:PT1H\r\nATTENDEE;PARTSTAT={partstat}:mailto:{}",
            therapist.email.to_uppercase()
        ))
    };
    app.advance(TimeDelta::minutes(2));
    let elsewhere = Elsewhere::serving(&invited("DECLINED"));
    let calendar = therapist.subscribes(&elsewhere).await;
    app.run_jobs().await;
    let shown = therapist.get(&calendar).await.is(200).body;
    assert_eq!(
        (&shown["status"], &shown["busy_intervals"], &shown["all_day"]),
        (&json!("ok"), &json!(0), &json!("block"))
    );
    elsewhere.serves(&invited("ACCEPTED"));
    assert_eq!(read(&app, &therapist, &calendar).await["busy_intervals"], 1);
}

/// The events of a feed.
fn events(text: &str) -> Vec<icalendar::Event> {
    let calendar: Calendar = text.parse().unwrap();
    calendar
        .components
        .into_iter()
        .map(|component| match component {
            CalendarComponent::Event(event) => event,
            other => panic!("{other:?}"),
        })
        .collect()
}

async fn feed(app: &App, person: &Person) -> (String, Answer) {
    let url = person.act(FEED).await.is(201).body["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("http://knead.test").unwrap().to_owned();
    let answer = app.nobody().get(&path).await.is(200);
    (path, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_shows_ones_own_visits_and_tells_nothing_else() {
    let app = App::start().await;
    let (therapist, (client, address)) = (app.therapist().await, app.client_at_home().await);
    let mut wish = client.wish(&therapist, address, TUESDAY_AT_ELEVEN);
    wish["notes"] = json!("Herniated disc, please be careful.");
    wish["pressure"] = json!("firm");
    let booking = client.books_with_key("a", &wish).await.is(201).id();

    let (path, theirs) = feed(&app, &therapist).await;
    assert_eq!(theirs.header("content-type"), "text/calendar; charset=utf-8");
    assert_eq!(theirs.header("cache-control"), "no-store");
    for line in theirs.text.split_inclusive('\n') {
        assert!(line.ends_with("\r\n") && line.len() <= 77, "{line:?}");
    }
    let (_, mine) = feed(&app, &client).await;
    for (text, suburb) in [(&theirs.text, Some("Surry Hills")), (&mine.text, None)] {
        let events = events(text);
        let [event] = events.as_slice() else { panic!("{text}") };
        assert_eq!(event.get_uid(), Some(format!("{booking}@visits.knead").as_str()));
        assert_eq!(
            (event.get_sequence(), event.property_value("STATUS"), event.get_location()),
            (Some(0), Some("CONFIRMED"), suburb)
        );
        assert_eq!(
            (event.property_value("DTSTART"), event.property_value("DTEND")),
            (Some("20261201T000000Z"), Some("20261201T010000Z"))
        );
        assert_eq!(
            (event.get_summary(), event.property_value("DTSTAMP")),
            (Some("Massage visit"), Some("20261130T010000Z"))
        );
        for secret in ["Herniated", "firm", "Crown", "Ring 4", "Deep", "Test client", "Test therapist", "2010"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }

    // Unchanged it is not sent again, with or without its ending.
    let tag = theirs.header("etag");
    app.advance(TimeDelta::minutes(1));
    let again =
        send(app.nobody().request(Method::GET, path.strip_suffix(".ics").unwrap()).header("If-None-Match", &tag)).await;
    assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""));
    let accepting = |media: &str| send(app.nobody().request(Method::GET, &path).header("Accept", media));
    for media in ["text/calendar", "text/*", "application/json, text/calendar;q=0.5", "*/*"] {
        accepting(media).await.is(200);
    }
    accepting("application/json").await.refused(406, "not_acceptable");
    accepting("text/html").await.refused(406, "not_acceptable");

    // Called off, it is the same event, later in its sequence.
    client.post(&format!("/v1/bookings/{booking}/cancel"), json!({})).await.is(200);
    let later = events(&app.nobody().get(&path).await.is(200).text);
    assert_eq!(later[0].get_uid(), Some(format!("{booking}@visits.knead").as_str()));
    assert_eq!((later[0].get_sequence(), later[0].property_value("STATUS")), (Some(1), Some("CANCELLED")));
    assert_eq!(later[0].property_value("LAST-MODIFIED"), Some("20261130T010100Z"));
    // A month after the visit it is gone.
    app.advance(TimeDelta::days(32));
    assert!(events(&app.nobody().get(&path).await.is(200).text).is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_tentative_until_it_is_answered_or_lapses() {
    let app = App::start().await;
    let (therapist, (client, address)) = (app.therapist().await, app.client_at_home().await);
    therapist.change("/v1/therapists/me", json!({ "booking_mode": "request" })).await.is(200);
    let first = client.books(&therapist, address, "2026-12-04T00:00:00Z").await.is(201).id();
    client.books(&therapist, address, "2026-12-05T00:00:00Z").await.is(201);
    let (path, answer) = feed(&app, &therapist).await;
    let status = |text: &str| -> Vec<(Option<u32>, String)> {
        events(text)
            .iter()
            .map(|event| (event.get_sequence(), event.property_value("STATUS").unwrap().to_owned()))
            .collect()
    };
    assert_eq!(status(&answer.text), [(Some(0), "TENTATIVE".to_owned()), (Some(0), "TENTATIVE".to_owned())]);
    therapist.act(&format!("/v1/bookings/{first}/accept")).await.is(200);
    // The other lapses after a day; whether that was written down yet makes no difference.
    app.advance(TimeDelta::hours(25));
    let expected = [(Some(1), "CONFIRMED".to_owned()), (Some(1), "CANCELLED".to_owned())];
    assert_eq!(status(&app.nobody().get(&path).await.is(200).text), expected);
    app.run_jobs().await;
    assert_eq!(status(&app.nobody().get(&path).await.is(200).text), expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feeds_address_is_a_secret_that_can_be_changed_and_revoked() {
    let app = App::start().await;
    let (therapist, client) = (app.therapist().await, app.client().await);
    client.get(FEED).await.refused(404, "not_found");
    client.delete(FEED).await.refused(404, "not_found");
    let (old, _) = feed(&app, &client).await;
    let shown = client.get(FEED).await.is(200);
    let token = old.rsplit('/').next().unwrap().trim_end_matches(".ics").to_owned();
    assert!(!shown.text.contains(&token) && token.len() == 43);
    assert_eq!(app.rows("calendar_feeds WHERE octet_length(digest) = 32").await, 1);

    let (new, _) = feed(&app, &client).await;
    app.nobody().get(&old).await.refused(404, "not_found");
    let (theirs, _) = feed(&app, &therapist).await;
    client.delete(FEED).await.is(204);
    app.nobody().get(&new).await.refused(404, "not_found");
    app.nobody().get(&theirs).await.is(200);
    let suspend = format!("/v1/admin/accounts/{}/suspend", therapist.id);
    app.admin().await.post(&suspend, json!({ "reason": "Two clients report the same." })).await.is(200);
    app.nobody().get(&theirs).await.refused(404, "not_found");
    app.admin().await.act(&suspend.replace("suspend", "reinstate")).await.is(200);
    app.nobody().get(&theirs).await.is(200);
    for wrong in [&token[..42], "x", ".ics", "%00", &"a".repeat(5000)] {
        app.nobody().get(&format!("/v1/calendar-feeds/{wrong}")).await.refused(404, "not_found");
    }
    app.admin().await.act(FEED).await.refused(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn visits_that_come_back_through_a_calendar_block_nobody() {
    let app = App::start().await;
    let (therapist, other, (client, address)) =
        (app.therapist().await, app.therapist().await, app.client_at_home().await);
    client.books(&therapist, address, TUESDAY_AT_ELEVEN).await.is(201);
    let (_, own) = feed(&app, &therapist).await;
    let elsewhere = Elsewhere::serving(&own.text);
    let calendar = therapist.subscribes(&elsewhere).await;
    // To somebody else it is a time like any other.
    let others = other.subscribes(&elsewhere).await;
    app.run_jobs().await;
    assert_eq!(therapist.get(&calendar).await.is(200).body["busy_intervals"], 0);
    assert_eq!(other.get(&others).await.is(200).body["busy_intervals"], 1);
}
