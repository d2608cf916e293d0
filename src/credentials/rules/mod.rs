//! The rules as data: places, credential types and requirements, which admins edit while the service runs.

pub mod boundary;
mod jurisdictions;
mod requirements;
mod store;
mod types;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::types::Json;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) use store::{knows, required};
pub use store::{required_for, requirements};

use super::Requirement;
use super::jobs::ReconcilePlace;
use crate::audit::{self, Entry};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::ids::{AccountId, RequirementId};
use crate::queue::enqueue;
use crate::values::{JurisdictionCode, Money, bounded_text};
use boundary::Boundary;

/// The operations on rules.
pub fn routes(config: &mut ServiceConfig) {
    jurisdictions::routes(config);
    types::routes(config);
    requirements::routes(config);
}

/// Declares texts of a form.
macro_rules! formed_text {
    ($($(#[doc = $doc:literal])* $name:ident like $form:literal, example $example:literal;)+) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize)]
        #[serde(transparent)]
        pub(super) struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> std::result::Result<Self, String> {
                if regex::Regex::new($form).is_ok_and(|form| form.is_match(text)) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(concat!("must have the form ", $form).to_owned())
                }
            }
        }

        crate::values::from_text!($name);

        impl ToSchema for $name {}

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::Type::String)
                    .description(Some(concat!($($doc),*).trim()))
                    .pattern(Some($form))
                    .examples([$example])
                    .into()
            }
        }
    )+};
}

formed_text! {
    /// A new credential type's code.
    NewTypeCode like "^[A-Z][A-Z0-9-]{1,39}$", example "US-NV-LMT";
    /// What the authority writes before the number and a therapist may leave out.
    NumberPrefix like "^[A-Z0-9]{0,10}$", example "NVMT";
    /// A kind of service.
    ServiceKind like "^[a-z][a-z_]{1,39}$", example "massage";
    /// What a requirement is about.
    Group like "^[a-z][a-z_]{1,39}$", example "insurance";
}

bounded_text! {
    /// What a place is called.
    PlaceName line 1..=120, example "Los Angeles County";
    /// Who gives a credential.
    Authority line 1..=200, example "Nevada State Board of Massage Therapy";
}

/// Where a place stands in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
enum Level {
    /// A country.
    Country,
    /// A state, a province, a region of a country.
    Region,
    /// A part of a region.
    County,
    /// A part of a county, or of a region.
    City,
}

impl Level {
    /// Whether a place of this level may have this code.
    fn fits(self, code: &JurisdictionCode) -> bool {
        match code.as_str().matches('.').count() {
            0 if code.parent().is_some() => self == Self::Region,
            0 => self == Self::Country,
            1 => matches!(self, Self::County | Self::City),
            _ => self == Self::City,
        }
    }
}

/// A place whose rules decide who may practise there.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Territory {
    /// Its code: of ISO 3166 for countries and regions, a name below the parent's code for counties and cities.
    code: JurisdictionCode,
    /// Where it stands in the chain.
    level: Level,
    /// The code of the place that it lies in; null for countries.
    parent: Option<JurisdictionCode>,
    /// What it is called.
    #[schema(example = "Los Angeles County")]
    name: String,
    /// The box around its boundary: west, south, east, north. Null for countries and regions, which are where the
    /// service's own map says.
    #[schema(example = json!([-118.95, 32.75, -117.64, 34.83]))]
    bbox: Option<Vec<f64>>,
}

/// A place with its boundary.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct DrawnTerritory {
    #[serde(flatten)]
    territory: Territory,
    /// Where it is; null for countries and regions.
    boundary: Option<Boundary>,
}

/// A requirement as admins see it.
#[derive(Debug, Serialize, ToSchema)]
struct Rule {
    /// The requirement's id.
    id: RequirementId,
    /// The kind of service that it is asked for.
    #[schema(example = "massage")]
    service_kind: String,
    #[serde(flatten)]
    requirement: Requirement,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Category {
    /// Leave to practise, given by law.
    Licence,
    /// A certificate that a law or a council stands behind.
    Certification,
    /// An entry in a register.
    Registration,
    /// An education that was completed.
    Qualification,
    /// Belonging to an association.
    Membership,
    /// Cover against claims.
    Insurance,
    /// A check by police or their agents.
    BackgroundCheck,
    /// A course in first aid.
    FirstAid,
    /// A number that names the holder, and permits nothing.
    Identifier,
}

/// The least that an insurance must pay for one claim, in minor units of each currency that it may be in. Empty: anything
/// will do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "BTreeMap<String, i64>")]
#[schema(value_type = BTreeMap<String, i64>, example = json!({"AUD": 500_000_000}))]
pub struct Cover(BTreeMap<String, i64>);

impl Cover {
    /// Whether an insurance that pays `cover` pays enough; what needs none always does.
    pub fn is_met_by(&self, cover: Option<Money>) -> bool {
        let least = |cover: Money| self.0.get(cover.currency.code()).copied();
        self.0.is_empty() || cover.is_some_and(|cover| least(cover).is_some_and(|least| cover.amount >= least))
    }
}

impl TryFrom<BTreeMap<String, i64>> for Cover {
    type Error = &'static str;

    fn try_from(cover: BTreeMap<String, i64>) -> std::result::Result<Self, &'static str> {
        if cover.keys().any(|code| code.parse::<Currency>().is_err()) {
            Err("must name currencies of ISO 4217, such as AUD")
        } else if cover.values().any(|amount| !(0..=100_000_000_000).contains(amount)) {
            Err("must have amounts from 0 to 100,000,000,000 minor units")
        } else {
            Ok(Self(cover))
        }
    }
}

impl sqlx::Type<sqlx::Postgres> for Cover {
    fn type_info() -> sqlx::postgres::PgTypeInfo {
        <Json<Self> as sqlx::Type<sqlx::Postgres>>::type_info()
    }
}

impl<'r> sqlx::Decode<'r, sqlx::Postgres> for Cover {
    fn decode(value: sqlx::postgres::PgValueRef<'r>) -> std::result::Result<Self, sqlx::error::BoxDynError> {
        <Json<Self> as sqlx::Decode<sqlx::Postgres>>::decode(value).map(|Json(cover)| cover)
    }
}

/// Lets a change of the rules of `jurisdiction`, or of all places, have its effect on visits that are booked, by a job that is
/// added in the transaction of the change. A second one looks again: whoever read the old rules may still be booking.
async fn rules_changed(tx: &mut Tx, jurisdiction: Option<&JurisdictionCode>, now: DateTime<Utc>) -> Result<()> {
    let state = jurisdiction.map(JurisdictionCode::state).transpose().map_err(Error::Internal)?;
    // The whole country: a visit may name its region otherwise than the map does.
    let job = ReconcilePlace { country: state.map(|state| state.country().to_owned()) };
    for due in [now, now + TimeDelta::seconds(30)] {
        enqueue(tx, &job, due).await?;
    }
    Ok(())
}

/// A change by an admin, with the values before and after.
struct Change<'a, T> {
    admin: AccountId,
    /// As `feature.step`; the feature is the kind of thing that changed.
    action: &'static str,
    subject: &'a str,
    before: Option<&'a T>,
    after: Option<&'a T>,
}

impl<T: Serialize> Change<'_, T> {
    /// Records it. The audit's chain is locked from here on: last before the end of the transaction.
    async fn record(&self, tx: &mut Tx, now: DateTime<Utc>) -> Result<()> {
        let entry = Entry {
            therapist: None,
            actor: Some(self.admin),
            action: self.action,
            subject_type: self.action.split_once('.').map_or(self.action, |(feature, _)| feature),
            subject_id: self.subject,
            details: json!({ "before": self.before, "after": self.after }),
        };
        audit::record(tx, &entry, now).await
    }
}
