//! Whether there is an account is not told by the time that an answer takes.
//!
//! `KNEAD_ROUNDS=200 cargo test time_of_an_answer -- --nocapture` measures it. Known and unknown addresses take turns in one run, so that whatever else the
//! machine does falls on both. Few rounds show that it works, and their medians mean nothing.

use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;

use crate::support::{App, PASSWORD};

/// By how much the medians may differ.
const APART: Duration = Duration::from_millis(5);

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_of_an_answer_does_not_tell_whether_there_is_an_account() {
    let rounds: usize = std::env::var("KNEAD_ROUNDS").map_or(5, |rounds| rounds.parse().expect("a number"));
    let app = App::with_mail().await;
    let nobody = app.nobody();
    // An account for each round, because one account is mailed few codes in an hour.
    let mut known = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        known.push(app.client().await.email);
    }
    let bodies = |email: &str| {
        let register =
            json!({ "email": email, "password": "another long battery", "role": "client", "display_name": "Mia Chen" });
        [
            ("/v1/auth/login", json!({ "email": email, "password": "wrong password" })),
            ("/v1/auth/password/forgot", json!({ "email": email })),
            ("/v1/auth/register", register),
        ]
    };
    let mut times: [[Vec<Duration>; 2]; 3] = Default::default();
    for (round, email) in known.iter().enumerate() {
        let unknown = format!("client-{}@knead.test", Uuid::now_v7());
        // Either goes first as often as the other.
        let mut turns = [(0, bodies(email)), (1, bodies(&unknown))];
        turns.rotate_left(round % 2);
        for step in 0..3 {
            for (which, bodies) in &turns {
                let (path, body) = &bodies[step];
                let began = Instant::now();
                let answer = nobody.post(path, body.clone()).await;
                times[step][*which].push(began.elapsed());
                assert!(answer.status.as_u16() < 500, "{path}: {}", answer.text);
            }
        }
    }
    nobody.post("/v1/auth/login", json!({ "email": known[0], "password": PASSWORD })).await.is(200);
    for (name, [known, unknown]) in ["log-in", "forgot", "register"].into_iter().zip(&mut times) {
        let (known, unknown) = (median(known), median(unknown));
        println!(
            "{name}: known {known:.2?}, unknown {unknown:.2?}, apart {:.2?}, medians of {rounds}",
            known.abs_diff(unknown)
        );
        assert!(rounds < 100 || known.abs_diff(unknown) < APART, "{name} tells who has an account");
    }
}
