//! Whom a client books visits for.

use std::collections::HashMap;

use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::answering::is_accounts_own_today;
use super::invitations::refuse_guests;
use super::{facts, keys, store};
use crate::App;
use crate::accounts;
use crate::auth::{As, Client};
use crate::care::published::{self, CareTerms, policy};
use crate::cipher::{Cipher, Sealed};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{IfMatch, Json, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, RecipientId};
use crate::values::wall_clock::local_date;
use crate::values::{DisplayName, IssueDay, present};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_recipients).service(create_recipient).service(get_recipient);
    config.service(update_recipient).service(delete_recipient);
}

/// How many recipients an account keeps.
const MOST: usize = 20;

/// The column of profiles, to which they are sealed.
pub(in crate::care) const PROFILE: &str = "recipients.profile";

/// Who a recipient is to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Relation {
    /// Oneself.
    #[serde(rename = "self")]
    #[sqlx(rename = "self")]
    Oneself,
    /// A child.
    Child,
    /// A partner.
    Partner,
    /// A parent.
    Parent,
    /// Someone else.
    Other,
}

/// A recipient as it is kept.
pub(super) struct StoredRecipient {
    pub id: RecipientId,
    pub account: AccountId,
    pub relation: Relation,
    pub profile: Sealed,
    pub key: Sealed,
    pub created_at: DateTime<Utc>,
    /// Whether a clearance was accepted.
    pub is_cleared: bool,
    /// Whether they answered for themself, as a guest.
    pub answers_alone: bool,
}

/// What tells who a person is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Profile {
    /// None for oneself, whose name is the account's.
    pub display_name: Option<String>,
    pub born_on: Option<NaiveDate>,
}

/// A recipient, opened.
#[derive(Clone)]
pub struct Recipient {
    pub id: RecipientId,
    /// Who books for them.
    pub account: AccountId,
    pub relation: Relation,
    pub born_on: Option<NaiveDate>,
    pub cipher: Cipher,
    /// Whether a clearance was accepted.
    pub is_cleared: bool,
    /// Whether they answered for themself, as a guest: then the account sees states alone.
    pub answers_alone: bool,
    display_name: Option<String>,
    pub(in crate::care) created_at: DateTime<Utc>,
}

impl Recipient {
    fn opened(stored: StoredRecipient, cipher: &Cipher) -> Result<Self> {
        let own = keys::open(cipher, stored.id, &stored.key)?;
        let Profile { display_name, born_on } = own.open_value(PROFILE, stored.id, &stored.profile)?;
        let StoredRecipient { id, account, relation, created_at, is_cleared, answers_alone, .. } = stored;
        Ok(Self { id, account, relation, born_on, cipher: own, is_cleared, answers_alone, display_name, created_at })
    }

    /// Whether the account answers for the person: for its holder, or a minor.
    pub fn is_accounts_own(&self, terms: &CareTerms, today: NaiveDate) -> bool {
        self.relation == Relation::Oneself || (!self.answers_alone && self.is_minor(terms, today))
    }

    /// Whether the account can agree and sign for the person: the holder for themself, and a guardian for a minor.
    pub fn may_sign(&self, terms: &CareTerms, today: NaiveDate) -> bool {
        !self.answers_alone && (self.relation == Relation::Oneself) != self.is_minor(terms, today)
    }

    /// The name; the account's own where they are its holder.
    pub async fn name(&self, db: &mut sqlx::PgConnection) -> Result<String> {
        match &self.display_name {
            Some(name) => Ok(name.clone()),
            None => Ok(accounts::names(db, &[self.account]).await?.remove(&self.account).unwrap_or_default()),
        }
    }

    fn profile(&self) -> Result<Sealed> {
        let profile = Profile { display_name: self.display_name.clone(), born_on: self.born_on };
        self.cipher.seal_value(PROFILE, self.id, &profile)
    }

    /// Whether the account answers for a minor.
    pub fn is_minor(&self, terms: &CareTerms, today: NaiveDate) -> bool {
        let years = self.born_on.and_then(|born| today.years_since(born));
        years.is_some_and(|years| i64::from(years) < i64::from(terms.adult_age))
    }
}

/// A recipient of anyone's, opened.
pub async fn anyone<'c>(db: impl sqlx::PgExecutor<'c>, cipher: &Cipher, id: RecipientId) -> Result<Recipient> {
    Recipient::opened(store::anyone(db, id).await?.ok_or(Error::NotFound)?, cipher)
}

/// What seals and opens with a person's own key.
pub async fn cipher_of(db: &mut sqlx::PgConnection, cipher: &Cipher, id: RecipientId) -> Result<Cipher> {
    Ok(anyone(db, cipher, id).await?.cipher)
}

/// One of the caller's recipients, opened.
pub async fn find<'c>(
    db: impl sqlx::PgExecutor<'c>,
    cipher: &Cipher,
    account: AccountId,
    id: RecipientId,
) -> Result<Recipient> {
    Recipient::opened(store::recipient(db, account, id).await?.ok_or(Error::NotFound)?, cipher)
}

/// The recipient of an account that is named, or the one for oneself; none where there is none, or no more.
pub async fn named(
    db: &mut sqlx::PgConnection,
    cipher: &Cipher,
    account: AccountId,
    id: Option<RecipientId>,
) -> Result<Option<Recipient>> {
    let found = match id {
        Some(id) => store::recipient(db, account, id).await?,
        None => store::oneself(db, account).await?,
    };
    found.map(|stored| Recipient::opened(stored, cipher)).transpose()
}

/// The same; of oneself one is made where there is none.
pub async fn named_or_oneself(
    work: &mut Work,
    cipher: &Cipher,
    account: AccountId,
    id: Option<RecipientId>,
) -> Result<Option<Recipient>> {
    if id.is_none() {
        all(work, cipher, account).await?;
    }
    named(work, cipher, account, id).await
}

/// Whether an account has this recipient.
pub async fn is_known(db: &mut sqlx::PgConnection, account: AccountId, id: RecipientId) -> Result<bool> {
    Ok(store::recipient(db, account, id).await?.is_some())
}

/// The same, locked: what is answered of one person goes one after the other.
pub async fn lock(work: &mut Work, cipher: &Cipher, account: AccountId, id: RecipientId) -> Result<Recipient> {
    work.lock(id.0).await?;
    find(&mut ***work, cipher, account, id).await
}

/// Whether the questions of health were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CareState {
    /// Not yet.
    Unanswered,
    /// Questions have changed, or the answers have grown too old.
    Outdated,
    /// They were.
    Answered,
}

/// Whom visits are for.
#[derive(Serialize, ToSchema)]
#[schema(as = Recipient)]
struct RecipientView {
    /// The recipient's id.
    id: RecipientId,
    /// Who it is to the account.
    relation: Relation,
    /// The name; the account's own for oneself.
    #[schema(example = "Ana Chen")]
    display_name: String,
    /// The date of birth.
    born_on: Option<NaiveDate>,
    /// Whether the account answers as guardian of a minor.
    #[schema(example = false)]
    guardian: bool,
    /// Whether the questions of health were answered. It says nothing of the answers.
    care_state: CareState,
    /// When it was added.
    created_at: DateTime<Utc>,
}

/// What views of an account's recipients need besides.
struct Frame {
    own_name: String,
    today: NaiveDate,
    terms: CareTerms,
    /// The version of each questionnaire that is put everywhere.
    versions: Vec<(String, i32)>,
}

impl Frame {
    async fn read(conn: &mut sqlx::PgConnection, account: AccountId, now: DateTime<Utc>) -> Result<Self> {
        let own_name = accounts::names(&mut *conn, &[account]).await?.remove(&account).unwrap_or_default();
        let today = local_date(accounts::zone(&mut *conn, account).await?, now);
        let terms = policy(&mut *conn, &[], now).await?;
        let put = published::questionnaires(&mut *conn, now).await?;
        let put = put.into_iter().filter(|(_, uses)| uses.is_empty());
        let health = put.filter(|(one, _)| one.purpose == crate::care::questions::Purpose::Health);
        let versions = health.map(|(one, _)| (one.code, one.version)).collect();
        Ok(Self { own_name, today, terms, versions })
    }

    async fn care_state(&self, conn: &mut sqlx::PgConnection, recipient: RecipientId) -> Result<CareState> {
        let answered = facts::answered(conn, recipient).await?;
        let lasts = i64::from(self.terms.answers_last_days);
        let is_current = |(code, version): &(String, i32)| {
            let latest = answered.iter().find(|known| known.code == *code);
            latest.is_some_and(|last| last.version == *version && (self.today - last.on).num_days() < lasts)
        };
        Ok(if answered.is_empty() {
            CareState::Unanswered
        } else if self.versions.iter().all(is_current) {
            CareState::Answered
        } else {
            CareState::Outdated
        })
    }

    async fn view(&self, conn: &mut sqlx::PgConnection, recipient: &Recipient) -> Result<RecipientView> {
        let care_state = self.care_state(conn, recipient.id).await?;
        Ok(RecipientView {
            id: recipient.id,
            relation: recipient.relation,
            display_name: recipient.display_name.clone().unwrap_or_else(|| self.own_name.clone()),
            born_on: recipient.born_on,
            guardian: recipient.relation != Relation::Oneself && recipient.is_minor(&self.terms, self.today),
            care_state,
            created_at: recipient.created_at,
        })
    }
}

/// Whether a recipient's questions of health were answered.
pub(super) async fn care_state(work: &mut Work, recipient: &Recipient) -> Result<CareState> {
    let now = work.now();
    Frame::read(work, recipient.account, now).await?.care_state(work, recipient.id).await
}

/// A recipient to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRecipient {
    /// Not `self`, which is there.
    relation: Relation,
    display_name: DisplayName,
    /// The date of birth, which a child needs.
    born_on: Option<IssueDay>,
}

/// Stores a recipient, unless the account has as many as it may.
async fn add(
    work: &mut Work,
    cipher: &Cipher,
    account: AccountId,
    (relation, profile): (Relation, Profile),
) -> Result<Recipient> {
    let now = work.now();
    let id = RecipientId::new(now);
    let (own, key) = keys::generate(cipher, id)?;
    let profile = own.seal_value(PROFILE, id, &profile)?;
    let stored = StoredRecipient {
        id,
        account,
        relation,
        profile,
        key,
        created_at: now,
        is_cleared: false,
        answers_alone: false,
    };
    store::insert(&mut ***work, &stored).await?;
    // Ids alone: who the person is to the account is nobody else's business.
    work.announce(Event::new("recipient.create", "recipient", id)).await?;
    Recipient::opened(stored, cipher)
}

/// The recipients of an account. The one for oneself is made when it is asked for first.
async fn all(work: &mut Work, cipher: &Cipher, account: AccountId) -> Result<Vec<Recipient>> {
    let mut found = store::recipients(&mut ***work, account).await?;
    if !found.iter().any(|recipient| recipient.relation == Relation::Oneself) {
        work.lock(account.0).await?;
        found = store::recipients(&mut ***work, account).await?;
        if !found.iter().any(|recipient| recipient.relation == Relation::Oneself) {
            add(work, cipher, account, (Relation::Oneself, Profile::default())).await?;
            found = store::recipients(&mut ***work, account).await?;
        }
    }
    found.into_iter().map(|stored| Recipient::opened(stored, cipher)).collect()
}

/// What opens what is sealed of each whom an account has entered, and whether the account is told of their health.
pub async fn keys_of(app: &App, work: &mut Work, account: AccountId) -> Result<HashMap<RecipientId, (Cipher, bool)>> {
    let mut keys = HashMap::new();
    for stored in store::recipients(&mut ***work, account).await? {
        let person = Recipient::opened(stored, &app.cipher)?;
        let is_told = is_accounts_own_today(work, &person).await?;
        keys.insert(person.id, (person.cipher, is_told));
    }
    Ok(keys)
}

/// List recipients
///
/// Whom the caller books visits for, oneself first; at most 20.
#[utoipa::path(tag = "Care", operation_id = "list_recipients", security(("bearer" = ["client"])), params(Part),
    responses((status = 200, description = "The recipients.", body = Page<RecipientView>)))]
#[get("/v1/me/recipients")]
async fn list_recipients(app: Data<App>, me: As<Client>, Query(part): Query<Part>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let recipients = all(&mut work, &app.cipher, me.account()).await?;
        let now = work.now();
        let frame = Frame::read(&mut work, me.account(), now).await?;
        let mut views = Vec::new();
        for recipient in &recipients {
            views.push(frame.view(&mut work, recipient).await?);
        }
        work.commit().await?;
        Reply::ok(&Page::part(views, &part)?)
    })
    .await
}

/// Refuses a date of birth that lies ahead, and a child without one.
fn refuse_unborn(relation: Relation, born_on: Option<NaiveDate>, today: NaiveDate) -> Result<()> {
    match born_on {
        None if relation == Relation::Child => Err(FieldError::new("/born_on", "is needed for a child.").into()),
        Some(born) if born > today => Err(FieldError::new("/born_on", "lies ahead.").into()),
        _ => Ok(()),
    }
}

/// Add a recipient
///
/// A child, a partner or someone else whom the caller books visits for. What is said of a person is sealed under a key of that person's own.
#[utoipa::path(tag = "Care", operation_id = "create_recipient", security(("bearer" = ["client"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewRecipient, responses((status = 201, description = "The recipient.", body = RecipientView,
     headers(("Location" = String, description = "Where the recipient is found.")))),
    extensions(("x-refusals" = json!(refused![TooManyRecipients]))))]
#[post("/v1/me/recipients")]
async fn create_recipient(
    app: Data<App>,
    me: As<Client>,
    key: IdempotencyKey,
    Json(new, print): Json<NewRecipient>,
) -> Result<Reply> {
    uninterrupted(async move {
        let account = me.account();
        let mut work = app.begin(Some(account)).await?;
        let once = Once::claim(&mut work, "POST /v1/me/recipients", key, print).await?;
        if new.relation == Relation::Oneself {
            return Err(FieldError::new("/relation", "cannot be `self`, which is there already.").into());
        }
        work.lock(account.0).await?;
        let now = work.now();
        let frame = Frame::read(&mut work, account, now).await?;
        let born_on = new.born_on.map(|IssueDay(date)| date);
        refuse_unborn(new.relation, born_on, frame.today)?;
        if store::recipients(&mut **work, account).await?.len() >= MOST {
            return Err(Refusal::TooManyRecipients.into());
        }
        let profile = Profile { display_name: Some(new.display_name.as_str().to_owned()), born_on };
        let recipient = add(&mut work, &app.cipher, account, (new.relation, profile)).await?;
        let view = frame.view(&mut work, &recipient).await?;
        let reply = Reply::created(format!("/v1/me/recipients/{}", recipient.id), &view)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show a recipient
///
/// One of the caller's recipients.
#[utoipa::path(tag = "Care", operation_id = "get_recipient", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient.")),
    responses((status = 200, description = "The recipient.", body = RecipientView)))]
#[get("/v1/me/recipients/{id}")]
async fn get_recipient(app: Data<App>, me: As<Client>, Path(id): Path<RecipientId>) -> Result<Reply> {
    let mut conn = app.db.acquire().await?;
    let recipient = find(&mut *conn, &app.cipher, me.account(), id).await?;
    let frame = Frame::read(&mut conn, me.account(), app.clock.now()).await?;
    Reply::ok(&frame.view(&mut conn, &recipient).await?)
}

/// The age from which on a person is of age wherever a policy holds.
const OF_AGE_EVERYWHERE: u32 = 21;

/// Whether a date of birth can be told otherwise than before. An account answers for minors and learns nothing of adults, so that nobody becomes younger
/// by being told of anew, and who was entered without a date was of age then.
fn is_told_better(before: Option<NaiveDate>, now: Option<NaiveDate>, entered: DateTime<Utc>) -> bool {
    match (before, now) {
        (Some(before), Some(now)) => now <= before,
        (None, Some(now)) => entered.date_naive().years_since(now).is_some_and(|years| years >= OF_AGE_EVERYWHERE),
        // What is emptied could be told otherwise afterwards, as of someone who was of age.
        (_, None) => true,
    }
}

/// What to change; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RecipientPatch {
    /// Not of oneself, whose name is the account's.
    display_name: Option<DisplayName>,
    /// The date of birth; null empties it, save for a child. Of someone else it can only become earlier.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<IssueDay>)]
    born_on: Option<Option<IssueDay>>,
}

/// Change a recipient
///
/// The name, or the date of birth.
#[utoipa::path(tag = "Care", operation_id = "update_recipient", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("If-Match" = String, Header, description = "The ETag of the recipient as it was read.")),
    request_body = RecipientPatch, responses((status = 200, description = "The recipient as it is now.", body = RecipientView)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[patch("/v1/me/recipients/{id}")]
async fn update_recipient(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    if_match: IfMatch,
    Json(patch, _): Json<RecipientPatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let mut recipient = lock(&mut work, &app.cipher, me.account(), id).await?;
        let now = work.now();
        let frame = Frame::read(&mut work, me.account(), now).await?;
        if_match.check(&frame.view(&mut work, &recipient).await?)?;
        if let Some(name) = patch.display_name {
            if recipient.relation == Relation::Oneself {
                return Err(FieldError::new("/display_name", "is the account's own: change the account.").into());
            }
            recipient.display_name = Some(name.as_str().to_owned());
        }
        if let Some(born_on) = patch.born_on {
            // A date that nobody told can be told of a guest, too: a place may ask for their age.
            if recipient.born_on.is_some() || born_on.is_none() {
                refuse_guests(&recipient)?;
            }
            let before = std::mem::replace(&mut recipient.born_on, born_on.map(|IssueDay(date)| date));
            if recipient.relation != Relation::Oneself
                && !is_told_better(before, recipient.born_on, recipient.created_at)
            {
                let detail = "would make them younger than they were entered: enter them anew instead.";
                return Err(FieldError::new("/born_on", detail).into());
            }
        }
        refuse_unborn(recipient.relation, recipient.born_on, frame.today)?;
        store::update_profile(&mut work, id, &recipient.profile()?).await?;
        let view = frame.view(&mut work, &recipient).await?;
        work.announce(Event::new("recipient.update", "recipient", id)).await?;
        work.commit().await?;
        Reply::ok(&view)
    })
    .await
}

/// Erase a recipient
///
/// Deletes the person's key: name, date of birth, drafts and answers can never be read again, by nobody. A new recipient for oneself is made when the list is asked for.
#[utoipa::path(tag = "Care", operation_id = "delete_recipient", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient.")),
    responses((status = 204, description = "Nothing of the person can be read any more.")))]
#[delete("/v1/me/recipients/{id}")]
async fn delete_recipient(app: Data<App>, me: As<Client>, Path(id): Path<RecipientId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        lock(&mut work, &app.cipher, me.account(), id).await?;
        let now = work.now();
        store::erase(&mut work, id, now).await?;
        work.announce(Event::new("recipient.erase", "recipient", id)).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
