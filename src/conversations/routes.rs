use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{MOST_OF_ONE, Message, MessageText, TEXT, refuse_closed, store};
use crate::App;
use crate::auth::{As, Parties, PartiesOrSupport};
use crate::bookings::{self, Booking, Side};
use crate::cipher::Cipher;
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::{Event, Party};
use crate::http::{Json, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{BookingId, MessageId};

/// The operations on conversations.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_booking_messages).service(write_booking_message);
}

/// What one party of a visit wrote to the other.
#[derive(Serialize, ToSchema)]
struct BookingMessage {
    #[serde(flatten)]
    receipt: MessageReceipt,
    #[schema(example = "I am at the gate; which bell is yours?")]
    text: String,
}

/// A message that was sent.
#[derive(Serialize, ToSchema)]
struct MessageReceipt {
    /// The message's id.
    id: MessageId,
    /// Who wrote it.
    by: Side,
    /// When.
    sent_at: DateTime<Utc>,
}

impl MessageReceipt {
    fn of(message: &Message) -> Self {
        Self { id: message.id, by: message.by, sent_at: message.sent_at }
    }
}

impl BookingMessage {
    fn open(message: &Message, cipher: &Cipher) -> Result<Self> {
        let text = cipher.open(TEXT, message.id, &message.text)?;
        Ok(Self { receipt: MessageReceipt::of(message), text })
    }
}

/// What was done to what is written about a visit. Its details carry no words.
fn event(kind: &'static str, visit: &Booking, details: Value) -> Event {
    let event = Event::new(kind, "booking", visit.id).about(visit.therapist).with(details);
    Event { client: Some(visit.client), ..event }
}

/// What to write.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewBookingMessage {
    text: MessageText,
}

/// Write to the other party of a visit
///
/// From the visit's confirmation until 24 hours after its end, 100 messages of each party at most. The other one gets a notice without the words. Words are
/// kept sealed for 90 days; staff read them only while an incident of the visit is open, and each time that they do is written down. The answer
/// does not repeat the words.
#[utoipa::path(tag = "Bookings", operation_id = "write_booking_message", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewBookingMessage, responses((status = 201, description = "It was sent.", body = MessageReceipt,
     headers(("Location" = String, description = "Where the visit's messages are found.")))),
    extensions(("x-refusals" = json!(refused![ConversationClosed, TooManyMessages]))))]
#[post("/v1/bookings/{id}/messages")]
async fn write_booking_message(
    app: Data<App>,
    me: As<Parties>,
    Path(id): Path<BookingId>,
    key: IdempotencyKey,
    Json(new, print): Json<NewBookingMessage>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let route = "POST /v1/bookings/{id}/messages";
        let once = Once::claim(&mut work, route, key, print.about(id)).await?;
        // Under the booking's lock, so that no two messages are both the last, and none comes after the end.
        let booking = bookings::lock(&mut work, id, app.clock.now()).await?;
        let booking = booking.filter(|booking| bookings::party(booking, &me.principal).is_some());
        let booking = booking.ok_or(Error::NotFound)?;
        let now = app.clock.now();
        refuse_closed(&booking, now)?;
        let by = Side::of(me.principal.role);
        let written = store::of_booking(&mut work, id).await?;
        if written.iter().filter(|message| message.by == by).count() >= MOST_OF_ONE {
            return Err(Refusal::TooManyMessages.into());
        }
        let message_id = MessageId::new(now);
        let text = app.cipher.seal(TEXT, message_id, new.text.as_str())?;
        let message = Message { id: message_id, therapist: booking.therapist, by, text, sent_at: now };
        store::insert(&mut work, id, &message).await?;
        let details = json!({ "message_id": message_id, "start_at": booking.start_at, "time_zone": booking.time_zone });
        let party = match by {
            Side::Client => Party::Client,
            Side::Therapist => Party::Therapist,
        };
        work.announce(Event { party: Some(party), ..event("booking.message", &booking, details) }).await?;
        // Without the words, which the answers that are kept must not hold.
        let reply = Reply::created(format!("/v1/bookings/{id}/messages"), &MessageReceipt::of(&message))?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// List a visit's messages
///
/// What client and therapist wrote, the first message first. A therapist who took the visit over sees what was written since. Staff see it while an incident of the
/// visit is open.
#[utoipa::path(tag = "Bookings", operation_id = "list_booking_messages", security(("bearer" = ["client", "therapist", "admin:support"])),
    params(("id" = BookingId, Path, description = "The booking."), Part),
    responses((status = 200, description = "The messages.", body = Page<BookingMessage>)),
    extensions(("x-refusals" = json!(refused![NoIncident]))))]
#[get("/v1/bookings/{id}/messages")]
async fn list_booking_messages(
    app: Data<App>,
    me: As<PartiesOrSupport>,
    Path(id): Path<BookingId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let booking = bookings::find(&mut work, id, app.clock.now()).await?.ok_or(Error::NotFound)?;
        let party = bookings::party(&booking, &me.principal).ok_or(Error::NotFound)?;
        let mut messages = store::of_booking(&mut work, id).await?;
        match party {
            Party::Therapist => messages.retain(|message| message.therapist == booking.therapist),
            Party::Admin if !bookings::has_open_incident(&mut work, id).await? => {
                return Err(Refusal::NoIncident.into());
            }
            Party::Admin => work.announce(event("booking.messages_read", &booking, json!({}))).await?,
            Party::Client | Party::System => (),
        }
        let messages: Result<_> = messages.iter().map(|message| BookingMessage::open(message, &app.cipher)).collect();
        let reply = Reply::ok(&Page::part(messages?, &part)?)?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}
