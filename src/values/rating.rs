//! How people are rated.

use serde::Serialize;
use utoipa::ToSchema;

/// How someone is rated: kept up with each review, never counted anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Rating {
    /// The mean to two decimals; null where there is none.
    #[schema(example = 4.75)]
    pub average: Option<f64>,
    /// Of how many reviews.
    #[schema(example = 12)]
    pub count: i32,
}

impl Rating {
    /// From the number of ratings and their sum.
    pub fn of(count: i32, sum: i32) -> Self {
        let hundredths = |count: i32| (f64::from(sum) * 100.0 / f64::from(count)).round();
        Self { average: (count > 0).then(|| hundredths(count) / 100.0), count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_has_two_decimals() {
        assert_eq!(Rating::of(0, 0), Rating { average: None, count: 0 });
        assert_eq!(Rating::of(3, 14), Rating { average: Some(4.67), count: 3 });
        assert_eq!(Rating::of(8, 33), Rating { average: Some(4.13), count: 8 });
    }
}
