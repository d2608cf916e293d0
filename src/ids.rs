//! Typed identifiers: a therapist's id cannot be passed where a booking's is meant.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::{NoContext, Timestamp, Uuid};

/// A UUIDv7 (RFC 9562) whose time is the given instant, so that ids sort by creation.
pub fn uuid_at(now: DateTime<Utc>) -> Uuid {
    let seconds = u64::try_from(now.timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
        #[serde(transparent)]
        #[sqlx(transparent)]
        #[schema(value_type = Uuid)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A fresh identifier that sorts by `now`.
            pub fn new(now: DateTime<Utc>) -> Self {
                Self(uuid_at(now))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    )+};
}

ids! {
    /// An account: a client, a therapist or an admin.
    AccountId,
    /// A log-in and the family of its refresh tokens.
    SessionId,
    /// A code that is mailed to somebody.
    MailedCodeId,
    /// A place where a client receives visits.
    AddressId,
    /// A kind of treatment in the catalogue.
    ServiceId,
    /// A therapist; equal to the id of the account behind it.
    TherapistId,
    /// A licence, certificate or other proof that a therapist holds.
    CredentialId,
    /// What a source said of a credential when someone looked.
    VerificationId,
    /// A file that shows a credential.
    DocumentId,
    /// A rule on what a place asks for.
    RequirementId,
    /// A bar on the use of a credential.
    CredentialHoldId,
    /// One reading of an authority's list.
    RosterImportId,
    /// Something that staff should look at.
    TaskId,
    /// A stretch of time that a therapist takes off.
    TimeOffId,
    /// A calendar elsewhere that a therapist subscribes to.
    CalendarId,
    /// A slot that a client holds for a while.
    HoldId,
    /// A booked visit.
    BookingId,
    /// Another time that is proposed for a visit.
    CounterOfferId,
    /// What one party says of the other.
    ReviewId,
    /// Something that a person is told.
    NoticeId,
    /// Something that went wrong at a visit.
    IncidentId,
    /// What one party of a visit writes to the other.
    MessageId,
    /// A version of a price, a surcharge, a cancellation policy or a public holiday.
    TariffId,
    /// A version of what is asked before a visit.
    QuestionnaireId,
    /// A version of the rules of care.
    RuleSetId,
    /// A version of what a place asks for in care.
    CarePolicyId,
    /// A person whom visits are for.
    RecipientId,
    /// What a person answered at one time.
    ScreeningId,
    /// What a healthcare provider says of massage for a person.
    ClearanceId,
    /// A file that shows a clearance.
    LetterId,
    /// A version of a text that people agree to.
    ConsentTextId,
    /// What a person said to a text.
    ConsentId,
    /// How a person was at a time, in numbers.
    MeasureId,
    /// What a therapist proposes to a person over several visits.
    PlanId,
    /// Where another program is told of what happens.
    EndpointId,
    /// A message on its way out, over all attempts.
    DeliveryId,
    /// An address that nothing is sent to.
    SuppressionId,
    /// A program that calls the service in its own name.
    ApiClientId,
    /// A key of an API client.
    ApiKeyId,
}

impl From<TherapistId> for AccountId {
    fn from(therapist: TherapistId) -> Self {
        Self(therapist.0)
    }
}

/// As whoever acts, an API client is named by its own id, which no account has.
impl From<ApiClientId> for AccountId {
    fn from(client: ApiClientId) -> Self {
        Self(client.0)
    }
}

impl From<AccountId> for TherapistId {
    fn from(account: AccountId) -> Self {
        Self(account.0)
    }
}
