use actix_web::get;
use actix_web::web::Data;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{FoundPerson, Person, store};
use crate::App;
use crate::accounts::Sought;
use crate::auth::{As, VerifierOrSupport};
use crate::db::uninterrupted;
use crate::error::{Error, Result};
use crate::events::Event;
use crate::http::{Cursor, Limit, Page, Part, Path, Query, Reply};
use crate::ids::AccountId;
use crate::values::Role;

/// The operations on people.
pub fn routes(config: &mut ServiceConfig) {
    config.service(find_accounts).service(get_account);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AccountQuery {
    /// Beginnings of words of the name, the beginning of the e-mail address or of a credential's number, four digits of the telephone number or more,
    /// or the beginning of a booking's id, eight digits or more.
    #[param(inline)]
    q: Sought,
    /// With this role.
    #[param(inline)]
    role: Option<Role>,
    /// Items on a page; all of them, unless said.
    #[param(inline)]
    limit: Option<Limit>,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// Find people
///
/// The people who fit what is known of them, by name: 100 at the most, so that whoever fits too many is asked for more. Each search is written down,
/// with whom it found and without what was asked.
#[utoipa::path(tag = "Accounts", operation_id = "find_accounts", security(("bearer" = ["admin:verifier", "admin:support"])), params(AccountQuery),
    responses((status = 200, description = "The people.", body = Page<FoundPerson>)))]
#[get("/v1/admin/accounts")]
async fn find_accounts(app: Data<App>, me: As<VerifierOrSupport>, Query(query): Query<AccountQuery>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let found = store::find(&mut work, &query.q, query.role).await?;
        let page = Page::part(found, &Part { limit: query.limit, cursor: query.cursor.clone() })?;
        let shown: Vec<AccountId> = page.data.iter().map(|person| person.id).collect();
        work.announce(Event::new("account.search", "accounts", "search").with(json!({ "shown": shown }))).await?;
        work.commit().await?;
        Reply::ok(&page)
    })
    .await
}

/// Show a person
///
/// Everything that staff need when someone rings: the account, a therapist's standing, what is ahead and what was last. Each such look is written
/// down.
#[utoipa::path(tag = "Accounts", operation_id = "get_account", security(("bearer" = ["admin:verifier", "admin:support"])),
    params(("id" = AccountId, Path, description = "The account.")),
    responses((status = 200, description = "The person.", body = Person)))]
#[get("/v1/admin/accounts/{id}")]
async fn get_account(app: Data<App>, me: As<VerifierOrSupport>, Path(id): Path<AccountId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let person = store::person(&mut work, id).await?.ok_or(Error::NotFound)?;
        let about = person.therapist.is_some().then(|| id.into());
        work.announce(Event::new("account.read", "account", id).about(about)).await?;
        work.commit().await?;
        Reply::ok(&person)
    })
    .await
}
