use actix_web::web::Data;
use actix_web::{get, post};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{self, Listed};
use super::{KEPT, NoticeView};
use crate::App;
use crate::auth::{Anyone, As};
use crate::db::uninterrupted;
use crate::error::{Error, Result};
use crate::http::{Cursor, Limit, Page, Path, Query, Reply};
use crate::ids::NoticeId;

/// The operations on notices.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_notices).service(read_notice);
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

/// List notices
///
/// What the service told the caller, newest first.
#[utoipa::path(tag = "Notices", operation_id = "list_notices", security(("bearer" = ["client", "therapist", "admin"])),
    params(NoticeQuery), responses((status = 200, description = "A page of notices.", body = Page<NoticeView>)))]
#[get("/v1/me/notices")]
async fn list_notices(app: Data<App>, me: As<Anyone>, Query(query): Query<NoticeQuery>) -> Result<Reply> {
    let before = query.cursor.map(|cursor| cursor.key()).transpose()?;
    // What is older is deleted. The bound keeps the months before from being looked at.
    let since = (app.clock.now() - KEPT).date_naive();
    let listed = Listed { to: me.account(), unread: query.unread, since, before, count: query.limit.probe() };
    let notices = store::list(&app.db, listed).await?;
    Reply::ok(&Page::cut(notices, query.limit, |notice| notice.position)?)
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
