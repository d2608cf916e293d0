//! Versions as admins add and withdraw them: four kinds of things, and one way to deal with each.

mod cancellation_policies;
mod prices;
mod public_holidays;
mod surcharges;

use actix_web::web::Data;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;
use utoipa_actix_web::service_config::ServiceConfig;

use super::Version;
use super::entries::{EVERYWHERE, Entry, Kind, faults, is_open};
use super::store::{self, Listed};
use crate::App;
use crate::auth::{As, Finance};
use crate::catalogue;
use crate::db::{Tx, uninterrupted};
use crate::error::{Error, FieldError, Refusal, Result};
use crate::events::Event;
use crate::http::{Cursor, Fingerprint, Limit, Page, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::TariffId;
use crate::values::{Instant, Jurisdiction};

pub(super) fn routes(config: &mut ServiceConfig) {
    prices::routes(config);
    surcharges::routes(config);
    cancellation_policies::routes(config);
    public_holidays::routes(config);
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
    app: Data<App>,
    me: As<Finance>,
    key: IdempotencyKey,
    route: &'static str,
    entry: T,
    print: Fingerprint,
) -> Result<Reply> {
    uninterrupted(async move {
        let admin = me.account();
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
    })
    .await
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

async fn withdraw<T: Entry>(app: Data<App>, me: As<Finance>, id: TariffId) -> Result<Reply> {
    uninterrupted(async move {
        let admin = me.account();
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
    })
    .await
}

/// What an admin did: the kind of event of this index.
fn event<T: Entry>(kind: usize, version: &Version<T>) -> Event {
    let kind = T::ACTIONS[kind];
    let subject_type = kind.split_once('.').map_or(kind, |(feature, _)| feature);
    Event::new(kind, subject_type, version.id).with(json!(version.entry))
}
