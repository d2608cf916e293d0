//! Versions as admins add and withdraw them: four kinds of things, and one way to deal with each.

use actix_web::web::Data;
use actix_web::{delete, get, post};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::Version;
use super::entries::{CancellationPolicy, EVERYWHERE, Entry, Kind, Price, PublicHoliday, Surcharge, faults, is_open};
use super::store::{self, Listed};
use crate::App;
use crate::auth::{Admin, As};
use crate::catalogue;
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, FieldError, Problem, Refusal, Result};
use crate::events::Event;
use crate::http::{Cursor, Fingerprint, Json, Limit, Page, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::{AccountId, TariffId};
use crate::values::{Instant, Jurisdiction};

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_prices).service(create_price).service(get_price).service(withdraw_price);
    config.service(list_surcharges).service(create_surcharge).service(get_surcharge).service(withdraw_surcharge);
    config.service(list_cancellation_policies).service(create_cancellation_policy);
    config.service(get_cancellation_policy).service(withdraw_cancellation_policy);
    config.service(list_public_holidays).service(create_public_holiday);
    config.service(get_public_holiday).service(withdraw_public_holiday);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct VersionQuery {
    /// Of this country or region itself.
    #[param(inline)]
    place: Option<Jurisdiction>,
    /// In force at this instant; left out: every version, past, future and withdrawn ones too.
    #[param(inline)]
    at: Option<Instant>,
    /// Items on a page.
    #[serde(default)]
    #[param(inline, value_type = Option<Limit>)]
    limit: Limit,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// The operations on one kind of versions.
macro_rules! versions {
    ($entry:ident at $path:tt and $one:tt: $list:ident, $create:ident, $get:ident, $withdraw:ident; $names:tt, $name:tt, $about:tt) => {
        #[utoipa::path(tag = "Prices", summary = concat!("List ", $names),
            description = concat!("Versions by place, subject and number: those in force at an instant, or all of them. ", $about),
            security(("bearer" = ["admin"])), params(VersionQuery),
            responses((status = 200, description = "A page of versions.", body = Page<Version<$entry>>)))]
        #[get($path)]
        async fn $list(app: Data<App>, _me: As<Admin>, Query(query): Query<VersionQuery>) -> Result<Reply> {
            list::<$entry>(&app, query).await
        }

        #[utoipa::path(tag = "Prices", summary = concat!("Add ", $name),
            description = concat!("Adds a version, which holds from its instant until the next one. What is booked or held stays as it is. ", $about),
            security(("bearer" = ["admin"])),
            params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
            request_body = $entry, responses(
            (status = 201, description = "The version.", body = Version<$entry>,
             headers(("Location" = String, description = "Where the version is found."))),
            (status = 409, description = "`version_taken`, `idempotency_key_in_flight`", body = Problem, content_type = "application/problem+json"),
            (status = 422, description = "A field is wrong, or `idempotency_key_reused`", body = Problem, content_type = "application/problem+json")))]
        #[post($path)]
        async fn $create(app: Data<App>, me: As<Admin>, key: IdempotencyKey, Json(entry, print): Json<$entry>) -> Result<Reply> {
            uninterrupted(async move { create(&app, me.account(), key, concat!("POST ", $path), entry, print).await }).await
        }

        #[utoipa::path(tag = "Prices", summary = concat!("Show ", $name), description = concat!("One version. ", $about),
            security(("bearer" = ["admin"])), params(("id" = TariffId, Path, description = "The version.")),
            responses((status = 200, description = "The version.", body = Version<$entry>)))]
        #[get($one)]
        async fn $get(app: Data<App>, _me: As<Admin>, Path(id): Path<TariffId>) -> Result<Reply> {
            Reply::ok(&store::find::<$entry>(&app.db, id).await?.ok_or(Error::NotFound)?)
        }

        #[utoipa::path(tag = "Prices", summary = concat!("Withdraw ", $name),
            description = "Takes a version back before it takes effect. It stays in the list; its number is not given again. Again changes nothing.",
            security(("bearer" = ["admin"])), params(("id" = TariffId, Path, description = "The version.")), responses(
            (status = 204, description = "The version will not take effect."),
            (status = 409, description = "`version_in_force`", body = Problem, content_type = "application/problem+json")))]
        #[delete($one)]
        async fn $withdraw(app: Data<App>, me: As<Admin>, Path(id): Path<TariffId>) -> Result<Reply> {
            uninterrupted(async move { withdraw::<$entry>(&app, me.account(), id).await }).await
        }
    };
}

versions!(Price at "/v1/admin/prices" and "/v1/admin/prices/{id}": list_prices, create_price, get_price, withdraw_price;
    "prices", "a price", "A price is that of a service for so long in a country.");
versions!(Surcharge at "/v1/admin/surcharges" and "/v1/admin/surcharges/{id}":
    list_surcharges, create_surcharge, get_surcharge, withdraw_surcharge;
    "surcharges", "a surcharge", "A region's surcharge takes the place of its country's of the same code.");
versions!(CancellationPolicy at "/v1/admin/cancellation-policies" and "/v1/admin/cancellation-policies/{id}":
    list_cancellation_policies, create_cancellation_policy, get_cancellation_policy, withdraw_cancellation_policy;
    "cancellation policies", "a cancellation policy", "A country's policy takes the place of the one for all countries.");
versions!(PublicHoliday at "/v1/admin/public-holidays" and "/v1/admin/public-holidays/{id}":
    list_public_holidays, create_public_holiday, get_public_holiday, withdraw_public_holiday;
    "public holidays", "a public holiday", "A region has its country's holidays and its own.");

async fn list<T: Entry>(app: &App, query: VersionQuery) -> Result<Reply> {
    let after = query.cursor.as_ref().map(Cursor::key).transpose()?;
    let at = query.at.map(|Instant(at)| at);
    let listed = Listed { place: query.place.as_ref(), at, after, count: query.limit.probe() };
    let found = store::list::<T>(&app.db, listed).await?;
    Reply::ok(&Page::cut(found, query.limit, |found| {
        (found.entry.place().to_owned(), found.entry.subject(), found.entry.version())
    })?)
}

async fn create<T: Entry>(
    app: &App,
    admin: AccountId,
    key: IdempotencyKey,
    route: &'static str,
    entry: T,
    print: Fingerprint,
) -> Result<Reply> {
    let mut work = app.begin(Some(admin)).await?;
    let once = Once::claim(&mut work, route, key, print).await?;
    store::lock(&mut work).await?;
    // Read after the wait: what was ahead may no longer be.
    let now = app.clock.now();
    refuse_wrong(&mut work, &entry, faults(&entry, now), now).await?;
    let id = TariffId::new(now);
    let version = Version { id, entry, created_at: now, created_by: Some(admin), withdrawn_at: None };
    store::insert(&mut work, &version).await?;
    let reply = Reply::created(format!("{}/{id}", route.trim_start_matches("POST ")), &version)?;
    once.keep(&mut work, &reply).await?;
    work.announce(event(0, &version)).await?;
    work.commit().await?;
    Ok(reply)
}

/// Refuses an entry with `faults`, or with others that only show beside what is there.
async fn refuse_wrong<T: Entry>(tx: &mut Tx, entry: &T, mut faults: Vec<FieldError>, now: DateTime<Utc>) -> Result<()> {
    if let Some(service) = entry.service()
        && catalogue::kind_of(&mut **tx, service).await?.is_none()
    {
        faults.push(FieldError::new("/service_id", "is not in the catalogue."));
    }
    let country = entry.place().split('-').next().unwrap_or(EVERYWHERE);
    let amounts = entry.amounts();
    if !amounts.is_empty() {
        let known = store::currency(tx, country).await?;
        for (pointer, money) in amounts {
            // The first price of a country settles its currency.
            let why = match &known {
                None if T::KIND == Kind::Price => continue,
                None => "is not settled: the country has no price yet.".to_owned(),
                Some((currency, _)) if currency == money.currency.code() => continue,
                Some((currency, since)) if *since <= now => {
                    format!("must be {currency}: amounts of the country have been in force in it, which is fixed.")
                }
                Some((currency, _)) => {
                    format!("must be {currency}, as the country's other amounts; withdraw all of these to change it.")
                }
            };
            faults.push(FieldError::new(format!("{pointer}/currency"), why));
        }
    }
    if !faults.is_empty() {
        return Err(Error::Invalid(faults));
    }
    let (version, effective_from) = store::latest(tx, entry).await?;
    if entry.version() != version + 1 {
        return Err(Refusal::VersionTaken.into());
    }
    if effective_from.is_some_and(|last| entry.effective_from() <= last) {
        let detail = "must lie after the version before takes effect; or withdraw that one first.";
        return Err(FieldError::new("/effective_from", detail).into());
    }
    Ok(())
}

async fn withdraw<T: Entry>(app: &App, admin: AccountId, id: TariffId) -> Result<Reply> {
    let mut work = app.begin(Some(admin)).await?;
    store::lock(&mut work).await?;
    let now = app.clock.now();
    let version = store::find::<T>(&mut **work, id).await?.ok_or(Error::NotFound)?;
    if version.withdrawn_at.is_none() {
        if !is_open(version.entry.effective_from(), now) {
            return Err(Refusal::VersionInForce.into());
        }
        store::withdraw(&mut work, id, admin, now).await?;
        work.announce(event(1, &version)).await?;
        work.commit().await?;
    }
    Ok(Reply::none())
}

/// What an admin did: the kind of event of this index.
fn event<T: Entry>(kind: usize, version: &Version<T>) -> Event {
    let kind = T::ACTIONS[kind];
    let subject_type = kind.split_once('.').map_or(kind, |(feature, _)| feature);
    Event::new(kind, subject_type, version.id).with(json!(version.entry))
}
