//! The slots that clients choose from: the engine's word for every therapist near a place.

use std::sync::Arc;

use actix_web::get;
use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::cache::{Listed, Question};
use super::candidates::Reach;
use super::explain::RefusedStarts;
use super::matching::{Lasting, Search, TimesOfDay};
use super::moving::{Moving, Said};
use super::{GivenPlace, explain};
use crate::App;
use crate::auth::{Caller, Principal};
use crate::availability::travel::{Roads, TravelMinutes};
use crate::availability::{Engine, Start, Visit};
use crate::care::{self, CareQuery, VisitCare};
use crate::catalogue::refuse_unknown_filters;
use crate::db::{Lent, in_time};
use crate::error::{Error, FieldError, Result};
use crate::http::{Cursor, Limit, Origin, Query, Reply};
use crate::ids::{AddressId, BookingId, RecipientId, ServiceId, TherapistId};
use crate::prices::{About, Tariff, kilometres};
use crate::search::SearchCache;
use crate::search::Searches;
use crate::values::wall_clock::dates;
use crate::values::{
    AddressKind, Country, Day, Gender, Language, Latitude, Longitude, Money, Place, Rating, Slug, TimeOfDay, Zone,
    dates_between,
};

/// How many starts a page holds, so that an answer stays at about 300 kB.
const MOST_STARTS: usize = 7_500;

/// As many as a therapist has on a day at the most, who works around the clock and starts on each quarter of an hour.
const STARTS_A_DAY: usize = 96;

/// The operation on slots.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_slots);
}

#[derive(Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SlotQuery {
    /// What is booked.
    service_id: ServiceId,
    /// Minutes on the table.
    #[param(minimum = 15, maximum = 240, example = 60)]
    duration_minutes: i16,
    /// The first date, in the zone of the place.
    #[param(inline)]
    from: Day,
    /// The last date, included; at most 14 days.
    #[param(inline)]
    to: Day,
    /// No start before this time of day, by the clock of the place: `HH:MM`.
    #[param(inline)]
    earliest: Option<TimeOfDay>,
    /// No start after this time of day, by the clock of the place: `HH:MM`. Before `earliest`, the evening and the night are meant.
    #[param(inline)]
    latest: Option<TimeOfDay>,
    /// Starts of each therapist at the most, the soonest ones.
    #[param(minimum = 1, maximum = 1000)]
    per_therapist: Option<u16>,
    /// One of the caller's addresses; else `latitude`, `longitude`, `country` and `region`.
    address_id: Option<AddressId>,
    /// Where the visit is.
    #[param(inline)]
    latitude: Option<Latitude>,
    /// Where the visit is.
    #[param(inline)]
    longitude: Option<Longitude>,
    /// Where the visit is (ISO 3166-1 alpha-2).
    #[param(inline)]
    country: Option<Country>,
    /// The region's code within the country (ISO 3166-2).
    #[param(max_length = 10, example = "NSW")]
    region: Option<String>,
    /// For whom the visit is: one of the caller's recipients. What does not suit them is not listed. Without it, nobody's health is weighed.
    recipient_id: Option<RecipientId>,
    /// This therapist alone.
    therapist_id: Option<TherapistId>,
    /// Of this gender.
    #[param(inline)]
    gender: Option<Gender>,
    /// Who works with this technique.
    #[param(inline)]
    technique: Option<Slug>,
    /// Who has experience with this condition.
    #[param(inline)]
    condition: Option<Slug>,
    /// Who speaks this language.
    #[param(inline)]
    language: Option<Language>,
    /// The order of the therapists.
    #[serde(default)]
    #[param(inline, value_type = Option<SlotOrder>)]
    sort: SlotOrder,
    /// Therapists on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
    /// A booking of the caller's that is to be moved: its own time counts as free, its place and its therapist are meant, and each price is that of
    /// the move. Together with `service_id` and `duration_minutes` as they are booked, and without a place.
    moving: Option<BookingId>,
    /// Also lists the starts on the grid that are not offered, with every rule that refuses them: those that follow each other and have the same
    /// rules are one run. With `therapist_id` alone, for that
    /// therapist and for admins.
    #[serde(default)]
    explain: bool,
}

/// The order of the therapists in a list of slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SlotOrder {
    /// Whoever can come first.
    #[default]
    Soonest,
    /// Whoever is nearest.
    Distance,
    /// Whoever is rated best: by the mean of their ratings and five more of four stars.
    Rating,
}

/// A time at which a visit can be booked.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct Slot {
    /// When the time on the table begins.
    pub start_at: DateTime<Utc>,
    /// What the visit costs at this time, with the surcharges that are due; absent where it is the `price` of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<Money>,
    /// The travel that it leaves room for: for the therapist themself and for admins alone, since it tells where other visits are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub travel_minutes: Option<TravelMinutes>,
}

impl Slot {
    fn new(Start { at, travel }: Start, tariff: &Tariff, about: &About, insider: bool) -> Self {
        let price = tariff.total(about, at);
        Self { start_at: at, price: (price != tariff.base).then_some(price), travel_minutes: insider.then_some(travel) }
    }
}

/// Who offers the slots.
#[derive(Debug, Serialize, ToSchema)]
struct SlotTherapist {
    /// The therapist's id.
    id: TherapistId,
    /// The name that clients see.
    #[schema(example = "Sam Okafor")]
    display_name: String,
    /// How clients rate the therapist.
    rating: Rating,
}

/// A therapist's slots.
#[derive(Debug, Serialize, ToSchema)]
struct TherapistSlots {
    /// Who offers them.
    therapist: SlotTherapist,
    /// Kilometres from the therapist's public area, rounded up.
    #[schema(example = 4)]
    distance_km: f64,
    /// What the visit costs without surcharges: at each start that names no other price.
    price: Money,
    /// Soonest first.
    slots: Vec<Slot>,
}

/// A page of therapists with their slots.
#[derive(Debug, Serialize, ToSchema)]
struct SlotPage {
    /// Therapists with at least one slot.
    data: Vec<TherapistSlots>,
    /// The zone of the place, in which the dates of the request are meant.
    time_zone: Zone,
    /// Where the next page begins; null on the last one.
    #[schema(value_type = Option<String>)]
    next_cursor: Option<Cursor>,
    /// Where nobody can come in the range: whoever can come soonest in the 28 days after it, if anyone.
    next_available: Option<NextAvailable>,
    /// With `explain`: the starts on the therapist's grid that are not offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<Vec<RefusedStarts>>,
}

/// The soonest visit after the range that was asked for.
#[derive(Debug, Serialize, ToSchema)]
struct NextAvailable {
    /// Who can come.
    therapist: SlotTherapist,
    /// Kilometres from the therapist's public area, rounded up.
    #[schema(example = 4)]
    distance_km: f64,
    /// When the time on the table begins.
    start_at: DateTime<Utc>,
    /// When it ends.
    end_at: DateTime<Utc>,
}

/// List slots
///
/// The times at which a visit can be booked at a place, by therapist. Every slot that is listed can be booked, until
/// someone else books it. A client who is signed in sees nobody whom they block, or who blocks them. A page looks at about 300 therapists at the most, so that it may hold fewer than `limit` and still have
/// a `next_cursor`; so it is where many days are asked for, since a page holds about 7,500 starts. By `soonest`, each 300 are in order: whoever may be free first is looked at first. Nobody is listed
/// twice while the list is read on, and nobody left out who stays free, but for those of whom an earlier time becomes free meanwhile: by `soonest` that
/// may lie before where the list goes on, and the next search begins with them.
#[utoipa::path(tag = "Availability", operation_id = "list_slots",
    security((), ("bearer" = ["client", "therapist", "admin"]), ("api_key" = ["slots:read"])), params(SlotQuery),
    responses((status = 200, description = "A page of therapists with their slots.", body = SlotPage)))]
#[get("/v1/slots")]
async fn list_slots(
    app: Data<App>,
    Caller(caller): Caller,
    origin: Origin,
    Query(query): Query<SlotQuery>,
) -> Result<Reply> {
    let app = app.into_inner();
    let now = app.clock.now();
    dates_between(query.from.0, query.to.0)?;
    if query.per_therapist.is_some_and(|most| !(1..=1000).contains(&most)) {
        return Err(FieldError::new("/per_therapist", "must lie between 1 and 1000.").into());
    }
    let explained = query.explain.then(|| explain::asked_of(caller, query.therapist_id)).transpose()?;
    let given = GivenPlace {
        address_id: query.address_id,
        latitude: query.latitude,
        longitude: query.longitude,
        country: query.country.clone(),
        region: query.region.clone(),
    };
    if let Some(id) = query.moving {
        if query.recipient_id.is_some() {
            return Err(FieldError::new("/recipient_id", "is known from the booking.").into());
        }
        let asked = moves(app.clone(), caller, query, given, id);
        return app.part::<Searches>()?.run(caller, origin, asked).await.and_then(|page| Reply::ok(&page));
    }
    let (place, kind) = given.find(&*app.db, caller).await?;
    let care = match query.recipient_id {
        Some(recipient) => weighed(&app, caller, &query, recipient, &place).await?,
        None => None,
    };
    let question = query.common(caller, &place, kind);
    if let Some(question) = &question {
        let client = caller.and_then(Principal::client);
        let kept = app.part::<SearchCache>()?.answer(&app.db, question, client, now);
        if let Some(written) = in_time(kept).await? {
            return Ok(written.into());
        }
    }
    let searches = app.part::<Searches>()?;
    let asked = SlotSearch { caller, query, explained, place, kind, care, question };
    match asked.question.clone().filter(|_| caller.is_none()) {
        Some(question) => {
            let app = app.clone();
            let search = move || search(app.clone(), asked.clone());
            Ok(searches.shared(origin, question, search).await?.into())
        }
        None => searches.run(caller, origin, search(app.clone(), asked)).await,
    }
}

/// What decides whether a visit suits a recipient of the caller's.
///
/// # Errors
/// Points to `recipient_id` where there is no such recipient of theirs.
async fn weighed(
    app: &App,
    caller: Option<Principal>,
    query: &SlotQuery,
    recipient: RecipientId,
    place: &Place,
) -> Result<Option<Arc<VisitCare>>> {
    let account = caller.ok_or(Error::Unauthorized)?.client().ok_or(Error::Forbidden)?;
    let mut conn = app.db.acquire().await?;
    if !care::is_recipient(&mut conn, account, recipient).await? {
        return Err(FieldError::new("/recipient_id", "is not one of your recipients.").into());
    }
    let asked = CareQuery {
        account,
        recipient: Some(recipient),
        service: query.service_id,
        minutes: query.duration_minutes,
        pressure: None,
        place: &place.jurisdiction,
        visit: None,
    };
    Ok(VisitCare::read(app, &mut conn, asked, app.clock.now()).await?.map(Arc::new))
}

/// The times that a booking could be moved to.
async fn moves(
    app: Arc<App>,
    caller: Option<Principal>,
    query: SlotQuery,
    given: GivenPlace,
    id: BookingId,
) -> Result<SlotPage> {
    let now = app.clock.now();
    let (Day(from), Day(to)) = (query.from, query.to);
    let mut db = Lent::by(&app.db);
    let said = Said {
        therapist: query.therapist_id,
        service: query.service_id,
        minutes: query.duration_minutes,
        given: &given,
    };
    let moving = Moving::find(db.get().await?, id, caller, said, now).await?;
    let span = dates(moving.place.zone, from, to);
    let setting = moving.setting(db.get().await?, span).await?;
    let diary =
        explain::diary(&app, db.get().await?, moving.therapist, &setting, Some(moving.client), span, now).await?;
    let care = moving.care(&app, db.get().await?, now).await?;
    db.give_back();
    let visit = Visit { care: care.as_ref(), ..moving.visit(&setting) };
    let engine = Engine::new(&diary, &visit, span, now);
    let insider = explain::is_insider(caller, moving.therapist);
    let times = TimesOfDay { earliest: query.earliest, latest: query.latest };
    let slots: Vec<Slot> = moving
        .starts(&engine, span)
        .into_iter()
        .filter(|start| times.hold(moving.place.zone, start.at))
        .take(query.per_therapist.map_or(usize::MAX, usize::from))
        .map(|start| Slot::new(start, &setting.tariff, &moving.about(start.at, now), insider))
        .collect();
    let kilometres = diary.rules.base.map(|base| kilometres(base, moving.place.point));
    let found = TherapistSlots {
        therapist: SlotTherapist { id: moving.therapist, display_name: diary.name.clone(), rating: diary.rating },
        distance_km: kilometres.unwrap_or_default().into(),
        price: setting.tariff.base,
        slots,
    };
    Ok(SlotPage {
        data: if found.slots.is_empty() { Vec::new() } else { vec![found] },
        time_zone: moving.place.zone,
        next_cursor: None,
        next_available: None,
        refused: None,
    })
}

impl SlotQuery {
    /// What is asked, where the answer is the same for everyone who is at odds with nobody and holds nothing.
    fn common(&self, caller: Option<Principal>, place: &Place, kind: Option<AddressKind>) -> Option<Question> {
        let narrowed =
            self.gender.is_some() || self.technique.is_some() || self.condition.is_some() || self.language.is_some();
        let timed = self.earliest.is_some() || self.latest.is_some() || self.per_therapist.is_some();
        let plain = !narrowed && !timed && !self.explain && self.cursor.is_none() && self.recipient_id.is_none();
        let listed = match self.therapist_id {
            Some(therapist) if explain::is_insider(caller, therapist) => return None,
            Some(therapist) => Listed::One(therapist),
            None => Listed::Many(self.sort, self.limit.get()),
        };
        let visit = (self.service_id, self.duration_minutes);
        plain.then(|| Question::new(listed, place, kind, visit, (self.from.0, self.to.0)))
    }
}

/// What is asked, and by whom.
#[derive(Clone)]
struct SlotSearch {
    caller: Option<Principal>,
    query: SlotQuery,
    /// The therapist whose refusals are asked for.
    explained: Option<TherapistId>,
    place: Place,
    kind: Option<AddressKind>,
    /// What decides whether a start suits the recipient.
    care: Option<Arc<VisitCare>>,
    /// Where the answer may be the same for all.
    question: Option<Question>,
}

/// The page that the caller asks for.
async fn search(app: Arc<App>, asked: SlotSearch) -> Result<Reply> {
    let SlotSearch { caller, query, explained, place, kind, care, question } = asked;
    let now = app.clock.now();
    let (Day(from), Day(to)) = (query.from, query.to);
    let mut db = Lent::by(&app.db);
    let (span, visit) = (dates(place.zone, from, to), (query.service_id, query.duration_minutes));
    refuse_unknown_filters(db.get().await?, None, query.technique.as_ref(), query.condition.as_ref()).await?;
    let setting = app.part::<SearchCache>()?.setting(db.get().await?, place, kind, visit, span, now).await?;
    let reach = Reach {
        point: setting.place.point,
        service: setting.service,
        minutes: setting.minutes,
        therapist: query.therapist_id,
        gender: query.gender,
        technique: query.technique.as_ref().map(Slug::as_str),
        condition: query.condition.as_ref().map(Slug::as_str),
        language: query.language.as_ref().map(Language::as_str),
        free: None,
    };
    let client = caller.and_then(Principal::client);
    // Days make an answer long, so that a page of many days holds fewer therapists.
    let days = usize::try_from((to - from).num_days() + 1).unwrap_or(1);
    let limit = query.limit.at_most(MOST_STARTS / (STARTS_A_DAY * days));
    let care = care.as_deref();
    let times = TimesOfDay { earliest: query.earliest, latest: query.latest };
    let search = Search { app: &app, setting: &setting, care, times, reach, client, span, now };
    let first = query.cursor.is_none();
    let found = match (query.therapist_id, query.sort) {
        (Some(therapist), _) => search.only(&mut db, therapist).await?,
        (None, SlotOrder::Soonest) => search.soonest(&mut db, limit, query.cursor).await?,
        (None, SlotOrder::Distance) => search.in_order(&mut db, Lasting::Distance, limit, query.cursor).await?,
        (None, SlotOrder::Rating) => search.in_order(&mut db, Lasting::Rating, limit, query.cursor).await?,
    };
    let none = first && found.data.is_empty() && found.next_cursor.is_none();
    let next = if none { search.next(&mut db).await? } else { None };
    let mut basis = None;
    let data = found.data.into_iter().map(|found| {
        basis = Some(found.basis);
        let about = setting.about(Some(found.kilometres), now);
        let insider = explain::is_insider(caller, found.id);
        TherapistSlots {
            therapist: SlotTherapist { id: found.id, display_name: found.name, rating: found.rating },
            distance_km: found.kilometres.into(),
            price: setting.tariff.base,
            slots: found
                .starts
                .into_iter()
                .take(query.per_therapist.map_or(usize::MAX, usize::from))
                .map(|start| Slot::new(start, &setting.tariff, &about, insider))
                .collect(),
        }
    });
    let next_available = next.and_then(|found| {
        let start_at = found.starts.first()?.at;
        let end_at = start_at + TimeDelta::minutes(setting.minutes.into());
        let therapist = SlotTherapist { id: found.id, display_name: found.name, rating: found.rating };
        Some(NextAvailable { therapist, distance_km: found.kilometres.into(), start_at, end_at })
    });
    let refused = match explained {
        Some(therapist) => Some(explain::refused(&app, &mut db, therapist, &setting, span, now).await?),
        None => None,
    };
    let page = SlotPage {
        data: data.collect(),
        time_zone: setting.place.zone,
        next_cursor: found.next_cursor,
        next_available,
        refused,
    };
    let reply = Reply::ok(&page)?;
    // How long the roads take may change at any time.
    if let (Some(question), Some(basis)) = (question, basis)
        && matches!(question.listed, Listed::One(_))
        && basis.is_common(client)
        && !app.part::<Roads>()?.are_asked()
    {
        let written = reply.written();
        app.part::<SearchCache>()?.keep(question, basis, written.clone(), now);
        return Ok(written.into());
    }
    Ok(reply)
}
