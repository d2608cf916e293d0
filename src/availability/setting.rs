//! The setting of a visit: where it is, what is done there and for how long, what that costs, and what the place requires.

use crate::App;
use crate::accounts::visit_address;
use crate::auth::{Principal, Role};
use crate::availability::Visit;
use crate::credentials::{Required, terms};
use crate::error::{Error, FieldError, Result};
use crate::ids::{AddressId, ServiceId};
use crate::values::{Country, Latitude, Longitude, Money, Place};

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
    /// The place itself. An address is the caller's own, who is a client then.
    async fn find(&self, app: &App, caller: Option<Principal>) -> Result<Place> {
        let Some(address) = self.address_id else { return self.by_point() };
        let caller = caller.ok_or(Error::Unauthorized)?;
        if caller.role != Role::Client {
            return Err(Error::Forbidden);
        }
        if self.latitude.is_some() || self.longitude.is_some() || self.country.is_some() || self.region.is_some() {
            return Err(FieldError::new("/address_id", "stands instead of coordinates, country and region.").into());
        }
        let found = visit_address(&app.db, caller.account, address).await?;
        let address = found.ok_or_else(|| FieldError::new("/address_id", "is not one of your addresses."))?;
        Ok(Place { point: address.point(), zone: address.time_zone.0, jurisdiction: address.jurisdiction })
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
#[derive(Debug)]
pub struct Setting {
    /// Where it is.
    pub place: Place,
    /// What is booked.
    pub service: ServiceId,
    /// Minutes on the table.
    pub minutes: i16,
    /// What it costs there.
    pub price: Money,
    /// What the place requires for this kind of service.
    pub required: Required,
}

impl Setting {
    /// Reads what the fields refer to; a wrong one is pointed to by the name that it has in every request.
    pub async fn read(
        app: &App,
        caller: Option<Principal>,
        given: &GivenPlace,
        service: ServiceId,
        minutes: i16,
    ) -> Result<Self> {
        let place = given.find(app, caller).await?;
        let terms = terms(&app.db, &place.jurisdiction, place.point, service, minutes).await?;
        let (price, required) = terms.ok_or_else(|| FieldError::new("/service_id", "is not in the catalogue."))?;
        let price = price.ok_or_else(|| {
            FieldError::new("/duration_minutes", "is not a duration that this service is sold for here.")
        })?;
        Ok(Self { place, service, minutes, price, required })
    }

    /// What the engine asks of a start.
    pub fn visit(&self) -> Visit<'_> {
        Visit {
            place: self.place.point,
            zone: self.place.zone,
            minutes: self.minutes.into(),
            required: &self.required,
            except: None,
        }
    }
}
