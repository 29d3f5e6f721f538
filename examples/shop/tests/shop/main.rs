//! The shop from outside: its own process, real sockets, the served simulator, SQLite or PostgreSQL.

mod database;
mod payments;
mod payouts;
mod refunds;
mod support;
