//! Staff: the accounts of admins, and what each may do.

mod store;

use actix_web::web::Data;
use actix_web::{get, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::{Uuid, uuid};

use super::store as accounts;
use crate::App;
use crate::auth::{As, Owner};
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::{Event, Work, Workshop};
use crate::http::{IfMatch, Json, Page, Part, Path, Query, Reply};
use crate::ids::AccountId;
use crate::values::{Grant, Grants};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_staff).service(get_staff_member).service(put_staff_member);
}

/// Names the lock of whoever changes what staff may do, because two owners at once must not both be the last but one.
const STAFF: Uuid = uuid!("019b76da-a800-7e00-8a12-737461666621");

/// An admin, and what they may do.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StaffMember {
    /// The account's id.
    pub id: AccountId,
    /// The name that others see.
    #[schema(example = "Mia Chen")]
    pub display_name: String,
    /// The address that signs in.
    #[schema(example = "mia@example.org")]
    pub email: String,
    /// What they may do.
    pub grants: Grants,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
}

/// List staff
///
/// Every admin with what they may do, in the order in which they were added.
#[utoipa::path(tag = "Accounts", operation_id = "list_staff", security(("bearer" = ["admin:owner"])), params(Part),
    responses((status = 200, description = "A page of staff.", body = Page<StaffMember>)))]
#[get("/v1/admin/staff")]
async fn list_staff(app: Data<App>, _me: As<Owner>, Query(part): Query<Part>) -> Result<Reply> {
    Reply::ok(&Page::part(store::all(&*app.db).await?, &part)?)
}

/// Show a member of staff
///
/// One admin, and what they may do.
#[utoipa::path(tag = "Accounts", operation_id = "get_staff_member", security(("bearer" = ["admin:owner"])),
    params(("id" = AccountId, Path, description = "The account.")),
    responses((status = 200, description = "The admin.", body = StaffMember)))]
#[get("/v1/admin/staff/{id}")]
async fn get_staff_member(app: Data<App>, _me: As<Owner>, Path(id): Path<AccountId>) -> Result<Reply> {
    Reply::ok(&store::find(&*app.db, id).await?.ok_or(Error::NotFound)?)
}

/// What an admin is to be able to do.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct StaffGrants {
    /// All of it; an empty list takes everything away.
    grants: Grants,
}

/// Change what an admin may do
///
/// Holds from the next request on. Nobody changes their own grants, and one owner stays. An owner has every grant but `care`, which lets read what people
/// tell of their health, and has to be given by name.
#[utoipa::path(tag = "Accounts", operation_id = "put_staff_member", security(("bearer" = ["admin:owner"])),
    params(("id" = AccountId, Path, description = "The account."),
           ("If-Match" = String, Header, description = "The ETag of the admin as it was read.")),
    request_body = StaffGrants, responses((status = 200, description = "The admin as it is now.", body = StaffMember)),
    extensions(("x-refusals" = json!(refused![OwnGrants, LastOwner]))))]
#[put("/v1/admin/staff/{id}")]
async fn put_staff_member(
    app: Data<App>,
    me: As<Owner>,
    Path(id): Path<AccountId>,
    if_match: IfMatch,
    Json(body, _): Json<StaffGrants>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        lock(&mut work, me.account()).await?;
        let mut member = store::find(&mut **work, id).await?.ok_or(Error::NotFound)?;
        if_match.check(&member)?;
        if id == me.account() {
            return Err(Refusal::OwnGrants.into());
        }
        change(&mut work, id, (member.grants, body.grants)).await?;
        work.commit().await?;
        member.grants = body.grants;
        Reply::ok(&member)
    })
    .await
}

/// Locks what staff may do, for an owner. Whoever waited for the lock may have lost what let them in.
pub(super) async fn lock(work: &mut Work, owner: AccountId) -> Result<()> {
    work.lock(STAFF).await?;
    let caller = store::find(&mut ***work, owner).await?;
    let is_owner = caller.is_some_and(|caller| caller.grants.names(Grant::Owner));
    if is_owner && !accounts::is_suspended(work, owner).await? { Ok(()) } else { Err(Error::Forbidden) }
}

/// Refuses who is no admin.
pub(super) async fn refuse_others(work: &mut Work, id: AccountId) -> Result<()> {
    store::find(&mut ***work, id).await?.map(drop).ok_or(Error::NotFound)
}

/// Refuses what would leave nobody who gives grants.
pub async fn refuse_without_owner(work: &mut Work) -> Result<()> {
    if store::owners(work).await? == 0 { Err(Refusal::LastOwner.into()) } else { Ok(()) }
}

async fn change(work: &mut Work, id: AccountId, (before, after): (Grants, Grants)) -> Result<()> {
    if before != after {
        store::set_grants(work, id, after).await?;
        if !after.names(Grant::Owner) {
            refuse_without_owner(work).await?;
        }
        let details = json!({ "before": before, "after": after });
        work.announce(Event::new("staff.grant", "account", id).with(details)).await?;
    }
    Ok(())
}

/// Gives an admin these grants, and takes all others, in the name of whoever runs the service.
///
/// # Errors
/// Not found where no admin signs in with the address, and `last_owner`.
pub async fn grant(shop: &Workshop, email: &str, grants: Grants) -> Result<AccountId> {
    let mut work = shop.begin(None).await?;
    work.lock(STAFF).await?;
    let id = accounts::id_of(&mut work, email).await?.ok_or(Error::NotFound)?;
    let member = store::find(&mut **work, id).await?.ok_or(Error::NotFound)?;
    change(&mut work, id, (member.grants, grants)).await?;
    work.commit().await?;
    Ok(id)
}
