//! One token for a fleet of processes, by a real Redis server.
//!
//! Each test starts a `redis-server` of its own on loopback, because it stops, kills and spoils it. Where there is none the
//! tests say so and pass, but for `DARAJA_TEST_REDIS=required`. The fleets are real processes: this very program, started
//! again as [`fleet::a_process_of_a_fleet`].

#![expect(clippy::arithmetic_side_effects, clippy::unwrap_used, reason = "a test that panics has failed")]

mod fleet;
mod outages;
mod rubbish;
mod server;
mod shared;
mod tls;
