//! The demo city: Sydney, with therapists, clients and visits around now.

mod letter;

use std::fmt::Display;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::{Uuid, uuid};

use crate::accounts::addresses::{ACCESS_NOTES, REMARKS};
use crate::availability::TIME_OFF_NOTE;
use crate::bookings::lifecycle::Action;
use crate::bookings::{FOCUS_AREAS, KeptReason, NOTES};
use crate::care::clearances::{ClearanceState, introduce_clearance};
use crate::care::{Introduced, Relation, introduce};
use crate::cipher::{Cipher, Sealed};
use crate::error::Result;
use crate::ids::{AccountId, BookingId, RecipientId, TherapistId};
use crate::storage::Storage;
use crate::treatments::introduce_plan;
use crate::values::Zone;
use crate::values::wall_clock::local_date;

/// The password of every demo account.
pub const PASSWORD: &str = "knead-demo-city";

/// The demo's log-ins: a role and its e-mail address.
pub const LOGINS: [(&str, &str); 3] =
    [("client", "client@knead.example"), ("therapist", "therapist@knead.example"), ("admin", "admin@knead.example")];

/// The catalogue's deep tissue massage.
pub const DEEP_TISSUE: Uuid = uuid!("019b76da-a800-7c02-8b52-6f1d8e203c02");

/// Fills an empty database with the city; leaves one that holds accounts as it is. Says whether it filled it.
pub async fn fill(
    db: &mut PgConnection,
    (cipher, storage): (&Cipher, &Storage),
    now: DateTime<Utc>,
    password_hash: &str,
) -> Result<bool> {
    let mut tx = db.begin().await?;
    let inhabited =
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM accounts) AS "inhabited!""#).fetch_one(&mut *tx).await?;
    if inhabited {
        return Ok(false);
    }
    sqlx::query(
        "SELECT set_config('knead.now', $1, true), set_config('knead.password_hash', $2, true), set_config('knead.clock_changes', $3, true)",
    )
    .bind(now.to_rfc3339())
    .bind(password_hash)
    .bind(clock_changes(now).to_string())
    .execute(&mut *tx)
    .await?;
    sqlx::raw_sql(include_str!("city.sql")).execute(&mut *tx).await?;
    seal_addresses(&mut tx, cipher).await?;
    seal_bookings(&mut tx, cipher).await?;
    seal_reasons(&mut tx, cipher).await?;
    seal_time_off(&mut tx, cipher).await?;
    introduce_people(&mut tx, (cipher, storage), now).await?;
    tx.commit().await?;
    Ok(true)
}

/// The zone of the city.
fn zone() -> Zone {
    Zone::named("Australia/Sydney").unwrap_or(Zone::UTC)
}

/// The date that it is in the city.
pub fn today(now: DateTime<Utc>) -> NaiveDate {
    local_date(zone(), now)
}

/// How far the city's clock is ahead of UTC, in seconds, and since when: for some years around now.
fn clock_changes(now: DateTime<Utc>) -> Value {
    let years = |count: i64| TimeDelta::days(366 * count);
    let changes = zone().changes((now - years(4)).timestamp()..(now + years(2)).timestamp());
    let changes = changes.iter().map(|(since, ahead)| json!({ "since": (*since).max(0), "ahead": ahead }));
    changes.collect()
}

/// Seals words of the city that may be absent.
fn seal(cipher: &Cipher, column: &str, row: impl Display, words: Option<&String>) -> Result<Option<Sealed>> {
    words.map(|words| cipher.seal(column, row, words)).transpose()
}

async fn seal_addresses(db: &mut PgConnection, cipher: &Cipher) -> Result<()> {
    let rows =
        sqlx::query!("SELECT id, access_notes_sealed, remarks_sealed FROM addresses").fetch_all(&mut *db).await?;
    for row in rows {
        sqlx::query!(
            "UPDATE addresses SET access_notes_sealed = $2, remarks_sealed = $3 WHERE id = $1",
            row.id.0,
            seal(cipher, ACCESS_NOTES, row.id, row.access_notes_sealed.as_ref())? as Option<Sealed>,
            seal(cipher, REMARKS, row.id, row.remarks_sealed.as_ref())? as Option<Sealed>,
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// Seals what clients told, and copies what was sealed of their addresses.
async fn seal_bookings(db: &mut PgConnection, cipher: &Cipher) -> Result<()> {
    let rows = sqlx::query!("SELECT id, notes_sealed, focus_areas_sealed FROM bookings").fetch_all(&mut *db).await?;
    for row in rows {
        sqlx::query!(
            "UPDATE bookings b
             SET notes_sealed = $2, focus_areas_sealed = $3,
                 address = address || jsonb_build_object('access_notes_sealed', a.access_notes_sealed, 'remarks_sealed', a.remarks_sealed)
             FROM addresses a WHERE b.id = $1 AND a.id = (b.address ->> 'id')::uuid",
            row.id.0,
            seal(cipher, NOTES, row.id, row.notes_sealed.as_ref())? as Option<Sealed>,
            seal(cipher, FOCUS_AREAS, row.id, row.focus_areas_sealed.as_ref())? as Option<Sealed>,
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

async fn seal_reasons(db: &mut PgConnection, cipher: &Cipher) -> Result<()> {
    let rows = sqlx::query!(
        r#"SELECT id, subject_id::uuid AS "booking!: BookingId", split_part(kind, '.', 2) AS "action!: Action", at,
                  reason_sealed AS "reason!"
           FROM events WHERE reason_sealed IS NOT NULL"#
    )
    .fetch_all(&mut *db)
    .await?;
    for row in rows {
        sqlx::query!(
            "UPDATE events SET reason_sealed = $2 WHERE id = $1",
            row.id,
            KeptReason::seal(cipher, row.booking, row.action, row.at, &row.reason)? as Sealed,
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}

/// Mia, who takes blood thinners and has a plan under way, books for a partner who expects a child, and for a daughter who is well.
async fn introduce_people(
    db: &mut PgConnection,
    (cipher, storage): (&Cipher, &Storage),
    now: DateTime<Utc>,
) -> Result<()> {
    let mia = sqlx::query_scalar!(r#"SELECT id AS "id: AccountId" FROM accounts WHERE email = 'client@knead.example'"#)
        .fetch_one(&mut *db)
        .await?;
    let at = (today(now), now);
    let due_on = today(now) + TimeDelta::days(100);
    let born_on = |years: i64| Some(today(now) - TimeDelta::days(365 * years));
    let thinned = json!({ "takes_medicines": true, "medicines": [{ "class": "anticoagulant", "name": "Apixaban" }] });
    let pregnant =
        json!({ "pregnant": true, "due_on": due_on, "pregnancy_high_risk": false, "pregnancy_warning": false });
    for who in [
        Introduced { relation: Relation::Oneself, display_name: None, born_on: born_on(38), answers: thinned },
        Introduced { relation: Relation::Partner, display_name: Some("Ines"), born_on: born_on(34), answers: pregnant },
        Introduced { relation: Relation::Child, display_name: Some("Noa"), born_on: born_on(15), answers: json!({}) },
    ] {
        let is_oneself = who.relation == Relation::Oneself;
        let person = introduce(&mut *db, cipher, mia, who, at).await?;
        if is_oneself {
            plan_visits(&mut *db, cipher, (mia, person), now).await?;
        }
    }
    let has_seizures = json!({ "epilepsy": "uncontrolled" });
    for (name, state) in [("Wim", ClearanceState::Submitted), ("Greet", ClearanceState::Accepted)] {
        let who = Introduced {
            relation: Relation::Parent,
            display_name: Some(name),
            born_on: born_on(71),
            answers: has_seizures.clone(),
        };
        let parent = introduce(&mut *db, cipher, mia, who, at).await?;
        let given_on = today(now) - TimeDelta::days(3);
        let terms = json!({
            "rules": ["epilepsy_uncontrolled"], "provider": { "kind": "doctor", "name": "Dr. Lea Brandt, Surry Hills" }, "services": [],
            "given_on": given_on, "until": given_on + TimeDelta::days(180), "limits": { "pressure": "light" },
        });
        let patient = format!("{name} Chen may have light massages until {}.", given_on + TimeDelta::days(180));
        let letter = letter::pdf(&["Dr. Lea Brandt, Surry Hills", &given_on.to_string(), "", &patient])?;
        introduce_clearance(&mut *db, (cipher, storage), parent, (terms, state), (&letter, now)).await?;
    }
    Ok(())
}

/// Mia and Sam have a plan: it came of her first visit, some visits are done, and the next is booked.
async fn plan_visits(
    db: &mut PgConnection,
    cipher: &Cipher,
    (mia, person): (AccountId, RecipientId),
    now: DateTime<Utc>,
) -> Result<()> {
    let first = sqlx::query!(
        r#"SELECT bookings.id AS "id: BookingId", therapist_id AS "therapist: TherapistId", start_at FROM bookings
           JOIN accounts ON accounts.id = therapist_id
           WHERE client_id = $1 AND email = 'therapist@knead.example' AND status = 'completed' ORDER BY start_at LIMIT 1"#,
        mia.0
    )
    .fetch_optional(&mut *db)
    .await?;
    // A city in which they have not met yet shows no plan.
    let Some(first) = first else { return Ok(()) };
    let plan = json!({
        "goal": "Turn the head without pain, and sleep through.", "visits": 6, "every_days": 7, "review_after_visits": 3,
        "ends_on": today(now) + TimeDelta::days(60), "stop_when": "No better after three visits, or more pain on the day after.",
    });
    let said = "The first one helped. Once a week is good for me.";
    introduce_plan(db, cipher, (person, first.id, first.therapist), (plan, said), first.start_at + TimeDelta::hours(2))
        .await
}

async fn seal_time_off(db: &mut PgConnection, cipher: &Cipher) -> Result<()> {
    let rows = sqlx::query!("SELECT id, note_sealed FROM time_off").fetch_all(&mut *db).await?;
    for row in rows {
        sqlx::query!(
            "UPDATE time_off SET note_sealed = $2 WHERE id = $1",
            row.id.0,
            seal(cipher, TIME_OFF_NOTE, row.id, row.note_sealed.as_ref())? as Option<Sealed>,
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
