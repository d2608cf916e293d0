//! Places on the globe: coordinates, countries and the jurisdictions within them.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::LazyLock;

use country_boundaries::{BOUNDARIES_ODBL_360X180, BoundingBox, CountryBoundaries, LatLon};
use serde::{Deserialize, Serialize};
use tzf_rs::EmbeddedFinder;
use utoipa::ToSchema;

use super::{Zone, bounded_number, from_text, stored_as_text};
use crate::error::FieldError;

bounded_number! {
    /// Degrees north (WGS 84).
    Latitude(f64) in -90.0 ..= 90.0, example -33.8886;
    /// Degrees east (WGS 84).
    Longitude(f64) in -180.0 ..= 180.0, example 151.2111;
}

/// A point on the globe in degrees (WGS 84).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
}

impl Point {
    /// The great-circle distance in kilometres, on a sphere of the Earth's mean radius (haversine).
    pub fn distance_km(self, other: Self) -> f64 {
        const EARTH_RADIUS_KM: f64 = 6371.0088;
        let (a, b) = (self.latitude.to_radians(), other.latitude.to_radians());
        let half_chord = ((b - a) / 2.0).sin().powi(2)
            + a.cos() * b.cos() * ((other.longitude - self.longitude).to_radians() / 2.0).sin().powi(2);
        2.0 * EARTH_RADIUS_KM * half_chord.min(1.0).sqrt().asin()
    }
}

impl Point {
    /// The south-western and the north-eastern corner of a box that holds all within a distance; around a pole, or across the
    /// antimeridian, of one that goes round the globe.
    pub fn around(self, distance_km: f64) -> (Self, Self) {
        // A degree is a little over 111 km, and a circle of longitude shrinks towards the poles.
        let degrees = distance_km / 111.0 + 0.01;
        let (south, north) = (self.latitude - degrees, self.latitude + degrees);
        let wide = degrees / south.abs().max(north.abs()).min(89.9).to_radians().cos();
        let (west, east) = (self.longitude - wide, self.longitude + wide);
        let whole = west < -180.0 || east > 180.0 || south < -90.0 || north > 90.0;
        let (west, east) = if whole { (-181.0, 181.0) } else { (west, east) };
        (Self { latitude: south, longitude: west }, Self { latitude: north, longitude: east })
    }
}

impl From<(Latitude, Longitude)> for Point {
    fn from((latitude, longitude): (Latitude, Longitude)) -> Self {
        Self { latitude: latitude.0, longitude: longitude.0 }
    }
}

/// Where a visit is, and whose rules hold there.
#[derive(Clone, Debug)]
pub struct Place {
    /// The point.
    pub point: Point,
    /// The zone there.
    pub zone: Zone,
    /// Country and region.
    pub jurisdiction: Jurisdiction,
}

impl Place {
    /// The place of a point in a country's region, `NSW` or `AU-NSW`.
    ///
    /// # Errors
    /// Points to the field that does not fit the others.
    pub fn new(point: Point, country: &Country, region: &str) -> Result<Self, FieldError> {
        let jurisdiction = Jurisdiction::of(country, region)
            .ok_or_else(|| FieldError::new("/region", "is not a region of the country (ISO 3166-2), such as NSW."))?;
        if !jurisdiction.holds(point) {
            return Err(FieldError::new("/region", "does not hold the point of `latitude` and `longitude`."));
        }
        let zone = zone_at(point).ok_or_else(|| FieldError::new("/latitude", "lies in no time zone."))?;
        Ok(Self { point, zone, jurisdiction })
    }
}

impl Place {
    /// The place of a point as the map draws it: the region where it draws one, else the country; none at sea.
    pub fn at(point: Point) -> Option<Self> {
        let areas = drawn_at(point);
        let drawn = areas.iter().find(|area| area.contains('-')).or_else(|| areas.first())?;
        Some(Self { point, zone: zone_at(point)?, jurisdiction: drawn.parse().ok()? })
    }
}

/// The time zone at a point, also at sea; none only where the map of zones has a hole.
fn zone_at(point: Point) -> Option<Zone> {
    static ZONES: LazyLock<EmbeddedFinder> = LazyLock::new(EmbeddedFinder::new);
    ZONES.get_tz_name(point.longitude, point.latitude).parse().ok()
}

/// The map of countries and regions. Boundaries © OpenStreetMap contributors, ODbL.
static BOUNDARIES: LazyLock<Option<CountryBoundaries>> =
    LazyLock::new(|| CountryBoundaries::from_reader(BOUNDARIES_ODBL_360X180).ok());

/// Every area that the map draws: all countries, and the regions of some.
static DRAWN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    let stripes = (-18..18).map(|stripe| f64::from(stripe) * 10.0);
    let boxes = stripes.filter_map(|west| BoundingBox::new(-90.0, west, 90.0, west + 9.999).ok());
    BOUNDARIES.iter().flat_map(|map| boxes.clone().flat_map(|stripe| map.intersecting_ids(stripe))).collect()
});

/// The countries and regions that the map draws at a point.
fn drawn_at(point: Point) -> Vec<&'static str> {
    let position = LatLon::new(point.latitude, point.longitude).ok().zip(BOUNDARIES.as_ref());
    position.map(|(position, map)| map.ids(position)).unwrap_or_default()
}

/// A country by its ISO 3166-1 alpha-2 code.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[A-Z]{2}$", example = "AU")]
pub struct Country(String);

impl Country {
    /// The two-letter code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Country {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = text.to_ascii_uppercase();
        match rust_iso3166::from_alpha2(&code) {
            Some(_) => Ok(Self(code)),
            None => Err("is not a country code of ISO 3166-1, such as AU".to_owned()),
        }
    }
}

from_text!(Country);

/// A country or a region of it, `AU` or `AU-NSW` (ISO 3166-2): the place whose rules decide who may practise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Z]{2}(-[A-Z0-9]{1,3})?$", example = "AU-NSW")]
pub struct Jurisdiction(String);

impl Jurisdiction {
    /// The jurisdiction of a country and the code of one of its regions, `NSW` or `AU-NSW`.
    pub fn of(country: &Country, region: &str) -> Option<Self> {
        let region = region.to_ascii_uppercase();
        let code = match region.split_once('-') {
            Some(_) => region,
            None => format!("{}-{region}", country.as_str()),
        };
        code.parse().ok().filter(|found: &Self| found.country() == country.as_str() && found.region().is_some())
    }

    /// Whether the point lies there, as far as the map can tell: in the country, and in no other region of it. Whose
    /// rules hold is not for the client to choose. Regions that the map does not draw, and islands that it counts to
    /// none, are believed.
    pub fn holds(&self, point: Point) -> bool {
        let areas = drawn_at(point);
        let in_a_region = areas.iter().any(|area| area.starts_with(&format!("{}-", self.country())));
        let in_this_region = areas.contains(&self.as_str());
        areas.contains(&self.country()) && (in_this_region || !in_a_region || !DRAWN.contains(self.as_str()))
    }

    /// The code, `AU-NSW`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The country's code, `AU`.
    pub fn country(&self) -> &str {
        self.0.split_once('-').map_or(&self.0, |(country, _)| country)
    }

    /// The region's code within the country, `NSW`.
    pub fn region(&self) -> Option<&str> {
        self.0.split_once('-').map(|(_, region)| region)
    }

    /// Whose rules hold at a point of this place, countries and regions: itself, every place that it lies in, and the region that
    /// the map draws there. A region may have another name within it, as London has in England.
    pub fn chain_at(&self, point: Point) -> Vec<String> {
        let mut chain = self.chain();
        let country = format!("{}-", self.country());
        let drawn = drawn_at(point).into_iter().filter(|area| area.starts_with(&country));
        let further: Vec<String> = drawn.map(str::to_owned).filter(|area| !chain.contains(area)).collect();
        chain.extend(further);
        chain
    }

    /// This place and every place that it lies in, widest first: `AU`, `AU-NSW`.
    pub fn chain(&self) -> Vec<String> {
        let country = self.country().to_owned();
        if self.region().is_some() { vec![country, self.0.clone()] } else { vec![country] }
    }
}

impl FromStr for Jurisdiction {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = match text.split_once('-') {
            Some(_) => rust_iso3166::iso3166_2::from_code(text).is_some(),
            None => rust_iso3166::from_alpha2(text).is_some(),
        };
        if known { Ok(Self(text.to_owned())) } else { Err("is not a jurisdiction such as AU or AU-NSW".to_owned()) }
    }
}

impl std::fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

stored_as_text!(Jurisdiction);

impl TryFrom<String> for Jurisdiction {
    type Error = String;

    fn try_from(code: String) -> Result<Self, String> {
        code.parse()
    }
}

impl From<Jurisdiction> for String {
    fn from(jurisdiction: Jurisdiction) -> Self {
        jurisdiction.0
    }
}

/// A jurisdiction of any level by its code. A county or city is named below its parent, and is where its own boundary
/// says: `US-CA.los-angeles.west-hollywood`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    max_length = 100,
    pattern = r"^[A-Z]{2}(-[A-Z0-9]{1,3})?(\.[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?){0,2}$",
    example = "US-CA.los-angeles"
)]
pub struct JurisdictionCode(String);

impl JurisdictionCode {
    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a county or a city.
    pub fn is_local(&self) -> bool {
        self.0.contains('.')
    }

    /// The country or region that it is, or lies in.
    pub fn state(&self) -> Result<Jurisdiction, String> {
        self.0.split('.').next().unwrap_or_default().parse()
    }

    /// The code of what it lies in; none of a country.
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.0.rsplit_once('.').or_else(|| self.0.split_once('-'))?;
        Some(Self(parent.to_owned()))
    }

    /// This place and every place that it lies in, widest first.
    pub fn chain(&self) -> Vec<String> {
        let mut chain: Vec<String> =
            std::iter::successors(Some(self.clone()), Self::parent).map(|Self(code)| code).collect();
        chain.reverse();
        chain
    }
}

impl FromStr for JurisdictionCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            (1..=40).contains(&name.len())
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !name.starts_with('-')
                && !name.ends_with('-')
        };
        let mut parts = text.split('.');
        let known = parts.next().is_some_and(|state| state.parse::<Jurisdiction>().is_ok());
        if known && parts.clone().count() <= 2 && parts.all(is_name) {
            Ok(Self(text.to_owned()))
        } else {
            Err("is not a jurisdiction such as AU, AU-NSW or US-CA.los-angeles".to_owned())
        }
    }
}

impl std::fmt::Display for JurisdictionCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

from_text!(JurisdictionCode);
stored_as_text!(JurisdictionCode);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::zones::zone;

    #[test]
    fn a_county_and_a_city_are_named_below_their_parents() {
        let city: JurisdictionCode = "US-CA.los-angeles.west-hollywood".parse().expect("a city");
        assert_eq!(city.chain(), ["US", "US-CA", "US-CA.los-angeles", "US-CA.los-angeles.west-hollywood"]);
        let country: JurisdictionCode = "US".parse().expect("a country");
        assert_eq!((country.chain(), country.parent()), (vec!["US".to_owned()], None));
        assert_eq!(city.state().expect("a state").as_str(), "US-CA");
        let long = format!("US-CA.{}", "a".repeat(41));
        for bad in
            ["", "XX", "US-ZZ", "US-CA.", "US-CA.Los", "US-CA.a.b.c", "US-CA.-a", "US-CA.a-", "US-CA..a", "us", &long]
        {
            assert!(bad.parse::<JurisdictionCode>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_region_belongs_to_its_country() {
        let au: Country = "AU".parse().expect("a country");
        assert_eq!(Jurisdiction::of(&au, "NSW").expect("a state").chain(), ["AU", "AU-NSW"]);
        assert_eq!(Jurisdiction::of(&au, "AU-NSW"), Jurisdiction::of(&au, "nsw"));
        assert_eq!(Jurisdiction::of(&au, "CA"), None);
        assert_eq!(Jurisdiction::of(&au, "US-CA"), None);
        assert_eq!(Jurisdiction::of(&au, ""), None);
    }

    #[test]
    fn the_rules_of_england_hold_in_london() {
        let london = Point { latitude: 51.5074, longitude: -0.1278 };
        for name in ["GB-LND", "GB-ENG"] {
            let chain = name.parse::<Jurisdiction>().expect("a region").chain_at(london);
            assert!(chain.contains(&"GB".to_owned()) && chain.contains(&"GB-ENG".to_owned()), "{name}: {chain:?}");
        }
        let sydney = Point { latitude: -33.8886, longitude: 151.2111 };
        assert_eq!("AU-NSW".parse::<Jurisdiction>().expect("a state").chain_at(sydney), ["AU", "AU-NSW"]);
    }

    #[test]
    fn nobody_chooses_whose_rules_hold() {
        let holds = |code: &str, latitude, longitude| {
            code.parse::<Jurisdiction>().expect("a place").holds(Point { latitude, longitude })
        };
        let sydney = (-33.8886, 151.2111);
        assert!(holds("AU-NSW", sydney.0, sydney.1));
        for elsewhere in ["AU-QLD", "GB-LND", "US-TX", "CA-ON", "NZ-AUK"] {
            assert!(!holds(elsewhere, sydney.0, sydney.1), "{elsewhere}");
        }
        // State lines: Texarkana, Kansas City, Albury and Wodonga, Coolangatta and Tweed Heads.
        assert!(holds("US-TX", 33.4376, -94.0657) && !holds("US-AR", 33.4376, -94.0657));
        assert!(holds("US-MO", 39.0997, -94.5786) && !holds("US-KS", 39.0997, -94.5786));
        assert!(holds("AU-NSW", -36.0737, 146.9135) && holds("AU-VIC", -36.1218, 146.8881));
        assert!(holds("AU-QLD", -28.1670, 153.5350) && holds("AU-NSW", -28.1870, 153.5500));
        // Lord Howe belongs to New South Wales, which the map does not say.
        assert!(holds("AU-NSW", -31.53, 159.07) && !holds("NZ-AUK", -31.53, 159.07));
        // The quay, the opera, and a region that the map does not draw.
        assert!(holds("AU-NSW", -33.8612, 151.2106) && holds("AU-NSW", -33.8568, 151.2153));
        assert!(holds("GB-LND", 51.5074, -0.1278) && holds("GB-ENG", 51.5074, -0.1278));
    }

    #[test]
    fn zones_and_distances_are_those_of_the_map() {
        let opera = Point { latitude: -33.8568, longitude: 151.2153 };
        let bondi = Point { latitude: -33.8915, longitude: 151.2767 };
        assert_eq!(zone_at(opera), Some(zone("Australia/Sydney")));
        assert_eq!(zone_at(Point { latitude: -31.5553, longitude: 159.0821 }), Some(zone("Australia/Lord_Howe")));
        assert!((opera.distance_km(bondi) - 6.86).abs() < 0.05);
        let antipode = Point { latitude: 33.8568, longitude: -28.7847 };
        assert!((opera.distance_km(antipode) - 20_015.0).abs() < 5.0);
    }
}
