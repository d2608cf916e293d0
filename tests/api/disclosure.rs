//! Who sees what of a visit, in each of its states, before and after: the whole table, over HTTP.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{App, Person, surry_hills};

const TUESDAY: &str = "2026-12-01T00:00:00Z";

const STATUSES: [&str; 11] = [
    "requested",
    "confirmed",
    "on_the_way",
    "arrived",
    "in_progress",
    "completed",
    "declined",
    "expired",
    "cancelled",
    "no_show",
    "stopped",
];

/// States in which the therapist is shown the way to the door.
const SHOWN: [&str; 5] = ["confirmed", "on_the_way", "arrived", "in_progress", "completed"];

/// Fields of a booking that everyone sees who sees it at all: nothing of where and of health.
const COMMON: [&str; 25] = [
    "id",
    "status",
    "seen_as",
    "service",
    "start_at",
    "end_at",
    "duration_minutes",
    "time_zone",
    "price",
    "price_breakdown",
    "charge",
    "cancellation_policy",
    "cancellation_terms",
    "free_until",
    "counter_offer",
    "actions",
    "step_times",
    "updated_at",
    "respond_by",
    "cancellation",
    "no_show_report",
    "extension",
    "handed_over_at",
    "expected_at",
    "created_at",
];

/// What must not be seen by whoever is not to know the door, nor the client's words.
const DOOR: [&str; 4] = ["Crown Street", "Rattlesnake", "-33.88", "151.21"];
const HEALTH: &str = "Sciatica";

fn fields(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

fn with(more: &[&str]) -> BTreeSet<String> {
    COMMON.iter().chain(more).map(|field| (*field).to_owned()).collect()
}

struct Scene {
    app: App,
    client: Person,
    therapist: Person,
    admin: Person,
    strangers: [Person; 2],
    path: String,
}

impl Scene {
    async fn new() -> Self {
        let app = App::start().await;
        let therapist = app.therapist().await;
        let client = app.client().await;
        let mut home = surry_hills();
        home["access_notes"] = json!("Rattlesnake");
        let address = client.address(home).await;
        let mut wish = client.wish(&therapist, address, TUESDAY);
        (wish["notes"], wish["focus_areas"]) = (json!("Sciatica"), json!(["back"]));
        let path = client.books_with_key("k", &wish).await.is(201).header("location");
        let (admin, strangers) = (app.admin().await, [app.client().await, app.newcomer().await]);
        Self { app, client, therapist, admin, strangers, path }
    }

    /// Moves the visit to `status` as the steps of its life would.
    async fn is(&self, status: &str) {
        let cancelled = if status == "cancelled" { "'client', '2026-11-30', 0" } else { "NULL, NULL, NULL" };
        self.app
            .sql(&format!(
                "UPDATE bookings SET status = '{status}', respond_by = '2027-01-01', (cancelled_by, cancelled_at, fee) = ({cancelled})"
            ))
            .await
            .unwrap();
    }

    /// Looks at everything in one state; `shown` is whether the therapist may see the door.
    async fn check(&self, what: &str, shown: bool) {
        let Self { app, client, therapist, admin, strangers, path } = self;
        let disclosures = "events WHERE kind = 'booking.address_disclosed'";
        let before = app.rows(disclosures).await;

        let seen = client.get(path).await.is(200);
        let own = ["therapist", "address", "notes", "focus_areas", "pressure", "therapist_gender", "recipient_id"];
        assert_eq!(fields(&seen.body), with(&own), "client, {what}");
        assert_eq!(
            (&seen.body["address"]["access_notes"], &seen.body["notes"]),
            (&json!("Rattlesnake"), &json!(HEALTH))
        );
        assert_eq!(
            fields(&seen.body["therapist"]),
            BTreeSet::from(["id", "display_name"].map(str::to_owned)),
            "{what}"
        );
        let listed = client.get("/v1/bookings").await.is(200);
        assert_eq!(fields(&listed.body["data"][0]), with(&own), "client's list, {what}");

        let staff = ["client", "therapist", "suburb", "therapist_share", "at_risk_since", "therapist_gender"];
        for (name, answer) in
            [("one", admin.get(path).await.is(200)), ("list", admin.get("/v1/bookings").await.is(200))]
        {
            let booking = answer.body.get("data").map_or(&answer.body, |data| &data[0]);
            assert_eq!(fields(booking), with(&staff), "admin's {name}, {what}");
            self.tells_nothing(&answer.text, &format!("admin's {name}, {what}"));
        }
        self.tells_nothing(&admin.get("/v1/admin/bookings/at-risk").await.is(200).text, what);

        assert_eq!(app.rows(disclosures).await, before, "only the therapist's look is a disclosure: {what}");
        let outside = ["client", "suburb", "therapist_share", "focus_areas", "pressure"];
        let seen = therapist.get(path).await.is(200);
        if shown {
            assert_eq!(fields(&seen.body), with(&[outside.as_slice(), &["address", "notes"]].concat()), "{what}");
            assert_eq!(
                (&seen.body["address"]["access_notes"], &seen.body["notes"]),
                (&json!("Rattlesnake"), &json!(HEALTH))
            );
            // What the client calls the place, and its id, are the client's own.
            for own in ["id", "label"] {
                assert!(seen.body["address"].get(own).is_none(), "{own}, {what}");
            }
        } else {
            assert_eq!(fields(&seen.body), with(&outside), "therapist, {what}");
            self.tells_nothing(&seen.text, &format!("therapist, {what}"));
        }
        let written = app.rows(disclosures).await - before;
        let latest: Option<DateTime<Utc>> =
            sqlx::query_scalar("SELECT max(at) FROM events WHERE kind = 'booking.address_disclosed'")
                .fetch_one(&*app.service.db)
                .await
                .unwrap();
        let lately = latest.is_some_and(|at| at > app.now() - TimeDelta::hours(1));
        assert!(
            if shown { lately && written <= 1 } else { written == 0 },
            "a look is written down, once an hour: {what}"
        );
        assert_eq!(fields(&seen.body["client"]), BTreeSet::from(["id", "display_name", "rating"].map(str::to_owned)));
        assert_eq!(
            fields(&seen.body["suburb"]),
            BTreeSet::from(["locality", "region", "postcode", "country"].map(str::to_owned))
        );
        let listed = therapist.get("/v1/bookings").await.is(200);
        assert_eq!(fields(&listed.body["data"][0]), with(&outside), "therapist's list, {what}");
        self.tells_nothing(&listed.text, &format!("therapist's list, {what}"));
        assert_eq!(app.rows(disclosures).await, before + written, "a list shows no doors: {what}");

        for who in [client, therapist, admin] {
            let events = who.get(&format!("{path}/events")).await.is(200);
            let event = ["at", "party", "action", "from_status", "to_status", "reason"].map(str::to_owned);
            assert_eq!(fields(&events.body["data"][0]), BTreeSet::from(event), "{what}");
            self.tells_nothing(&events.text, what);
        }
        for operation in ["", "/events", "/cancellation-quote"] {
            for stranger in strangers {
                stranger.get(&format!("{path}{operation}")).await.refused(404, "not_found");
            }
            app.nobody().get(&format!("{path}{operation}")).await.refused(401, "unauthorized");
        }
        for stranger in strangers {
            assert_eq!(stranger.get("/v1/bookings").await.is(200).body["data"], json!([]), "{what}");
        }
    }

    fn tells_nothing(&self, text: &str, what: &str) {
        for secret in DOOR.iter().chain(&[HEALTH]) {
            assert!(!text.contains(secret), "{secret} is told to {what}: {text}");
        }
    }
}

struct Moment {
    name: &'static str,
    later: TimeDelta,
    is_open: bool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_state_shows_each_viewer_what_is_theirs_to_see_and_no_longer() {
    let scene = Scene::new().await;
    // The visit ends on Tuesday at one; now is Monday at one.
    let day = TimeDelta::hours(24);
    let moments = [
        Moment { name: "before", later: TimeDelta::zero(), is_open: true },
        Moment { name: "at its end", later: day, is_open: true },
        Moment { name: "a second before the day is over", later: day - TimeDelta::seconds(1), is_open: true },
        Moment { name: "24 hours after", later: TimeDelta::seconds(1), is_open: false },
        Moment { name: "a week after", later: TimeDelta::days(7), is_open: false },
    ];
    for Moment { name, later, is_open } in moments {
        scene.app.advance(later);
        for status in STATUSES {
            scene.is(status).await;
            scene.check(&format!("{status} {name}"), is_open && SHOWN.contains(&status)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_therapist_who_may_not_come_is_not_shown_the_door() {
    let scene = Scene::new().await;
    scene.app.sql("UPDATE bookings SET at_risk_since = '2026-11-30'").await.unwrap();
    for status in STATUSES {
        scene.is(status).await;
        // Of what has ended the risk is over.
        scene.check(&format!("{status} at risk"), status == "completed").await;
    }
}
