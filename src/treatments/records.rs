//! The record of a treatment: what the therapist did, and how it went.

use std::collections::BTreeSet;

use actix_web::web::Data;
use actix_web::{get, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{AdverseReaction, OPEN, Seen, TreatmentText, store};
use crate::App;
use crate::auth::{As, Parties, Therapist};
use crate::care::body::RegionSet;
use crate::care::{self, Limits};
use crate::catalogue;
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::http::{IfMatch, Json, Path, Reply};
use crate::ids::BookingId;
use crate::values::Pressure;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_treatment_record).service(put_treatment_record);
}

/// The column of records, to which they are sealed.
pub(super) const CONTENT: &str = "treatment_records.content";

/// Versions of one visit's record.
const MOST: i32 = 50;

/// What was done at a visit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TreatmentContent)]
struct Content {
    /// The regions that were worked on.
    regions: RegionSet,
    /// The techniques, by slug.
    #[serde(default)]
    #[schema(example = json!(["effleurage", "petrissage"]))]
    techniques: BTreeSet<String>,
    /// How firmly at the most.
    pressure: Pressure,
    /// What was found.
    observations: Option<TreatmentText>,
    /// How the person took it.
    response: Option<TreatmentText>,
    /// What was recommended.
    recommendations: Option<TreatmentText>,
    /// What went badly with the person. Staff are told that something did.
    adverse_reaction: Option<AdverseReaction>,
}

impl Content {
    /// Whether it goes beyond what suited the person.
    fn exceeds(&self, limits: &Limits) -> bool {
        limits.regions.meets(self.regions)
            || limits.pressure.is_some_and(|most| self.pressure > most)
            || !limits.techniques.is_disjoint(&self.techniques)
    }
}

/// The record of a treatment.
#[derive(Serialize, ToSchema)]
#[schema(as = TreatmentRecord)]
struct RecordView {
    /// Counts from 1. Versions before it are kept.
    #[schema(example = 1)]
    version: i32,
    #[serde(flatten)]
    content: Content,
    /// When this version was written.
    written_at: DateTime<Utc>,
    /// Until when the therapist can change it.
    editable_until: DateTime<Utc>,
}

fn row(booking: BookingId, version: i32) -> String {
    format!("{booking}/{version}")
}

impl RecordView {
    fn opened(seen: &Seen, stored: &store::StoredRecord) -> Result<Self> {
        Ok(Self {
            version: stored.version,
            content: seen.person.cipher.open_value(CONTENT, row(seen.booking.id, stored.version), &stored.content)?,
            written_at: stored.written_at,
            editable_until: seen.booking.end_at() + OPEN,
        })
    }
}

/// Show the treatment record
///
/// What was done at the visit and how it went, for its therapist, and for the account that answers for the person. Nobody else can.
#[utoipa::path(tag = "After the visit", operation_id = "get_treatment_record", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "The record.", body = RecordView)))]
#[get("/v1/bookings/{id}/treatment-record")]
async fn get_treatment_record(app: Data<App>, me: As<Parties>, Path(id): Path<BookingId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let stored = store::record(&mut work, id, seen.person.id).await?.ok_or(Error::NotFound)?;
        work.announce(seen.event("treatment.read", json!({ "version": stored.version }))).await?;
        work.commit().await?;
        Reply::ok(&RecordView::opened(&seen, &stored)?)
    })
    .await
}

/// Write the treatment record
///
/// The visit's therapist records what was done, from its start until 72 hours after the end of its time. It is kept whatever it says. Where it goes beyond what suited
/// the person, or something went badly with them, staff are told that it did, and not what. `If-Match` is needed where there is a record already.
#[utoipa::path(tag = "After the visit", operation_id = "put_treatment_record", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the record as it was read, where there is one.")),
    request_body = Content, responses((status = 200, description = "The record as it is now.", body = RecordView)),
    extensions(("x-refusals" = json!(refused![SessionNotesClosed, TooManyVersions]))))]
#[put("/v1/bookings/{id}/treatment-record")]
async fn put_treatment_record(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    Json(content, _): Json<Content>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let now = work.now();
        let current = store::record(&mut work, id, seen.person.id).await?;
        let shown = current.as_ref().map(|current| RecordView::opened(&seen, current)).transpose()?;
        if_match.check_if_any(shown.as_ref())?;
        if !seen.is_open(now) {
            return Err(Refusal::SessionNotesClosed.into());
        }
        let techniques: BTreeSet<String> = catalogue::technique_slugs(&mut **work).await?.into_iter().collect();
        if !content.techniques.is_subset(&techniques) {
            return Err(FieldError::new("/techniques", "names a technique that is not in the catalogue.").into());
        }
        let version = store::last_record(&mut work, id).await? + 1;
        if version > MOST {
            return Err(Refusal::TooManyVersions.into());
        }
        let sealed = seen.person.cipher.seal_value(CONTENT, row(id, version), &content)?;
        let stored = store::StoredRecord { version, content: sealed, written_at: now };
        store::insert_record(&mut work, id, seen.person.id, (me.therapist(), &stored)).await?;
        work.announce(seen.event("treatment.record", json!({ "version": version }))).await?;
        // By what was known when the visit began, and not by what was answered since.
        let limits = care::limits_at_last(&mut work, &seen.person, id).await?;
        if limits.is_some_and(|limits| content.exceeds(&limits)) {
            seen.raise(&app, &mut work, &me.principal, false).await?;
        }
        if content.adverse_reaction.is_some() {
            seen.raise(&app, &mut work, &me.principal, true).await?;
        }
        work.commit().await?;
        Reply::ok(&RecordView::opened(&seen, &stored)?)
    })
    .await
}
