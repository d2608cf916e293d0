//! What a therapist still has to do before clients can book them, and when the first of them could.

use std::sync::Arc;

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{Searches, Setting, explain};
use crate::App;
use crate::auth::{As, Principal, Therapist, VerifierOrSupport};
use crate::availability::{Engine, Enquiry, Rule, diaries};
use crate::catalogue;
use crate::credentials::review::ReviewState;
use crate::credentials::{self, Credential, Requirement, missing, standings};
use crate::db::Lent;
use crate::error::{Error, Result};
use crate::events::{Event, Work};
use crate::http::{Origin, Path, Reply};
use crate::ids::{CredentialId, ServiceId, TherapistId};
use crate::therapists::{self, Offer, Profile};
use crate::values::wall_clock::local_date;
use crate::values::{Jurisdiction, Place, Point, Span, Zone};

/// The operations on readiness.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_readiness_to_work).service(get_therapist_readiness);
}

/// How far ahead the first start is looked for, and in stretches of how many days.
const AHEAD: TimeDelta = TimeDelta::days(56);
const STRETCH: TimeDelta = TimeDelta::days(14);

/// What is to be there before a therapist can be booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum ReadinessStep {
    /// Where the therapist sets out from.
    Base,
    /// What the therapist offers.
    Offers,
    /// When the therapist works.
    Hours,
    /// What the place of the base requires.
    Credentials,
    /// That the therapist accepts bookings.
    AcceptingBookings,
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum StepState {
    /// It is there.
    Done,
    /// It waits for staff.
    Waiting,
    /// It waits for the therapist.
    ToDo,
}

/// The call that takes a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
struct NextCall {
    #[schema(example = "PATCH")]
    method: &'static str,
    #[schema(example = "/v1/therapists/me")]
    path: String,
    /// The fields that are missing there.
    #[schema(example = json!(["base_latitude", "base_longitude"]))]
    fields: &'static [&'static str],
}

/// A step, and the call that takes it.
#[derive(Debug, Serialize, ToSchema)]
struct StepView {
    step: ReadinessStep,
    state: StepState,
    /// What the therapist calls next; null where there is nothing to be done by them.
    next: Option<NextCall>,
}

/// Where a group of credentials stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum GroupState {
    /// One of its options can be relied on today.
    Met,
    /// One is with staff.
    InReview,
    /// One is a draft, or more was asked for.
    ToComplete,
    /// One was rejected, or is not in force any more.
    NotInForce,
    /// None was entered.
    Missing,
}

/// A credential that could meet a group.
#[derive(Debug, Serialize, ToSchema)]
struct HeldOption {
    id: CredentialId,
    /// Its type's code.
    #[serde(rename = "type")]
    #[schema(example = "INSURANCE")]
    type_code: String,
    review_state: ReviewState,
    /// The last day of its validity.
    expires_on: Option<chrono::NaiveDate>,
}

/// A group of credentials of which one must be usable.
#[derive(Debug, Serialize, ToSchema)]
struct GroupView {
    /// The place that asks for it.
    #[schema(example = "AU")]
    jurisdiction: String,
    #[schema(example = "insurance")]
    group: String,
    /// The types that meet it.
    #[schema(example = json!(["INSURANCE"]))]
    options: Vec<String>,
    state: GroupState,
    /// The therapist's own of these types.
    held: Vec<HeldOption>,
    /// What the therapist calls next; null where there is nothing to be done by them.
    next: Option<NextCall>,
}

/// What a therapist still has to do.
#[derive(Debug, Serialize, ToSchema)]
struct TherapistReadiness {
    /// Whether clients find the therapist: every step is done.
    bookable: bool,
    /// The steps, in the order in which they are best taken.
    steps: Vec<StepView>,
    /// Whose rules hold at the base; null where there is none, or none that is known.
    jurisdiction: Option<Jurisdiction>,
    /// The zone at the base.
    time_zone: Option<Zone>,
    /// What is required at the base today, for what is offered first; else for massage.
    groups: Vec<GroupView>,
    /// The first start that could be booked at the base itself, within 56 days; null where there is none.
    first_start_at: Option<DateTime<Utc>>,
    /// Where there is none: the rules that refuse every start of the next 14 days.
    refused_by: Vec<Rule>,
}

/// Show what is missing
///
/// What the caller still has to do before clients can book them: each step with the call that takes it, what the place of the base requires with the
/// credentials that meet it, and the first start that could be booked.
#[utoipa::path(tag = "Therapists", operation_id = "get_own_readiness", security(("bearer" = ["therapist"])),
    responses((status = 200, description = "What is there, and what is not.", body = TherapistReadiness)))]
#[get("/v1/therapists/me/readiness")]
async fn get_readiness_to_work(app: Data<App>, me: As<Therapist>, origin: Origin) -> Result<Reply> {
    let app = app.into_inner();
    let asked = of(app.clone(), me.therapist(), None);
    app.part::<Searches>()?.run(Some(me.principal), origin, asked).await.and_then(|found| Reply::ok(&found))
}

/// Show what a therapist is missing
///
/// The same for staff. Each such look is written down.
#[utoipa::path(tag = "Therapists", operation_id = "get_therapist_readiness", security(("bearer" = ["admin:verifier", "admin:support"])),
    params(("id" = TherapistId, Path, description = "The therapist.")),
    responses((status = 200, description = "What is there, and what is not.", body = TherapistReadiness)))]
#[get("/v1/admin/therapists/{id}/readiness")]
async fn get_therapist_readiness(
    app: Data<App>,
    me: As<VerifierOrSupport>,
    origin: Origin,
    Path(id): Path<TherapistId>,
) -> Result<Reply> {
    let app = app.into_inner();
    let asked = of(app.clone(), id, Some(me.principal));
    app.part::<Searches>()?.run(Some(me.principal), origin, asked).await.and_then(|found| Reply::ok(&found))
}

/// What `therapist` still has to do. A look by staff is written down.
async fn of(app: Arc<App>, therapist: TherapistId, staff: Option<Principal>) -> Result<TherapistReadiness> {
    let mut work = app.begin(staff.map(|staff| staff.account)).await?;
    if !therapists::exists(&mut **work, therapist).await? {
        return Err(Error::NotFound);
    }
    let now = work.now();
    let profile = therapists::profile(&*app.db, therapist).await?;
    let offers = therapists::offers_of(&mut work, therapist).await?;
    let base = profile.base_latitude.zip(profile.base_longitude);
    let place = base.and_then(|(latitude, longitude)| Place::at(Point { latitude, longitude }));
    let groups = match &place {
        Some(place) => groups(&mut work, therapist, place, &offers, now).await?,
        None => Vec::new(),
    };
    if staff.is_some() {
        work.announce(Event::new("therapist.read", "therapist", therapist).about(therapist)).await?;
    }
    work.commit().await?;
    let mut db = Lent::by(&app.db);
    let works = works(&mut db, therapist, now).await?;
    let steps = steps(&profile, &offers, works, &groups);
    let bookable = steps.iter().all(|step| step.state == StepState::Done);
    let (first_start_at, refused_by) = match &place {
        Some(place) => first_start(&app, &mut db, therapist, place, &offers, now).await?,
        None => (None, Vec::new()),
    };
    let (jurisdiction, time_zone) = place.map(|place| (place.jurisdiction, place.zone)).unzip();
    Ok(TherapistReadiness { bookable, steps, jurisdiction, time_zone, groups, first_start_at, refused_by })
}

/// Whether the therapist works at any time that could be booked.
async fn works(db: &mut Lent<'_>, therapist: TherapistId, now: DateTime<Utc>) -> Result<bool> {
    let span = Span { start: now, end: now + AHEAD };
    let found = diaries(db.get().await?, &[therapist], Enquiry::default(), span, now).await?;
    Ok(found.first().is_some_and(|diary| !diary.hours.windows(diary.zone, span).is_empty()))
}

fn call(method: &'static str, path: impl Into<String>, fields: &'static [&'static str]) -> Option<NextCall> {
    Some(NextCall { method, path: path.into(), fields })
}

/// The steps with the calls that take them.
fn steps(profile: &Profile, offers: &[Offer], works: bool, groups: &[GroupView]) -> Vec<StepView> {
    let own = "/v1/therapists/me";
    let simple = |step, done: bool, next| {
        let state = if done { StepState::Done } else { StepState::ToDo };
        StepView { step, state, next: if done { None } else { next } }
    };
    let unmet = groups.iter().filter(|group| group.state != GroupState::Met);
    let licensed = match unmet.clone().find(|group| group.state != GroupState::InReview) {
        // A place without rules is not served.
        _ if groups.is_empty() => simple(ReadinessStep::Credentials, false, None),
        Some(group) => simple(ReadinessStep::Credentials, false, group.next.clone()),
        None if unmet.count() > 0 => {
            StepView { step: ReadinessStep::Credentials, state: StepState::Waiting, next: None }
        }
        None => simple(ReadinessStep::Credentials, true, None),
    };
    vec![
        simple(
            ReadinessStep::Base,
            profile.base_latitude.is_some(),
            call("PATCH", own, &["base_latitude", "base_longitude"]),
        ),
        simple(ReadinessStep::Offers, !offers.is_empty(), call("PUT", format!("{own}/services"), &["services"])),
        simple(ReadinessStep::Hours, works, call("PUT", format!("{own}/schedule"), &["weekly"])),
        licensed,
        simple(
            ReadinessStep::AcceptingBookings,
            profile.accepting_bookings,
            call("PATCH", own, &["accepting_bookings"]),
        ),
    ]
}

/// What is required at the base today, and what the therapist holds of it.
async fn groups(
    work: &mut Work,
    therapist: TherapistId,
    place: &Place,
    offers: &[Offer],
    now: DateTime<Utc>,
) -> Result<Vec<GroupView>> {
    let service = match offers.first() {
        Some(offer) => offer.service_id,
        None => match catalogue::first(&mut ***work).await? {
            Some(service) => service,
            None => return Ok(Vec::new()),
        },
    };
    let required = credentials::required_for(&mut ***work, &place.jurisdiction, place.point, service).await?;
    let Some(required) = required else { return Ok(Vec::new()) };
    let today = local_date(place.zone, now);
    let held = credentials::list(work, therapist).await?;
    let in_force = standings(work, therapist).await?;
    let unmet: Vec<&Requirement> = missing(&required, &in_force, today, today);
    let asked = required.groups.iter().filter(|group| {
        group.valid_from.is_none_or(|from| from <= today) && group.valid_until.is_none_or(|until| today <= until)
    });
    Ok(asked
        .map(|group| {
            let is_met = !unmet.iter().any(|one| one.group == group.group && one.jurisdiction == group.jurisdiction);
            view_of(group, is_met, &held)
        })
        .collect())
}

fn view_of(group: &Requirement, is_met: bool, held: &[Credential]) -> GroupView {
    use ReviewState::{Draft, InReview, InfoRequested, PendingSecond, Rejected, Submitted, Superseded, Withdrawn};
    let own: Vec<&Credential> = held.iter().filter(|one| group.options.contains(&one.type_code)).collect();
    let newest = |states: &[ReviewState]| own.iter().rfind(|one| states.contains(&one.review_state));
    let path = "/v1/therapists/me/credentials";
    let (state, next) = if is_met {
        (GroupState::Met, None)
    } else if newest(&[Submitted, InReview, PendingSecond]).is_some() {
        (GroupState::InReview, None)
    } else if let Some(one) = newest(&[Draft, InfoRequested]) {
        (GroupState::ToComplete, call("POST", format!("{path}/{}/submit", one.id), &[]))
    } else if let Some(one) = newest(&[Rejected]) {
        (GroupState::NotInForce, call("POST", format!("{path}/{}/reopen", one.id), &[]))
    } else {
        let gone = own.iter().any(|one| !matches!(one.review_state, Withdrawn | Superseded));
        let state = if gone { GroupState::NotInForce } else { GroupState::Missing };
        (state, call("POST", path, &["type", "name_on_credential"]))
    };
    let held = own.iter().map(|one| HeldOption {
        id: one.id,
        type_code: one.type_code.clone(),
        review_state: one.review_state,
        expires_on: one.expires_on,
    });
    GroupView {
        jurisdiction: group.jurisdiction.clone(),
        group: group.group.clone(),
        options: group.options.clone(),
        state,
        held: held.collect(),
        next,
    }
}

/// The first start of the shortest offer at the base itself, or else the rules that refuse every one of the next two weeks.
async fn first_start(
    app: &App,
    db: &mut Lent<'_>,
    therapist: TherapistId,
    place: &Place,
    offers: &[Offer],
    now: DateTime<Utc>,
) -> Result<(Option<DateTime<Utc>>, Vec<Rule>)> {
    let shortest: Option<(i16, ServiceId)> =
        offers.iter().flat_map(|offer| offer.durations.iter().map(|minutes| (*minutes, offer.service_id))).min();
    let Some((minutes, service)) = shortest else { return Ok((None, Vec::new())) };
    let mut everywhere: Option<Vec<Rule>> = None;
    let mut span = Span { start: now, end: now };
    while span.end < now + AHEAD {
        span = Span { start: span.end, end: (span.end + STRETCH).min(now + AHEAD) };
        let setting = Setting::at(db.get().await?, place.clone(), None, service, minutes, span, now).await?;
        let Some(setting) = setting else { return Ok((None, vec![Rule::NotOffered])) };
        let diary = explain::diary(app, db.get().await?, therapist, &setting, None, span, now).await?;
        db.give_back();
        let visit = setting.visit();
        let engine = Engine::new(&diary, &visit, span, now);
        if let Some(start) = engine.starts(span).first() {
            return Ok((Some(start.at), Vec::new()));
        }
        if everywhere.is_none() {
            let mut refused = engine.refused(span).into_iter().map(|(_, rules)| rules);
            let first = refused.next().unwrap_or_default();
            everywhere = Some(
                refused.fold(first, |common, rules| common.into_iter().filter(|rule| rules.contains(rule)).collect()),
            );
        }
    }
    Ok((None, everywhere.unwrap_or_default()))
}
