//! What changed for the caller since they last asked: steps of their visits, and of their credentials, in the order in which they were saved.

mod store;

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use crate::App;
use crate::auth::{As, Parties, Principal};
use crate::error::{FieldError, Result};
use crate::http::{Cursor, Limit, Query, Reply};
use crate::values::{Instant, Role};

/// The operation on changes.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_changes);
}

/// How far back one can go on.
const KEPT: TimeDelta = TimeDelta::days(30);

/// What both parties of a visit are told of.
const OF_VISITS: &[&str] = &[
    "booking.create",
    "booking.accept",
    "booking.decline",
    "booking.expire",
    "booking.cancel",
    "booking.on_the_way",
    "booking.arrive",
    "booking.start",
    "booking.complete",
    "booking.no_show",
    "booking.contest",
    "booking.uphold",
    "booking.reject",
    "booking.stop",
    "booking.reassign",
    "booking.reschedule",
    "booking.propose",
    "booking.proposal_declined",
    "booking.proposal_withdrawn",
    "booking.agree",
    "booking.ask_extension",
    "booking.extension_declined",
    "booking.extend",
    "booking.lower_charge",
    "booking.update",
    "booking.hand_over",
    "booking.take_back",
    "booking.local_time_changed",
];

/// What a client is told of besides.
const OF_CLIENTS: &[&str] = &["booking.care_unsettled", "booking.care_settled"];

/// What a therapist is told of besides.
const OF_THERAPISTS: &[&str] = &[
    "booking.care_changed",
    "booking.given_away",
    "booking.put_at_risk",
    "booking.restored",
    "credential.submit",
    "credential.withdraw",
    "credential.reopen",
    "credential.edit",
    "credential.updated",
    "credential.claim",
    "credential.release",
    "credential.approve",
    "credential.verify",
    "credential.reject",
    "credential.request_info",
    "credential.suspend",
    "credential.reinstate",
    "credential.revoke",
    "credential.supersede",
    "credential.roll_back",
    "therapist.update",
    "therapist.offers",
    "therapist.bookable",
];

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChangesQuery {
    /// From `next_cursor` of the answer before; left out: what changed in the last 30 days.
    #[param(inline)]
    cursor: Option<Cursor>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
}

/// Something of the caller's that changed: read it anew.
#[derive(Debug, Serialize, ToSchema)]
struct Changed {
    #[serde(skip)]
    #[schema(ignore)]
    link: i64,
    /// When.
    at: DateTime<Utc>,
    /// What was done.
    #[schema(example = "booking.accept")]
    kind: String,
    /// The kind of thing that it was done to.
    #[schema(example = "booking")]
    subject_type: String,
    /// Which one.
    subject_id: Uuid,
}

/// What changed.
#[derive(Debug, Serialize, ToSchema)]
struct Changes {
    /// In the order in which they were saved.
    data: Vec<Changed>,
    /// Where to go on, also where there is no more for now.
    #[schema(value_type = String)]
    next_cursor: Cursor,
    /// Whether there is more already.
    more: bool,
}

/// List what changed
///
/// The steps of the caller's visits, and of a therapist's own credentials, since the cursor, in the order in which they were saved: whoever keeps the
/// last cursor and asks again misses none, and gets none twice. A change is there within a second or so of its answer. What changed is read by its id.
/// A cursor is good for 30 days.
#[utoipa::path(tag = "Accounts", operation_id = "list_changes", security(("bearer" = ["client", "therapist"])), params(ChangesQuery),
    responses((status = 200, description = "What changed.", body = Changes)))]
#[get("/v1/me/changes")]
async fn list_changes(app: Data<App>, me: As<Parties>, Query(query): Query<ChangesQuery>) -> Result<Reply> {
    let now = app.clock.now();
    let oldest = now - KEPT;
    let (link, Instant(at)) = match &query.cursor {
        Some(cursor) => cursor.key::<(i64, Instant)>()?,
        None => (0, Instant(oldest)),
    };
    if at < oldest {
        return Err(FieldError::new(
            "/cursor",
            "is more than 30 days old: read everything anew, and begin without one.",
        )
        .into());
    }
    let Principal { account, role, .. } = me.principal;
    let asked = store::Asked { link, since: at, now, count: query.limit.probe() };
    let mut data = if role == Role::Therapist {
        let kinds = [OF_VISITS, OF_THERAPISTS].concat();
        store::of_therapist(&app.db, account.into(), &kinds, asked).await?
    } else {
        let kinds = [OF_VISITS, OF_CLIENTS].concat();
        store::of_client(&app.db, account, &kinds, asked).await?
    };
    let more = data.len() > query.limit.get();
    data.truncate(query.limit.get());
    // Where nothing changed for long, the cursor must not grow old.
    let reached = data
        .last()
        .map_or_else(|| (link, Instant(at.max(now - TimeDelta::days(1)))), |last| (last.link, Instant(last.at)));
    Reply::ok(&Changes { data, next_cursor: Cursor::after(&reached)?, more })
}
