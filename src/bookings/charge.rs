//! What a visit that is over costs its client in the end: staff may lower it, and never raise it.

use actix_web::post;
use actix_web::web::Data;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::events::{Taken, Why};
use super::lifecycle::{Action, Status, Step, step};
use super::steps::{Begun, admit, begin, view};
use super::views::BookingView;
use super::{Booking, KeptReason, Reason, store};
use crate::App;
use crate::auth::{As, SupportOrFinance};
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Refusal, Result, refused};
use crate::http::{IfMatch, Json, Path, Reply};
use crate::ids::BookingId;
use crate::values::Money;

/// The operation that lowers what a visit costs.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(lower_charge);
}

impl Booking {
    /// What the client pays as things stand: the price, or the fee where the visit ended short, or less where staff have lowered it. None while
    /// a report that nobody came is pending.
    pub fn charge(&self) -> Option<Money> {
        let amount = match (self.charge_lowered_to, self.cancelled, self.status) {
            (Some(lowered), ..) => lowered,
            (None, Some(ended), _) => ended.fee,
            (None, None, Status::NoShow) => return None,
            (None, None, Status::Declined | Status::Expired) => 0,
            (None, None, _) => self.price.amount,
        };
        Some(Money { amount, ..self.price })
    }
}

/// What a visit is to cost.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct LowerCharge {
    /// What the client is to pay in all: less than `charge` of the booking, or nothing.
    charge: Money,
    /// Why; for staff alone.
    reason: Reason,
}

impl LowerCharge {
    /// Where it is less than `charge`.
    fn check(&self, charge: Money) -> Result<()> {
        let Money { amount, currency } = charge;
        let mut errors = Vec::new();
        if self.charge.currency != currency {
            errors.push(FieldError::new("/charge/currency", format!("must be {}.", currency.code())));
        }
        if !(0..amount).contains(&self.charge.amount) {
            let detail = format!("must be at least nothing and less than what the client pays now, which is {amount}.");
            errors.push(FieldError::new("/charge/amount", detail));
        }
        if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
    }
}

/// Lower what a visit costs
///
/// Lowers what the client of a visit that is over pays, for example because it ended early or went wrong. `charge` of the booking says what that
/// is, and what is asked for must be less, so that nobody is ever charged more by it; `price` stays what was agreed. Client and therapist are
/// told, and the task `visit_ended_early` is settled. Asking for the same again changes nothing. A visit that is not over, and one with a
/// report that nobody came which is not settled, cannot be lowered yet.
#[utoipa::path(tag = "Bookings", operation_id = "lower_charge", security(("bearer" = ["admin:support", "admin:finance"])),
    params(("id" = BookingId, Path, description = "The booking."),
           ("If-Match" = Option<String>, Header, description = "The ETag of the booking as it was read, where it matters.")),
    request_body = LowerCharge, responses(
    (status = 200, description = "The booking; `charge` says what it costs.", body = BookingView)),
    extensions(("x-refusals" = json!(refused![InvalidTransition]))))]
#[post("/v1/admin/bookings/{id}/lower-charge")]
async fn lower_charge(
    app: Data<App>,
    me: As<SupportOrFinance>,
    Path(id): Path<BookingId>,
    known: IfMatch,
    Json(body, _): Json<LowerCharge>,
) -> Result<Reply> {
    uninterrupted(async move {
        let Begun { mut work, mut booking, party, .. } = begin(&app, &me.principal, id).await?;
        let (action, now) = (Action::LowerCharge, work.now());
        let charge = booking.charge().ok_or(Refusal::InvalidTransition)?;
        let is_done = booking.charge_lowered_to.is_some() && charge == body.charge;
        let step = step(&booking, action, party, now).map(|step| if is_done { Step::Done } else { step });
        if admit(&app, &mut work, &known, (Action::LowerCharge, step), &booking, party).await?.is_some() {
            body.check(charge)?;
            let reason = KeptReason::seal(&app.cipher, id, action, now, body.reason.as_str())?;
            booking.charge_lowered_to = Some(body.charge.amount);
            let taken = Taken { action, party, from: booking.status, reason: Some(Why::Theirs(reason)) };
            store::save_charge(&mut work, &booking, taken, charge).await?;
        }
        let reply = view(&app, &mut work, booking, party).await?;
        work.commit().await?;
        Ok(reply)
    })
    .await
}

#[cfg(test)]
mod tests {
    use iso_currency::Currency;

    use super::*;
    use crate::bookings::Cancelled;
    use crate::bookings::lifecycle::Party;
    use crate::bookings::tests::confirmed;

    #[test]
    fn what_a_client_pays_follows_how_the_visit_ended() {
        let mut booking = confirmed(Money { amount: 12_900, currency: Currency::AUD });
        let charge = |booking: &Booking| booking.charge().map(|charge| charge.amount);
        assert_eq!(charge(&booking), Some(12_900));
        for (status, expected) in [
            (Status::Completed, Some(12_900)),
            (Status::Declined, Some(0)),
            (Status::Expired, Some(0)),
            (Status::NoShow, None),
        ] {
            booking.status = status;
            assert_eq!(charge(&booking), expected, "{status:?}");
        }
        booking.cancelled = Some(Cancelled { by: Party::Client, at: booking.start_at, fee: 6_450 });
        assert_eq!(charge(&booking), Some(6_450));
        booking.charge_lowered_to = Some(0);
        assert_eq!(charge(&booking), Some(0));
    }
}
