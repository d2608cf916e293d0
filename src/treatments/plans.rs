//! Plans: what a therapist proposes over several visits. Each has an end, a review, and a rule for when to stop; the person agrees, and ends it at any time.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Days, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Seen, TreatmentText, store};
use crate::App;
use crate::auth::{As, Client, Parties, Therapist};
use crate::bookings::lifecycle::Party;
use crate::care;
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::Work;
use crate::http::{Json, Nothing, OrDefault, Path, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{BookingId, PlanId};
use crate::values::Day;
use crate::values::wall_clock::local_date;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_plan).service(propose_plan).service(accept_plan).service(decline_plan);
    config.service(create_plan_feedback).service(end_plan);
}

/// The column of what plans say, to which it is sealed.
pub(super) const CONTENT: &str = "plans.content";
/// The column of what is said of plans.
pub(super) const FEEDBACK: &str = "plan_feedback.text";

/// The longest plan, in days.
const LONGEST: u64 = 366;

/// What is said of one plan at the most.
const MOST_SAID: i32 = 50;

/// Where a plan stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub(super) enum PlanState {
    /// Waiting for the person's word.
    Proposed,
    /// Agreed to.
    Accepted,
    /// Not agreed to.
    Declined,
    /// Ended, by either of the two.
    Ended,
}

/// What a therapist proposes.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPlan {
    /// What it is for.
    goal: TreatmentText,
    /// How many visits.
    #[schema(minimum = 1, maximum = 52, example = 6)]
    visits: u8,
    /// Days from one visit to the next.
    #[schema(minimum = 1, maximum = 90, example = 14)]
    every_days: u8,
    /// After how many visits the two look whether it helps.
    #[schema(minimum = 1, maximum = 52, example = 3)]
    review_after_visits: u8,
    /// Its last day.
    #[schema(value_type = Day)]
    ends_on: NaiveDate,
    /// When to stop before: what would show that it does not help, or does harm.
    stop_when: TreatmentText,
}

impl NewPlan {
    fn faults(&self, today: NaiveDate) -> Vec<FieldError> {
        let latest = today.checked_add_days(Days::new(LONGEST)).unwrap_or(NaiveDate::MAX);
        let checks = [
            ((1..=52).contains(&self.visits), "/visits", "lies between 1 and 52."),
            ((1..=90).contains(&self.every_days), "/every_days", "lies between 1 and 90."),
            (
                (1..=self.visits.max(1)).contains(&self.review_after_visits),
                "/review_after_visits",
                "lies between 1 and the number of visits.",
            ),
            ((today..=latest).contains(&self.ends_on), "/ends_on", "lies between today and a year from now."),
        ];
        checks.into_iter().filter(|(holds, ..)| !holds).map(|(_, field, why)| FieldError::new(field, why)).collect()
    }
}

/// What a person said of a plan.
#[derive(Debug, Serialize, ToSchema)]
struct PlanFeedback {
    /// In their words.
    #[schema(example = "Every two weeks is too often for me.")]
    text: String,
    /// When.
    given_at: DateTime<Utc>,
}

/// A plan over several visits.
#[derive(Debug, Serialize, ToSchema)]
struct Plan {
    /// The plan's id.
    id: PlanId,
    /// The visit that it came of.
    booking_id: BookingId,
    /// Where it stands.
    state: PlanState,
    /// Whether its last day has passed, where the visit was.
    over: bool,
    #[serde(flatten)]
    content: NewPlan,
    /// When it was proposed.
    proposed_at: DateTime<Utc>,
    /// When the person agreed or did not.
    answered_at: Option<DateTime<Utc>>,
    /// When it was ended.
    ended_at: Option<DateTime<Utc>>,
    /// By whom.
    ended_by: Option<Party>,
    /// What the person said of it, oldest first.
    feedback: Vec<PlanFeedback>,
}

pub(super) fn row(plan: PlanId, number: i32) -> String {
    format!("{plan}/{number}")
}

async fn view(work: &mut Work, seen: &Seen, plan: &store::StoredPlan) -> Result<Plan> {
    let content: NewPlan = seen.person.cipher.open_value(CONTENT, plan.id, &plan.content)?;
    let opened = |one: store::StoredFeedback| {
        let text = seen.person.cipher.open(FEEDBACK, row(plan.id, one.number), &one.content)?;
        Ok(PlanFeedback { text, given_at: one.given_at })
    };
    let feedback = store::plan_feedback(work, plan.id).await?.into_iter().map(opened).collect::<Result<_>>()?;
    Ok(Plan {
        id: plan.id,
        booking_id: plan.booking_id,
        state: plan.state,
        over: content.ends_on < local_date(seen.booking.time_zone, work.now()),
        content,
        proposed_at: plan.proposed_at,
        answered_at: plan.answered_at,
        ended_at: plan.ended_at,
        ended_by: plan.ended_by,
        feedback,
    })
}

/// The latest plan of the two. It may be later than the visit by which it is found, so that whether the account answers for the person counts today.
async fn latest(work: &mut Work, seen: &Seen) -> Result<store::StoredPlan> {
    if seen.party == Party::Client && !care::is_accounts_own_today(work, &seen.person).await? {
        return Err(Error::NotFound);
    }
    store::latest_plan(work, seen.person.id, seen.booking.therapist).await?.ok_or(Error::NotFound)
}

/// Show the plan
///
/// The latest plan of the visit's therapist for the person, for the therapist, and for the account that answers for the person.
#[utoipa::path(tag = "After the visit", operation_id = "get_plan", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "A booking of the two.")),
    responses((status = 200, description = "The plan.", body = Plan)))]
#[get("/v1/bookings/{id}/plan")]
async fn get_plan(app: Data<App>, me: As<Parties>, Path(id): Path<BookingId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let plan = latest(&mut work, &seen).await?;
        let shown = view(&mut work, &seen, &plan).await?;
        work.commit().await?;
        Reply::ok(&shown)
    })
    .await
}

/// Propose a plan
///
/// The therapist proposes further visits, from the start of one until 72 hours after it: for what, how many, how often, when to look whether it helps, when it ends, and
/// when to stop before. A proposal takes the place of one that was not answered. Nothing is booked by it.
#[utoipa::path(tag = "After the visit", operation_id = "propose_plan", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewPlan, responses((status = 201, description = "The plan, proposed.", body = Plan)),
    extensions(("x-refusals" = json!(refused![SessionNotesClosed, PlanOpen]))))]
#[post("/v1/bookings/{id}/plan")]
async fn propose_plan(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    key: IdempotencyKey,
    Json(new, print): Json<NewPlan>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/bookings/{id}/plan", key, print.about(id)).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let now = work.now();
        if !seen.is_open(now) {
            return Err(Refusal::SessionNotesClosed.into());
        }
        let faults = new.faults(local_date(seen.booking.time_zone, now));
        if !faults.is_empty() {
            return Err(Error::Invalid(faults));
        }
        match store::latest_plan(&mut work, seen.person.id, me.therapist()).await? {
            Some(open) if open.state == PlanState::Accepted => return Err(Refusal::PlanOpen.into()),
            Some(open) if open.state == PlanState::Proposed => {
                store::end_plan(&mut work, open.id, Party::Therapist, now).await?;
            }
            _ => {}
        }
        let plan = PlanId::new(now);
        let content = seen.person.cipher.seal_value(CONTENT, plan, &new)?;
        store::insert_plan(&mut work, (plan, id), (seen.person.id, me.therapist()), &content).await?;
        work.announce(seen.event("plan.propose", json!({ "plan": plan }))).await?;
        let stored = latest(&mut work, &seen).await?;
        let reply = Reply::created(format!("/v1/bookings/{id}/plan"), &view(&mut work, &seen, &stored).await?)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Accept the plan
///
/// The person agrees. Nothing is booked by it.
#[utoipa::path(tag = "After the visit", operation_id = "accept_plan", security(("bearer" = ["client"])),
    params(("id" = BookingId, Path, description = "A booking of the two.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The plan, accepted.", body = Plan)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/bookings/{id}/plan/accept")]
async fn accept_plan(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<BookingId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    answer(app, me, id, PlanState::Accepted).await
}

/// Decline the plan
///
/// The person does not agree. What they would rather have is told as feedback.
#[utoipa::path(tag = "After the visit", operation_id = "decline_plan", security(("bearer" = ["client"])),
    params(("id" = BookingId, Path, description = "A booking of the two.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The plan, declined.", body = Plan)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/bookings/{id}/plan/decline")]
async fn decline_plan(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<BookingId>,
    _: OrDefault<Nothing>,
) -> Result<Reply> {
    answer(app, me, id, PlanState::Declined).await
}

async fn answer(app: Data<App>, me: As<Client>, id: BookingId, to: PlanState) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let plan = latest(&mut work, &seen).await?;
        // Again changes nothing.
        if plan.state != to {
            if plan.state != PlanState::Proposed {
                return Err(Refusal::InvalidTransition.into());
            }
            store::answer_plan(&mut work, plan.id, to).await?;
            let kind = if to == PlanState::Accepted { "plan.accept" } else { "plan.decline" };
            work.announce(seen.event(kind, json!({ "plan": plan.id }))).await?;
        }
        let plan = latest(&mut work, &seen).await?;
        let shown = view(&mut work, &seen, &plan).await?;
        work.commit().await?;
        Reply::ok(&shown)
    })
    .await
}

/// What a person says of a plan.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPlanFeedback {
    /// In their words.
    text: TreatmentText,
}

/// Say what one thinks of the plan
///
/// At any time while it is proposed or runs; the therapist is told.
#[utoipa::path(tag = "After the visit", operation_id = "create_plan_feedback", security(("bearer" = ["client"])),
    params(("id" = BookingId, Path, description = "A booking of the two."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewPlanFeedback, responses((status = 201, description = "The plan, with what was said.", body = Plan)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, TooManyFeedbacks]))))]
#[post("/v1/bookings/{id}/plan/feedback")]
async fn create_plan_feedback(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<BookingId>,
    key: IdempotencyKey,
    Json(new, print): Json<NewPlanFeedback>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/bookings/{id}/plan/feedback", key, print.about(id)).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let plan = latest(&mut work, &seen).await?;
        if !matches!(plan.state, PlanState::Proposed | PlanState::Accepted) {
            return Err(Refusal::InvalidTransition.into());
        }
        let number = store::last_plan_feedback(&mut work, plan.id).await? + 1;
        if number > MOST_SAID {
            return Err(Refusal::TooManyFeedbacks.into());
        }
        let text = seen.person.cipher.seal(FEEDBACK, row(plan.id, number), new.text.as_str())?;
        store::insert_plan_feedback(&mut work, plan.id, number, &text).await?;
        work.announce(seen.event("plan.feedback", json!({ "plan": plan.id }))).await?;
        let reply = Reply::created(format!("/v1/bookings/{id}/plan"), &view(&mut work, &seen, &plan).await?)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// End the plan
///
/// Either of the two ends it at any time, without a reason. Visits that are booked stay booked. Again changes nothing.
#[utoipa::path(tag = "After the visit", operation_id = "end_plan", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "A booking of the two.")), request_body = Option<Nothing>,
    responses((status = 200, description = "The plan, ended.", body = Plan)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/bookings/{id}/plan/end")]
async fn end_plan(app: Data<App>, me: As<Parties>, Path(id): Path<BookingId>, _: OrDefault<Nothing>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let seen = Seen::find(&app, &mut work, &me.principal, id).await?;
        let plan = latest(&mut work, &seen).await?;
        if plan.state == PlanState::Declined {
            return Err(Refusal::InvalidTransition.into());
        }
        if plan.state != PlanState::Ended {
            let now = work.now();
            store::end_plan(&mut work, plan.id, seen.party, now).await?;
            work.announce(seen.event("plan.end", json!({ "plan": plan.id }))).await?;
        }
        let plan = latest(&mut work, &seen).await?;
        let shown = view(&mut work, &seen, &plan).await?;
        work.commit().await?;
        Reply::ok(&shown)
    })
    .await
}
