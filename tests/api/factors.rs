//! The second factor: turned on, asked for, used once, and lost.

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use knead::values::Grant;
use serde_json::{Value, json};

use crate::commands::{knead, output};
use crate::support::{Answer, App, PASSWORD, Person, monday_noon, url_of};

/// The code that an app with this secret shows (RFC 6238), told once more, by the text of the secret.
fn shown(secret: &str, now: DateTime<Utc>) -> String {
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for letter in secret.bytes() {
        let value = if letter.is_ascii_digit() { letter - b'2' + 26 } else { letter - b'A' };
        (bits, count) = (bits << 5 | u32::from(value), count + 5);
        if count >= 8 {
            bytes.push((bits >> (count - 8)) as u8);
            (bits, count) = (bits & ((1 << (count - 8)) - 1), count - 8);
        }
    }
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes);
    let mac = hmac::sign(&key, &(now.timestamp() / 30).to_be_bytes());
    let mac = mac.as_ref();
    let at = usize::from(mac[19] & 15);
    let number = u32::from_be_bytes(mac[at..at + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

async fn log_in(app: &App, email: &str) -> Answer {
    app.nobody().post("/v1/auth/login", json!({ "email": email, "password": PASSWORD })).await
}

/// Logs in as far as the second factor.
async fn challenge(app: &App, email: &str) -> Value {
    let asked = log_in(app, email).await.refused(401, "second_factor_required");
    assert_eq!(asked.body["methods"], json!(["totp", "recovery_code"]));
    asked.body["challenge_id"].clone()
}

async fn completes(app: &App, challenge: &Value, method: &str, code: &str) -> Answer {
    app.nobody().post("/v1/auth/login/second-factor", json!({ "challenge_id": challenge, method: code })).await
}

/// Turns the second factor on: the secret, and the recovery codes.
async fn enrol(app: &App, person: &Person) -> (String, Vec<String>) {
    let made = person.act("/v1/me/totp").await.is(201);
    let secret = made.body["secret"].as_str().unwrap().to_owned();
    let confirmed = person.post("/v1/me/totp/confirm", json!({ "code": shown(&secret, app.now()) })).await.is(200);
    let codes = confirmed.body["recovery_codes"].as_array().unwrap().iter();
    (secret, codes.map(|code| code.as_str().unwrap().to_owned()).collect())
}

#[tokio::test]
async fn a_log_in_takes_the_code_of_the_app() {
    let app = App::start().await;
    let mia = app.client().await;
    let made = mia.act("/v1/me/totp").await.is(201);
    let secret = made.body["secret"].as_str().unwrap();
    let url = made.body["otpauth_url"].as_str().unwrap();
    assert!(
        url.starts_with("otpauth://totp/Knead:client-") && url.ends_with(&format!("?secret={secret}&issuer=Knead"))
    );
    assert!(made.body["qr_svg"].as_str().unwrap().contains("<svg"));
    log_in(&app, &mia.email).await.is(200);
    let wrong = if shown(secret, app.now()) == "000000" { "000001" } else { "000000" };
    mia.post("/v1/me/totp/confirm", json!({ "code": wrong })).await.refused(422, "second_factor_wrong");
    let confirmed = mia.post("/v1/me/totp/confirm", json!({ "code": shown(secret, app.now()) })).await.is(200);
    assert_eq!(confirmed.body["recovery_codes"].as_array().unwrap().len(), 10);
    mia.act("/v1/me/totp").await.refused(409, "second_factor_on");
    mia.post("/v1/me/totp/confirm", json!({ "code": wrong })).await.refused(409, "second_factor_on");
    mia.get("/v1/me").await.is(200);

    let first = challenge(&app, &mia.email).await;
    completes(&app, &first, "totp", wrong).await.refused(422, "second_factor_wrong");
    // The code that turned it on was used.
    completes(&app, &first, "totp", &shown(secret, app.now())).await.refused(422, "second_factor_wrong");
    app.advance(TimeDelta::seconds(30));
    let signed_in = completes(&app, &first, "totp", &shown(secret, app.now())).await.is(200);
    app.nobody().signed_in(&signed_in).get("/v1/me").await.is(200);
    app.advance(TimeDelta::seconds(30));
    completes(&app, &first, "totp", &shown(secret, app.now())).await.refused(422, "challenge_over");
    let late = challenge(&app, &mia.email).await;
    app.advance(TimeDelta::minutes(5));
    completes(&app, &late, "totp", &shown(secret, app.now())).await.refused(422, "challenge_over");
    for bad in [
        json!({ "challenge_id": late }),
        json!({ "challenge_id": late, "totp": "1", "recovery_code": "2" }),
        json!({ "totp": "1" }),
        json!({ "challenge_id": late, "totp": 1 }),
    ] {
        app.nobody().post("/v1/auth/login/second-factor", bad).await.refused(422, "invalid");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_code_signs_in_once_however_many_show_it_at_once() {
    let app = App::start().await;
    let mia = app.client().await;
    let (secret, codes) = enrol(&app, &mia).await;
    app.advance(TimeDelta::seconds(60));
    let mut challenges = Vec::new();
    for _ in 0..6 {
        challenges.push(challenge(&app, &mia.email).await);
    }
    let code = shown(&secret, app.now());
    let answers = join_all(challenges.iter().map(|one| completes(&app, one, "totp", &code))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    let answers = join_all(challenges.iter().map(|one| completes(&app, one, "recovery_code", &codes[0]))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
}

#[tokio::test]
async fn recovery_codes_are_for_whoever_has_lost_the_app() {
    let app = App::start().await;
    let (mia, other) = (app.client().await, app.client().await);
    other.act("/v1/me/recovery-codes").await.refused(409, "second_factor_off");
    other.post("/v1/me/totp/confirm", json!({ "code": "123456" })).await.refused(409, "second_factor_off");
    let (_, codes) = enrol(&app, &mia).await;
    let typed = codes[0].to_lowercase().replace('-', " ");
    completes(&app, &challenge(&app, &mia.email).await, "recovery_code", &typed).await.is(200);
    let again = challenge(&app, &mia.email).await;
    completes(&app, &again, "recovery_code", &codes[0]).await.refused(422, "second_factor_wrong");
    let fresh = mia.act("/v1/me/recovery-codes").await.is(200).body["recovery_codes"][9].clone();
    completes(&app, &again, "recovery_code", &codes[1]).await.refused(422, "second_factor_wrong");
    completes(&app, &again, "recovery_code", fresh.as_str().unwrap()).await.is(200);
    app.advance(TimeDelta::minutes(10));
    for path in ["/v1/me/recovery-codes", "/v1/me/totp"] {
        mia.act(path).await.refused(401, "step_up_required");
    }
    mia.delete("/v1/me/totp").await.refused(401, "step_up_required");
    mia.post("/v1/auth/step-up", json!({ "password": PASSWORD })).await.refused(422, "second_factor_wrong");
    let stepped = json!({ "password": PASSWORD, "recovery_code": fresh });
    mia.post("/v1/auth/step-up", stepped).await.refused(422, "second_factor_wrong");
    let other_code = codes.last().unwrap();
    let stepped = json!({ "password": PASSWORD, "recovery_code": other_code });
    mia.post("/v1/auth/step-up", stepped).await.refused(422, "second_factor_wrong");
}

#[tokio::test]
async fn a_step_up_takes_the_second_factor_too_and_may_take_it_away() {
    let app = App::start().await;
    let mia = app.client().await;
    let (secret, _) = enrol(&app, &mia).await;
    app.advance(TimeDelta::minutes(10));
    mia.post("/v1/auth/step-up", json!({ "password": PASSWORD })).await.refused(422, "second_factor_wrong");
    let stepped = json!({ "password": PASSWORD, "totp": shown(&secret, app.now()) });
    mia.post("/v1/auth/step-up", stepped).await.is(204);
    mia.delete("/v1/me/totp").await.is(204);
    mia.delete("/v1/me/totp").await.is(204);
    log_in(&app, &mia.email).await.is(200);
    assert_eq!(app.rows("recovery_codes").await, 0);
    for kind in ["account.totp_added", "account.totp_removed"] {
        assert_eq!(app.rows(&format!("events WHERE kind = '{kind}'")).await, 1, "{kind}");
    }
    for path in ["/v1/me/totp", "/v1/me/recovery-codes"] {
        app.nobody().act(path).await.refused(401, "unauthorized");
    }
    app.nobody().delete("/v1/me/totp").await.refused(401, "unauthorized");
}

/// A log-in that waits for its second factor ends with the password that began it.
#[tokio::test]
async fn another_password_ends_a_log_in_that_waits() {
    let app = App::start().await;
    let mia = app.client().await;
    let (secret, _) = enrol(&app, &mia).await;
    app.advance(TimeDelta::seconds(60));
    let waiting = challenge(&app, &mia.email).await;
    let change =
        |code: &str| json!({ "current_password": PASSWORD, "password": "purple wombat lantern", "totp": code });
    // Whoever knows the password alone, or has a session, gets no further by another password.
    let bare = json!({ "current_password": PASSWORD, "password": "purple wombat lantern" });
    mia.post("/v1/auth/password/change", bare).await.refused(422, "second_factor_wrong");
    let right = shown(&secret, app.now());
    let wrong = if right == "000000" { "000001" } else { "000000" };
    mia.post("/v1/auth/password/change", change(wrong)).await.refused(422, "second_factor_wrong");
    log_in(&app, &mia.email).await.refused(401, "second_factor_required");
    mia.post("/v1/auth/password/change", change(&right)).await.is(200);
    app.advance(TimeDelta::seconds(30));
    completes(&app, &waiting, "totp", &shown(&secret, app.now())).await.refused(422, "challenge_over");
}

#[tokio::test]
async fn wrong_codes_are_counted_apart_and_delay_the_next() {
    let app = App::with(monday_noon(), true).await;
    let mia = app.client().await;
    let (secret, _) = enrol(&app, &mia).await;
    app.advance(TimeDelta::seconds(60));
    let waiting = challenge(&app, &mia.email).await;
    let right = shown(&secret, app.now());
    let wrong = if right == "000000" { "000001" } else { "000000" };
    for _ in 0..10 {
        completes(&app, &waiting, "totp", wrong).await.refused(422, "second_factor_wrong");
    }
    let refused = completes(&app, &waiting, "totp", &right).await.refused(429, "too_many_requests");
    assert_eq!(refused.header("retry-after"), "300");
    assert_eq!(app.rows("events WHERE kind = 'account.second_factor_guessed'").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_or_whoever_runs_the_service_resets_what_is_lost() {
    let app = App::start().await;
    let (owner, support) = (app.admin().await, app.admin_with(&[Grant::Support]).await);
    let client = app.client().await;
    enrol(&app, &support).await;
    enrol(&app, &client).await;
    let path = |person: &Person| format!("/v1/admin/staff/{}/reset-second-factor", person.id);
    support.act(&path(&support)).await.refused(403, "forbidden");
    owner.act(&path(&client)).await.refused(404, "not_found");
    challenge(&app, &support.email).await;
    owner.act(&path(&support)).await.is(204);
    // The phone that was lost may be signed in.
    support.get("/v1/me").await.refused(401, "unauthorized");
    log_in(&app, &support.email).await.is(200);
    app.advance(TimeDelta::minutes(10));
    owner.act(&path(&support)).await.refused(401, "step_up_required");

    let reset = |email: &str| {
        let mut command = knead();
        command.args(["admin", "reset-second-factor", "--email", email]).env("DATABASE_URL", url_of(&app.database));
        output(&mut command)
    };
    let (ok, id, error) = reset(&client.email);
    assert!(ok && id.trim() == client.id.to_string(), "{id}{error}");
    log_in(&app, &client.email).await.is(200);
    let (ok, _, error) = reset("nobody@knead.test");
    assert!(!ok && error.contains("nobody signs in as nobody@knead.test"), "{error}");
}

#[tokio::test]
async fn staff_who_need_a_second_factor_add_one_first() {
    let app = App::with_strict_staff().await;
    let (owner, client) = (app.admin().await, app.client().await);
    let refused = owner.get("/v1/admin/staff").await.refused(403, "second_factor_needed");
    assert!(refused.body["detail"].as_str().unwrap().contains("/v1/me/totp"));
    owner.get("/v1/me").await.is(200);
    client.get("/v1/admin/staff").await.refused(403, "forbidden");
    client.get("/v1/me/addresses").await.is(200);
    owner.act("/v1/me/totp").await.is(201);
    owner.get("/v1/admin/staff").await.refused(403, "second_factor_needed");
    enrol(&app, &owner).await;
    owner.get("/v1/admin/staff").await.is(200);
    let verifier = app.admin_with(&[Grant::Verifier]).await;
    enrol(&app, &verifier).await;
    verifier.get("/v1/admin/staff").await.refused(403, "forbidden");
}
