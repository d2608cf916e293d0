use std::collections::BTreeMap;

use actix_web::web::Data;
use actix_web::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::RaisedTask;
use super::store::{self, Listed};
use super::table::{kinds, subjects};
use crate::App;
use crate::auth::{As, VerifierOrSupport};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Result};
use crate::events::Event;
use crate::http::{Cursor, Limit, OrDefault, Page, Path, Query, Reply};
use crate::ids::TaskId;
use crate::values::{Instant, bounded_text};

/// The operations on tasks.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_tasks).service(get_task).service(resolve_task);
}

bounded_text! {
    /// What is the matter, or the kind of thing that it is about.
    TaskTerm line 1..=60, example "credential";
    /// What was found or done.
    TaskNote prose 1..=2000, example "Called the board; the status is a new word for active.";
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TaskQuery {
    /// Of this kind.
    #[param(inline)]
    kind: Option<TaskTerm>,
    /// About this kind of thing.
    #[param(inline)]
    subject_type: Option<TaskTerm>,
    /// About this one.
    subject_id: Option<Uuid>,
    /// Those that are open, which is the default; else those that are resolved.
    open: Option<bool>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// A page of tasks.
#[derive(Serialize, ToSchema)]
struct TaskPage {
    #[serde(flatten)]
    page: Page<RaisedTask>,
    /// How many there are of each kind, over all pages; the filter by kind aside.
    #[schema(example = json!({"roster_status_unknown": 3}))]
    counts: BTreeMap<String, i64>,
}

/// List tasks
///
/// What an admin should look at, longest waiting first.
#[utoipa::path(tag = "Licence checks", operation_id = "list_tasks", security(("bearer" = ["admin:verifier", "admin:support"])), params(TaskQuery),
    responses((status = 200, description = "A page of tasks.", body = TaskPage)))]
#[get("/v1/admin/tasks")]
async fn list_tasks(app: Data<App>, _me: As<VerifierOrSupport>, Query(query): Query<TaskQuery>) -> Result<Reply> {
    let kind = query.kind.as_ref().map(TaskTerm::as_str);
    if kind.is_some_and(|kind| !kinds().contains(&kind)) {
        return Err(FieldError::new("/kind", "is not a kind of task.").into());
    }
    let subject_type = query.subject_type.as_ref().map(TaskTerm::as_str);
    if subject_type.is_some_and(|subject_type| !subjects().contains(subject_type)) {
        return Err(FieldError::new("/subject_type", "is nothing that tasks are about.").into());
    }
    let after: Option<(Instant, TaskId)> = query.cursor.as_ref().map(Cursor::key).transpose()?;
    let listed = Listed {
        kind,
        subject_type,
        subject: query.subject_id,
        open: query.open.unwrap_or(true),
        after: after.map(|(Instant(at), id)| (at, id)),
        count: query.limit.probe(),
    };
    let tasks = store::list(&app.db, &listed).await?;
    let counts = store::counts(&app.db, &listed).await?;
    let page = Page::cut(tasks, query.limit, |task| (Instant(task.raised_at), task.id))?;
    Reply::ok(&TaskPage { page, counts })
}

/// Show a task
///
/// One task, open or resolved.
#[utoipa::path(tag = "Licence checks", operation_id = "get_task", security(("bearer" = ["admin:verifier", "admin:support"])),
    params(("id" = TaskId, Path, description = "The task.")),
    responses((status = 200, description = "The task.", body = RaisedTask)))]
#[get("/v1/admin/tasks/{id}")]
async fn get_task(app: Data<App>, _me: As<VerifierOrSupport>, Path(id): Path<TaskId>) -> Result<Reply> {
    Reply::ok(&store::find(&*app.db, id).await?.ok_or(Error::NotFound)?)
}

/// How a task was resolved.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Resolution {
    note: Option<TaskNote>,
}

/// Resolve a task
///
/// Says that it was looked at, and changes nothing else. One that is resolved already stays as it is.
#[utoipa::path(tag = "Licence checks", operation_id = "resolve_task", security(("bearer" = ["admin:verifier", "admin:support"])),
    params(("id" = TaskId, Path, description = "The task.")),
    request_body = Option<Resolution>,
    responses((status = 200, description = "The task, resolved.", body = RaisedTask)))]
#[post("/v1/admin/tasks/{id}/resolve")]
async fn resolve_task(
    app: Data<App>,
    me: As<VerifierOrSupport>,
    Path(id): Path<TaskId>,
    OrDefault(resolution): OrDefault<Resolution>,
) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = app.begin(Some(me.account())).await?;
        let task = store::lock(&mut work, id).await?.ok_or(Error::NotFound)?;
        if task.resolved_at.is_some() {
            return Reply::ok(&task);
        }
        store::resolve(&mut work, id, me.account(), resolution.note.as_ref().map(TaskNote::as_str), now).await?;
        let resolved = store::find(&mut **work, id).await?.ok_or(Error::NotFound)?;
        let details = json!({ "kind": task.kind, "subject_type": task.subject_type, "subject_id": task.subject_id });
        work.announce(Event::new("task.resolve", "task", id).with(details)).await?;
        work.commit().await?;
        Reply::ok(&resolved)
    })
    .await
}
