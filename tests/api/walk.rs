//! Random walks: two therapists, three clients and fifty steps of whatever can be done to a visit, held after each step
//! against a model that knows the rules and nothing of the code. `KNEAD_WALKS` says how many walks, `KNEAD_WALK_SEED` where to
//! begin; a failure prints the seed of its walk, and `KNEAD_WALKS=1` with that seed replays it.

mod around;
mod bookings;
mod model;
mod offers;
mod visits;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Answer, App, DEEP_TISSUE, Dice, Person, send, surry_hills};
use model::{Model, No, PLACES, Therapist, Wish};

const STEPS: usize = 50;
const FIRST_SEED: u64 = 20_261_125;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_the_service_and_the_model_agree() {
    let (walks, first) = (setting("KNEAD_WALKS", 12), setting("KNEAD_WALK_SEED", FIRST_SEED));
    let mut seeds = first..first + walks;
    let mut under_way = JoinSet::new();
    let mut steps = std::collections::BTreeMap::new();
    loop {
        while under_way.len() < 4
            && let Some(seed) = seeds.next()
        {
            under_way.spawn(async move {
                // Its place in the output tells which walk failed.
                let walk = tokio::spawn(async move {
                    let mut walk = Walk::begin(seed).await;
                    for _ in 0..STEPS {
                        walk.step().await;
                    }
                    walk.end().await
                });
                walk.await.unwrap_or_else(|why| panic!("the walk of KNEAD_WALK_SEED={seed} failed: {why}"))
            });
        }
        let Some(taken) = under_way.join_next().await else { break };
        for (name, count) in taken.expect("a walk") {
            *steps.entry(name).or_insert(0) += count;
        }
    }
    println!("{walks} walks of {STEPS} steps from seed {first}; done and refused: {steps:?}");
}

/// How often what was done, and what refused.
type Tally = std::collections::BTreeMap<String, usize>;

struct Walk {
    app: App,
    dice: Dice,
    model: Model,
    therapists: Vec<Person>,
    clients: Vec<(Person, Vec<Uuid>)>,
    tally: Tally,
}

impl Walk {
    async fn begin(seed: u64) -> Self {
        let app = App::start().await;
        let mut dice = Dice(seed);
        let (mut therapists, mut kept) = (Vec::new(), Vec::new());
        for instant in [true, false] {
            let therapist = app.therapist().await;
            let cap = dice.pick(&[None, Some(2)]);
            let mode = if instant { "instant" } else { "request" };
            therapist
                .change("/v1/therapists/me", json!({ "booking_mode": mode, "daily_cap": cap, "service_radius_km": 50 }))
                .await
                .is(200);
            therapists.push(therapist);
            kept.push(Therapist { instant, cap, licensed: true, off: Vec::new() });
        }
        let mut clients = Vec::new();
        for _ in 0..3 {
            let client = app.client().await;
            let mut addresses = Vec::new();
            for place in PLACES {
                let mut address = surry_hills();
                address["latitude"] = json!(place.latitude);
                address["longitude"] = json!(place.longitude);
                addresses.push(client.address(address).await);
            }
            clients.push((client, addresses));
        }
        let model =
            Model { now: app.now(), therapists: kept, visits: Vec::new(), holds: Vec::new(), blocks: Vec::new() };
        Self { app, dice, model, therapists, clients, tally: Tally::new() }
    }

    fn count(&mut self, name: &str, done: bool) {
        *self.tally.entry(format!("{name}{}", if done { "" } else { " refused" })).or_insert(0) += 1;
    }

    async fn step(&mut self) {
        match self.dice.roll(35) {
            0..=5 => self.book().await,
            6..=7 => self.hold().await,
            8..=9 => self.book_hold().await,
            10 => self.let_go().await,
            11..=12 => self.cancel().await,
            13..=14 => self.answer().await,
            15..=17 => self.reschedule().await,
            18..=21 => self.visit().await,
            22 => self.block().await,
            23 => self.take_off().await,
            24 => self.come_back().await,
            25..=26 => self.license().await,
            27..=29 => self.propose().await,
            30..=32 => self.react().await,
            _ => self.wait().await,
        }
        self.compare_slots().await;
    }

    /// Mostly a time that could do, on the grid and in the hours, and now and then one that could not.
    fn wish(&mut self) -> Wish {
        let days = self.dice.pick(&[0, 1, 1, 2, 2, 2, 3, 61]);
        let minute = match self.dice.roll(10) {
            0 => 15 * self.dice.roll(96) + 5,
            1..=2 => 15 * self.dice.roll(96),
            _ => 9 * 60 + 15 * self.dice.roll(32),
        };
        let local_midnight = model::local(self.model.now).date_naive() + TimeDelta::days(days);
        let start = local_midnight.and_time(chrono::NaiveTime::MIN).and_utc() - model::AHEAD
            + TimeDelta::minutes(minute.try_into().expect("a minute"));
        Wish {
            therapist: self.dice.roll(self.therapists.len()),
            client: self.dice.roll(self.clients.len()),
            place: self.dice.roll(PLACES.len()),
            minutes: self.dice.pick(&[60, 90]),
            start,
        }
    }

    fn body(&self, wish: &Wish) -> Value {
        json!({
            "therapist_id": self.therapists[wish.therapist].id, "service_id": DEEP_TISSUE, "duration_minutes": wish.minutes,
            "start_at": stamp(wish.start), "address_id": self.clients[wish.client].1[wish.place],
        })
    }

    async fn posts(&self, who: &Person, path: &str, body: &Value) -> Answer {
        let key = Uuid::now_v7().to_string();
        let ask = || send(who.request(reqwest::Method::POST, path).header("Idempotency-Key", &key).json(body));
        let answer = ask().await;
        if answer.status.is_success() {
            let again = ask().await;
            assert_eq!((again.status, &again.text), (answer.status, &answer.text), "the same key, the same answer");
        }
        answer
    }

    /// Fails unless the service said what the model says.
    #[track_caller]
    fn agree(&mut self, name: &str, answer: &Answer, allowed: bool, what: &dyn std::fmt::Debug) {
        self.count(name, allowed);
        let refused = matches!(answer.status.as_u16(), 409 | 422);
        assert!(answer.status.is_success() || refused, "{name}: {}", answer.text);
        assert_eq!(answer.status.is_success(), allowed, "{name} {what:?}: {}\n{:#?}", answer.text, self.model);
    }

    async fn wait(&mut self) {
        let by = TimeDelta::minutes(self.dice.pick(&[4, 11, 45, 180, 700, 1500]));
        // Now and then just until a proposal lapses.
        let lapse = self.model.next_lapse().filter(|_| self.dice.roll(3) == 0);
        self.pass(lapse.map_or(by, |lapse| lapse - self.model.now)).await;
    }

    /// The clock moves on, and sometimes no job runs for a while.
    async fn pass(&mut self, by: TimeDelta) {
        self.app.advance(by);
        self.model.wait(by);
        if self.dice.roll(3) > 0 {
            self.app.run_jobs().await;
            self.model.settle();
        }
        self.count("wait", true);
    }

    /// Fails unless the service said what the model says, to the code.
    #[track_caller]
    fn agree_on(&mut self, name: &str, answer: &Answer, expected: Result<(), No>, what: &dyn std::fmt::Debug) {
        self.count(
            &expected.map_or_else(|(_, code)| format!("{name}: {code}"), |()| name.to_owned()),
            expected.is_ok(),
        );
        let no = || (answer.status.as_u16(), answer.body["code"].as_str().unwrap_or_default());
        let said = if answer.status.is_success() { Ok(()) } else { Err(no()) };
        assert_eq!(said, expected, "{name} {what:?}: {}\n{:#?}", answer.text, self.model);
    }

    /// Every start that may be booked is listed, and no other.
    async fn compare_slots(&mut self) {
        let Wish { therapist, client, place, minutes, .. } = self.wish();
        let first = model::local(self.model.now).date_naive() + TimeDelta::days(self.dice.pick(&[0, 1, 2]));
        let last = first + TimeDelta::days(1);
        let (person, addresses) = &self.clients[client];
        let path = format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes={minutes}&from={first}&to={last}&address_id={}&therapist_id={}",
            addresses[place], self.therapists[therapist].id
        );
        let page = person.get(&path).await.is(200);
        let found = page.body["data"].as_array().expect("a page").iter();
        let listed: Vec<DateTime<Utc>> = found
            .flat_map(|found| found["slots"].as_array().expect("slots").clone())
            .map(|slot| slot["start_at"].as_str().expect("a start").parse().expect("an instant"))
            .collect();
        let midnight = first.and_time(chrono::NaiveTime::MIN).and_utc() - model::AHEAD;
        let starts = (0..2 * 96).map(|quarter| midnight + TimeDelta::minutes(quarter * 15));
        let now = self.model.now;
        let wish = |start| Wish { therapist, client, place, minutes, start };
        let allowed: Vec<DateTime<Utc>> = starts.filter(|start| self.model.allows(&wish(*start), now, None)).collect();
        assert_eq!(listed, allowed, "slots of therapist {therapist} at place {place}\n{:#?}", self.model);
    }

    /// Every visit stands where the model has it, and no two overlap.
    async fn end(self) -> Tally {
        for visit in &self.model.visits {
            let seen = self.clients[visit.wish.client].0.get(&visit.path).await.is(200);
            assert_eq!(seen.body["status"], visit.status.name(), "{visit:?}");
            let start: DateTime<Utc> = seen.body["start_at"].as_str().expect("a start").parse().expect("an instant");
            assert_eq!((start, &seen.body["duration_minutes"]), (visit.wish.start, &json!(visit.wish.minutes)));
            self.compare_offers(visit).await;
        }
        self.app.events_are_in_order().await;
        self.tally
    }
}

fn stamp(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
