//! A client's word that the therapist did not come. It is pending: what the visit costs, and whether it tells against the therapist, is settled
//! by staff. Where the therapist is silent for a day, it costs nothing; a mark against the therapist takes a person's decision in any case.

use actix_web::post;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::events::{Taken, Why};
use super::jobs::SettleReport;
use super::lifecycle::{Action, Party, Step, step};
use super::reliability::{self, Lapse};
use super::steps::{Begun, admit, begin, begin_as_system, view};
use super::views::BookingView;
use super::{Booking, Cancelled, KeptReason, Reason, store};
use crate::App;
use crate::auth::{As, Support};
use crate::cipher::Sealed;
use crate::db::uninterrupted;
use crate::error::{Refusal, Result, refused};
use crate::events::{TimeLock, Work};
use crate::http::{IfMatch, Json, Path, Reply};
use crate::ids::BookingId;
use crate::queue::enqueue;

/// The operation that settles a report.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(decide_no_show);
}

/// How long a therapist has to answer.
const ANSWERED_WITHIN: TimeDelta = TimeDelta::hours(24);

/// A client's report that nobody came.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// What the client owes where the therapist was there.
    pub fee: i64,
    /// When the therapist said to have been there.
    pub contested_at: Option<DateTime<Utc>>,
    /// Who settled it, and whether it was upheld. Staff settle it once; silence does until they do.
    pub decided: Option<(Party, bool)>,
}

impl Report {
    /// By when the therapist has to answer.
    fn answer_by(&self) -> DateTime<Utc> {
        self.at + ANSWERED_WITHIN
    }

    /// The same, contested.
    pub(super) fn contested(self, now: DateTime<Utc>) -> Self {
        Self { contested_at: Some(now), ..self }
    }

    /// Whether `action` by `party` changes anything; false where it was taken before.
    ///
    /// # Errors
    /// `invalid_transition`; `too_early`, `too_late`.
    pub(super) fn settles(&self, action: Action, party: Party, now: DateTime<Utc>) -> Result<bool, Refusal> {
        let by_staff = self.decided.filter(|(by, _)| *by == Party::Admin).map(|(_, upheld)| upheld);
        match (action, party) {
            (Action::Contest, _) if self.contested_at.is_some() => Ok(false),
            (Action::Contest, _) if self.decided.is_some() => Err(Refusal::InvalidTransition),
            (Action::Contest, _) if now >= self.answer_by() => Err(Refusal::TooLate),
            (Action::Contest, _) => Ok(true),
            (Action::Uphold, Party::System) if self.decided.is_some() => Ok(false),
            (Action::Uphold, Party::System) if self.contested_at.is_some() => Err(Refusal::InvalidTransition),
            (Action::Uphold, Party::System) if now < self.answer_by() => Err(Refusal::TooEarly),
            (Action::Uphold, Party::System) => Ok(true),
            (Action::Uphold | Action::Reject, _) => match by_staff {
                None => Ok(true),
                Some(upheld) if upheld == (action == Action::Uphold) => Ok(false),
                Some(_) => Err(Refusal::InvalidTransition),
            },
            _ => Err(Refusal::InvalidTransition),
        }
    }
}

/// Where a report stands.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReportState {
    /// The therapist has not answered.
    Pending,
    /// The therapist says to have been there; staff have not decided.
    Contested,
    /// Nobody came: the visit costs nothing.
    Upheld,
    /// The therapist was there: the client pays as one who was not.
    Rejected,
}

/// A client's report that nobody came, and what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct NoShowReport {
    /// Where it stands.
    state: ReportState,
    /// When it was made.
    reported_at: DateTime<Utc>,
    /// By when the therapist may contest it. Silence upholds it then.
    answer_by: DateTime<Utc>,
}

impl From<Report> for NoShowReport {
    fn from(report: Report) -> Self {
        let state = match (report.decided, report.contested_at) {
            (Some((_, true)), _) => ReportState::Upheld,
            (Some((_, false)), _) => ReportState::Rejected,
            (None, Some(_)) => ReportState::Contested,
            (None, None) => ReportState::Pending,
        };
        Self { state, reported_at: report.at, answer_by: report.answer_by() }
    }
}

/// Who reported that the other was not there.
pub(super) fn reporter(booking: &Booking) -> Option<Party> {
    let settled = booking.cancelled.map(|ended| ended.by);
    booking.missed.map(|_| Party::Client).or(settled)
}

/// The client's word that nobody came, which a job settles unless a person does.
pub(super) async fn report(work: &mut Work, booking: &mut Booking) -> Result<()> {
    let report = Report { at: work.now(), fee: booking.no_show_fee().amount, contested_at: None, decided: None };
    booking.missed = Some(report);
    enqueue(work, &SettleReport { booking: booking.id }, report.answer_by()).await
}

/// Upholds a report that its therapist has not answered: the job's part, which may run twice, early or late.
pub async fn settle(app: &App, id: BookingId) -> Result<()> {
    let Some(Begun { mut work, lock, booking, party }) = begin_as_system(app, id).await? else { return Ok(()) };
    match step(&booking, Action::Uphold, party, work.now()) {
        Ok(Step::To(_)) => {
            decide(&mut work, &lock, booking, (Action::Uphold, party), None).await?;
        }
        Err(Refusal::TooEarly) => {
            // The queue's clock is ahead of ours.
            if let Some(report) = booking.missed {
                enqueue(&mut work, &SettleReport { booking: id }, report.answer_by()).await?;
            }
        }
        Ok(Step::Done) | Err(_) => {}
    }
    work.commit().await
}

/// Settles what the visit costs, and where staff do, whether it tells against its therapist.
async fn decide(
    work: &mut Work,
    lock: &TimeLock,
    mut booking: Booking,
    (action, party): (Action, Party),
    reason: Option<Sealed>,
) -> Result<Booking> {
    let report = booking.missed.ok_or(Refusal::InvalidTransition)?;
    let upheld = action == Action::Uphold;
    booking.missed = Some(Report { decided: Some((party, upheld)), ..report });
    let fee = if upheld { 0 } else { report.fee };
    booking.cancelled = Some(Cancelled { by: Party::Client, at: report.at, fee });
    let taken = Taken { action, party, from: booking.status, reason: reason.map(Why::Theirs) };
    store::save(work, lock, &booking, taken).await?;
    if upheld && party == Party::Admin {
        reliability::record(work, &booking, Lapse::NoShow).await?;
    }
    Ok(booking)
}

/// What staff find about a report.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NoShowDecision {
    /// Whether it is so that nobody came.
    upheld: bool,
    /// Why; for staff alone.
    reason: Reason,
}

/// Decide on a no-show report
///
/// Upholds a client's report that nobody came, or rejects it: upheld, the visit costs nothing and tells against its therapist; rejected, the
/// client pays as one who was not there. Staff decide once, also after the therapist's silence has upheld it for the time being.
#[utoipa::path(tag = "Bookings", operation_id = "decide_no_show", security(("bearer" = ["admin:support"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = NoShowDecision,
    responses((status = 200, description = "The booking, its report settled; `cancellation` says what it costs.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/admin/bookings/{id}/no-show-decision")]
async fn decide_no_show(
    app: Data<App>,
    me: As<Support>,
    Path(id): Path<BookingId>,
    known: IfMatch,
    Json(body, _): Json<NoShowDecision>,
) -> Result<Reply> {
    uninterrupted(async move {
        let Begun { mut work, lock, mut booking, party } = begin(&app, &me.principal, id).await?;
        let (action, now) = (if body.upheld { Action::Uphold } else { Action::Reject }, work.now());
        let step = step(&booking, action, party, now);
        if admit(&app, &mut work, &known, (action, step), &booking, party).await?.is_some() {
            let reason = KeptReason::seal(&app.cipher, id, action, now, body.reason.as_str())?;
            booking = decide(&mut work, &lock, booking, (action, party), Some(reason)).await?;
        }
        let reply = view(&app, &mut work, booking, party).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}
