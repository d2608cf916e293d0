//! Consultations: what client and therapist agree on before a visit, in versions, and who has signed which. A version that was signed is void once there is
//! a later one.

mod store;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::body::RegionSet;
use super::people::recipients::Recipient;
use crate::catalogue;
use crate::error::{Error, FieldError, Refusal, Result};
use crate::events::{Party, Work};
use crate::ids::{AccountId, BookingId, ServiceId, TherapistId};
use crate::values::{Pressure, bounded_text};

bounded_text! {
    /// What a person wants of a visit, or what hurts, in their words.
    ConsultationText prose 1..=1000, example "Loosen the shoulders; the left one hurts when I reach up.";
}

/// The column of what was agreed on, to which it is sealed.
pub(super) const CONTENT: &str = "consultations.content";

/// Versions of one visit's consultation.
const MOST: i32 = 50;

/// Regions of the body, as a consultation names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsultationRegions {
    /// To be worked on; empty for all that the service works on.
    #[serde(default)]
    pub focus: RegionSet,
    /// To be left out.
    #[serde(default)]
    pub avoid: RegionSet,
    /// That hurt.
    #[serde(default)]
    pub pain: RegionSet,
}

/// What client and therapist agree on before a visit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConsultationContent)]
pub struct Content {
    /// What the person wants.
    pub goals: Option<ConsultationText>,
    /// What the matter is.
    pub complaint: Option<ConsultationText>,
    /// How much it hurts, from 0 for not at all to 10 for as much as can be (a numeric rating scale).
    #[schema(minimum = 0, maximum = 10, example = 4)]
    pub nrs: Option<u8>,
    /// Where.
    #[serde(default)]
    pub regions: ConsultationRegions,
    /// Techniques, by slug; empty for all that the service is made of.
    #[serde(default)]
    #[schema(example = json!(["effleurage"]))]
    pub techniques: BTreeSet<String>,
    /// How firmly.
    pub pressure: Option<Pressure>,
}

impl Content {
    /// Whether what has to be signed anew is the same: the reason, the techniques and the regions (Texas, rules for massage therapists).
    fn is_same_to_sign(&self, other: &Self) -> bool {
        let of = |content: &Self| (content.complaint.clone(), content.techniques.clone(), content.regions);
        of(self) == of(other)
    }
}

/// Whether everything that the law of a place asks for is signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Signed {
    /// By both, as it is.
    ByBoth,
    /// By both, before it changed.
    Void,
    /// Not by both.
    #[default]
    Missing,
}

/// A signature.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[schema(as = ConsultationSignature)]
pub struct Signature {
    /// Who signed.
    pub party: Party,
    /// When.
    pub signed_at: DateTime<Utc>,
}

/// The latest version of a visit's consultation, opened.
#[derive(Clone, Debug)]
pub struct Consultation {
    /// Counts from 1.
    pub version: i32,
    /// What it says.
    pub content: Content,
    /// Who wrote this version.
    pub written_by: Party,
    /// When.
    pub written_at: DateTime<Utc>,
    /// Who has signed this version, of those whom the visit has now.
    pub signatures: Vec<Signature>,
    /// Whether an earlier version was signed by both.
    was_signed: bool,
}

impl Consultation {
    /// How far it is signed.
    pub fn signed(&self) -> Signed {
        match self.signatures.len() {
            2.. => Signed::ByBoth,
            _ if self.was_signed => Signed::Void,
            _ => Signed::Missing,
        }
    }
}

/// The parties of a visit, who sign, and what they sign for.
#[derive(Clone, Copy, Debug)]
pub struct Signers {
    /// The client's account.
    pub client: AccountId,
    /// The therapist.
    pub therapist: TherapistId,
    /// The service: what it is made of is agreed on where no techniques are named.
    pub service: ServiceId,
}

impl Signers {
    fn accounts(self) -> Vec<uuid::Uuid> {
        vec![self.client.0, self.therapist.0]
    }
}

/// The latest version of a visit's consultation; none where there is none.
pub(super) async fn latest(
    db: &mut PgConnection,
    recipient: &Recipient,
    visit: BookingId,
    signers: Signers,
) -> Result<Option<Consultation>> {
    let Some(stored) = store::latest(&mut *db, recipient.id, visit).await? else { return Ok(None) };
    let signed = store::signatures(db, visit, &signers.accounts()).await?;
    let of = |version: i32| signed.iter().filter(move |signature| signature.version == version);
    let signatures = of(stored.version).map(|one| Signature { party: one.party, signed_at: one.signed_at }).collect();
    Ok(Some(Consultation {
        version: stored.version,
        content: recipient.cipher.open_value(CONTENT, row(visit, stored.version), &stored.content)?,
        written_by: stored.written_by,
        written_at: stored.written_at,
        signatures,
        was_signed: (1..stored.version).any(|version| of(version).count() == 2),
    }))
}

/// Whether the same was signed by the same two before another visit for the same service: then it need not be signed again.
pub(super) async fn signed_before(
    db: &mut PgConnection,
    recipient: &Recipient,
    visit: BookingId,
    (signers, now): (Signers, Option<&Content>),
) -> Result<bool> {
    let Some(last) = store::signed_elsewhere(db, recipient.id, (visit, signers.service), &signers.accounts()).await?
    else {
        return Ok(false);
    };
    let before: Content = recipient.cipher.open_value(CONTENT, row(last.visit, last.version), &last.content)?;
    Ok(now.is_none_or(|now| now.is_same_to_sign(&before)))
}

/// What names a version.
fn row(visit: BookingId, version: i32) -> String {
    format!("{visit}/{version}")
}

/// The latest version of a visit's consultation, of a person.
pub async fn of_visit(
    work: &mut Work,
    person: &Recipient,
    visit: BookingId,
    signers: Signers,
) -> Result<Option<Consultation>> {
    latest(work, person, visit, signers).await
}

/// What is wrong with what is to be agreed on.
///
/// # Errors
/// 422 with pointers.
pub async fn refuse_unsound(work: &mut Work, content: &Content) -> Result<()> {
    let techniques: BTreeSet<String> = catalogue::technique_slugs(&mut ***work).await?.into_iter().collect();
    let both = content.regions.focus.meets(content.regions.avoid);
    let checks = [
        (content.nrs.is_none_or(|nrs| nrs <= 10), "/nrs", "lies between 0 and 10."),
        (content.techniques.is_subset(&techniques), "/techniques", "names a technique that is not in the catalogue."),
        (content.techniques.len() <= 20, "/techniques", "names at most 20."),
        (!both, "/regions/avoid", "names a region of the focus."),
    ];
    let wrong: Vec<_> =
        checks.into_iter().filter(|(holds, ..)| !holds).map(|(_, field, why)| FieldError::new(field, why)).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
}

/// Writes a version.
///
/// # Errors
/// `too_many_versions` where there are more than anyone needs.
pub async fn write(
    work: &mut Work,
    person: &Recipient,
    visit: BookingId,
    (content, service, by): (&Content, ServiceId, Party),
) -> Result<i32> {
    let version = store::last_version(work, visit).await? + 1;
    if version > MOST {
        return Err(Refusal::TooManyVersions.into());
    }
    let sealed = person.cipher.seal_value(CONTENT, row(visit, version), content)?;
    store::insert(work, (visit, version, service), person.id, &sealed, by).await?;
    Ok(version)
}

/// Signs a version, for a party of the visit.
pub async fn sign(work: &mut Work, visit: BookingId, version: i32, (party, account): (Party, AccountId)) -> Result<()> {
    store::insert_signature(work, (visit, version), party, account).await
}
