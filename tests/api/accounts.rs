use chrono::TimeDelta;
use serde_json::json;

use crate::support::{App, PASSWORD, send, surry_hills};

#[tokio::test]
async fn whoever_registers_is_signed_in() {
    let app = App::start().await;
    let body = json!({ "email": "Mia@Example.org", "password": PASSWORD, "role": "client", "display_name": "Mia", "phone": "+61 412 345 678" });
    let answer = app.nobody().post("/v1/auth/register", body.clone()).await.is(201);
    assert_eq!(answer.header("location"), "/v1/me");
    assert_eq!(answer.body["account"]["email"], "mia@example.org");
    assert_eq!(answer.body["account"]["phone"], "+61412345678");
    assert!(!answer.text.contains("password"));
    app.nobody().post("/v1/auth/register", body).await.refused(409, "email_taken");
    let me = app.nobody().log_in("MIA@example.org").await;
    assert_eq!(me.get("/v1/me").await.is(200).body, answer.body["account"]);
}

#[tokio::test]
async fn a_refused_registration_stores_nothing_and_points_to_the_field() {
    let app = App::start().await;
    let good = json!({ "email": "mia@example.org", "password": PASSWORD, "role": "client", "display_name": "Mia" });
    for (field, value) in [
        ("email", json!("mia@")),
        ("email", json!("m\u{0}a@example.org")),
        ("password", json!("short")),
        ("password", json!(7)),
        ("role", json!("admin")),
        ("display_name", json!("  ")),
        ("display_name", json!("x".repeat(81))),
        ("phone", json!("0412345678")),
        ("time_zone", json!("Mars/Olympus")),
        ("nickname", json!("Mimi")),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        app.nobody().post("/v1/auth/register", bad).await.points_to(&[&format!("/{field}")]);
    }
    assert_eq!(app.rows("accounts").await, 0);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_get_the_same_answer() {
    let app = App::start().await;
    let client = app.client().await;
    let answer = |email: &str, password: &str| {
        let body = json!({ "email": email, "password": password });
        let nobody = app.nobody();
        async move {
            let mut answer = nobody.post("/v1/auth/login", body).await.refused(401, "wrong_email_or_password").body;
            answer["request_id"] = json!(null);
            answer
        }
    };
    assert_eq!(answer(&client.email, "wrong password").await, answer("nobody@example.org", PASSWORD).await);
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_its_reuse_ends_the_session() {
    let app = App::start().await;
    let client = app.client().await;
    let refresh = |token: &str| {
        let (nobody, body) = (app.nobody(), json!({ "refresh_token": token }));
        async move { nobody.post("/v1/auth/refresh", body).await }
    };
    let second = refresh(&client.refresh_token).await.is(200).body;
    app.advance(TimeDelta::seconds(10));
    for _ in 0..5 {
        let again = refresh(&client.refresh_token).await.is(200).body;
        assert_eq!(
            second["refresh_token"], again["refresh_token"],
            "a lost answer is made good, and no second branch begins"
        );
    }
    let live = "refresh_tokens WHERE used_at IS NULL";
    assert_eq!(app.rows(live).await, 1);
    client.get("/v1/me").await.is(200);

    app.advance(TimeDelta::seconds(1));
    refresh(&client.refresh_token).await.refused(401, "refresh_token_invalid");
    client.get("/v1/me").await.refused(401, "unauthorized");
    refresh(second["refresh_token"].as_str().unwrap()).await.refused(401, "refresh_token_invalid");
}

#[tokio::test]
async fn a_token_shown_again_after_its_successor_was_used_ends_the_session_within_the_grace_too() {
    let app = App::start().await;
    let client = app.client().await;
    let second = client.refreshed().await;
    let third = second.refreshed().await;
    let body = json!({ "refresh_token": client.refresh_token });
    app.nobody().post("/v1/auth/refresh", body).await.refused(401, "refresh_token_invalid");
    for person in [&client, &second, &third] {
        person.get("/v1/me").await.refused(401, "unauthorized");
    }
    let body = json!({ "refresh_token": third.refresh_token });
    app.nobody().post("/v1/auth/refresh", body).await.refused(401, "refresh_token_invalid");
}

#[tokio::test]
async fn logging_out_takes_the_latest_refresh_token() {
    let app = App::start().await;
    let first = app.client().await;
    let second = first.refreshed().await;
    let log_out = async |person: &crate::support::Person| {
        app.nobody().post("/v1/auth/logout", json!({ "refresh_token": person.refresh_token })).await.is(204);
    };
    app.advance(TimeDelta::seconds(11));
    // An old one is answered alike and ends nothing.
    log_out(&first).await;
    second.get("/v1/me").await.is(200);
    log_out(&second).await;
    second.get("/v1/me").await.refused(401, "unauthorized");
    // Whoever logs out before the answer to the refresh came is logged out.
    let first = app.nobody().log_in(&first.email).await;
    let second = first.refreshed().await;
    log_out(&first).await;
    second.get("/v1/me").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn tokens_end_by_the_clock() {
    let app = App::start().await;
    let client = app.client().await;
    let token = client.token.clone().unwrap();
    let me = || send(app.nobody().request(reqwest::Method::GET, "/v1/me").bearer_auth(&token));
    app.advance(TimeDelta::seconds(15 * 60 - 1));
    me().await.is(200);
    app.advance(TimeDelta::seconds(1));
    me().await.refused(401, "unauthorized");
    app.advance(TimeDelta::days(30));
    let body = json!({ "refresh_token": client.refresh_token });
    app.nobody().post("/v1/auth/refresh", body).await.refused(401, "refresh_token_invalid");
}

#[tokio::test]
async fn logging_out_ends_the_session_at_once() {
    let app = App::start().await;
    let client = app.client().await;
    let other = app.nobody().log_in(&client.email).await;
    app.nobody().post("/v1/auth/logout", json!({ "refresh_token": client.refresh_token })).await.is(204);
    client.get("/v1/me").await.refused(401, "unauthorized");
    other.get("/v1/me").await.is(200);
    app.nobody().post("/v1/auth/logout", json!({ "refresh_token": "unknown" })).await.is(204);
}

#[tokio::test]
async fn the_published_key_verifies_tokens() {
    let app = App::start().await;
    let client = app.client().await;
    let jwks = app.nobody().get("/.well-known/jwks.json").await.is(200).body;
    let jwk = serde_json::from_value(jwks["keys"][0].clone()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&jwk).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::EdDSA);
    validation.set_audience(&["knead"]);
    validation.validate_exp = false;
    let token = client.token.clone().unwrap();
    let claims = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).unwrap().claims;
    assert_eq!(claims["sub"], client.id.to_string());
}

#[tokio::test]
async fn a_change_needs_the_state_that_was_read() {
    let app = App::start().await;
    let client = app.client().await;
    let patch = |tag: Option<String>| {
        let request =
            client.request(reqwest::Method::PATCH, "/v1/me").json(&json!({ "display_name": "Mimi", "phone": null }));
        send(match tag {
            Some(tag) => request.header("If-Match", tag),
            None => request,
        })
    };
    let tag = client.get("/v1/me").await.is(200).header("etag");
    patch(None).await.refused(428, "precondition_required");
    patch(Some("\"other\"".to_owned())).await.refused(412, "precondition_failed");
    let changed = patch(Some(tag.clone())).await.is(200);
    assert_eq!(changed.body["display_name"], "Mimi");
    patch(Some(tag)).await.refused(412, "precondition_failed");
    assert_eq!(client.get("/v1/me").await.header("etag"), changed.header("etag"));
    let unchanged =
        send(client.request(reqwest::Method::GET, "/v1/me").header("If-None-Match", changed.header("etag"))).await;
    assert!(unchanged.is(304).text.is_empty());
}

#[tokio::test]
async fn an_address_knows_its_zone_and_jurisdiction() {
    let app = App::start().await;
    let client = app.client().await;
    let made = client.post("/v1/me/addresses", surry_hills()).await.is(201);
    assert_eq!((&made.body["time_zone"], &made.body["jurisdiction"]), (&json!("Australia/Sydney"), &json!("AU-NSW")));
    let path = made.header("location");
    assert_eq!(client.get(&path).await.is(200).body, made.body);
    let moved = client
        .change(&path, json!({ "region": "WA", "latitude": -31.95, "longitude": 115.86, "access_notes": null }))
        .await
        .is(200);
    assert_eq!((&moved.body["time_zone"], &moved.body["jurisdiction"]), (&json!("Australia/Perth"), &json!("AU-WA")));
    assert_eq!(moved.body["access_notes"], json!(null));
    client.change(&path, json!({ "region": "NSW" })).await.points_to(&["/region"]);
    client.change(&path, json!({ "country": "AU", "region": "CA" })).await.points_to(&["/region"]);
    client.delete(&path).await.is(204);
    client.get(&path).await.refused(404, "not_found");
    client.delete(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn an_address_off_the_globe_is_refused() {
    let app = App::start().await;
    let client = app.client().await;
    for (field, value) in [
        ("latitude", json!(90.1)),
        ("longitude", json!(-180.5)),
        ("country", json!("XX")),
        ("region", json!("Nowhere")),
        ("kind", json!("tent")),
        ("line1", json!("a\nb")),
        ("access_notes", json!("\u{7}")),
    ] {
        let mut bad = surry_hills();
        bad[field] = value;
        client.post("/v1/me/addresses", bad).await.points_to(&[&format!("/{field}")]);
    }
    assert_eq!(client.get("/v1/me/addresses").await.is(200).body["data"], json!([]));
}

#[tokio::test]
async fn anothers_address_is_no_address() {
    let app = App::start().await;
    let (_, address) = app.client_at_home().await;
    let other = app.client().await;
    let path = format!("/v1/me/addresses/{address}");
    other.get(&path).await.refused(404, "not_found");
    other.delete(&path).await.refused(404, "not_found");
    let patch = other.request(reqwest::Method::PATCH, &path).header("If-Match", "*").json(&json!({ "label": "Mine" }));
    send(patch).await.refused(404, "not_found");
}
