//! Moving a visit to another time: the same booking, all at once or not at all.

use actix_web::post;
use actix_web::web::Data;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::costs::requote;
use super::counter_offers::{self, CounterOffer, OfferStatus, propose};
use super::events::{self, Taken};
use super::lifecycle::{Action, Party, Status, Step, step};
use super::steps::{Begun, admit, begin, view};
use super::store;
use super::views::BookingView;
use super::wish::Wish;
use super::{Booking, holds, respond_by};
use crate::App;
use crate::auth::{As, Parties};
use crate::availability::Rule;
use crate::availability::reservations::{self, Taking};
use crate::bookings::bounds::Bounds;
use crate::care::VisitCare;
use crate::db::{Tx, uninterrupted};
use crate::error::{Refusal, Result, refused};
use crate::events::{TimeLock, Work};
use crate::http::{IfMatch, Json, Path, Reply};
use crate::ids::BookingId;
use crate::prices::PriceBreakdown;
use crate::therapists;
use crate::values::{BookingMode, Instant, Money, Span};

/// The operation that moves a visit.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(reschedule_booking);
}

/// When a visit takes place, and what was agreed for it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct Terms {
    /// When the time on the table begins.
    start_at: DateTime<Utc>,
    /// Minutes on the table.
    #[schema(example = 60)]
    duration_minutes: i16,
    /// What it costs.
    price: Money,
}

impl From<&Booking> for Terms {
    fn from(booking: &Booking) -> Self {
        Self { start_at: booking.start_at, duration_minutes: booking.duration_minutes, price: booking.price }
    }
}

/// What a step changed of what was agreed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = ChangeOfTerms)]
pub(super) struct Change {
    /// What was agreed before.
    from: Terms,
    /// What is agreed now.
    to: Terms,
}

/// Another start.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewStart {
    /// When the time on the table is to begin.
    pub start_at: Instant,
}

/// Reschedule a visit
///
/// Moves a visit that has not begun to another start: the same booking, with its own time counted as free. Every rule decides
/// anew, with notice counted from now, but that a therapist's own notice, horizon and offers do not bind themselves; where one refuses, the visit stands as it was. Moving it to where it is changes
/// nothing. The price follows the new time, and never rises by a therapist's own move.
///
/// Neither party moves a visit alone once calling it off would cost a fee, which for therapists holds just after booking too: that
/// takes a counter-offer. A confirmed visit
/// with a therapist who confirms each one is not moved by its client either; the new time is proposed to the therapist, and
/// the answer is 202 with the proposal. A client whose therapist moved the visit may call it off free of charge until its
/// start. A request is moved by its client alone, and its deadline never becomes later by it. The two move a visit at most 20 times.
#[utoipa::path(tag = "Bookings", operation_id = "reschedule_booking", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The state of the booking that the caller knows.")),
    request_body = NewStart, responses(
    (status = 200, description = "The booking, moved.", body = BookingView),
    (status = 202, description = "The visit stands; the time is proposed to the therapist.", body = CounterOffer)),
    extensions(("x-refusals" = json!(refused![
        InvalidTransition, ClientBusy, CounterOfferOpen, TooManyMoves, TooLateToMove, ..Rule::REFUSALS, ..VisitCare::REFUSALS
    ]))))]
#[post("/v1/bookings/{id}/reschedule")]
async fn reschedule_booking(
    app: Data<App>,
    me: As<Parties>,
    known: IfMatch,
    Path(id): Path<BookingId>,
    Json(new, _): Json<NewStart>,
) -> Result<Reply> {
    uninterrupted(async move {
        let Begun { mut work, lock, booking, party } = begin(&app, &me.principal, id).await?;
        let (Instant(start), now) = (new.start_at, work.now());
        let step = match step(&booking, Action::Reschedule, party, now) {
            Ok(Step::To(_)) if start == booking.start_at => Ok(Step::Done),
            other => other,
        };
        let reply = if admit(&app, &mut work, &known, (Action::Reschedule, step), &booking, party).await?.is_none() {
            view(&app, &mut work, booking, party).await?
        } else {
            let late = match party {
                // Whatever the therapist did before: the client planned by it.
                Party::Therapist => booking.policy.is_late(booking.start_at, now),
                _ => booking.fee(Party::Client, now).amount > 0,
            };
            if late {
                return Err(Refusal::TooLateToMove.into());
            }
            if store::count_steps(&mut work, id, Action::Reschedule).await? >= app.part::<Bounds>()?.max_moves {
                return Err(Refusal::TooManyMoves.into());
            }
            let mode = therapists::booking_mode(&mut **work, booking.therapist).await?;
            if (party, booking.status, mode) == (Party::Client, Status::Confirmed, BookingMode::Request) {
                Reply::accepted(&propose(&app, &mut work, &lock, &booking, party, start).await?)?
            } else {
                let moved = reschedule(&app, &mut work, &lock, booking, start, party).await?;
                view(&app, &mut work, moved, party).await?
            }
        };
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Moves the visit on the word of one party.
async fn reschedule(
    app: &App,
    work: &mut Work,
    lock: &TimeLock,
    booking: Booking,
    start: DateTime<Utc>,
    party: Party,
) -> Result<Booking> {
    let now = work.now();
    let mut moved =
        Booking { start_at: start, asked_at: Some(now), free_to_cancel: party == Party::Therapist, ..booking.clone() };
    if booking.status == Status::Requested {
        let deadline = respond_by(now, start);
        // A move never lengthens the first deadline: who moves again and again would keep the time for ever.
        let deadline = booking.respond_by.map_or(deadline, |first| first.min(deadline));
        moved.respond_by = Some(deadline);
    }
    counter_offers::close(work, lock, booking.id, OfferStatus::Obsolete).await?;
    let taken = Taken { action: Action::Reschedule, party, from: booking.status, reason: None };
    carry_out(app, work, lock, &booking, moved, taken).await
}

/// Turns `booking` into `moved`, if every rule lets it: decides, saves, and tells the other party. The caller holds the
/// therapist's lock, and has closed what was proposed.
pub(super) async fn carry_out(
    app: &App,
    work: &mut Work,
    lock: &TimeLock,
    booking: &Booking,
    mut moved: Booking,
    taken: Taken,
) -> Result<Booking> {
    let now = work.now();
    store::refuse_busy_client(work, booking, Span::of_minutes(moved.start_at, moved.duration_minutes.into()), now)
        .await?;
    let own = taken.action == Action::Agree || taken.party == Party::Therapist;
    let decided = Wish::requested(work, &moved).await?.of_its_own(own).decide(work, app).await?;
    holds::give_way(work, lock, booking.client, decided.during).await?;
    let asked_at = moved.asked_at.unwrap_or(now);
    reprice(work, booking, &mut moved, asked_at).await?;
    if (taken.action, taken.party) == (Action::Reschedule, Party::Therapist)
        && moved.price.amount > booking.price.amount
    {
        // Nobody pays more for what they did not ask for, nor for staying longer there.
        let agreed_for = Some(booking.breakdown.agreed_for.unwrap_or(booking.start_at));
        (moved.price, moved.breakdown) = (booking.price, PriceBreakdown { agreed_for, ..booking.breakdown.clone() });
    }
    // The therapist may carry it out there and then.
    moved.at_risk_since = None;
    moved.handed_over_at = None;
    moved.expected_at = None;
    // And it suits the person then.
    moved.care_at_risk_since = None;
    save(work, lock, &moved, decided.during).await?;
    decided.record(work, moved.id).await?;
    work.announce(events::step(&moved, taken, change(booking, &moved))).await?;
    Ok(moved)
}

/// Saves what is agreed for `booking` from now on, with the time that it takes up: `during`.
pub(super) async fn save(work: &mut Work, lock: &TimeLock, booking: &Booking, during: Span) -> Result<()> {
    let now = work.now();
    let lapses_at = booking.respond_by.filter(|_| booking.status == Status::Requested);
    let taking = Taking { during, start_at: booking.start_at, place: booking.address.point(), lapses_at };
    reservations::move_booking(work, lock, booking.id, taking, now).await?;
    store::save_terms(work, booking).await
}

/// What a step changed of what was agreed, for its event.
pub(super) fn change(before: &Booking, after: &Booking) -> Value {
    json!({ "change": Change { from: before.into(), to: after.into() }, "start_at_before": before.start_at })
}

/// Prices the visit as it is changed from `before`, by the versions that it was booked under. Of a new start, notice counts from
/// `asked_at`.
pub(super) async fn reprice(tx: &mut Tx, before: &Booking, after: &mut Booking, asked_at: DateTime<Utc>) -> Result<()> {
    after.breakdown = requote(tx, before, after.start_at, after.duration_minutes, asked_at).await?;
    after.price = after.breakdown.total;
    Ok(())
}
