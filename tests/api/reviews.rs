//! What the parties say of a visit in reviews.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::support::{Answer, App, Person, id_at, send};

const TUESDAY: &str = "2026-12-01T00:00:00Z";

pub struct Scene {
    pub app: App,
    pub therapist: Person,
    pub client: Person,
    pub path: String,
}

/// A visit that is booked for tomorrow.
pub async fn booked() -> Scene {
    let app = App::start().await;
    let therapist = app.therapist().await;
    let (client, address) = app.client_at_home().await;
    let path = client.books(&therapist, address, TUESDAY).await.is(201).header("location");
    Scene { app, therapist, client, path }
}

impl Scene {
    /// Moves every visit to `status`, now.
    pub async fn are(&self, status: &str) {
        let now = self.app.now();
        self.app
            .sql(&format!(
                "UPDATE bookings SET status = '{status}';
                 INSERT INTO events (id, subject_type, subject_id, number, kind, at, party, to_state, details)
                 SELECT {}, 'booking', id, 2, 'booking.complete', '{now}', 'system', '{status}', '{{}}' FROM bookings",
                id_at(&format!("'{now}'"))
            ))
            .await
            .unwrap();
    }

    async fn review(&self, who: &Person, rating: i64, text: &str) -> Answer {
        who.post(&format!("{}/reviews", self.path), json!({ "rating": rating, "text": text })).await
    }

    async fn reviews_for(&self, who: &Person) -> Vec<(String, i64)> {
        let page = who.get(&format!("{}/reviews", self.path)).await.is(200).body;
        let reviews = page["data"].as_array().unwrap().iter();
        reviews.map(|r| (r["by"].as_str().unwrap().to_owned(), r["rating"].as_i64().unwrap())).collect()
    }

    async fn public(&self) -> Value {
        self.app.nobody().get(&format!("/v1/therapists/{}/reviews", self.therapist.id)).await.is(200).body["data"]
            .clone()
    }

    async fn rating(&self) -> Value {
        self.app.nobody().get(&format!("/v1/therapists/{}", self.therapist.id)).await.is(200).body["rating"].clone()
    }
}

fn said(reviews: &[(&str, i64)]) -> Vec<(String, i64)> {
    reviews.iter().map(|(by, rating)| ((*by).to_owned(), *rating)).collect()
}

#[tokio::test]
async fn neither_side_reads_the_other_before_both_have_written() {
    let scene = booked().await;
    scene.are("completed").await;
    assert_eq!(scene.rating().await, json!({ "average": null, "count": 0 }));
    let first = scene.review(&scene.client, 5, "Found the knot.").await.is(201);
    assert_eq!(first.header("location"), format!("{}/reviews", scene.path));
    assert_eq!((&first.body["by"], &first.body["text"]), (&json!("client"), &json!("Found the knot.")));
    assert_eq!(scene.reviews_for(&scene.client).await, said(&[("client", 5)]));
    assert_eq!(scene.reviews_for(&scene.therapist).await, said(&[]));
    assert_eq!(scene.public().await, json!([]));
    assert_eq!(scene.rating().await, json!({ "average": 5.0, "count": 1 }), "the stars count at once");
    scene.review(&scene.therapist, 4, "Kind, and on time.").await.is(201);
    for who in [&scene.client, &scene.therapist] {
        assert_eq!(scene.reviews_for(who).await, said(&[("client", 5), ("therapist", 4)]));
    }
    assert_eq!(scene.public().await, json!([{ "rating": 5, "text": "Found the knot.", "month": "2026-12" }]));
    let nobody = scene.app.nobody();
    let page = nobody.get("/v1/therapists").await.is(200).body;
    assert_eq!(page["data"][0]["rating"], json!({ "average": 5.0, "count": 1 }));
    let path = "/v1/slots?service_id=019b76da-a800-7c02-8b52-6f1d8e203c02&duration_minutes=60&from=2026-12-02&to=2026-12-02\
                &latitude=-33.8886&longitude=151.2111&country=AU&region=NSW";
    let slots = nobody.get(path).await.is(200).body;
    assert_eq!(slots["data"][0]["therapist"]["rating"], json!({ "average": 5.0, "count": 1 }));
    // What therapists make of a client is for therapists.
    let seen = scene.therapist.get(&scene.path).await.is(200).body;
    assert_eq!(seen["client"]["rating"], json!({ "average": 4.0, "count": 1 }));
    let listed = scene.therapist.get("/v1/bookings").await.is(200).body;
    assert_eq!(listed["data"][0]["client"]["rating"], json!({ "average": 4.0, "count": 1 }));
    assert!(!scene.client.get(&scene.path).await.text.contains("rating"));
}

#[tokio::test]
async fn a_single_review_opens_when_the_time_is_over() {
    let scene = booked().await;
    scene.are("completed").await;
    scene.review(&scene.client, 2, "Late.").await.is(201);
    scene.app.advance(TimeDelta::days(30) - TimeDelta::seconds(1));
    assert_eq!((scene.reviews_for(&scene.therapist).await, scene.public().await), (said(&[]), json!([])));
    scene.app.advance(TimeDelta::seconds(1));
    assert_eq!(scene.reviews_for(&scene.therapist).await, said(&[("client", 2)]));
    assert_eq!(scene.public().await[0]["text"], "Late.");
    scene.review(&scene.therapist, 1, "You too.").await.refused(409, "review_period_over");
}

#[tokio::test]
async fn without_an_event_the_end_of_the_visit_counts() {
    let scene = booked().await;
    scene.app.sql("UPDATE bookings SET status = 'completed'").await.unwrap();
    // It ends at one o'clock UTC on Tuesday; now is one o'clock on Monday.
    scene.app.advance(TimeDelta::days(31) - TimeDelta::seconds(1));
    scene.review(&scene.client, 5, "Good.").await.is(201);
    scene.app.advance(TimeDelta::seconds(1));
    scene.review(&scene.therapist, 5, "Good.").await.refused(409, "review_period_over");
}

#[tokio::test]
async fn only_the_parties_of_a_completed_visit_write_and_once() {
    let scene = booked().await;
    let Scene { app, client, therapist, path, .. } = &scene;
    for status in ["requested", "confirmed", "in_progress", "no_show", "stopped"] {
        app.sql(&format!("UPDATE bookings SET status = '{status}', respond_by = '2027-01-01'")).await.unwrap();
        scene.review(client, 5, "Early.").await.refused(409, "visit_not_completed");
    }
    scene.are("completed").await;
    let reviews = format!("{path}/reviews");
    let (stranger, other, admin) = (app.client().await, app.newcomer().await, app.admin().await);
    for who in [&stranger, &other] {
        scene.review(who, 5, "Me too.").await.refused(404, "not_found");
        who.get(&reviews).await.refused(404, "not_found");
    }
    scene.review(&admin, 5, "Me too.").await.refused(403, "forbidden");
    scene.review(&app.nobody(), 5, "Me too.").await.refused(401, "unauthorized");
    client
        .post(&format!("/v1/bookings/{}/reviews", Uuid::now_v7()), json!({ "rating": 5 }))
        .await
        .refused(404, "not_found");
    for (body, pointer) in [
        (json!({ "rating": 0 }), "/rating"),
        (json!({ "rating": 6 }), "/rating"),
        (json!({ "rating": 4.5 }), "/rating"),
        (json!({ "rating": "5" }), "/rating"),
        (json!({ "text": "Good" }), "/rating"),
        (json!({ "rating": 5, "text": "" }), "/text"),
        (json!({ "rating": 5, "text": "x".repeat(2001) }), "/text"),
        (json!({ "rating": 5, "text": "a\u{0}b" }), "/text"),
        (json!({ "rating": 5, "by": "client" }), "/by"),
    ] {
        client.post(&reviews, body).await.points_to(&[pointer]);
    }
    let keyed = |rating: i64| {
        send(client.request(Method::POST, &reviews).header("Idempotency-Key", "k").json(&json!({ "rating": rating })))
    };
    let first = keyed(5).await.is(201);
    assert_eq!(keyed(5).await.is(201).text, first.text);
    keyed(4).await.refused(422, "idempotency_key_reused");
    scene.review(client, 1, "No.").await.refused(409, "already_reviewed");
    therapist.post(&reviews, json!({ "rating": 3 })).await.is(201);
    assert_eq!(app.rows("reviews").await, 2);
    assert_eq!(scene.rating().await, json!({ "average": 5.0, "count": 1 }));
    app.nobody().get(&format!("/v1/therapists/{}/reviews", client.id)).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_review_is_lost_or_counted_twice_however_many_come_at_once() {
    let scene = booked().await;
    scene.are("completed").await;
    // Thirty more visits to the same client by the same therapist.
    scene.app.sql(
        "INSERT INTO bookings (id, client_id, therapist_id, service_id, status, start_at, duration_minutes, time_zone, jurisdiction, address,
                               amount, currency, price_breakdown, policy, created_at)
         SELECT gen_random_uuid(), client_id, therapist_id, service_id, status, start_at, duration_minutes, time_zone, jurisdiction, address,
                amount, currency, price_breakdown, policy, created_at FROM bookings, generate_series(1, 30)",
    )
    .await
    .unwrap();
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM bookings").fetch_all(&*scene.app.service.db).await.unwrap();
    let mut tasks = JoinSet::new();
    for (i, id) in ids.iter().enumerate() {
        // Both sides at once, and the client twice.
        for who in [scene.client.clone(), scene.client.clone(), scene.therapist.clone()] {
            let (path, body) = (format!("/v1/bookings/{id}/reviews"), json!({ "rating": i % 5 + 1 }));
            tasks.spawn(async move { who.post(&path, body).await.status.as_u16() });
        }
    }
    let mut answers = tasks.join_all().await;
    answers.sort_unstable();
    let (made, refused) = answers.split_at(62);
    assert!(made.iter().all(|status| *status == 201) && refused.iter().all(|status| *status == 409), "{answers:?}");
    let sum: usize = (0..31).map(|i| i % 5 + 1).sum();
    let average = (sum as f64 * 100.0 / 31.0).round() / 100.0;
    assert_eq!(scene.rating().await, json!({ "average": average, "count": 31 }));
    let seen = scene.therapist.get(&scene.path).await.is(200).body;
    assert_eq!(seen["client"]["rating"], json!({ "average": average, "count": 31 }));
    let open = format!("SELECT count(*) FROM reviews WHERE opens_at <= '{}'", scene.app.now());
    let open: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(open)).fetch_one(&*scene.app.service.db).await.unwrap();
    assert_eq!(open, 62, "whoever writes second opens both");
    let path = format!("/v1/therapists/{}/reviews", scene.therapist.id);
    let (mut query, mut found) = ("?limit=7".to_owned(), 0);
    loop {
        let page = scene.app.nobody().get(&format!("{path}{query}")).await.is(200).body;
        found += page["data"].as_array().unwrap().len();
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        query = format!("?limit=7&cursor={cursor}");
    }
    assert_eq!(found, 31);
    scene.app.nobody().get(&format!("{path}?cursor=x")).await.points_to(&["/cursor"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hidden_review_counts_no_more_and_its_author_alone_sees_it() {
    let scene = booked().await;
    scene.are("completed").await;
    let Scene { app, client, therapist, .. } = &scene;
    let admin = app.admin().await;
    let id = scene.review(client, 1, "Names someone.").await.is(201).id();
    scene.review(therapist, 2, "Rude.").await.is(201);
    let (hide, restore) = (format!("/v1/admin/reviews/{id}/hide"), format!("/v1/admin/reviews/{id}/restore"));
    let reason = json!({ "reason": "Names a third person." });
    for who in [client, therapist] {
        who.post(&hide, reason.clone()).await.refused(403, "forbidden");
        who.act(&restore).await.refused(403, "forbidden");
        who.get("/v1/admin/reviews").await.refused(403, "forbidden");
    }
    admin.post(&hide, json!({})).await.points_to(&["/reason"]);
    admin.post(&hide, json!({ "reason": "" })).await.points_to(&["/reason"]);
    admin.post(&format!("/v1/admin/reviews/{}/hide", Uuid::now_v7()), reason.clone()).await.refused(404, "not_found");
    let all = futures_util::future::join_all((0..10).map(|_| admin.post(&hide, reason.clone()))).await;
    let hidden = all.into_iter().map(|answer| answer.is(200).text).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(hidden.len(), 1, "one effect");
    assert_eq!((scene.rating().await, scene.public().await), (json!({ "average": null, "count": 0 }), json!([])));
    assert_eq!(scene.reviews_for(therapist).await, said(&[("therapist", 2)]));
    let own = client.get(&format!("{}/reviews", scene.path)).await.is(200);
    assert!(own.body["data"][0]["hidden_at"].is_string() && !own.text.contains("third person"));
    let listed = admin.get("/v1/admin/reviews?hidden=true").await.is(200).body;
    assert_eq!(listed["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&listed["data"][0]["hidden_reason"], &listed["data"][0]["hidden_by"]),
        (&json!("Names a third person."), &json!(admin.id))
    );
    for _ in 0..2 {
        admin.act(&restore).await.is(200);
    }
    assert_eq!(scene.rating().await, json!({ "average": 1.0, "count": 1 }));
    assert_eq!(scene.public().await[0]["text"], "Names someone.");
    for action in ["review.hide", "review.restore"] {
        let entries = admin.get(&format!("/v1/admin/audit?subject_type=review&action={action}")).await.is(200).body;
        assert_eq!(entries["data"].as_array().unwrap().len(), 1, "{action}");
        assert_eq!(entries["data"][0]["subject_id"], id.to_string());
    }
    for (query, count) in [
        (format!("therapist_id={}", therapist.id), 2),
        (format!("client_id={}", client.id), 2),
        (format!("client_id={}", therapist.id), 0),
        (format!("booking_id={}", scene.path.rsplit('/').next().unwrap()), 2),
        ("hidden=true".to_owned(), 0),
        ("limit=1".to_owned(), 1),
    ] {
        let found = admin.get(&format!("/v1/admin/reviews?{query}")).await.is(200).body;
        assert_eq!(found["data"].as_array().unwrap().len(), count, "{query}");
    }
}
