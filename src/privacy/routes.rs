use actix_web::web::Data;
use actix_web::{delete, get, post};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::export::{ExportPart, parts};
use super::{MOST_EXPORTS, WAIT, erasure, store};
use crate::App;
use crate::accounts;
use crate::auth::{Anyone, As};
use crate::bookings;
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::Party;
use crate::http::{Nothing, OrDefault, Reply};
use crate::ids::AccountId;
use crate::values::Role;

/// The operations on what is held of a person.
pub fn routes(config: &mut ServiceConfig) {
    config.service(export_me).service(erase_me).service(keep_me);
}

/// What the service holds of the caller.
#[derive(Serialize, ToSchema)]
struct PersonalExport {
    /// Whose it is.
    account_id: AccountId,
    /// When it was put together.
    made_at: DateTime<Utc>,
    /// What each part of the service holds.
    parts: Vec<ExportPart>,
}

/// Export what is held of me
///
/// Everything that the service holds of the caller, as it holds it, with what is sealed opened (GDPR, article 20). What it holds of somebody else is left out: of a guest who
/// answered for themself it tells no more than that they did. Files of evidence and letters are downloaded where they were sent. Each export is written down; five are made in 24 hours at the
/// most.
#[utoipa::path(tag = "Accounts", operation_id = "export_me", security(("bearer" = ["client", "therapist", "admin"])),
    responses((status = 200, description = "What is held.", body = PersonalExport)),
    extensions(("x-refusals" = json!(refused![StepUpRequired, TooManyExports]))))]
#[get("/v1/me/export")]
async fn export_me(app: Data<App>, me: As<Anyone>) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    uninterrupted(async move {
        let (account, role) = (me.account(), me.principal.role);
        let mut work = app.begin(Some(account)).await?;
        // Of two at once, both are not the last.
        work.lock(account.0).await?;
        let now = work.now();
        if store::count_exports(&mut work, account, now).await? >= MOST_EXPORTS {
            return Err(Refusal::TooManyExports.into());
        }
        let parts = parts(&app, &mut work, account).await?;
        work.announce(erasure::event("account.export", account, role)).await?;
        work.commit().await?;
        Reply::ok(&PersonalExport { account_id: account, made_at: now, parts })
    })
    .await
}

/// How an account stands with its erasure.
#[derive(Serialize, ToSchema)]
struct AccountErasure {
    /// When the account is erased; null where it is not.
    erases_at: Option<DateTime<Utc>>,
}

/// Erase my account
///
/// The account is erased in 14 days; until then `POST /v1/me/keep` keeps it. Meanwhile a client books nothing and a therapist is not booked. Then name, address, phone, e-mail,
/// sessions, settings and files of one's own are deleted, and the keys of the people whom one booked for, so that what they answered can be read by nobody. What was agreed, carried out and
/// charged stays under no name, and so does what proves that a therapist was licensed. To ask again changes nothing.
#[utoipa::path(tag = "Accounts", operation_id = "erase_me", security(("bearer" = ["client", "therapist", "admin"])),
    responses((status = 200, description = "When it is erased.", body = AccountErasure)),
    extensions(("x-refusals" = json!(refused![StepUpRequired, VisitsOpen, LastOwner]))))]
#[delete("/v1/me")]
async fn erase_me(app: Data<App>, me: As<Anyone>) -> Result<Reply> {
    change(app, me, true).await
}

/// Keep my account
///
/// Takes back that it is to be erased. To keep what is kept changes nothing.
#[utoipa::path(tag = "Accounts", operation_id = "keep_me", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = Option<Nothing>, responses((status = 200, description = "It is kept.", body = AccountErasure)),
    extensions(("x-refusals" = json!(refused![StepUpRequired]))))]
#[post("/v1/me/keep")]
async fn keep_me(app: Data<App>, me: As<Anyone>, _: OrDefault<Nothing>) -> Result<Reply> {
    change(app, me, false).await
}

/// Has the caller's account erased, or keeps it. What is so already stays as it is.
async fn change(app: Data<App>, me: As<Anyone>, erase: bool) -> Result<Reply> {
    me.principal.refuse_stale(app.clock.now())?;
    uninterrupted(async move {
        let (account, role) = (me.account(), me.principal.role);
        let mut work = app.begin(Some(account)).await?;
        work.lock(account.0).await?;
        if role == Role::Therapist {
            work.lock_time(account.into()).await?;
        }
        let mut erases_at = accounts::lock_closing(&mut work, account).await?.ok_or(Error::NotFound)?.erases_at;
        if erases_at.is_some() != erase {
            if erase && bookings::is_any_open(&mut work, account).await? {
                return Err(Refusal::VisitsOpen.into());
            }
            erases_at = erase.then(|| work.now() + WAIT);
            accounts::set_erases_at(&mut work, account, erases_at).await?;
            if role == Role::Admin {
                accounts::refuse_without_owner(&mut work).await?;
            }
            let kind = if erase { "account.closing" } else { "account.kept" };
            let told = erasure::event(kind, account, role).with(json!({ "erases_at": erases_at }));
            let party = match role {
                Role::Client => Party::Client,
                Role::Therapist => Party::Therapist,
                Role::Admin => Party::Admin,
            };
            work.announce(crate::events::Event { party: Some(party), ..told }).await?;
        }
        work.commit().await?;
        Reply::ok(&AccountErasure { erases_at })
    })
    .await
}
