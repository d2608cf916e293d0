//! What bears on visits from around them: blocks, time off and licences.

use chrono::TimeDelta;
use knead::bookings::licensing;
use knead::ids::TherapistId;
use serde_json::json;

use super::model::{Off, Wish};
use super::{Walk, stamp};

impl Walk {
    /// Blocks the other, or lets them be again.
    pub(super) async fn block(&mut self) {
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

    pub(super) async fn take_off(&mut self) {
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

    pub(super) async fn come_back(&mut self) {
        let therapist = self.dice.roll(self.therapists.len());
        let Some(off) = self.model.therapists[therapist].off.pop() else { return };
        self.therapists[therapist].delete(&format!("/v1/therapists/me/time-off/{}", off.id)).await.is(204);
        self.count("come back", true);
    }

    /// Takes the therapist's insurance away, or gives it back, with what follows in the same transaction.
    pub(super) async fn license(&mut self) {
        // Whoever has none is soon licensed again.
        let unlicensed = self.model.therapists.iter().position(|therapist| !therapist.licensed);
        if unlicensed.is_none() && self.dice.roll(2) == 0 {
            return;
        }
        let therapist = unlicensed.unwrap_or_else(|| self.dice.roll(self.therapists.len()));
        let licensed = unlicensed.is_some();
        let id = TherapistId(self.therapists[therapist].id);
        let mut work = self.app.service.begin(None).await.expect("a transaction");
        let lock = work.lock_time(id).await.expect("the lock");
        sqlx::query("UPDATE credentials SET review_state = $2 WHERE type = 'INSURANCE' AND therapist_id = $1")
            .bind(id.0)
            .bind(if licensed { "verified" } else { "suspended" })
            .execute(&mut **work)
            .await
            .expect("a change");
        licensing::reconcile(&mut work, &lock).await.expect("what follows");
        work.commit().await.expect("a commit");
        self.model.license(therapist, licensed);
        self.count(if licensed { "reinstate" } else { "suspend" }, true);
    }
}
