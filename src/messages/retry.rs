//! When something that could not be delivered is tried again: the same schedule for e-mail and webhooks.

use std::time::Duration;

/// How long to wait after the first failure, the second, and so on: more than a day and a quarter in all.
pub const STEPS: [Duration; 8] = [
    Duration::from_secs(10),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(12),
];

/// How long to wait before the next attempt, after `failed` attempts in a row; none where it is time to give up.
///
/// A step is as long as [`STEPS`] says, give or take a fifth by the number `random`, so that what failed together does not come back together.
/// A recipient who asks for a wait (`Retry-After`) gets it, as long as it lies between one step and two.
pub fn wait(failed: u32, random: u32, asked: Option<Duration>) -> Option<Duration> {
    let step = *STEPS.get(usize::try_from(failed.checked_sub(1)?).ok()?)?;
    Some(match asked {
        Some(asked) => asked.clamp(step, step * 2),
        None => step * (800 + random % 401) / 1000,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_ninth_failure_is_the_last() {
        assert_eq!(wait(0, 0, None), None);
        assert_eq!(wait(1, 200, None), Some(Duration::from_secs(10)));
        assert_eq!(wait(8, 200, None), Some(Duration::from_hours(12)));
        assert_eq!(wait(9, 200, None), None);
        assert_eq!(wait(u32::MAX, 200, Some(Duration::MAX)), None);
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept_within_two_steps() {
        for (asked, kept) in [(0, 60), (60, 60), (90, 90), (120, 120), (121, 120), (u64::MAX, 120)] {
            assert_eq!(wait(2, 7, Some(Duration::from_secs(asked))), Some(Duration::from_secs(kept)), "{asked}");
        }
    }

    proptest! {
        #[test]
        fn a_step_is_off_by_a_fifth_at_the_most(failed in 1_u32..=8, random: u32) {
            let step = STEPS[failed as usize - 1];
            let waited = wait(failed, random, None).unwrap();
            prop_assert!(step * 4 / 5 <= waited && waited <= step * 6 / 5, "{waited:?}");
        }

        #[test]
        fn whatever_is_asked_for_lies_between_one_step_and_two(failed in 1_u32..=8, random: u32, asked: u64) {
            let step = STEPS[failed as usize - 1];
            let waited = wait(failed, random, Some(Duration::from_millis(asked))).unwrap();
            prop_assert!(step <= waited && waited <= step * 2, "{waited:?}");
        }
    }
}
