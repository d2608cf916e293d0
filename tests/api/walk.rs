//! Random walks: two therapists, three clients and fifty steps of everything that can be done to a visit, held after each step
//! against a model that knows the rules and nothing of the code. `KNEAD_WALKS` says how many walks, `KNEAD_WALK_SEED` where to
//! begin; a failure prints the seed of its walk, and `KNEAD_WALKS=1` with that seed replays it.

mod model;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use knead::availability;
use knead::bookings::licensing;
use knead::ids::TherapistId;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Answer, App, DEEP_TISSUE, Dice, Person, send, surry_hills};
use model::{Hold, Model, Off, PLACES, Status, Step, Therapist, Visit, Wish};

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
        match self.dice.roll(28) {
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
            25 => self.license().await,
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

    async fn posts(&self, client: usize, path: &str, body: &Value) -> Answer {
        let key = Uuid::now_v7().to_string();
        let client = &self.clients[client].0;
        let ask = || send(client.request(reqwest::Method::POST, path).header("Idempotency-Key", &key).json(body));
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

    fn keep(&mut self, wish: Wish, asked: DateTime<Utc>, answer: &Answer) {
        let status = if self.model.therapists[wish.therapist].instant { Status::Confirmed } else { Status::Requested };
        assert_eq!(answer.body["status"], status.name());
        let now = self.model.now;
        self.model.visits.push(Visit {
            path: format!("/v1/bookings/{}", answer.id()),
            respond_by: now + ((wish.start - now) / 2).min(TimeDelta::hours(24)),
            wish,
            status,
            asked,
            at_risk: false,
            made: now,
            forced: false,
            missed_by_client: false,
            spared: TimeDelta::zero(),
        });
    }

    async fn book(&mut self) {
        let wish = self.wish();
        let answer = self.posts(wish.client, "/v1/bookings", &self.body(&wish)).await;
        let now = self.model.now;
        self.agree("book", &answer, self.model.allows(&wish, now, None), &wish);
        if answer.status == 201 {
            self.keep(wish, now, &answer);
        }
    }

    async fn hold(&mut self) {
        let wish = self.wish();
        let answer = self.posts(wish.client, "/v1/holds", &self.body(&wish)).await;
        let held = self.model.live_holds().filter(|hold| hold.wish.client == wish.client).count();
        let now = self.model.now;
        self.agree("hold", &answer, held < 3 && self.model.allows(&wish, now, None), &wish);
        if answer.status == 201 {
            self.model.holds.push(Hold { id: answer.id(), wish, made: now });
        }
    }

    async fn book_hold(&mut self) {
        if self.model.holds.is_empty() {
            return;
        }
        let i = self.dice.roll(self.model.holds.len());
        let Hold { id, wish, made } = self.model.holds[i].clone();
        let live = self.model.is_live(&self.model.holds[i]);
        let without = Model { holds: Vec::new(), ..self.model.clone() };
        let others = self.model.holds.iter().filter(|hold| hold.id != id).cloned().collect();
        let allowed = live && Model { holds: others, ..without }.allows(&wish, made, None);
        let answer = self.posts(wish.client, "/v1/bookings", &json!({ "hold_id": id })).await;
        self.agree("book a hold", &answer, allowed, &wish);
        if answer.status == 201 {
            self.model.holds.remove(i);
            self.keep(wish, made, &answer);
        }
    }

    async fn let_go(&mut self) {
        if self.model.holds.is_empty() {
            return;
        }
        let hold = self.model.holds.remove(self.dice.roll(self.model.holds.len()));
        let status = self.clients[hold.wish.client].0.delete(&format!("/v1/holds/{}", hold.id)).await.status;
        assert_eq!(status.as_u16(), if self.model.is_live(&hold) { 204 } else { 404 });
        self.count("let go", true);
    }

    /// Any visit so far.
    fn any_visit(&mut self) -> Option<usize> {
        let count = self.model.visits.len();
        (count > 0).then(|| self.dice.roll(count))
    }

    async fn cancel(&mut self) {
        let Some(i) = self.any_visit() else { return };
        let by_client = self.dice.roll(3) > 0;
        let visit = self.model.visits[i].clone();
        let answer = self.person(&visit, by_client).post(&format!("{}/cancel", visit.path), json!({})).await;
        let open = match visit.status {
            Status::Requested => by_client,
            Status::Confirmed | Status::OnTheWay | Status::Arrived => true,
            _ => false,
        };
        // Repeating what is done is no error.
        let allowed = visit.status == Status::Cancelled || open && self.model.now < visit.wish.end();
        self.agree("cancel", &answer, allowed, &visit);
        if allowed {
            self.model.visits[i].ends(Status::Cancelled);
        }
    }

    async fn answer(&mut self) {
        let requested: Vec<usize> =
            (0..self.model.visits.len()).filter(|i| self.model.visits[*i].status == Status::Requested).collect();
        let i = if requested.is_empty() || self.dice.roll(6) == 0 {
            let Some(i) = self.any_visit() else { return };
            i
        } else {
            self.dice.pick(&requested)
        };
        let accept = self.dice.roll(4) > 0;
        let visit = self.model.visits[i].clone();
        let (step, status) = if accept { ("accept", Status::Confirmed) } else { ("decline", Status::Declined) };
        let answer = self.therapists[visit.wish.therapist].act(&format!("{}/{step}", visit.path)).await;
        let can = visit.status == Status::Requested
            && (!accept || self.model.allows(&visit.wish, visit.asked, Some(&visit.path)));
        self.agree(step, &answer, can || visit.status == status, &visit);
        if can && accept {
            self.model.visits[i].status = status;
        } else if can {
            self.model.visits[i].ends(status);
        }
    }

    fn person(&self, visit: &Visit, by_client: bool) -> &Person {
        if by_client { &self.clients[visit.wish.client].0 } else { &self.therapists[visit.wish.therapist] }
    }

    async fn reschedule(&mut self) {
        let Some(i) = self.any_visit() else { return };
        let by_client = self.dice.roll(3) > 0;
        let visit = self.model.visits[i].clone();
        let instant = self.model.therapists[visit.wish.therapist].instant;
        if by_client && visit.status == Status::Confirmed && !instant {
            // That would be a proposal.
            return;
        }
        let wish = Wish { start: self.wish().start, ..visit.wish.clone() };
        let path = format!("{}/reschedule", visit.path);
        let answer = self.person(&visit, by_client).post(&path, json!({ "start_at": stamp(wish.start) })).await;
        let now = self.model.now;
        let allowed = visit.moves(by_client, now) && self.model.allows(&wish, now, Some(&visit.path));
        if wish.start == visit.wish.start {
            return;
        }
        self.agree("move", &answer, allowed, &(&visit, &wish));
        if allowed {
            let respond_by = now + ((wish.start - now) / 2).min(TimeDelta::hours(24));
            self.model.visits[i] = Visit { wish, asked: now, at_risk: false, forced: !by_client, respond_by, ..visit };
        }
    }

    /// A few steps of a visit.
    async fn visit(&mut self) {
        let agreed = |visit: &Visit| !matches!(visit.status, Status::Requested | Status::Cancelled | Status::Expired);
        let agreed: Vec<usize> = (0..self.model.visits.len()).filter(|i| agreed(&self.model.visits[*i])).collect();
        if agreed.is_empty() {
            return;
        }
        let i = self.dice.pick(&agreed);
        for _ in 0..=self.dice.roll(4) {
            self.take_step(i).await;
        }
    }

    /// A step of a visit: mostly the one that comes next.
    async fn take_step(&mut self, i: usize) {
        // Visits hang on the clock: often it moves to about theirs.
        let about = TimeDelta::minutes(self.dice.pick(&[-190, -180, -60, -16, -15, 0, 19, 20, 60, 95]));
        let by = self.model.visits[i].wish.start + about - self.model.now;
        if self.dice.roll(3) > 0 && TimeDelta::zero() < by {
            self.pass(by).await;
        }
        let visit = self.model.visits[i].clone();
        let (step, by_client) = match (self.dice.roll(4), visit.status) {
            (0, _) => (self.dice.pick(&Step::ALL), false),
            (1, _) => (Step::NoShow, self.dice.roll(2) == 0),
            (_, Status::OnTheWay) => (Step::Arrive, false),
            (_, Status::Arrived) => (Step::Start, false),
            (_, Status::InProgress) => (Step::Complete, false),
            _ => (Step::OnTheWay, false),
        };
        let answer = self.person(&visit, by_client).act(&format!("{}/{}", visit.path, step.name())).await;
        let now = self.model.now;
        let licensed = self.model.therapists[visit.wish.therapist].licensed;
        let can = visit.may(step, by_client, licensed, now);
        // Repeating one's own step is no error.
        let done = visit.status == step.end() && (step != Step::NoShow || visit.missed_by_client == by_client);
        self.agree(step.name(), &answer, can || done, &visit);
        if can {
            let visit = &mut self.model.visits[i];
            match step {
                Step::OnTheWay | Step::Arrive | Step::Start => visit.status = step.end(),
                Step::Complete => {
                    visit.spared = (visit.wish.end() - now).max(TimeDelta::zero());
                    visit.ends(step.end());
                }
                Step::NoShow | Step::Stop => {
                    visit.missed_by_client = by_client;
                    visit.ends(step.end());
                }
            }
        }
    }

    /// Blocks the other, or lets them be again.
    async fn block(&mut self) {
        let Wish { client, therapist, .. } = self.wish();
        let by_client = self.dice.roll(2) == 0;
        let (one, other) = (&self.clients[client].0, &self.therapists[therapist]);
        let (who, whom) = if by_client { (one, other) } else { (other, one) };
        let block = (client, therapist, by_client);
        let met =
            self.model.visits.iter().any(|visit| (visit.wish.client, visit.wish.therapist) == (client, therapist));
        if let Some(i) = self.model.blocks.iter().position(|known| *known == block) {
            who.delete(&format!("/v1/me/blocks/{}", whom.id)).await.is(204);
            self.model.blocks.remove(i);
            self.count("let be", true);
        } else if by_client || met {
            who.post("/v1/me/blocks", json!({ "account_id": whom.id })).await.is(201);
            self.model.blocks.push(block);
            self.count("block", true);
        }
    }

    async fn take_off(&mut self) {
        let Wish { therapist, start, .. } = self.wish();
        let end = start + TimeDelta::minutes(self.dice.pick(&[30, 100, 400]));
        let body = json!({ "start_at": stamp(start), "end_at": stamp(end) });
        let answer = self.therapists[therapist].post("/v1/therapists/me/time-off", body).await.is(201);
        let off = Off { id: answer.id(), start, end };
        let mut hit: Vec<String> = self.model.taken(therapist).filter_map(|taken| taken.hit_by(&off)).collect();
        let listed = answer.body["bookings"].as_array().expect("a list");
        let mut listed: Vec<String> =
            listed.iter().map(|hit| format!("/v1/bookings/{}", hit["id"].as_str().expect("an id"))).collect();
        hit.sort();
        listed.sort();
        assert_eq!(listed, hit, "{off:?}\n{:#?}", self.model);
        self.model.therapists[therapist].off.push(off);
        self.count("time off", true);
    }

    async fn come_back(&mut self) {
        let therapist = self.dice.roll(self.therapists.len());
        let Some(off) = self.model.therapists[therapist].off.pop() else { return };
        self.therapists[therapist].delete(&format!("/v1/therapists/me/time-off/{}", off.id)).await.is(204);
        self.count("come back", true);
    }

    /// Takes the therapist's insurance away, or gives it back, with what follows in the same transaction.
    async fn license(&mut self) {
        let therapist = self.dice.roll(self.therapists.len());
        let licensed = !self.model.therapists[therapist].licensed;
        let id = TherapistId(self.therapists[therapist].id);
        let mut tx = self.app.service.db.begin().await.expect("a transaction");
        availability::lock(&mut tx, id).await.expect("the lock");
        sqlx::query("UPDATE credentials SET review_state = $2 WHERE type = 'INSURANCE' AND therapist_id = $1")
            .bind(id.0)
            .bind(if licensed { "verified" } else { "suspended" })
            .execute(&mut *tx)
            .await
            .expect("a change");
        licensing::reconcile(&mut tx, id, None, self.model.now).await.expect("what follows");
        tx.commit().await.expect("a commit");
        self.model.license(therapist, licensed);
        self.count(if licensed { "reinstate" } else { "suspend" }, true);
    }

    async fn wait(&mut self) {
        let by = TimeDelta::minutes(self.dice.pick(&[4, 11, 45, 180, 700, 1500]));
        self.pass(by).await;
    }

    async fn pass(&mut self, by: TimeDelta) {
        self.app.advance(by);
        self.app.run_jobs().await;
        self.model.wait(by);
        let everyone = self.therapists.iter_mut().chain(self.clients.iter_mut().map(|(client, _)| client));
        for person in everyone {
            // Access tokens last for a quarter of an hour.
            *person = person.refreshed().await;
        }
        self.count("wait", true);
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
            assert_eq!(start, visit.wish.start);
        }
        self.tally
    }
}

fn stamp(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Secs, true)
}
