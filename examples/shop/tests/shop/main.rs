//! The shop from outside: its own process, real sockets, the served simulator, SQLite or PostgreSQL.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap or count fails the test"
)]

mod access;
mod bodies;
mod browser;
mod contract;
mod corrections;
mod curls;
mod database;
mod fleet;
mod forged;
mod forms;
mod logs;
mod monitoring;
mod nasty;
mod openapi;
mod payments;
mod payouts;
mod refunds;
mod schema;
mod start;
mod storm;
mod support;
mod webdriver;
mod wire;
