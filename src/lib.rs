//! Knead: booking massages at home. No visit is double-booked, and none is booked with a therapist who may not practise
//! at that place on that day.
#![cfg_attr(test, expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails"))]

pub mod accounts;
mod app;
pub mod audit;
pub mod auth;
pub mod availability;
pub mod blocks;
pub mod bookings;
pub mod calendars;
pub mod care;
pub mod catalogue;
pub mod cipher;
pub mod clock;
pub mod config;
pub mod conversations;
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
pub mod inspection;
pub mod messages;
pub mod notices;
pub mod openapi;
pub mod outbound;
pub mod people;
pub mod personal;
pub mod postgres;
pub mod prices;
pub mod privacy;
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
pub mod treatments;
pub mod values;
pub mod worker;

pub use app::App;

/// Brings the schema, and that of the job queue, up to date. May run twice and beside a running service.
pub async fn migrate(url: &str) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    db::migrate(url).await?;
    let pool = db::migrating_pool(url).await?;
    queue::migrate(&pool).await?;
    pool.close().await;
    Ok(())
}
