use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Hidden, Review};
use crate::bookings::Side;
use crate::db::Tx;
use crate::error::{OnConstraint, Refusal, Result};
use crate::ids::{AccountId, BookingId, ReviewId, TherapistId};
use crate::values::Zone;
use crate::{accounts, therapists};

struct Columns {
    id: ReviewId,
    booking_id: BookingId,
    therapist_id: TherapistId,
    client_id: AccountId,
    by: Side,
    rating: i16,
    text: Option<String>,
    created_at: DateTime<Utc>,
    opens_at: DateTime<Utc>,
    hidden_at: Option<DateTime<Utc>>,
    hidden_by: Option<AccountId>,
    hidden_reason: Option<String>,
}

impl From<Columns> for Review {
    fn from(row: Columns) -> Self {
        let hidden = row.hidden_at.zip(row.hidden_by).zip(row.hidden_reason);
        Self {
            id: row.id,
            booking: row.booking_id,
            therapist: row.therapist_id,
            client: row.client_id,
            by: row.by,
            rating: row.rating,
            text: row.text,
            created_at: row.created_at,
            opens_at: row.opens_at,
            hidden: hidden.map(|((at, by), reason)| Hidden { at, by, reason }),
        }
    }
}

/// The columns of a review, read alike everywhere.
macro_rules! reviews {
    ($($tail:literal)+, $($arg:expr),+) => {
        sqlx::query_as!(
            Columns,
            r#"SELECT id, booking_id, therapist_id, client_id, by AS "by: Side", rating, text, created_at, opens_at, hidden_at,
                      hidden_by, hidden_reason
               FROM reviews "# $(+ $tail)+,
            $($arg),+
        )
    };
}

/// What was said of a visit, the first word first.
pub(super) async fn of_booking(tx: &mut Tx, booking: BookingId) -> Result<Vec<Review>> {
    let rows = reviews!("WHERE booking_id = $1 ORDER BY created_at, by", booking.0).fetch_all(&mut **tx).await?;
    Ok(rows.into_iter().map(Review::from).collect())
}

/// The review, locked until the transaction ends.
pub(super) async fn lock(tx: &mut Tx, id: ReviewId) -> Result<Option<Review>> {
    Ok(reviews!("WHERE id = $1 FOR UPDATE", id.0).fetch_optional(&mut **tx).await?.map(Review::from))
}

/// Which reviews staff look for.
pub(super) struct Listed {
    pub booking: Option<BookingId>,
    pub therapist: Option<TherapistId>,
    pub client: Option<AccountId>,
    pub hidden: Option<bool>,
    /// Before this one.
    pub before: Option<ReviewId>,
    pub count: i64,
}

/// The reviews, newest first. Each of what is asked for most is a statement of its own, so that each has its index.
pub(super) async fn list(db: &PgPool, listed: Listed) -> Result<Vec<Review>> {
    let before = listed.before.map_or(Uuid::max(), |before| before.0);
    macro_rules! listed_by {
        ($what:literal) => {
            reviews!(
                $what
                " AND ($1::uuid IS NULL OR booking_id = $1) AND ($2::uuid IS NULL OR therapist_id = $2)
                        AND ($3::uuid IS NULL OR client_id = $3) AND ($4::bool IS NULL OR (hidden_at IS NOT NULL) = $4) AND id < $5::uuid
                        ORDER BY id DESC LIMIT $6",
                listed.booking.map(|id| id.0),
                listed.therapist.map(|id| id.0),
                listed.client.map(|id| id.0),
                listed.hidden,
                before,
                listed.count
            )
            .fetch_all(db)
            .await?
        };
    }
    let rows = match listed {
        Listed { booking: Some(_), .. } => listed_by!("WHERE booking_id = $1"),
        Listed { therapist: Some(_), .. } => listed_by!("WHERE therapist_id = $2"),
        Listed { client: Some(_), .. } => listed_by!("WHERE client_id = $3"),
        Listed { hidden: Some(true), .. } => listed_by!("WHERE hidden_at IS NOT NULL"),
        _ => listed_by!("WHERE true"),
    };
    Ok(rows.into_iter().map(Review::from).collect())
}

/// A review of a therapist, for anyone.
pub(super) struct Published {
    pub id: ReviewId,
    pub opens_at: DateTime<Utc>,
    pub rating: i16,
    pub text: Option<String>,
    /// When the visit began.
    pub start_at: DateTime<Utc>,
    /// The zone of its place.
    pub time_zone: Zone,
}

/// What clients say of a therapist and anyone may read at `now`, newest first.
pub(super) async fn published(
    db: &PgPool,
    therapist: TherapistId,
    before: Option<(DateTime<Utc>, ReviewId)>,
    count: i64,
    now: DateTime<Utc>,
) -> Result<Vec<Published>> {
    let published = sqlx::query_as!(
        Published,
        r#"SELECT r.id, r.opens_at, r.rating, r.text, b.start_at, b.time_zone AS "time_zone: Zone"
           FROM reviews r JOIN bookings b ON b.id = r.booking_id
           WHERE r.therapist_id = $1 AND r.by = 'client' AND r.hidden_at IS NULL AND r.opens_at <= $2
             AND ($3::timestamptz IS NULL OR (r.opens_at, r.id) < ($3, $4))
           ORDER BY r.opens_at DESC, r.id DESC LIMIT $5"#,
        therapist.0,
        now,
        before.map(|(at, _)| at),
        before.map(|(_, id)| id.0),
        count
    )
    .fetch_all(db)
    .await?;
    Ok(published)
}

/// Stores a review and counts it. Where the other side has written, both can be read from now on.
pub(super) async fn insert(tx: &mut Tx, review: &Review) -> Result<()> {
    sqlx::query!(
        "INSERT INTO reviews (id, booking_id, therapist_id, client_id, by, rating, text, created_at, opens_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        review.id.0,
        review.booking.0,
        review.therapist.0,
        review.client.0,
        review.by as Side,
        review.rating,
        review.text,
        review.created_at,
        review.opens_at
    )
    .execute(&mut **tx)
    .await
    .on_constraint("reviews_one_each", Refusal::AlreadyReviewed)?;
    sqlx::query!(
        "UPDATE reviews SET opens_at = $2 WHERE booking_id = $1 AND opens_at > $2",
        review.booking.0,
        review.opens_at
    )
    .execute(&mut **tx)
    .await?;
    count(tx, review, 1).await
}

/// Hides a review, or shows it again, and counts it no more, or anew.
pub(super) async fn set_hidden(tx: &mut Tx, review: &Review) -> Result<()> {
    sqlx::query!(
        "UPDATE reviews SET hidden_at = $2, hidden_by = $3, hidden_reason = $4 WHERE id = $1",
        review.id.0,
        review.hidden.as_ref().map(|hidden| hidden.at),
        review.hidden.as_ref().map(|hidden| hidden.by.0),
        review.hidden.as_ref().map(|hidden| hidden.reason.as_str())
    )
    .execute(&mut **tx)
    .await?;
    count(tx, review, if review.hidden.is_some() { -1 } else { 1 }).await
}

/// Adds a review to the rating of whom it is about, or takes it away. The row that is added to is locked meanwhile, so that no
/// other addition is lost.
async fn count(tx: &mut Tx, review: &Review, times: i32) -> Result<()> {
    let sum = times * i32::from(review.rating);
    match review.by {
        Side::Client => therapists::rate(tx, review.therapist, times, sum).await,
        Side::Therapist => accounts::rate(tx, review.client, times, sum).await,
    }
}
