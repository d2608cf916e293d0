//! The admins' queue, and what there is to know of one credential.

use actix_web::get;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::App;
use crate::accounts::{self, Sought};
use crate::auth::{As, Verifier};
use crate::credentials::review::ReviewState;
use crate::credentials::store::{self, Counts, Queue, QueueOrder};
use crate::credentials::views::{CredentialFile, Decision, ReviewedCredential};
use crate::credentials::{CredentialNumber, TypeCode, documents};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Result};
use crate::http::{Cursor, Limit, Page, Part, Path, Query, Reply, Several};
use crate::ids::{CredentialId, TherapistId};
use crate::values::{Day, Jurisdiction};

/// The operations of the queue.
pub(super) fn routes(config: &mut ServiceConfig) {
    // A literal path before the one with an id.
    config.service(list_credential_queue).service(count_credentials);
    config.service(get_credential).service(get_credential_history);
}

/// The most therapists whose names are taken to fit a search.
const MOST_NAMED: i64 = 100;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct QueueQuery {
    /// In one of these states, separated by commas.
    #[param(inline, value_type = Option<Vec<ReviewState>>, style = Form, explode = false)]
    review_state: Option<Several<ReviewState>>,
    /// Of this type.
    #[serde(rename = "type")]
    #[param(inline)]
    type_code: Option<TypeCode>,
    /// Issued in this place, or of a type that belongs to it.
    #[param(inline)]
    jurisdiction: Option<Jurisdiction>,
    /// Ending before this date.
    #[param(inline)]
    expires_before: Option<Day>,
    /// Of this therapist.
    therapist_id: Option<TherapistId>,
    /// Beginnings of words of the name on it, or of the name that its therapist goes by.
    #[param(inline)]
    q: Option<Sought>,
    /// Whose number begins so, however it is written.
    #[param(inline)]
    number: Option<CredentialNumber>,
    /// Whether another therapist claims the number.
    duplicate: Option<bool>,
    /// `true`: which nobody reviews at present, submitted or with a claim that has lapsed.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    unclaimed: bool,
    /// The order.
    #[serde(default)]
    #[param(inline, value_type = Option<QueueOrder>)]
    sort: QueueOrder,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List the review queue
///
/// Credentials of all therapists: longest waiting first, first to expire first, or those first on which the soonest visit
/// rests. A page looks at a bounded number, so that it may hold fewer than `limit` and still have a `next_cursor`.
#[utoipa::path(tag = "Licence checks", operation_id = "list_credential_queue", security(("bearer" = ["admin:verifier"])),
    params(QueueQuery),
    responses((status = 200, description = "A page of credentials.", body = Page<ReviewedCredential>)))]
#[get("/v1/admin/credentials")]
async fn list_credential_queue(app: Data<App>, me: As<Verifier>, Query(query): Query<QueueQuery>) -> Result<Reply> {
    uninterrupted(async move {
        let after = query.cursor.as_ref().map(Cursor::key).transpose()?;
        if let Some(code) = &query.type_code
            && !store::is_type(&app.db, code).await?
        {
            return Err(FieldError::new("/type", "is not a credential type.").into());
        }
        let names = query.q.as_ref().map(Sought::in_names);
        let therapists = match &query.q {
            Some(sought) => Some(accounts::named(&*app.db, sought, MOST_NAMED).await?),
            None => None,
        };
        let numbers = query
            .number
            .as_ref()
            .map(|number| number.as_str().parse::<Sought>().ok().and_then(|number| number.in_numbers()));
        let numbers = match numbers {
            Some(None) => return Err(FieldError::new("/number", "must hold two digits.").into()),
            numbers => numbers.flatten(),
        };
        let wanted = Queue {
            names,
            named: therapists,
            numbers,
            review_states: query.review_state.map(|Several(states)| states),
            type_code: query.type_code.as_ref().map(TypeCode::as_str),
            jurisdiction: query.jurisdiction.as_ref(),
            expires_before: query.expires_before.map(|Day(date)| date),
            therapist: query.therapist_id,
            duplicate: query.duplicate,
            unclaimed: query.unclaimed,
            order: query.sort,
            after,
            count: query.limit.probe(),
        };
        let mut work = app.begin(Some(me.account())).await?;
        let waiting = store::queue(&mut work, &wanted, app.clock.now()).await?;
        let page = Page::cut(waiting.found, query.limit, |(_, key)| *key)?;
        let next_cursor = match (page.next_cursor, waiting.rest) {
            (None, Some(rest)) => Some(Cursor::after(&rest)?),
            (cursor, _) => cursor,
        };
        let ids: Vec<CredentialId> = page.data.iter().map(|(id, _)| *id).collect();
        let data = store::reviewed(&mut work, &ids, me.account(), app.clock.now()).await?;
        work.commit().await?;
        Reply::ok(&Page { data, next_cursor })
    })
    .await
}

/// Count the review queue
///
/// How many credentials stand where, and what else there is to do.
#[utoipa::path(tag = "Licence checks", operation_id = "count_credentials", security(("bearer" = ["admin:verifier"])),
    responses((status = 200, description = "The counts.", body = Counts)))]
#[get("/v1/admin/credentials/counts")]
async fn count_credentials(app: Data<App>, me: As<Verifier>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let counts = store::counts(&mut work, app.clock.now().date_naive()).await?;
        work.commit().await?;
        Reply::ok(&counts)
    })
    .await
}

/// Show a credential for review
///
/// Everything about a credential on one page: whose it is, the claim on it, its documents, what sources said, who else claims
/// its number, bars on its use, and every decision.
#[utoipa::path(tag = "Licence checks", operation_id = "get_credential", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential.")),
    responses((status = 200, description = "The credential.", body = CredentialFile)))]
#[get("/v1/admin/credentials/{id}")]
async fn get_credential(app: Data<App>, me: As<Verifier>, Path(id): Path<CredentialId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let row = store::find(&mut work, id).await?.ok_or(Error::NotFound)?;
        let credential = store::reviewed(&mut work, &[id], me.account(), app.clock.now()).await?.pop();
        let file = CredentialFile {
            credential: credential.ok_or(Error::NotFound)?,
            number_claimed_by: store::claimant(&mut work, &row).await?,
            documents: documents::of(&mut work, &[id]).await?.into_iter().map(|(_, document)| document).collect(),
            checks: store::verifications(&mut work, id).await?,
            holds: store::holds(&mut work, id).await?,
            decisions: store::history(&mut work, id).await?,
        };
        work.commit().await?;
        Reply::ok(&file)
    })
    .await
}

/// Show a credential's history
///
/// Every step of the review, oldest first: who, when, what and why. It is never changed.
#[utoipa::path(tag = "Licence checks", operation_id = "get_credential_history", security(("bearer" = ["admin:verifier"])),
    params(("id" = CredentialId, Path, description = "The credential."), Part),
    responses((status = 200, description = "The steps.", body = Page<Decision>)))]
#[get("/v1/admin/credentials/{id}/history")]
async fn get_credential_history(
    app: Data<App>,
    me: As<Verifier>,
    Path(id): Path<CredentialId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        store::holder(&mut **work, id).await?.ok_or(Error::NotFound)?;
        let history = store::history(&mut work, id).await?;
        work.commit().await?;
        Reply::ok(&Page::part(history, &part)?)
    })
    .await
}
