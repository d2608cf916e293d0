//! Delivering: who wants to hear of an event, who is open, and one attempt.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use sqlx::PgExecutor;
use tokio::time::{timeout, timeout_at};
use uuid::Uuid;

use super::breaker::Room;
use super::kinds::{Happened, kind_of};
use super::signing::signatures;
use super::store::{self, Target, Wish};
use super::{DisabledReason, EndpointState};
use crate::App;
use crate::auth::Tokens;
use crate::db::uninterrupted;
use crate::error::{Error, Result};
use crate::events::{Event, Party};
use crate::ids::EndpointId;
use crate::outbound::{Missed, Outbound};

/// How long an attempt may take in all.
const PATIENCE: Duration = Duration::from_secs(15);
/// How many bytes of an answer are read; none are kept.
const MOST_READ: usize = 1024;

/// A message that an endpoint wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The event that it tells of.
    pub event: Uuid,
    /// Who wants it.
    pub endpoint: EndpointId,
    /// What the event is called there.
    pub kind: &'static str,
    /// Whether it is to be sent. A message to a disabled endpoint is kept as one that failed, so that it can be recovered.
    pub is_open: bool,
}

/// Which endpoints want to hear of these events, by one query. An endpoint hears of what happened since it was made.
pub async fn plan<'c>(db: impl PgExecutor<'c>, events: &[Happened]) -> Result<Vec<Wanted>> {
    if events.iter().all(|event| kind_of(event).is_none()) {
        return Ok(Vec::new());
    }
    Ok(wanted(&store::wishes(db).await?, events))
}

fn wanted(wishes: &[Wish], events: &[Happened]) -> Vec<Wanted> {
    let told = events.iter().filter_map(|event| Some((event, kind_of(event)?)));
    let wants = |(event, kind): (&Happened, &'static str)| {
        let (id, at) = (event.id, event.at);
        let wish = move |wish: &&Wish| {
            wish.created_at <= at && (wish.kinds.is_empty() || wish.kinds.iter().any(|wanted| wanted == kind))
        };
        wishes.iter().filter(wish).map(move |wish| Wanted {
            event: id,
            endpoint: wish.id,
            kind,
            is_open: wish.state == EndpointState::Enabled,
        })
    };
    told.flat_map(wants).collect()
}

/// To how many attempts each of these endpoints is open at `now`. One that is disabled or deleted is open to none, and [`send`] says so of it at
/// once, so that its deliveries can be ended: it is open to any number here.
pub async fn may_try<'c>(
    db: impl PgExecutor<'c>,
    endpoints: &[EndpointId],
    now: DateTime<Utc>,
) -> Result<HashMap<EndpointId, Room>> {
    let mut rooms: HashMap<EndpointId, Room> = endpoints.iter().map(|id| (*id, Room::Any)).collect();
    rooms.extend(store::breakers(db, endpoints).await?.into_iter().map(|(id, breaker)| (id, breaker.room(now))));
    Ok(rooms)
}

/// What became of an attempt. `why` is a code, and never what the other side said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was received.
    Sent {
        /// The status that it was answered with.
        status: u16,
        /// How many milliseconds it took.
        ms: i32,
    },
    /// It was not, and may be later.
    Retry {
        /// How long the other side asks to wait.
        after: Option<Duration>,
        /// Why not.
        why: String,
        /// The status that it was answered with, if it was.
        status: Option<u16>,
        /// How many milliseconds it took.
        ms: i32,
    },
    /// It never will be.
    Final {
        /// Why not.
        why: String,
        /// The status that it was answered with, if it was.
        status: Option<u16>,
        /// How many milliseconds it took.
        ms: i32,
    },
    /// The endpoint is disabled, or there is none any more. Nothing was sent.
    Disabled,
}

/// Sends a message once, and moves the endpoint's breaker by what became of it. `delivery` names the message over all of its attempts.
pub async fn send(
    app: &App,
    endpoint: EndpointId,
    delivery: Uuid,
    attempt_at: DateTime<Utc>,
    body: &[u8],
) -> Result<Outcome> {
    let target = store::target(&app.db, &app.cipher, endpoint, attempt_at).await?;
    let Some(target) = target else { return Ok(Outcome::Disabled) };
    let (outbound, own) = (app.part::<Outbound>()?, app.part::<Tokens>()?.issuer());
    let headers = headers(&target, delivery, attempt_at, body)?;
    let begun = Instant::now();
    let answer = match target.url.admitted(outbound, own) {
        Ok(()) => post(outbound, &target, headers, body.to_vec(), PATIENCE).await,
        Err(_) => Err("not_public"),
    };
    let ms = i32::try_from(begun.elapsed().as_millis()).unwrap_or(i32::MAX);
    let outcome = outcome(answer, ms, app.clock.now());
    settle(app, endpoint, &outcome).await?;
    Ok(outcome)
}

fn headers(target: &Target, delivery: Uuid, at: DateTime<Utc>, body: &[u8]) -> Result<HeaderMap> {
    let signed = signatures(delivery, at, body, &target.secrets, &target.key);
    let mut headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    for (name, value) in [
        ("webhook-id", delivery.to_string()),
        ("webhook-timestamp", at.timestamp().to_string()),
        ("webhook-signature", signed),
    ] {
        let value = HeaderValue::try_from(value).map_err(|error| Error::Internal(error.to_string()))?;
        headers.insert(name, value);
    }
    Ok(headers)
}

/// What an endpoint answered.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    retry_after: Option<String>,
}

/// Posts a message; its answer, or a code that says why there is none.
async fn post(
    outbound: &Outbound,
    target: &Target,
    headers: HeaderMap,
    body: Vec<u8>,
    patience: Duration,
) -> Result<Answer, &'static str> {
    let deadline = tokio::time::Instant::now() + patience;
    let asked = timeout_at(deadline, outbound.ask(Method::POST, &target.url.0, headers, body)).await;
    let mut response = asked.map_err(|_| "too_slow")?.map_err(|missed| match missed {
        Missed::NotPublic => "not_public",
        Missed::Unreachable => "unreachable",
    })?;
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let answer = Answer { status: response.status(), retry_after: retry_after.map(str::to_owned) };
    // Some servers give up a request whose answer nobody takes. The status has decided already.
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    drop(timeout(left, read_a_little(&mut response)).await);
    Ok(answer)
}

async fn read_a_little(response: &mut Response) {
    let mut read = 0;
    while let Ok(Some(part)) = response.chunk().await {
        read += part.len();
        if read >= MOST_READ {
            return;
        }
    }
}

fn outcome(answer: Result<Answer, &'static str>, ms: i32, now: DateTime<Utc>) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return Outcome::Retry { after: None, why: why.to_owned(), status: None, ms },
    };
    let status = answer.status.as_u16();
    match status {
        200..300 => Outcome::Sent { status, ms },
        410 => Outcome::Final { why: "gone".to_owned(), status: Some(status), ms },
        _ => Outcome::Retry {
            after: answer.retry_after.and_then(|text| wait_for(&text, now)),
            why: if answer.status.is_redirection() { "redirect".to_owned() } else { format!("status_{status}") },
            status: Some(status),
            ms,
        },
    }
}

/// How long a header `Retry-After` asks to wait (RFC 9110, 10.2.3): seconds, or until a date.
fn wait_for(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = DateTime::parse_from_rfc2822(text).ok()?;
            Some((date.to_utc() - now).to_std().unwrap_or_default())
        }
    }
}

/// Moves the breaker. An endpoint that is gone, or has failed for too long, is disabled, and whoever made it is told.
async fn settle(app: &App, endpoint: EndpointId, outcome: &Outcome) -> Result<()> {
    let (is_success, is_gone) = (matches!(outcome, Outcome::Sent { .. }), matches!(outcome, Outcome::Final { .. }));
    if is_success {
        store::set_works(&app.db, endpoint, app.clock.now()).await?;
    }
    // Most are well, and stay so.
    if is_success && store::breakers(&*app.db, &[endpoint]).await?.iter().all(|(_, breaker)| breaker.is_calm()) {
        return Ok(());
    }
    let shop = app.workshop();
    uninterrupted(async move {
        let mut work = shop.begin(None).await?;
        let Some((breaker, owner)) = store::lock_breaker(&mut work, endpoint).await? else { return Ok(()) };
        let now = shop.clock.now();
        let next = if is_success { Some(breaker.after_success()) } else { breaker.after_failure(now) };
        match next.filter(|_| !is_gone) {
            Some(next) => store::set_breaker(&mut work, endpoint, next).await?,
            None => {
                let reason = if is_gone { DisabledReason::Gone } else { DisabledReason::Failing };
                store::set_state(&mut work, endpoint, Some(reason), now).await?;
                let event = Event::new("webhook_endpoint.disabled", "webhook_endpoint", endpoint);
                let details = json!({ "owner_id": owner, "error": reason });
                work.announce(Event { party: Some(Party::System), ..event.with(details) }).await?;
            }
        }
        work.commit().await?;
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::super::signing::{Secret, SigningKey};
    use super::*;

    const MORNING: &str = "2026-12-01T00:00:00Z";

    /// A server of this machine that reads a request, waits, and answers; its address.
    fn answering(answer: impl Into<Vec<u8>>, wait: Duration) -> String {
        let (listener, answer) = (TcpListener::bind("127.0.0.1:0").unwrap(), answer.into());
        let url = format!("http://{}/hooks", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                drop(stream.read(&mut [0; 4096]));
                std::thread::sleep(wait);
                drop(stream.write_all(&answer));
            }
        });
        url
    }

    async fn sent(outbound: &Outbound, url: &str) -> Outcome {
        let target = Target {
            url: url.parse().unwrap(),
            secrets: vec![Secret::generate().unwrap()],
            key: SigningKey::generate().unwrap(),
        };
        let answer = post(outbound, &target, HeaderMap::new(), b"{}".to_vec(), Duration::from_millis(400)).await;
        outcome(answer, 7, MORNING.parse().unwrap())
    }

    fn retry(why: &str, status: Option<u16>, after: Option<u64>) -> Outcome {
        Outcome::Retry { after: after.map(Duration::from_secs), why: why.to_owned(), status, ms: 7 }
    }

    #[tokio::test]
    async fn an_answer_is_judged_by_its_status() {
        let outbound = Outbound::with_loopback();
        for (head, became) in [
            ("200 OK", Outcome::Sent { status: 200, ms: 7 }),
            ("204 No Content", Outcome::Sent { status: 204, ms: 7 }),
            ("302 Found\r\nLocation: /elsewhere", retry("redirect", Some(302), None)),
            ("400 Bad Request", retry("status_400", Some(400), None)),
            ("410 Gone", Outcome::Final { why: "gone".to_owned(), status: Some(410), ms: 7 }),
            ("429 Too Many Requests\r\nRetry-After: 90", retry("status_429", Some(429), Some(90))),
            ("500 Internal Server Error", retry("status_500", Some(500), None)),
            (
                "503 Unavailable\r\nRetry-After: Tue, 01 Dec 2026 00:02:00 GMT",
                retry("status_503", Some(503), Some(120)),
            ),
            ("503 Unavailable\r\nRetry-After: soon", retry("status_503", Some(503), None)),
        ] {
            let url =
                answering(format!("HTTP/1.1 {head}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), Duration::ZERO);
            assert_eq!(sent(&outbound, &url).await, became, "{head}");
        }
    }

    #[tokio::test]
    async fn whoever_is_slow_or_not_there_has_failed() {
        let outbound = Outbound::with_loopback();
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        let slow = answering(answer, Duration::from_millis(900));
        assert_eq!(sent(&outbound, &slow).await, retry("too_slow", None, None));
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert_eq!(sent(&outbound, &format!("http://{nobody}/")).await, retry("unreachable", None, None));
        assert_eq!(sent(&outbound, "https://10.0.0.1/").await, retry("not_public", None, None));
        let inside = answering(answer, Duration::ZERO);
        assert_eq!(sent(&Outbound::new(), &inside).await, retry("not_public", None, None));
        assert_eq!(sent(&outbound, &inside).await, Outcome::Sent { status: 200, ms: 7 });
    }

    #[tokio::test]
    async fn of_a_large_or_endless_answer_a_little_is_read() {
        let outbound = Outbound::with_loopback();
        let mut large = b"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n".to_vec();
        large.resize(2_000_000, b'x');
        // It never comes to its end, and nobody waits for that.
        let begun = Instant::now();
        assert_eq!(sent(&outbound, &answering(large, Duration::ZERO)).await, Outcome::Sent { status: 200, ms: 7 });
        assert!(begun.elapsed() < Duration::from_millis(350));
        let stalled = answering("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nx", Duration::ZERO);
        assert_eq!(sent(&outbound, &stalled).await, Outcome::Sent { status: 200, ms: 7 });
    }

    #[test]
    fn an_endpoint_hears_of_what_it_wants_since_it_was_made() {
        let now: DateTime<Utc> = MORNING.parse().unwrap();
        let wish = |kinds: &[&str], state, later: i64| Wish {
            id: EndpointId(Uuid::now_v7()),
            kinds: kinds.iter().map(|kind| (*kind).to_owned()).collect(),
            state,
            created_at: now + chrono::TimeDelta::seconds(later),
        };
        let event = |kind: &str| Happened {
            id: Uuid::now_v7(),
            kind: kind.to_owned(),
            subject: Uuid::now_v7(),
            at: now,
            number: 1,
            therapist: None,
            from: None,
            to: None,
            details: json!({}),
        };
        let (open, shut) = (EndpointState::Enabled, EndpointState::Disabled);
        let wishes = [
            wish(&[], open, 0),
            wish(&["booking.moved"], shut, -1),
            wish(&["booking.cancelled"], open, -1),
            wish(&[], open, 1),
        ];
        let events = [event("booking.reschedule"), event("booking.consult"), event("booking.cancel")];
        let found: Vec<_> = wanted(&wishes, &events).iter().map(|w| (w.event, w.endpoint, w.kind, w.is_open)).collect();
        assert_eq!(
            found,
            [
                (events[0].id, wishes[0].id, "booking.moved", true),
                (events[0].id, wishes[1].id, "booking.moved", false),
                (events[2].id, wishes[0].id, "booking.cancelled", true),
                (events[2].id, wishes[2].id, "booking.cancelled", true),
            ]
        );
    }
}
