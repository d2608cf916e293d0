//! Times that a visit could be moved to: its own counts as free, and the price is that of the move.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Answer, DEEP_TISSUE, Person};
use crate::told::{START, Scene};

impl Scene {
    fn id(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }

    async fn asks(&self, person: &Person, more: &str) -> Answer {
        let path = format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from=2026-12-03&to=2026-12-03&moving={}{more}",
            self.id()
        );
        person.get(&path).await
    }

    async fn starts(&self, person: &Person) -> Vec<String> {
        let page = self.asks(person, "").await.is(200).body;
        let slots = page["data"][0]["slots"].as_array().unwrap().iter();
        slots.map(|slot| slot["start_at"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_listed_for_a_move_is_accepted_and_nothing_else() {
    let scene = Scene::new().await;
    let plain: BTreeSet<String> =
        scene.client.slots(&scene.therapist, "2026-12-03", "2026-12-03").await.into_iter().collect();
    let listed: BTreeSet<String> = scene.starts(&scene.client).await.into_iter().collect();
    assert!(plain.is_subset(&listed));
    for near in ["2026-12-03T02:15:00Z", "2026-12-03T02:45:00Z", "2026-12-03T03:15:00Z", "2026-12-03T04:00:00Z"] {
        assert!(listed.contains(near) && !plain.contains(near), "{near} is hidden by the visit's own time alone");
    }
    assert!(!listed.contains(START), "where it is already");
    // Everything that is listed can be asked about and taken.
    let asked: Vec<&str> = listed.iter().map(String::as_str).collect();
    let question = json!({ "therapist_id": scene.therapist.id, "service_id": DEEP_TISSUE, "duration_minutes": 60, "moving": scene.id(), "starts": asked });
    let checked = scene.client.post("/v1/slots/check", question).await.is(200).body;
    assert!(checked["data"].as_array().unwrap().iter().all(|start| start["bookable"] == true), "{checked}");
    for start in listed.iter().step_by(7) {
        scene.client.post(&format!("{}/reschedule", scene.path), json!({ "start_at": start })).await.is(200);
    }
    let all: BTreeSet<String> = scene.starts(&scene.client).await.into_iter().collect();
    for minute in ["00", "15", "30", "45"] {
        let start = format!("2026-12-03T04:{minute}:00Z");
        let moved = scene.client.post(&format!("{}/reschedule", scene.path), json!({ "start_at": start })).await;
        let own = scene.client.get(&scene.path).await.is(200).body["start_at"] == json!(start);
        assert_eq!(moved.status == 200, all.contains(&start) || own, "{start}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_is_quoted_at_what_it_then_costs() {
    let scene = Scene::new().await;
    let admin = scene.app.admin().await;
    // What is dearer for new visits is none of a visit that was booked before.
    let dearer = json!({ "service_id": DEEP_TISSUE, "country": "AU", "duration_minutes": 60, "price": { "amount": 20_000, "currency": "AUD" }, "version": 2, "effective_from": "2026-11-30T02:00:00Z" });
    admin.post("/v1/admin/prices", dearer).await.is(201);
    scene.app.advance(chrono::TimeDelta::hours(2));
    for start in ["2026-12-03T04:30:00Z", "2026-12-05T03:00:00Z", START] {
        let body =
            json!({ "service_id": DEEP_TISSUE, "duration_minutes": 60, "moving": scene.id(), "start_at": start });
        let quote = scene.client.post("/v1/quotes", body).await.is(200).body;
        let moved =
            scene.client.post(&format!("{}/reschedule", scene.path), json!({ "start_at": start })).await.is(200).body;
        assert_eq!((&quote["total"], &quote["free_until"]), (&moved["price"], &moved["free_until"]), "{start}");
        assert_eq!(quote["base"]["amount"], 12_900, "{start}");
    }
    let page = scene.asks(&scene.client, "").await.is(200).body;
    assert_eq!(page["data"][0]["price"]["amount"], 12_900);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_visit_is_moved_by_its_own_people_and_as_it_is_booked() {
    let scene = Scene::new().await;
    let other = scene.app.client().await;
    scene.asks(&scene.app.nobody(), "").await.refused(401, "unauthorized");
    scene.asks(&other, "").await.points_to(&["/moving"]);
    scene.asks(&scene.app.newcomer().await, "").await.points_to(&["/moving"]);
    scene.asks(&scene.client, &format!("&address_id={}", scene.address)).await.points_to(&["/moving"]);
    scene.asks(&scene.client, &format!("&therapist_id={}", other.id)).await.points_to(&["/therapist_id"]);
    let longer = format!(
        "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=90&from=2026-12-03&to=2026-12-03&moving={}",
        scene.id()
    );
    scene.client.get(&longer).await.points_to(&["/duration_minutes"]);
    let staff: Vec<String> = scene.starts(&scene.app.admin().await).await;
    assert_eq!(staff, scene.starts(&scene.client).await);
    // What a therapist sets for others does not bind themself.
    scene.therapist.change("/v1/therapists/me", json!({ "accepting_bookings": false })).await.is(200);
    assert_eq!(scene.asks(&scene.client, "").await.is(200).body["data"], json!([]));
    assert_eq!(scene.starts(&scene.therapist).await, staff);
    scene.client.post(&format!("{}/cancel", scene.path), json!({})).await.is(200);
    let gone: Value = scene.asks(&scene.client, "").await.points_to(&["/moving"]).body;
    assert_eq!(gone["errors"][0]["detail"], "is not to be moved any more.");
}
