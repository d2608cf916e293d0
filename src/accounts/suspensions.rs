//! Suspension: an account that acts no more, until it is reinstated.

mod store;

use actix_web::post;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::staff;
use crate::App;
use crate::auth::{self, As, Support};
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::{Event, Party, Reason, Work};
use crate::http::{Json, Nothing, OrDefault, Path, Reply};
use crate::ids::AccountId;
use crate::values::{Grant, Role, bounded_text};

bounded_text! {
    /// Why an account is suspended.
    SuspensionReason prose 1..=1000, example "Two clients report the same behaviour.";
}

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(suspend_account).service(reinstate_account);
}

/// An account, and whether it is suspended.
#[derive(Serialize, ToSchema)]
pub(super) struct AccountStanding {
    /// The account.
    pub id: AccountId,
    /// What it is for.
    pub role: Role,
    /// Since when it is suspended; null where it is not.
    pub suspended_at: Option<DateTime<Utc>>,
}

/// Why an account is suspended.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Suspension {
    reason: SuspensionReason,
}

/// Suspend an account
///
/// From the next request on it acts no more: its sessions end, and whoever logs in with the right password is told that it is suspended. A therapist is found in no
/// search and cannot be booked. Each visit ahead becomes a task for staff, because nothing is called off by itself. Only an owner suspends other staff, and nobody
/// themself.
#[utoipa::path(tag = "Accounts", operation_id = "suspend_account", security(("bearer" = ["admin:support"])),
    params(("id" = AccountId, Path, description = "The account.")), request_body = Suspension,
    responses((status = 200, description = "How the account stands now.", body = AccountStanding)),
    extensions(("x-refusals" = json!(refused![OwnGrants, LastOwner]))))]
#[post("/v1/admin/accounts/{id}/suspend")]
async fn suspend_account(
    app: Data<App>,
    me: As<Support>,
    Path(id): Path<AccountId>,
    Json(body, _): Json<Suspension>,
) -> Result<Reply> {
    change(app, me, id, Some(body.reason)).await
}

/// Reinstate an account
///
/// It acts again from the next log-in on. A therapist takes bookings again, if they did before.
#[utoipa::path(tag = "Accounts", operation_id = "reinstate_account", security(("bearer" = ["admin:support"])),
    params(("id" = AccountId, Path, description = "The account.")), request_body = Option<Nothing>,
    responses((status = 200, description = "How the account stands now.", body = AccountStanding)),
    extensions(("x-refusals" = json!(refused![OwnGrants, LastOwner]))))]
#[post("/v1/admin/accounts/{id}/reinstate")]
async fn reinstate_account(
    app: Data<App>,
    me: As<Support>,
    Path(id): Path<AccountId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    change(app, me, id, None).await
}

/// Suspends an account for a reason, or reinstates it where there is none. What is so already stays as it is.
async fn change(app: Data<App>, me: As<Support>, id: AccountId, reason: Option<SuspensionReason>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let role = store::find(&mut work, id).await?.ok_or(Error::NotFound)?.role;
        if role == Role::Admin {
            if !me.principal.grants.allow(Grant::Owner) {
                return Err(Error::Forbidden);
            }
            staff::lock(&mut work, me.account()).await?;
            if id == me.account() {
                return Err(Refusal::OwnGrants.into());
            }
        }
        // The therapist's own change of their profile goes first, or finds the suspension.
        if role == Role::Therapist {
            work.lock_time(id.into()).await?;
        }
        let mut standing = store::lock(&mut work, id).await?;
        if standing.suspended_at.is_some() != reason.is_some() {
            standing.suspended_at = reason.is_some().then_some(work.now());
            store::set(&mut work, &standing).await?;
            if role == Role::Admin {
                staff::refuse_without_owner(&mut work).await?;
            }
            follow(&mut work, &standing, reason).await?;
        }
        work.commit().await?;
        Reply::ok(&standing)
    })
    .await
}

async fn follow(work: &mut Work, standing: &AccountStanding, reason: Option<SuspensionReason>) -> Result<()> {
    let (id, now) = (standing.id, work.now());
    if reason.is_some() {
        auth::end_sessions(work, id, None, now).await?;
    }
    let kind = if reason.is_some() { "account.suspended" } else { "account.reinstated" };
    let told = Event::new(kind, "account", id).about((standing.role == Role::Therapist).then(|| id.into()));
    work.announce(Event {
        client: (standing.role == Role::Client).then_some(id),
        party: Some(Party::Admin),
        reason: reason.map(|reason| Reason::Ours(reason.as_str().to_owned())),
        ..told
    })
    .await
}

/// Whether an account is suspended now.
pub async fn is_suspended(work: &mut Work, id: AccountId) -> Result<bool> {
    Ok(store::find(work, id).await?.is_some_and(|standing| standing.suspended_at.is_some()))
}
