//! The people who call the service.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use knead::App as Service;
use knead::auth::Tokens;
use knead::ids::{AccountId, SessionId};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Answer, App, DEEP_TISSUE, PASSWORD, send};

/// Someone who calls the service.
#[derive(Clone)]
pub struct Person {
    pub id: Uuid,
    pub token: Option<String>,
    pub refresh_token: String,
    pub email: String,
    session: Option<Session>,
    service: Arc<Service>,
    url: String,
    http: reqwest::Client,
}

/// What a person's token is good for, and until when.
#[derive(Clone)]
struct Session {
    id: SessionId,
    until: DateTime<Utc>,
}

impl Person {
    pub fn nobody(app: &App) -> Self {
        Self {
            id: Uuid::nil(),
            token: None,
            refresh_token: String::new(),
            email: String::new(),
            session: None,
            service: app.service.clone(),
            url: app.url.clone(),
            http: app.http.clone(),
        }
    }

    pub fn signed_in(&self, answer: &Answer) -> Self {
        let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
        let now = self.service.clock.now();
        let claims = self.tokens().verify(&text("access_token"), now).unwrap();
        let until = now + TimeDelta::seconds(answer.body["expires_in"].as_i64().unwrap());
        Self {
            session: Some(Session { id: claims.sid, until }),
            id: answer.body["account"]["id"].as_str().unwrap().parse().unwrap(),
            email: answer.body["account"]["email"].as_str().unwrap().to_owned(),
            token: Some(text("access_token")),
            refresh_token: text("refresh_token"),
            ..self.clone()
        }
    }

    /// A program that shows this key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { token: Some(key.to_owned()), session: None, ..self.clone() }
    }

    pub async fn log_in(&self, email: &str) -> Self {
        let answer = self.post("/v1/auth/login", json!({ "email": email, "password": PASSWORD })).await.is(200);
        self.signed_in(&answer)
    }

    /// The same person, who calls another process.
    pub fn at(&self, app: &App) -> Self {
        Self { url: app.url.clone(), service: app.service.clone(), ..self.clone() }
    }

    /// The same person, who calls the process that listens there.
    pub fn at_address(&self, address: &str) -> Self {
        Self { url: format!("http://{address}"), ..self.clone() }
    }

    /// The same person with fresh tokens.
    pub async fn refreshed(&self) -> Self {
        let body = json!({ "refresh_token": self.refresh_token });
        self.signed_in(&Self { token: None, ..self.clone() }.post("/v1/auth/refresh", body).await.is(200))
    }

    fn tokens(&self) -> &Tokens {
        self.service.part().unwrap()
    }

    /// The token; once its time is over, another of the same session, because tests move the clock by days.
    fn live_token(&self) -> Option<String> {
        let now = self.service.clock.now();
        match &self.session {
            Some(session) if now >= session.until => {
                Some(self.tokens().issue(AccountId(self.id), session.id, now).unwrap().0)
            }
            _ => self.token.clone(),
        }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match self.live_token() {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    /// A POST without a body.
    pub async fn act(&self, path: &str) -> Answer {
        send(self.request(Method::POST, path)).await
    }

    /// A POST of a form: text fields, and `file` with its name, in this order.
    pub fn form(&self, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> reqwest::RequestBuilder {
        let mut body = Vec::new();
        for (name, file_name, content) in parts {
            let file_name = file_name.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
            body.extend_from_slice(
                format!("--boundary\r\nContent-Disposition: form-data; name=\"{name}\"{file_name}\r\n\r\n").as_bytes(),
            );
            body.extend_from_slice(content);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"--boundary--\r\n");
        self.request(Method::POST, path).header("Content-Type", "multipart/form-data; boundary=boundary").body(body)
    }

    /// A POST of one file.
    pub async fn upload(&self, path: &str, name: &str, content: &[u8]) -> Answer {
        send(self.form(path, &[("file", Some(name), content)])).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    async fn with_tag(&self, method: Method, path: &str, body: Value) -> Answer {
        let tag = self.get(path).await.is(200).header("etag");
        send(self.request(method, path).header("If-Match", tag).json(&body)).await
    }

    /// A PATCH of what was just read.
    pub async fn change(&self, path: &str, body: Value) -> Answer {
        self.with_tag(Method::PATCH, path, body).await
    }

    /// A PUT over what was just read.
    pub async fn replace(&self, path: &str, body: Value) -> Answer {
        self.with_tag(Method::PUT, path, body).await
    }

    pub async fn address(&self, body: Value) -> Uuid {
        self.post("/v1/me/addresses", body).await.is(201).id()
    }

    pub async fn works(&self, windows: &[(&str, &str, &str)]) {
        let zone = self.get("/v1/therapists/me/schedule").await.is(200).body["time_zone"].clone();
        let weekly: Vec<Value> =
            windows.iter().map(|(day, start, end)| json!({ "day": day, "start": start, "end": end })).collect();
        self.replace("/v1/therapists/me/schedule", json!({ "time_zone": zone, "weekly": weekly })).await.is(200);
    }

    /// A wish for an hour of deep tissue massage.
    pub fn wish(&self, therapist: &Person, address: Uuid, start_at: &str) -> Value {
        json!({ "therapist_id": therapist.id, "service_id": DEEP_TISSUE, "duration_minutes": 60, "start_at": start_at, "address_id": address })
    }

    pub async fn books_with_key(&self, key: &str, wish: &Value) -> Answer {
        send(self.request(Method::POST, "/v1/bookings").header("Idempotency-Key", key).json(wish)).await
    }

    pub async fn books(&self, therapist: &Person, address: Uuid, start_at: &str) -> Answer {
        self.books_with_key(&Uuid::now_v7().to_string(), &self.wish(therapist, address, start_at)).await
    }

    /// The starts of an hour with `therapist` in Surry Hills.
    pub async fn slots(&self, therapist: &Person, from: &str, to: &str) -> Vec<String> {
        let path = format!(
            "/v1/slots?service_id={DEEP_TISSUE}&duration_minutes=60&from={from}&to={to}&latitude=-33.8886&longitude=151.2111\
             &country=AU&region=NSW&therapist_id={}",
            therapist.id
        );
        let page = self.get(&path).await.is(200).body;
        let starts =
            page["data"].as_array().unwrap().iter().flat_map(|found| found["slots"].as_array().unwrap().clone());
        starts.map(|slot| slot["start_at"].as_str().unwrap().to_owned()).collect()
    }
}
