//! What a relay reports of mails once it has taken them: bounces and complaints.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, post};
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

use super::bounces::{MailStatus, delivery_of};
use super::keys::Digests;
use super::suppressions::{Returned, SuppressionReason, suppress};
use super::webhooks::signing::{Received, Secret};
use crate::App;
use crate::db::uninterrupted;
use crate::error::{Error, FieldError, Problem, Refusal, Result, refused};
use crate::http::{Reply, Unread};
use crate::values::{EmailAddress, bounded_text};

/// The most events in one report.
const MOST: usize = 100;

/// The operation for relays.
pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(report_mail_events);
}

/// By which secrets reports are signed: a part of the process. Without any there are no reports.
#[derive(Clone, Debug, Default)]
pub struct MailEvents(Vec<Secret>);

impl MailEvents {
    /// Secrets that are separated by commas: each is good, so that one can be replaced while reports come.
    ///
    /// # Errors
    /// What each must be.
    pub fn new(secrets: &SecretString) -> Result<Self, String> {
        secrets
            .expose_secret()
            .split(',')
            .map(|secret| Secret::given(secret.trim()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    fn verify(&self, received: &Received, now: DateTime<Utc>) -> bool {
        self.0.iter().any(|secret| secret.verify(received, now))
    }
}

/// The headers of a signed report; what is missing is empty, and signed by nobody.
struct Signature {
    id: String,
    timestamp: String,
    signatures: String,
}

impl FromRequest for Signature {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header =
            |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
        ready(Ok(Self {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signatures: header("webhook-signature"),
        }))
    }
}

bounded_text! {
    /// The `Message-ID` of a mail.
    MessageId line 1..=998, example "<0198c0de-0000-7000-8000-000000000000@knead.example>";
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum MailEventType {
    /// The mail was not taken where it was to go.
    Bounced,
    /// Its reader called it unwanted.
    Complained,
}

/// What came back of one mail.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MailEvent {
    /// What came back.
    #[serde(rename = "type")]
    kind: MailEventType,
    /// The address that the mail was sent to.
    email: EmailAddress,
    /// How it bounced. Of bounces, those with a status of another class than 5 change nothing; without a status, it is for good.
    status: Option<MailStatus>,
    /// The mail: its id is noted where it is one of this service's.
    message_id: Option<MessageId>,
}

impl MailEvent {
    /// Why nothing is to be sent to the address any more; none where it may work again.
    fn reason(&self) -> Option<SuppressionReason> {
        match self.kind {
            MailEventType::Complained => Some(SuppressionReason::Complained),
            MailEventType::Bounced if self.status.as_ref().is_none_or(MailStatus::is_permanent) => {
                Some(SuppressionReason::Bounced)
            }
            MailEventType::Bounced => None,
        }
    }
}

/// What came back of several mails.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MailEventReport {
    /// In any order.
    #[schema(min_items = 1, max_items = 100)]
    events: Vec<MailEvent>,
}

/// Report what came back of mails
///
/// For the relay that sends the service's mails, or a program beside it. Nothing is sent any more to an address at which a mail bounced for good, nor to one
/// whose owner complained, until staff lift that. The report is signed as Standard Webhooks has it (`v1`), by the secret that the service was set up with, and
/// at most five minutes old. The same report again changes nothing.
#[utoipa::path(tag = "Messages", operation_id = "report_mail_events", request_body = MailEventReport,
    params(("webhook-id" = String, Header, description = "The report's id.", example = "msg_1"),
        ("webhook-timestamp" = String, Header, description = "When it was signed: seconds since 1970.", example = "1796083200"),
        ("webhook-signature" = String, Header, description = "Signatures, separated by spaces; one has to be good.",
            example = "v1,zWX9FQQjVhBk1bBZU76QXcFHdtoRfUfGL1TtOuUD+l4=")),
    responses((status = 204, description = "It is taken down."),
        (status = 404, description = "The service takes no reports.", body = Problem, content_type = "application/problem+json")),
    extensions(("x-refusals" = json!(refused![SignatureInvalid]))))]
#[post("/v1/mail-events")]
async fn report_mail_events(app: Data<App>, signature: Signature, body: Unread) -> Result<Reply> {
    let known = app.part::<MailEvents>()?;
    if known.0.is_empty() {
        return Err(Error::NotFound);
    }
    let Signature { id, timestamp, signatures } = &signature;
    if !known.verify(&Received { id, timestamp, signatures, body: body.bytes() }, app.clock.now()) {
        return Err(Refusal::SignatureInvalid.into());
    }
    let MailEventReport { events } = body.read()?;
    if !(1..=MOST).contains(&events.len()) {
        return Err(FieldError::new("/events", "holds 1 to 100 events.").into());
    }
    uninterrupted(async move {
        let digests = app.part::<Digests>()?;
        let mut returned = Vec::new();
        for event in events {
            let Some(reason) = event.reason() else { continue };
            let digest = digests.of_address(&app.db, &app.cipher, event.email.as_str()).await?;
            let code = event.status.map(|status| status.as_str().to_owned());
            let delivery = event.message_id.and_then(|id| delivery_of(id.as_str()));
            returned.push(Returned { digest, reason, code, delivery });
        }
        let mut work = app.begin(None).await?;
        suppress(&mut work, returned).await?;
        work.commit().await?;
        Ok(Reply::none())
    })
    .await
}
