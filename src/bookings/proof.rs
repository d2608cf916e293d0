//! "Was this therapist licensed for this visit?", answered from what was written down then and never from how things
//! stand now.

mod store;

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::Booking;
use super::events::event;
use super::lifecycle::{Party, Status};
use crate::App;
use crate::audit::{self, Positions};
use crate::auth::{As, VerifierSupportOrAuditor};
use crate::credentials::BoardStatus;
use crate::credentials::checks::CheckMethod;
use crate::db::uninterrupted;
use crate::error::{Error, Result};
use crate::http::{Path, Reply};
use crate::ids::{AccountId, BookingId, CredentialId, TherapistId, VerificationId};
use crate::values::{Jurisdiction, Zone};

/// The operation on proofs.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_licence_proof);
}

/// A credential as it was known when the visit came to rely on it.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Held {
    /// The credential's id.
    id: CredentialId,
    /// Its type's code.
    #[serde(rename = "type")]
    #[schema(example = "US-TX-LMT")]
    type_code: String,
    /// Who gave it.
    authority: String,
    /// The last day of its validity, as it was known.
    expires_on: Option<NaiveDate>,
}

/// What a source said of the credential when someone looked.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ProvenCheck {
    /// The verification's id.
    id: VerificationId,
    /// How it was looked up.
    method: CheckMethod,
    /// The authority, or the roster's code.
    source: String,
    /// Where it was read.
    source_url: Option<String>,
    /// The date that the source itself bore.
    source_date: Option<NaiveDate>,
    /// The holder's name as it stood there.
    name_found: Option<String>,
    /// The number as it stood there.
    number_found: Option<String>,
    /// The status in the source's own words.
    status_text: Option<String>,
    /// What those words mean.
    board_status: BoardStatus,
    /// The last day of its validity as it stood there.
    expires_on: Option<NaiveDate>,
    /// When someone looked.
    at: DateTime<Utc>,
    /// Who; null where the system did.
    actor_id: Option<AccountId>,
}

/// What met one group of requirements.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct ProvenGroup {
    /// What it is about.
    #[schema(example = "licence")]
    group: String,
    /// The place that asked for it.
    #[schema(example = "US-TX")]
    required_by: String,
    /// The types that would have met it.
    #[schema(example = json!(["US-TX-LMT"]))]
    options: Vec<String>,
    /// The credential that did.
    credential: Held,
    /// The verification that it rested on; null where none was recorded.
    verification: Option<ProvenCheck>,
}

impl ProvenGroup {
    /// Whether both are for one group of one place.
    fn meets_the_same(&self, other: &Self) -> bool {
        (&self.group, &self.required_by) == (&other.group, &other.required_by)
    }
}

/// What the visit relied on from an instant on.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Revision {
    /// Counts from 1.
    revision: i32,
    /// From when on.
    relied_at: DateTime<Utc>,
    /// Who was to carry the visit out.
    therapist_id: TherapistId,
    /// Every group that was asked for.
    groups: Vec<ProvenGroup>,
}

/// Why the answer is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Ground {
    /// Yes: every group was met by a credential that a source confirmed for every date of the visit.
    Verified,
    /// No: the therapist may not carry it out, as was found before it took place.
    AtRisk,
    /// No: the service called it off for that reason, so that it did not take place.
    CalledOff,
    /// No: a credential or its verification did not last until the visit, or did not let its holder practise.
    NotCovered,
    /// Unknown: a credential was relied on whose verification was not recorded.
    VerificationNotRecorded,
    /// Unknown: it was not recorded what the visit relied on.
    NothingRecorded,
}

impl Ground {
    /// The answer; none where it is unknown.
    fn licensed(self) -> Option<bool> {
        match self {
            Self::Verified => Some(true),
            Self::AtRisk | Self::CalledOff | Self::NotCovered => Some(false),
            Self::VerificationNotRecorded | Self::NothingRecorded => None,
        }
    }

    /// What the record says of `booking`, which relied on `groups` last.
    fn of(booking: &Booking, groups: &[ProvenGroup]) -> Self {
        let (first, last) = booking.dates();
        // A credential that is followed by another of its group has to last for as long as it says, and no longer.
        let needed_until = |group: &ProvenGroup| {
            let ends = |group: &ProvenGroup| group.credential.expires_on.unwrap_or(NaiveDate::MAX);
            let is_followed = groups.iter().any(|other| other.meets_the_same(group) && ends(other) > ends(group));
            if is_followed { ends(group).clamp(first, last) } else { last }
        };
        let not_covered = |group: &ProvenGroup| {
            let until = needed_until(group);
            let ended = |day: Option<NaiveDate>| day.is_some_and(|day| day < until);
            let fails =
                |found: &ProvenCheck| !BoardStatus::PERMITTING.contains(&found.board_status) || ended(found.expires_on);
            ended(group.credential.expires_on) || group.verification.as_ref().is_some_and(fails)
        };
        // Nothing else makes the service cancel.
        if booking.cancelled.is_some_and(|cancelled| cancelled.by == Party::System) {
            Self::CalledOff
        } else if booking.at_risk_since.is_some() {
            Self::AtRisk
        } else if groups.is_empty() {
            Self::NothingRecorded
        } else if groups.iter().any(not_covered) {
            Self::NotCovered
        } else if groups.iter().any(|group| group.verification.is_none()) {
            Self::VerificationNotRecorded
        } else {
            Self::Verified
        }
    }
}

/// Whether a therapist was licensed for a visit, and how that is known.
#[derive(Debug, Serialize, ToSchema)]
struct LicenceProof {
    /// The visit.
    booking_id: BookingId,
    /// Where it stands.
    status: Status,
    /// Who carries it out.
    therapist_id: TherapistId,
    /// The place whose rules hold.
    jurisdiction: Jurisdiction,
    /// The zone at the place.
    time_zone: Zone,
    /// When the time on the table begins.
    start_at: DateTime<Utc>,
    /// When it ends.
    end_at: DateTime<Utc>,
    /// The first date of the visit at its place.
    first_date: NaiveDate,
    /// The last one.
    last_date: NaiveDate,
    /// Whether the therapist was licensed for it; null where that is unknown.
    licensed: Option<bool>,
    /// Why.
    reason: Ground,
    /// What the visit relied on last, group by group.
    groups: Vec<ProvenGroup>,
    /// All that it relied on, oldest first.
    revisions: Vec<Revision>,
    /// Where the audit tells of this booking, readings of this proof aside.
    audit: Option<Positions>,
}

impl LicenceProof {
    fn of(booking: &Booking, revisions: Vec<Revision>, audit: Option<Positions>) -> Self {
        let groups = revisions.last().map(|last| last.groups.clone()).unwrap_or_default();
        let reason = Ground::of(booking, &groups);
        let (first_date, last_date) = booking.dates();
        Self {
            booking_id: booking.id,
            status: booking.status,
            therapist_id: booking.therapist,
            jurisdiction: booking.address.jurisdiction.clone(),
            time_zone: booking.time_zone,
            start_at: booking.start_at,
            end_at: booking.end_at(),
            first_date,
            last_date,
            licensed: reason.licensed(),
            reason,
            groups,
            revisions,
            audit,
        }
    }
}

/// Prove a licence
///
/// Whether the therapist of a visit was licensed for it, answered from what was written down when the visit came to rely on
/// it: what was required by whom, which credential met it, and what a source had said of that. Later changes to credentials
/// or requirements do not change the answer. Each reading is audited.
#[utoipa::path(tag = "Licence checks", operation_id = "get_licence_proof", security(("bearer" = ["admin:verifier", "admin:support", "admin:auditor"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "The proof.", body = LicenceProof)))]
#[get("/v1/admin/bookings/{id}/licence-proof")]
async fn get_licence_proof(
    app: Data<App>,
    me: As<VerifierSupportOrAuditor>,
    Path(id): Path<BookingId>,
) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = app.begin(Some(me.account())).await?;
        let booking = super::store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        let revisions = store::revisions(&mut work, id).await?;
        let audit = audit::positions(&mut work, "booking", &id.to_string(), READ).await?;
        work.announce(event(READ, &booking, json!({}))).await?;
        work.commit().await?;
        Reply::ok(&LicenceProof::of(&booking, revisions, audit))
    })
    .await
}

/// What the audit calls a reading.
const READ: &str = "booking.proof_read";
