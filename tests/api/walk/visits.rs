//! The steps of a visit that takes place.

use chrono::TimeDelta;
use serde_json::json;

use super::Walk;
use super::model::{Status, Step, Visit};

impl Walk {
    /// A few steps of a visit.
    pub(super) async fn visit(&mut self) {
        let agreed = |visit: &Visit| !matches!(visit.status, Status::Requested | Status::Cancelled | Status::Expired);
        let Some(i) = self.mostly(agreed) else { return };
        for _ in 0..=self.dice.roll(5) {
            let under_way = matches!(self.model.visits[i].status, Status::Arrived | Status::InProgress);
            if self.dice.roll(if under_way { 2 } else { 12 }) == 0 {
                self.extend(i).await;
            } else {
                self.take_step(i).await;
            }
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
                Step::OnTheWay | Step::Arrive | Step::Start => visit.goes_on(step.end(), now),
                Step::Complete => visit.ends(step.end(), now),
                Step::NoShow | Step::Stop => {
                    visit.missed_by_client = by_client;
                    visit.ends(step.end(), now);
                }
            }
        }
    }

    async fn extend(&mut self, i: usize) {
        let minutes = self.dice.pick(&[60, 75, 90, 90, 100, 120, 120]);
        let visit = self.model.visits[i].clone();
        let body = json!({ "duration_minutes": minutes, "client_agreed": true });
        let answer = self.person(&visit, false).post(&format!("{}/extend", visit.path), body).await;
        let expected = self.model.extends(&visit, minutes);
        self.agree_on("extend", &answer, expected, &(&visit, minutes));
        if expected.is_ok() && minutes != visit.wish.minutes {
            assert_eq!((answer.status.as_u16(), &answer.body["duration_minutes"]), (202, &json!(visit.wish.minutes)));
            let yes = self.dice.roll(3) > 0;
            let path = format!("{}/extension/{}", visit.path, if yes { "accept" } else { "decline" });
            let now = self.person(&visit, true).act(&path).await.is(200).body;
            assert_eq!(now["duration_minutes"], if yes { minutes } else { visit.wish.minutes });
            if yes {
                self.model.visits[i].wish.minutes = minutes;
            }
        }
    }
}
