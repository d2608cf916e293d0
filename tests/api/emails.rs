//! Whose an address is: verified, claimed by two, changed, and taken back.

use chrono::TimeDelta;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, App, PASSWORD, Person, send, surry_hills};

const TUESDAY: &str = "2026-12-01T00:00:00Z";
const ASKED: &str = "account.verification_asked";

fn registration(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "role": "client", "display_name": "Mia" })
}

/// A client who has not verified their address yet.
async fn registered(app: &App, email: &str) -> Person {
    let answer = app.nobody().post("/v1/auth/register", registration(email)).await.is(201);
    app.nobody().signed_in(&answer)
}

async fn verify(person: &Person, code: &str) -> Answer {
    person.post("/v1/auth/email/verify", json!({ "code": code })).await
}

#[tokio::test]
async fn whoever_books_has_verified_their_address() {
    let app = App::with_mail().await;
    let (therapist, mia) = (app.therapist().await, registered(&app, "mia@example.org").await);
    let address = mia.address(surry_hills()).await;
    assert_eq!(mia.get("/v1/me").await.is(200).body["email_verified"], false);
    mia.books(&therapist, address, TUESDAY).await.refused(409, "email_not_verified");
    let mailed = app.mailed(ASKED, mia.id).await.unwrap();
    assert_eq!((mailed.address.as_str(), mailed.account.0), ("mia@example.org", mia.id));
    assert_eq!(mailed.expires_at, app.now() + TimeDelta::minutes(30));
    verify(&therapist, &mailed.code).await.refused(422, "code_invalid");
    let shown = verify(&mia, &mailed.code).await.is(200);
    assert_eq!((&shown.body["email_verified"], &shown.body["email"]), (&json!(true), &json!("mia@example.org")));
    assert_eq!(mia.get("/v1/me").await.text, shown.text);
    mia.books(&therapist, address, TUESDAY).await.is(201);
    assert_eq!(app.mailed(ASKED, mia.id).await, None, "it was used");
    verify(&mia, &mailed.code).await.refused(422, "code_invalid");
    mia.act("/v1/auth/email/resend").await.is(204);
    assert_eq!(app.mailed(ASKED, mia.id).await, None, "nothing more is mailed");
    for bad in [json!({}), json!({ "code": 7 }), json!({ "code": "" }), json!({ "code": "1", "email": "x" })] {
        assert_eq!(mia.post("/v1/auth/email/verify", bad).await.status, 422);
    }
    app.nobody().post("/v1/auth/email/verify", json!({ "code": "1" })).await.refused(401, "unauthorized");
    app.nobody().act("/v1/auth/email/resend").await.refused(401, "unauthorized");
    app.events_are_in_order().await;
}

#[tokio::test]
async fn a_code_has_five_tries_and_half_an_hour_and_another_takes_its_place() {
    let app = App::with_mail().await;
    let mia = registered(&app, "mia@example.org").await;
    let first = app.mailed(ASKED, mia.id).await.unwrap().code;
    let wrong = if first == "00000000" { "00000001" } else { "00000000" };
    for _ in 0..5 {
        verify(&mia, wrong).await.refused(422, "code_invalid");
    }
    verify(&mia, &first).await.refused(422, "code_invalid");
    mia.act("/v1/auth/email/resend").await.is(204);
    let second = app.mailed(ASKED, mia.id).await.unwrap().code;
    mia.act("/v1/auth/email/resend").await.is(204);
    let third = app.mailed(ASKED, mia.id).await.unwrap().code;
    if second != third {
        verify(&mia, &second).await.refused(422, "code_invalid");
    }
    app.advance(TimeDelta::minutes(30));
    verify(&mia, &third).await.refused(422, "code_invalid");
    for _ in 0..2 {
        mia.act("/v1/auth/email/resend").await.is(204);
    }
    let refused = mia.act("/v1/auth/email/resend").await.refused(429, "too_many_requests");
    assert_eq!(refused.header("retry-after"), "1800", "five in an hour");
    app.advance(TimeDelta::minutes(29));
    let last = app.mailed(ASKED, mia.id).await.unwrap().code;
    verify(&mia, &last).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tries_at_once_are_five() {
    let app = App::with_mail().await;
    let mia = registered(&app, "mia@example.org").await;
    let code = app.mailed(ASKED, mia.id).await.unwrap().code;
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    futures_util::future::join_all((0..12).map(|_| verify(&mia, wrong))).await;
    assert_eq!(app.count("SELECT tries::bigint FROM mailed_codes").await, 5);
    verify(&mia, &code).await.refused(422, "code_invalid");
}

#[tokio::test]
async fn an_address_is_whose_owner_proves_it_and_nothing_of_another_passes_on() {
    let app = App::with_mail().await;
    let squatter = registered(&app, "mia@example.org").await;
    squatter.address(surry_hills()).await;
    let squatters = app.mailed(ASKED, squatter.id).await.unwrap().code;
    let owner = registered(&app, "mia@example.org").await;
    assert_ne!(owner.id, squatter.id);
    assert_eq!(owner.get("/v1/me").await.body["email"], "mia@example.org");
    squatter.get("/v1/me").await.is(200);
    let code = app.mailed(ASKED, owner.id).await.unwrap();
    assert_eq!(code.address, "mia@example.org");
    verify(&owner, &code.code).await.is(200);
    squatter.get("/v1/me").await.refused(401, "unauthorized");
    let body = json!({ "refresh_token": squatter.refresh_token });
    app.nobody().post("/v1/auth/refresh", body).await.refused(401, "refresh_token_invalid");
    verify(&squatter, &squatters).await.refused(401, "unauthorized");
    assert_eq!(owner.get("/v1/me/addresses").await.body["data"], json!([]));
    assert_eq!(app.nobody().log_in("mia@example.org").await.id, owner.id);
    app.nobody().post("/v1/auth/register", registration("mia@example.org")).await.refused(409, "email_taken");
    let replaced = format!("replaced+{}@invalid", squatter.id);
    let login = json!({ "email": replaced, "password": PASSWORD });
    assert!(matches!(app.nobody().post("/v1/auth/login", login).await.status.as_u16(), 401 | 422));
}

/// Accounts that were made before addresses were proved are real, and nobody who reads their mails destroys them.
#[tokio::test]
async fn an_account_with_visits_or_of_staff_is_not_replaced() {
    let app = App::with_mail().await;
    let (therapist, client, admin) = (app.therapist().await, app.client().await, app.admin().await);
    let address = client.address(surry_hills()).await;
    client.books(&therapist, address, TUESDAY).await.is(201);
    app.sql("UPDATE accounts SET email_verified_at = NULL").await.unwrap();
    for person in [&therapist, &client, &admin] {
        let other = registered(&app, &person.email).await;
        let code = app.mailed(ASKED, other.id).await.unwrap().code;
        verify(&other, &code).await.refused(409, "email_taken");
        person.get("/v1/me").await.is(200);
        assert_eq!(app.nobody().log_in(&person.email).await.id, person.id);
    }
    let task = |person: &Person| format!("tasks WHERE kind = 'address_disputed' AND subject_id = '{}'", person.id);
    for (person, raised) in [(&therapist, 1), (&client, 1), (&admin, 0)] {
        assert_eq!(app.rows(&task(person)).await, raised);
    }
    assert_eq!(app.rows("events WHERE kind = 'account.replace'").await, 0);
}

/// A squatter is replaced, whatever they enter that nobody has looked at, and wherever they put themselves in the way.
#[tokio::test]
async fn nobody_makes_themself_irreplaceable() {
    let app = App::with_mail().await;
    let mut body = registration("mia@example.org");
    body["role"] = json!("therapist");
    let answer = app.nobody().post("/v1/auth/register", body).await.is(201);
    let squatter = app.nobody().signed_in(&answer);
    for domain in ["invalid", "x.invalid"] {
        let taken = registration(&format!("replaced+{}@{domain}", squatter.id));
        app.nobody().post("/v1/auth/register", taken).await.points_to(&["/email"]);
    }
    let owner = registered(&app, "mia@example.org").await;
    let code = app.mailed(ASKED, owner.id).await.unwrap().code;
    verify(&owner, &code).await.is(200);
    squatter.get("/v1/me").await.refused(401, "unauthorized");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_strangers_address_gets_five_mails_an_hour_from_however_many_accounts() {
    let app = App::with_mail().await;
    let nobody = app.nobody();
    let registrations = (0..8).map(|_| nobody.post("/v1/auth/register", registration("mia@example.org")));
    for answer in futures_util::future::join_all(registrations).await {
        // A machine that is busy may have no turn for all of them.
        assert!(matches!(answer.status.as_u16(), 201 | 409 | 503), "{}", answer.text);
    }
    for _ in 0..6 {
        registered(&app, "mia@example.org").await;
    }
    assert_eq!(app.rows("mailed_codes").await, 5);
    app.advance(TimeDelta::hours(1));
    registered(&app, "Mia@Example.org").await;
    assert_eq!(app.rows("mailed_codes").await, 6);
    for n in 0..7 {
        let client = app.client().await;
        let asked = asks(&client, "ben@example.org").await;
        assert_eq!(asked.status, if n < 5 { 202 } else { 429 }, "{}", asked.text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_who_prove_an_address_at_once_one_gets_it() {
    let app = App::with_mail().await;
    registered(&app, "mia@example.org").await;
    let (one, two) = (registered(&app, "mia@example.org").await, registered(&app, "mia@example.org").await);
    let codes = [app.mailed(ASKED, one.id).await.unwrap().code, app.mailed(ASKED, two.id).await.unwrap().code];
    let (first, second) = tokio::join!(verify(&one, &codes[0]), verify(&two, &codes[1]));
    let mut statuses = [first.status.as_u16(), second.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{} {}", first.text, second.text);
    assert_eq!(app.rows("accounts WHERE email = 'mia@example.org' AND email_verified_at IS NOT NULL").await, 1);
}

async fn asks(person: &Person, email: &str) -> Answer {
    person.post("/v1/me/email", json!({ "email": email })).await
}

async fn confirms(person: &Person, code: &str) -> Answer {
    person.post("/v1/me/email/confirm", json!({ "code": code })).await
}

#[tokio::test]
async fn a_changed_address_is_proved_first_and_can_be_taken_back() {
    let app = App::with_mail().await;
    let (mia, other) = (app.client().await, app.client().await);
    let before = mia.email.clone();
    asks(&mia, &before).await.points_to(&["/email"]);
    asks(&mia, "no address").await.points_to(&["/email"]);
    asks(&app.nobody(), "new@example.org").await.refused(401, "unauthorized");
    assert!(asks(&mia, "new@example.org").await.is(202).text.is_empty());
    assert_eq!(mia.get("/v1/me").await.body["email"], before.as_str());
    let mailed = app.mailed("account.email_change_asked", mia.id).await.unwrap();
    assert_eq!(mailed.address, "new@example.org");
    confirms(&other, &mailed.code).await.refused(422, "code_invalid");
    let changed = confirms(&mia, &mailed.code).await.is(200);
    assert_eq!((&changed.body["email"], &changed.body["email_verified"]), (&json!("new@example.org"), &json!(true)));
    let undo = app.mailed("account.email_changed", mia.id).await.unwrap();
    assert_eq!((undo.address.as_str(), undo.expires_at), (before.as_str(), app.now() + TimeDelta::hours(72)));
    // Changed once more, it can be taken back as before.
    asks(&mia, "newer@example.org").await.is(202);
    let code = app.mailed("account.email_change_asked", mia.id).await.unwrap().code;
    confirms(&mia, &code).await.is(200);

    app.advance(TimeDelta::hours(71));
    // Whoever changed it turned a second factor on, and asked for five resets, so that the owner would get no more.
    let factor = "INSERT INTO second_factors (account_id, secret_sealed, created_at, confirmed_at)
                  SELECT id, 'x', $1, $1 FROM accounts WHERE email = 'newer@example.org'";
    app.sql(&factor.replace("$1", &format!("'{}'::timestamptz", app.now()))).await.unwrap();
    for _ in 0..5 {
        let forgotten = json!({ "email": "newer@example.org" });
        app.nobody().post("/v1/auth/password/forgot", forgotten).await.is(202);
    }
    app.run_jobs().await;
    assert_eq!(app.rows("mailed_codes WHERE purpose = 'reset_password'").await, 5);
    app.nobody().post("/v1/auth/email/undo", json!({ "token": "x" })).await.refused(422, "code_invalid");
    app.nobody().post("/v1/auth/email/undo", json!({ "token": undo.code })).await.is(204);
    app.nobody().post("/v1/auth/email/undo", json!({ "token": undo.code })).await.refused(422, "code_invalid");
    mia.get("/v1/me").await.refused(401, "unauthorized");
    let login = json!({ "email": before, "password": PASSWORD });
    app.nobody().post("/v1/auth/login", login).await.refused(401, "wrong_email_or_password");
    let reset = app.mailed("account.reset_asked", mia.id).await.unwrap();
    assert_eq!(reset.address, before);
    assert_eq!(app.rows("second_factors").await, 0);
    let body = json!({ "token": reset.code, "password": PASSWORD });
    app.nobody().post("/v1/auth/password/reset", body).await.is(204);
    assert_eq!(app.nobody().log_in(&before).await.id, mia.id);
}

#[tokio::test]
async fn a_change_of_address_needs_the_password_lately_and_a_free_address() {
    let app = App::with_mail().await;
    let (mia, other) = (app.client().await, app.client().await);
    app.advance(TimeDelta::seconds(600));
    let refused = asks(&mia, "new@example.org").await.refused(401, "step_up_required");
    assert_eq!(refused.header("www-authenticate"), "Bearer error=\"insufficient_user_authentication\", max_age=600");
    mia.post("/v1/auth/step-up", json!({ "password": "another password" })).await.refused(422, "password_wrong");
    mia.post("/v1/auth/step-up", json!({ "password": PASSWORD })).await.is(204);
    app.nobody().post("/v1/auth/step-up", json!({ "password": PASSWORD })).await.refused(401, "unauthorized");
    app.advance(TimeDelta::seconds(599));
    // Whether somebody else has it is told to whoever reads its mails.
    asks(&mia, &other.email).await.is(202);
    let code = app.mailed("account.email_change_asked", mia.id).await.unwrap().code;
    confirms(&mia, &code).await.refused(409, "email_taken");
    // One who never proved it loses it.
    registered(&app, "squatted@example.org").await;
    mia.post("/v1/auth/step-up", json!({ "password": PASSWORD })).await.is(204);
    asks(&mia, "squatted@example.org").await.is(202);
    let code = app.mailed("account.email_change_asked", mia.id).await.unwrap().code;
    confirms(&mia, &code).await.is(200);
    assert_eq!(app.nobody().log_in("squatted@example.org").await.id, mia.id);
}

#[tokio::test]
async fn without_mail_nothing_is_asked_for_and_nothing_is_promised() {
    let app = App::start().await;
    let (therapist, mia) = (app.therapist().await, app.client().await);
    let address = mia.address(surry_hills()).await;
    mia.books(&therapist, address, TUESDAY).await.is(201);
    mia.act("/v1/auth/email/resend").await.refused(409, "mail_not_set_up");
    asks(&mia, "new@example.org").await.refused(409, "mail_not_set_up");
    let forgotten = json!({ "email": mia.email });
    app.nobody().post("/v1/auth/password/forgot", forgotten).await.is(202);
    assert_eq!(app.rows("mailed_codes").await, 0);
    app.nobody().post("/v1/auth/register", registration(&mia.email)).await.refused(409, "email_taken");
    assert_eq!(app.admin().await.get("/v1/me").await.body["email_verified"], true);
    send(mia.request(Method::POST, "/v1/auth/email/resend").json(&json!({ "x": 1 }))).await.refused(422, "invalid");
}
