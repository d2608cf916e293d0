//! What other rules of care would do to the visits ahead.

use actix_web::post;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Everyone, of_at, turn};
use crate::App;
use crate::auth::{As, CareEditor};
use crate::bookings::store as bookings;
use crate::care::published::PublishedRules;
use crate::care::{self, RuleSetPreview};
use crate::error::Result;
use crate::http::{Nothing, OrDefault, Path, Reply};
use crate::ids::RuleSetId;

pub(in crate::bookings) fn routes(config: &mut ServiceConfig) {
    config.service(preview_care_rule_set);
}

/// Visits that a preview decides on at the most: some seconds' work.
const MOST: usize = 2000;

/// What becomes of the visits ahead, counted.
#[derive(Debug, Default, Serialize, ToSchema)]
struct VisitsForeseen {
    /// How many were decided on.
    #[schema(example = 500)]
    considered: usize,
    /// Those that would not suit any more, and whose clients would be told.
    #[schema(example = 12)]
    unsettled: usize,
    /// Those of them that begin within 24 hours, and would be called off.
    #[schema(example = 1)]
    called_off: usize,
    /// Those that would suit again.
    #[schema(example = 0)]
    settled: usize,
    /// Those whose limits or sheet would change, which their therapists would be told.
    #[schema(example = 40)]
    sheets_changed: usize,
    /// Whether these are all visits ahead. Beyond 2,000 the rest is not looked at.
    #[schema(example = true)]
    complete: bool,
}

/// What a set of rules would change.
#[derive(Serialize, ToSchema)]
#[schema(as = CareRulesPreview)]
struct Preview {
    #[serde(flatten)]
    rules: RuleSetPreview,
    /// What would become of the visits ahead, at the instant at which the set takes effect.
    visits: VisitsForeseen,
}

/// Preview a set of care rules
///
/// What it would change against the rules in force: rule by rule, example by example, and what would become of the visits ahead, as the job that follows its
/// publication decides. Changes nothing.
#[utoipa::path(tag = "Care", operation_id = "preview_care_rule_set", security(("bearer" = ["admin:care", "admin:owner"])),
    params(("id" = RuleSetId, Path, description = "The set.")), request_body = Option<Nothing>,
    responses((status = 200, description = "What would change.", body = Preview)))]
#[post("/v1/admin/care-rule-sets/{id}/preview")]
async fn preview_care_rule_set(
    app: Data<App>,
    _me: As<CareEditor>,
    Path(id): Path<RuleSetId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    let (preview, rules, at) = care::preview_rule_set(&app, id).await?;
    let visits = foresee(&app, &rules, at).await?;
    Reply::ok(&Preview { rules: preview, visits })
}

async fn foresee(app: &App, rules: &std::sync::Arc<PublishedRules>, at: DateTime<Utc>) -> Result<VisitsForeseen> {
    let mut seen = VisitsForeseen { complete: true, ..VisitsForeseen::default() };
    let mut everyone = Everyone::under(rules);
    while let Some(visits) = everyone.next(app, at).await? {
        let mut work = app.begin(None).await?;
        for id in visits {
            if seen.considered == MOST {
                seen.complete = false;
                return Ok(seen);
            }
            let Some(booking) = bookings::find(&mut work, id, at).await? else { continue };
            let care = of_at(app, &mut work, &booking, (at, Some(rules.clone()))).await?;
            let turn = turn(&mut work, &booking, care.as_ref(), at).await?;
            seen.considered += 1;
            seen.unsettled += usize::from(turn.unsettles);
            seen.called_off += usize::from(turn.calls_off);
            seen.settled += usize::from(turn.settles);
            seen.sheets_changed += usize::from(turn.changes_sheet);
        }
        work.rollback().await?;
    }
    Ok(seen)
}
