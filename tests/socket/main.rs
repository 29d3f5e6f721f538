//! Everything that needs a real connection, on loopback ports of the system's choosing.
//!
//! The servers here are cut, stalled and made to answer nonsense; what they counted is compared with what the client says.
//! Every expected verdict is literal data in a table: see [`tools::verdict`] for how one is written down.

#![expect(clippy::arithmetic_side_effects, reason = "a test that overflows has failed")]

mod answers;
mod cancellation;
mod chaos;
mod cuts;
mod load;
mod payouts;
mod roots;
mod runtimes;
mod sequences;
mod simulator_clients;
mod stopped;
mod strays;
mod token;
mod tools;
mod wire;
