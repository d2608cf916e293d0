use actix_web::web::Data;
use actix_web::{get, put};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::{OPEN, SessionText, TEXT, Version, is_open, row, store};
use crate::App;
use crate::auth::{As, Parties, Therapist};
use crate::bookings::{self, Booking};
use crate::cipher::Cipher;
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::Event;
use crate::http::{IfMatch, Json, Path, Reply};
use crate::ids::BookingId;

/// The operations on session notes.
pub fn routes(config: &mut ServiceConfig) {
    config.service(get_session_notes).service(put_session_notes);
}

/// What the therapist noted of a visit.
#[derive(Serialize, ToSchema)]
struct SessionNotes {
    #[schema(example = "Trapezius tight on the left; worked at medium pressure.")]
    text: String,
    /// Counts from 1. Versions before it are kept.
    version: i32,
    /// When this version was written.
    written_at: DateTime<Utc>,
    /// Until when the therapist can change them.
    editable_until: DateTime<Utc>,
}

impl SessionNotes {
    fn new(booking: &Booking, version: &Version, cipher: &Cipher) -> Result<Self> {
        Ok(Self {
            text: cipher.open(TEXT, row(booking.id, version.number), &version.text)?,
            version: version.number,
            written_at: version.written_at,
            editable_until: booking.end_at() + OPEN,
        })
    }
}

/// Show session notes
///
/// What the therapist noted of the visit, for the therapist and the client. Each time that the client reads them is written
/// down. Nobody else can.
#[utoipa::path(tag = "After the visit", operation_id = "get_session_notes", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking.")),
    responses((status = 200, description = "The notes.", body = SessionNotes)))]
#[get("/v1/bookings/{id}/session-notes")]
async fn get_session_notes(app: Data<App>, me: As<Parties>, Path(id): Path<BookingId>) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = app.begin(Some(me.account())).await?;
        let booking = bookings::find(&mut work, id, now).await?;
        let booking = booking.filter(|booking| bookings::party(booking, &me.principal).is_some());
        let booking = booking.ok_or(Error::NotFound)?;
        let version = store::latest(&mut work, id).await?.ok_or(Error::NotFound)?;
        let reply = Reply::ok(&SessionNotes::new(&booking, &version, &app.cipher)?)?;
        if me.account() != version.author.into() {
            let read = Event::new("session_notes.read", "booking", id).about(version.author);
            work.announce(read.with(json!({ "version": version.number }))).await?;
        }
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// What to note.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SessionNotesBody {
    text: SessionText,
}

/// Write session notes
///
/// The visit's therapist writes them, and changes them, from its start until 72 hours after the end of its time; never of one
/// that was stopped before it began. The client can read them. `If-Match` is needed where there are some already.
#[utoipa::path(tag = "After the visit", operation_id = "put_session_notes", security(("bearer" = ["therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the notes as they were read, where there are some already.")),
    request_body = SessionNotesBody, responses((status = 200, description = "The notes as they are now.", body = SessionNotes)),
    extensions(("x-refusals" = json!(refused![SessionNotesClosed]))))]
#[put("/v1/bookings/{id}/session-notes")]
async fn put_session_notes(
    app: Data<App>,
    me: As<Therapist>,
    Path(id): Path<BookingId>,
    if_match: IfMatch,
    Json(body, _): Json<SessionNotesBody>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let booking = bookings::lock(&mut work, id, app.clock.now()).await?;
        let booking = booking.filter(|booking| booking.therapist == me.therapist()).ok_or(Error::NotFound)?;
        let now = app.clock.now();
        let current = store::latest(&mut work, id).await?;
        let shown = current.as_ref().map(|current| SessionNotes::new(&booking, current, &app.cipher)).transpose()?;
        if_match.check_if_any(shown.as_ref())?;
        let begun = bookings::has_begun(&mut work, id).await?;
        if !is_open(&booking, begun, now) {
            return Err(Refusal::SessionNotesClosed.into());
        }
        let number = current.map_or(1, |current| current.number + 1);
        let text = app.cipher.seal(TEXT, row(id, number), body.text.as_str())?;
        let version = Version { number, author: me.therapist(), text, written_at: now };
        store::insert(&mut work, id, &version).await?;
        work.commit().await?;
        Reply::ok(&SessionNotes::new(&booking, &version, &app.cipher)?)
    })
    .await
}
