//! Visits at risk, and giving a visit to another therapist at the same time.

use std::collections::HashMap;

use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::counter_offers::{self, OfferStatus};
use super::events::{self, Taken, Why};
use super::licensing::{Rules, deadlines};
use super::lifecycle::{Action, Party, Status, Step, step};
use super::store;
use super::views::{AdminBooking, BookingView, Viewer, view_of, views};
use super::wish::Wish;
use super::{Booking, CALL_OFF_LEAD, KeptReason, Reason, holds, respond_by};
use crate::App;
use crate::accounts;
use crate::auth::{As, Support};
use crate::availability::reservations::{self, Taking};
use crate::availability::travel::Roads;
use crate::availability::{Diary, Rule};
use crate::care::VisitCare;
use crate::catalogue::refuse_unknown_filters;
use crate::cipher::Sealed;
use crate::credentials::{self, missing};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{TimeLock, Work};
use crate::http::{Cursor, Json, Limit, Page, Part, Path, Query, Reply};
use crate::ids::{AccountId, BookingId, TherapistId};
use crate::search::{self, Reach};
use crate::therapists;
use crate::values::{Gender, Instant, Slug};

/// The operations on visits whose therapist may have to change.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_bookings_at_risk).service(list_candidates).service(reassign_booking);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AtRiskQuery {
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// A group of credentials of which the therapist holds none that is usable.
#[derive(Debug, Serialize, ToSchema)]
struct MissingGroup {
    /// The place that asks for it.
    #[schema(example = "AU")]
    jurisdiction: String,
    /// What it is about.
    #[schema(example = "insurance")]
    group: String,
    /// The types that meet it.
    #[schema(example = json!(["INSURANCE"]))]
    options: Vec<String>,
}

/// A visit at risk.
#[derive(Debug, Serialize, ToSchema)]
struct AtRisk {
    /// The visit.
    #[schema(value_type = AdminBooking)]
    booking: BookingView,
    /// Since when the therapist may not carry it out.
    at_risk_since: Option<DateTime<Utc>>,
    /// What the therapist lacks at its place on its dates; empty where no rules are known there.
    missing: Vec<MissingGroup>,
    /// When it is called off, unless something changes.
    cancels_at: DateTime<Utc>,
}

/// List visits at risk
///
/// Visits whose therapist may not carry them out as things stand, soonest first. Each can be reassigned; what is left is
/// called off 24 hours before its start, or when whoever barred the therapist can take it back no more.
#[utoipa::path(tag = "Bookings", operation_id = "list_bookings_at_risk", security(("bearer" = ["admin:support"])), params(AtRiskQuery),
    responses((status = 200, description = "A page of visits.", body = Page<AtRisk>)))]
#[get("/v1/admin/bookings/at-risk")]
async fn list_bookings_at_risk(app: Data<App>, me: As<Support>, Query(query): Query<AtRiskQuery>) -> Result<Reply> {
    uninterrupted(async move {
        let after = query.cursor.map(|cursor| cursor.key()).transpose()?.map(|(Instant(start), id)| (start, id));
        let mut work = app.begin(Some(me.account())).await?;
        let found = store::at_risk(&mut work, after, query.limit.probe(), app.clock.now()).await?;
        let page = Page::cut(found, query.limit, |booking| (booking.start_at, booking.id))?;
        let deadlines = deadlines(&mut work, &page.data).await?;
        let mut rules = Rules::default();
        let mut facts = Vec::new();
        for booking in &page.data {
            let held = credentials::standings(&mut work, booking.therapist).await?;
            let (first, last) = booking.dates();
            let missing = missing(rules.of(&mut work, booking).await?, &held, first, last);
            let missing = missing.into_iter().map(|asked| MissingGroup {
                jurisdiction: asked.jurisdiction.clone(),
                group: asked.group.clone(),
                options: asked.options.clone(),
            });
            let cancels_at = deadlines.get(&booking.id).copied().unwrap_or(booking.start_at - CALL_OFF_LEAD);
            facts.push((booking.at_risk_since, missing.collect(), cancels_at));
        }
        let shown = views(&app.cipher, &mut work, page.data, Viewer::Admin).await?;
        work.commit().await?;
        let data = shown.into_iter().zip(facts).map(|(booking, (at_risk_since, missing, cancels_at))| AtRisk {
            booking,
            at_risk_since,
            missing,
            cancels_at,
        });
        Reply::ok(&Page { data: data.collect(), next_cursor: page.next_cursor })
    })
    .await
}

/// How many candidates are shown.
const MOST_CANDIDATES: usize = 20;

/// How many therapists are asked in one go, and how often.
const BATCH: (usize, usize) = (50, 6);

#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct CandidateQuery {
    /// Of this gender. Where the client has wished for one, nobody of another is a candidate in any case.
    #[param(inline)]
    gender: Option<Gender>,
    /// Who works with this technique.
    #[param(inline)]
    technique: Option<Slug>,
    /// Items on a page; all of them, unless said.
    #[param(inline)]
    limit: Option<Limit>,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// A therapist who could take a visit over.
#[derive(Debug, Serialize, ToSchema)]
struct Candidate {
    /// The therapist's id.
    therapist_id: TherapistId,
    #[schema(example = "Sam Okafor")]
    display_name: String,
    /// Kilometres from the therapist's public area, rounded up.
    #[schema(example = 4)]
    distance_km: f64,
}

/// Whether the visit can be given to someone else at `now`.
fn is_movable(booking: &Booking, now: DateTime<Utc>) -> bool {
    matches!(step(booking, Action::Reassign, Party::Admin, now), Ok(Step::To(_)))
}

/// List candidates
///
/// Therapists who can take the visit over at its time, nearest first: the 20 nearest of the 300 nearest who offer it
/// there. The same rules decide as when it was booked, with notice and horizon counted from when the client first asked.
#[utoipa::path(tag = "Bookings", operation_id = "list_candidates", security(("bearer" = ["admin:support"])),
    params(("id" = BookingId, Path, description = "The booking."), CandidateQuery),
    responses((status = 200, description = "The candidates.", body = Page<Candidate>)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[get("/v1/admin/bookings/{id}/candidates")]
async fn list_candidates(
    app: Data<App>,
    me: As<Support>,
    Path(id): Path<BookingId>,
    Query(query): Query<CandidateQuery>,
) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = app.begin(Some(me.account())).await?;
        let booking = store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        refuse_unknown_filters(&mut **work, None, query.technique.as_ref(), None).await?;
        if !is_movable(&booking, now) {
            return Err(Refusal::InvalidTransition.into());
        }
        let mut wish = Wish::requested(&mut work, &booking).await?;
        wish.look_into_care(&mut work, &app).await?;
        work.commit().await?;
        let gender = booking.therapist_gender.or(query.gender);
        let mut found = match query.gender {
            Some(other) if Some(other) != gender => Vec::new(),
            _ => candidates(&app, &wish, &CandidateQuery { gender, ..query.clone() }, now).await?,
        };
        found.truncate(MOST_CANDIDATES);
        let ids: Vec<AccountId> = found.iter().map(|(_, id)| (*id).into()).collect();
        let mut names = accounts::names(&*app.db, &ids).await?;
        let shown = found.into_iter().map(|(distance_km, id)| Candidate {
            therapist_id: id,
            display_name: names.remove(&id.into()).unwrap_or_default(),
            distance_km: distance_km.ceil(),
        });
        Reply::ok(&Page::part(shown.collect(), &Part { limit: query.limit, cursor: query.cursor.clone() })?)
    })
    .await
}

/// Who else can do what is wished, nearest first; looks no further once there are enough.
async fn candidates(
    app: &App,
    wish: &Wish,
    query: &CandidateQuery,
    now: DateTime<Utc>,
) -> Result<Vec<(f64, TherapistId)>> {
    let reach = Reach {
        point: wish.address.point(),
        service: wish.service,
        minutes: wish.minutes,
        therapist: None,
        gender: query.gender,
        technique: query.technique.as_ref().map(Slug::as_str),
        condition: None,
        language: None,
        free: None,
    };
    let (size, batches) = BATCH;
    let (mut found, mut after) = (Vec::new(), None);
    for _ in 0..batches {
        let near = search::reaching(&mut *app.db.acquire().await?, reach, after, size).await?;
        after = near.rest;
        let ids: Vec<TherapistId> = near.found.iter().map(|(_, id)| *id).collect();
        let diaries = wish.diaries(&mut *app.db.acquire().await?, app.part::<Roads>()?, &ids, now).await?;
        let diaries: HashMap<TherapistId, Diary> = diaries.into_iter().map(|diary| (diary.therapist, diary)).collect();
        found.extend(near.found.into_iter().filter(|(_, id)| {
            let free = |diary: &Diary| wish.judge(diary, now).is_ok();
            *id != wish.therapist && diaries.get(id).is_some_and(free)
        }));
        if found.len() >= MOST_CANDIDATES || after.is_none() {
            break;
        }
    }
    Ok(found)
}

/// Who takes a visit over.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReassignBody {
    therapist_id: TherapistId,
    note: Option<Reason>,
}

/// Reassign a visit
///
/// Gives a visit that has not begun to another therapist, of the gender that its client wishes for: same time, same price, same terms. The
/// client may call it off free of charge until its start. A request still waits for
/// an answer, now the other therapist's. The same rules decide as when it was booked, with notice and horizon counted from
/// when the client first asked. Whoever had it before sees it no more. Reassigning it to the therapist who has it changes nothing.
#[utoipa::path(tag = "Bookings", operation_id = "reassign_booking", security(("bearer" = ["admin:support"])),
    params(("id" = BookingId, Path, description = "The booking.")), request_body = ReassignBody,
    responses((status = 200, description = "The booking, with its new therapist.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition, ..Rule::REFUSALS, ..VisitCare::REFUSALS]))))]
#[post("/v1/admin/bookings/{id}/reassign")]
async fn reassign_booking(
    app: Data<App>,
    me: As<Support>,
    Path(id): Path<BookingId>,
    Json(body, _): Json<ReassignBody>,
) -> Result<Reply> {
    uninterrupted(async move {
        let wrong = |detail: &str| Error::from(FieldError::new("/therapist_id", detail));
        let new = body.therapist_id;
        let mut work = app.begin(Some(me.account())).await?;
        let now = work.now();
        let seen = store::find(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        if seen.therapist == new {
            // The step was taken: whoever lost the answer may ask again.
            let reply = view_of(&app.cipher, &mut work, seen, Viewer::Admin).await?.reply()?;
            work.commit().await?;
            return Ok(reply);
        }
        if !therapists::exists(&mut **work, new).await? {
            return Err(wrong("is not a therapist."));
        }
        work.lock(seen.client.0).await?;
        let first = work.lock_time(seen.therapist.min(new)).await?;
        let second = work.lock_time(seen.therapist.max(new)).await?;
        let (old_time, new_time) = if first.therapist() == new { (second, first) } else { (first, second) };
        let now = work.now();
        let booking = store::lock(&mut work, id, now).await?.ok_or(Error::NotFound)?;
        // Where another admin was first, this one decided on what is no longer so.
        if booking.therapist != seen.therapist || !is_movable(&booking, now) {
            return Err(Refusal::InvalidTransition.into());
        }
        if booking.therapist_gender.is_some() && therapists::gender(&mut **work, new).await? != booking.therapist_gender
        {
            return Err(wrong("is not of the gender that the client wishes for."));
        }
        let note = body.note.as_ref();
        let note =
            note.map(|note| KeptReason::seal(&app.cipher, id, Action::Reassign, now, note.as_str())).transpose()?;
        let booking = hand_over(&mut work, &app, booking, (&old_time, &new_time), note).await?;
        let reply = view_of(&app.cipher, &mut work, booking, Viewer::Admin).await?.reply()?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Decide, save, and tell everyone, with the time of both therapists locked.
async fn hand_over(
    work: &mut Work,
    app: &App,
    mut booking: Booking,
    (old_time, new_time): (&TimeLock, &TimeLock),
    note: Option<Sealed>,
) -> Result<Booking> {
    let (old, new, now) = (old_time.therapist(), new_time.therapist(), work.now());
    let mut wish = Wish::requested(work, &booking).await?;
    wish.therapist = new;
    let decided = wish.decide(work, app).await?;
    holds::give_way(work, new_time, booking.client, decided.during).await?;
    booking.therapist = new;
    booking.at_risk_since = None;
    booking.handed_over_at = None;
    // The client chose someone else.
    booking.free_to_cancel = true;
    if booking.status == Status::Requested {
        // Whoever answers now has the time that anyone has.
        booking.respond_by = Some(respond_by(now, booking.start_at));
    }
    counter_offers::close(work, old_time, booking.id, OfferStatus::Obsolete).await?;
    reservations::release(work, old_time, booking.id.0).await?;
    store::save_therapist(work, &booking).await?;
    let lapses_at = booking.respond_by.filter(|_| booking.status == Status::Requested);
    let taking =
        Taking { during: decided.during, start_at: booking.start_at, place: booking.address.point(), lapses_at };
    if !reservations::reserve(work, new_time, booking.id, taking, now).await? {
        return Err(Refusal::SlotUnavailable.into());
    }
    decided.record(work, booking.id).await?;
    let taken =
        Taken { action: Action::Reassign, party: Party::Admin, from: booking.status, reason: note.map(Why::Theirs) };
    work.announce(events::step(&booking, taken, json!({ "former_therapist": old }))).await?;
    // Who had it finds in their own history that it went.
    let given_away = events::event("booking.given_away", &booking, json!({ "from": old, "to": new }));
    work.announce(given_away.about(old)).await?;
    Ok(booking)
}
