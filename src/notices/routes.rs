use actix_web::web::Data;
use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{self, Listed};
use super::{KEPT, NoticeView};
use crate::App;
use crate::auth::{Anyone, As};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Result};
use crate::http::{Cursor, Json, Limit, Page, Path, Query, Reply};
use crate::ids::NoticeId;

/// The operations on notices.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_notices).service(read_notices).service(read_notice);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NoticeQuery {
    /// Only what was not read yet.
    #[serde(default)]
    unread: bool,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// A page of notices.
#[derive(Serialize, ToSchema)]
struct NoticePage {
    #[serde(flatten)]
    page: Page<NoticeView>,
    /// How many the caller has not read, on all pages: 1,000 stands for that many or more.
    #[schema(example = 3)]
    unread: i64,
}

/// List notices
///
/// What the service told the caller, newest first.
#[utoipa::path(tag = "Notices", operation_id = "list_notices", security(("bearer" = ["client", "therapist", "admin"])),
    params(NoticeQuery), responses((status = 200, description = "A page of notices.", body = NoticePage)))]
#[get("/v1/me/notices")]
async fn list_notices(app: Data<App>, me: As<Anyone>, Query(query): Query<NoticeQuery>) -> Result<Reply> {
    let before = query.cursor.map(|cursor| cursor.key()).transpose()?;
    // What is older is deleted. The bound keeps the months before from being looked at.
    let since = (app.clock.now() - KEPT).date_naive();
    let listed = Listed { to: me.account(), unread: query.unread, since, before, count: query.limit.probe() };
    let notices = store::list(&app.db, listed).await?;
    let unread = store::unread(&app.db, me.account(), since).await?;
    Reply::ok(&NoticePage { page: Page::cut(notices, query.limit, |notice| notice.position)?, unread })
}

/// Up to where the caller has read.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReadUpTo {
    /// The newest notice that was read: it and every older one is.
    up_to: NoticeId,
}

/// What is left to be read.
#[derive(Serialize, ToSchema)]
struct LeftUnread {
    /// How many the caller has not read: 1,000 stands for that many or more.
    #[schema(example = 0)]
    unread: i64,
}

/// Mark notices as read
///
/// Marks a notice and all older ones as read; those that were read keep when they were first.
#[utoipa::path(tag = "Notices", operation_id = "read_notices", security(("bearer" = ["client", "therapist", "admin"])),
    request_body = ReadUpTo, responses((status = 200, description = "What is left.", body = LeftUnread)))]
#[post("/v1/me/notices/read")]
async fn read_notices(app: Data<App>, me: As<Anyone>, Json(body, _): Json<ReadUpTo>) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let since = (now - KEPT).date_naive();
        if !store::read_up_to(&app.db, me.account(), body.up_to, since, now).await? {
            return Err(FieldError::new("/up_to", "is not one of your notices.").into());
        }
        Reply::ok(&LeftUnread { unread: store::unread(&app.db, me.account(), since).await? })
    })
    .await
}

/// Mark a notice as read
///
/// Keeps when it was read first.
#[utoipa::path(tag = "Notices", operation_id = "read_notice", security(("bearer" = ["client", "therapist", "admin"])),
    params(("id" = NoticeId, Path, description = "The notice.")),
    responses((status = 200, description = "The notice.", body = NoticeView)))]
#[post("/v1/me/notices/{id}/read")]
async fn read_notice(app: Data<App>, me: As<Anyone>, Path(id): Path<NoticeId>) -> Result<Reply> {
    uninterrupted(async move {
        let notice = store::read(&app.db, me.account(), id, app.clock.now()).await?;
        Reply::ok(&notice.ok_or(Error::NotFound)?)
    })
    .await
}
