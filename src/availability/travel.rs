//! How long it takes to get from one visit to the next.

use crate::therapists::TravelMode;
use crate::values::Point;

/// The longest journey that is counted: whoever has half a day can also take a train.
pub const LONGEST_MINUTES: i32 = 12 * 60;

/// Roads are longer than the great circle; 1.3 is usual for cities.
const DETOUR: f64 = 1.3;

/// Kilometres an hour through a city, and the minutes that parking, waiting or locking up take.
fn pace(mode: TravelMode) -> (f64, f64) {
    match mode {
        TravelMode::Car => (28.0, 5.0),
        TravelMode::Transit => (18.0, 8.0),
        TravelMode::Bicycle => (15.0, 2.0),
        TravelMode::Walk => (4.8, 0.0),
    }
}

/// The middle of the square of a two-hundredth of a degree, about 500 m wide, that holds the point. Anyone may ask for slots
/// anywhere: if an answer depended on more than this, asking often enough would find the doors that others are visited at.
fn block(point: Point) -> Point {
    let middle = |degrees: f64| ((degrees * 200.0).floor() + 0.5) / 200.0;
    Point { latitude: middle(point.latitude), longitude: middle(point.longitude) }
}

/// Whole minutes to get from the block of `from` to that of `to`; the same both ways, and none within one.
pub fn minutes(mode: TravelMode, from: Point, to: Point) -> i32 {
    let (from, to) = (block(from), block(to));
    if from == to {
        return 0;
    }
    let distance_km = from.distance_km(to);
    let (speed, overhead) = pace(mode);
    let minutes = (distance_km * DETOUR / speed * 60.0 + overhead).ceil().min(f64::from(LONGEST_MINUTES));
    #[expect(clippy::cast_possible_truncation, reason = "at most the longest journey")]
    let whole = minutes as i32;
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_and_slower_journeys_take_longer() {
        let newtown = Point { latitude: -33.8981, longitude: 151.1743 };
        let bondi = Point { latitude: -33.8915, longitude: 151.2767 };
        assert_eq!(minutes(TravelMode::Car, newtown, newtown), 0);
        assert_eq!(minutes(TravelMode::Car, newtown, bondi), minutes(TravelMode::Car, bondi, newtown));
        let by_mode = [TravelMode::Car, TravelMode::Transit, TravelMode::Bicycle, TravelMode::Walk]
            .map(|mode| minutes(mode, newtown, bondi));
        assert!(by_mode.is_sorted(), "{by_mode:?}");
        let neighbour = Point { latitude: -33.8999, longitude: 151.1701 };
        assert_eq!(
            minutes(TravelMode::Car, neighbour, bondi),
            minutes(TravelMode::Car, newtown, bondi),
            "a block tells of no door"
        );
        let perth = Point { latitude: -31.95, longitude: 115.86 };
        assert_eq!(minutes(TravelMode::Walk, newtown, perth), LONGEST_MINUTES);
    }
}
