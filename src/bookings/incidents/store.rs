use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Incident, IncidentKind, IncidentReceipt, ListedIncident};
use crate::App;
use crate::bookings::lifecycle::Party;
use crate::cipher::Sealed;
use crate::db::Tx;
use crate::error::Result;
use crate::ids::{AccountId, BookingId, IncidentId, TherapistId};

pub(in super::super) const REPORT: &str = "incidents.report";
pub(in super::super) const NOTE: &str = "incidents.note";

struct Columns {
    id: IncidentId,
    booking_id: BookingId,
    kind: IncidentKind,
    reported_at: DateTime<Utc>,
    reporter_id: AccountId,
    party: Party,
    therapist_id: TherapistId,
    client_id: AccountId,
    resolved_at: Option<DateTime<Utc>>,
    resolved_by: Option<AccountId>,
    report: Option<Sealed>,
    note: Option<Sealed>,
}

impl Columns {
    fn incident(mut self, app: &App) -> Result<Incident> {
        let (report, note) = (self.report.take(), self.note.take());
        Ok(Incident {
            text: report.map(|report| app.cipher.open(REPORT, self.id, &report)).transpose()?,
            note: note.map(|note| app.cipher.open(NOTE, self.id, &note)).transpose()?,
            listed: self.listed(),
        })
    }

    /// Without what is sealed.
    fn listed(self) -> ListedIncident {
        ListedIncident {
            receipt: IncidentReceipt {
                id: self.id,
                booking_id: self.booking_id,
                kind: self.kind,
                reported_at: self.reported_at,
            },
            reporter_id: self.reporter_id,
            party: self.party,
            therapist_id: self.therapist_id,
            client_id: self.client_id,
            resolved_at: self.resolved_at,
            resolved_by: self.resolved_by,
        }
    }
}

/// The columns of an incident and of its visit, read alike everywhere.
macro_rules! incidents {
    ($($tail:literal)+, $($arg:expr),+) => {
        sqlx::query_as!(
            Columns,
            r#"SELECT i.id, i.booking_id, i.kind AS "kind: IncidentKind", i.reported_at, i.reporter_id, i.party AS "party: Party",
                      b.therapist_id, b.client_id, i.resolved_at, i.resolved_by, i.report AS "report: Sealed", i.note AS "note: Sealed"
               FROM incidents i JOIN bookings b ON b.id = i.booking_id "# $(+ $tail)+,
            $($arg),+
        )
    };
}

/// Whether the reporter has told of an incident of this kind at the visit.
pub(super) async fn is_known(tx: &mut Tx, booking: BookingId, reporter: AccountId, kind: IncidentKind) -> Result<bool> {
    let known = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM incidents WHERE booking_id = $1 AND reporter_id = $2 AND kind = $3 AND report IS NULL) AS "known!""#,
        booking.0,
        reporter.0,
        kind as IncidentKind
    );
    Ok(known.fetch_one(&mut **tx).await?)
}

/// How many incidents of this visit the reporter has told of.
pub(super) async fn count(tx: &mut Tx, booking: BookingId, reporter: AccountId) -> Result<i64> {
    let reported = sqlx::query_scalar!(
        r#"SELECT count(*) AS "reported!" FROM incidents WHERE booking_id = $1 AND reporter_id = $2"#,
        booking.0,
        reporter.0
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(reported)
}

/// Whether staff have an incident of this visit to look into.
pub async fn has_open(tx: &mut Tx, booking: BookingId) -> Result<bool> {
    let open = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM incidents WHERE booking_id = $1 AND resolved_at IS NULL) AS "open!""#,
        booking.0
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(open)
}

pub(super) async fn insert(app: &App, tx: &mut Tx, incident: &Incident) -> Result<()> {
    let Incident { listed, text, .. } = incident;
    let id = listed.receipt.id;
    let report = text.as_deref().map(|text| app.cipher.seal(REPORT, id, text)).transpose()?;
    sqlx::query!(
        "INSERT INTO incidents (id, booking_id, reporter_id, party, kind, report, reported_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        id.0,
        listed.receipt.booking_id.0,
        listed.reporter_id.0,
        listed.party as Party,
        listed.receipt.kind as IncidentKind,
        report as Option<Sealed>,
        listed.receipt.reported_at,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// The incidents of a visit, oldest first: those of one reporter, or all.
pub(super) async fn of_booking(
    app: &App,
    tx: &mut Tx,
    booking: BookingId,
    reporter: Option<AccountId>,
) -> Result<Vec<Incident>> {
    let rows = incidents!(
        "WHERE i.booking_id = $1 AND ($2::uuid IS NULL OR i.reporter_id = $2) ORDER BY i.reported_at, i.id",
        booking.0,
        reporter.map(|id| id.0)
    )
    .fetch_all(&mut **tx)
    .await?;
    rows.into_iter().map(|row| row.incident(app)).collect()
}

/// The incident, locked until the transaction ends.
pub(super) async fn lock(app: &App, tx: &mut Tx, id: IncidentId) -> Result<Option<Incident>> {
    let row = incidents!("WHERE i.id = $1 FOR UPDATE OF i", id.0).fetch_optional(&mut **tx).await?;
    row.map(|row| row.incident(app)).transpose()
}

/// Which incidents a list shows.
pub(super) struct Listed {
    pub kind: Option<IncidentKind>,
    pub booking: Option<BookingId>,
    pub therapist: Option<TherapistId>,
    pub client: Option<AccountId>,
    pub open: Option<bool>,
    /// After this instant and id.
    pub after: Option<(DateTime<Utc>, IncidentId)>,
    pub count: i64,
}

/// The incidents, oldest first. Those of one visit, of one party and the open ones are each a statement of its own, so that each has its
/// index.
pub(super) async fn list(db: &PgPool, listed: Listed) -> Result<Vec<ListedIncident>> {
    let (at, id) = listed.after.unwrap_or((DateTime::UNIX_EPOCH, IncidentId(Uuid::nil())));
    macro_rules! listed_by {
        ($what:literal) => {
            incidents!(
                $what
                " AND ($1::text IS NULL OR i.kind = $1) AND ($2::uuid IS NULL OR i.booking_id = $2)
                        AND ($3::uuid IS NULL OR b.therapist_id = $3) AND ($4::uuid IS NULL OR b.client_id = $4)
                        AND ($5::boolean IS NULL OR (i.resolved_at IS NULL) = $5)
                        AND (i.reported_at, i.id) > ($6::timestamptz, $7::uuid)
                        ORDER BY i.reported_at, i.id LIMIT $8",
                listed.kind as Option<IncidentKind>,
                listed.booking.map(|id| id.0),
                listed.therapist.map(|id| id.0),
                listed.client.map(|id| id.0),
                listed.open,
                at,
                id.0,
                listed.count
            )
            .fetch_all(db)
            .await?
        };
    }
    let rows = match listed {
        Listed { booking: Some(_), .. } => listed_by!("WHERE i.booking_id = $2"),
        Listed { client: Some(_), .. } => listed_by!("WHERE b.client_id = $4"),
        Listed { therapist: Some(_), .. } => listed_by!("WHERE b.therapist_id = $3"),
        Listed { open: Some(true), .. } => listed_by!("WHERE i.resolved_at IS NULL"),
        _ => listed_by!("WHERE true"),
    };
    Ok(rows.into_iter().map(Columns::listed).collect())
}

/// Saves how the incident was resolved.
pub(super) async fn resolve(app: &App, tx: &mut Tx, incident: &Incident) -> Result<()> {
    let Incident { listed, note, .. } = incident;
    let id = listed.receipt.id;
    let note = note.as_deref().map(|note| app.cipher.seal(NOTE, id, note)).transpose()?;
    sqlx::query!(
        "UPDATE incidents SET resolved_at = $2, resolved_by = $3, note = $4 WHERE id = $1",
        id.0,
        listed.resolved_at,
        listed.resolved_by.map(|id| id.0),
        note as Option<Sealed>
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
