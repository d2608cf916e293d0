//! Knead: booking massages at home. No visit is double-booked, and none is booked with a therapist who may not practise
//! at that place on that day.
#![cfg_attr(test, expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails"))]

pub mod accounts;
pub mod audit;
pub mod auth;
pub mod availability;
pub mod blocks;
pub mod bookings;
pub mod calendars;
pub mod catalogue;
pub mod cipher;
pub mod clock;
pub mod config;
pub mod credentials;
pub mod db;
pub mod demo;
pub mod dev;
pub mod doors;
pub mod error;
pub mod events;
pub mod health;
pub mod http;
pub mod idempotency;
pub mod ids;
pub mod notices;
pub mod openapi;
pub mod postgres;
pub mod prices;
pub mod queue;
pub mod reviews;
pub mod rosters;
pub mod seals;
pub mod search;
pub mod server;
pub mod session_notes;
pub mod storage;
pub mod tasks;
pub mod therapists;
pub mod values;
pub mod worker;

use sqlx::PgPool;

use error::Result;
use events::{Reactions, Work, Workshop};
use ids::AccountId;

/// What every operation works with.
pub struct App {
    /// The database.
    pub db: PgPool,
    /// The time.
    pub clock: clock::Clock,
    /// Who reacts to what is announced.
    pub reactions: Reactions,
    /// Access tokens.
    pub tokens: auth::Tokens,
    /// The keys that sign the audit and verify it.
    pub audit_keys: audit::Keys,
    /// Text that is kept sealed.
    pub cipher: cipher::Cipher,
    /// Passwords.
    pub passwords: auth::Passwords,
    /// Limits on callers.
    pub limits: http::RateLimits,
    /// Files.
    pub storage: storage::Storage,
    /// Gets calendars elsewhere.
    pub fetcher: calendars::Fetcher,
    /// Looks at documents that are handed in.
    pub inspector: credentials::documents::Inspector,
    /// Road times.
    pub roads: availability::travel::Roads,
    /// What one client may have ahead.
    pub bounds: bookings::bounds::Bounds,
    /// The searches that are under way.
    pub searches: search::Searches,
    /// What searches read before.
    pub known: search::Known,
}

impl App {
    /// Begins a unit of work for the account that acts, or for the service itself where there is none.
    pub async fn begin(&self, by: Option<AccountId>) -> Result<Work> {
        self.workshop().begin(by).await
    }

    /// Where units of work begin.
    pub fn workshop(&self) -> Workshop {
        Workshop { db: self.db.clone(), clock: self.clock.clone(), reactions: self.reactions }
    }
}

/// Brings the schema, and that of the job queue, up to date. May run twice and beside a running service.
pub async fn migrate(url: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    db::migrate(url).await?;
    let pool = db::migrating_pool(url).await?;
    queue::migrate(&pool).await?;
    pool.close().await;
    Ok(())
}
