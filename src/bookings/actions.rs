//! What may be done with a booking, by whom and when: the table of steps as it is told.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::Booking;
use super::lifecycle::{Action, Party, steps, window};
use super::missed;
use crate::error::{Bearings, Error, Refusal};
use crate::values::{Money, name};

/// A step that whoever looks may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct PossibleStep {
    /// The step.
    pub action: Action,
    /// From when on; null: since ever.
    pub from: Option<DateTime<Utc>>,
    /// Until when; null: while the booking stands as it does.
    pub until: Option<DateTime<Utc>>,
    /// What it costs the client then: calling off is told once for each amount.
    pub fee: Option<Money>,
}

/// The steps that `party` may take of `booking` as it stands, in no time or in theirs. `proposed_by` is who proposes another time, where one is open.
pub(super) fn possible(booking: &Booking, party: Party, proposed_by: Option<Party>) -> Vec<PossibleStep> {
    let mut possible = Vec::new();
    for action in steps(booking.status, party).filter(|action| is_open(booking, *action, party, proposed_by)) {
        let (from, until) = window(action, party, booking.table());
        if action == Action::Cancel && party == Party::Client {
            possible.extend(by_fee(booking, until.unwrap_or_else(|| booking.end_at())));
        } else if action == Action::Reschedule {
            // Whoever would pay, or make the other pay, moves nothing alone.
            let last = match party {
                Party::Client => {
                    by_fee(booking, booking.start_at).take_while(is_free).last().and_then(|step| step.until)
                }
                _ => booking.policy.free_notice(booking.start_at),
            };
            possible.extend(last.map(|until| PossibleStep { action, from, until: Some(until), fee: None }));
        } else {
            possible.push(PossibleStep { action, from, until, fee: None });
        }
    }
    possible
}

fn is_free(step: &PossibleStep) -> bool {
    step.fee.is_none_or(|fee| fee.amount == 0)
}

/// Whether what the step answers is there to be answered.
fn is_open(booking: &Booking, action: Action, party: Party, proposed_by: Option<Party>) -> bool {
    let report = |may: fn(&missed::Report) -> bool| booking.missed.as_ref().is_some_and(may);
    match action {
        Action::Agree => proposed_by.is_some_and(|by| by != party),
        Action::Propose => proposed_by.is_none(),
        Action::Extend => booking.extension.is_some_and(|open| open.minutes != booking.duration_minutes),
        Action::Contest => report(|report| report.contested_at.is_none() && report.decided.is_none()),
        Action::Uphold | Action::Reject => report(|report| report.decided.is_none_or(|(by, _)| by != Party::Admin)),
        Action::LowerCharge => booking.charge().is_some_and(|charge| charge.amount > 0),
        _ => true,
    }
}

/// Calling the visit off, for each amount that it costs one after the other until `end`.
fn by_fee(booking: &Booking, end: DateTime<Utc>) -> impl Iterator<Item = PossibleStep> {
    let notice =
        booking.policy.rules.tiers.iter().map(|tier| booking.start_at - TimeDelta::minutes(tier.minutes_before));
    let grace = booking.created_at + TimeDelta::minutes(booking.policy.rules.free_within_minutes_of_booking);
    let mut turns: Vec<DateTime<Utc>> = notice.chain([grace.min(booking.start_at), booking.start_at, end]).collect();
    turns.retain(|turn| *turn > booking.created_at && *turn <= end);
    turns.sort_unstable();
    turns.dedup();
    let mut steps: Vec<PossibleStep> = Vec::new();
    let mut from = None;
    for turn in turns {
        // A turn belongs to what is cheaper, but for the start, at which it is too late.
        let moment = if turn < booking.start_at { turn } else { turn - TimeDelta::microseconds(1) };
        let fee = Some(booking.fee(Party::Client, moment));
        match steps.last_mut() {
            Some(last) if last.fee == fee => last.until = Some(turn),
            _ => steps.push(PossibleStep { action: Action::Cancel, from, until: Some(turn), fee }),
        }
        from = Some(turn);
    }
    steps.into_iter()
}

/// The refusal of a step, with where the booking stands and what its party may do instead now.
pub(super) fn refused(refusal: Refusal, booking: &Booking, action: Action, party: Party, now: DateTime<Utc>) -> Error {
    let (from, _) = window(action, party, booking.table());
    let within =
        |step: &PossibleStep| step.from.is_none_or(|from| from <= now) && step.until.is_none_or(|until| now < until);
    let mut allowed: Vec<String> =
        possible(booking, party, None).iter().filter(|step| within(step)).map(|step| name(&step.action)).collect();
    allowed.dedup();
    let not_before = from.filter(|_| refusal == Refusal::TooEarly);
    Error::RefusedStep(refusal, Box::new(Bearings { not_before, state: name(&booking.status), allowed }))
}

#[cfg(test)]
mod tests {
    use iso_currency::Currency;

    use super::*;
    use crate::bookings::lifecycle::Status;
    use crate::bookings::tests::confirmed;

    #[test]
    fn calling_off_is_told_once_for_each_amount_and_as_it_is_charged() {
        let mut booking = confirmed(Money { amount: 10_000, currency: Currency::AUD });
        booking.created_at = booking.start_at - TimeDelta::days(3);
        for free_to_cancel in [false, true] {
            booking.free_to_cancel = free_to_cancel;
            let steps: Vec<PossibleStep> = by_fee(&booking, booking.end_at()).collect();
            for minute in -4_000..60 {
                let now = booking.start_at + TimeDelta::minutes(minute) + TimeDelta::seconds(1);
                let told = steps.iter().find(|step| {
                    step.from.is_none_or(|from| from < now) && step.until.is_some_and(|until| now <= until)
                });
                let told = told.expect("an amount for each instant");
                assert_eq!(told.fee, Some(booking.fee(Party::Client, now)), "{minute}");
            }
            assert!(steps.windows(2).all(|pair| pair[0].fee != pair[1].fee && pair[0].until == pair[1].from));
        }
    }

    #[test]
    fn a_step_is_told_to_whoever_may_take_it() {
        let booking = confirmed(Money { amount: 10_000, currency: Currency::AUD });
        let of = |party, proposed_by| -> Vec<Action> {
            let mut actions: Vec<Action> =
                possible(&booking, party, proposed_by).iter().map(|step| step.action).collect();
            actions.dedup();
            actions
        };
        assert!(of(Party::Client, Some(Party::Therapist)).contains(&Action::Agree));
        assert!(!of(Party::Therapist, Some(Party::Therapist)).contains(&Action::Agree));
        assert!(!of(Party::Client, Some(Party::Therapist)).contains(&Action::Propose));
        assert!(of(Party::Client, None).contains(&Action::Propose));
        assert!(
            of(Party::Therapist, None).contains(&Action::OnTheWay)
                && !of(Party::Client, None).contains(&Action::OnTheWay)
        );
        let done = Booking { status: Status::Expired, ..booking.clone() };
        assert_eq!(possible(&done, Party::Client, None), []);
    }
}
