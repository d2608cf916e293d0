//! Webhooks: other programs are told of what happens, as Standard Webhooks has it. Endpoints belong to whoever runs the service: every owner
//! sees and changes all of them. An API client sees and changes those that it added.
//!
//! Whoever delivers asks [`plan`] which endpoints want an event, [`may_try`] which of them are open, and [`send`] for one attempt.

mod breaker;
mod clients;
mod deliveries;
pub mod kinds;
mod routes;
mod sending;
pub(super) mod signing;
mod store;

use std::str::FromStr;

use chrono::{DateTime, Utc};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::{Uuid, uuid};

pub use breaker::Room;
pub use clients::ON_CLIENT_GONE;
pub use kinds::{Happened, WebhookKind};
pub use sending::{Outcome, Wanted, may_try, plan, send};

use crate::ids::{AccountId, ApiClientId, EndpointId};
use crate::outbound::{Barred, Outbound};
use crate::seals::{KeptIn, SealedColumn, SealedTable};
use crate::values::{bounded_text, checked_text, from_text};

/// The table that keeps something sealed.
pub const SEALED: SealedTable = SealedTable {
    name: "webhook_endpoints",
    columns: &[
        SealedColumn { bound_to: store::SECRET, row: "id", kept: KeptIn::Column("secret_sealed") },
        SealedColumn { bound_to: store::PREVIOUS, row: "id", kept: KeptIn::Column("previous_secret_sealed") },
        SealedColumn { bound_to: store::KEY, row: "id", kept: KeptIn::Column("key_sealed") },
    ],
};

/// How many endpoints there are at the most.
pub const MOST_ENDPOINTS: usize = 20;

/// Names the lock of whoever adds an endpoint, because two at once could both make the last one.
const ENDPOINTS: Uuid = uuid!("019b76da-a800-7e00-8a12-776562686f6f");

/// The operations on webhooks.
pub fn routes(config: &mut ServiceConfig) {
    routes::routes(config);
    deliveries::routes(config);
}

bounded_text! {
    /// What an endpoint is for, in the words of whoever made it.
    EndpointDescription line 1..=200, example "Books visits into the calendar of the clinic.";
}

/// Where messages are sent to: an https address without a user name.
#[derive(Clone, Debug, PartialEq, Eq, ToSchema)]
#[schema(value_type = String, pattern = "^https?://", max_length = 2000, example = "https://partner.example/hooks/knead")]
pub struct EndpointUrl(Url);

impl EndpointUrl {
    /// The address, whole.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether it may be sent to from a service that lies at `own`, as far as can be told without resolving its host's name.
    fn admitted(&self, outbound: &Outbound, own: &str) -> Result<(), Barred> {
        let is_own = Url::parse(own).is_ok_and(|own| {
            let is_same =
                own.host_str().is_some_and(|host| host.trim_end_matches('.') == self.host().trim_end_matches('.'));
            // On this machine, other ports are other people's programs.
            let is_here = own.host_str().is_some_and(|host| host == "127.0.0.1" || host == "[::1]");
            is_same && (!is_here || own.port_or_known_default() == self.0.port_or_known_default())
        });
        if is_own { Err(Barred::Address) } else { outbound.admits(&self.0) }
    }
}

impl FromStr for EndpointUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(&checked_text(text, 1, 2000, false)?).ok();
        if let Some(url) = &mut url {
            url.set_fragment(None);
        }
        // Http is for `knead dev` and tests, and refused elsewhere by `Outbound`.
        let is_sound = |url: &Url| {
            matches!(url.scheme(), "https" | "http")
                && url.has_host()
                && url.username().is_empty()
                && url.password().is_none()
        };
        let url = url.filter(is_sound).filter(|url| url.as_str().len() <= 2000);
        url.map(Self).ok_or_else(|| "must be an https address without a user name".to_owned())
    }
}

from_text!(EndpointUrl);

/// Whether an endpoint is sent anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum EndpointState {
    /// It is.
    Enabled,
    /// It is not, until an owner enables it.
    Disabled,
}

/// Why an endpoint was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum DisabledReason {
    /// It answered 410.
    Gone,
    /// It failed for five days.
    Failing,
}

/// A place where another program is told of what happens.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct WebhookEndpoint {
    /// The endpoint's id.
    pub id: EndpointId,
    /// Where messages are sent to.
    #[schema(example = "https://partner.example/hooks/knead")]
    pub url: String,
    /// What it is for.
    #[schema(example = "Books visits into the calendar of the clinic.")]
    pub description: Option<String>,
    /// What it is told of; empty for everything.
    #[schema(example = json!(["booking.moved", "booking.cancelled"]))]
    pub kinds: Vec<String>,
    /// Whether it is sent anything.
    pub state: EndpointState,
    /// Why it was disabled.
    pub disabled_reason: Option<DisabledReason>,
    /// Verifies the `v1a` signatures (Ed25519). It stays the same.
    #[schema(example = "whpk_1Ys0Oyo2TGVnNmV4L3bWMlAaT7CMLEkwzdj0Z5iLEuY=")]
    pub public_key: String,
    /// Until when the secret before the present one signs too.
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// Since when no message was received.
    pub failing_since: Option<DateTime<Utc>>,
    /// Who made it, and is told where it is disabled; where an API client did, whoever made that.
    pub created_by: AccountId,
    /// The API client that made it; null where staff did.
    pub api_client_id: Option<ApiClientId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_https_and_names_nobody() {
        for good in ["https://partner.example/hooks?key=1", "https://partner.example:8443/", "http://127.0.0.1:9000/"] {
            assert_eq!(good.parse::<EndpointUrl>().unwrap().as_str(), good);
        }
        assert_eq!(
            "https://partner.example/#part".parse::<EndpointUrl>().unwrap().as_str(),
            "https://partner.example/"
        );
        for bad in [
            "",
            "partner.example",
            "ftp://partner.example/",
            "https://me:secret@partner.example/",
            "https://",
            "mailto:a@b.example",
        ] {
            assert!(bad.parse::<EndpointUrl>().is_err(), "{bad}");
        }
        assert!(format!("https://partner.example/{}", "a".repeat(2000)).parse::<EndpointUrl>().is_err());
    }

    #[test]
    fn the_service_does_not_send_to_itself() {
        let outbound = Outbound::with_loopback();
        let admitted = |url: &str, own: &str| url.parse::<EndpointUrl>().unwrap().admitted(&outbound, own).is_ok();
        assert!(admitted("https://partner.example/", "https://knead.example"));
        assert!(!admitted("https://knead.example/", "https://knead.example"));
        assert!(!admitted("https://KNEAD.example.:8443/v1", "https://knead.example"));
        assert!(!admitted("http://127.0.0.1:8080/", "http://127.0.0.1:8080"));
        assert!(admitted("http://127.0.0.1:8081/", "http://127.0.0.1:8080"));
        assert!(!admitted("https://10.0.0.1/", "https://knead.example"));
        let world = Outbound::new();
        assert!(
            "http://127.0.0.1:8081/".parse::<EndpointUrl>().unwrap().admitted(&world, "https://knead.example").is_err()
        );
    }
}
