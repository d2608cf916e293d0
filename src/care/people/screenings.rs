//! What a person answers, once and for all, and what comes of it.

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::types::Json as Kept;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::invitations::refuse_guests;
use super::recipients::{Recipient, find, lock};
use super::{QuestionnaireRef, facts, named, refuse_too_many, store};
use crate::App;
use crate::accounts;
use crate::auth::{As, Client};
use crate::care::Outcome;
use crate::care::body::RegionSet;
use crate::care::decide::{Advice, Asked, Limits, decide};
use crate::care::published::{self, RuleCache, emergency_number, policy};
use crate::care::questions::GivenAnswer;
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Json, Page, Paging, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{RecipientId, ScreeningId, ServiceId};
use crate::values::wall_clock::local_date;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_screenings).service(create_screening).service(get_screening);
}

/// The column of answers, to which they are sealed.
pub(in crate::care) const ANSWERS: &str = "screenings.answers";

/// How many screenings a recipient has in 24 hours at the most.
const MOST_A_DAY: i64 = 20;

/// What was answered at one time.
#[derive(Serialize, ToSchema)]
#[schema(as = Screening)]
pub(super) struct ScreeningView {
    /// The screening's id.
    id: ScreeningId,
    /// What was answered.
    questionnaires: Vec<QuestionnaireRef>,
    /// The answers, without those to questions that were not put.
    answers: Vec<GivenAnswer>,
    /// The date on which they were given, where the client lives.
    given_on: NaiveDate,
    /// When they were given.
    created_at: DateTime<Utc>,
}

impl ScreeningView {
    fn opened(screening: store::StoredScreening, recipient: &Recipient) -> Result<Self> {
        Ok(Self {
            id: screening.id,
            answers: recipient.cipher.open_value(ANSWERS, screening.id, &screening.answers)?,
            questionnaires: screening.questionnaires.0,
            given_on: screening.given_on,
            created_at: screening.created_at,
        })
    }
}

/// What comes of answers for a service, today.
#[derive(Serialize, ToSchema)]
pub(super) struct ServiceDecision {
    /// The service.
    service_id: ServiceId,
    /// Its slug.
    #[schema(example = "swedish")]
    service: String,
    /// What comes of it.
    outcome: Outcome,
    /// What applies.
    limits: Limits,
}

/// What was answered, and what comes of it.
#[derive(Serialize, ToSchema)]
pub(super) struct ScreeningResult {
    #[serde(flatten)]
    screening: ScreeningView,
    /// What comes of it for each service, today.
    decisions: Vec<ServiceDecision>,
    /// What the person is told.
    advice: Vec<Advice>,
    /// Whom to call, where it is an emergency or urgent.
    #[schema(value_type = Option<String>, example = "112")]
    emergency_number: Option<String>,
}

/// List screenings
///
/// What was answered of a recipient, the latest first. A later one takes the place of an earlier one for the questionnaires that it answers.
#[utoipa::path(tag = "Care", operation_id = "list_screenings", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."), Paging),
    responses((status = 200, description = "A page of screenings.", body = Page<ScreeningView>)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[get("/v1/me/recipients/{id}/screenings")]
async fn list_screenings(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    Query(query): Query<Paging>,
) -> Result<Reply> {
    let recipient = find(&*app.db, &app.cipher, me.account(), id).await?;
    refuse_guests(&recipient)?;
    let found = store::screenings(&*app.db, id, query.after()?, query.limit.probe()).await?;
    let Page { data, next_cursor } = Page::cut(found, query.limit, |screening| screening.number)?;
    let views = data.into_iter().map(|screening| ScreeningView::opened(screening, &recipient));
    Reply::ok(&Page { data: views.collect::<Result<Vec<_>>>()?, next_cursor })
}

/// Show a screening
///
/// What was answered at one time.
#[utoipa::path(tag = "Care", operation_id = "get_screening", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("screening_id" = ScreeningId, Path, description = "The screening.")),
    responses((status = 200, description = "The screening.", body = ScreeningView)),
    extensions(("x-refusals" = json!(refused![GuardianNeeded]))))]
#[get("/v1/me/recipients/{id}/screenings/{screening_id}")]
async fn get_screening(
    app: Data<App>,
    me: As<Client>,
    Path((id, screening)): Path<(RecipientId, ScreeningId)>,
) -> Result<Reply> {
    let recipient = find(&*app.db, &app.cipher, me.account(), id).await?;
    refuse_guests(&recipient)?;
    let found = store::screening(&*app.db, id, screening).await?.ok_or(Error::NotFound)?;
    Reply::ok(&ScreeningView::opened(found, &recipient)?)
}

/// Answers to be given.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewScreening {
    /// What is answered, in the versions that are in force: 1 to 10.
    questionnaires: Vec<QuestionnaireRef>,
    /// The answers. Those to questions that are not put have no effect, and are not kept.
    answers: Vec<GivenAnswer>,
    /// That the answers are true, as far as the person knows: `true`.
    #[schema(example = true)]
    attested: bool,
}

impl NewScreening {
    /// Whether it answers a questionnaire.
    pub(super) fn names(&self, code: &str) -> bool {
        self.questionnaires.iter().any(|one| one.code == code)
    }
}

/// Answer questionnaires
///
/// Stores the answers, whatever they say, and tells what comes of them for each service today. They are sealed under the person's own key; nothing of them is
/// written to the audit, to notices or to tasks. The draft is deleted.
#[utoipa::path(tag = "Care", operation_id = "create_screening", security(("bearer" = ["client"])),
    params(("id" = RecipientId, Path, description = "The recipient."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewScreening, responses((status = 201, description = "What was answered, and what comes of it.", body = ScreeningResult,
     headers(("Location" = String, description = "Where the screening is found.")))),
    extensions(("x-refusals" = json!(refused![QuestionnaireOutdated, TooManyScreenings, GuardianNeeded]))))]
#[post("/v1/me/recipients/{id}/screenings")]
async fn create_screening(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<RecipientId>,
    key: IdempotencyKey,
    Json(new, print): Json<NewScreening>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/me/recipients/{id}/screenings", key, print.about(id)).await?;
        let recipient = lock(&mut work, &app.cipher, me.account(), id).await?;
        refuse_guests(&recipient)?;
        let result = answer(&app, &mut work, &recipient, new).await?;
        let location = format!("/v1/me/recipients/{id}/screenings/{}", result.screening.id);
        let reply = Reply::created(location, &result)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Stores what a recipient answers, whoever sends it, and tells what comes of it. The recipient is locked.
///
/// # Errors
/// 422 lists every answer that is missing or wrong; `questionnaire_outdated`, `too_many_screenings`.
pub(super) async fn answer(
    app: &App,
    work: &mut Work,
    recipient: &Recipient,
    new: NewScreening,
) -> Result<ScreeningResult> {
    refuse_too_many(&new.answers)?;
    let now = work.now();
    let rules = app.part::<RuleCache>()?.rules(work, now).await?;
    let there = published::questionnaires(&mut ***work, now).await?.into_iter().map(|(one, _)| one).collect();
    let questionnaires = named(&new.questionnaires, there)?;
    if questionnaires
        .iter()
        .any(|one| !new.questionnaires.iter().any(|asked| asked.code == one.code && asked.version == one.version))
    {
        return Err(Refusal::QuestionnaireOutdated.into());
    }
    let today = local_date(accounts::zone(&mut ***work, recipient.account).await?, now);
    let catalogue = super::catalogue(&questionnaires);
    let (answers, mut wrong) = match catalogue.read(&new.answers, "/answers", today) {
        Ok(answers) => (answers, Vec::new()),
        Err(wrong) => (Vec::new(), wrong),
    };
    let given = catalogue.facts(&answers, today, 1);
    let unanswered = catalogue.missing(&given, today).into_iter();
    let unanswered = unanswered.filter(|code| !new.answers.iter().any(|answer| answer.question == *code));
    wrong.extend(unanswered.map(|code| FieldError {
        code: "missing".into(),
        ..FieldError::new("/answers", format!("lacks an answer to `{code}`."))
    }));
    if !new.attested {
        wrong.push(FieldError::new("/attested", "must be true: only answers that are true can decide."));
    }
    if !wrong.is_empty() {
        return Err(Error::Invalid(wrong));
    }
    let (today_so_far, last) = store::count_since(work, recipient.id, now - TimeDelta::hours(24)).await?;
    if today_so_far >= MOST_A_DAY {
        return Err(Refusal::TooManyScreenings.into());
    }
    let kept: Vec<GivenAnswer> = catalogue
        .put(&answers, &given)
        .into_iter()
        .map(|answer| GivenAnswer::of(&answer.question, &answer.known))
        .collect();
    let screening_id = ScreeningId::new(now);
    let screening = store::StoredScreening {
        id: screening_id,
        number: last + 1,
        questionnaires: Kept(new.questionnaires),
        answers: recipient.cipher.seal_value(ANSWERS, screening_id, &kept)?,
        given_on: today,
        created_at: now,
    };
    store::insert_screening(&mut ***work, recipient.id, &screening).await?;
    store::delete_draft(work, recipient.id).await?;
    // Ids and versions alone: what came of the answers is health, too.
    let details =
        json!({ "screening": screening.id, "questionnaires": screening.questionnaires.0, "rules": rules.version });
    work.announce(Event::new("screening.create", "recipient", recipient.id).with(details)).await?;
    let terms = policy(&mut ***work, &[], now).await?;
    let told = facts::of(work, recipient, terms.answers_last_days).await?;
    let (mut decisions, mut advice, mut worst) = (Vec::new(), Vec::new(), Outcome::Suitable);
    for (service_id, service) in published::services(&mut ***work).await? {
        let asked = Asked {
            service: &service,
            techniques: &[],
            pressure: None,
            minutes: 60,
            regions: RegionSet::default(),
            place: &[],
        };
        let decision = decide(&rules.rules, &told.facts, &told.clearances, &asked, today);
        worst = worst.max(decision.outcome);
        advice.extend(decision.advice);
        let (outcome, limits) = (decision.outcome, decision.limits);
        decisions.push(ServiceDecision { service_id, service: service.slug, outcome, limits });
    }
    advice.sort();
    advice.dedup();
    let emergency_number =
        if worst >= Outcome::Urgent { Some(emergency_number(&mut ***work, None).await?) } else { None };
    let screening = ScreeningView::opened(screening, recipient)?;
    Ok(ScreeningResult { screening, decisions, advice, emergency_number })
}
