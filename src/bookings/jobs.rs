//! What is done later with visits.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{care, counter_offers, handing_over, holds, lapse, licensing, local_times, missed, overdue, suspended};
use crate::App;
use crate::error::Result;
use crate::ids::{AccountId, BookingId, RecipientId};
use crate::queue::{Job, Kind, Run, Sweep};

/// The kinds of jobs that are carried out here.
pub const JOBS: &[Kind] = &[
    Kind::of::<LapseRequests>().every_minutes(1),
    Kind::of::<SettleAtRisk>(),
    Kind::of::<AlertOverdue>().every_minutes(5),
    Kind::of::<ReconcilePlace>(),
    Kind::of::<SettleReport>(),
    Kind::of::<ReconsiderVisits>(),
    Kind::of::<ReconsiderAll>(),
    Kind::of::<SettleCare>(),
    Kind::of::<SettleHandedOver>(),
    Kind::of::<SeeToSuspended>(),
    Kind::of::<FollowZoneRules>().hourly_at(7),
];

/// What is deleted here in the end.
pub const SWEEPS: &[Sweep] = &[
    Sweep { name: "holds", run: |app, now| Box::pin(holds::forget_lapsed(&app.db, now)) },
    Sweep { name: "counter_offers", run: |app, now| Box::pin(counter_offers::forget_lapsed(&app.db, now)) },
];

/// Ends the requests that nobody answered by their deadlines. They are looked for, because a job for each request would cost every booking a
/// notification, which takes a lock over the whole database at commit.
#[derive(Debug, Serialize, Deserialize)]
pub struct LapseRequests;

impl Job for LapseRequests {
    const NAME: &'static str = "lapse_requests";
}

impl Run for LapseRequests {
    async fn run(self, app: Arc<App>) -> Result<()> {
        lapse::lapse_all(&app).await
    }
}

/// Calls a visit off that is still at risk 24 hours before its start.
#[derive(Debug, Serialize, Deserialize)]
pub struct SettleAtRisk {
    /// The booking that was put at risk.
    pub booking: BookingId,
}

impl Job for SettleAtRisk {
    const NAME: &'static str = "settle_at_risk";
}

impl Run for SettleAtRisk {
    async fn run(self, app: Arc<App>) -> Result<()> {
        licensing::settle(&app, self.booking).await
    }
}

/// Upholds a client's report that nobody came, where its therapist has said nothing for a day.
#[derive(Debug, Serialize, Deserialize)]
pub struct SettleReport {
    /// The booking that was reported.
    pub booking: BookingId,
}

impl Job for SettleReport {
    const NAME: &'static str = "settle_report";
}

impl Run for SettleReport {
    async fn run(self, app: Arc<App>) -> Result<()> {
        missed::settle(&app, self.booking).await
    }
}

/// Tells of visits that should long be over.
#[derive(Debug, Serialize, Deserialize)]
pub struct AlertOverdue;

impl Job for AlertOverdue {
    const NAME: &'static str = "alert_overdue";
}

impl Run for AlertOverdue {
    async fn run(self, app: Arc<App>) -> Result<()> {
        overdue::alert(&app).await
    }
}

/// Holds the visits of everyone who has any in a country against what is required now.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReconcilePlace {
    /// The country; everywhere, where there is none.
    pub country: Option<String>,
}

impl Job for ReconcilePlace {
    const NAME: &'static str = "reconcile_place";
}

impl Run for ReconcilePlace {
    async fn run(self, app: Arc<App>) -> Result<()> {
        licensing::reconcile_place(&app, self.country.as_deref()).await
    }
}

/// Decides again on the visits ahead of a person, whose answers have changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReconsiderVisits {
    /// Whose visits.
    pub recipient: RecipientId,
}

impl Job for ReconsiderVisits {
    const NAME: &'static str = "reconsider_visits";
}

impl Run for ReconsiderVisits {
    async fn run(self, app: Arc<App>) -> Result<()> {
        care::reconsider(&app, self.recipient).await
    }
}

/// Decides again on the visits ahead of everyone, since the rules of care have changed.
#[derive(Debug, Serialize, Deserialize)]
pub struct ReconsiderAll;

impl Job for ReconsiderAll {
    const NAME: &'static str = "reconsider_all_visits";
}

impl Run for ReconsiderAll {
    async fn run(self, app: Arc<App>) -> Result<()> {
        care::reconsider_all(&app).await
    }
}

/// Decides again on one visit; 24 hours before its start, one that still does not suit the person whom it is for is called off.
#[derive(Debug, Serialize, Deserialize)]
pub struct SettleCare {
    /// The booking.
    pub booking: BookingId,
}

impl Job for SettleCare {
    const NAME: &'static str = "settle_care";
}

impl Run for SettleCare {
    async fn run(self, app: Arc<App>) -> Result<()> {
        care::reconsider_visit(&app, self.booking).await
    }
}

/// Calls a visit off that was handed over, and that nobody has taken over in time.
#[derive(Debug, Serialize, Deserialize)]
pub struct SettleHandedOver {
    /// The booking.
    pub booking: BookingId,
}

impl Job for SettleHandedOver {
    const NAME: &'static str = "settle_handed_over";
}

impl Run for SettleHandedOver {
    async fn run(self, app: Arc<App>) -> Result<()> {
        handing_over::settle(&app, self.booking).await
    }
}

/// Tells staff of the visits ahead of an account that was suspended or reinstated.
#[derive(Debug, Serialize, Deserialize)]
pub struct SeeToSuspended {
    /// The account.
    pub account: AccountId,
}

impl Job for SeeToSuspended {
    const NAME: &'static str = "see_to_suspended";
}

impl Run for SeeToSuspended {
    async fn run(self, app: Arc<App>) -> Result<()> {
        suspended::see_to(&app, self.account).await
    }
}

/// Sees to what follows where the rules of time zones are others than before. It is also added when a worker begins.
#[derive(Debug, Serialize, Deserialize)]
pub struct FollowZoneRules;

impl Job for FollowZoneRules {
    const NAME: &'static str = "follow_zone_rules";
}

impl Run for FollowZoneRules {
    async fn run(self, app: Arc<App>) -> Result<()> {
        local_times::follow(&app).await
    }
}
