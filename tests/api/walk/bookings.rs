//! Booking, holding, answering, cancelling and moving.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::model::{Hold, Model, Status, Visit, Wish, due};
use super::{Walk, stamp};
use crate::support::{Answer, Person};

impl Walk {
    fn keep(&mut self, wish: Wish, asked: DateTime<Utc>, answer: &Answer) {
        let status = if self.model.therapists[wish.therapist].instant { Status::Confirmed } else { Status::Requested };
        assert_eq!(answer.body["status"], status.name());
        let now = self.model.now;
        self.model.give_way(&wish);
        self.model.visits.push(Visit {
            path: format!("/v1/bookings/{}", answer.id()),
            respond_by: due(now, wish.start),
            wish,
            status,
            asked,
            at_risk: false,
            made: now,
            forced: false,
            missed_by_client: false,
            attended: false,
            spared: TimeDelta::zero(),
            owes: false,
            offers: Vec::new(),
        });
    }

    pub(super) async fn book(&mut self) {
        let wish = self.wish();
        let answer = self.posts(&self.clients[wish.client].0, "/v1/bookings", &self.body(&wish)).await;
        // What one holds one has on the terms of the hold.
        let asked = self.model.held(&wish).map_or(self.model.now, |hold| hold.made);
        self.agree("book", &answer, self.model.allows(&wish, asked, None), &wish);
        if answer.status == 201 {
            self.keep(wish, asked, &answer);
        }
    }

    pub(super) async fn hold(&mut self) {
        let wish = self.wish();
        let answer = self.posts(&self.clients[wish.client].0, "/v1/holds", &self.body(&wish)).await;
        let held = self.model.live_holds().filter(|hold| hold.wish.client == wish.client).count();
        let now = self.model.now;
        self.agree("hold", &answer, held < 3 && self.model.allows(&wish, now, None), &wish);
        if answer.status == 201 {
            self.model.give_way(&wish);
            self.model.holds.push(Hold { id: answer.id(), wish, made: now });
        }
    }

    pub(super) async fn book_hold(&mut self) {
        if self.model.holds.is_empty() {
            return;
        }
        let i = self.dice.roll(self.model.holds.len());
        let Hold { id, wish, made } = self.model.holds[i].clone();
        let live = self.model.is_live(&self.model.holds[i]);
        let without = Model { holds: Vec::new(), ..self.model.clone() };
        let others = self.model.holds.iter().filter(|hold| hold.id != id).cloned().collect();
        let allowed = live && Model { holds: others, ..without }.allows(&wish, made, None);
        let answer = self.posts(&self.clients[wish.client].0, "/v1/bookings", &json!({ "hold_id": id })).await;
        self.agree("book a hold", &answer, allowed, &wish);
        if answer.status == 201 {
            self.model.holds.remove(i);
            self.keep(wish, made, &answer);
        }
    }

    pub(super) async fn let_go(&mut self) {
        if self.model.holds.is_empty() {
            return;
        }
        let hold = self.model.holds.remove(self.dice.roll(self.model.holds.len()));
        let status = self.clients[hold.wish.client].0.delete(&format!("/v1/holds/{}", hold.id)).await.status;
        assert_eq!(status.as_u16(), if self.model.is_live(&hold) { 204 } else { 404 });
        self.count("let go", true);
    }

    /// Any visit so far.
    pub(super) fn any_visit(&mut self) -> Option<usize> {
        let count = self.model.visits.len();
        (count > 0).then(|| self.dice.roll(count))
    }

    /// Mostly one of these visits.
    pub(super) fn mostly(&mut self, which: impl Fn(&Visit) -> bool) -> Option<usize> {
        let some: Vec<usize> = (0..self.model.visits.len()).filter(|i| which(&self.model.visits[*i])).collect();
        if some.is_empty() || self.dice.roll(6) == 0 { self.any_visit() } else { Some(self.dice.pick(&some)) }
    }

    pub(super) async fn cancel(&mut self) {
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
            self.model.visits[i].ends(Status::Cancelled, self.model.now);
        }
    }

    pub(super) async fn answer(&mut self) {
        let Some(i) = self.mostly(|visit| visit.status == Status::Requested) else { return };
        let accept = self.dice.roll(4) > 0;
        let visit = self.model.visits[i].clone();
        let (step, status) = if accept { ("accept", Status::Confirmed) } else { ("decline", Status::Declined) };
        let answer = self.therapists[visit.wish.therapist].act(&format!("{}/{step}", visit.path)).await;
        let can = visit.status == Status::Requested
            && (!accept || self.model.refusal_of_own(&visit.wish, Some(&visit.path)).is_none());
        self.agree(step, &answer, can || visit.status == status, &visit);
        if can && accept {
            self.model.visits[i].goes_on(status, self.model.now);
        } else if can {
            self.model.visits[i].ends(status, self.model.now);
        }
    }

    pub(super) fn person(&self, visit: &Visit, by_client: bool) -> &Person {
        if by_client { &self.clients[visit.wish.client].0 } else { &self.therapists[visit.wish.therapist] }
    }

    pub(super) async fn reschedule(&mut self) {
        let Some(i) = self.any_visit() else { return };
        let by_client = self.dice.roll(3) > 0;
        let visit = self.model.visits[i].clone();
        let instant = self.model.therapists[visit.wish.therapist].instant;
        let wish = Wish { start: self.wish().start, ..visit.wish.clone() };
        if by_client && visit.status == Status::Confirmed && !instant {
            return self.ask_to_move(i, wish.start).await;
        }
        let path = format!("{}/reschedule", visit.path);
        let answer = self.person(&visit, by_client).post(&path, json!({ "start_at": stamp(wish.start) })).await;
        let now = self.model.now;
        let path = Some(visit.path.as_str());
        let refusal =
            if by_client { self.model.refusal(&wish, now, path) } else { self.model.refusal_of_own(&wish, path) };
        let allowed = visit.moves(by_client, now) && refusal.is_none();
        if wish.start == visit.wish.start {
            return;
        }
        self.agree("move", &answer, allowed, &(&visit, &wish));
        if allowed {
            self.model.give_way(&wish);
            let respond_by = due(now, wish.start);
            let moved = Visit { wish, asked: now, at_risk: false, forced: !by_client, respond_by, ..visit };
            self.model.visits[i] = moved;
            self.model.visits[i].overtake(now);
        }
    }
}
