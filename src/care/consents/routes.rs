//! What people say to texts.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{ConsentAnswer, NAME, TypedName, store};
use crate::App;
use crate::accounts;
use crate::auth::{As, Client};
use crate::care::people::recipients::{self, Recipient};
use crate::care::people::{guest_alone, refuse_guests};
use crate::care::published::{CareTerms, policy};
use crate::cipher::Sealed;
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Nothing, OrDefault, Page, Paging, Path, Query, Reply};
use crate::ids::{AccountId, BookingId, ConsentId, ConsentTextId, RecipientId};
use crate::values::wall_clock::local_date;
use crate::values::{Instant, Jurisdiction};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_consents).service(withdraw_consent);
    config.service(list_guest_consents).service(withdraw_guest_consent);
}

/// Words of one person that are recorded in 24 hours at the most.
const MOST_A_DAY: i64 = 50;
/// How late a word may come here after it was said.
const LATEST: TimeDelta = TimeDelta::days(30);

/// What a person said, as it is kept.
pub(super) struct StoredConsent {
    pub id: ConsentId,
    pub text_id: ConsentTextId,
    pub code: String,
    pub version: i32,
    pub booking_id: Option<BookingId>,
    pub answer: ConsentAnswer,
    pub name: Sealed,
    pub answered_at: DateTime<Utc>,
    pub recorded_at: DateTime<Utc>,
    pub in_person: bool,
}

/// What a person said to a text.
#[derive(Serialize, ToSchema)]
#[schema(as = Consent)]
pub struct ConsentView {
    /// The id of what was said.
    id: ConsentId,
    /// The text.
    #[schema(example = "sensitive_areas")]
    code: String,
    /// Its version.
    #[schema(example = 1)]
    version: i32,
    /// The visit that it is for; null for all.
    booking_id: Option<BookingId>,
    /// What was said.
    answer: ConsentAnswer,
    /// The name that was typed as a signature.
    #[schema(example = "Mia Chen")]
    name: String,
    /// When it was said.
    answered_at: DateTime<Utc>,
    /// When it came here.
    recorded_at: DateTime<Utc>,
    /// Whether the therapist recorded it in the presence of whoever said it.
    #[schema(example = false)]
    in_person: bool,
}

impl ConsentView {
    fn opened(consent: &StoredConsent, recipient: &Recipient) -> Result<Self> {
        Ok(Self {
            id: consent.id,
            code: consent.code.clone(),
            version: consent.version,
            booking_id: consent.booking_id,
            answer: consent.answer,
            name: recipient.cipher.open(NAME, consent.id, &consent.name)?,
            answered_at: consent.answered_at,
            recorded_at: consent.recorded_at,
            in_person: consent.in_person,
        })
    }
}

/// List consents
///
/// What a recipient said to texts, the latest record first. The latest word on a text holds, by when it was said.
#[utoipa::path(tag = "Care", operation_id = "list_consents", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."), Paging),
    responses((status = 200, description = "A page of what was said.", body = Page<ConsentView>)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[get("/v1/me/recipients/{id}/consents")]
async fn list_consents(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    Query(query): Query<Paging>,
) -> Result<Reply> {
    let recipient = recipients::find(&*app.db, &app.cipher, me.account(), id).await?;
    refuse_guests(&recipient)?;
    page(&app, &recipient, &query).await
}

async fn page(app: &App, recipient: &Recipient, query: &Paging) -> Result<Reply> {
    let found = store::consents(&app.db, recipient.id, query.after()?, query.limit.probe()).await?;
    let Page { data, next_cursor } = Page::cut(found, query.limit, |consent| consent.id)?;
    let data = data.iter().map(|consent| ConsentView::opened(consent, recipient)).collect::<Result<Vec<_>>>()?;
    Reply::ok(&Page { data, next_cursor })
}

/// List a guest's consents
///
/// What a guest said to texts since they have their link, the latest record first. For the link that the guest alone was shown.
#[utoipa::path(tag = "Care", operation_id = "list_guest_consents",
    params(("token" = String, Path, description = "The secret."), Paging),
    responses((status = 200, description = "A page of what was said.", body = Page<ConsentView>)),
    extensions(("x-refusals" = json!(refused![CareAnswersNeeded]))))]
#[get("/v1/care-invitations/{token}/consents")]
async fn list_guest_consents(app: Data<App>, Path(token): Path<String>, Query(query): Query<Paging>) -> Result<Reply> {
    let mut work = app.begin(None).await?;
    let guest = guest_alone(&app, &mut work, &token).await?;
    work.rollback().await?;
    page(&app, &guest, &query).await
}

/// What can be said to a text.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NewAnswer {
    /// Yes.
    Given,
    /// No.
    Refused,
}

/// What a person says to a text.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConsent {
    /// The text, by its code.
    #[schema(example = "sensitive_areas")]
    code: String,
    /// Its version, which is in force.
    #[schema(example = 1, minimum = 1)]
    version: i32,
    /// The visit that it is for: needed where the text is asked for before each one, and only there.
    pub booking_id: Option<BookingId>,
    /// Yes or no.
    answer: NewAnswer,
    /// The name of whoever says it, typed as a signature.
    name: TypedName,
    /// When it was said; now, unless said. An app that was without a network tells of what was said before.
    answered_at: Option<Instant>,
}

/// The place and the last date of the visit that a word is for, if it is for one: of age is whoever is so on that day, there.
pub type At = Option<(Jurisdiction, NaiveDate)>;

/// Records what a person says, or the guardian of a minor, in the words of the text in force.
///
/// # Errors
/// 422 where the text or its version is not in force, where the visit is missing or superfluous, and where the time lies ahead or long back;
/// `guardian_needed` where the account cannot speak for the person.
pub async fn create(
    app: &App,
    work: &mut Work,
    (account, id): (AccountId, RecipientId),
    new: NewConsent,
    at: At,
) -> Result<Reply> {
    let recipient = recipients::lock(work, &app.cipher, account, id).await?;
    let (terms, date) = on(work, account, at).await?;
    if !recipient.may_sign(&terms, date) {
        return Err(Refusal::GuardianNeeded.into());
    }
    say(work, &recipient, new, (format!("/v1/me/recipients/{id}/consents"), false)).await
}

/// Records what a guest says for themself, who is locked. `token` is the secret of their link.
///
/// They were of age when their link was made. Where people are so only later they agree as well, because nobody else can.
///
/// # Errors
/// The same, without `guardian_needed`.
pub async fn create_by_guest(work: &mut Work, (guest, token): (&Recipient, &str), new: NewConsent) -> Result<Reply> {
    say(work, guest, new, (format!("/v1/care-invitations/{token}/consents"), false)).await
}

/// What a person says to a text in the presence of the therapist, who records it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ConsentInPerson {
    /// The text, by its code.
    #[schema(example = "sensitive_areas")]
    code: String,
    /// Its version, which is in force.
    #[schema(example = 1, minimum = 1)]
    version: i32,
    /// Yes or no.
    answer: NewAnswer,
    /// The name of whoever says it, typed as a signature.
    name: TypedName,
}

/// Records what an adult for whom the account does not answer says in the presence of the therapist, for a visit or for all, as the text asks.
///
/// # Errors
/// The same; `guardian_needed` for whoever the account answers for.
pub async fn create_in_person(
    app: &App,
    work: &mut Work,
    (person, booking): (&Recipient, BookingId),
    said: ConsentInPerson,
    (place, date): (Jurisdiction, NaiveDate),
) -> Result<Reply> {
    work.lock(person.id.0).await?;
    let person = recipients::anyone(&mut ***work, &app.cipher, person.id).await?;
    let (terms, date) = on(work, person.account, Some((place, date))).await?;
    if person.is_accounts_own(&terms, date) {
        return Err(Refusal::GuardianNeeded.into());
    }
    let ConsentInPerson { code, version, answer, name } = said;
    let now = work.now();
    let texts = store::in_force(&mut ***work, now).await?;
    let each_visit = texts.iter().any(|text| text.code == code && text.each_visit);
    let new = NewConsent { code, version, booking_id: each_visit.then_some(booking), answer, name, answered_at: None };
    say(work, &person, new, (format!("/v1/bookings/{booking}/care"), true)).await
}

/// What a place asks for, and the day on which a person's age counts: today where the account's holder lives, where it is for no visit.
async fn on(work: &mut Work, account: AccountId, at: At) -> Result<(CareTerms, NaiveDate)> {
    let now = work.now();
    let (places, date) = match at {
        Some((place, date)) => (place.chain(), date),
        None => (Vec::new(), local_date(accounts::zone(&mut ***work, account).await?, now)),
    };
    Ok((policy(&mut ***work, &places, now).await?, date))
}

async fn say(
    work: &mut Work,
    recipient: &Recipient,
    new: NewConsent,
    (location, in_person): (String, bool),
) -> Result<Reply> {
    let now = work.now();
    let text = store::texts_in_force(&mut ***work, now).await?.into_iter().find(|text| text.code == new.code);
    let text = text.ok_or_else(|| FieldError::new("/code", "is no text that is in force."))?;
    let answered_at = new.answered_at.map_or(now, |Instant(at)| at);
    let checks = [
        (text.version == new.version, "/version", "is not the version in force."),
        (
            text.each_visit == new.booking_id.is_some(),
            "/booking_id",
            "is needed for a text that is asked for before each visit, and for no other.",
        ),
        (answered_at <= now, "/answered_at", "lies ahead."),
        (answered_at >= now - LATEST, "/answered_at", "lies more than 30 days back."),
    ];
    let wrong = checks.into_iter().filter(|(holds, ..)| !holds);
    let wrong: Vec<_> = wrong.map(|(_, field, why)| FieldError::new(field, why)).collect();
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let consent_id = ConsentId::new(now);
    let consent = StoredConsent {
        id: consent_id,
        text_id: text.id,
        code: text.code,
        version: text.version,
        booking_id: new.booking_id,
        answer: match new.answer {
            NewAnswer::Given => ConsentAnswer::Given,
            NewAnswer::Refused => ConsentAnswer::Refused,
        },
        name: recipient.cipher.seal(NAME, consent_id, new.name.as_str())?,
        answered_at,
        recorded_at: now,
        in_person,
    };
    record(work, recipient, &consent, location).await
}

/// Withdraw a consent
///
/// What was agreed to holds no longer, from now on. Again changes nothing but when it was said.
#[utoipa::path(tag = "Care", operation_id = "withdraw_consent", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("consent_id" = ConsentId, Path, description = "What was said.")), request_body = Option<Nothing>,
    responses((status = 201, description = "What is said now.", body = ConsentView)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded, TooManyConsents]))))]
#[post("/v1/me/recipients/{id}/consents/{consent_id}/withdraw")]
async fn withdraw_consent(
    app: Data<App>,
    me: As<Client>,
    Path((id, consent)): Path<(RecipientId, ConsentId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let recipient = recipients::lock(&mut work, &app.cipher, me.account(), id).await?;
        // To take back what was agreed to is never too late for whoever agreed.
        refuse_guests(&recipient)?;
        let reply = withdraw(&mut work, &recipient, consent, format!("/v1/me/recipients/{id}/consents")).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Withdraw a guest's consent
///
/// What a guest agreed to holds no longer, from now on. For the link that the guest alone was shown. Again changes nothing but when it was said.
#[utoipa::path(tag = "Care", operation_id = "withdraw_guest_consent",
    params(("token" = String, Path, description = "The secret."),
           ("consent_id" = ConsentId, Path, description = "What was said.")), request_body = Option<Nothing>,
    responses((status = 201, description = "What is said now.", body = ConsentView)),
    extensions(("x-refusals" = json!(refused![CareAnswersNeeded, TooManyConsents]))))]
#[post("/v1/care-invitations/{token}/consents/{consent_id}/withdraw")]
async fn withdraw_guest_consent(
    app: Data<App>,
    Path((token, consent)): Path<(String, ConsentId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(None).await?;
        let guest = guest_alone(&app, &mut work, &token).await?;
        let reply = withdraw(&mut work, &guest, consent, format!("/v1/care-invitations/{token}/consents")).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Records that what was said holds no longer.
async fn withdraw(work: &mut Work, recipient: &Recipient, said: ConsentId, location: String) -> Result<Reply> {
    let now = work.now();
    let before = store::consent(work, recipient.id, said).await?.ok_or(Error::NotFound)?;
    let name = recipient.cipher.open(NAME, before.id, &before.name)?;
    let withdrawal = ConsentId::new(now);
    let consent = StoredConsent {
        id: withdrawal,
        answer: ConsentAnswer::Withdrawn,
        name: recipient.cipher.seal(NAME, withdrawal, &name)?,
        answered_at: now,
        recorded_at: now,
        in_person: false,
        ..before
    };
    record(work, recipient, &consent, location).await
}

async fn record(work: &mut Work, recipient: &Recipient, consent: &StoredConsent, location: String) -> Result<Reply> {
    if store::count_since(work, recipient.id, consent.recorded_at - TimeDelta::hours(24)).await? >= MOST_A_DAY {
        return Err(Refusal::TooManyConsents.into());
    }
    store::insert(work, recipient.id, consent).await?;
    // Which text it was, and what was said to it, is the person's own.
    work.announce(Event::new("consent.record", "recipient", recipient.id)).await?;
    Reply::created(location, &ConsentView::opened(consent, recipient)?)
}
