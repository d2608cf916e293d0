//! Proposing another time, and answering.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::model::{Reaction, Visit};
use super::{Walk, stamp};
use crate::support::Answer;

impl Walk {
    /// Another start for a visit: mostly any, and now and then one that its own time or what is proposed already overlaps.
    fn other_start(&mut self, visit: &Visit) -> DateTime<Utc> {
        let about = TimeDelta::minutes(self.dice.pick(&[-90, -60, -45, -15, 0, 15, 30, 75]));
        match (self.dice.roll(4), visit.open_offer(self.model.now)) {
            (0, _) => visit.wish.start + about,
            (1 | 2, Some(open)) => visit.offers[open].wish.start,
            _ => self.wish().start,
        }
    }

    pub(super) async fn propose(&mut self) {
        let Some(i) = self.mostly(Visit::stands) else { return };
        let (visit, by_client) = (self.model.visits[i].clone(), self.dice.roll(2) == 0);
        let start = self.other_start(&visit);
        let expected = self.model.proposes(&visit, by_client, start);
        let path = format!("{}/counter-offers", visit.path);
        let body = json!({ "start_at": stamp(start) });
        let answer = self.posts(self.person(&visit, by_client), &path, &body).await;
        self.agree_on("propose", &answer, expected.map(drop), &(&visit, by_client, start));
        if let Ok(known) = expected {
            assert_eq!(answer.status, 201);
            assert_eq!(answer.header("location"), format!("{path}/{}", answer.id()));
            self.proposed(i, by_client, start, known, &answer);
            if self.dice.roll(2) == 0 {
                self.react().await;
            }
        }
    }

    /// A client asks for another time of a visit that its therapist would have to confirm.
    pub(super) async fn ask_to_move(&mut self, i: usize, start: DateTime<Utc>) {
        let visit = self.model.visits[i].clone();
        if start == visit.wish.start {
            return;
        }
        let now = self.model.now;
        let expected = if visit.wish.start <= now {
            Err((409, "invalid_transition"))
        } else if !visit.moves(true, now) {
            Err((422, "too_late_to_move"))
        } else {
            self.model.proposes(&visit, true, start)
        };
        let body = json!({ "start_at": stamp(start) });
        let answer = self.person(&visit, true).post(&format!("{}/reschedule", visit.path), body).await;
        self.agree_on("ask to move", &answer, expected.map(drop), &(&visit, start));
        if let Ok(known) = expected {
            assert_eq!(answer.status, 202);
            self.proposed(i, true, start, known, &answer);
        }
    }

    fn proposed(&mut self, i: usize, by_client: bool, start: DateTime<Utc>, known: Option<usize>, answer: &Answer) {
        let path = format!("{}/counter-offers/{}", self.model.visits[i].path, answer.id());
        let expires = match known {
            Some(j) => {
                let offer = &self.model.visits[i].offers[j];
                assert_eq!(path, offer.path, "the same one");
                offer.expires
            }
            None => self.model.propose(i, by_client, start, path),
        };
        let said: DateTime<Utc> = answer.body["expires_at"].as_str().expect("an end").parse().expect("an instant");
        assert_eq!((said, &answer.body["status"]), (expires, &json!("open")));
    }

    /// Mostly the other party answers what is open.
    pub(super) async fn react(&mut self) {
        let now = self.model.now;
        let offers =
            self.model.visits.iter().enumerate().flat_map(|(i, visit)| (0..visit.offers.len()).map(move |j| (i, j)));
        let (open, over): (Vec<_>, Vec<_>) = offers.partition(|(i, j)| self.model.visits[*i].offers[*j].is_open(now));
        let some = if open.is_empty() || (self.dice.roll(4) == 0 && !over.is_empty()) { over } else { open };
        if some.is_empty() {
            return;
        }
        let (i, j) = self.dice.pick(&some);
        let visit = self.model.visits[i].clone();
        let offer = &visit.offers[j];
        let reaction = self.dice.pick(&[Reaction::Accept, Reaction::Accept, Reaction::Decline, Reaction::Withdraw]);
        let fitting = offer.by_client == (reaction == Reaction::Withdraw);
        let by_client = if self.dice.roll(6) == 0 { !fitting } else { fitting };
        let expected = self.model.reacts(&visit, offer, by_client, reaction);
        let answer = self.person(&visit, by_client).act(&format!("{}/{}", offer.path, reaction.name())).await;
        self.agree_on(&format!("{} a proposal", reaction.name()), &answer, expected, &(&visit, offer, by_client));
        if expected.is_ok() && offer.is_open(now) {
            self.model.react(i, j, reaction);
        }
    }

    /// What was proposed for a visit stands where the model has it.
    pub(super) async fn compare_offers(&self, visit: &Visit) {
        let path = format!("{}/counter-offers", visit.path);
        let listed = self.person(visit, true).get(&path).await.is(200).body;
        let told = listed["data"].as_array().expect("a page").iter().map(|offer| {
            let text = |name: &str| offer[name].as_str().expect("a text").to_owned();
            (format!("{path}/{}", text("id")), text("status"))
        });
        let told: Vec<_> = told.collect();
        let offers = visit.offers.iter();
        let known: Vec<_> = offers.map(|offer| (offer.path.clone(), offer.status(self.model.now).to_owned())).collect();
        assert_eq!(told, known, "{visit:?}");
    }
}
