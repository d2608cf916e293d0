//! What every operation works with: the frame. What one feature alone works with is a part that it brings along, so that the frame knows no
//! feature.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;

use crate::cipher::Cipher;
use crate::clock::Clock;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::events::{Reactions, Work, Workshop};
use crate::ids::AccountId;
use crate::storage::Storage;

/// The frame of the service.
pub struct App {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Clock,
    /// Text that is kept sealed.
    pub cipher: Cipher,
    /// Files.
    pub storage: Storage,
    reactions: Reactions,
    parts: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl App {
    /// A frame without parts.
    pub fn new(shop: Workshop, cipher: Cipher, storage: Storage) -> Self {
        let Workshop { db, clock, reactions } = shop;
        Self { db, clock, cipher, storage, reactions, parts: HashMap::new() }
    }

    /// The same with a part, which is found by its type.
    #[must_use]
    pub fn with<T: Any + Send + Sync>(mut self, part: T) -> Self {
        self.parts.insert(TypeId::of::<T>(), Box::new(part));
        self
    }

    /// A feature's part.
    ///
    /// # Errors
    /// 500 where the root has forgotten it.
    pub fn part<T: Any>(&self) -> Result<&T> {
        let part = self.parts.get(&TypeId::of::<T>()).and_then(|part| part.downcast_ref());
        part.ok_or_else(|| Error::Internal(format!("the app has no {}", type_name::<T>())))
    }

    /// Begins a unit of work for the account that acts, or for the service itself where there is none.
    pub async fn begin(&self, by: Option<AccountId>) -> Result<Work> {
        self.workshop().begin(by).await
    }

    /// Where units of work begin.
    pub fn workshop(&self) -> Workshop {
        Workshop { db: self.db.clone(), clock: self.clock.clone(), reactions: self.reactions }
    }
}
