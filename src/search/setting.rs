//! The setting of a visit: where it is, what is done there and for how long, what that costs, and what the place requires.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgExecutor};

use crate::accounts::visit_address;
use crate::auth::Principal;
use crate::availability::Visit;
use crate::care::{CareMode, asks_for_age, care_mode};
use crate::credentials::{Required, required_for};
use crate::error::{Error, FieldError, Result};
use crate::ids::{AddressId, ServiceId};
use crate::prices::{self, About, Tariff};
use crate::values::{AddressKind, Country, Latitude, Longitude, Place, Role, Span, Zone};

/// A place as a caller gives it: one of their addresses, or coordinates with country and region.
#[derive(Debug)]
pub struct GivenPlace {
    /// One of the caller's addresses.
    pub address_id: Option<AddressId>,
    /// Degrees north.
    pub latitude: Option<Latitude>,
    /// Degrees east.
    pub longitude: Option<Longitude>,
    /// The country.
    pub country: Option<Country>,
    /// The region's code within the country.
    pub region: Option<String>,
}

impl GivenPlace {
    /// The place itself, and what kind of place it is, where an address tells: the caller's own, who is a client then.
    pub async fn find<'c>(
        &self,
        db: impl PgExecutor<'c>,
        caller: Option<Principal>,
    ) -> Result<(Place, Option<AddressKind>)> {
        let Some(address) = self.address_id else { return Ok((self.by_point()?, None)) };
        let caller = caller.ok_or(Error::Unauthorized)?;
        if caller.role != Role::Client {
            return Err(Error::Forbidden);
        }
        if self.latitude.is_some() || self.longitude.is_some() || self.country.is_some() || self.region.is_some() {
            return Err(FieldError::new("/address_id", "stands instead of coordinates, country and region.").into());
        }
        let found = visit_address(db, caller.account, address).await?;
        let address = found.ok_or_else(|| FieldError::new("/address_id", "is not one of your addresses."))?;
        let (point, zone) = (address.point(), address.time_zone);
        Ok((Place { point, zone, jurisdiction: address.jurisdiction }, Some(address.kind)))
    }

    fn by_point(&self) -> Result<Place> {
        let missing = |name: &str| FieldError::new(format!("/{name}"), "is needed where no `address_id` is given.");
        let latitude = self.latitude.ok_or_else(|| missing("latitude"))?;
        let longitude = self.longitude.ok_or_else(|| missing("longitude"))?;
        let country = self.country.as_ref().ok_or_else(|| missing("country"))?;
        let region = self.region.as_deref().ok_or_else(|| missing("region"))?;
        Ok(Place::new((latitude, longitude).into(), country, region)?)
    }
}

/// What holds for every start of a visit, whoever comes.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Where it is.
    pub place: Place,
    /// What kind of place it is, where that is known.
    pub kind: Option<AddressKind>,
    /// What is booked.
    pub service: ServiceId,
    /// Minutes on the table.
    pub minutes: i16,
    /// What it costs there.
    pub tariff: Tariff,
    /// What the place requires for this kind of service.
    pub required: Required,
    /// How much the place asks of a person's health.
    pub care: CareMode,
    /// Whether rules there ask for a least age, also of whom nothing else is known.
    pub asks_for_age: bool,
}

impl Setting {
    /// How many bytes it takes up besides its own, about, for whoever keeps many.
    pub(super) fn bytes(&self) -> usize {
        let groups = self.required.groups.iter().map(|group| {
            let options: usize = group.options.iter().map(|option| size_of_val(option) + option.len()).sum();
            size_of_val(group) + group.jurisdiction.len() + group.group.len() + options
        });
        let chain = self.required.chain.iter().map(|place| size_of_val(place) + place.len());
        self.tariff.bytes() + self.required.kind.len() + groups.chain(chain).sum::<usize>()
    }

    /// Reads what the fields refer to, for starts within a span by the place's clock; a wrong field is pointed to by the name
    /// that it has in every request.
    pub async fn read(
        db: &mut PgConnection,
        caller: Option<Principal>,
        given: &GivenPlace,
        service: ServiceId,
        minutes: i16,
        within: impl FnOnce(Zone) -> Span,
        now: DateTime<Utc>,
    ) -> Result<Self> {
        let (place, kind) = given.find(&mut *db, caller).await?;
        let span = within(place.zone);
        Self::at(db, place, kind, service, minutes, span, now).await?.ok_or_else(|| prices::unsold().into())
    }

    /// Reads what holds at a place; none where the service is not sold there for so long.
    pub(super) async fn at(
        db: &mut PgConnection,
        place: Place,
        kind: Option<AddressKind>,
        service: ServiceId,
        minutes: i16,
        span: Span,
        now: DateTime<Utc>,
    ) -> Result<Option<Self>> {
        let required = required_for(&mut *db, &place.jurisdiction, place.point, service).await?;
        let required = required.ok_or_else(|| FieldError::new("/service_id", "is not in the catalogue."))?;
        let wanted = prices::PriceQuery {
            service,
            minutes,
            jurisdiction: &place.jurisdiction,
            point: place.point,
            zone: place.zone,
            span,
        };
        let Some(tariff) = prices::tariff(&mut *db, wanted, now).await? else { return Ok(None) };
        let care = care_mode(&mut *db, &place.jurisdiction, now).await?;
        let asks_for_age = care != CareMode::Off && asks_for_age(db, now).await?;
        Ok(Some(Self { place, kind, service, minutes, tariff, required, care, asks_for_age }))
    }

    /// What the price hangs on besides the start, asked for at `now` of a therapist so many kilometres away.
    pub fn about(&self, distance_km: Option<i32>, now: DateTime<Utc>) -> About {
        About { zone: self.place.zone, asked_at: now, kind: self.kind, distance_km }
    }

    /// What the engine asks of a start.
    pub fn visit(&self) -> Visit<'_> {
        Visit {
            place: self.place.point,
            zone: self.place.zone,
            minutes: self.minutes.into(),
            required: &self.required,
            except: None,
            care: None,
        }
    }
}
