//! What was sent to whom, and what became of it: never what it said.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{self, Listed, Logged};
use super::{Channel, Class, State};
use crate::App;
use crate::auth::{Anyone, As, Support};
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::Event;
use crate::http::{Cursor, Limit, Nothing, OrDefault, Page, Paging, Path, Query, Reply};
use crate::ids::{AccountId, BookingId, DeliveryId};

/// The operations on what was sent.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_my_messages).service(list_messages).service(retry_message);
}

/// A message that was sent to the caller, or is to be.
#[derive(Serialize, ToSchema)]
struct MessageView {
    /// Its id, over all attempts.
    id: DeliveryId,
    /// What it tells.
    #[schema(example = "visit_moved")]
    message: String,
    /// How much its reader may do about it.
    class: Class,
    /// Which way it takes.
    channel: Channel,
    /// The visit that it is about; null where it is about none.
    booking_id: Option<BookingId>,
    /// Where it stands.
    state: State,
    /// How often it was tried.
    attempts: i32,
    /// When it was planned.
    created_at: DateTime<Utc>,
    /// When it came to its end; null as long as it waits.
    ended_at: Option<DateTime<Utc>>,
}

/// A message, as staff see it.
#[derive(Serialize, ToSchema)]
struct SentMessage {
    #[serde(flatten)]
    message: MessageView,
    /// Who is written to; null where it goes to a program.
    account_id: Option<AccountId>,
    /// When it is tried next, or ended.
    due_at: DateTime<Utc>,
    /// What went wrong last, as a code; null where nothing did.
    #[schema(example = "smtp_451")]
    last_error: Option<String>,
}

impl MessageView {
    fn new(logged: &Logged) -> Self {
        Self {
            id: logged.id,
            message: logged.message.clone(),
            class: logged.class,
            channel: logged.channel,
            booking_id: logged.booking,
            state: logged.state,
            attempts: logged.attempts,
            created_at: logged.created_at,
            ended_at: logged.ended_at,
        }
    }
}

/// List my messages
///
/// What was written to the caller, newest first, for 90 days after it came to its end. What it said is not kept.
#[utoipa::path(tag = "Messages", operation_id = "list_my_messages", security(("bearer" = ["client", "therapist", "admin"])),
    params(Paging), responses((status = 200, description = "A page of messages.", body = Page<MessageView>)))]
#[get("/v1/me/messages")]
async fn list_my_messages(app: Data<App>, me: As<Anyone>, Query(paging): Query<Paging>) -> Result<Reply> {
    let account = Some(me.account());
    let listed = Listed { account, before: paging.after()?, count: paging.limit.probe(), ..Listed::default() };
    let page = Page::cut(store::list(&app.db, listed).await?, paging.limit, |logged| logged.sequence)?;
    let data = page.data.iter().map(MessageView::new).collect();
    Reply::ok(&Page { data, next_cursor: page.next_cursor })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct MessageQuery {
    /// To whom.
    #[param(inline)]
    account_id: Option<AccountId>,
    /// About which visit.
    #[param(inline)]
    booking_id: Option<BookingId>,
    /// Where they stand.
    state: Option<State>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List messages
///
/// What was sent, newest first, and what became of it: for staff who are asked why somebody heard nothing.
#[utoipa::path(tag = "Messages", operation_id = "list_messages", security(("bearer" = ["admin:support"])), params(MessageQuery),
    responses((status = 200, description = "A page of messages.", body = Page<SentMessage>)))]
#[get("/v1/admin/messages")]
async fn list_messages(app: Data<App>, _me: As<Support>, Query(query): Query<MessageQuery>) -> Result<Reply> {
    let listed = Listed {
        account: query.account_id,
        booking: query.booking_id,
        state: query.state,
        before: query.cursor.map(|cursor| cursor.key()).transpose()?,
        count: query.limit.probe(),
    };
    let page = Page::cut(store::list(&app.db, listed).await?, query.limit, |logged| logged.sequence)?;
    let view = |logged: &Logged| SentMessage {
        message: MessageView::new(logged),
        account_id: logged.account,
        due_at: logged.due_at,
        last_error: logged.last_error.clone(),
    };
    Reply::ok(&Page { data: page.data.iter().map(view).collect(), next_cursor: page.next_cursor })
}

/// Send a message again
///
/// Puts a message that was given up back in its place. Whether it still holds is looked at when it is sent.
#[utoipa::path(tag = "Messages", operation_id = "retry_message", security(("bearer" = ["admin:support"])),
    params(("id" = DeliveryId, Path, description = "The message.")), request_body = Option<Nothing>,
    responses((status = 204, description = "It waits for its turn.")),
    extensions(("x-refusals" = json!(refused![DeliveryNotRetriable]))))]
#[post("/v1/admin/messages/{id}/retry")]
async fn retry_message(
    app: Data<App>,
    me: As<Support>,
    Path(id): Path<DeliveryId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let now = work.now();
        if !store::retry(&mut work, id, now).await?.ok_or(Error::NotFound)? {
            return Err(Refusal::DeliveryNotRetriable.into());
        }
        work.announce(Event::new("message.retry", "message", id)).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
