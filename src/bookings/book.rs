//! Booking: from the wish to the booking that stands.

use actix_web::post;
use actix_web::web::Data;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::events::{event, kind};
use super::lifecycle::{Action, Party, Status};
use super::opening::open;
use super::store::{self, New};
use super::views::{ClientBooking, Known, Viewer};
use super::wish::{Wanted, Wish};
use super::{Booking, FocusArea, NOTES, Notes, focus_areas, holds, respond_by, seal_focus_areas};
use crate::App;
use crate::accounts::MailSetUp;
use crate::auth::{As, Client};
use crate::availability::Rule;
use crate::bookings::bounds::Bounds;
use crate::care::VisitCare;
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::events::{Event, Work};
use crate::http::{Json, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AddressId, BookingId, HoldId, RecipientId, ServiceId, TherapistId};
use crate::values::{BookingMode, Gender, Instant, Pressure, name};

/// The operation that books.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(create_booking);
}

/// A visit to be booked: a slot that is held, or a slot by its fields.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBooking {
    /// One of the caller's holds, instead of the five fields that name a slot.
    hold_id: Option<HoldId>,
    therapist_id: Option<TherapistId>,
    service_id: Option<ServiceId>,
    /// Minutes on the table.
    #[schema(example = 90, minimum = 15, maximum = 240)]
    duration_minutes: Option<i16>,
    start_at: Option<Instant>,
    /// One of the caller's addresses.
    address_id: Option<AddressId>,
    /// For whom, if not for the caller: one of the caller's recipients. A hold knows it.
    recipient_id: Option<RecipientId>,
    /// For the therapist, once the visit is confirmed.
    notes: Option<Notes>,
    #[serde(default)]
    #[schema(max_items = 10)]
    focus_areas: Vec<FocusArea>,
    pressure: Option<Pressure>,
    /// Of which gender the therapist is to be, should another one have to take the visit over.
    therapist_gender: Option<Gender>,
}

/// Which slot is to be booked.
enum Slot {
    Held(HoldId),
    Wanted(Wanted),
}

impl NewBooking {
    /// The slot, named in one of the two ways.
    fn slot(&self) -> Result<Slot> {
        let named = [
            ("therapist_id", self.therapist_id.is_some()),
            ("service_id", self.service_id.is_some()),
            ("duration_minutes", self.duration_minutes.is_some()),
            ("start_at", self.start_at.is_some()),
            ("address_id", self.address_id.is_some()),
        ];
        let pointers = |present: bool, detail: &str| -> Vec<FieldError> {
            let wrong = named.iter().filter(|(_, is_present)| *is_present == present);
            wrong.map(|(name, _)| FieldError::new(format!("/{name}"), detail)).collect()
        };
        if let Some(hold) = self.hold_id {
            let mut errors = pointers(true, "is known from the hold.");
            if self.recipient_id.is_some() {
                errors.push(FieldError::new("/recipient_id", "is known from the hold."));
            }
            return if errors.is_empty() { Ok(Slot::Held(hold)) } else { Err(Error::Invalid(errors)) };
        }
        let fields = (self.therapist_id, self.service_id, self.duration_minutes, self.start_at, self.address_id);
        let (Some(therapist_id), Some(service_id), Some(duration_minutes), Some(start_at), Some(address_id)) = fields
        else {
            return Err(Error::Invalid(pointers(false, "is needed where there is no `hold_id`.")));
        };
        let recipient_id = self.recipient_id;
        Ok(Slot::Wanted(Wanted { therapist_id, service_id, duration_minutes, start_at, address_id, recipient_id }))
    }
}

/// Book a visit
///
/// Books a slot, or requests it where the therapist confirms each visit. What the caller holds does not stand in their own way: the
/// same fields use a hold up, and others let go of a hold that they overlap. The `Idempotency-Key` makes the request safe to
/// repeat: the same key and body get the same answer, and there is one booking.
#[utoipa::path(tag = "Bookings", operation_id = "create_booking", security(("bearer" = ["client"])),
    params(("Idempotency-Key" = String, Header, description = "Makes the request safe to repeat; kept for 48 hours.")),
    request_body = NewBooking, responses((status = 201, description = "The booking.", body = ClientBooking,
     headers(("Location" = String, description = "Where the booking is found."),
             ("Idempotent-Replay" = Option<String>, description = "`true` where the answer was given before.")))),
    extensions(("x-refusals" = json!(refused![EmailNotVerified, AccountClosing, HoldExpired, ..Bounds::REFUSALS, ..Rule::REFUSALS, ..VisitCare::REFUSALS]))))]
#[post("/v1/bookings")]
async fn create_booking(
    app: Data<App>,
    me: As<Client>,
    key: IdempotencyKey,
    Json(new, print): Json<NewBooking>,
) -> Result<Reply> {
    let key = key.required()?;
    if app.part::<MailSetUp>()?.0 && !me.principal.email_verified {
        return Err(Refusal::EmailNotVerified.into());
    }
    if me.principal.is_closing {
        return Err(Refusal::AccountClosing.into());
    }
    let slot = new.slot()?;
    let focus_areas = focus_areas(&new.focus_areas)?;
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::of(&work, "POST /v1/bookings", key, print)?;
        let details =
            Details { notes: new.notes, focus_areas, pressure: new.pressure, therapist_gender: new.therapist_gender };
        let reply = match slot {
            Slot::Held(hold) => {
                let once = once.claimed(&mut work).await?;
                // One visit after the other for one client, so that no two are both the last that is allowed.
                work.lock(me.account().0).await?;
                book_held(&app, &mut work, hold, details, once).await?
            }
            Slot::Wanted(wanted) => {
                let (once, found) = open(&mut work, once, me.account(), &wanted).await?;
                match found.hold {
                    // Whoever names what they hold by its fields has it on the terms on which they hold it.
                    Some(hold) => book_held(&app, &mut work, hold, details, once).await?,
                    None => {
                        let known = found.known(&wanted);
                        let wish = Wish::new(&mut work, &app, &wanted, details.pressure, me.account(), found).await?;
                        book(&app, &mut work, wish, &known, details, once).await?
                    }
                }
            }
        };
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Books what a client holds; under the client's lock.
async fn book_held(app: &App, work: &mut Work, hold: HoldId, details: Details, once: Once) -> Result<Reply> {
    let client = work.by().ok_or(Error::Unauthorized)?;
    let wish = holds::consume(work, hold, details.pressure, client).await?;
    let known = Known::read(work, &[wish.client, wish.therapist.into()], &[wish.service], Viewer::Client).await?;
    book(app, work, wish, &known, details, once).await
}

/// What the client wants the therapist to know.
struct Details {
    notes: Option<Notes>,
    focus_areas: Vec<String>,
    pressure: Option<Pressure>,
    therapist_gender: Option<Gender>,
}

/// Lock, decide, save. All that can be read before is, since whoever else wants the therapist's time waits for what comes after.
async fn book(
    app: &App,
    work: &mut Work,
    mut wish: Wish,
    known: &Known,
    details: Details,
    once: Once,
) -> Result<Reply> {
    let (lock, decided) = wish.reserve(work, app, &once).await?;
    let at = work.now();
    let id = BookingId::new(at);
    let notes = details.notes.map(|notes| app.cipher.seal(NOTES, id, notes.as_str())).transpose()?;
    let focus_areas_sealed = seal_focus_areas(&app.cipher, id, &details.focus_areas)?;
    let status = if decided.mode == BookingMode::Instant { Status::Confirmed } else { Status::Requested };
    let booking = Booking {
        id,
        client: wish.client,
        recipient: wish.recipient,
        therapist: wish.therapist,
        service: wish.service,
        status,
        start_at: wish.start,
        duration_minutes: wish.minutes,
        time_zone: wish.address.time_zone,
        address: wish.address,
        price: wish.terms.breakdown.total,
        breakdown: wish.terms.breakdown,
        policy: wish.terms.policy,
        notes_sealed: notes,
        focus_areas_sealed,
        pressure: details.pressure,
        asked_at: wish.asked_at,
        respond_by: (status == Status::Requested).then(|| respond_by(at, wish.start)),
        cancelled: None,
        charge_lowered_to: None,
        missed: None,
        extension: None,
        therapist_gender: details.therapist_gender,
        cancel_reason: None,
        at_risk_since: None,
        free_to_cancel: false,
        least_fee: 0,
        care_at_risk_since: None,
        care_confirmed_at: None,
        handed_over_at: None,
        expected_at: None,
        created_at: at,
    };
    let seen = known.view(&app.cipher, booking.clone(), Viewer::Client)?;
    let reply = seen.created(format!("/v1/bookings/{id}"))?;
    let event = Event {
        party: Some(Party::Client),
        to: Some(name(&status)),
        ..event(kind(Action::Create), &booking, json!({}))
    };
    let rows = work.rows(&event);
    let (during, relied_on) = (decided.during, &decided.relied_on);
    let new = New { booking: &booking, during, relied_on, kept: once.kept(&reply)?, event: &event, rows };
    if !store::insert(work, &lock, &new).await? {
        return Err(Refusal::SlotUnavailable.into());
    }
    decided.record_care(work, id).await?;
    work.react(&event).await?;
    Ok(reply)
}
