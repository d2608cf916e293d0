use std::ops::{Deref, DerefMut};

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{Event, Reactions};
use crate::clock::Clock;
use crate::db::{Db, Tx};
use crate::error::Result;
use crate::ids::{AccountId, TherapistId};

/// A unit of work: what is done in it is saved together, or not at all. It tells who acts and what time it is, so that all that is done
/// in it is done by the same person at the same moment.
pub struct Work {
    tx: Tx,
    clock: Clock,
    now: DateTime<Utc>,
    by: Option<AccountId>,
    held: Vec<Uuid>,
    reactions: Reactions,
    announced: Vec<Announced>,
    /// Whether nothing of it is to be saved.
    is_preview: bool,
    /// Whether a preview did not look at everything.
    left_out: bool,
}

/// Something that was announced in a unit of work, for whoever caused it to tell.
#[derive(Clone, Debug)]
pub struct Announced {
    /// What was done.
    pub kind: String,
    /// To which thing.
    pub subject: String,
    /// What else is worth knowing.
    pub details: Value,
}

/// Where units of work begin.
#[derive(Clone)]
pub struct Workshop {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Who reacts to what is announced.
    pub reactions: Reactions,
}

impl Workshop {
    /// Begins a unit of work for the account that acts, or for the service itself where there is none.
    pub async fn begin(&self, by: Option<AccountId>) -> Result<Work> {
        let tx = self.db.begin().await?;
        let (clock, reactions) = (self.clock.clone(), self.reactions);
        let now = clock.now();
        Ok(Work {
            tx,
            now,
            clock,
            by,
            held: Vec::new(),
            reactions,
            announced: Vec::new(),
            is_preview: false,
            left_out: false,
        })
    }
}

impl Work {
    /// When all in it happens, in UTC: when it began, or when the last lock was got. Whoever queued for a lock is judged at the later time.
    pub const fn now(&self) -> DateTime<Utc> {
        self.now
    }

    /// The account that acts; none where the service does.
    pub const fn by(&self) -> Option<AccountId> {
        self.by
    }

    /// Who reacts to what is announced.
    pub(super) const fn reactions(&self) -> Reactions {
        self.reactions
    }

    /// Makes this a look at what would follow: all is done as ever, and nothing is saved. Reactions that would leave something for later note what
    /// would come of it instead.
    pub const fn preview(&mut self) {
        self.is_preview = true;
    }

    /// Whether nothing of this is to be saved.
    pub const fn is_preview(&self) -> bool {
        self.is_preview
    }

    /// What has been announced so far, in order.
    pub fn announced(&self) -> &[Announced] {
        &self.announced
    }

    /// Notes an event as if it had been announced.
    pub fn note(&mut self, event: &Event) {
        let (kind, subject, details) = (event.kind.clone(), event.subject.clone(), event.details.clone());
        self.announced.push(Announced { kind, subject, details });
    }

    /// Notes that a preview has not looked at everything.
    pub const fn leave_out(&mut self) {
        self.left_out = true;
    }

    /// Whether a preview has not looked at everything.
    pub const fn has_left_out(&self) -> bool {
        self.left_out
    }

    /// Locks what `id` names until this ends; others who lock it wait. To lock again what is locked costs nothing. Whoever needs several locks
    /// takes an idempotency key's first, then a client's, then a therapist's: two who waited for each other would wait for ever.
    pub async fn lock(&mut self, id: Uuid) -> Result<()> {
        if self.held.contains(&id) {
            return Ok(());
        }
        sqlx::query!(r#"SELECT pg_advisory_xact_lock($1) AS "locked: ()""#, lock_number(id))
            .execute(&mut *self.tx)
            .await?;
        self.took(id);
        Ok(())
    }

    /// Notes that a statement of a feature has taken the lock of [`lock_number`] itself, which saves a round trip.
    pub fn took(&mut self, id: Uuid) {
        self.held.push(id);
        self.now = self.clock.now();
    }

    /// The same of a therapist's time.
    pub fn took_time(&mut self, therapist: TherapistId) -> TimeLock {
        self.took(therapist.0);
        TimeLock(therapist)
    }

    /// Locks a therapist's time until this ends: whoever changes what can be booked goes one after the other.
    pub async fn lock_time(&mut self, therapist: TherapistId) -> Result<TimeLock> {
        self.lock(therapist.0).await?;
        Ok(TimeLock(therapist))
    }

    /// Saves all that was done; of a preview nothing.
    pub async fn commit(self) -> Result<()> {
        if self.is_preview { self.rollback().await } else { Ok(self.tx.commit().await?) }
    }

    /// Drops all that was done.
    pub async fn rollback(self) -> Result<()> {
        Ok(self.tx.rollback().await?)
    }
}

/// The number of PostgreSQL's advisory lock on what `id` names: the random half of a UUIDv7.
pub const fn lock_number(id: Uuid) -> i64 {
    id.as_u64_pair().1.cast_signed()
}

impl Deref for Work {
    type Target = Tx;

    fn deref(&self) -> &Tx {
        &self.tx
    }
}

impl DerefMut for Work {
    fn deref_mut(&mut self) -> &mut Tx {
        &mut self.tx
    }
}

/// That a therapist's time is locked, which only [`Work::lock_time`] and [`Work::took_time`] give. Whoever writes reserved time asks for it.
#[derive(Debug)]
pub struct TimeLock(TherapistId);

impl TimeLock {
    /// Whose time it is.
    pub const fn therapist(&self) -> TherapistId {
        self.0
    }
}
