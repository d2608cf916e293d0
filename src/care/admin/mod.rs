//! What admins publish: questionnaires, rules and policies, as versions that are never changed.

mod policies;
mod questionnaires;
mod rule_sets;
mod store;

pub use rule_sets::{RuleSetPreview, preview_rule_set};

use chrono::{DateTime, TimeDelta, Utc};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::{Uuid, uuid};

use crate::error::{FieldError, Result};
use crate::events::Work;

pub(super) fn routes(config: &mut ServiceConfig) {
    questionnaires::routes(config);
    rule_sets::routes(config);
    policies::routes(config);
}

/// Names the lock of whoever adds, publishes or withdraws a version.
const CARE: Uuid = uuid!("019b76da-a800-7e00-8a11-63617265726c");

/// Locks what is published against whoever else would change it.
pub(super) async fn lock(work: &mut Work) -> Result<()> {
    work.lock(CARE).await
}

/// Whether what takes effect then can still be added, published or withdrawn at `now`. A minute is far more than a transaction takes.
pub(super) fn is_open(effective_from: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    effective_from >= now + TimeDelta::minutes(1)
}

/// What is wrong with the time of a version; its number is held against the latest by the caller.
pub(super) fn time_faults(
    effective_from: DateTime<Utc>,
    last: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Vec<FieldError> {
    let mut faults = Vec::new();
    if !is_open(effective_from, now) {
        faults.push(FieldError::new("/effective_from", "must lie at least a minute ahead: what has been is fixed."));
    } else if last.is_some_and(|last| effective_from <= last) {
        let detail = "must lie after the version before takes effect; or withdraw that one first.";
        faults.push(FieldError::new("/effective_from", detail));
    }
    faults
}

/// The same faults, of a part of the body.
fn below(pointer: &str, faults: Vec<FieldError>) -> Vec<FieldError> {
    faults.into_iter().map(|fault| FieldError { pointer: format!("{pointer}{}", fault.pointer), ..fault }).collect()
}
