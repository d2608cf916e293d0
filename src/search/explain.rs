//! Why a start is not offered: for the therapist themself and for admins, since the rules tell of other people's visits.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::PgConnection;
use utoipa::ToSchema;

use super::Setting;
use crate::App;
use crate::auth::Principal;
use crate::availability::travel::Roads;
use crate::availability::{Diary, Engine, Enquiry, Rule, diaries};
use crate::db::Lent;
use crate::error::{Error, FieldError, Result};
use crate::ids::{AccountId, TherapistId};
use crate::values::{Grant, Role, Span};

/// Starts on the grid, one after the other, that are not offered, and the rules that refuse each of them.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RefusedStarts {
    /// When the time on the table would begin, at the first of them.
    start_at: DateTime<Utc>,
    /// The same at the last of them.
    last_start_at: DateTime<Utc>,
    /// How many they are.
    #[schema(example = 96)]
    starts: usize,
    /// The rules, in the order in which they are asked.
    refusals: Vec<Rule>,
}

/// Whether the caller may hear which rules refuse a start with `therapist`.
pub(super) fn is_insider(caller: Option<Principal>, therapist: TherapistId) -> bool {
    caller.is_some_and(|caller| match caller.role {
        Role::Admin => caller.may_any(&[Grant::Verifier, Grant::Support]),
        Role::Therapist => therapist == caller.account.into(),
        Role::Client => false,
    })
}

/// The therapist whose refusals the caller asks for, if they may.
pub(super) fn asked_of(caller: Option<Principal>, therapist: Option<TherapistId>) -> Result<TherapistId> {
    let caller = caller.ok_or(Error::Unauthorized)?;
    if caller.role == Role::Client {
        return Err(Error::Forbidden);
    }
    let therapist = therapist.ok_or_else(|| FieldError::new("/therapist_id", "is needed with `explain`."))?;
    if is_insider(Some(caller), therapist) { Ok(therapist) } else { Err(Error::Forbidden) }
}

/// Everything that bears on the visit with `therapist` within `span`.
pub(super) async fn diary(
    app: &App,
    db: &mut PgConnection,
    therapist: TherapistId,
    setting: &Setting,
    client: Option<AccountId>,
    span: Span,
    now: DateTime<Utc>,
) -> Result<Diary> {
    let asked = Enquiry { visit: Some((setting.service, setting.minutes)), client };
    let mut found = diaries(&mut *db, &[therapist], asked, span, now).await?;
    app.part::<Roads>()?.fill(db, &mut found, setting.place.point, span, now).await?;
    found.pop().ok_or_else(|| FieldError::new("/therapist_id", "is not a therapist.").into())
}

/// Puts starts together that follow each other on the grid and are refused by the same rules; `offered` are those in between.
fn runs(refused: Vec<(DateTime<Utc>, Vec<Rule>)>, offered: &[DateTime<Utc>]) -> Vec<RefusedStarts> {
    let mut runs: Vec<RefusedStarts> = Vec::new();
    for (start_at, refusals) in refused {
        let follows = |run: &RefusedStarts| {
            let next = offered.partition_point(|offered| *offered <= run.last_start_at);
            run.refusals == refusals && offered.get(next).is_none_or(|offered| *offered > start_at)
        };
        match runs.last_mut().filter(|run| follows(run)) {
            Some(run) => {
                run.last_start_at = start_at;
                run.starts += 1;
            }
            None => runs.push(RefusedStarts { start_at, last_start_at: start_at, starts: 1, refusals }),
        }
    }
    runs
}

/// The starts on the grid within `span` that are not offered.
pub(super) async fn refused(
    app: &App,
    db: &mut Lent<'_>,
    therapist: TherapistId,
    setting: &Setting,
    span: Span,
    now: DateTime<Utc>,
) -> Result<Vec<RefusedStarts>> {
    let diary = diary(app, db.get().await?, therapist, setting, None, span, now).await?;
    db.give_back();
    let visit = setting.visit();
    let engine = Engine::new(&diary, &visit, span, now);
    let offered: Vec<DateTime<Utc>> = engine.starts(span).into_iter().map(|start| start.at).collect();
    Ok(runs(engine.refused(span), &offered))
}
