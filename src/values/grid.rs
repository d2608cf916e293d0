//! The squares that therapists stand in, so that a search finds those near a point by number, and the days that a square's
//! hints are kept by.
//!
//! There are three grids. Whoever goes further stands in one of larger squares, at least as wide as they go. The database
//! computes the number (`grid_cell`).

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};

use super::Point;

/// A grid: the number of its first square, squares in a row around the globe, and how far its therapists go at most.
struct Grid {
    first: i32,
    columns: i32,
    reach_km: f64,
}

const GRIDS: [Grid; 3] = [
    Grid { first: 0, columns: 2880, reach_km: 13.0 },
    Grid { first: 5_000_000, columns: 720, reach_km: 55.0 },
    Grid { first: 10_000_000, columns: 180, reach_km: 200.0 },
];

impl Grid {
    fn edge(&self) -> f64 {
        360.0 / f64::from(self.columns)
    }

    /// The rows or columns, counted from `origin`, that lie within `reach` degrees of a coordinate.
    fn lines(&self, origin: f64, degrees: f64, reach: f64) -> std::ops::RangeInclusive<i32> {
        #[expect(clippy::cast_possible_truncation, reason = "a few thousand lines go round the globe")]
        let line = |degrees: f64| ((degrees + origin) / self.edge()).floor() as i32;
        line(degrees - reach)..=line(degrees + reach)
    }
}

/// The squares in which whoever reaches `point` stands.
pub fn squares(point: Point) -> Vec<i32> {
    let mut squares = Vec::new();
    for grid in &GRIDS {
        // A degree is a little over 111 km, and a circle of longitude shrinks towards the poles.
        let reach = grid.reach_km / 111.0 + 0.01;
        let shrunk = (point.latitude.abs() + reach).min(89.9).to_radians().cos();
        let columns = grid.lines(180.0, point.longitude, (reach / shrunk).min(179.9));
        for row in grid.lines(90.0, point.latitude, reach) {
            let square = |column: i32| grid.first + row * grid.columns + column.rem_euclid(grid.columns);
            squares.extend(columns.clone().map(square));
        }
    }
    squares.sort_unstable();
    squares.dedup();
    squares
}

/// How far a square's clock is ahead of UTC, in whole hours: by the sun, and three hours more. Clocks are ahead of the sun, in
/// summer and in the west of wide zones. So a day begins somewhat before any clock's midnight there, when few work, and a search
/// that begins at midnight reads few hints of the evening before.
fn ahead(cell: i32) -> TimeDelta {
    let grid = GRIDS.iter().rev().find(|grid| cell >= grid.first).unwrap_or(&GRIDS[0]);
    let column = (cell - grid.first).rem_euclid(grid.columns);
    TimeDelta::hours(i64::from(column * 24 / grid.columns - 9))
}

/// The date at `instant` by a square's clock.
pub fn day(cell: i32, instant: DateTime<Utc>) -> NaiveDate {
    (instant + ahead(cell)).date_naive()
}

/// When `day` begins there.
pub fn midnight(cell: i32, day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc() - ahead(cell)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the database computes it.
    fn cell(point: Point, radius_km: f64) -> i32 {
        let grid = GRIDS.iter().find(|grid| radius_km <= grid.reach_km).expect("no radius is larger");
        let row = grid.lines(90.0, point.latitude, 0.0).start() * grid.columns;
        grid.first + row + grid.lines(180.0, point.longitude, 0.0).start().rem_euclid(grid.columns)
    }

    #[test]
    fn whoever_reaches_a_point_stands_in_one_of_its_squares() {
        let mut reached = 0;
        for latitude in [-89.99, -70.0, -33.8886, -0.01, 0.0, 51.5, 80.0, 89.99] {
            for longitude in [-180.0, -179.99, -0.05, 0.0, 151.2111, 179.99, 180.0] {
                let point = Point { latitude, longitude };
                let squares = squares(point);
                for (radius_km, step) in [(13.0, 0.1), (55.0, 0.4), (200.0, 1.7)] {
                    for (north, east) in (-20..=20).flat_map(|north| (-20..=20).map(move |east| (north, east))) {
                        let base = Point {
                            latitude: latitude + f64::from(north) * step / 20.0,
                            longitude: (longitude + f64::from(east) * step / 20.0 + 180.0).rem_euclid(360.0) - 180.0,
                        };
                        if base.latitude.abs() <= 90.0 && base.distance_km(point) <= radius_km {
                            reached += 1;
                            assert!(squares.contains(&cell(base, radius_km)), "{base:?} reaches {point:?}");
                        }
                    }
                }
            }
        }
        assert!(reached > 10_000, "{reached}");
    }

    #[test]
    fn a_point_has_few_squares() {
        assert!(squares(Point { latitude: -33.8886, longitude: 151.2111 }).len() <= 36);
        assert!(squares(Point { latitude: 60.0, longitude: 25.0 }).len() <= 60);
    }

    #[test]
    fn the_day_of_a_square_begins_before_midnight() {
        let sydney = cell(Point { latitude: -33.8886, longitude: 151.2111 }, 15.0);
        let date: NaiveDate = "2026-12-01".parse().expect("a date");
        assert_eq!(midnight(sydney, date), "2026-11-30T11:00:00Z".parse::<DateTime<Utc>>().expect("an instant"));
        assert_eq!(day(sydney, midnight(sydney, date)), date);
        assert_eq!(day(sydney, midnight(sydney, date) - TimeDelta::seconds(1)), date.pred_opt().expect("a date"));
    }
}
