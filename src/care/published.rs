//! What is in force: questionnaires, rules and policies, as of an instant.

mod store;

use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, PgExecutor};
use utoipa::ToSchema;

use super::decide::{Rules, ServiceProfile};
use super::questions::Questionnaire;
use super::rules::RuleSet;
use crate::catalogue;
use crate::error::{Error, Result};
use crate::ids::{RuleSetId, ServiceId};
use crate::values::Jurisdiction;

pub use store::{asks_for_age, emergency_number, next_change, policy, policy_places};

/// The place that stands for all places.
pub const EVERYWHERE: &str = "*";

/// Sets of rules that are kept in memory at the most. One is in force, and others are looked at while they are prepared.
const MOST_KEPT: usize = 4;

/// A set of rules that was published, ready to be asked.
#[derive(Debug)]
pub struct PublishedRules {
    /// Which one.
    pub id: RuleSetId,
    /// Counts from 1.
    pub version: i32,
    /// As it was written.
    pub set: RuleSet,
    /// As it is asked.
    pub rules: Rules,
}

impl PublishedRules {
    /// Whether they ask anyone for a least age, who may have told nothing.
    pub fn ask_for_age(&self) -> bool {
        self.rules.ask_for_age()
    }
}

/// The sets of rules that were used last. What was published never changes, so that none of them is ever wrong.
#[derive(Debug, Default)]
pub struct RuleCache(Mutex<Vec<Arc<PublishedRules>>>);

impl RuleCache {
    /// The rules that are in force at `at`.
    pub async fn rules(&self, db: &mut PgConnection, at: DateTime<Utc>) -> Result<Arc<PublishedRules>> {
        let id = store::rules_in_force(&mut *db, at).await?;
        let id = id.ok_or_else(|| Error::Internal("no rules of care are in force".to_owned()))?;
        if let Some(known) = self.known(id) {
            return Ok(known);
        }
        let (version, set) = store::rule_set(db, id).await?;
        let found = Arc::new(PublishedRules { id, version, rules: Rules::from(&set), set });
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST_KEPT {
            kept.remove(0);
        }
        kept.push(found.clone());
        Ok(found)
    }

    fn known(&self, id: RuleSetId) -> Option<Arc<PublishedRules>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|rules| rules.id == id).cloned()
    }
}

/// Where a questionnaire is put, and for which service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuestionnaireUse {
    /// In this country or region; null for everywhere.
    #[serde(default, deserialize_with = "Option::deserialize")]
    pub place: Option<Jurisdiction>,
    /// For this service; null for every one.
    #[serde(default, deserialize_with = "Option::deserialize")]
    pub service_id: Option<ServiceId>,
}

/// The latest version of every questionnaire that is in force at `at`, with where it is put, by code.
pub async fn questionnaires<'c>(
    db: impl PgExecutor<'c>,
    at: DateTime<Utc>,
) -> Result<Vec<(Questionnaire, Vec<QuestionnaireUse>)>> {
    store::questionnaires(db, at).await
}

/// Whether a questionnaire is put for a service in one of these places. What says nothing of where is put everywhere.
pub fn is_put(uses: &[QuestionnaireUse], places: &[String], service: Option<ServiceId>) -> bool {
    uses.is_empty()
        || uses.iter().any(|one| {
            one.place.as_ref().is_none_or(|place| places.iter().any(|own| own == place.as_str()))
                && one.service_id.is_none_or(|of| service.is_none_or(|service| service == of))
        })
}

/// A version of a questionnaire, in force or not.
pub async fn questionnaire<'c>(db: impl PgExecutor<'c>, code: &str, version: i32) -> Result<Option<Questionnaire>> {
    store::questionnaire(db, code, version).await
}

/// A service as rules see it, by its id.
pub async fn services<'c>(db: impl PgExecutor<'c>) -> Result<Vec<(ServiceId, ServiceProfile)>> {
    use super::body::RegionSet;
    let manners = catalogue::manners(db).await?;
    manners
        .into_iter()
        .map(|manner| {
            let named = |name: &String| {
                RegionSet::named(name).ok_or_else(|| Error::Internal(format!("{name} is no region of the body")))
            };
            let regions =
                manner.works_on.iter().try_fold(RegionSet::default(), |all, name| Ok::<_, Error>(all | named(name)?));
            let profile = ServiceProfile {
                slug: manner.slug,
                techniques: manner.techniques,
                pressure_from: manner.pressure_from,
                pressure_to: manner.pressure_to,
                regions: regions?,
            };
            Ok((manner.id, profile))
        })
        .collect()
}

/// How much a place asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum CareMode {
    /// Nothing is asked, and nothing decided.
    Off,
    /// Answers decide where they are given. Nobody is kept from anything for want of them.
    Asked,
    /// A visit does not begin without answers.
    BeforeStart,
    /// A visit is not booked without answers.
    BeforeBooking,
}

/// What a place asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CareTerms {
    /// How much is asked.
    pub mode: CareMode,
    /// For how many days answers count, where their question says nothing else.
    #[schema(minimum = 1, maximum = 3650, example = 365)]
    pub answers_last_days: i32,
    /// From how many hours before a visit "has anything changed?" is asked.
    #[schema(minimum = 1, maximum = 336, example = 48)]
    pub confirm_hours: i32,
    /// From which age a person answers alone.
    #[schema(minimum = 14, maximum = 21, example = 18)]
    pub adult_age: i32,
    /// For how many years records of treatment are kept; of minors from the day that they are of age.
    #[schema(minimum = 1, maximum = 30, example = 7)]
    pub retention_years: i32,
    /// Whether a visit begins only with a consultation that client and therapist have signed.
    #[serde(default)]
    #[schema(example = false)]
    pub signed_consultation: bool,
}
