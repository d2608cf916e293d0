//! Places on the globe: coordinates, countries and the jurisdictions within them.

use std::str::FromStr;
use std::sync::LazyLock;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use tzf_rs::EmbeddedFinder;
use utoipa::ToSchema;

use super::{bounded_number, from_text, stored_as_text};

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

impl From<(Latitude, Longitude)> for Point {
    fn from((latitude, longitude): (Latitude, Longitude)) -> Self {
        Self { latitude: latitude.0, longitude: longitude.0 }
    }
}

/// The time zone at a point, also at sea; none only where the map of zones has a hole.
pub fn zone_at(point: Point) -> Option<Tz> {
    static ZONES: LazyLock<EmbeddedFinder> = LazyLock::new(EmbeddedFinder::new);
    ZONES.get_tz_name(point.longitude, point.latitude).parse().ok()
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

#[cfg(test)]
mod tests {
    use super::*;

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
    fn zones_and_distances_are_those_of_the_map() {
        let opera = Point { latitude: -33.8568, longitude: 151.2153 };
        let bondi = Point { latitude: -33.8915, longitude: 151.2767 };
        assert_eq!(zone_at(opera), Some(chrono_tz::Australia::Sydney));
        assert_eq!(zone_at(Point { latitude: -31.5553, longitude: 159.0821 }), Some(chrono_tz::Australia::Lord_Howe));
        assert!((opera.distance_km(bondi) - 6.86).abs() < 0.05);
        let antipode = Point { latitude: 33.8568, longitude: -28.7847 };
        assert!((opera.distance_km(antipode) - 20_015.0).abs() < 5.0);
    }
}
