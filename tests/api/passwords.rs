//! Passwords and sessions: forgotten, set anew, changed, proved; where somebody is signed in.

use chrono::TimeDelta;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, PASSWORD, Person, send};

const ANOTHER: &str = "purple wombat lantern";

async fn forgets(app: &App, email: &str) -> Answer {
    app.nobody().post("/v1/auth/password/forgot", json!({ "email": email })).await
}

async fn resets(app: &App, token: &str, password: &str) -> Answer {
    app.nobody().post("/v1/auth/password/reset", json!({ "token": token, "password": password })).await
}

async fn log_in(app: &App, email: &str, password: &str) -> Answer {
    app.nobody().post("/v1/auth/login", json!({ "email": email, "password": password })).await
}

async fn token(app: &App, person: &Person) -> String {
    app.run_jobs().await;
    app.mailed("account.reset_asked", person.id).await.expect("a token").code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_password_is_set_anew_and_all_else_ends() {
    let app = App::with_mail().await;
    let (mia, other) = (app.client().await, app.nobody());
    let elsewhere = other.log_in(&mia.email).await;
    let (known, unknown) = (forgets(&app, &mia.email).await.is(202), forgets(&app, "no@example.org").await.is(202));
    assert_eq!((known.text.as_str(), unknown.text.as_str()), ("", ""));
    forgets(&app, "no address").await.points_to(&["/email"]);
    assert_eq!(app.rows("mailed_codes WHERE purpose = 'reset_password'").await, 0, "the answer waits for no look-up");
    let first = token(&app, &mia).await;
    assert_eq!(app.rows("mailed_codes WHERE purpose = 'reset_password'").await, 1);
    app.advance(TimeDelta::seconds(1));
    forgets(&app, &mia.email).await.is(202);
    let second = token(&app, &mia).await;
    assert_ne!(first, second);
    resets(&app, "unknown", ANOTHER).await.refused(422, "code_invalid");
    let weak = resets(&app, &first, "password").await.refused(422, "password_too_weak");
    assert_eq!(weak.body["errors"][0]["pointer"], "/password");
    resets(&app, &first, "short").await.points_to(&["/password"]);
    // Of two at once one is used, and then none is good any more.
    let (one, two) = tokio::join!(resets(&app, &first, ANOTHER), resets(&app, &second, ANOTHER));
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 422], "{} {}", one.text, two.text);
    for person in [&mia, &elsewhere] {
        person.get("/v1/me").await.refused(401, "unauthorized");
    }
    log_in(&app, &mia.email, PASSWORD).await.refused(401, "wrong_email_or_password");
    // Whoever set it is known where they did.
    assert_eq!(app.rows("sessions WHERE ended_at IS NOT NULL AND origin = '127.0.0.1'").await, 1);
    log_in(&app, &mia.email, ANOTHER).await.is(200);
    assert_eq!(app.rows("events WHERE kind = 'account.password_changed'").await, 1);
}

#[tokio::test]
async fn a_token_is_good_for_an_hour_and_five_are_mailed_in_one() {
    let app = App::with_mail().await;
    let mia = app.client().await;
    for _ in 0..7 {
        forgets(&app, &mia.email).await.is(202);
    }
    let last = token(&app, &mia).await;
    assert_eq!(app.rows("mailed_codes WHERE purpose = 'reset_password'").await, 5);
    app.advance(TimeDelta::minutes(60));
    resets(&app, &last, ANOTHER).await.refused(422, "code_invalid");
}

#[tokio::test]
async fn an_address_that_was_never_verified_gets_no_token() {
    let app = App::with_mail().await;
    let body = json!({ "email": "mia@example.org", "password": PASSWORD, "role": "client", "display_name": "Mia" });
    app.nobody().post("/v1/auth/register", body).await.is(201);
    forgets(&app, "mia@example.org").await.is(202);
    app.run_jobs().await;
    assert_eq!(app.rows("mailed_codes WHERE purpose = 'reset_password'").await, 0);
}

#[tokio::test]
async fn a_password_that_is_guessed_soon_is_refused() {
    let app = App::start().await;
    for (email, weak) in [("mia@example.org", "password1"), ("wolkenkratzer@example.org", "wolkenkratzer")] {
        let body = json!({ "email": email, "password": weak, "role": "client", "display_name": "Mia" });
        app.nobody().post("/v1/auth/register", body).await.refused(422, "password_too_weak");
    }
    assert_eq!(app.rows("accounts").await, 0);
}

async fn changes(person: &Person, from: &str, to: &str) -> Answer {
    let body = json!({ "current_password": from, "password": to });
    person.post("/v1/auth/password/change", body).await
}

#[tokio::test]
async fn a_change_begins_a_session_anew_and_ends_the_others() {
    let app = App::start().await;
    let mia = app.client().await;
    let elsewhere = app.nobody().log_in(&mia.email).await;
    changes(&mia, ANOTHER, ANOTHER).await.refused(422, "password_wrong");
    changes(&mia, PASSWORD, "password1").await.refused(422, "password_too_weak");
    changes(&app.nobody(), PASSWORD, ANOTHER).await.refused(401, "unauthorized");
    let again = mia.signed_in(&changes(&mia, PASSWORD, ANOTHER).await.is(200));
    for person in [&mia, &elsewhere] {
        person.get("/v1/me").await.refused(401, "unauthorized");
    }
    again.get("/v1/me").await.is(200);
    log_in(&app, &mia.email, PASSWORD).await.refused(401, "wrong_email_or_password");
    log_in(&app, &mia.email, ANOTHER).await.is(200);
}

/// Whoever knows the old password is out when the change is done, however close they were.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_in_with_the_old_password_outlasts_a_change() {
    let app = App::start().await;
    let mia = app.client().await;
    for (from, to) in [(PASSWORD, ANOTHER), (ANOTHER, PASSWORD)] {
        let mia = app.nobody().signed_in(&log_in(&app, &mia.email, from).await.is(200));
        let log_ins = join_all((0..8).map(|_| log_in(&app, &mia.email, from)));
        let (answers, changed) = tokio::join!(log_ins, changes(&mia, from, to));
        changed.is(200);
        for answer in answers {
            match answer.status.as_u16() {
                200 => {
                    app.nobody().signed_in(&answer).get("/v1/me").await.refused(401, "unauthorized");
                }
                // A machine that is busy may have no turn for all of them.
                status => assert!(matches!(status, 401 | 503), "{}", answer.text),
            }
        }
    }
}

#[tokio::test]
async fn a_person_sees_and_ends_their_sessions() {
    let app = App::start().await;
    let mia = app.client().await;
    let login = async |agent: &str, origin: &str| {
        let request = app.nobody().request(Method::POST, "/v1/auth/login").header("user-agent", agent);
        let request = request.header("x-forwarded-for", origin);
        let answer = send(request.json(&json!({ "email": mia.email, "password": PASSWORD }))).await.is(200);
        app.nobody().signed_in(&answer)
    };
    app.advance(TimeDelta::minutes(90));
    let phone = login("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X)", "203.0.113.7").await;
    app.advance(TimeDelta::seconds(1));
    let desk = login("Mozilla/5.0 (X11; Linux x86_64)", "2001:db8:1:2::9").await;
    let listed = phone.get("/v1/me/sessions").await.is(200).body["data"].clone();
    let told = |session: &Value| {
        let text = |name: &str| session[name].as_str().unwrap_or_default().to_owned();
        (text("device"), text("network"), text("last_seen_at"), session["current"] == json!(true))
    };
    let sessions: Vec<_> = listed.as_array().unwrap().iter().map(told).collect();
    let expected = |device: &str, network: &str, hour: &str, current: bool| {
        (device.to_owned(), network.to_owned(), hour.to_owned(), current)
    };
    assert_eq!(
        sessions,
        [
            expected("Linux", "2001:db8:1:2::/64", "2026-11-30T02:00:00Z", false),
            expected("iPhone", "203.0.113.7", "2026-11-30T02:00:00Z", true),
            expected("", "127.0.0.1", "2026-11-30T01:00:00Z", false),
        ]
    );
    let path = |n: usize| format!("/v1/me/sessions/{}", listed[n]["id"].as_str().unwrap());
    app.client().await.delete(&path(0)).await.refused(404, "not_found");
    phone.delete(&path(0)).await.is(204);
    assert_eq!(app.rows("sessions WHERE ended_at IS NOT NULL AND origin IS NOT NULL").await, 0);
    phone.delete(&path(0)).await.refused(404, "not_found");
    desk.get("/v1/me").await.refused(401, "unauthorized");
    phone.delete("/v1/me/sessions").await.is(204);
    mia.get("/v1/me").await.refused(401, "unauthorized");
    assert_eq!(phone.get("/v1/me/sessions").await.body["data"].as_array().unwrap().len(), 1);
    app.nobody().get("/v1/me/sessions").await.refused(401, "unauthorized");
    app.advance(TimeDelta::hours(3));
    let later = phone.refreshed().await;
    let seen = later.get("/v1/me/sessions").await.body["data"][0].clone();
    assert_eq!((&seen["last_seen_at"], &seen["network"]), (&json!("2026-11-30T05:00:00Z"), &json!("127.0.0.1")));
}

#[tokio::test]
async fn an_account_has_a_hundred_sessions_at_the_most() {
    let app = App::start().await;
    let mia = app.client().await;
    let more = format!(
        "INSERT INTO sessions (id, account_id, created_at)
         SELECT (left(least_id('{0}'::timestamptz + n * interval '1 second')::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid,
                '{1}', '{0}'::timestamptz FROM generate_series(1, 120) n",
        app.now(),
        mia.id
    );
    app.sql(&more).await.unwrap();
    app.advance(TimeDelta::hours(1));
    let latest = app.nobody().log_in(&mia.email).await;
    assert_eq!(app.rows("sessions WHERE ended_at IS NULL").await, 100);
    mia.get("/v1/me").await.refused(401, "unauthorized");
    latest.get("/v1/me").await.is(200);
}

/// Whoever ends all sessions writes few rows, however often somebody logged in.
#[tokio::test]
async fn ended_sessions_are_few() {
    let app = App::start().await;
    let mia = app.client().await;
    let more = format!(
        "WITH made AS (
             INSERT INTO sessions (id, account_id, created_at, ended_at)
             SELECT (left(least_id('{0}'::timestamptz - n * interval '1 second')::text, 14) || '7' || substr(gen_random_uuid()::text, 16))::uuid,
                    '{1}', '{0}'::timestamptz, '{0}'::timestamptz FROM generate_series(1, 400) n
             RETURNING id)
         INSERT INTO refresh_tokens (digest, session_id, expires_at) SELECT sha256(id::text::bytea), id, '{0}'::timestamptz + interval '30 days' FROM made",
        app.now(),
        mia.id
    );
    app.sql(&more).await.unwrap();
    app.advance(TimeDelta::seconds(1));
    let latest = app.nobody().log_in(&mia.email).await;
    assert_eq!((app.rows("sessions").await, app.rows("refresh_tokens").await), (200, 200));
    mia.get("/v1/me").await.is(200);
    // What had ended and told no network is left as it was.
    app.sql("CREATE TABLE seen AS SELECT id, xmin::text AS version FROM sessions").await.unwrap();
    latest.delete("/v1/me/sessions").await.is(204);
    assert_eq!(app.rows("sessions s JOIN seen USING (id) WHERE s.xmin::text <> seen.version").await, 1);
}

/// Guesses at one's own password are not counted against whoever has the address that was claimed.
#[tokio::test]
async fn guesses_at_ones_own_password_delay_nobody_else() {
    let app = App::with(crate::support::monday_noon(), true).await;
    let (mia, ben) = (app.client().await, app.client().await);
    let claims = format!("UPDATE accounts SET claimed_email = '{}' WHERE id = '{}'", mia.email, ben.id);
    app.sql(&claims).await.unwrap();
    for _ in 0..5 {
        ben.post("/v1/auth/step-up", json!({ "password": ANOTHER })).await.refused(422, "password_wrong");
    }
    ben.post("/v1/auth/step-up", json!({ "password": PASSWORD })).await.refused(429, "too_many_requests");
    log_in(&app, &mia.email, PASSWORD).await.is(200);
}
