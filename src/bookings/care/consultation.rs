//! The consultation of a visit: both parties write it and sign it. And what the person agrees to, where a visit needs that.

use actix_web::web::Data;
use actix_web::{get, post, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::views::shows_sheet;
use super::{SHEET_READ, of_content, signers};
use crate::App;
use crate::auth::{As, Client, Parties};
use crate::bookings::events::event;
use crate::bookings::lifecycle::{Party, Status};
use crate::bookings::steps::{Begun, begin, party};
use crate::bookings::{Booking, store};
use crate::care::consents::{self, NewConsent};
use crate::care::consultations::{self, Consultation, Content, Signature, Signed};
use crate::care::{self, Recipient, VisitCare};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::Work;
use crate::http::{IfMatch, Json, Path, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, BookingId, RecipientId};

pub(in crate::bookings) fn routes(config: &mut ServiceConfig) {
    config.service(get_consultation).service(put_consultation).service(sign_consultation).service(create_consent);
}

/// What client and therapist agree on before a visit.
#[derive(Serialize, ToSchema)]
#[schema(as = Consultation)]
struct ConsultationView {
    /// Counts from 1.
    #[schema(example = 1)]
    version: i32,
    #[serde(flatten)]
    content: Content,
    /// Who wrote this version.
    written_by: Party,
    /// When.
    written_at: DateTime<Utc>,
    /// Who has signed this version.
    signatures: Vec<Signature>,
    /// Whether both have.
    #[schema(example = false)]
    signed_by_both: bool,
}

impl From<Consultation> for ConsultationView {
    fn from(consultation: Consultation) -> Self {
        Self {
            version: consultation.version,
            written_by: consultation.written_by,
            written_at: consultation.written_at,
            signed_by_both: consultation.signed() == Signed::ByBoth,
            signatures: consultation.signatures,
            content: consultation.content,
        }
    }
}

/// Show the consultation
///
/// What client and therapist agree on before the visit, in its latest version, with who has signed it. The therapist sees it as the sheet: from confirmation until 72
/// hours after the visit, and each look is written down. An account sees it where it answers for the person. Nobody else does.
#[utoipa::path(tag = "Care", operation_id = "get_consultation", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "The consultation.", body = ConsultationView)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[get("/v1/bookings/{id}/consultation")]
async fn get_consultation(app: Data<App>, me: As<Parties>, Path(id): Path<BookingId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let now = work.now();
        let booking = store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        let party = party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let person = care::person(&app, &mut work, booking.client, booking.recipient).await?;
        let person = person.ok_or(Error::NotFound)?;
        refuse_others(&mut work, &booking, &person, party).await?;
        let found = consultations::of_visit(&mut work, &person, id, signers(&booking)).await?.ok_or(Error::NotFound)?;
        record_look(&mut work, &booking, &person, (party, me.account())).await?;
        work.commit().await?;
        Reply::ok(&ConsultationView::from(found))
    })
    .await
}

/// A visit whose consultation a party writes or signs: it is locked.
struct Open {
    work: Work,
    booking: Booking,
    party: Party,
    person: Recipient,
    current: Option<Consultation>,
}

async fn open(app: &App, me: &As<Parties>, id: BookingId) -> Result<Open> {
    let Begun { mut work, booking, party, .. } = begin(app, &me.principal, id).await?;
    let person = care::person_entered(app, &mut work, booking.client, booking.recipient).await?;
    let person = person.ok_or(Error::NotFound)?;
    refuse_others(&mut work, &booking, &person, party).await?;
    let current = consultations::of_visit(&mut work, &person, id, signers(&booking)).await?;
    record_look(&mut work, &booking, &person, (party, me.account())).await?;
    Ok(Open { work, booking, party, person, current })
}

/// Refuses an account what is another adult's own, and a therapist what the sheet does not show any more.
async fn refuse_others(work: &mut Work, booking: &Booking, person: &Recipient, party: Party) -> Result<()> {
    let (first, _) = booking.dates();
    match party {
        Party::Therapist if !shows_sheet(booking, work.now()) => Err(Error::NotFound),
        Party::Client if !care::is_accounts_own(work, person, &booking.address.jurisdiction, first).await? => {
            Err(Refusal::GuardianNeeded.into())
        }
        _ => Ok(()),
    }
}

/// Writes down that a therapist was shown what is agreed on.
async fn record_look(
    work: &mut Work,
    booking: &Booking,
    person: &Recipient,
    (party, account): (Party, AccountId),
) -> Result<()> {
    if party == Party::Therapist {
        store::record_looks(work, &[booking], SHEET_READ).await?;
        care::record_look(work, person, booking.id, account).await?;
    }
    Ok(())
}

/// Refuses where a consultation cannot be written or signed any more, or not yet by its therapist.
fn refuse_closed(booking: &Booking, party: Party) -> Result<()> {
    use Status::{Arrived, Confirmed, OnTheWay, Requested};
    let is_open = match booking.status {
        Requested => party == Party::Client,
        Confirmed | OnTheWay | Arrived => true,
        _ => false,
    };
    if is_open { Ok(()) } else { Err(Refusal::InvalidTransition.into()) }
}

/// Write the consultation
///
/// Replaces what is agreed on, until the visit begins. Whoever signed a version before has to sign anew. What goes beyond what suits the person is refused.
/// `If-Match` is needed where there is one already.
#[utoipa::path(tag = "Care", operation_id = "put_consultation", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the consultation as it was read, where there is one.")),
    request_body = Content, responses((status = 200, description = "The consultation as it is now.", body = ConsultationView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooManyVersions, GuardianNeeded, ..VisitCare::REFUSALS]))))]
#[put("/v1/bookings/{id}/consultation")]
async fn put_consultation(
    app: Data<App>,
    me: As<Parties>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    Json(content, _): Json<Content>,
) -> Result<Reply> {
    uninterrupted(async move {
        let Open { mut work, booking, party, person, current } = open(&app, &me, id).await?;
        refuse_closed(&booking, party)?;
        let shown = current.map(ConsultationView::from);
        if_match.check_if_any(shown.as_ref())?;
        if shown.as_ref().is_none_or(|shown| shown.content != content) {
            consultations::refuse_unsound(&mut work, &content).await?;
            let (first, last) = booking.dates();
            if let Some(care) = of_content(&app, &mut work, &booking, &content).await?
                && !care.suits_as_wished(first, last)
            {
                return Err(care.error(first, last, party == Party::Client));
            }
            let version = consultations::write(&mut work, &person, id, (&content, booking.service, party)).await?;
            let mut event = event("booking.consult", &booking, json!({ "version": version }));
            event.party = Some(party);
            work.announce(event).await?;
        }
        let now = consultations::of_visit(&mut work, &person, id, signers(&booking)).await?.ok_or(Error::NotFound)?;
        work.commit().await?;
        Reply::ok(&ConsultationView::from(now))
    })
    .await
}

/// What is signed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SignedVersion {
    /// The version that whoever signs has read, which is the latest.
    #[schema(example = 1, minimum = 1)]
    version: i32,
    /// That an adult whom the account does not answer for has signed in the presence of the therapist, who says so: for the therapist alone.
    #[serde(default)]
    #[schema(example = false)]
    signed_in_person: bool,
}

/// Sign the consultation
///
/// Each party signs the latest version: the client for themself, or as guardian of a minor. Where the visit is for another adult, that person signs in the presence
/// of the therapist, who says so with `signed_in_person`. Again changes nothing.
#[utoipa::path(tag = "Care", operation_id = "sign_consultation", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking.")), request_body = SignedVersion,
    responses((status = 200, description = "The consultation, signed.", body = ConsultationView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, SignatureVoid, GuardianNeeded]))))]
#[post("/v1/bookings/{id}/consultation/sign")]
async fn sign_consultation(
    app: Data<App>,
    me: As<Parties>,
    Path(id): Path<BookingId>,
    Json(body, _): Json<SignedVersion>,
) -> Result<Reply> {
    uninterrupted(async move {
        let Open { mut work, booking, party, person, current } = open(&app, &me, id).await?;
        let current = current.ok_or(Error::NotFound)?;
        refuse_closed(&booking, party)?;
        if current.version != body.version {
            return Err(Refusal::SignatureVoid.into());
        }
        let (_, last) = booking.dates();
        let is_accounts_own = care::is_accounts_own(&mut work, &person, &booking.address.jurisdiction, last).await?;
        let account_signs = care::may_sign(&mut work, &person, &booking.address.jurisdiction, last).await?;
        let signs: &[Party] = match (party, body.signed_in_person) {
            (Party::Client, false) if account_signs => &[Party::Client],
            (Party::Therapist, false) => &[Party::Therapist],
            (Party::Therapist, true) if !is_accounts_own => &[Party::Client, Party::Therapist],
            _ => return Err(Refusal::GuardianNeeded.into()),
        };
        let is_missing = |who: &Party| !current.signatures.iter().any(|signature| signature.party == *who);
        let missing: Vec<Party> = signs.iter().copied().filter(is_missing).collect();
        for who in &missing {
            consultations::sign(&mut work, id, body.version, (*who, me.account())).await?;
        }
        if !missing.is_empty() {
            let details = json!({ "version": body.version, "signed_in_person": body.signed_in_person });
            let mut event = event("booking.sign_consultation", &booking, details);
            event.party = Some(party);
            work.announce(event).await?;
        }
        let now = consultations::of_visit(&mut work, &person, id, signers(&booking)).await?.ok_or(Error::NotFound)?;
        work.commit().await?;
        Reply::ok(&ConsultationView::from(now))
    })
    .await
}

/// Agree to a text, or not
///
/// Records what a person says, in the words of the text in force. It is a word of the person themself, or of the guardian of a minor. A word that was said before
/// another one never counts against it, however late it arrives.
#[utoipa::path(tag = "Care", operation_id = "create_consent", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewConsent, responses((status = 201, description = "What was said.", body = consents::ConsentView)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded, TooManyConsents]))))]
#[post("/v1/me/recipients/{id}/consents")]
async fn create_consent(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    key: IdempotencyKey,
    Json(new, print): Json<NewConsent>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/me/recipients/{id}/consents", key, print.about(id)).await?;
        if !care::is_recipient(&mut work, me.account(), id).await? {
            return Err(Error::NotFound);
        }
        let now = work.now();
        let visit = match new.booking_id {
            Some(visit) => store::find(&mut work, visit, now).await?,
            None => None,
        };
        if new.booking_id.is_some() {
            let is_theirs = |visit: &Booking| visit.client == me.account() && visit.recipient.is_none_or(|of| of == id);
            if !visit.as_ref().is_some_and(is_theirs) {
                return Err(FieldError::new("/booking_id", "is not a visit of this recipient.").into());
            }
        }
        let at = visit.map(|visit| (visit.address.jurisdiction.clone(), visit.dates().1));
        let reply = consents::create(&app, &mut work, (me.account(), id), new, at).await?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}
