//! Messages that leave the service.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use knead::messages::{LIFE, State, dispatcher, hold, sender};
use reqwest::Method;
use serde_json::{Value, json};

use uuid::Uuid;

use crate::support::smtp::{Reply, Sink};
use crate::support::{App, Dice, Person, at, send};

/// A client and a therapist who may be booked, whose mails of before were sent.
async fn set_up(app: &App) -> (Client, Person) {
    let therapist = app.therapist().await;
    let (person, address) = app.client_at_home().await;
    app.send_messages().await;
    (Client { person, address }, therapist)
}

/// A client, and where they receive visits.
struct Client {
    person: Person,
    address: Uuid,
}

impl std::ops::Deref for Client {
    type Target = Person;

    fn deref(&self) -> &Person {
        &self.person
    }
}

impl Client {
    /// Books an hour; the booking's id.
    async fn book(&self, therapist: &Person, start_at: &str) -> Uuid {
        self.books(therapist, self.address, start_at).await.is(201).id()
    }
}

/// The subjects of mails to `person`, oldest first, from the `since`th mail of all on.
fn subjects(app: &App, person: &Person, since: usize) -> Vec<String> {
    let mails = app.mails();
    mails.iter().skip(since).filter(|mail| mail.to == person.email).map(|mail| mail.letter.subject.clone()).collect()
}

#[tokio::test]
async fn both_are_written_to_when_a_visit_is_booked_moved_and_cancelled_once_each() {
    let app = App::with_mail().await;
    let (client, therapist) = set_up(&app).await;
    let before = app.mails().len();
    let booking = client.book(&therapist, "2026-12-10T03:00:00Z").await;
    app.send_messages().await;
    app.send_messages().await;
    assert_eq!(subjects(&app, &client, before), ["Your massage on Thursday, 10 December 2026"]);
    assert_eq!(subjects(&app, &therapist, before), ["New visit on Thursday, 10 December 2026"]);

    client
        .post(&format!("/v1/bookings/{booking}/reschedule"), json!({ "start_at": "2026-12-11T03:00:00Z" }))
        .await
        .is(200);
    app.send_messages().await;
    let moved = "Moved: your visit is now on Friday, 11 December 2026";
    assert_eq!(subjects(&app, &client, before)[1..], [moved]);
    assert_eq!(subjects(&app, &therapist, before)[1..], [moved]);

    client.post(&format!("/v1/bookings/{booking}/cancel"), json!({})).await.is(200);
    app.send_messages().await;
    let cancelled = "Cancelled: the visit on Friday, 11 December 2026";
    assert_eq!(subjects(&app, &client, before)[2..], [cancelled]);
    assert_eq!(subjects(&app, &therapist, before)[2..], [cancelled]);

    // One entry in each calendar, through all of it.
    let objects: Vec<String> =
        app.mails().into_iter().filter(|mail| mail.to == client.email).filter_map(|mail| mail.invitation).collect();
    let lines = |of: &str| -> Vec<String> {
        let lines =
            objects.iter().map(|object| object.lines().find(|line| line.starts_with(of)).unwrap().trim().to_owned());
        lines.collect()
    };
    assert_eq!(lines("METHOD"), ["METHOD:REQUEST", "METHOD:REQUEST", "METHOD:CANCEL"]);
    assert_eq!(lines("SEQUENCE"), ["SEQUENCE:0", "SEQUENCE:1", "SEQUENCE:2"]);
    assert_eq!(
        lines("UID").into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([format!("UID:{booking}@visits.knead")])
    );
}

#[tokio::test]
async fn a_mail_tells_neither_street_nor_notes_nor_how_to_reach_the_other_side() {
    let app = App::with_mail().await;
    let (client, therapist) = set_up(&app).await;
    client.book(&therapist, "2026-12-10T03:00:00Z").await;
    app.send_messages().await;
    for mail in app.mails() {
        let said =
            format!("{}{}{}", mail.letter.text(), mail.letter.html(), mail.invitation.clone().unwrap_or_default());
        for secret in ["Crown Street", "+61", "Ring 4", "eep tissue", "129"] {
            assert!(!said.contains(secret), "{secret} in {said}");
        }
        for person in [&client, &therapist] {
            assert!(person.email == mail.to || !said.contains(&person.email), "{said}");
        }
    }
}

#[tokio::test]
async fn what_is_not_so_any_more_is_not_told() {
    let app = App::with_mail().await;
    let (client, therapist) = set_up(&app).await;
    let before = app.mails().len();
    // Nothing was sent meanwhile: of booking, moving and moving, only how it stands is told.
    let booking = client.book(&therapist, "2026-12-10T03:00:00Z").await;
    for start in ["2026-12-10T04:00:00Z", "2026-12-11T03:00:00Z"] {
        client.post(&format!("/v1/bookings/{booking}/reschedule"), json!({ "start_at": start })).await.is(200);
    }
    app.send_messages().await;
    assert_eq!(subjects(&app, &client, before), ["Moved: your visit is now on Friday, 11 December 2026"]);

    // Cancelled between its planning and its turn.
    let before = app.mails().len();
    let other = client.book(&therapist, "2026-12-14T03:00:00Z").await;
    app.chain_audit().await;
    while dispatcher::dispatch(&app.service).await.unwrap() {}
    client.post(&format!("/v1/bookings/{other}/cancel"), json!({})).await.is(200);
    sender::drain(&app.service).await.unwrap();
    assert_eq!(subjects(&app, &client, before), Vec::<String>::new());
    app.send_messages().await;
    assert_eq!(subjects(&app, &client, before), ["Cancelled: the visit on Monday, 14 December 2026"]);
    let cancelled = app.mails().pop().unwrap();
    assert_eq!(cancelled.invitation, None, "nobody was invited");
}

#[tokio::test]
async fn a_reminder_comes_a_day_before_and_never_of_what_was_moved_or_cancelled() {
    let app = App::with_mail().await;
    let (client, therapist) = set_up(&app).await;
    let kept = client.book(&therapist, "2026-12-10T03:00:00Z").await;
    let moved = client.book(&therapist, "2026-12-11T03:00:00Z").await;
    let cancelled = client.book(&therapist, "2026-12-10T00:00:00Z").await;
    app.send_messages().await;
    client
        .post(&format!("/v1/bookings/{moved}/reschedule"), json!({ "start_at": "2026-12-12T03:00:00Z" }))
        .await
        .is(200);
    client.post(&format!("/v1/bookings/{cancelled}/cancel"), json!({})).await.is(200);
    app.send_messages().await;
    let before = app.mails().len();
    app.advance(at("2026-12-09T02:59:00Z") - app.now());
    app.send_messages().await;
    assert_eq!(app.mails().len(), before);
    app.advance(at("2026-12-09T03:00:00Z") - app.now());
    app.send_messages().await;
    assert_eq!(subjects(&app, &client, before), ["Reminder: your massage on Thursday, 10 December 2026"]);
    assert_eq!(subjects(&app, &therapist, before), ["Reminder: your visit on Thursday, 10 December 2026"]);
    app.advance(at("2026-12-10T04:00:00Z") - app.now());
    app.send_messages().await;
    assert_eq!(app.mails().len(), before + 2, "of {kept} alone");
    app.advance(at("2026-12-11T03:00:00Z") - app.now());
    app.send_messages().await;
    assert_eq!(subjects(&app, &client, before)[1..], ["Reminder: your massage on Saturday, 12 December 2026"]);
}

#[tokio::test]
async fn settings_say_which_language_when_and_what() {
    let app = App::with_mail().await;
    let (client, therapist) = set_up(&app).await;
    let settings = client.get("/v1/me/message-settings").await.is(200).body;
    assert_eq!(
        settings,
        json!({ "language": "en", "quiet_hours": null, "reminder_hours": [24], "preferences": [
            { "class": "transactional", "channel": "email", "enabled": true }, { "class": "reminder", "channel": "email", "enabled": true } ] })
    );
    let booking = client.book(&therapist, "2026-12-10T03:00:00Z").await;
    app.send_messages().await;
    let change = json!({ "language": "de", "quiet_hours": { "from": "21:00", "until": "15:00" }, "reminder_hours": [24, 2, 24] });
    let changed = client.change("/v1/me/message-settings", change).await.is(200).body;
    assert_eq!((&changed["language"], &changed["reminder_hours"]), (&json!("de"), &json!([24, 2])));
    let before = app.mails().len();
    // 14:00 on the day before, and 12:00, are both in quiet hours: they come before these begin.
    app.advance(at("2026-12-08T09:50:00Z") - app.now());
    app.send_messages().await;
    assert_eq!(subjects(&app, &client, before), ["Erinnerung: Ihre Massage am Donnerstag, 10. Dezember 2026"]);
    app.advance(at("2026-12-09T09:50:00Z") - app.now());
    app.send_messages().await;
    assert_eq!(subjects(&app, &client, before).len(), 2);

    let without = json!({ "preferences": [{ "class": "transactional", "channel": "email", "enabled": false }] });
    client.change("/v1/me/message-settings", without).await.is(200);
    client.post(&format!("/v1/bookings/{booking}/cancel"), json!({})).await.is(200);
    app.send_messages().await;
    assert_eq!(subjects(&app, &client, before).len(), 2);
    let log = client.get("/v1/me/messages").await.is(200).body;
    assert_eq!(
        (&log["data"][0]["message"], &log["data"][0]["state"]),
        (&json!("visit_cancelled"), &json!("suppressed"))
    );

    for (bad, pointer) in [
        (json!({ "language": "xx" }), "/language"),
        (json!({ "reminder_hours": [0] }), "/reminder_hours/0"),
        (json!({ "reminder_hours": [1, 2, 3, 4, 5] }), "/reminder_hours"),
        (json!({ "quiet_hours": { "from": "25:00", "until": "08:00" } }), "/quiet_hours/from"),
        (
            json!({ "preferences": [{ "class": "security", "channel": "email", "enabled": false }] }),
            "/preferences/0/class",
        ),
        (
            json!({ "preferences": [{ "class": "reminder", "channel": "webhook", "enabled": false }] }),
            "/preferences/0/channel",
        ),
        (json!({ "colour": "red" }), "/colour"),
    ] {
        client.change("/v1/me/message-settings", bad).await.points_to(&[pointer]);
    }
    send(client.request(Method::PATCH, "/v1/me/message-settings").json(&json!({}))).await.is(428);
    app.nobody().get("/v1/me/message-settings").await.is(401);
}

#[tokio::test]
async fn a_link_unsubscribes_from_reminders_alone_and_only_where_it_is_posted_to() {
    let app = App::with_mail().await;
    let (client, therapist) = set_up(&app).await;
    client.book(&therapist, "2026-12-10T03:00:00Z").await;
    client.book(&therapist, "2026-12-11T03:00:00Z").await;
    app.send_messages().await;
    app.advance(at("2026-12-09T03:00:00Z") - app.now());
    app.send_messages().await;
    let text = app.mails().iter().rfind(|mail| mail.to == client.email).unwrap().letter.text();
    let link = text.split_whitespace().find(|word| word.contains("/unsubscribe/")).unwrap();
    let path = link.strip_prefix("http://knead.test").unwrap();
    let nobody = app.nobody();
    for _ in 0..3 {
        let policy = nobody.get(path).await.is(200).header("content-security-policy");
        assert!(policy.contains("form-action 'self'"), "a browser sends the form: {policy}");
    }
    let wanted = |settings: &Value| {
        settings["preferences"].as_array().unwrap().iter().map(|one| one["enabled"] == true).collect::<Vec<_>>()
    };
    assert_eq!(wanted(&client.get("/v1/me/message-settings").await.is(200).body), [true, true], "scanners open links");
    for _ in 0..2 {
        nobody.act(path).await.is(200);
    }
    assert_eq!(wanted(&client.get("/v1/me/message-settings").await.is(200).body), [true, false]);
    let before = app.mails().len();
    app.advance(at("2026-12-10T03:00:00Z") - app.now());
    app.send_messages().await;
    assert_eq!(subjects(&app, &client, before), Vec::<String>::new());
    assert_eq!(subjects(&app, &therapist, before).len(), 1);
    for bad in ["/unsubscribe/x", "/unsubscribe/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"] {
        nobody.get(bad).await.is(404);
        nobody.act(bad).await.is(404);
    }
}

#[tokio::test]
async fn a_relay_that_fails_is_tried_again_and_what_it_refuses_for_good_is_not() {
    let sink = Sink::start().await;
    let app = App::with_relay(&sink.url()).await;
    let (client, therapist) = set_up(&app).await;
    let log = async |of: &Person| of.get("/v1/me/messages").await.is(200).body["data"][0].clone();

    // For now: it comes ten seconds later, with the id that it had.
    sink.script([Reply::Rcpt(451), Reply::CutAfterData]);
    let booking = client.book(&therapist, "2026-12-10T03:00:00Z").await;
    app.send_messages().await;
    let waiting = [log(&client).await, log(&therapist).await];
    assert!(waiting.iter().all(|one| one["state"] == "pending" && one["attempts"] == 1), "{waiting:?}");
    let before = sink.received();
    app.send_messages().await;
    assert_eq!(sink.received().len(), before.len(), "it is not due");
    app.advance(TimeDelta::seconds(13));
    app.send_messages().await;
    assert!(
        [log(&client).await, log(&therapist).await].iter().all(|one| one["state"] == "sent" && one["attempts"] == 2)
    );
    let ids: Vec<String> = sink.received().iter().map(|mail| mail.header("Message-ID")).collect();
    let mut times: BTreeMap<&String, usize> = BTreeMap::new();
    ids.iter().for_each(|id| *times.entry(id).or_default() += 1);
    // The relay cut one connection after the data: it may have taken the mail, and gets it again under the same id.
    assert_eq!(times.values().filter(|times| **times == 2).count(), 1, "{times:?}");

    // For good: nothing is sent to that address any more.
    sink.script([Reply::Rcpt(550)]);
    client.post(&format!("/v1/bookings/{booking}/cancel"), json!({})).await.is(200);
    app.send_messages().await;
    let refused = if log(&client).await["state"] == "failed" { &client } else { &therapist };
    assert_eq!(log(refused).await["state"], "failed");
    client.book(&therapist, "2026-12-11T03:00:00Z").await;
    app.send_messages().await;
    assert_eq!(log(refused).await["state"], "suppressed");

    // Staff see why, lift it, and send what failed once more; whether it still holds is looked at again.
    let support = app.admin().await;
    let failed = support.get("/v1/admin/messages?state=failed").await.is(200).body;
    let failed = &failed["data"][0];
    assert_eq!((&failed["last_error"], &failed["account_id"]), (&json!("smtp_550"), &json!(refused.id)));
    let retry = format!("/v1/admin/messages/{}/retry", failed["id"].as_str().unwrap());
    let suppressions = support.get(&format!("/v1/admin/suppressions?email={}", refused.email)).await.is(200).body;
    let one = format!("/v1/admin/suppressions/{}", suppressions["data"][0]["id"].as_str().unwrap());
    assert_eq!(suppressions["data"][0]["reason"], "bounced");
    assert_eq!(support.get("/v1/admin/suppressions?email=else@example.org").await.is(200).body["data"], json!([]));
    client.delete(&one).await.is(403);
    support.delete(&one).await.is(204);
    support.delete(&one).await.is(404);
    client.act(&retry).await.is(403);
    support.act(&retry).await.is(204);
    app.send_messages().await;
    assert_eq!(support.get("/v1/admin/messages?state=failed").await.is(200).body["data"], json!([]));
    support.act(&retry).await.refused(409, "delivery_not_retriable");
    support.get("/v1/admin/messages?state=lost").await.is(422);
}

#[tokio::test]
async fn each_lane_goes_in_order_and_a_head_that_waits_keeps_the_others_of_its_lane() {
    let sink = Sink::start().await;
    let app = App::with_relay(&sink.url()).await;
    let (client, therapist) = set_up(&app).await;
    let booking = client.book(&therapist, "2026-12-10T03:00:00Z").await;
    app.send_messages().await;
    sink.script([Reply::Rcpt(451)]);
    therapist
        .post(&format!("/v1/bookings/{booking}/counter-offers"), json!({ "start_at": "2026-12-11T03:00:00Z" }))
        .await
        .is(201);
    app.send_messages().await;
    let offers = client.get(&format!("/v1/bookings/{booking}/counter-offers")).await.is(200).body;
    let offer = offers["data"][0]["id"].as_str().unwrap().to_owned();
    therapist.post(&format!("/v1/bookings/{booking}/counter-offers/{offer}/withdraw"), json!({})).await.is(200);
    app.send_messages().await;
    let states = |list: &Value| -> Vec<String> {
        list["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| format!("{} {}", one["message"].as_str().unwrap(), one["state"].as_str().unwrap()))
            .collect()
    };
    let log = client.get("/v1/me/messages?limit=2").await.is(200).body;
    assert_eq!(
        states(&log),
        ["proposal_withdrawn pending", "time_proposed pending"],
        "the first waits, and the second with it"
    );
    app.advance(TimeDelta::seconds(13));
    app.send_messages().await;
    let log = client.get("/v1/me/messages?limit=2").await.is(200).body;
    // What was proposed was taken back: it is told of no more.
    assert_eq!(states(&log), ["proposal_withdrawn sent", "time_proposed withdrawn"]);
}

#[tokio::test]
async fn two_workers_and_one_that_dies_send_each_message_once() {
    let sink = Sink::start().await;
    let app = Arc::new(App::with_relay(&sink.url()).await);
    let (client, therapist) = set_up(&app).await;
    let before = sink.received().len();
    for day in 10..20 {
        for hour in [0, 3] {
            client.book(&therapist, &format!("2026-12-{day}T0{hour}:00:00Z")).await;
        }
    }
    app.chain_audit().await;
    // Dropped anywhere: what was not committed is as it was.
    for n in 0..40 {
        let round = async { while dispatcher::dispatch(&app.service).await.unwrap() {} };
        drop(tokio::time::timeout(Duration::from_micros(300 * n), round).await);
    }
    let rounds = (0..4).map(|_| {
        let app = app.clone();
        tokio::spawn(async move {
            while dispatcher::dispatch(&app.service).await.unwrap() {}
            sender::drain(&app.service).await.unwrap();
        })
    });
    for round in rounds.collect::<Vec<_>>() {
        round.await.unwrap();
    }
    app.send_messages().await;
    let ids: Vec<String> = sink.received()[before..].iter().map(|mail| mail.header("Message-ID")).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "none twice");
    assert_eq!(ids.len(), 40, "two of each visit");
}

/// Refuses every step of a message that the table of its life does not list.
async fn hold_to_the_table(app: &App) {
    let name = |state: &State| serde_json::to_value(state).unwrap().as_str().unwrap().to_owned();
    let steps: Vec<String> = LIFE.iter().map(|(from, to, _)| format!("('{}', '{}')", name(from), name(to))).collect();
    let guard = format!(
        "CREATE FUNCTION testing.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF (OLD.state, NEW.state) NOT IN ({}) AND OLD.state <> NEW.state THEN RAISE EXCEPTION '% to %', OLD.state, NEW.state; END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER hold BEFORE UPDATE ON deliveries FOR EACH ROW EXECUTE FUNCTION testing.hold()",
        steps.join(", ")
    );
    app.sql(&guard).await.unwrap();
}

/// Visits are booked, moved, proposed and cancelled at random, while the relay fails and both dispatcher and sender die anywhere. `KNEAD_VISITS` says how
/// many visits, and `KNEAD_WALK_SEED` which walk.
#[tokio::test]
async fn whatever_dies_each_thing_is_told_once_in_order_and_only_while_it_holds() {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (visits, seed) = (number("KNEAD_VISITS", 40), number("KNEAD_WALK_SEED", 7));
    let sink = Sink::start().await;
    let app = App::with_relay(&sink.url()).await;
    let (mut client, mut therapist) = set_up(&app).await;
    hold_to_the_table(&app).await;
    let (mut dice, mut open, mut seen, mut cut) = (Dice(seed), Vec::<Uuid>::new(), sink.received().len(), 0);
    let mut done = 0;
    for n in 0..visits {
        // A session that nobody renews ends.
        if n % 100 == 99 {
            (client.person, therapist) = (client.refreshed().await, therapist.refreshed().await);
        }
        let day = |dice: &mut Dice| {
            let hour = dice.pick(&[22, 23, 0, 1, 2, 3, 4, 5]);
            let start = app.now() + TimeDelta::days(2 + i64::try_from(dice.roll(10)).unwrap());
            format!("{}T{hour:02}:00:00Z", start.format("%Y-%m-%d"))
        };
        match (dice.roll(6), open.is_empty()) {
            (0..=2, _) | (_, true) => {
                let booked = client.books(&therapist, client.address, &day(&mut dice)).await;
                done += usize::from(booked.status == 201);
                open.extend((booked.status == 201).then(|| booked.id()));
            }
            (3, _) => {
                let path = format!("/v1/bookings/{}/reschedule", dice.pick(&open));
                client.post(&path, json!({ "start_at": day(&mut dice) })).await;
            }
            (4, _) => {
                let path = format!("/v1/bookings/{}/counter-offers", dice.pick(&open));
                therapist.post(&path, json!({ "start_at": day(&mut dice) })).await;
            }
            _ => {
                let one = open.swap_remove(dice.roll(open.len()));
                client.post(&format!("/v1/bookings/{one}/cancel"), json!({})).await;
            }
        }
        app.chain_audit().await;
        if dice.roll(3) == 0 {
            let reply = dice.pick(&[Reply::Rcpt(451), Reply::CutAfterData]);
            cut += usize::from(matches!(reply, Reply::CutAfterData));
            sink.script([reply]);
        }
        // Whatever is dropped half-way dies there, with what it has begun. Every other time both come to their end, or nothing would be sent in time.
        let dies_after = |dice: &mut Dice| match dice.roll(2) {
            0 => Duration::from_micros(u64::try_from(dice.roll(30_000)).unwrap()),
            _ => Duration::from_secs(60),
        };
        let dispatching = async { while dispatcher::dispatch(&app.service).await.unwrap() {} };
        drop(tokio::time::timeout(dies_after(&mut dice), dispatching).await);
        let sending = sender::drain(&app.service);
        cut += usize::from(tokio::time::timeout(dies_after(&mut dice), sending).await.is_err()) * 32;
        sink.quiet().await;
        app.advance(TimeDelta::seconds(dice.pick(&[1, 20, 70, 600, 3600])));
        for mail in sink.received().split_off(seen) {
            seen += 1;
            // A reminder tells of a visit that stands, at the time that it has.
            if mail.subject().starts_with("Reminder") {
                let id = mail.header("Message-ID");
                let id = id.trim_start_matches('<').split('@').next().unwrap().to_owned();
                let stands = format!(
                    "deliveries d JOIN bookings b ON b.id = d.booking_id WHERE d.id = '{id}' AND b.status = 'confirmed'
                     AND b.start_at = (d.valid ->> 'start_at')::timestamptz"
                );
                assert_eq!(app.rows(&stands).await, 1, "visit {n}, seed {seed}");
            }
        }
    }
    // Everything comes to its end: what was claimed by the dead is claimed anew, and what failed is tried again.
    for _ in 0..12 {
        app.send_messages().await;
        app.advance(TimeDelta::hours(13));
    }
    app.send_messages().await;
    assert_eq!(app.rows("deliveries WHERE ended_at IS NULL").await, 0, "seed {seed}");
    assert_eq!(app.rows("deliveries WHERE state = 'failed'").await, 0, "seed {seed}");
    let unheard =
        "deliveries d WHERE NOT EXISTS (SELECT FROM events e WHERE e.id = d.event_id) AND event_id IS NOT NULL";
    assert_eq!(app.rows(unheard).await, 0, "of what did not happen, seed {seed}");

    // In order within each lane, and twice at most as often as somebody died or a connection was cut.
    let ids: Vec<String> = sink.received().iter().map(|mail| mail.header("Message-ID")).collect();
    let sent: Vec<(String, i64, String)> = sqlx::query_as(
        "SELECT lane, sequence, id::text FROM deliveries WHERE channel = 'email' ORDER BY lane, sequence",
    )
    .fetch_all(&*app.service.db)
    .await
    .unwrap();
    let mut last: BTreeMap<&str, usize> = BTreeMap::new();
    for (lane, _, id) in &sent {
        let message = format!("<{id}@knead.test>");
        let Some(first) = ids.iter().position(|id| *id == message) else { continue };
        let before = last.insert(lane, first).unwrap_or(0);
        assert!(before <= first, "{lane} is out of order, seed {seed}");
    }
    let twice = ids.len() - ids.iter().collect::<BTreeSet<_>>().len();
    assert!(twice <= cut, "{twice} twice, {cut} cut, seed {seed}");
    let sent = app.rows("deliveries WHERE state = 'sent'").await;
    assert!(sent >= i64::try_from(done).unwrap(), "{sent} sent of {done} visits, seed {seed}");
    eprintln!(
        "{visits} steps, {done} visits, {sent} messages sent, {twice} of them twice after {cut} places where one was cut off"
    );
}

#[tokio::test]
async fn a_reminder_that_was_held_up_until_it_is_quiet_does_not_come() {
    let sink = Sink::start().await;
    let app = App::with_relay(&sink.url()).await;
    let (client, therapist) = set_up(&app).await;
    // Reminded at 14:00 in Sydney, a minute before it is quiet.
    client
        .change("/v1/me/message-settings", json!({ "quiet_hours": { "from": "14:01", "until": "23:00" } }))
        .await
        .is(200);
    client.book(&therapist, "2026-12-10T03:00:00Z").await;
    app.send_messages().await;
    app.advance(at("2026-12-09T03:00:00Z") - app.now());
    sink.script([Reply::Rcpt(451), Reply::Rcpt(451)]);
    app.send_messages().await;
    app.advance(TimeDelta::seconds(90));
    app.send_messages().await;
    let log = client.get("/v1/me/messages?limit=1").await.is(200).body;
    assert_eq!(
        (&log["data"][0]["message"], &log["data"][0]["state"]),
        (&json!("visit_reminder"), &json!("suppressed"))
    );
    // The therapist has no quiet hours.
    let log = therapist.get("/v1/me/messages?limit=1").await.is(200).body;
    assert_eq!((&log["data"][0]["message"], &log["data"][0]["state"]), (&json!("visit_reminder"), &json!("sent")));
}

#[tokio::test]
async fn a_relay_that_refuses_everything_bars_no_address() {
    let sink = Sink::start().await;
    let app = App::with_relay(&sink.url()).await;
    let (client, therapist) = set_up(&app).await;
    sink.script([Reply::Rcpt(553), Reply::Rcpt(553)]);
    client.book(&therapist, "2026-12-10T03:00:00Z").await;
    app.send_messages().await;
    assert_eq!(app.rows("deliveries WHERE state = 'failed' AND last_error = 'smtp_553'").await, 2);
    assert_eq!(app.rows("suppressions").await, 0);
    client.book(&therapist, "2026-12-11T03:00:00Z").await;
    app.send_messages().await;
    assert_eq!(app.rows("deliveries WHERE state = 'suppressed'").await, 0);
}

#[tokio::test]
async fn what_was_before_a_restore_is_told_to_nobody() {
    let app = App::with_mail().await;
    let (client, therapist) = set_up(&app).await;
    let before = app.mails().len();
    client.book(&therapist, "2026-12-10T03:00:00Z").await;
    app.advance(TimeDelta::minutes(1));
    assert_eq!(hold(&app.service.db, app.now(), app.now()).await.unwrap(), 0, "nothing was planned yet");
    client.book(&therapist, "2026-12-11T03:00:00Z").await;
    app.send_messages().await;
    assert_eq!(subjects(&app, &client, before), ["Your massage on Friday, 11 December 2026"]);
}

#[tokio::test]
async fn a_cancellation_does_not_wait_for_what_it_makes_untrue() {
    let sink = Sink::start().await;
    let app = App::with_relay(&sink.url()).await;
    let (client, therapist) = set_up(&app).await;
    let booking = client.book(&therapist, "2026-12-10T03:00:00Z").await;
    app.send_messages().await;
    sink.script([Reply::Rcpt(451)]);
    let offers = format!("/v1/bookings/{booking}/counter-offers");
    therapist.post(&offers, json!({ "start_at": "2026-12-11T03:00:00Z" })).await.is(201);
    app.send_messages().await;
    client.post(&format!("/v1/bookings/{booking}/cancel"), json!({})).await.is(200);
    app.send_messages().await;
    let log = client.get("/v1/me/messages?limit=2").await.is(200).body;
    let states = log["data"].as_array().unwrap().iter().map(|one| one["state"].clone()).collect::<Vec<_>>();
    assert_eq!(states, [json!("sent"), json!("withdrawn")]);
}

#[tokio::test]
async fn whoever_has_not_shown_that_an_address_is_theirs_gets_codes_alone() {
    let app = App::with_mail().await;
    let (client, therapist) = set_up(&app).await;
    app.sql(&format!("UPDATE accounts SET email_verified_at = NULL WHERE id = '{}'", therapist.id)).await.unwrap();
    let before = app.mails().len();
    client.book(&therapist, "2026-12-10T03:00:00Z").await;
    therapist.act("/v1/auth/email/resend").await.is(204);
    app.send_messages().await;
    let to_therapist = app.mails().split_off(before).into_iter().filter(|mail| mail.to == therapist.email);
    let to_therapist: Vec<_> = to_therapist.map(|mail| mail.letter.text()).collect();
    assert!(
        matches!(&to_therapist[..], [code] if code.contains("Your code: ") && !code.contains("Test")),
        "{to_therapist:?}"
    );
}
