//! The service as its users meet it: over HTTP, against a real PostgreSQL, with the clock in the test's hand.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod accounts;
mod after_visit;
mod audit;
mod blocks;
mod bookings;
mod catalogue;
mod commands;
mod consequences;
mod credentials;
mod disclosure;
mod document;
mod documents;
mod failures;
mod holds;
mod idempotency;
mod manners;
mod postgres;
mod races;
mod reminders;
mod reviews;
mod rosters;
mod rules;
mod schedule;
mod sealing;
mod slots;
mod storage;
mod support;
mod tasks;
mod therapists;
