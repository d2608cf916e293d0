use std::ops::{Deref, DerefMut};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Reactions;
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
        Ok(Work { tx, now: clock.now(), clock, by, held: Vec::new(), reactions })
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

    /// Saves all that was done.
    pub async fn commit(self) -> Result<()> {
        Ok(self.tx.commit().await?)
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
