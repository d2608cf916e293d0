//! Where a county or a city is: an area on the map, and whether a point lies in it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::values::Point;

/// The most points of a boundary, over all of its rings.
const MOST_POINTS: usize = 2_000;

/// How far a boundary may lie outside its parent, in degrees: about two kilometres. Maps draw one border in two ways.
const BORDER_WIDTH: f64 = 0.02;

/// The least that a ring may enclose, in square degrees: about a square metre.
const SMALLEST: f64 = 1e-10;

/// Longitude and latitude in degrees, in this order. An altitude, where one is sent, is left out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Vec<f64>")]
#[schema(value_type = Vec<f64>)]
pub struct Position([f64; 2]);

impl TryFrom<Vec<f64>> for Position {
    type Error = &'static str;

    fn try_from(numbers: Vec<f64>) -> Result<Self, &'static str> {
        match numbers[..] {
            [longitude, latitude] | [longitude, latitude, _] => Ok(Self([longitude, latitude])),
            _ => Err("must have positions of a longitude and a latitude"),
        }
    }
}

/// An outline, then the holes in it. The first position of each is repeated as its last.
type Rings = Vec<Vec<Position>>;

/// An area as GeoJSON (RFC 7946): `Polygon` or `MultiPolygon`, at most 2,000 points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "Shape", tag = "type", content = "coordinates")]
#[schema(example = json!({
    "type": "Polygon",
    "coordinates": [[[-118.4, 34.07], [-118.34, 34.07], [-118.34, 34.1], [-118.4, 34.1], [-118.4, 34.07]]],
}))]
pub enum Boundary {
    /// One area: an outline, then the holes in it.
    Polygon(Vec<Vec<Position>>),
    /// Several areas.
    MultiPolygon(Vec<Vec<Vec<Position>>>),
}

/// A boundary as it is sent.
#[derive(Deserialize)]
#[serde(tag = "type", content = "coordinates", deny_unknown_fields)]
enum Shape {
    Polygon(Rings),
    MultiPolygon(Vec<Rings>),
}

impl TryFrom<Shape> for Boundary {
    type Error = &'static str;

    fn try_from(shape: Shape) -> Result<Self, &'static str> {
        let boundary = match shape {
            Shape::Polygon(rings) => Self::Polygon(rings),
            Shape::MultiPolygon(polygons) => Self::MultiPolygon(polygons),
        };
        let polygons = boundary.polygons();
        if polygons.is_empty() || polygons.iter().any(Vec::is_empty) {
            return Err("must have an outline for each polygon");
        }
        if boundary.positions().count() > MOST_POINTS {
            return Err("must have at most 2,000 points");
        }
        // Written so that a NaN is refused too.
        let on_the_globe = |Position([longitude, latitude])| longitude.abs() <= 180.0 && latitude.abs() <= 90.0;
        if !boundary.positions().all(on_the_globe) {
            return Err("must have longitudes from -180 to 180 and latitudes from -90 to 90, in this order");
        }
        for ring in polygons.iter().flatten() {
            if ring.len() < 4 || ring.first() != ring.last() {
                return Err("must have rings of four or more positions, of which the last repeats the first");
            }
            let edges = ring.windows(2).map(|edge| (edge[0].0, edge[1].0));
            if edges.clone().any(|([west, _], [east, _])| (west - east).abs() > 180.0) {
                return Err("must be cut where it crosses the 180th meridian");
            }
            // Twice the area, by the shoelace formula, seen from a corner: far from there the small would be lost in the large.
            let [x, y] = ring[0].0;
            let area: f64 = edges.map(|([x1, y1], [x2, y2])| (x1 - x) * (y2 - y) - (x2 - x) * (y1 - y)).sum();
            if area.abs() < SMALLEST {
                return Err("must have rings that enclose something");
            }
        }
        Ok(boundary)
    }
}

impl Boundary {
    fn polygons(&self) -> &[Rings] {
        match self {
            Self::Polygon(rings) => std::slice::from_ref(rings),
            Self::MultiPolygon(polygons) => polygons,
        }
    }

    fn positions(&self) -> impl Iterator<Item = Position> {
        self.polygons().iter().flatten().flatten().copied()
    }

    /// The box around it: west, south, east, north.
    pub fn bbox(&self) -> [f64; 4] {
        self.positions().fold(
            [180.0, 90.0, -180.0, -90.0],
            |[west, south, east, north], Position([longitude, latitude])| {
                [west.min(longitude), south.min(latitude), east.max(longitude), north.max(latitude)]
            },
        )
    }

    /// Whether the point lies in it, by the even-odd rule: a line from there due east crosses the rings of a polygon an
    /// odd number of times. Edges are straight on the map (RFC 7946, section 3.1.1). A point on an edge counts as east
    /// and north of it: of two neighbours that share the edge exactly one has it.
    pub fn holds(&self, point: Point) -> bool {
        let crossed = |rings: &Rings| {
            let edges = rings.iter().flat_map(|ring| ring.windows(2));
            edges.filter(|edge| is_crossed(edge[0], edge[1], point)).count()
        };
        self.polygons().iter().any(|rings| crossed(rings) % 2 == 1)
    }

    /// Whether every corner lies in its parent, or close enough to it to be a matter of drawing.
    pub fn lies_in(&self, parent: impl Fn(Point) -> bool) -> bool {
        // At the corner and around it, far and near: a parent may be narrow.
        let offsets = [0.0, BORDER_WIDTH, -BORDER_WIDTH, BORDER_WIDTH / 100.0, -BORDER_WIDTH / 100.0];
        self.positions().all(|Position([longitude, latitude])| {
            let mut about = offsets.iter().flat_map(|east| offsets.iter().map(move |north| (east, north)));
            about.any(|(east, north)| {
                let longitude = (longitude + east).clamp(-180.0, 180.0);
                let latitude = (latitude + north).clamp(-90.0, 90.0);
                parent(Point { latitude, longitude })
            })
        })
    }
}

/// Whether a line from the point due east crosses the edge. Looked at from south to north whichever way the edge is drawn,
/// so that neighbours round alike.
fn is_crossed(a: Position, b: Position, point: Point) -> bool {
    let ([west, south], [east, north]) = if a.0[1] <= b.0[1] { (a.0, b.0) } else { (b.0, a.0) };
    south <= point.latitude
        && point.latitude < north
        && point.longitude < west + (point.latitude - south) / (north - south) * (east - west)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boundary(json: &str) -> Result<Boundary, serde_json::Error> {
        serde_json::from_str(json)
    }

    fn at(longitude: f64, latitude: f64) -> Point {
        Point { latitude, longitude }
    }

    #[test]
    fn a_hole_is_outside_and_a_second_area_inside() {
        let area = boundary(
            r#"{"type": "MultiPolygon", "coordinates": [
                [[[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]], [[1, 1], [1, 3], [3, 3], [3, 1], [1, 1]]],
                [[[2, 2], [2.5, 2], [2, 2.5], [2, 2]]], [[[9, 9], [10, 9], [9, 10], [9, 9]]]
            ]}"#,
        )
        .expect("an area");
        for (inside, longitude, latitude) in [
            (true, 0.5, 0.5),
            (false, 1.5, 1.5),
            (true, 2.1, 2.1),
            (false, 2.4, 2.4),
            (true, 9.1, 9.1),
            (false, 5.0, 2.0),
            (false, -1.0, 2.0),
        ] {
            assert_eq!(area.holds(at(longitude, latitude)), inside, "{longitude} {latitude}");
        }
        assert_eq!(area.bbox(), [0.0, 0.0, 10.0, 10.0]);
    }

    #[test]
    fn an_edge_belongs_to_what_lies_east_and_north_of_it() {
        let square = boundary(r#"{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}"#)
            .expect("a square");
        assert!(square.holds(at(0.0, 0.5)) && square.holds(at(0.5, 0.0)) && square.holds(at(0.0, 0.0)));
        assert!(!square.holds(at(1.0, 0.5)) && !square.holds(at(0.5, 1.0)) && !square.holds(at(1.0, 1.0)));
    }

    #[test]
    fn what_bounds_nothing_is_refused() {
        let many = vec!["[0, 0]"; 2_001].join(", ");
        for (why, coordinates) in [
            ("for each polygon", "[]"),
            ("four or more", "[[]]"),
            ("four or more", "[[[0, 0], [1, 0], [0, 0]]]"),
            ("repeats the first", "[[[0, 0], [1, 0], [1, 1], [0, 1]]]"),
            ("-180 to 180", "[[[0, 0], [181, 0], [1, 1], [0, 0]]]"),
            ("-90 to 90", "[[[0, 0], [1, 91], [1, 1], [0, 0]]]"),
            ("180th meridian", "[[[179, 0], [-179, 0], [-179, 1], [179, 0]]]"),
            ("enclose", "[[[0, 0], [1, 1], [2, 2], [0, 0]]]"),
            ("enclose", "[[[151.1, -33.7], [151.2, -33.6], [151.3, -33.5], [151.1, -33.7]]]"),
            ("2,000 points", &format!("[[{many}]]")),
            ("a longitude and a latitude", "[[[0, 0, 5, 6], [1, 0], [1, 1], [0, 0]]]"),
            ("a longitude and a latitude", "[[[0], [1, 0], [1, 1], [0, 0]]]"),
            ("invalid type", "[[[0, null], [1, 0], [1, 1], [0, 0]]]"),
        ] {
            let refused = boundary(&format!(r#"{{"type": "Polygon", "coordinates": {coordinates}}}"#));
            let message = refused.expect_err(coordinates).to_string();
            assert!(message.contains(why), "{message}");
        }
        let high = boundary(r#"{"type": "Polygon", "coordinates": [[[0, 0, 5], [1, 0, 5], [1, 1, 5], [0, 0, 5]]]}"#);
        assert_eq!(high.expect("an area").bbox(), [0.0, 0.0, 1.0, 1.0], "altitudes do not matter");
        assert!(boundary(r#"{"type": "Point", "coordinates": [0, 0]}"#).is_err());
        assert!(boundary(r#"{"type": "MultiPolygon", "coordinates": []}"#).is_err());
    }

    #[test]
    fn a_border_may_be_drawn_in_two_ways_but_not_elsewhere() {
        let square = boundary(r#"{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}"#)
            .expect("a square");
        let up_to = |east: f64| move |point: Point| (0.0..=east).contains(&point.longitude);
        assert!(square.lies_in(up_to(1.0)) && square.lies_in(up_to(0.99)));
        assert!(!square.lies_in(up_to(0.97)));
    }

    /// A square from 0 to 10 cut in two along a border of any shape that runs from its south to its north.
    fn halves() -> impl Strategy<Value = (Vec<Position>, [Boundary; 2])> {
        prop::collection::vec((1_i32..100, 1_i32..100), 0..8).prop_map(|corners| {
            let tenth = |n: i32| f64::from(n) / 10.0;
            let mut border = vec![Position([5.0, 0.0])];
            let mut inner: Vec<Position> = corners.into_iter().map(|(x, y)| Position([tenth(x), tenth(y)])).collect();
            inner.sort_by(|a, b| a.0[1].total_cmp(&b.0[1]));
            border.extend(inner);
            border.push(Position([5.0, 10.0]));
            let mut west = border.clone();
            west.extend([[0.0, 10.0], [0.0, 0.0], [5.0, 0.0]].map(Position));
            // The other way round.
            let mut east: Vec<Position> = border.iter().rev().copied().collect();
            east.extend([[10.0, 0.0], [10.0, 10.0], [5.0, 10.0]].map(Position));
            (border, [west, east].map(|ring| Boundary::Polygon(vec![ring])))
        })
    }

    proptest! {
        #[test]
        fn every_point_is_in_exactly_one_of_two_neighbours(
            (border, halves) in halves(), x in 0_i32..100, y in 0_i32..100, corner in any::<prop::sample::Index>(),
        ) {
            let Position([longitude, latitude]) = *corner.get(&border);
            let fine = at(f64::from(x) / 10.0, f64::from(y) / 10.0);
            // Any point of the square, and the corners of the border, save where it leaves the square.
            for point in [fine, at(longitude, latitude.min(9.9))] {
                let held = halves.iter().filter(|half| half.holds(point)).count();
                prop_assert_eq!(held, 1, "{:?}", point);
            }
        }

        #[test]
        fn what_holds_a_point_has_it_in_its_box((_, halves) in halves(), x in -20_i32..120, y in -20_i32..120) {
            let point = at(f64::from(x) / 10.0, f64::from(y) / 10.0);
            for half in halves {
                let [west, south, east, north] = half.bbox();
                let boxed = (west..=east).contains(&point.longitude) && (south..=north).contains(&point.latitude);
                prop_assert!(boxed || !half.holds(point));
            }
        }
    }
}
