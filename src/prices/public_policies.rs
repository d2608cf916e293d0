//! Cancellation policies as anyone reads them, before there is anything to call off.

use actix_web::get;
use actix_web::web::Data;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::policy::{BookingPolicy, Policy};
use super::{store, terms};
use crate::App;
use crate::auth::Caller;
use crate::error::{FieldError, Result};
use crate::http::{Cursor, Limit, Page, Part, Query, Reply};
use crate::values::{Country, Jurisdiction};

/// The operation on policies for everyone.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list_policies_in_force);
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PolicyQuery {
    /// The policy that holds in this country alone (ISO 3166-1 alpha-2).
    #[param(inline)]
    country: Option<Country>,
    /// A region of it (ISO 3166-2), where the policy of its country holds; only together with `country`.
    #[param(max_length = 10, example = "NSW")]
    region: Option<String>,
    /// Items on a page; all of them, unless said.
    #[param(inline)]
    limit: Option<Limit>,
    /// From `next_cursor` of the page before.
    #[param(inline)]
    cursor: Option<Cursor>,
}

/// A cancellation policy that is in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyInForce {
    /// Where; null: in every country that has none of its own.
    #[schema(example = "AU")]
    pub country: Option<String>,
    /// What it says.
    pub policy: BookingPolicy,
    /// The same in one sentence.
    pub summary: String,
}

impl PolicyInForce {
    fn new(country: Option<String>, policy: &Policy) -> Self {
        Self { country, policy: policy.into(), summary: terms::summary(&policy.rules) }
    }
}

/// List cancellation policies in force
///
/// What calling off costs where, as of now; for a `country` the one policy that holds there. What is booked or held keeps the policy that it was
/// booked or held under.
#[utoipa::path(tag = "Prices", operation_id = "list_policies_in_force", security((), ("api_key" = ["slots:read"])), params(PolicyQuery),
    responses((status = 200, description = "The policies, the one for all other countries first.", body = Page<PolicyInForce>)))]
#[get("/v1/cancellation-policies")]
async fn list_policies_in_force(app: Data<App>, _caller: Caller, Query(query): Query<PolicyQuery>) -> Result<Reply> {
    if let Some(region) = &query.region {
        let country = query.country.as_ref().ok_or_else(|| FieldError::new("/country", "goes with `region`."))?;
        let known = Jurisdiction::of(country, region);
        known.ok_or_else(|| FieldError::new("/region", "is not a region of the country."))?;
    }
    let mut found = store::policies(&app.db, app.clock.now()).await?;
    if let Some(country) = &query.country {
        let own = found.iter().position(|(place, _)| place.as_deref() == Some(country.as_str()));
        // The one for all is always there, and first.
        found = found.drain(own.map_or(0..1, |own| own..own + 1)).collect();
    }
    let shown = found.into_iter().map(|(country, policy)| PolicyInForce::new(country, &policy));
    Ok(Reply::ok(&Page::part(shown.collect(), &Part { limit: query.limit, cursor: query.cursor.clone() })?)?.public())
}
