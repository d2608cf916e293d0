//! Events: what happened, by whom, to what. Whoever changes something announces one event in the same transaction, and knows nobody who
//! reacts to it. Who does is listed at the root, and handed in as [`Reactions`].

mod store;
mod work;

use std::borrow::Cow;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

pub use store::{Rows, has_history};
pub use work::{Announced, TimeLock, Work, Workshop, lock_number};

use crate::cipher::Sealed;
use crate::error::Result;
use crate::ids::{AccountId, TherapistId};

/// Something that happened. No personal data but in `reason`: ids, states and codes.
#[derive(Clone, Debug)]
pub struct Event {
    /// What was done, as `feature.step`: `booking.accept`.
    pub kind: String,
    /// The kind of thing that it was done to: `booking`.
    pub subject_type: Cow<'static, str>,
    /// Which one.
    pub subject: String,
    /// The therapist whom it is about, if it is about one.
    pub therapist: Option<TherapistId>,
    /// The client whom it is about, if it is about one.
    pub client: Option<AccountId>,
    /// As what whoever did it acted; none where only one could. What the service did has no actor, whoever caused it.
    pub party: Option<Party>,
    /// Where the thing stood before, if it moved on from somewhere.
    pub from: Option<String>,
    /// Where it stands now, if it moved on.
    pub to: Option<String>,
    /// What else is worth knowing, such as the values before and after.
    pub details: Value,
    /// Why.
    pub reason: Option<Reason>,
}

/// As what somebody acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema, sqlx::Type)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Party {
    /// Whose visit it is.
    Client,
    /// Who carries it out.
    Therapist,
    /// Staff.
    Admin,
    /// The service itself.
    System,
}

/// Why something was done.
#[derive(Clone, Debug)]
pub enum Reason {
    /// In a person's words.
    Theirs(Sealed),
    /// In the service's own, which tell of nobody, or in those of staff.
    Ours(String),
}

impl Event {
    /// Something that was done to one thing.
    pub fn new(kind: impl Into<String>, subject_type: &'static str, subject: impl ToString) -> Self {
        Self {
            kind: kind.into(),
            subject_type: Cow::Borrowed(subject_type),
            subject: subject.to_string(),
            therapist: None,
            client: None,
            party: None,
            from: None,
            to: None,
            details: Value::Object(serde_json::Map::new()),
            reason: None,
        }
    }

    /// The same, about a therapist.
    pub fn about(self, therapist: impl Into<Option<TherapistId>>) -> Self {
        Self { therapist: therapist.into(), ..self }
    }

    /// The same, with what else is worth knowing.
    pub fn with(self, details: Value) -> Self {
        Self { details, ..self }
    }

    /// Whether it is of this kind, was done by this party where one is named, and has led to this state where one is named.
    pub fn is(&self, kind: &str, by: Option<Party>, at: Option<&str>) -> bool {
        self.kind == kind
            && by.is_none_or(|by| self.party == Some(by))
            && at.is_none_or(|at| self.to.as_deref() == Some(at))
    }

    /// The thing's id, where it is a UUID.
    pub fn subject_id(&self) -> Option<Uuid> {
        self.subject.parse().ok()
    }
}

/// Of those whom an event is about, who is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The client.
    Client,
    /// The therapist.
    Therapist,
    /// Both.
    Both,
    /// Of client and therapist whoever did not do it; both where neither did.
    Others,
    /// The therapist whom `details.former_therapist` names.
    Former,
    /// The account that it was done to.
    Subject,
    /// The account that `details.owner_id` names.
    Owner,
}

impl To {
    /// Their accounts.
    pub fn of(self, event: &Event) -> Vec<AccountId> {
        let client = (Party::Client, event.client);
        let therapist = (Party::Therapist, event.therapist.map(AccountId::from));
        let did = |(party, _): &(Party, _)| event.party == Some(*party);
        let named = |name| serde_json::from_value::<AccountId>(event.details.get(name)?.clone()).ok();
        match self {
            Self::Client => client.1.into_iter().collect(),
            Self::Therapist => therapist.1.into_iter().collect(),
            Self::Both => [client, therapist].into_iter().filter_map(|(_, account)| account).collect(),
            Self::Others => [client, therapist].into_iter().filter(|one| !did(one)).filter_map(|one| one.1).collect(),
            Self::Former => named("former_therapist").into_iter().collect(),
            Self::Owner => named("owner_id").into_iter().collect(),
            Self::Subject => event.subject_id().map(AccountId).into_iter().collect(),
        }
    }

    /// In words, for the page of consequences.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Client => "the client",
            Self::Therapist => "the therapist",
            Self::Both => "client and therapist",
            Self::Others => "whoever of client and therapist did not do it",
            Self::Former => "the therapist who had it",
            Self::Subject => "the owner of the account",
            Self::Owner => "whoever made it",
        }
    }
}

/// What follows of an event at once, in the statement that writes it.
#[derive(Clone, Debug, PartialEq)]
pub enum Consequence {
    /// A person is told, in the app.
    Tell {
        /// Who is told.
        to: AccountId,
        /// What they are told: `visit_called_off`.
        kind: &'static str,
        /// What else is worth knowing.
        details: Value,
    },
    /// Staff get something to look at, unless the same is open.
    Raise {
        /// What is the matter: `visit_overdue`.
        kind: &'static str,
        /// The kind of thing that it is about.
        subject_type: Cow<'static, str>,
        /// Which one.
        subject: Uuid,
        /// What else is worth knowing.
        details: Value,
    },
    /// What staff were to look at is done.
    Close {
        /// What was the matter.
        kind: &'static str,
        /// The thing that it was about.
        subject: Uuid,
    },
}

/// What follows of an event as rows: no more than the event decides, so that it needs neither a read nor a wait.
pub type Follows = fn(&Event) -> Vec<Consequence>;

/// What agrees with an event in the same transaction, and takes more than rows.
#[derive(Clone, Copy)]
pub struct Effect {
    /// Who reacts, and how: for the page of consequences.
    pub what: &'static str,
    /// To which kinds of events. One that ends with a dot stands for all that begin so.
    pub on: &'static [&'static str],
    /// The reaction.
    pub run: for<'a> fn(&'a mut Work, &'a Event) -> BoxFuture<'a, Result<()>>,
}

impl Effect {
    fn reacts_to(&self, kind: &str) -> bool {
        self.on.iter().any(|on| if on.ends_with('.') { kind.starts_with(on) } else { kind == *on })
    }
}

/// Who reacts to events, in order.
#[derive(Clone, Copy, Default)]
pub struct Reactions {
    /// Rows, written with the event.
    pub follows: &'static [Follows],
    /// What comes after it, one after the other.
    pub effects: &'static [Effect],
}

impl Work {
    /// Writes an event with the rows that follow of it, and lets everyone else react.
    pub async fn announce(&mut self, event: Event) -> Result<()> {
        let rows = self.rows(&event);
        store::write(self, &event, &rows).await?;
        self.note(&event);
        self.react(&event).await
    }

    /// The rows that follow of an event, for a step that writes it in its own statement.
    pub fn rows(&self, event: &Event) -> Rows {
        let follows = self.reactions().follows.iter().flat_map(|follows| follows(event));
        Rows::new(follows.collect(), event, self.now())
    }

    /// Lets those react who need more than rows, where the event is written already.
    pub async fn react(&mut self, event: &Event) -> Result<()> {
        for effect in self.reactions().effects.iter().filter(|effect| effect.reacts_to(&event.kind)) {
            (effect.run)(self, event).await?;
        }
        Ok(())
    }
}
