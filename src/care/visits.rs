//! Whether a visit suits the person whom it is for: what searches, bookings and their steps ask.

mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgPool};
use utoipa::ToSchema;

use super::answers::{BORN_ON, Facts};
use super::body::RegionSet;
use super::consents;
use super::consultations::{self, Consultation, Content, Signed, Signers};
use super::decide::{Age, Asked, Clearance, Decision, Limits, Outcome, ServiceProfile, alternatives, decide};
use super::disclosures;
use super::people::facts::{self, Answered, Told};
use super::people::recipients::{self, Recipient};
use super::published::{self, CareMode, CareTerms, PublishedRules, RuleCache};
use super::questions::Purpose;
use crate::App;
use crate::error::{CareInstead, CareRefused, Error, FieldError, Refusal, Result};
use crate::events::Work;
use crate::ids::{AccountId, BookingId, RecipientId, ServiceId, TherapistId};
use crate::values::{Jurisdiction, Pressure};

/// The column of proofs, to which they are sealed.
pub(super) const PROOF: &str = "booking_care.proof";

/// What is asked of care for a visit.
#[derive(Clone, Copy, Debug)]
pub struct CareQuery<'a> {
    /// Who books.
    pub account: AccountId,
    /// For whom; the account's holder, unless said.
    pub recipient: Option<RecipientId>,
    /// What is booked.
    pub service: ServiceId,
    /// Minutes on the table.
    pub minutes: i16,
    /// The pressure, if one was chosen.
    pub pressure: Option<Pressure>,
    /// Where it is.
    pub place: &'a Jurisdiction,
    /// The visit, once it is booked, with who carries it out: what is agreed on and signed for it decides as well.
    pub visit: Option<(BookingId, TherapistId)>,
}

/// What decides on visits of one person with one service, day by day.
pub struct VisitCare {
    /// The person; none where nothing is known of anyone, and answers are asked for.
    recipient: Option<Recipient>,
    rules: Arc<PublishedRules>,
    told: Told,
    service: ServiceProfile,
    services: Vec<ServiceProfile>,
    pressure: Option<Pressure>,
    techniques: Vec<String>,
    regions: RegionSet,
    minutes: i16,
    places: Vec<String>,
    terms: CareTerms,
    /// The texts that the person agrees to, by code.
    consents: BTreeSet<String>,
    /// How far the consultation is signed.
    signed: Signed,
    /// The questionnaires of health that are put there, with the version that is in force.
    put: Vec<(String, i32)>,
    /// What was decided, by the first and the last date of a visit at its place: a search asks the same for every start of a day.
    decided: Mutex<BTreeMap<(NaiveDate, NaiveDate), Arc<Verdict>>>,
}

/// What comes of a visit on some dates.
#[derive(Debug)]
struct Verdict {
    decision: Decision,
    /// Which fields go beyond what suits, where the rest does: JSON pointers.
    exceeded: Vec<&'static str>,
    /// Why the visit cannot be booked; none where it can.
    refusal: Option<Refusal>,
}

/// What of a visit bears on whether it may begin.
#[derive(Clone, Copy, Debug)]
pub struct ToBegin {
    /// When it is to begin.
    pub start: DateTime<Utc>,
    /// The first and the last date of it, at its place.
    pub dates: (NaiveDate, NaiveDate),
    /// When its client last said that nothing has changed since the answers.
    pub confirmed_at: Option<DateTime<Utc>>,
}

/// Where a visit stands with the person whom it is for. It says nothing of their health but whether the visit suits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CareStanding)]
pub enum Standing {
    /// Nothing was answered, and nothing has to be.
    NotAsked,
    /// The questions must be answered before it begins.
    AnswersNeeded,
    /// The client must say before it begins whether anything has changed.
    ConfirmationNeeded,
    /// The person must agree to something before it begins.
    ConsentNeeded,
    /// Client and therapist must sign the consultation before it begins.
    SignatureNeeded,
    /// It may take place, as it is or within limits.
    Suits,
    /// It may not take place.
    DoesNotSuit,
}

impl std::fmt::Debug for VisitCare {
    /// Without anything of the person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VisitCare").finish_non_exhaustive()
    }
}

/// Why a visit was taken to suit a person: with the answers in its hits and the clearances alone, the same rules hold again.
#[derive(Debug, Serialize, Deserialize)]
struct Proof {
    rules_version: i32,
    service: String,
    pressure: Option<Pressure>,
    minutes: i16,
    places: Vec<String>,
    first: NaiveDate,
    last: NaiveDate,
    /// What was accepted of healthcare providers' words.
    #[serde(default)]
    clearances: Vec<Clearance>,
    #[serde(default)]
    techniques: Vec<String>,
    #[serde(default)]
    regions: RegionSet,
    decision: Decision,
}

/// What is agreed on and signed for a visit.
#[derive(Default)]
struct Agreed {
    content: Option<Content>,
    consents: BTreeSet<String>,
    signed: Signed,
}

impl Agreed {
    async fn read(
        db: &mut PgConnection,
        recipient: &Recipient,
        visit: BookingId,
        signers: Signers,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let consents = consents::given(&mut *db, recipient.id, visit, now).await?;
        let latest = consultations::latest(&mut *db, recipient, visit, signers).await?;
        let mut signed = latest.as_ref().map_or(Signed::Missing, Consultation::signed);
        let content = latest.map(|latest| latest.content);
        if signed != Signed::ByBoth
            && consultations::signed_before(db, recipient, visit, (signers, content.as_ref())).await?
        {
            signed = Signed::ByBoth;
        }
        Ok(Self { content, consents, signed })
    }
}

impl VisitCare {
    /// What it refuses with.
    pub const REFUSALS: &[Refusal] = &[
        Refusal::CareAnswersNeeded,
        Refusal::CareClearanceNeeded,
        Refusal::CareNotNow,
        Refusal::CareNotSuitable,
        Refusal::CareLimitsExceeded,
        Refusal::CareSeekHelp,
        Refusal::RecipientTooYoung,
    ];

    /// What anyone but the person's own account is told of that.
    pub const TO_OTHERS: &[Refusal] = &[
        Refusal::CareAnswersNeeded,
        Refusal::CareConfirmationNeeded,
        Refusal::CareNotSuitable,
        Refusal::ConsentNeeded,
        Refusal::SignatureNeeded,
        Refusal::SignatureVoid,
    ];

    /// Reads what decides; none where nothing can speak against the visit, because the place asks for nothing, or because nothing was answered
    /// and nothing has to be.
    pub async fn read(
        app: &App,
        db: &mut PgConnection,
        query: CareQuery<'_>,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>> {
        Self::read_under(app, db, query, (now, None)).await
    }

    /// The same, by other rules than those in force.
    pub async fn read_under(
        app: &App,
        db: &mut PgConnection,
        query: CareQuery<'_>,
        (now, rules): (DateTime<Utc>, Option<Arc<PublishedRules>>),
    ) -> Result<Option<Self>> {
        let places = query.place.chain();
        let recipient = recipients::named(&mut *db, &app.cipher, query.account, query.recipient).await?;
        let terms = published::policy(&mut *db, &places, now).await?;
        let told = match &recipient {
            Some(recipient) if terms.mode != CareMode::Off => facts::of(db, recipient, terms.answers_last_days).await?,
            _ => Told::default(),
        };
        let asks = matches!(terms.mode, CareMode::BeforeStart | CareMode::BeforeBooking);
        let mut agreed = Agreed::default();
        if let (Some((visit, therapist)), Some(recipient)) = (query.visit, &recipient)
            && terms.mode != CareMode::Off
        {
            agreed = Agreed::read(
                db,
                recipient,
                visit,
                Signers { client: query.account, therapist, service: query.service },
                now,
            )
            .await?;
        }
        let is_signed = terms.signed_consultation && terms.mode != CareMode::Off;
        let rules = match rules {
            Some(rules) => rules,
            None => app.part::<RuleCache>()?.rules(&mut *db, now).await?,
        };
        // Who has told nothing, not even their age, may be too young.
        let asks_for_age = terms.mode != CareMode::Off && rules.ask_for_age();
        let is_untold = told.facts.iter().next().is_none() && agreed.content.is_none();
        if !asks && !is_signed && !asks_for_age && is_untold {
            return Ok(None);
        }
        let put = if asks { put(db, &places, query.service, now).await? } else { Vec::new() };
        let services = published::services(&mut *db).await?;
        let service = services.iter().find(|(id, _)| *id == query.service).map(|(_, profile)| profile.clone());
        let mut care = Self {
            recipient,
            rules,
            told,
            service: service.ok_or(Error::NotFound)?,
            services: services.into_iter().map(|(_, profile)| profile).collect(),
            pressure: query.pressure,
            techniques: Vec::new(),
            regions: RegionSet::default(),
            minutes: query.minutes,
            places,
            terms,
            consents: agreed.consents,
            signed: agreed.signed,
            put,
            decided: Mutex::default(),
        };
        if let Some(content) = &agreed.content {
            care.wish(content);
        }
        Ok(Some(care))
    }

    /// Decides on what is agreed on, instead of the service as such: on the firmer pressure, where another one was booked.
    pub fn wish(&mut self, content: &Content) {
        self.pressure = content.pressure.max(self.pressure);
        self.techniques = content.techniques.iter().cloned().collect();
        self.regions = content.regions.focus;
        self.decided = Mutex::default();
    }

    fn asked_at(&self, pressure: Option<Pressure>) -> Asked<'_> {
        Asked {
            service: &self.service,
            techniques: &self.techniques,
            pressure,
            minutes: self.minutes,
            regions: self.regions,
            place: &self.places,
        }
    }

    fn verdict(&self, first: NaiveDate, last: NaiveDate) -> Arc<Verdict> {
        let mut decided = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        decided.entry((first, last)).or_insert_with(|| Arc::new(self.judge(first, last))).clone()
    }

    fn judge(&self, first: NaiveDate, last: NaiveDate) -> Verdict {
        let asked = self.asked_at(self.pressure);
        let on = |date, asked| decide(&self.rules.rules, &self.told.facts, &self.told.clearances, asked, date);
        let nights = first.iter_days().skip(1).take_while(|date| *date <= last);
        let decision = nights.fold(on(first, &asked), |joined, date| joined.with_next_day(on(date, &asked)));
        let exceeded = match decision.outcome {
            Outcome::Suitable | Outcome::Adapted => decision.limits.exceeded_alone(&asked),
            // Rules can speak against a pressure that was chosen, and not against the service as such.
            _ if self.pressure.is_some() && on(first, &self.asked_at(None)).outcome <= Outcome::Adapted => {
                vec!["/pressure"]
            }
            _ => Vec::new(),
        };
        let age = if decision.limits.empty(&asked) { None } else { self.rules.rules.are_for_older(&decision) };
        let refusal = match decision.outcome {
            _ if !exceeded.is_empty() => Some(Refusal::CareLimitsExceeded),
            Outcome::Emergency | Outcome::Urgent => Some(Refusal::CareSeekHelp),
            Outcome::Refused => Some(match age {
                Some(Age::TooYoung) => Refusal::RecipientTooYoung,
                Some(Age::Unknown) => Refusal::CareAnswersNeeded,
                None => Refusal::CareNotSuitable,
            }),
            Outcome::NotNow => Some(Refusal::CareNotNow),
            Outcome::ClearanceNeeded => Some(Refusal::CareClearanceNeeded),
            Outcome::Suitable | Outcome::Adapted => {
                let is_missing = self.terms.mode == CareMode::BeforeBooking && !self.is_answered(last);
                is_missing.then_some(Refusal::CareAnswersNeeded)
            }
        };
        Verdict { decision, exceeded, refusal }
    }

    /// The decision for a visit that lies on these dates, at its place.
    pub fn decision(&self, first: NaiveDate, last: NaiveDate) -> Decision {
        self.verdict(first, last).decision.clone()
    }

    /// The training that the person needs of a therapist on `date`, by code.
    pub fn training(&self, date: NaiveDate) -> BTreeSet<String> {
        self.verdict(date, date).decision.needs.credentials.clone()
    }

    /// Whether every questionnaire of health that is put there is answered for a visit on `date`.
    fn is_answered(&self, date: NaiveDate) -> bool {
        self.put.iter().all(|(code, version)| {
            let is_last = |last: &&Answered| last.code == *code && last.version == *version;
            let last = self.told.answered.iter().find(is_last);
            last.is_some_and(|last| (date - last.on).num_days() < i64::from(self.terms.answers_last_days))
        })
    }

    /// Why the visit cannot be booked for these dates; none where it can.
    pub fn refusal(&self, first: NaiveDate, last: NaiveDate) -> Option<Refusal> {
        self.verdict(first, last).refusal
    }

    /// Whether a visit that is booked still suits the person on these dates. Limits do not speak against it, because its therapist keeps to
    /// them, nor does a pressure that was chosen before; nor does it that answers are missing, until it begins.
    pub fn suits(&self, first: NaiveDate, last: NaiveDate) -> bool {
        let verdict = self.verdict(first, last);
        verdict.decision.outcome <= Outcome::Adapted || !verdict.exceeded.is_empty()
    }

    /// Whether what is agreed on suits the person on these dates, in every respect.
    pub fn suits_as_wished(&self, first: NaiveDate, last: NaiveDate) -> bool {
        let verdict = self.verdict(first, last);
        verdict.decision.outcome <= Outcome::Adapted && verdict.exceeded.is_empty()
    }

    /// The texts that the person has still to agree to for a visit on these dates, by code.
    pub fn consents_missing(&self, first: NaiveDate, last: NaiveDate) -> BTreeSet<String> {
        self.verdict(first, last).decision.needs.consents.difference(&self.consents).cloned().collect()
    }

    /// Where a visit stands.
    pub fn standing(&self, visit: &ToBegin) -> Standing {
        match self.refusal_to_begin(visit) {
            Some(Refusal::CareAnswersNeeded) => Standing::AnswersNeeded,
            Some(Refusal::CareConfirmationNeeded) => Standing::ConfirmationNeeded,
            Some(Refusal::ConsentNeeded) => Standing::ConsentNeeded,
            Some(Refusal::SignatureNeeded | Refusal::SignatureVoid) => Standing::SignatureNeeded,
            Some(_) => Standing::DoesNotSuit,
            None => Standing::Suits,
        }
    }

    /// From when on before a visit that starts then its client is asked whether anything has changed.
    pub fn confirm_from(&self, start: DateTime<Utc>) -> DateTime<Utc> {
        start - TimeDelta::hours(self.terms.confirm_hours.into())
    }

    /// Why a visit cannot begin; none where it can. What it is is the person's own, so that others are told the least.
    pub fn refusal_to_begin(&self, visit: &ToBegin) -> Option<Refusal> {
        let (first, last) = visit.dates;
        if !self.suits(first, last) {
            return Some(Refusal::CareNotSuitable);
        }
        if matches!(self.terms.mode, CareMode::BeforeStart | CareMode::BeforeBooking) {
            if !self.is_answered(last) {
                return Some(Refusal::CareAnswersNeeded);
            }
            let from = self.confirm_from(visit.start);
            let is_fresh = self.told.answered.iter().any(|last| last.on >= from.date_naive());
            if !is_fresh && visit.confirmed_at.is_none_or(|at| at < from) {
                return Some(Refusal::CareConfirmationNeeded);
            }
        }
        if !self.consents_missing(first, last).is_empty() {
            return Some(Refusal::ConsentNeeded);
        }
        match self.signed {
            Signed::ByBoth => None,
            _ if !self.terms.signed_consultation => None,
            Signed::Void => Some(Refusal::SignatureVoid),
            Signed::Missing => Some(Refusal::SignatureNeeded),
        }
    }

    /// The refusal of a visit on these dates, as whoever asks is told of it: in full where they answer for the person, and else that it does not
    /// suit.
    pub fn error(&self, first: NaiveDate, last: NaiveDate, by_account: bool) -> Error {
        let verdict = self.verdict(first, last);
        let refusal = verdict.refusal.unwrap_or(Refusal::CareNotSuitable);
        if !by_account || !self.is_accounts_own(first) {
            return untold(refusal).into();
        }
        let asked = self.asked_at(self.pressure);
        let others = match refusal {
            Refusal::CareSeekHelp => Vec::new(),
            _ => {
                alternatives(&self.rules.rules, &self.told.facts, &self.told.clearances, &asked, first, &self.services)
            }
        };
        let care = CareInstead {
            advice: verdict.decision.advice.iter().map(|advice| advice.text.clone()).collect(),
            not_before: verdict.decision.not_before,
            alternatives: others.into_iter().map(|other| other.service).collect(),
        };
        let beyond = |pointer: &&'static str| FieldError::new(*pointer, "goes beyond what suits.");
        let mut errors: Vec<_> = verdict.exceeded.iter().map(beyond).collect();
        if refusal == Refusal::CareAnswersNeeded && verdict.decision.needs.questions.contains(BORN_ON) {
            errors.push(FieldError::new("/recipient_id", "has told no date of birth, which is needed here."));
        }
        Error::RefusedCare(refusal, Box::new(CareRefused { errors, care }))
    }

    /// Whether the account answers for the person on `date`: for oneself or a minor. Another adult's health is that person's own.
    pub fn is_accounts_own(&self, date: NaiveDate) -> bool {
        self.recipient.as_ref().is_none_or(|recipient| recipient.is_accounts_own(&self.terms, date))
    }

    /// Writes down why the visit was taken to suit the person; nothing where nothing is known of anyone.
    pub async fn record(
        &self,
        work: &mut Work,
        booking: BookingId,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Result<()> {
        let Some(recipient) = &self.recipient else { return Ok(()) };
        let proof = Proof {
            rules_version: self.rules.version,
            service: self.service.slug.clone(),
            pressure: self.pressure,
            minutes: self.minutes,
            places: self.places.clone(),
            first,
            last,
            clearances: self.told.clearances.clone(),
            techniques: self.techniques.clone(),
            regions: self.regions,
            decision: self.decision(first, last),
        };
        let sealed = recipient.cipher.seal_value(PROOF, booking, &proof)?;
        store::insert_proof(work, booking, recipient.id, self.rules.id, &sealed).await
    }

    /// Writes down that the therapist was shown the sheet of a visit.
    pub async fn record_look(&self, work: &mut Work, booking: BookingId, by: AccountId) -> Result<()> {
        match &self.recipient {
            Some(recipient) => disclosures::record_look(work, recipient, booking, by).await,
            None => Ok(()),
        }
    }

    /// Whether its limits, or what its therapist is told, are others than when it was decided on last.
    pub async fn changes_sheet(
        &self,
        work: &mut Work,
        booking: BookingId,
        (first, last): (NaiveDate, NaiveDate),
    ) -> Result<bool> {
        let Some(recipient) = &self.recipient else { return Ok(false) };
        let decision = self.decision(first, last);
        let before = match store::last_proof(work, booking, recipient.id).await? {
            Some(sealed) => recipient.cipher.open_value::<Proof>(PROOF, booking, &sealed)?.decision,
            None => decide(&self.rules.rules, &Facts::default(), &[], &self.asked_at(self.pressure), first),
        };
        Ok(before.limits != decision.limits || before.sheet != decision.sheet)
    }
}

/// What applied to a person when a visit was decided on last, which is when it began where it has; none where nothing was known of them.
pub async fn limits_at_last(work: &mut Work, person: &Recipient, booking: BookingId) -> Result<Option<Limits>> {
    let last = store::last_proof(work, booking, person.id).await?;
    let proof = last.map(|sealed| person.cipher.open_value::<Proof>(PROOF, booking, &sealed)).transpose()?;
    Ok(proof.map(|proof| proof.decision.limits))
}

/// How much a place asks of a person's health.
pub async fn care_mode(db: &mut PgConnection, place: &Jurisdiction, now: DateTime<Utc>) -> Result<CareMode> {
    Ok(published::policy(db, &place.chain(), now).await?.mode)
}

/// The account whose holder a recipient is; none where they are someone else to it.
pub async fn account_of_oneself(db: &mut PgConnection, id: RecipientId) -> Result<Option<AccountId>> {
    store::account_of_oneself(db, id).await
}

/// Those of these accounts that have entered their holders as recipients.
pub async fn who_entered_oneself(db: &PgPool, accounts: &[AccountId]) -> Result<Vec<AccountId>> {
    store::who_entered_oneself(db, accounts).await
}

/// When a policy or rules take effect next that are known at `now`, wherever they hold.
pub async fn next_care_change(db: &mut PgConnection, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    published::next_change(db, now).await
}

/// Whether an account has this recipient.
pub async fn is_recipient(db: &mut PgConnection, account: AccountId, id: RecipientId) -> Result<bool> {
    recipients::is_known(db, account, id).await
}

/// What anyone may be told of a refusal: neither of health, nor how bad it is.
fn untold(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::CareAnswersNeeded => refusal,
        _ => Refusal::CareNotSuitable,
    }
}

/// The questionnaires of health that are put at a place for a service, with their versions.
async fn put(
    db: &mut PgConnection,
    places: &[String],
    service: ServiceId,
    now: DateTime<Utc>,
) -> Result<Vec<(String, i32)>> {
    let all = published::questionnaires(db, now).await?.into_iter();
    let put =
        all.filter(|(one, uses)| one.purpose == Purpose::Health && published::is_put(uses, places, Some(service)));
    Ok(put.map(|(one, _)| (one.code, one.version)).collect())
}
