//! A person's own sessions: where they are signed in.

use actix_web::web::Data;
use actix_web::{delete, get};
use utoipa_actix_web::service_config::ServiceConfig;

use crate::App;
use crate::auth::{self, Anyone, As, SessionView};
use crate::db::{in_time, uninterrupted};
use crate::error::{Error, Result};
use crate::http::{Page, Part, Path, Query, Reply};
use crate::ids::SessionId;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_sessions).service(end_other_sessions).service(end_session);
}

/// List my sessions
///
/// Where the caller is signed in, the latest first; at most a hundred.
#[utoipa::path(tag = "Accounts", operation_id = "list_sessions", security(("bearer" = ["client", "therapist", "admin"])), params(Part),
    responses((status = 200, description = "A page of sessions.", body = Page<SessionView>)))]
#[get("/v1/me/sessions")]
async fn list_sessions(app: Data<App>, me: As<Anyone>, Query(part): Query<Part>) -> Result<Reply> {
    let sessions = auth::live(&app.db, me.account(), me.principal.session, app.clock.now());
    Reply::ok(&Page::part(in_time(sessions).await?, &part)?)
}

/// End my other sessions
///
/// Ends every session of the caller but this one.
#[utoipa::path(tag = "Accounts", operation_id = "end_other_sessions", security(("bearer" = ["client", "therapist", "admin"])),
    responses((status = 204, description = "They have ended.")))]
#[delete("/v1/me/sessions")]
async fn end_other_sessions(app: Data<App>, me: As<Anyone>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let now = work.now();
        auth::end_sessions(&mut work, me.account(), Some(me.principal.session), now).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}

/// End a session of mine
///
/// Ends it with its access tokens at once.
#[utoipa::path(tag = "Accounts", operation_id = "end_session", security(("bearer" = ["client", "therapist", "admin"])),
    params(("id" = SessionId, Path, description = "The session.")),
    responses((status = 204, description = "It has ended.")))]
#[delete("/v1/me/sessions/{id}")]
async fn end_session(app: Data<App>, me: As<Anyone>, Path(id): Path<SessionId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let now = work.now();
        if !auth::end_one(&mut work, me.account(), id, now).await? {
            return Err(Error::NotFound);
        }
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
