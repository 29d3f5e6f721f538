//! Explores how the library's callers can interleave: its own sources, with other locks, notifications and time beneath
//! them. See `README.md`.

#[path = "../../../src/stk/budget.rs"]
mod budget;
#[path = "../../../src/clock.rs"]
#[expect(dead_code, reason = "only `after` is used here")]
mod clock;
#[path = "../../../src/webhook/inbox.rs"]
#[expect(dead_code, reason = "what only applications use")]
mod inbox;
#[path = "../../../src/recent.rs"]
mod recent;
#[path = "../../../src/secret.rs"]
#[expect(dead_code, unused_imports, reason = "only the access token is used here")]
mod secret;
#[path = "../../../src/token.rs"]
#[rustfmt::skip] // it would look for `redis` beside it
#[expect(dead_code, reason = "no JSON is read here")]
mod token;

pub mod scenes;
mod stubs;
#[cfg(not(miri))]
mod sync;
#[cfg(miri)]
#[path = "../../../src/sync.rs"]
mod sync;
mod world;

use stubs::{CheckoutRequestId, Event, Reference, StkCallback, config, error, security, transport, value, wire};
