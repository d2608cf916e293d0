use actix_web::web::Data;
use actix_web::{get, post};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::store::{self, Listed, Published};
use super::{Hidden, HidingReason, Review, ReviewText, Stars, reviewable};
use crate::App;
use crate::auth::{As, Caller, Parties, Support};
use crate::bookings::{self, Side};
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::events::Event;
use crate::http::{Cursor, Json, Limit, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, BookingId, ReviewId, TherapistId};
use crate::therapists;
use crate::values::Instant;
use crate::values::wall_clock::local_date;

/// The operations on reviews.
pub fn routes(config: &mut ServiceConfig) {
    config.service(create_review).service(list_booking_reviews).service(list_therapist_reviews);
    config.service(list_reviews).service(hide_review).service(restore_review);
}

/// A review to be written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewReview {
    rating: Stars,
    text: Option<ReviewText>,
}

/// A review as the parties of its visit see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Review)]
struct ReviewView {
    /// The review's id.
    id: ReviewId,
    /// Who wrote it, about the other side.
    by: Side,
    /// From 1, bad, to 5, good.
    #[schema(example = 5)]
    rating: i16,
    text: Option<String>,
    /// When it was written.
    created_at: DateTime<Utc>,
    /// Since when staff hide it from everyone but its author.
    hidden_at: Option<DateTime<Utc>>,
}

impl From<Review> for ReviewView {
    fn from(review: Review) -> Self {
        Self {
            id: review.id,
            by: review.by,
            rating: review.rating,
            text: review.text,
            created_at: review.created_at,
            hidden_at: review.hidden.map(|hidden| hidden.at),
        }
    }
}

/// Review a visit
///
/// The client reviews the therapist, the therapist the client: once each, within 30 days of the visit's completion. The
/// stars count at once; the review itself is shown to others when both sides have written, or the 30 days are over. It cannot be
/// changed.
#[utoipa::path(tag = "After the visit", operation_id = "create_review", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewReview, responses((status = 201, description = "The review.", body = ReviewView,
     headers(("Location" = String, description = "Where the visit's reviews are found.")))),
    extensions(("x-refusals" = json!(refused![VisitNotCompleted, ReviewPeriodOver, AlreadyReviewed]))))]
#[post("/v1/bookings/{id}/reviews")]
async fn create_review(
    app: Data<App>,
    me: As<Parties>,
    Path(id): Path<BookingId>,
    key: IdempotencyKey,
    Json(new, print): Json<NewReview>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let route = "POST /v1/bookings/{id}/reviews";
        let once = Once::claim(&mut work, route, key, print.about(id)).await?;
        // Under the booking's lock, so that of two sides who write at once the second sees the first.
        let booking = bookings::lock(&mut work, id, app.clock.now()).await?;
        let booking = booking.filter(|booking| bookings::party(booking, &me.principal).is_some());
        let booking = booking.ok_or(Error::NotFound)?;
        let now = app.clock.now();
        let until = reviewable(booking.status, bookings::completed_at(&mut work, &booking).await?, now)?;
        let by = Side::of(me.principal.role);
        let written = store::of_booking(&mut work, id).await?;
        if written.iter().any(|review| review.by == by) {
            return Err(Refusal::AlreadyReviewed.into());
        }
        let Stars(rating) = new.rating;
        let review = Review {
            id: ReviewId::new(now),
            booking: id,
            therapist: booking.therapist,
            client: booking.client,
            by,
            rating,
            text: new.text.map(|text| text.as_str().to_owned()),
            created_at: now,
            opens_at: if written.is_empty() { until } else { now },
            hidden: None,
        };
        store::insert(&mut work, &review).await?;
        let reply = Reply::created(format!("/v1/bookings/{id}/reviews"), &ReviewView::from(review))?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// List a visit's reviews
///
/// The caller's own, and the other side's once both have written, or the time for it is over.
#[utoipa::path(tag = "After the visit", operation_id = "list_booking_reviews", security(("bearer" = ["client", "therapist"])),
    params(("id" = BookingId, Path, description = "The booking."), Part),
    responses((status = 200, description = "The reviews.", body = Page<ReviewView>)))]
#[get("/v1/bookings/{id}/reviews")]
async fn list_booking_reviews(
    app: Data<App>,
    me: As<Parties>,
    Path(id): Path<BookingId>,
    Query(part): Query<Part>,
) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let mut work = app.begin(Some(me.account())).await?;
        let booking = bookings::find(&mut work, id, now).await?;
        booking.filter(|booking| bookings::party(booking, &me.principal).is_some()).ok_or(Error::NotFound)?;
        let mut reviews = store::of_booking(&mut work, id).await?;
        work.commit().await?;
        let own = Side::of(me.principal.role);
        reviews.retain(|review| review.by == own || (review.opens_at <= now && review.hidden.is_none()));
        Reply::ok(&Page::part(reviews.into_iter().map(ReviewView::from).collect(), &part)?)
    })
    .await
}

/// A review of a therapist as anyone sees it: nothing of its author.
#[derive(Serialize, ToSchema)]
struct PublicReview {
    /// From 1, bad, to 5, good.
    #[schema(example = 5)]
    rating: i16,
    text: Option<String>,
    /// The month of the visit.
    #[schema(example = "2026-12")]
    month: String,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TherapistReviewQuery {
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List a therapist's reviews
///
/// What clients say, newest first, without their names. The mean of all stars is on the therapist's own page.
#[utoipa::path(tag = "After the visit", operation_id = "list_therapist_reviews", security((), ("api_key" = ["slots:read"])),
    params(("id" = TherapistId, Path, description = "The therapist."), TherapistReviewQuery),
    responses((status = 200, description = "A page of reviews.", body = Page<PublicReview>)))]
#[get("/v1/therapists/{id}/reviews")]
async fn list_therapist_reviews(
    app: Data<App>,
    Caller(caller): Caller,
    Path(id): Path<TherapistId>,
    Query(query): Query<TherapistReviewQuery>,
) -> Result<Reply> {
    let before = query.cursor.map(|cursor| cursor.key()).transpose()?.map(|(Instant(at), id)| (at, id));
    if !therapists::is_shown(&mut *app.db.acquire().await?, id, caller, app.clock.now()).await? {
        return Err(Error::NotFound);
    }
    let found = store::published(&app.db, id, before, query.limit.probe(), app.clock.now()).await?;
    let page = Page::cut(found, query.limit, |review| (review.opens_at, review.id))?;
    let public = |Published { rating, text, start_at, time_zone, .. }| {
        let month = local_date(time_zone, start_at).format("%Y-%m").to_string();
        PublicReview { rating, text, month }
    };
    Reply::ok(&Page { data: page.data.into_iter().map(public).collect(), next_cursor: page.next_cursor })
}

/// A review as staff see it.
#[derive(Serialize, ToSchema)]
struct AdminReview {
    #[serde(flatten)]
    review: ReviewView,
    booking_id: BookingId,
    therapist_id: TherapistId,
    client_id: AccountId,
    /// From when on others than its author see it.
    opens_at: DateTime<Utc>,
    /// Which admin hides it.
    hidden_by: Option<AccountId>,
    /// Why.
    hidden_reason: Option<String>,
}

impl From<Review> for AdminReview {
    fn from(mut review: Review) -> Self {
        let hidden = review.hidden.take();
        Self {
            booking_id: review.booking,
            therapist_id: review.therapist,
            client_id: review.client,
            opens_at: review.opens_at,
            hidden_by: hidden.as_ref().map(|hidden| hidden.by),
            hidden_reason: hidden.as_ref().map(|hidden| hidden.reason.clone()),
            review: ReviewView { hidden_at: hidden.map(|hidden| hidden.at), ..ReviewView::from(review) },
        }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ReviewQuery {
    /// Of this visit.
    booking_id: Option<BookingId>,
    /// Of visits by this therapist.
    therapist_id: Option<TherapistId>,
    /// Of visits to this client.
    client_id: Option<AccountId>,
    /// Only hidden ones, or only others.
    hidden: Option<bool>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// List reviews
///
/// Reviews of both sides, hidden ones too, newest first.
#[utoipa::path(tag = "After the visit", operation_id = "list_reviews", security(("bearer" = ["admin:support"])), params(ReviewQuery),
    responses((status = 200, description = "A page of reviews.", body = Page<AdminReview>)))]
#[get("/v1/admin/reviews")]
async fn list_reviews(app: Data<App>, _me: As<Support>, Query(query): Query<ReviewQuery>) -> Result<Reply> {
    let listed = Listed {
        booking: query.booking_id,
        therapist: query.therapist_id,
        client: query.client_id,
        hidden: query.hidden,
        before: query.cursor.map(|cursor| cursor.key()).transpose()?,
        count: query.limit.probe(),
    };
    let page = Page::cut(store::list(&app.db, listed).await?, query.limit, |review| review.id)?;
    Reply::ok(&Page {
        data: page.data.into_iter().map(AdminReview::from).collect::<Vec<_>>(),
        next_cursor: page.next_cursor,
    })
}

/// Why a review is hidden.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct HideBody {
    reason: HidingReason,
}

/// Hide a review
///
/// Only its author sees it from now on, and its stars count no more. One that is hidden already stays as it is.
#[utoipa::path(tag = "After the visit", operation_id = "hide_review", security(("bearer" = ["admin:support"])),
    params(("id" = ReviewId, Path, description = "The review.")), request_body = HideBody,
    responses((status = 200, description = "The review, hidden.", body = AdminReview)))]
#[post("/v1/admin/reviews/{id}/hide")]
async fn hide_review(
    app: Data<App>,
    me: As<Support>,
    Path(id): Path<ReviewId>,
    Json(body, _): Json<HideBody>,
) -> Result<Reply> {
    uninterrupted(async move { set_hidden(&app, me.account(), id, Some(body.reason)).await }).await
}

/// Show a review again
///
/// As if it had never been hidden. One that is not hidden stays as it is.
#[utoipa::path(tag = "After the visit", operation_id = "restore_review", security(("bearer" = ["admin:support"])),
    params(("id" = ReviewId, Path, description = "The review.")),
    responses((status = 200, description = "The review.", body = AdminReview)))]
#[post("/v1/admin/reviews/{id}/restore")]
async fn restore_review(app: Data<App>, me: As<Support>, Path(id): Path<ReviewId>) -> Result<Reply> {
    uninterrupted(async move { set_hidden(&app, me.account(), id, None).await }).await
}

async fn set_hidden(app: &App, admin: AccountId, id: ReviewId, reason: Option<HidingReason>) -> Result<Reply> {
    let mut work = app.begin(Some(admin)).await?;
    let mut review = store::lock(&mut work, id).await?.ok_or(Error::NotFound)?;
    if review.hidden.is_some() != reason.is_some() {
        let now = app.clock.now();
        let kind = if reason.is_some() { "review.hide" } else { "review.restore" };
        review.hidden = reason.map(|reason| Hidden { at: now, by: admin, reason: reason.as_str().to_owned() });
        store::set_hidden(&mut work, &review).await?;
        let details = json!({ "booking_id": review.booking, "by": review.by });
        work.announce(Event::new(kind, "review", id).about(review.therapist).with(details)).await?;
    }
    work.commit().await?;
    Reply::ok(&AdminReview::from(review))
}
