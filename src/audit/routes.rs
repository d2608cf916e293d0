use actix_web::get;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{self, Listed};
use super::{AuditEvent, Break, Place};
use crate::App;
use crate::audit::Keys;
use crate::auth::{As, Auditor};
use crate::db::uninterrupted;
use crate::error::Result;
use crate::http::{Cursor, Limit, Page, Query, Reply};
use crate::ids::{AccountId, TherapistId};
use crate::values::{Instant, bounded_text};

bounded_text! {
    /// What was done, or the kind of thing it was done to.
    Term line 1..=60, example "credential.verify";
    /// The id or code of what it was done to.
    SubjectId line 1..=200, example "0198c0de-0000-7000-8000-000000000000";
}

/// The operations on the audit.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_audit_events).service(verify_audit);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditQuery {
    /// Done to this kind of thing.
    #[param(inline)]
    subject_type: Option<Term>,
    /// Done to this one.
    #[param(inline)]
    subject_id: Option<SubjectId>,
    /// Done by this account.
    actor_id: Option<AccountId>,
    /// About this therapist.
    therapist_id: Option<TherapistId>,
    /// This was done.
    #[param(inline)]
    action: Option<Term>,
    /// At this instant or later.
    #[param(inline)]
    from: Option<Instant>,
    /// Before this instant.
    #[param(inline)]
    to: Option<Instant>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List the audit
///
/// What was done, by whom, to what; newest first.
#[utoipa::path(tag = "Audit", operation_id = "list_audit_events", security(("bearer" = ["admin:auditor"])), params(AuditQuery),
    responses((status = 200, description = "A page of entries.", body = Page<AuditEvent>)))]
#[get("/v1/admin/audit")]
async fn list_audit_events(app: Data<App>, _me: As<Auditor>, Query(query): Query<AuditQuery>) -> Result<Reply> {
    let after: Option<(i64, Instant)> = query.cursor.as_ref().map(Cursor::key).transpose()?;
    let listed = Listed {
        subject_type: query.subject_type.as_ref().map(Term::as_str),
        subject_id: query.subject_id.as_ref().map(SubjectId::as_str),
        actor: query.actor_id,
        therapist: query.therapist_id,
        action: query.action.as_ref().map(Term::as_str),
        from: query.from.map(|Instant(from)| from),
        to: query.to.map(|Instant(to)| to),
        after: after.map(|(position, Instant(at))| (position, at)),
        count: query.limit.probe(),
    };
    let events = store::list(&app.db, listed, app.clock.now()).await?;
    Reply::ok(&Page::cut(events, query.limit, |event| (event.position, Instant(event.at)))?)
}

/// Links and heads that one request looks at, about.
const MOST: usize = 20_000;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VerifyQuery {
    /// From `next_cursor` of the answer before, to go on from there.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// Whether the audit is what was written.
#[derive(Serialize, ToSchema)]
struct Verified {
    /// Whether nothing that was looked at is broken.
    intact: bool,
    /// Entries of the chain that were looked at.
    entries: usize,
    /// The first broken place of these; null where there is none.
    first_broken: Option<Break>,
    /// How many places are broken.
    broken: usize,
    /// The newest signed head, as `knead audit head` prints it: keep it elsewhere. Null before anything was signed.
    #[schema(example = "knead-audit 2026-12-01T09:30:00.250000Z 4711 9f86..a08 Zm9vYmFyYmF6cXV4 c2ln..bmF0")]
    head: Option<String>,
    /// Names the key that signs now.
    key_id: Option<String>,
    /// That key's public half, Ed25519 in base64url, for others that verify.
    public_key: Option<String>,
    /// Where to go on; null where all was looked at.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<Cursor>,
}

/// Verify the audit
///
/// Recomputes the chain over all entries, holds it against every signed head, and looks for entries that are in no chain. Names
/// the first place that is broken. One answer covers a part of a long audit, which goes on with `next_cursor`. Entries are
/// chained and signed within about a second; one that waits longer than a minute counts as broken.
#[utoipa::path(tag = "Audit", operation_id = "verify_audit", security(("bearer" = ["admin:auditor"])), params(VerifyQuery),
    responses((status = 200, description = "What was found.", body = Verified)))]
#[get("/v1/admin/audit/verify")]
async fn verify_audit(app: Data<App>, _me: As<Auditor>, Query(query): Query<VerifyQuery>) -> Result<Reply> {
    let from = query.cursor.as_ref().map(Cursor::key).transpose()?.unwrap_or(Place::Chain(0));
    uninterrupted(async move {
        let found = super::verify(&app.db, app.part::<Keys>()?, from, MOST, app.clock.now()).await?;
        let (key_id, public_key) = app.part::<Keys>()?.public().unzip();
        Reply::ok(&Verified {
            intact: found.breaks.is_empty(),
            entries: found.entries,
            first_broken: found.breaks.first().copied(),
            broken: found.breaks.len(),
            head: super::newest_head(&*app.db).await?.map(|head| head.to_string()),
            key_id: key_id.map(str::to_owned),
            public_key,
            next_cursor: found.rest.as_ref().map(Cursor::after).transpose()?,
        })
    })
    .await
}
