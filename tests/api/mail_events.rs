//! What comes back of mails: reports of a relay over HTTP, and delivery status notifications on the command line.

use std::io::Write;
use std::process::Stdio;

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde_json::{Value, json};
use standardwebhooks::Webhook;

use crate::commands::{knead, output};
use crate::support::{Answer, App, MAIL_EVENTS_SECRET, Person, send};

/// Sends `body` as whoever knows `secret` does at `at`.
async fn signed(app: &App, secret: &str, at: DateTime<Utc>, body: &str) -> Answer {
    let signature = Webhook::new(secret).unwrap().sign("msg_1", at.timestamp(), body.as_bytes()).unwrap();
    let headers = [("webhook-id", "msg_1"), ("webhook-signature", &signature)];
    unsigned(app, &headers, &at.timestamp().to_string(), body).await
}

async fn unsigned(app: &App, headers: &[(&str, &str)], timestamp: &str, body: &str) -> Answer {
    let request = app.nobody().request(Method::POST, "/v1/mail-events").header("content-type", "application/json");
    let request = request.header("webhook-timestamp", timestamp).body(body.to_owned());
    send(headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))).await
}

/// Reports these events, as the relay does.
async fn report(app: &App, events: Value) -> Answer {
    signed(app, MAIL_EVENTS_SECRET, app.now(), &json!({ "events": events }).to_string()).await
}

/// Why nothing is sent to each address, newest first; of the one that is named, or of all.
async fn reasons(support: &Person, of: Option<&str>) -> Vec<String> {
    let query = of.map(|email| format!("?email={}", email.replace('+', "%2B"))).unwrap_or_default();
    let page = support.get(&format!("/v1/admin/suppressions{query}")).await.is(200).body;
    page["data"].as_array().unwrap().iter().map(|one| one["reason"].as_str().unwrap().to_owned()).collect()
}

/// What became of the latest message to a person.
async fn latest(person: &Person) -> Value {
    person.get("/v1/me/messages").await.is(200).body["data"][0].clone()
}

#[tokio::test]
async fn whom_mail_does_not_reach_or_who_complained_is_sent_nothing_until_staff_lift_it() {
    let app = App::with_mail().await;
    let (support, therapist) = (app.admin().await, app.therapist().await);
    let (client, address) = app.client_at_home().await;
    let book = async |start: &str| client.books(&therapist, address, start).await.is(201).id();
    book("2026-12-10T03:00:00Z").await;
    app.send_messages().await;
    let delivery = latest(&client).await["id"].as_str().unwrap().to_owned();
    let events = json!([
        { "type": "bounced", "email": client.email.to_uppercase(), "status": "5.1.1", "message_id": format!("<{delivery}@knead.test>") },
        { "type": "complained", "email": therapist.email, "message_id": "<somebody@else.example>" },
    ]);
    report(&app, events.clone()).await.is(204);
    assert_eq!(reasons(&support, Some(&client.email)).await, ["bounced"]);
    assert_eq!(reasons(&support, Some(&therapist.email)).await, ["complained"]);

    // Neither a visit nor the safety of the account is told of there.
    let before = app.mails().len();
    book("2026-12-11T03:00:00Z").await;
    app.nobody().post("/v1/auth/password/forgot", json!({ "email": client.email })).await.is(202);
    app.run_jobs().await;
    app.send_messages().await;
    assert_eq!(app.mails().len(), before);
    for person in [&client, &therapist] {
        let last = latest(person).await;
        assert_eq!((&last["state"], &last["attempts"]), (&json!("suppressed"), &json!(0)), "{last}");
    }

    // The same again changes nothing, and is no news.
    let added = "events WHERE kind = 'suppression.add'";
    assert_eq!(app.rows(added).await, 2);
    report(&app, events).await.is(204);
    assert_eq!((app.rows(added).await, app.rows("suppressions").await), (2, 2));
    let of_ours = format!("{added} AND details::jsonb @> '{{\"code\": \"5.1.1\", \"delivery_id\": \"{delivery}\"}}'");
    assert_eq!(app.rows(&of_ours).await, 1);
    let told = "events WHERE kind LIKE 'suppression.%' AND details::text LIKE '%@%'";
    assert_eq!(app.rows(told).await, 0, "no address is in an event");

    // Staff lift it.
    for person in [&client, &therapist] {
        let page = support.get(&format!("/v1/admin/suppressions?email={}", person.email)).await.is(200).body;
        let one = format!("/v1/admin/suppressions/{}", page["data"][0]["id"].as_str().unwrap());
        person.delete(&one).await.is(403);
        support.delete(&one).await.is(204);
        support.delete(&one).await.is(404);
    }
    assert!(reasons(&support, None).await.is_empty());
    book("2026-12-14T03:00:00Z").await;
    app.send_messages().await;
    assert_eq!(app.mails().len(), before + 2);
}

#[tokio::test]
async fn only_what_is_for_good_counts_and_a_complaint_weighs_more_than_a_bounce() {
    let app = App::with_mail().await;
    let support = app.admin().await;
    let bounced = |status: &str| json!([{ "type": "bounced", "email": "a@example.org", "status": status }]);
    for passing in ["4.2.2", "2.1.5"] {
        report(&app, bounced(passing)).await.is(204);
        assert_eq!(reasons(&support, None).await, Vec::<String>::new());
    }
    report(&app, json!([{ "type": "bounced", "email": "a@example.org" }])).await.is(204);
    assert_eq!(reasons(&support, None).await, ["bounced"]);
    report(&app, json!([{ "type": "complained", "email": "a@example.org", "status": "4.2.2" }])).await.is(204);
    assert_eq!(reasons(&support, None).await, ["complained"]);
    report(&app, bounced("5.1.1")).await.is(204);
    assert_eq!(reasons(&support, None).await, ["complained"]);
    // In one report too, in either order.
    let both = |n: usize, types: [&str; 2]| {
        let one = |of: &&str| json!({ "type": of, "email": format!("b{n}@example.org") });
        json!(types.iter().map(one).collect::<Vec<_>>())
    };
    report(&app, both(1, ["bounced", "complained"])).await.is(204);
    report(&app, both(2, ["complained", "bounced"])).await.is(204);
    assert_eq!(reasons(&support, None).await, ["complained"; 3]);
}

#[tokio::test]
async fn a_report_that_comes_many_times_at_once_counts_once() {
    let app = App::with_mail().await;
    let event = |n: usize| json!({ "type": "bounced", "email": format!("a{n}@example.org") });
    let reports = (0..8).map(|turn| {
        let mut events: Vec<Value> = (0..100).map(event).collect();
        events.rotate_left(turn * 13);
        let app = &app;
        async move { report(app, json!(events)).await.is(204) }
    });
    futures_util::future::join_all(reports).await;
    assert_eq!((app.rows("suppressions").await, app.rows("events WHERE kind = 'suppression.add'").await), (100, 100));
}

#[tokio::test]
async fn nobody_reports_without_a_fresh_signature() {
    let app = App::with_mail().await;
    let (body, now) = (r#"{"events":[{"type":"complained","email":"a@example.org"}]}"#, app.now());
    let other = "whsec_BBECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let refused = signed(&app, other, now, body).await.refused(401, "signature_invalid");
    assert_eq!(refused.header("www-authenticate"), "Standard-Webhooks");
    for seconds in [-301, 301] {
        let at = now + chrono::TimeDelta::seconds(seconds);
        signed(&app, MAIL_EVENTS_SECRET, at, body).await.refused(401, "signature_invalid");
    }
    let good = Webhook::new(MAIL_EVENTS_SECRET).unwrap().sign("msg_1", now.timestamp(), body.as_bytes()).unwrap();
    let (id, signature) = (("webhook-id", "msg_1"), ("webhook-signature", good.as_str()));
    let timestamp = now.timestamp().to_string();
    for headers in
        [&[][..], &[id], &[signature], &[("webhook-id", "msg_2"), signature], &[id, ("webhook-signature", "v1,")]]
    {
        unsigned(&app, headers, &timestamp, body).await.refused(401, "signature_invalid");
    }
    for timestamp in ["", "soon", "1.5", "99999999999999999999"] {
        unsigned(&app, &[id, signature], timestamp, body).await.refused(401, "signature_invalid");
    }
    // What was not signed is not read.
    for altered in ["{", "{}", &body.replace("a@", "b@")] {
        unsigned(&app, &[id, signature], &timestamp, altered).await.refused(401, "signature_invalid");
    }
    assert_eq!(app.rows("suppressions").await, 0);
    let several = format!("v1,AAAA {good}");
    unsigned(&app, &[id, ("webhook-signature", &several)], &timestamp, body).await.is(204);
    assert_eq!(app.rows("suppressions").await, 1);

    // Who was not set up to take reports takes none, however they are signed.
    let without = App::start().await;
    signed(&without, MAIL_EVENTS_SECRET, without.now(), body).await.is(404);
}

#[tokio::test]
async fn a_report_that_is_signed_may_still_be_wrong() {
    let app = App::with_mail().await;
    let with = |field: &str, value: Value| {
        let mut event = json!({ "type": "bounced", "email": "a@example.org" });
        event[field] = value;
        json!([event])
    };
    for (bad, pointer) in [
        (with("type", json!("opened")), "/events/0/type"),
        (with("type", json!(null)), "/events/0/type"),
        (with("email", json!("a")), "/events/0/email"),
        (with("status", json!("550")), "/events/0/status"),
        (with("status", json!(5)), "/events/0/status"),
        (with("message_id", json!("m".repeat(999))), "/events/0/message_id"),
        (with("colour", json!("red")), "/events/0/colour"),
        (json!([]), "/events"),
        (json!(vec![with("status", json!("5.1.1"))[0].clone(); 101]), "/events"),
    ] {
        report(&app, bad).await.points_to(&[pointer]);
    }
    signed(&app, MAIL_EVENTS_SECRET, app.now(), "{").await.refused(400, "malformed");
    signed(&app, MAIL_EVENTS_SECRET, app.now(), r#"{"events":[],"more":1}"#).await.points_to(&["/more"]);
    signed(&app, MAIL_EVENTS_SECRET, app.now(), &format!("{{{}}}", " ".repeat(65_536))).await.is(413);
    send(app.nobody().request(Method::POST, "/v1/mail-events").body("{}")).await.is(415);
    assert_eq!(app.rows("suppressions").await, 0);
}

/// A delivery status notification about one address.
fn notification(email: &str, action: &str, status: &str) -> String {
    format!(
        "From: MAILER-DAEMON@relay.example\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=\"x\"\r\n\r\n\
         --x\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\n\
         Reporting-MTA: dns; relay.example\r\n\r\nFinal-Recipient: rfc822; {email}\r\nAction: {action}\r\nStatus: {status}\r\n\r\n--x--\r\n"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bounce_that_comes_by_mail_is_read_on_the_command_line() {
    let app = App::with_mail().await;
    let (support, client) = (app.admin().await, app.client().await);
    let read = |mail: &[u8]| {
        let mut command = knead();
        command.args(["mail", "bounce"]).envs(app.environment());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // It may have read enough before the end.
        drop(child.stdin.take().unwrap().write_all(mail));
        let done = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (done.status.code(), text(done.stdout), text(done.stderr))
    };
    let did = |mail: &str, line: &str| assert_eq!(read(mail.as_bytes()), (Some(0), format!("{line}\n"), String::new()));
    let nothing = "Nothing is suppressed: no address failed for good.";
    did(&notification(&client.email, "delayed", "4.4.1"), nothing);
    did(&notification(&client.email, "failed", "4.2.2"), nothing);
    assert_eq!(reasons(&support, None).await, Vec::<String>::new());
    let failed = notification(&client.email.to_uppercase(), "failed", "5.1.1");
    did(&failed, "One address is suppressed.");
    did(&failed, "Nothing changes: what failed for good is suppressed already.");
    // The service knows the address by the same digest.
    assert_eq!(reasons(&support, Some(&client.email)).await, ["bounced"]);
    assert_eq!(app.rows("events WHERE kind = 'suppression.add'").await, 1);

    let endless = format!("{failed}{}", "x".repeat(3_000_000));
    did(&endless, "Nothing changes: what failed for good is suppressed already.");
    for other in
        ["", "hello", "Content-Type: text/plain\r\n\r\nFinal-Recipient: rfc822; a@example.org", &"x".repeat(3_000_000)]
    {
        let (code, out, error) = read(other.as_bytes());
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert_eq!(error, "knead: this is no delivery status notification (RFC 3464)\n");
    }
    let (ok, _, error) = output(knead().args(["mail", "bounce"]));
    assert!(!ok && error.contains("--database-url") && error.contains("--data-keys"), "{error}");
}
