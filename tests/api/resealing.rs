//! Keys are rotated: what an old one sealed is sealed anew beside a running service, until nothing needs it any more.

use knead::cipher::generate_data_key;
use knead::doors::sealed;
use knead::seals;
use reqwest::Method;
use serde_json::{Value, json};

use crate::commands::{knead, output};
use crate::sealing::tables_with;
use crate::support::{Answer, App, Person, send, surry_hills, url_of};

const TUESDAY: &str = "2026-12-01T00:00:00Z";

/// Everything that is kept sealed, and where it is read.
struct Kept {
    client: Person,
    therapist: Person,
    admin: Person,
    /// Paths, by who reads them.
    reads: Vec<(&'static str, String)>,
    wish: Value,
    booked: String,
}

impl Kept {
    async fn write(app: &App) -> Self {
        let (therapist, client, admin) = (app.therapist().await, app.client().await, app.admin().await);
        let mut home = surry_hills();
        (home["parking"], home["pets"]) = (json!("Behind the shed"), json!("A parrot"));
        let address = client.address(home).await;
        let hold = client.post("/v1/holds", client.wish(&therapist, address, "2026-12-01T04:00:00Z")).await.is(201);
        let mut wish = client.wish(&therapist, address, TUESDAY);
        (wish["notes"], wish["focus_areas"]) = (json!("Sciatica"), json!(["neck", "back"]));
        let booked = client.books_with_key("k", &wish).await.is(201);
        let visit = booked.header("location");
        let other = client.books(&therapist, address, "2026-12-04T00:00:00Z").await.is(201).header("location");
        client.post(&format!("{other}/cancel"), json!({ "reason": "Shingles" })).await.is(200);
        let off = json!({ "start_at": "2026-12-20T00:00:00Z", "end_at": "2026-12-21T00:00:00Z", "note": "Hernia" });
        let off = therapist.post("/v1/therapists/me/time-off", off).await.is(201).header("location");
        client.post(&format!("{visit}/messages"), json!({ "text": "Mind the magpie." })).await.is(201);
        let block = json!({ "account_id": client.id, "note": "Rude" });
        therapist.post("/v1/me/blocks", block).await.is(201);
        let report = json!({ "kind": "injury", "text": "My shoulder hurts." });
        let incident = client.post(&format!("{visit}/incidents"), report).await.is(201).id();
        client.act("/v1/me/totp").await.is(201);
        let note = json!({ "note": "Spoke to both." });
        admin.post(&format!("/v1/admin/incidents/{incident}/resolve"), note).await.is(200);
        app.sql(&format!("UPDATE bookings SET status = 'in_progress' WHERE id = '{}'", booked.id())).await.unwrap();
        let calendar = json!({ "url": "https://calendar.example/secret-4711.ics", "label": "Family" });
        therapist.post("/v1/therapists/me/calendars", calendar).await.is(201);
        let notes = format!("{visit}/session-notes");
        let put = |text| therapist.request(Method::PUT, &notes).json(&json!({ "text": text }));
        send(put("Trapezius")).await.is(200);
        send(put("Lumbago").header("If-Match", "*")).await.is(200);
        let endpoint = json!({ "url": "https://partner.example/hooks" });
        admin.post("/v1/webhook-endpoints", endpoint).await.is(201);
        let recipient = json!({ "relation": "partner", "display_name": "Wilhelmina" });
        let recipient = client.post("/v1/me/recipients", recipient).await.is(201).header("location");
        let reads = vec![
            ("client", recipient),
            ("client", format!("/v1/me/addresses/{address}")),
            ("client", hold.header("location")),
            ("client", visit.clone()),
            ("therapist", visit.clone()),
            ("client", format!("{visit}/messages")),
            ("client", other.clone()),
            ("therapist", format!("{other}/events")),
            ("therapist", off),
            ("therapist", "/v1/me/blocks".to_owned()),
            ("client", notes.clone()),
            ("therapist", notes),
            ("therapist", "/v1/therapists/me/calendars".to_owned()),
            ("admin", format!("/v1/admin/incidents/{incident}")),
        ];
        Self { client, therapist, admin, reads, wish, booked: booked.text }
    }

    /// What everyone reads from this process.
    async fn read(&self, app: &App) -> Vec<String> {
        let mut texts = Vec::new();
        for (who, path) in &self.reads {
            let who = match *who {
                "client" => &self.client,
                "therapist" => &self.therapist,
                _ => &self.admin,
            };
            texts.push(who.at(app).get(path).await.is(200).text);
        }
        texts
    }

    async fn replay(&self, app: &App) -> Answer {
        self.client.at(app).books_with_key("k", &self.wish).await
    }
}

fn reseal(app: &App, keys: &[&str]) -> (bool, String, String) {
    let mut command = knead();
    command.arg("reseal").env("DATABASE_URL", url_of(&app.database)).env("KNEAD_DATA_KEYS", keys.join(","));
    output(&mut command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_key_can_be_retired() {
    let app = App::with_mail().await;
    let kept = Kept::write(&app).await;
    app.send_messages().await;
    let (old, new) = (app.data_keys().to_owned(), generate_data_key().unwrap());
    let (old_seals, before) = (app.service.cipher.begins().unwrap(), kept.read(&app).await);
    for words in [
        "Ring 4.",
        "A parrot",
        "Sciatica",
        "neck",
        "Shingles",
        "Hernia",
        "Rude",
        "Lumbago",
        "shoulder",
        "Spoke",
        "Wilhelmina",
        "magpie",
    ] {
        assert!(before.iter().any(|text| text.contains(words)), "{words}");
    }
    let sealed = tables_with(&app, &old_seals).await;
    let tables = [
        "addresses",
        "blocks",
        "booking_messages",
        "bookings",
        "calendars",
        "events",
        "holds",
        "idempotency_keys",
        "incidents",
        "mailed_codes",
        "message_keys",
        "second_factors",
        "session_notes",
        "subject_keys",
        "time_off",
        "webhook_endpoints",
    ];
    assert!(
        sealed.len() == tables.len() && tables.iter().all(|table| sealed.contains(&format!("public.{table}"))),
        "{sealed:?}"
    );
    let both = app.beside(format!("{new},{old}"));
    let whole = kept.read(&both).await;
    let (ok, lines, error) = reseal(&app, &[&new, &old]);
    assert!(ok, "{lines}{error}");
    let line = |rows: &str, table: &str| {
        assert!(lines.lines().any(|line| line == format!("{table}: {rows} sealed anew, 0 left")), "{lines}")
    };
    for (table, rows) in [
        ("addresses", "1"),
        ("bookings", "2"),
        ("events", "1"),
        ("session_notes", "2"),
        ("subject_keys", "1"),
        ("time_off", "1"),
    ] {
        line(rows, table);
    }
    assert_eq!(tables_with(&app, &old_seals).await, Vec::<String>::new());

    let alone = app.beside(new.clone());
    assert_eq!(kept.read(&alone).await, whole);
    let replay = kept.replay(&alone).await.is(201);
    assert_eq!((replay.text.as_str(), replay.header("idempotent-replay").as_str()), (kept.booked.as_str(), "true"));
    let mut other = kept.wish.clone();
    other["notes"] = json!("Lumbago");
    kept.client.at(&alone).books_with_key("k", &other).await.refused(422, "idempotency_key_reused");
    let (ok, lines, error) = reseal(&app, &[&new]);
    assert!(
        ok && lines.lines().count() == 16 && lines.lines().all(|line| line.ends_with(": 0 sealed anew, 0 left")),
        "{lines}{error}"
    );
    // What nobody has a key for is left as it is, and said.
    let (ok, _, error) = reseal(&app, &[&generate_data_key().unwrap()]);
    assert!(!ok && error.contains("its key is not among KNEAD_DATA_KEYS"), "{error}");
    assert_eq!(kept.read(&alone).await, whole);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_lost_beside_a_running_service() {
    let app = App::start().await;
    let client = app.client().await;
    let mut paths = Vec::new();
    for n in 0..40 {
        let mut home = surry_hills();
        home["access_notes"] = json!(format!("Old {n}"));
        paths.push(format!("/v1/me/addresses/{}", client.address(home).await));
    }
    let new = generate_data_key().unwrap();
    let both = app.beside(format!("{new},{}", app.data_keys()));
    let caller = client.at(&both);
    let changes = futures_util::future::join_all(paths.iter().enumerate().map(async |(n, path)| {
        for round in 0..3 {
            caller.change(path, json!({ "access_notes": format!("New {n} {round}") })).await.is(200);
        }
    }));
    let resealing = async {
        for _ in 0..10 {
            seals::reseal(&both.service.db, &both.service.cipher, &sealed()).await.unwrap();
        }
    };
    tokio::join!(changes, resealing);
    let alone = app.beside(new);
    for (n, path) in paths.iter().enumerate() {
        assert_eq!(client.at(&alone).get(path).await.is(200).body["access_notes"], format!("New {n} 2"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_is_at_is_left_and_not_waited_for() {
    let app = App::start().await;
    let (client, busy) = app.client_at_home().await;
    client.address(surry_hills()).await;
    let both = app.beside(format!("{},{}", generate_data_key().unwrap(), app.data_keys()));
    let mut tx = app.service.db.begin().await.unwrap();
    sqlx::query("UPDATE addresses SET label = 'Changed' WHERE id = $1").bind(busy).execute(&mut *tx).await.unwrap();
    let run = async || {
        let tables = seals::reseal(&both.service.db, &both.service.cipher, &sealed()).await.unwrap();
        let of = tables.into_iter().find(|resealed| resealed.table == "addresses").unwrap();
        (of.sealed, of.left)
    };
    assert_eq!(run().await, (1, 1));
    tx.commit().await.unwrap();
    assert_eq!(run().await, (1, 0), "the next run goes on with the rest");
    assert_eq!(run().await, (0, 0));
    let shown = client.at(&both).get(&format!("/v1/me/addresses/{busy}")).await.is(200).body;
    assert_eq!((&shown["label"], &shown["access_notes"]), (&json!("Changed"), &json!("Ring 4.")));
}
