//! Where visits may start: on steps of the therapist's clock, counted from midnight or from the beginning of a window.
//!
//! Counted from windows, a start belongs to the window that began last, by its time on the clock's face: windows that touch are one for
//! what fits into them, and each of them counts anew. What runs on past midnight is counted on. Where the clocks change, starts stay at
//! the minutes that the window's beginning asks for; a step that is skipped moves to the first instant after the gap, also a window's own
//! beginning. Outside of the windows there is no grid.

use chrono::{DateTime, TimeDelta, Utc};

use super::hours::Hours;
use crate::values::wall_clock::{Face, Steps};
use crate::values::{SlotAnchor, Span, Zone};

/// Stretches of time in order, and the steps that are counted in each.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    zone: Zone,
    stretches: Vec<(Span, Steps)>,
}

impl Grid {
    /// For starts within `span`, so many minutes apart, by these hours on a clock in `zone`.
    pub fn new(hours: &Hours, zone: Zone, (anchor, every): (SlotAnchor, i32), span: Span) -> Self {
        let stretches = match anchor {
            SlotAnchor::Midnight => vec![(span, Steps { every, from: 0 })],
            SlotAnchor::Window => {
                let openings = hours.openings(zone, span);
                let next = openings.iter().skip(1).map(|(window, _)| window.start);
                let ends = next.chain([DateTime::<Utc>::MAX_UTC]);
                let mut worked_until = DateTime::<Utc>::MIN_UTC;
                let counted = openings.iter().zip(ends).map(|((window, opens), next)| {
                    worked_until = worked_until.max(window.end);
                    (Span { start: window.start, end: worked_until.min(next) }, Steps { every, from: *opens })
                });
                counted.filter(|(stretch, _)| stretch.start < stretch.end).collect()
            }
        };
        Self { zone, stretches }
    }

    /// The parts of `span` that have a grid, in order.
    fn parts(&self, span: Span) -> impl Iterator<Item = (Span, Steps)> {
        let first = self.stretches.partition_point(|(stretch, _)| stretch.end <= span.start);
        self.stretches[first..].iter().map_while(move |(stretch, steps)| {
            let part = stretch.intersection(span)?;
            Some((part, *steps))
        })
    }

    /// Whether a visit may start at `start`, by a clock of the zone.
    pub fn has(&self, face: &Face, start: DateTime<Utc>) -> bool {
        let mut parts = self.parts(Span { start, end: start + TimeDelta::nanoseconds(1) });
        parts.next().is_some_and(|(_, steps)| face.on_grid(steps, start))
    }

    /// The starts within `span` in order, by a clock of the zone.
    pub fn starts(&self, face: &Face, span: Span) -> impl Iterator<Item = DateTime<Utc>> {
        self.parts(span).flat_map(|(part, steps)| face.grid(steps, part))
    }

    /// The first start within `span`.
    pub fn first(&self, span: Span) -> Option<DateTime<Utc>> {
        self.parts(span).find_map(|(part, steps)| {
            // No two steps are further apart, also where the clocks jump.
            let near = Span { end: part.end.min(part.start + TimeDelta::hours(2)), ..part };
            Face::new(self.zone, near).grid(steps, near).first().copied()
        })
    }
}
