//! Stretches of time. All are half-open: they hold their start and not their end, so that neighbours touch
//! without overlapping.

use chrono::{DateTime, TimeDelta, Utc};

/// A stretch of time from `start` until just before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first instant.
    pub start: DateTime<Utc>,
    /// The first instant after it.
    pub end: DateTime<Utc>,
}

impl Span {
    /// The stretch of `minutes` from `start`.
    pub fn of_minutes(start: DateTime<Utc>, minutes: i32) -> Self {
        Self { start, end: start + TimeDelta::minutes(minutes.into()) }
    }

    /// This stretch with so many minutes more before and after.
    pub fn widened(self, before: i32, after: i32) -> Self {
        Self { start: self.start - TimeDelta::minutes(before.into()), end: self.end + TimeDelta::minutes(after.into()) }
    }

    /// Whether the two share an instant.
    pub fn overlaps(self, other: Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// The instants that the two share, if there are any.
    pub fn intersection(self, other: Self) -> Option<Self> {
        self.overlaps(other).then(|| Self { start: self.start.max(other.start), end: self.end.min(other.end) })
    }

    /// Whether all of `other` lies within.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }
}

/// The same instants in order, with overlapping and touching stretches made one and empty ones left out.
pub fn merged(mut spans: Vec<Span>) -> Vec<Span> {
    spans.retain(|span| span.start < span.end);
    spans.sort_unstable_by_key(|span| span.start);
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// What is left of `spans` without `taken`; both are [`merged`].
pub fn without(spans: &[Span], taken: &[Span]) -> Vec<Span> {
    let mut left = Vec::with_capacity(spans.len());
    for span in spans {
        let mut start = span.start;
        let first = taken.partition_point(|taken| taken.end <= span.start);
        for taken in taken[first..].iter().take_while(|taken| taken.start < span.end) {
            left.push(Span { start, end: taken.start });
            start = taken.end;
        }
        left.push(Span { start, end: span.end });
    }
    left.retain(|span| span.start < span.end);
    left
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// The minutes that lie within any of the stretches.
    fn minutes(spans: &[Span]) -> BTreeSet<i64> {
        let minute = |instant: DateTime<Utc>| instant.timestamp() / 60;
        spans.iter().flat_map(|span| minute(span.start)..minute(span.end)).collect()
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        vec((0_i64..60, -3_i64..20).prop_map(|(start, length)| span(start, start + length)), 0..8)
    }

    /// In order, and with room between any two.
    fn is_apart(spans: &[Span]) -> bool {
        spans.iter().all(|span| span.start < span.end) && spans.windows(2).all(|pair| pair[0].end < pair[1].start)
    }

    proptest! {
        #[test]
        fn merging_keeps_every_minute_and_adds_none(spans in spans()) {
            let merged = merged(spans.clone());
            prop_assert!(is_apart(&merged), "{merged:?}");
            prop_assert_eq!(minutes(&merged), minutes(&spans));
        }

        #[test]
        fn what_is_left_is_what_is_not_taken(spans in spans(), taken in spans()) {
            let left = without(&merged(spans.clone()), &merged(taken.clone()));
            prop_assert!(is_apart(&left), "{left:?}");
            let expected: BTreeSet<i64> = minutes(&spans).difference(&minutes(&taken)).copied().collect();
            prop_assert_eq!(minutes(&left), expected);
        }

        #[test]
        fn an_intersection_is_what_both_hold(a in (0_i64..60, 1_i64..20), b in (0_i64..60, 1_i64..20)) {
            let (a, b) = (span(a.0, a.0 + a.1), span(b.0, b.0 + b.1));
            let both: BTreeSet<i64> = minutes(&[a]).intersection(&minutes(&[b])).copied().collect();
            let shared = a.intersection(b);
            prop_assert_eq!(shared.map(|shared| minutes(&[shared])).unwrap_or_default(), both);
            prop_assert_eq!(shared.is_some(), a.overlaps(b));
        }
    }

    fn span(start: i64, end: i64) -> Span {
        Span {
            start: DateTime::UNIX_EPOCH + TimeDelta::minutes(start),
            end: DateTime::UNIX_EPOCH + TimeDelta::minutes(end),
        }
    }

    #[test]
    fn neighbours_touch_without_overlapping() {
        assert!(!span(0, 5).overlaps(span(5, 9)));
        assert!(span(0, 6).overlaps(span(5, 9)));
        assert!(span(0, 9).contains(span(0, 9)) && !span(0, 9).contains(span(0, 10)));
    }

    #[test]
    fn merging_joins_what_touches_and_drops_what_is_empty() {
        let spans = vec![span(10, 12), span(0, 5), span(5, 7), span(6, 6), span(11, 15), span(20, 18)];
        assert_eq!(merged(spans), [span(0, 7), span(10, 15)]);
    }

    #[test]
    fn what_is_taken_leaves_the_rest() {
        let day = [span(0, 10), span(20, 30)];
        assert_eq!(without(&day, &[]), day);
        assert_eq!(without(&day, &[span(-5, 2), span(4, 5), span(8, 25)]), [span(2, 4), span(5, 8), span(25, 30)]);
        assert!(without(&day, &[span(0, 30)]).is_empty());
    }
}
