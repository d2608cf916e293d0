//! Lists of bookings, for clients, therapists and admins.

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::Booking;
use super::lifecycle::Status;
use super::store::{self, Listed};
use super::views::{BookingView, Viewer, views};
use crate::App;
use crate::accounts::{self, Sought};
use crate::auth::{AsEither, BookingsRead, PartiesOrSupport, Who};
use crate::db::uninterrupted;
use crate::error::{FieldError, Result};
use crate::events::Work;
use crate::http::{Cursor, Limit, Page, Query, Reply, Several};
use crate::ids::{AccountId, BookingId, TherapistId};
use crate::values::{Day, Instant, Role};

/// The list of bookings.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_bookings);
}

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub(super) enum Sort {
    /// The next visit first.
    #[default]
    #[serde(rename = "start_at")]
    Start,
    /// The last visit first.
    #[serde(rename = "-start_at")]
    LatestStart,
    /// As they were booked.
    #[serde(rename = "created_at")]
    Created,
    /// The latest booked first.
    #[serde(rename = "-created_at")]
    LatestCreated,
}

impl Sort {
    /// What places a booking in this order; the order itself is part of it, so that a cursor fits no other list.
    fn key(self, booking: &Booking) -> (Self, DateTime<Utc>, BookingId) {
        let at = match self {
            Self::Start | Self::LatestStart => booking.start_at,
            Self::Created | Self::LatestCreated => booking.created_at,
        };
        (self, at, booking.id)
    }

    /// Where the page after `cursor` begins.
    fn after(self, cursor: &Cursor) -> Result<(DateTime<Utc>, BookingId)> {
        let (sort, Instant(at), id) = cursor.key::<(Self, Instant, BookingId)>()?;
        let other = || FieldError::new("/cursor", "This cursor came from a list in another order.");
        if sort == self { Ok((at, id)) } else { Err(other().into()) }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BookingQuery {
    /// In one of these states, separated by commas.
    #[param(inline, value_type = Option<Vec<Status>>, style = Form, explode = false)]
    status: Option<Several<Status>>,
    /// From this date on, in the zone of each visit.
    #[param(inline)]
    from: Option<Day>,
    /// Until this date, included.
    #[param(inline)]
    to: Option<Day>,
    /// With this therapist.
    therapist_id: Option<TherapistId>,
    /// Of this client.
    client_id: Option<AccountId>,
    /// For staff: visits of people with these beginnings of words in their names; 20 people at the most.
    #[param(inline)]
    q: Option<Sought>,
    /// For staff: the booking's id, or its beginning, eight digits at the least.
    #[param(inline)]
    number: Option<Sought>,
    /// To which something happened at this instant or later, 90 days back at the most; for staff and API clients only together with `client_id`, `therapist_id`, `q` or
    /// `number`. Whoever follows what changes asks `GET /v1/me/changes`.
    #[param(inline)]
    updated_since: Option<Instant>,
    /// By start or by when they were booked; a minus turns the order around.
    #[serde(default)]
    #[param(inline, value_type = Option<Sort>)]
    sort: Sort,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// How far back changes of visits are looked for.
const OLDEST_CHANGE: TimeDelta = TimeDelta::days(90);

/// The most people whose visits are listed together.
const MOST_PEOPLE: i64 = 20;

/// Whose names fit.
async fn people(work: &mut Work, sought: &Sought) -> Result<Vec<AccountId>> {
    let people = accounts::named(&mut ***work, sought, MOST_PEOPLE + 1).await?;
    if people.len() > MOST_PEOPLE as usize {
        return Err(FieldError::new("/q", "fits more than 20 people: say more of the name.").into());
    }
    Ok(people)
}

/// The first and the last id that are meant.
fn numbers(number: &Sought) -> Result<(BookingId, BookingId)> {
    let ids = number.in_ids();
    let ids =
        ids.ok_or_else(|| FieldError::new("/number", "must be a booking's id, or eight digits of its beginning."))?;
    Ok((BookingId(ids.0), BookingId(ids.1)))
}

/// List bookings
///
/// The caller's own bookings, or all of them for admins and API clients; by their start, unless said otherwise. A list shows no addresses to
/// therapists, and to API clients nothing that tells of a person.
#[utoipa::path(tag = "Bookings", operation_id = "list_bookings", security(("bearer" = ["client", "therapist", "admin:support"]), ("api_key" = ["bookings:read"])),
    params(BookingQuery),
    responses((status = 200, description = "A page of bookings.", body = Page<BookingView>)))]
#[get("/v1/bookings")]
async fn list_bookings(
    app: Data<App>,
    me: AsEither<PartiesOrSupport, BookingsRead>,
    Query(query): Query<BookingQuery>,
) -> Result<Reply> {
    uninterrupted(async move {
        let sort = query.sort;
        let mut listed = Listed {
            statuses: query.status.map(|Several(statuses)| statuses).unwrap_or_default(),
            from: query.from.map(|Day(date)| date),
            to: query.to.map(|Day(date)| date),
            client: query.client_id,
            therapist: query.therapist_id,
            people: None,
            updated_since: query.updated_since.map(|Instant(since)| since),
            numbers: query.number.as_ref().map(numbers).transpose()?,
            sort,
            after: query.cursor.as_ref().map(|cursor| sort.after(cursor)).transpose()?,
            count: query.limit.probe(),
        };
        if listed.from.zip(listed.to).is_some_and(|(from, to)| to < from) {
            return Err(FieldError::new("/to", "lies before `from`.").into());
        }
        let (is_staff, is_person) = match me.who {
            Who::Person(person) => (person.role == Role::Admin, true),
            Who::Client(_) => (false, false),
        };
        for (pointer, is_asked) in [("/q", query.q.is_some()), ("/number", query.number.is_some())] {
            if is_asked && !is_staff {
                return Err(FieldError::new(pointer, "is for staff.").into());
            }
        }
        if let Some(since) = listed.updated_since {
            if since < app.clock.now() - OLDEST_CHANGE {
                return Err(FieldError::new("/updated_since", "lies more than 90 days back.").into());
            }
            let is_narrow =
                listed.client.is_some() || listed.therapist.is_some() || query.q.is_some() || listed.numbers.is_some();
            if (is_staff || !is_person) && !is_narrow {
                return Err(FieldError::new(
                    "/updated_since",
                    "goes with `client_id`, `therapist_id`, `q` or `number`.",
                )
                .into());
            }
        }
        // Asking for someone else's bookings finds none.
        let (viewer, others) = match me.who {
            Who::Client(_) => (Viewer::ApiClient, false),
            Who::Person(person) => {
                let account = person.account;
                match person.role {
                    Role::Client => {
                        (Viewer::Client, listed.client.replace(account).is_some_and(|client| client != account))
                    }
                    Role::Therapist => {
                        let own = TherapistId::from(account);
                        (Viewer::Therapist, listed.therapist.replace(own).is_some_and(|therapist| therapist != own))
                    }
                    Role::Admin => (Viewer::Admin, false),
                }
            }
        };
        if others {
            return Reply::ok(&Page::<BookingView>::whole(Vec::new()));
        }
        let mut work = app.begin(Some(me.actor())).await?;
        if let Some(sought) = &query.q {
            listed.people = Some(people(&mut work, sought).await?);
        }
        let found = store::list(&mut work, listed, app.clock.now()).await?;
        let page = Page::cut(found, query.limit, |booking| sort.key(booking))?;
        let data = match viewer {
            // Nothing is read that would not be shown.
            Viewer::ApiClient => page.data.iter().map(BookingView::bare).collect(),
            _ => views(&app.cipher, &mut work, page.data, viewer).await?,
        };
        work.commit().await?;
        Reply::ok(&Page { data, next_cursor: page.next_cursor })
    })
    .await
}
