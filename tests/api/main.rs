//! The library from its user's side, without a socket: a module per part.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "what a test's helper cannot unwrap or count fails the test"
)]
#![expect(clippy::unnecessary_literal_bound, reason = "operations are written as users write them")]

mod b2c;
mod b2c_result;
mod c2b;
mod cancellation;
mod check;
mod config;
mod costs;
mod events;
mod expectations;
mod formats;
mod held;
mod histories;
mod hostile;
mod initiated;
mod journal;
mod kinds;
mod log_events;
mod not_after;
mod numbers;
mod payout;
mod payout_doubts;
mod payout_reports;
mod payout_walk;
mod product;
mod purposes;
mod queue_timeout;
mod receiver;
mod result_codes;
mod result_kinds;
mod results;
mod retry;
mod review;
mod secrets;
mod security;
mod signed_urls;
mod simulator;
mod simulator_payouts;
mod simulator_phone;
mod sources;
mod stk_callback;
mod stk_push;
mod stk_query;
mod stress;
mod support;
mod token;
mod troubleshooting;
mod wait;
