//! Holds: a slot that is kept for a client for ten minutes.

mod store;

use actix_web::web::Data;
use actix_web::{delete, get, post};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub use store::forget_lapsed;
pub(super) use store::give_way;

use super::bounds::HOLDS_COUNT;
use super::opening::open;
use super::wish::{Decided, Wanted, Wish};
use crate::App;
use crate::accounts::{Address, AddressView};
use crate::auth::{As, Client};
use crate::availability::Rule;
use crate::bookings::bounds::Bounds;
use crate::care::VisitCare;
use crate::cipher::Cipher;
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::Work;
use crate::http::{Json, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, HoldId, RecipientId, ServiceId, TherapistId};
use crate::prices::policy::Agreed;
use crate::prices::{CancellationTerms, PriceBreakdown, Terms};
use crate::values::{Money, Pressure, Zone};

/// The operations on holds.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_holds).service(create_hold).service(get_hold).service(delete_hold);
}

/// How long a slot is held.
const HELD: TimeDelta = TimeDelta::minutes(10);

/// How many slots a client may hold at a time.
const MOST: usize = 3;

/// A slot that is held, as it is stored.
pub(super) struct Hold {
    pub id: HoldId,
    pub therapist: TherapistId,
    pub service: ServiceId,
    pub start_at: DateTime<Utc>,
    pub duration_minutes: i16,
    pub address: Address,
    pub terms: Terms,
    /// For whom it is.
    pub recipient: Option<RecipientId>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// A slot that is held for the caller. What calling off costs is told as if it had been booked when it was held.
#[derive(Serialize, ToSchema)]
struct HoldView {
    /// The hold's id.
    id: HoldId,
    /// With whom.
    therapist_id: TherapistId,
    /// What.
    service_id: ServiceId,
    /// Minutes on the table.
    #[schema(example = 90)]
    duration_minutes: i16,
    /// When the time on the table begins.
    start_at: DateTime<Utc>,
    /// When it ends.
    end_at: DateTime<Utc>,
    /// The zone at the place.
    time_zone: Zone,
    /// Where, as the address was when the slot was held.
    address: AddressView,
    /// For whom; null where its client has entered nobody, not even themself.
    recipient_id: Option<RecipientId>,
    /// What the visit will cost.
    price: Money,
    /// How the price comes about.
    price_breakdown: PriceBreakdown,
    #[serde(flatten)]
    terms: CancellationTerms,
    /// When the hold lapses by itself.
    expires_at: DateTime<Utc>,
}

impl HoldView {
    fn new(hold: Hold, cipher: &Cipher) -> Result<Self> {
        let (price, booked_at) = (hold.terms.breakdown.total, hold.created_at);
        let visit = Agreed { price, booked_at, start_at: hold.start_at, least_fee: 0 };
        Ok(Self {
            terms: CancellationTerms::of(&hold.terms.policy, visit, hold.address.time_zone),
            id: hold.id,
            therapist_id: hold.therapist,
            service_id: hold.service,
            duration_minutes: hold.duration_minutes,
            start_at: hold.start_at,
            end_at: hold.start_at + TimeDelta::minutes(hold.duration_minutes.into()),
            time_zone: hold.address.time_zone,
            address: AddressView::new(hold.address, cipher)?,
            recipient_id: hold.recipient,
            price: hold.terms.breakdown.total,
            price_breakdown: hold.terms.breakdown,
            expires_at: hold.expires_at,
        })
    }
}

/// Hold a slot
///
/// Keeps a slot for ten minutes: nobody else can have it, and the caller can book it by its `hold_id`. A client holds at most
/// three slots at a time, and one therapist's time at most 12 times in 24 hours. A hold lapses by itself, and gives way to what its client
/// books or holds instead.
#[utoipa::path(tag = "Bookings", operation_id = "create_hold", security(("bearer" = ["client"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = Wanted, responses((status = 201, description = "The hold.", body = HoldView,
     headers(("Location" = String, description = "Where the hold is found.")))),
    extensions(("x-refusals" = json!(refused![AccountClosing, TooManyHolds, ..Bounds::REFUSALS, ..Rule::REFUSALS, ..VisitCare::REFUSALS]))))]
#[post("/v1/holds")]
async fn create_hold(
    app: Data<App>,
    me: As<Client>,
    key: IdempotencyKey,
    Json(wanted, print): Json<Wanted>,
) -> Result<Reply> {
    if me.principal.is_closing {
        return Err(Refusal::AccountClosing.into());
    }
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::of(&work, "POST /v1/holds", key, print)?;
        // Under the client's lock, because two requests must not both be the third.
        let (once, found) = open(&mut work, once, me.account(), &wanted).await?;
        let mut wish = Wish::new(&mut work, &app, &wanted, None, me.account(), found).await?;
        let now = work.now();
        let many = store::live(&mut work, me.account(), None, now).await?.len() >= MOST;
        if many
            || store::count(&mut work, me.account(), wish.therapist, now - HOLDS_COUNT).await?
                >= app.part::<Bounds>()?.max_holds_of_one
        {
            return Err(Refusal::TooManyHolds.into());
        }
        let (lock, Decided { during, .. }) = wish.reserve(&mut work, &app, &once).await?;
        let at = work.now();
        let hold = Hold {
            id: HoldId::new(at),
            therapist: wish.therapist,
            service: wish.service,
            start_at: wish.start,
            duration_minutes: wish.minutes,
            address: wish.address,
            terms: wish.terms,
            recipient: wish.recipient,
            created_at: at,
            expires_at: at + HELD,
        };
        if !store::insert(&mut work, &lock, &hold, me.account(), during).await? {
            return Err(Refusal::SlotUnavailable.into());
        }
        let location = format!("/v1/holds/{}", hold.id);
        let reply = Reply::created(location, &HoldView::new(hold, &app.cipher)?)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// List holds
///
/// The caller's live holds, oldest first.
#[utoipa::path(tag = "Bookings", operation_id = "list_holds", security(("bearer" = ["client"])), params(Part),
    responses((status = 200, description = "The holds.", body = Page<HoldView>)))]
#[get("/v1/holds")]
async fn list_holds(app: Data<App>, me: As<Client>, Query(part): Query<Part>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let holds = store::live(&mut work, me.account(), None, app.clock.now()).await?;
        work.commit().await?;
        let views = holds.into_iter().map(|hold| HoldView::new(hold, &app.cipher)).collect::<Result<_>>()?;
        Reply::ok(&Page::part(views, &part)?)
    })
    .await
}

/// Show a hold
///
/// One of the caller's live holds.
#[utoipa::path(tag = "Bookings", operation_id = "get_hold", security(("bearer" = ["client"])),
    params(("id" = HoldId, Path, description = "The hold.")),
    responses((status = 200, description = "The hold.", body = HoldView)))]
#[get("/v1/holds/{id}")]
async fn get_hold(app: Data<App>, me: As<Client>, Path(id): Path<HoldId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let hold = store::live(&mut work, me.account(), Some(id), app.clock.now()).await?.pop();
        work.commit().await?;
        Reply::ok(&HoldView::new(hold.ok_or(Error::NotFound)?, &app.cipher)?)
    })
    .await
}

/// Let a hold go
///
/// The slot is free again.
#[utoipa::path(tag = "Bookings", operation_id = "delete_hold", security(("bearer" = ["client"])),
    params(("id" = HoldId, Path, description = "The hold.")),
    responses((status = 204, description = "The hold is gone.")))]
#[delete("/v1/holds/{id}")]
async fn delete_hold(app: Data<App>, me: As<Client>, Path(id): Path<HoldId>) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        release(&mut work, id, me.account(), false).await?.ok_or(Error::NotFound)?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}

/// Takes a live hold away, under the therapist's lock; its time is free for whatever comes next in the transaction.
async fn release(work: &mut Work, id: HoldId, client: AccountId, booked: bool) -> Result<Option<Hold>> {
    let now = work.now();
    let Some(hold) = store::live(work, client, Some(id), now).await?.pop() else { return Ok(None) };
    let lock = work.lock_time(hold.therapist).await?;
    // Asked again after the wait: it may have lapsed, or been used.
    let now = work.now();
    let Some(hold) = store::live(work, client, Some(id), now).await?.pop() else { return Ok(None) };
    store::end(work, &lock, &hold, booked, now).await?;
    Ok(Some(hold))
}

/// Turns a live hold into the wish that it stands for, and takes it away: whatever fails later brings it back.
pub(super) async fn consume(
    work: &mut Work,
    id: HoldId,
    pressure: Option<Pressure>,
    client: AccountId,
) -> Result<Wish> {
    let hold = release(work, id, client, true).await?.ok_or(Refusal::HoldExpired)?;
    Wish::held(work, hold, pressure, client).await
}
