//! What became of visits because of a decision, or would become of them: read off what was announced in the same unit of work. The features that
//! react are not known here, only the kinds of their events.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::events::{Announced, Work};
use crate::ids::BookingId;

/// Whether a step is only to be looked at.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Previewing {
    /// `true`: tells what would follow, and changes nothing.
    #[serde(default)]
    #[param(value_type = Option<bool>)]
    pub preview: bool,
}

/// What becomes of a visit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Becomes {
    /// It must not be carried out, and is called off at `call_off_at` unless something changes.
    AtRisk,
    /// It is called off, and costs nothing.
    Cancelled,
    /// It is at risk no more.
    Restored,
    /// It has begun: staff are told.
    StaffAlerted,
    /// It was called off within the hour, and its client is told that the time is free again.
    OfferedAgain,
}

/// A visit for which something follows.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(super) struct FollowedVisit {
    /// The booking.
    pub id: BookingId,
    /// When it begins.
    pub start_at: DateTime<Utc>,
    /// What becomes of it.
    pub becomes: Becomes,
    /// When it is called off, where it is at risk.
    pub call_off_at: Option<DateTime<Utc>>,
}

/// What would follow.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Foreseen {
    /// The visits for which something would follow, soonest first.
    pub visits: Vec<FollowedVisit>,
    /// Whether these are all; a preview looks at the visits of 300 therapists at the most.
    pub complete: bool,
}

impl Foreseen {
    /// What has been announced in `work`, or noted.
    pub fn of(work: &Work) -> Self {
        Self { visits: visits(work), complete: !work.has_left_out() }
    }
}

/// The visits for which something followed in `work`, soonest first; of each the last that did.
pub(super) fn visits(work: &Work) -> Vec<FollowedVisit> {
    let found = work.announced().iter().filter_map(followed);
    let last: BTreeMap<_, _> = found.map(|visit| ((visit.start_at, visit.id), visit)).collect();
    last.into_values().collect()
}

fn followed(event: &Announced) -> Option<FollowedVisit> {
    let becomes = match event.kind.as_str() {
        "booking.put_at_risk" => Becomes::AtRisk,
        "booking.cancel" | "booking.decline" => Becomes::Cancelled,
        "booking.restored" => Becomes::Restored,
        "booking.unlicensed_in_progress" => Becomes::StaffAlerted,
        "booking.offered_again" => Becomes::OfferedAgain,
        _ => return None,
    };
    let instant = |name: &str| serde_json::from_value(event.details.get(name)?.clone()).ok();
    Some(FollowedVisit {
        id: BookingId(event.subject.parse().ok()?),
        start_at: instant("start_at")?,
        becomes,
        call_off_at: instant("call_off_at"),
    })
}
