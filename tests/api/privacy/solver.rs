//! A solver that knows every formula of the service looks for a stranger's visit: where it is, and when.
//!
//! Five therapists are alike but for one visit each, so that each is a world with a secret of its own. The solver asks about all of them the same, and
//! chooses each question by what it knows of the first. From what is free it works out which places and times the visit can have. The rest of the
//! answers must not help it: wherever two worlds agree in what is free, they agree in every byte.
//!
//! `KNEAD_QUESTIONS` asks for more questions than the few that fit into a test, and prints what they came to.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use knead::availability::travel::{Block, Journey, RoadTimes, Traffic};
use knead::values::{Point, TravelMode};
use regex::Regex;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::free_or_not;
use crate::support::{Answer, App, DEEP_TISSUE, Dice, Person, at, send, surry_hills};

/// The secrets: the true one, the same place or time with another time or place, both others, and the block beside.
const SECRETS: [(f64, f64, &str); 5] = [
    (-33.8886, 151.2111, "2026-12-01T02:00:00Z"),
    (-33.8886, 151.2111, "2026-12-01T02:15:00Z"),
    (-33.8915, 151.2767, "2026-12-01T02:00:00Z"),
    (-33.9286, 151.1811, "2026-12-01T03:30:00Z"),
    (-33.8886, 151.2161, "2026-12-01T02:00:00Z"),
];

/// Of 121 by 121 blocks around, and 29 starts.
const BLOCKS: i32 = 60;
const FIRST: &str = "2026-11-30T22:00:00Z";
const STARTS: i64 = 29;

/// Where the visit may be, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Guess {
    place: Point,
    start: DateTime<Utc>,
}

fn start(step: i64) -> DateTime<Utc> {
    at(FIRST) + TimeDelta::minutes(15 * step)
}

/// Whether an hour at `place` could start at `start`, if the visit were as guessed: by the service's own formula.
fn is_free(guess: &Guess, place: Point, start: DateTime<Utc>) -> bool {
    let around = |start: DateTime<Utc>| (start - TimeDelta::minutes(10), start + TimeDelta::minutes(70));
    let ((from, until), (visit_from, visit_until)) = (around(start), around(guess.start));
    let takes = |from: Point, to: Point, leaving: DateTime<Utc>| {
        // Sydney is eleven hours ahead.
        let local = leaving + TimeDelta::hours(11);
        let traffic = Traffic::at(i64::from(local.hour() * 60 + local.minute()));
        TimeDelta::minutes(Journey::new(TravelMode::Car, from, to, &RoadTimes::default()).minutes(traffic).into())
    };
    if until <= visit_from {
        visit_from - until >= takes(place, guess.place, until)
    } else {
        from >= visit_until && from - visit_until >= takes(guess.place, place, visit_until)
    }
}

/// A question about each of the therapists.
struct Question<'a> {
    who: &'a Person,
    place: Point,
    address: Option<Uuid>,
    /// At which steps of the day.
    steps: Vec<i64>,
}

impl Question<'_> {
    fn visit(&self, therapist: &Person) -> Value {
        json!({ "therapist_id": therapist.id, "service_id": DEEP_TISSUE, "duration_minutes": 60, "latitude": self.place.latitude,
            "longitude": self.place.longitude, "country": "AU", "region": "NSW" })
    }

    /// The answers of one of the ways to ask: slots, checks, quotes, holds, lists of therapists.
    async fn asked(&self, way: usize, therapist: &Person) -> Vec<Answer> {
        let starts: Vec<String> = self.steps.iter().map(|step| start(*step).to_rfc3339()).collect();
        let with = |field: &str, value: Value| {
            let mut visit = self.visit(therapist);
            visit[field] = value;
            visit
        };
        let place =
            format!("latitude={}&longitude={}&country=AU&region=NSW", self.place.latitude, self.place.longitude);
        match (way, self.address) {
            (0, _) => {
                let sort = ["soonest", "distance", "rating"][self.steps.len() % 3];
                let path = format!(
                    "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-01&to=2026-12-01&{place}&sort={sort}&therapist_id={}",
                    therapist.id
                );
                vec![self.who.get(&path).await]
            }
            (1, _) => vec![self.who.post("/v1/quotes", with("start_at", json!(starts[0]))).await],
            (2, Some(address)) => {
                let held = self.who.post("/v1/holds", self.who.wish(therapist, address, &starts[0])).await;
                let mut answers = vec![held.clone()];
                if held.status == 201 {
                    answers.push(self.who.delete(&held.header("location")).await);
                }
                answers
            }
            (3, _) => {
                let pages =
                    ["", "/reviews", "/credentials"].map(|page| format!("/v1/therapists/{}{page}", therapist.id));
                let mut answers = Vec::new();
                for page in pages {
                    answers.push(send(self.who.request(Method::GET, &page)).await);
                }
                answers
            }
            _ => vec![self.who.post("/v1/slots/check", with("starts", json!(starts))).await],
        }
    }
}

/// What was answered, to the byte, without what names people and requests.
fn whole(answers: &[Answer], names: &Regex) -> String {
    let text = answers.iter().map(|answer| format!("{} {}\n", answer.status, answer.text));
    names.replace_all(&text.collect::<String>(), "#").into_owned()
}

/// What of it tells whether starts are free: each start with whether it is, and what became of holds.
fn free(answers: &[Answer]) -> String {
    let mut told = Vec::new();
    for answer in answers {
        let found = answer.body["data"].as_array().into_iter().flatten();
        for found in found {
            let slots = found["slots"].as_array().into_iter().flatten();
            told.extend(slots.map(|slot| slot["start_at"].to_string()));
            if found.get("bookable").is_some() {
                told.push(format!("{} {}", found["start_at"], found["bookable"]));
            }
        }
        told.push(answer.status.to_string());
    }
    told.join(" ")
}

impl Dice {
    /// At most so far from nothing.
    fn near(&mut self, most: i32) -> i32 {
        i32::try_from(self.roll(2 * usize::try_from(most).unwrap() + 1)).unwrap() - most
    }
}

#[tokio::test]
async fn a_solver_that_knows_the_formula_learns_nothing_beyond_free_or_not() {
    let asked = std::env::var("KNEAD_QUESTIONS").ok().map(|count| count.parse().expect("a number"));
    let questions: usize = asked.unwrap_or(60);
    let app = App::start().await;
    let names = Regex::new("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}").unwrap();
    let mut worlds = Vec::new();
    for (latitude, longitude, start) in SECRETS {
        let (therapist, stranger) = (app.therapist().await, app.client().await);
        let mut place = surry_hills();
        (place["latitude"], place["longitude"]) = (json!(latitude), json!(longitude));
        let address = stranger.address(place).await;
        stranger.books(&therapist, address, start).await.is(201);
        worlds.push(therapist);
    }
    let (client, nobody, mut dice) = (app.client().await, app.nobody(), Dice(7));
    let middle = Block::of(Point { latitude: -33.8986, longitude: 151.2211 }).middle();
    let moved = |north: i32, east: i32| Point {
        latitude: middle.latitude + f64::from(north) * 0.005,
        longitude: middle.longitude + f64::from(east) * 0.005,
    };
    let truth = Guess {
        place: Block::of(Point { latitude: SECRETS[0].0, longitude: SECRETS[0].1 }).middle(),
        start: at(SECRETS[0].2),
    };
    let blocks = (-BLOCKS..=BLOCKS).flat_map(|north| (-BLOCKS..=BLOCKS).map(move |east| (north, east)));
    let mut guesses: Vec<Guess> = blocks
        .flat_map(|(north, east)| (0..STARTS).map(move |step| (north, east, step)))
        .map(|(north, east, step)| Guess { place: moved(north, east), start: start(step) })
        .collect();
    let all = guesses.len();
    // Addresses, for what only a client with a door may ask.
    let mut doors = Vec::new();
    for _ in 0..12 {
        let place = moved(dice.near(8), dice.near(8));
        let mut address = surry_hills();
        (address["latitude"], address["longitude"]) = (json!(place.latitude), json!(place.longitude));
        doors.push((place, Some(client.address(address).await)));
    }

    // How often two worlds were told apart: by what is free, and by the whole of the answers.
    let mut apart: BTreeMap<(usize, usize), [usize; 2]> = BTreeMap::new();
    for number in 0..questions {
        // Of some places and starts, the one about which the guesses that are left agree least.
        let sample: Vec<Guess> = (0..200.min(guesses.len())).map(|_| dice.pick(&guesses)).collect();
        let mut best = None;
        for _ in 0..30 {
            let (place, door) = match dice.roll(2) {
                0 => dice.pick(&doors),
                _ => (moved(dice.near(8), dice.near(8)), None),
            };
            let step = i64::from(dice.near(14)) + 14;
            let yes = sample.iter().filter(|guess| is_free(guess, place, start(step))).count();
            let even = yes.min(sample.len() - yes);
            if best.is_none_or(|(_, _, _, most)| even >= most) {
                best = Some((place, door, step, even));
            }
        }
        let (place, address, step, _) = best.unwrap();
        let who = if address.is_some() || dice.roll(2) == 0 { &client } else { &nobody };
        let way = [0, 1, 2, 4, 4, 4, 3][number % 7];
        let steps = [step, step + 1, step - 1, step + 4, step - 4];
        let steps = steps.into_iter().filter(|step| (0..STARTS).contains(step)).collect();
        let question = Question { who, place, address, steps };
        let mut told = Vec::new();
        for therapist in &worlds {
            let answers = question.asked(way, therapist).await;
            assert!(answers.iter().all(|answer| answer.status.as_u16() < 500 && answer.status != 429), "{answers:?}");
            told.push((free(&answers), whole(&answers, &names), answers));
        }
        for (a, b) in (0..worlds.len()).flat_map(|a| (a + 1..worlds.len()).map(move |b| (a, b))) {
            let by_free = told[a].0 != told[b].0;
            let by_all = told[a].1 != told[b].1;
            assert!(
                !by_all || by_free,
                "question {number}: the same is free, but\n{}\nis not\n{}",
                told[a].1,
                told[b].1
            );
            let counts = apart.entry((a, b)).or_default();
            counts[0] += usize::from(by_free);
            counts[1] += usize::from(by_all);
        }
        // Without what is free, all worlds answer the same.
        let mut rests = told.iter().map(|(_, _, answers)| {
            let bodies = answers.iter().filter(|answer| answer.status == 200).map(|answer| {
                let mut body = answer.body.clone();
                free_or_not(&mut body);
                names.replace_all(&body.to_string(), "#").into_owned()
            });
            bodies.collect::<Vec<_>>()
        });
        let first = rests.next().unwrap();
        assert!(rests.all(|rest| rest == first), "question {number}");

        // What the solver concludes of the first world.
        let checked = told[0].2[0].body["data"].as_array().filter(|_| way == 4).cloned().unwrap_or_default();
        for start in checked {
            let (at, bookable) = (at(start["start_at"].as_str().unwrap()), start["bookable"].as_bool().unwrap());
            guesses.retain(|guess| is_free(guess, place, at) == bookable);
        }
        assert!(guesses.iter().any(|guess| is_close(guess, &truth)), "question {number}: the formula is another one");
        if asked.is_some() && [50, 346, 1000, questions - 1].contains(&number) {
            println!("after {number} questions {} of {all} guesses are left", guesses.len());
        }
    }
    for ((a, b), [by_free, by_all]) in &apart {
        assert_eq!(by_free, by_all, "worlds {a} and {b} are told apart by what is free alone");
    }
    println!("told apart by what is free, and by all: {apart:?}");
    // A solver that learnt nothing at all would have asked the wrong questions.
    assert!(guesses.len() * 50 < all, "{} of {all}", guesses.len());
}

fn is_close(guess: &Guess, truth: &Guess) -> bool {
    guess.start == truth.start && Block::of(guess.place) == Block::of(truth.place)
}
