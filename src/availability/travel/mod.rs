//! How long it takes to get from one visit to the next: by an estimate of our own, or by what a routing service said
//! of the roads.
//!
//! Journeys are between blocks of about 500 m and count in whole five minutes. Anyone may ask for slots anywhere: if an
//! answer depended on more than this, asking often enough would find the doors that others are visited at.

mod osrm;
mod roads;
mod store;

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

pub use roads::{Roads, fetch, tidy};

use crate::values::{Point, TravelMode};

/// The longest journey that is counted: whoever has half a day can also take a train.
pub const LONGEST_MINUTES: i32 = 12 * 60;

/// Journeys count in steps of so many minutes.
const STEP_MINUTES: f64 = 5.0;

/// Roads are longer than the great circle; 1.3 is usual for cities.
const DETOUR: f64 = 1.3;

/// The square of a two-hundredth of a degree, about 500 m wide, that holds a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Block(i64);

impl Block {
    const IN_A_DEGREE: f64 = 200.0;
    /// More than there are from west to east.
    const IN_A_ROW: i64 = 100_000;

    /// The block that holds `point`.
    pub fn of(point: Point) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "a few ten thousand blocks from end to end")]
        let number = |degrees: f64, least: f64| ((degrees - least) * Self::IN_A_DEGREE).floor() as i64;
        Self(number(point.latitude, -90.0) * Self::IN_A_ROW + number(point.longitude, -180.0))
    }

    /// The point in its middle.
    pub fn middle(self) -> Point {
        #[expect(clippy::cast_precision_loss, reason = "a few ten thousand blocks from end to end")]
        let degrees = |number: i64, least: f64| (number as f64 + 0.5) / Self::IN_A_DEGREE + least;
        Point { latitude: degrees(self.0 / Self::IN_A_ROW, -90.0), longitude: degrees(self.0 % Self::IN_A_ROW, -180.0) }
    }
}

/// Seconds by road from block to block, as far as they are known; there and back may differ. The diaries of a page share them.
#[derive(Clone, Debug, Default)]
pub struct RoadTimes(Arc<HashMap<(Block, Block), i32>>);

impl FromIterator<((Block, Block), i32)> for RoadTimes {
    fn from_iter<T: IntoIterator<Item = ((Block, Block), i32)>>(times: T) -> Self {
        Self(Arc::new(times.into_iter().collect()))
    }
}

/// What is on the way at a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// Empty roads and few trains, from ten at night until six.
    Night,
    /// Everyone goes to work or comes home: from seven until half past nine, and from four until seven.
    Rush,
    /// The rest of the day.
    Day,
}

impl Traffic {
    /// When the clock shows `minute` minutes since midnight.
    pub fn at(minute: i64) -> Self {
        match minute {
            420..570 | 960..1140 => Self::Rush,
            360..1320 => Self::Day,
            _ => Self::Night,
        }
    }
}

/// How a mode gets on.
struct Pace {
    /// Kilometres an hour through a city by day.
    speed: f64,
    /// How much longer the ride takes than by day.
    slower: f64,
    /// Minutes that parking, waiting or locking up take, however short the ride.
    overhead: f64,
}

fn pace(mode: TravelMode, traffic: Traffic) -> Pace {
    let (speed, slower, overhead) = match (mode, traffic) {
        (TravelMode::Car, Traffic::Night) => (28.0, 0.8, 5.0),
        (TravelMode::Car, Traffic::Rush) => (28.0, 1.4, 5.0),
        (TravelMode::Car, Traffic::Day) => (28.0, 1.0, 5.0),
        // More trains by day, and hardly any at night.
        (TravelMode::Transit, Traffic::Night) => (18.0, 1.0, 20.0),
        (TravelMode::Transit, Traffic::Rush) => (18.0, 1.1, 6.0),
        (TravelMode::Transit, Traffic::Day) => (18.0, 1.0, 8.0),
        (TravelMode::Bicycle, _) => (15.0, 1.0, 2.0),
        (TravelMode::Walk, _) => (4.8, 1.0, 0.0),
    };
    Pace { speed, slower, overhead }
}

/// A way from block to block, whenever it is taken.
#[derive(Clone, Copy, Debug)]
pub struct Journey {
    mode: TravelMode,
    /// Minutes of riding by day; none within one block, where nobody moves the car.
    ride: Option<f64>,
}

impl Journey {
    /// From the block of `from` to that of `to`: by what is known of the roads, or else by the great circle.
    pub fn new(mode: TravelMode, from: Point, to: Point, roads: &RoadTimes) -> Self {
        let (from, to) = (Block::of(from), Block::of(to));
        let by_road = || roads.0.get(&(from, to)).map(|seconds| f64::from(*seconds) / 60.0);
        let estimate = || {
            let distance_km = from.middle().distance_km(to.middle());
            distance_km * DETOUR / pace(mode, Traffic::Day).speed * 60.0
        };
        Self { mode, ride: (from != to).then(|| by_road().unwrap_or_else(estimate)) }
    }

    /// Minutes that it takes to leave in this traffic and arrive, in whole steps of five; none within one block.
    pub fn minutes(self, traffic: Traffic) -> i32 {
        let Some(ride) = self.ride else { return 0 };
        let Pace { slower, overhead, .. } = pace(self.mode, traffic);
        let exact = ride * slower + overhead;
        let stepped = ((exact / STEP_MINUTES).ceil() * STEP_MINUTES).clamp(STEP_MINUTES, f64::from(LONGEST_MINUTES));
        #[expect(clippy::cast_possible_truncation, reason = "at most the longest journey")]
        let whole = stepped as i32;
        whole
    }
}

/// The minutes of travel that a start leaves room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TravelMinutes {
    /// From the visit before; null where there is none within half a day.
    #[schema(example = 25)]
    pub from_previous: Option<i32>,
    /// To the visit after; null where there is none within half a day.
    #[schema(example = 15)]
    pub to_next: Option<i32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEWTOWN: Point = Point { latitude: -33.8981, longitude: 151.1743 };
    const BONDI: Point = Point { latitude: -33.8915, longitude: 151.2767 };
    const MODES: [TravelMode; 4] = [TravelMode::Car, TravelMode::Transit, TravelMode::Bicycle, TravelMode::Walk];
    const TRAFFIC: [Traffic; 3] = [Traffic::Night, Traffic::Rush, Traffic::Day];

    fn minutes(mode: TravelMode, traffic: Traffic, from: Point, to: Point) -> i32 {
        Journey::new(mode, from, to, &RoadTimes::default()).minutes(traffic)
    }

    #[test]
    fn longer_and_slower_journeys_take_longer() {
        let by_mode = MODES.map(|mode| minutes(mode, Traffic::Day, NEWTOWN, BONDI));
        assert!(by_mode.is_sorted(), "{by_mode:?}");
        let perth = Point { latitude: -31.95, longitude: 115.86 };
        for (mode, traffic) in MODES.into_iter().flat_map(|mode| TRAFFIC.map(|traffic| (mode, traffic))) {
            let there = minutes(mode, traffic, NEWTOWN, BONDI);
            assert_eq!(there, minutes(mode, traffic, BONDI, NEWTOWN), "an estimate has no direction");
            assert_eq!((there % 5, minutes(mode, traffic, NEWTOWN, NEWTOWN)), (0, 0));
            assert_eq!(minutes(mode, traffic, NEWTOWN, perth), LONGEST_MINUTES);
            let next_block = Point { longitude: NEWTOWN.longitude + 0.005, ..NEWTOWN };
            assert!(minutes(mode, traffic, NEWTOWN, next_block) >= 5, "however near, a journey takes a while");
        }
    }

    #[test]
    fn the_time_of_day_makes_cars_slow_and_trains_rare() {
        let at = |mode| TRAFFIC.map(|traffic| minutes(mode, traffic, NEWTOWN, BONDI));
        let [night, rush, day] = at(TravelMode::Car);
        assert!(night < day && day < rush, "{night} {day} {rush}");
        let [night, rush, day] = at(TravelMode::Transit);
        assert!(day <= rush && rush < night, "{day} {rush} {night}");
        assert!(at(TravelMode::Walk).iter().all(|minutes| *minutes == at(TravelMode::Walk)[0]));
        let bands = [(0, Traffic::Night), (359, Traffic::Night), (360, Traffic::Day), (419, Traffic::Day)];
        let more = [(420, Traffic::Rush), (570, Traffic::Day), (960, Traffic::Rush), (1140, Traffic::Day)];
        for (minute, traffic) in bands.into_iter().chain(more).chain([(1320, Traffic::Night), (1439, Traffic::Night)]) {
            assert_eq!(Traffic::at(minute), traffic, "{minute}");
        }
    }

    #[test]
    fn a_block_tells_of_no_door() {
        let neighbour = Point { latitude: -33.8999, longitude: 151.1701 };
        assert_eq!(Block::of(neighbour), Block::of(NEWTOWN));
        let ends = [(-90.0, -180.0), (90.0, 180.0), (0.0, 0.0), (-0.0001, -0.0001), (-33.8981, 151.1743)];
        for (latitude, longitude) in ends {
            let block = Block::of(Point { latitude, longitude });
            let middle = block.middle();
            assert_eq!(Block::of(middle), block);
            assert!((middle.latitude - latitude).abs() < 0.0051 && (middle.longitude - longitude).abs() < 0.0051);
        }
    }

    #[test]
    fn roads_have_directions_and_traffic_too() {
        let (newtown, bondi) = (Block::of(NEWTOWN), Block::of(BONDI));
        let roads: RoadTimes = [((newtown, bondi), 1500), ((bondi, newtown), 600)].into_iter().collect();
        let minutes = |from, to, traffic| Journey::new(TravelMode::Car, from, to, &roads).minutes(traffic);
        // 25 minutes there and ten back, and five to park.
        assert_eq!(minutes(NEWTOWN, BONDI, Traffic::Day), 30);
        assert_eq!(minutes(BONDI, NEWTOWN, Traffic::Day), 15);
        assert_eq!(minutes(NEWTOWN, BONDI, Traffic::Rush), 40);
        assert_eq!(minutes(NEWTOWN, BONDI, Traffic::Night), 25);
    }
}
