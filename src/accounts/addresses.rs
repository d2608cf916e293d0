//! The places where a client receives visits.

mod store;

use actix_web::web::Data;
use actix_web::{delete, get, patch, post};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub use store::visit_address;

use super::{AccessNotes, AddressLine, Label, Locality, Postcode, Region, Remark};
use crate::App;
use crate::auth::{As, Client};
use crate::cipher::{Cipher, Sealed};
use crate::db::uninterrupted;
use crate::error::{Error, Refusal, Result, refused};
use crate::http::{IfMatch, Json, Page, Part, Path, Query, Reply};
use crate::idempotency::{IdempotencyKey, Once};
use crate::ids::AddressId;
use crate::seals::{KeptIn, SealedColumn, SealedTable};
use crate::values::{AddressKind, Country, Jurisdiction, Latitude, Longitude, Place, Point, Zone, present};

/// The operations on addresses.
pub fn routes(config: &mut ServiceConfig) {
    config.service(list_addresses).service(create_address).service(get_address);
    config.service(update_address).service(delete_address);
}

/// How many addresses a client may keep.
const MOST: usize = 50;

/// The tables that keep something sealed.
pub const SEALED: &[SealedTable] = &[SealedTable {
    name: "addresses",
    columns: &[
        SealedColumn { bound_to: ACCESS_NOTES, row: "id", kept: KeptIn::Column("access_notes_sealed") },
        SealedColumn { bound_to: REMARKS, row: "id", kept: KeptIn::Column("remarks_sealed") },
    ],
}];

/// The column of access notes. Wherever a copy of an address lies, they are sealed to the address that it is of.
pub const ACCESS_NOTES: &str = "addresses.access_notes";

/// The column of what else helps to get in, sealed in the same way.
pub const REMARKS: &str = "addresses.remarks";

/// A place where a client receives visits, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Address {
    pub id: AddressId,
    pub label: String,
    pub kind: AddressKind,
    pub line1: String,
    pub line2: Option<String>,
    pub locality: String,
    pub region: String,
    pub postcode: String,
    pub country: String,
    pub latitude: f64,
    pub longitude: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_notes_sealed: Option<Sealed>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remarks_sealed: Option<Sealed>,
    pub time_zone: Zone,
    pub jurisdiction: Jurisdiction,
}

/// What helps to get in besides access notes: it tells of the home, too.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remarks {
    pub parking: Option<String>,
    pub stairs: Option<String>,
    pub pets: Option<String>,
}

impl Address {
    /// Where it lies.
    pub fn point(&self) -> Point {
        Point { latitude: self.latitude, longitude: self.longitude }
    }

    /// How to get in.
    pub fn access_notes(&self, cipher: &Cipher) -> Result<Option<String>> {
        cipher.open_any(ACCESS_NOTES, self.id, self.access_notes_sealed.as_ref())
    }

    /// What else helps to get in.
    pub fn remarks(&self, cipher: &Cipher) -> Result<Remarks> {
        let remarks = self.remarks_sealed.as_ref().map(|sealed| cipher.open_value(REMARKS, self.id, sealed));
        Ok(remarks.transpose()?.unwrap_or_default())
    }

    /// The same address, with all that tells of how to get in sealed by the first key.
    pub fn sealed(&self, cipher: &Cipher) -> Result<Self> {
        Ok(Self {
            access_notes_sealed: cipher.reseal_any(ACCESS_NOTES, self.id, self.access_notes_sealed.as_ref())?,
            remarks_sealed: cipher.reseal_any(REMARKS, self.id, self.remarks_sealed.as_ref())?,
            ..self.clone()
        })
    }

    fn set_remarks(&mut self, remarks: &Remarks, cipher: &Cipher) -> Result<()> {
        let are_none = *remarks == Remarks::default();
        let sealed = (!are_none).then(|| cipher.seal_value(REMARKS, self.id, remarks));
        self.remarks_sealed = sealed.transpose()?;
        Ok(())
    }

    fn set_access_notes(&mut self, notes: Option<&str>, cipher: &Cipher) -> Result<()> {
        let sealed = notes.map(|notes| cipher.seal(ACCESS_NOTES, self.id, notes));
        self.access_notes_sealed = sealed.transpose()?;
        Ok(())
    }

    /// Derives the zone and the jurisdiction, which the coordinates must bear out.
    fn located(mut self, country: &Country) -> Result<Self> {
        let place = Place::new(self.point(), country, &self.region)?;
        self.region = place.jurisdiction.region().unwrap_or(&self.region).to_owned();
        self.jurisdiction = place.jurisdiction;
        self.time_zone = place.zone;
        Ok(self)
    }
}

/// A place where a client receives visits, as the client sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Address)]
pub struct AddressView {
    /// The address's id.
    id: AddressId,
    /// What the client calls it.
    #[schema(example = "Home")]
    label: String,
    /// What kind of place it is.
    kind: AddressKind,
    /// Street and number.
    #[schema(example = "12 Crown Street")]
    line1: String,
    /// Flat, floor, building.
    line2: Option<String>,
    /// Suburb, town or city.
    #[schema(example = "Surry Hills")]
    locality: String,
    /// The region's code within the country (ISO 3166-2).
    #[schema(example = "NSW")]
    region: String,
    /// Postcode.
    #[schema(example = "2010")]
    postcode: String,
    /// ISO 3166-1 alpha-2.
    #[schema(example = "AU")]
    country: String,
    /// Degrees north (WGS 84).
    #[schema(example = -33.8886)]
    latitude: f64,
    /// Degrees east (WGS 84).
    #[schema(example = 151.2111)]
    longitude: f64,
    /// How to get in.
    access_notes: Option<String>,
    /// Where to park.
    parking: Option<String>,
    /// How many stairs, and whether there is a lift.
    stairs: Option<String>,
    /// Which animals live there.
    pets: Option<String>,
    /// The zone at the coordinates.
    time_zone: Zone,
    /// Country and region: whose rules decide who may practise there.
    jurisdiction: Jurisdiction,
}

impl AddressView {
    /// The address, with what is sealed of it opened.
    pub fn new(address: Address, cipher: &Cipher) -> Result<Self> {
        let Remarks { parking, stairs, pets } = address.remarks(cipher)?;
        Ok(Self {
            access_notes: address.access_notes(cipher)?,
            id: address.id,
            label: address.label,
            kind: address.kind,
            line1: address.line1,
            line2: address.line2,
            locality: address.locality,
            region: address.region,
            postcode: address.postcode,
            country: address.country,
            latitude: address.latitude,
            longitude: address.longitude,
            parking,
            stairs,
            pets,
            time_zone: address.time_zone,
            jurisdiction: address.jurisdiction,
        })
    }
}

/// A new address.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewAddress {
    label: Label,
    kind: AddressKind,
    line1: AddressLine,
    line2: Option<AddressLine>,
    locality: Locality,
    region: Region,
    postcode: Postcode,
    country: Country,
    latitude: Latitude,
    longitude: Longitude,
    access_notes: Option<AccessNotes>,
    parking: Option<Remark>,
    stairs: Option<Remark>,
    pets: Option<Remark>,
}

impl NewAddress {
    fn with_id(self, id: AddressId, cipher: &Cipher) -> Result<Address> {
        let text = |remark: Option<Remark>| remark.map(|text| text.as_str().to_owned());
        let mut address = Address {
            id,
            label: self.label.as_str().to_owned(),
            kind: self.kind,
            line1: self.line1.as_str().to_owned(),
            line2: self.line2.map(|line| line.as_str().to_owned()),
            locality: self.locality.as_str().to_owned(),
            region: self.region.as_str().to_owned(),
            postcode: self.postcode.as_str().to_owned(),
            country: self.country.as_str().to_owned(),
            latitude: self.latitude.0,
            longitude: self.longitude.0,
            access_notes_sealed: None,
            remarks_sealed: None,
            time_zone: Zone::UTC,
            jurisdiction: self.country.as_str().parse().map_err(Error::Internal)?,
        };
        address.set_access_notes(self.access_notes.as_ref().map(AccessNotes::as_str), cipher)?;
        let remarks = Remarks { parking: text(self.parking), stairs: text(self.stairs), pets: text(self.pets) };
        address.set_remarks(&remarks, cipher)?;
        address.located(&self.country)
    }
}

/// What to change; what is left out stays, null empties an optional field.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddressPatch {
    label: Option<Label>,
    kind: Option<AddressKind>,
    line1: Option<AddressLine>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<AddressLine>)]
    line2: Option<Option<AddressLine>>,
    locality: Option<Locality>,
    region: Option<Region>,
    postcode: Option<Postcode>,
    country: Option<Country>,
    latitude: Option<Latitude>,
    longitude: Option<Longitude>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<AccessNotes>)]
    access_notes: Option<Option<AccessNotes>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Remark>)]
    parking: Option<Option<Remark>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Remark>)]
    stairs: Option<Option<Remark>>,
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Remark>)]
    pets: Option<Option<Remark>>,
}

impl AddressPatch {
    fn apply(self, mut address: Address, cipher: &Cipher) -> Result<Address> {
        macro_rules! set {
            ($($field:ident),+) => {$(if let Some(value) = self.$field { address.$field = value.as_str().to_owned(); })+};
        }
        macro_rules! set_optional {
            ($of:ident: $($field:ident),+) => {$(if let Some(value) = self.$field {
                $of.$field = value.map(|text| text.as_str().to_owned());
            })+};
        }
        let country = match self.country {
            Some(country) => country,
            None => address.country.parse().map_err(Error::Internal)?,
        };
        address.country = country.as_str().to_owned();
        set!(label, line1, locality, region, postcode);
        set_optional!(address: line2);
        let mut remarks = address.remarks(cipher)?;
        set_optional!(remarks: parking, stairs, pets);
        address = address.sealed(cipher)?;
        address.set_remarks(&remarks, cipher)?;
        if let Some(notes) = self.access_notes {
            address.set_access_notes(notes.as_ref().map(AccessNotes::as_str), cipher)?;
        }
        if let Some(kind) = self.kind {
            address.kind = kind;
        }
        if let Some(Latitude(latitude)) = self.latitude {
            address.latitude = latitude;
        }
        if let Some(Longitude(longitude)) = self.longitude {
            address.longitude = longitude;
        }
        address.located(&country)
    }
}

/// List addresses
///
/// The caller's addresses, oldest first; a client keeps at most 50.
#[utoipa::path(tag = "Addresses", operation_id = "list_addresses", security(("bearer" = ["client"])), params(Part),
    responses((status = 200, description = "The addresses.", body = Page<AddressView>)))]
#[get("/v1/me/addresses")]
async fn list_addresses(app: Data<App>, me: As<Client>, Query(part): Query<Part>) -> Result<Reply> {
    let addresses = store::list(&app.db, me.account()).await?;
    let views = addresses.into_iter().map(|address| AddressView::new(address, &app.cipher)).collect::<Result<_>>()?;
    Reply::ok(&Page::part(views, &part)?)
}

/// Add an address
///
/// The time zone is found from the coordinates, the jurisdiction from country and region.
#[utoipa::path(tag = "Addresses", operation_id = "create_address", security(("bearer" = ["client"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request safe to repeat.")),
    request_body = NewAddress, responses((status = 201, description = "The address.", body = AddressView,
     headers(("Location" = String, description = "Where the address is found.")))),
    extensions(("x-refusals" = json!(refused![TooManyAddresses]))))]
#[post("/v1/me/addresses")]
async fn create_address(
    app: Data<App>,
    me: As<Client>,
    key: IdempotencyKey,
    Json(new, print): Json<NewAddress>,
) -> Result<Reply> {
    uninterrupted(async move {
        let now = app.clock.now();
        let address = new.with_id(AddressId::new(now), &app.cipher)?;
        let mut work = app.begin(Some(me.account())).await?;
        let once = Once::claim(&mut work, "POST /v1/me/addresses", key, print).await?;
        if store::insert(&mut work, me.account(), &address, now).await? > MOST {
            return Err(Refusal::TooManyAddresses.into());
        }
        let location = format!("/v1/me/addresses/{}", address.id);
        let reply = Reply::created(location, &AddressView::new(address, &app.cipher)?)?;
        once.keep(&mut work, &reply).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

/// Show an address
///
/// One of the caller's addresses.
#[utoipa::path(tag = "Addresses", operation_id = "get_address", security(("bearer" = ["client"])),
    params(("id" = AddressId, Path, description = "The address.")),
    responses((status = 200, description = "The address.", body = AddressView)))]
#[get("/v1/me/addresses/{id}")]
async fn get_address(app: Data<App>, me: As<Client>, Path(id): Path<AddressId>) -> Result<Reply> {
    let address = visit_address(&*app.db, me.account(), id).await?.ok_or(Error::NotFound)?;
    Reply::ok(&AddressView::new(address, &app.cipher)?)
}

/// Change an address
///
/// Visits that are booked already keep the address as it was.
#[utoipa::path(tag = "Addresses", operation_id = "update_address", security(("bearer" = ["client"])),
    params(("id" = AddressId, Path, description = "The address."),
           ("If-Match" = String, Header, description = "The ETag of the address as it was read.")),
    request_body = AddressPatch,
    responses((status = 200, description = "The address as it is now.", body = AddressView)))]
#[patch("/v1/me/addresses/{id}")]
async fn update_address(
    app: Data<App>,
    me: As<Client>,
    Path(id): Path<AddressId>,
    if_match: IfMatch,
    Json(patch, _): Json<AddressPatch>,
) -> Result<Reply> {
    uninterrupted(async move {
        let mut work = app.begin(Some(me.account())).await?;
        let current = store::lock(&mut work, me.account(), id).await?.ok_or(Error::NotFound)?;
        if_match.check(&AddressView::new(current.clone(), &app.cipher)?)?;
        let address = patch.apply(current, &app.cipher)?;
        store::update(&mut work, &address).await?;
        work.commit().await?;
        Reply::ok(&AddressView::new(address, &app.cipher)?)
    })
    .await
}

/// Remove an address
///
/// Visits that are booked there keep it.
#[utoipa::path(tag = "Addresses", operation_id = "delete_address", security(("bearer" = ["client"])),
    params(("id" = AddressId, Path, description = "The address.")),
    responses((status = 204, description = "The address is gone.")))]
#[delete("/v1/me/addresses/{id}")]
async fn delete_address(app: Data<App>, me: As<Client>, Path(id): Path<AddressId>) -> Result<Reply> {
    uninterrupted(async move {
        if store::delete(&app.db, me.account(), id).await? { Ok(Reply::none()) } else { Err(Error::NotFound) }
    })
    .await
}
