//! What an account does with clearances: it enters them, hands them in and takes them back.

use actix_web::web::Data;
use actix_web::{get, post, put};
use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::letters::Letter;
use super::store::{self, StoredClearance};
use super::{ClearanceState, ClearanceStep, Known, MESSAGE, TERMS, Terms};
use crate::App;
use crate::accounts;
use crate::auth::{As, Client};
use crate::care::people::recipients::{self, Recipient};
use crate::care::people::refuse_guests;
use crate::care::published::{self, RuleCache};
use crate::catalogue;
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::{Event, Party, Work};
use crate::http::{IfMatch, Json, Nothing, OrDefault, Page, Paging, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, ClearanceId, RecipientId};
use crate::values::wall_clock::local_date;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_clearances).service(create_clearance).service(get_clearance).service(update_clearance);
    config.service(submit_clearance).service(withdraw_clearance);
}

/// Clearances of a recipient that have not ended, at the most.
const MOST: i64 = 20;

/// What a healthcare provider says of massage for a person.
#[derive(Serialize, ToSchema)]
#[schema(as = Clearance)]
pub(super) struct ClearanceView {
    /// The clearance's id.
    id: ClearanceId,
    /// Where it stands.
    state: ClearanceState,
    #[serde(flatten)]
    terms: Terms,
    /// Those of its rules that it lifts once it is accepted: the provider is who the rule asks for, it names what it has to, and it has not run out.
    #[schema(example = json!(["pregnant_early"]))]
    lifts: Vec<String>,
    /// What the reviewer said last.
    #[schema(example = "The second page of the letter is missing.")]
    message: Option<String>,
    /// The letters that show it, oldest first.
    letters: Vec<Letter>,
    /// When it was handed in last.
    submitted_at: Option<DateTime<Utc>>,
    /// When it was decided on last.
    decided_at: Option<DateTime<Utc>>,
    /// When it was entered.
    created_at: DateTime<Utc>,
}

/// A clearance with whose it is, opened.
pub(super) struct Opened {
    pub stored: StoredClearance,
    pub recipient: Recipient,
    pub terms: Terms,
    pub message: Option<String>,
    pub letters: Vec<Letter>,
}

impl Opened {
    pub(super) async fn read(work: &mut Work, recipient: Recipient, id: ClearanceId) -> Result<Self> {
        let stored = store::find(work, recipient.id, id).await?.ok_or(Error::NotFound)?;
        let terms = recipient.cipher.open_value(TERMS, id, &stored.terms)?;
        let message = recipient.cipher.open_any(MESSAGE, id, stored.message.as_ref())?;
        let letters = store::letters(work, id).await?.into_iter();
        let letters = letters.map(|letter| Letter::opened(letter, &recipient)).collect::<Result<_>>()?;
        Ok(Self { stored, recipient, terms, message, letters })
    }

    /// The one that the caller has, locked together with its recipient.
    pub(super) async fn lock(
        app: &App,
        work: &mut Work,
        account: AccountId,
        ids: (RecipientId, ClearanceId),
    ) -> Result<Self> {
        let recipient = recipients::lock(work, &app.cipher, account, ids.0).await?;
        refuse_guests(&recipient)?;
        Self::read(work, recipient, ids.1).await
    }

    async fn view(&self, app: &App, work: &mut Work, account: AccountId) -> Result<ClearanceView> {
        let now = work.now();
        let today = local_date(accounts::zone(&mut ***work, account).await?, now);
        let rules = app.part::<RuleCache>()?.rules(work, now).await?;
        Ok(ClearanceView {
            id: self.stored.id,
            state: self.stored.state,
            lifts: self.terms.lifts(&rules.rules, today).into_iter().collect(),
            terms: self.terms.clone(),
            message: self.message.clone(),
            letters: self.letters.clone(),
            submitted_at: self.stored.submitted_at,
            decided_at: self.stored.decided_at,
            created_at: self.stored.created_at,
        })
    }

    /// Moves it by one step, where `party` may take it now.
    ///
    /// # Errors
    /// `invalid_transition`.
    pub(super) fn step(&mut self, step: ClearanceStep, party: Party, now: DateTime<Utc>) -> Result<()> {
        let to = self.stored.state.after(step, party).ok_or(Refusal::InvalidTransition)?;
        (self.stored.state, self.stored.changed_at) = (to, now);
        if step != ClearanceStep::Claim {
            (self.stored.claimed_by, self.stored.claimed_until) = (None, None);
        }
        Ok(())
    }

    /// What happened to it. Neither what it says, nor where it stands: both are health.
    pub(super) fn event(&self, kind: &'static str) -> Event {
        Event::new(kind, "clearance", self.stored.id).with(json!({ "recipient": self.recipient.id }))
    }
}

/// Refuses terms that speak of what there is not.
pub(super) async fn refuse_unsound(
    app: &App,
    work: &mut Work,
    terms: &Terms,
    today: NaiveDate,
    at: &str,
) -> Result<()> {
    let now = work.now();
    let rules = app.part::<RuleCache>()?.rules(work, now).await?;
    let services: Vec<_> = published::services(&mut ***work).await?.into_iter().map(|(_, service)| service).collect();
    let techniques = catalogue::technique_slugs(&mut ***work).await?.into_iter().collect();
    let known = Known { rules: &rules.rules, services: &services, techniques: &techniques };
    let faults = terms.faults(&known, today, at);
    if faults.is_empty() { Ok(()) } else { Err(Error::Invalid(faults)) }
}

/// Refuses terms that lift nothing from `today` on.
pub(super) async fn refuse_useless(app: &App, work: &mut Work, terms: &Terms, today: NaiveDate) -> Result<()> {
    let now = work.now();
    let rules = app.part::<RuleCache>()?.rules(work, now).await?;
    if terms.lifts(&rules.rules, today).is_empty() { Err(Refusal::ClearanceNotValid.into()) } else { Ok(()) }
}

async fn today(work: &mut Work, account: AccountId) -> Result<NaiveDate> {
    let now = work.now();
    Ok(local_date(accounts::zone(&mut ***work, account).await?, now))
}

/// List clearances
///
/// What healthcare providers say of massage for a recipient, as it was entered, the latest first.
#[utoipa::path(tag = "Care", operation_id = "list_clearances", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."), Paging),
    responses((status = 200, description = "A page of clearances.", body = Page<ClearanceView>)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[get("/v1/me/recipients/{id}/clearances")]
async fn list_clearances(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    Query(query): Query<Paging>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let recipient = recipients::find(&mut **work, &app.cipher, me.account(), id).await?;
        refuse_guests(&recipient)?;
        let found = store::of_recipient(&mut work, id, query.after()?, query.limit.probe()).await?;
        let Page { data: ids, next_cursor } = Page::cut(found, query.limit, |id| *id)?;
        let mut data = Vec::new();
        for clearance in ids {
            let opened = Opened::read(&mut work, recipient.clone(), clearance).await?;
            data.push(opened.view(&app, &mut work, me.account()).await?);
        }
        work.commit().await?;
        Reply::ok(&Page { data, next_cursor })
    })
    .await
}

/// Enter a clearance
///
/// What a letter of a healthcare provider says, as a draft. Its letters are added to it, and then it is handed in. It counts once a reviewer has read the letter and
/// accepts it: from then on it lifts the rules that it names, within its dates and for its services, and nothing else. It is sealed under the person's own key.
#[utoipa::path(tag = "Care", operation_id = "create_clearance", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = Terms, responses((status = 201, description = "The clearance, a draft.", body = ClearanceView,
     headers(("Location" = String, description = "Where the clearance is found.")))),
    extensions(("x-refusals" = json!(refused![TooManyClearances, GuardianNeeded]))))]
#[post("/v1/me/recipients/{id}/clearances")]
async fn create_clearance(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    key: IdempotencyKey,
    Json(terms, print): Json<Terms>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/me/recipients/{id}/clearances", key, print.about(id)).await?;
        let recipient = recipients::lock(&mut work, &app.cipher, me.account(), id).await?;
        refuse_guests(&recipient)?;
        let (now, today) = (work.now(), today(&mut work, me.account()).await?);
        refuse_unsound(&app, &mut work, &terms, today, "").await?;
        if store::count_open(&mut work, id).await? >= MOST {
            return Err(Refusal::TooManyClearances.into());
        }
        let clearance = ClearanceId::new(now);
        store::insert(&mut work, clearance, id, &recipient.cipher.seal_value(TERMS, clearance, &terms)?).await?;
        let made = Opened::read(&mut work, recipient, clearance).await?;
        work.announce(made.event("clearance.create")).await?;
        let view = made.view(&app, &mut work, me.account()).await?;
        let reply = Reply::created(format!("/v1/me/recipients/{id}/clearances/{clearance}"), &view)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a clearance
///
/// One clearance of a recipient, with its letters.
#[utoipa::path(tag = "Care", operation_id = "get_clearance", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("clearance_id" = ClearanceId, Path, description = "The clearance.")),
    responses((status = 200, description = "The clearance.", body = ClearanceView)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[get("/v1/me/recipients/{id}/clearances/{clearance_id}")]
async fn get_clearance(
    app: Data<App>,
    me: As<Client>,
    Path((id, clearance)): Path<(RecipientId, ClearanceId)>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let recipient = recipients::find(&mut **work, &app.cipher, me.account(), id).await?;
        refuse_guests(&recipient)?;
        let view = Opened::read(&mut work, recipient, clearance).await?.view(&app, &mut work, me.account()).await?;
        work.commit().await?;
        Reply::ok(&view)
    })
    .await
}

/// Change a clearance
///
/// Replaces what is said of the letter, in a draft or where more was asked for.
#[utoipa::path(tag = "Care", operation_id = "update_clearance", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("clearance_id" = ClearanceId, Path, description = "The clearance."),
           ("If-Match" = String, Header, description = "The ETag of the clearance as it was read.")),
    request_body = Terms, responses((status = 200, description = "The clearance as it is now.", body = ClearanceView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, GuardianNeeded]))))]
#[put("/v1/me/recipients/{id}/clearances/{clearance_id}")]
async fn update_clearance(
    app: Data<App>,
    me: As<Client>,
    Path(ids): Path<(RecipientId, ClearanceId)>,
    if_match: IfMatch,
    Json(terms, _): Json<Terms>,
) -> Result<Reply> {
    uninterrupted(async move {
        let account = me.account();
        let mut work = app.begin(Some(account)).await?;
        let mut clearance = Opened::lock(&app, &mut work, account, ids).await?;
        if_match.check(&clearance.view(&app, &mut work, account).await?)?;
        let (now, today) = (work.now(), today(&mut work, account).await?);
        clearance.step(ClearanceStep::Edit, Party::Client, now)?;
        refuse_unsound(&app, &mut work, &terms, today, "").await?;
        clearance.stored.terms = clearance.recipient.cipher.seal_value(TERMS, ids.1, &terms)?;
        clearance.terms = terms;
        store::update(&mut work, &clearance.stored).await?;
        work.announce(clearance.event("clearance.edit")).await?;
        let view = clearance.view(&app, &mut work, account).await?;
        work.commit().await?;
        Reply::ok(&view)
    })
    .await
}

/// Hand a clearance in
///
/// Puts it into the queue of those who read letters. It needs a letter, and must lift a rule from today on.
#[utoipa::path(tag = "Care", operation_id = "submit_clearance", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("clearance_id" = ClearanceId, Path, description = "The clearance.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The clearance, handed in.", body = ClearanceView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, LetterMissing, ClearanceNotValid, GuardianNeeded]))))]
#[post("/v1/me/recipients/{id}/clearances/{clearance_id}/submit")]
async fn submit_clearance(
    app: Data<App>,
    me: As<Client>,
    Path(ids): Path<(RecipientId, ClearanceId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    take(&app, me.account(), ids, ClearanceStep::Submit, "clearance.submit").await
}

/// Take a clearance back
///
/// In any state that has not ended. One that was accepted counts no more, and the visits ahead are decided on again.
#[utoipa::path(tag = "Care", operation_id = "withdraw_clearance", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("clearance_id" = ClearanceId, Path, description = "The clearance.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The clearance, taken back.", body = ClearanceView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, GuardianNeeded]))))]
#[post("/v1/me/recipients/{id}/clearances/{clearance_id}/withdraw")]
async fn withdraw_clearance(
    app: Data<App>,
    me: As<Client>,
    Path(ids): Path<(RecipientId, ClearanceId)>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    take(&app, me.account(), ids, ClearanceStep::Withdraw, "clearance.withdraw").await
}

async fn take(
    app: &Data<App>,
    account: AccountId,
    ids: (RecipientId, ClearanceId),
    step: ClearanceStep,
    kind: &'static str,
) -> Result<Reply> {
    let app = app.clone();
    uninterrupted(async move {
        let mut work = app.begin(Some(account)).await?;
        let mut clearance = Opened::lock(&app, &mut work, account, ids).await?;
        let (now, today) = (work.now(), today(&mut work, account).await?);
        clearance.step(step, Party::Client, now)?;
        if step == ClearanceStep::Submit {
            if clearance.letters.is_empty() {
                return Err(Refusal::LetterMissing.into());
            }
            refuse_useless(&app, &mut work, &clearance.terms, today).await?;
            clearance.stored.submitted_at = Some(now);
        }
        store::update(&mut work, &clearance.stored).await?;
        work.announce(clearance.event(kind)).await?;
        let view = clearance.view(&app, &mut work, account).await?;
        work.commit().await?;
        Reply::ok(&view)
    })
    .await
}
