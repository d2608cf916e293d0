//! Where therapists let clients down: what was called off late, and what nobody came to.

mod store;

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) use store::record;

use crate::App;
use crate::auth::{As, Support};
use crate::db::uninterrupted;
use crate::error::{Error, Result};
use crate::http::{Cursor, Limit, Page, Path, Query, Reply};
use crate::ids::{BookingId, TherapistId};
use crate::therapists;
use crate::values::Instant;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_therapist_reliability);
}

/// How a therapist let a client down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Lapse {
    /// Called the visit off when a client would have paid for that.
    LateCancellation,
    /// Did not come.
    NoShow,
}

/// A visit at which a therapist let a client down.
#[derive(Debug, Serialize, ToSchema)]
struct TherapistLapse {
    /// The visit.
    booking_id: BookingId,
    /// How.
    kind: Lapse,
    /// When it was to begin.
    start_at: DateTime<Utc>,
    /// When it was called off, or missed.
    at: DateTime<Utc>,
    /// Whole minutes from then to the start; negative after it.
    #[schema(example = 95)]
    minutes_before: i64,
}

/// How far clients can rely on a therapist.
#[derive(Debug, Serialize, ToSchema)]
struct Reliability {
    /// The therapist.
    therapist_id: TherapistId,
    /// Visits that the therapist called off, late or in time. One that the therapist might not carry out does not count.
    #[schema(example = 3)]
    cancellations: i64,
    /// Those that were called off late.
    #[schema(example = 1)]
    late_cancellations: i64,
    /// Those that the therapist did not come to.
    #[schema(example = 0)]
    no_shows: i64,
    /// The page of lapses, latest first.
    #[serde(flatten)]
    lapses: Page<TherapistLapse>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LapseQuery {
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// Show a therapist's reliability
///
/// How often the therapist called visits off, and each time that a client was let down: late is when a client would have paid for calling off.
#[utoipa::path(tag = "Bookings", operation_id = "get_therapist_reliability", security(("bearer" = ["admin:support"])),
    params(("id" = TherapistId, Path, description = "The therapist."), LapseQuery),
    responses((status = 200, description = "Counts, and a page of lapses.", body = Reliability)))]
#[get("/v1/admin/therapists/{id}/reliability")]
async fn get_therapist_reliability(
    app: Data<App>,
    me: As<Support>,
    Path(id): Path<TherapistId>,
    Query(query): Query<LapseQuery>,
) -> Result<Reply> {
    uninterrupted(async move {
        let after = query.cursor.map(|cursor| cursor.key()).transpose()?.map(|(Instant(at), id)| (at, id));
        let mut work = app.begin(Some(me.account())).await?;
        if !therapists::exists(&mut **work, id).await? {
            return Err(Error::NotFound);
        }
        let counts = store::counts(&mut work, id).await?;
        let found = store::lapses(&mut work, id, after, query.limit.probe()).await?;
        work.commit().await?;
        Reply::ok(&Reliability {
            therapist_id: id,
            cancellations: counts.cancellations,
            late_cancellations: counts.late_cancellations,
            no_shows: counts.no_shows,
            lapses: Page::cut(found, query.limit, |lapse| (lapse.at, lapse.booking_id))?,
        })
    })
    .await
}
