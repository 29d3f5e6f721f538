//! The library from its user's side, without a socket: a module per part.

#![expect(clippy::unwrap_used, reason = "what a test's helper cannot unwrap fails the test")]

mod config;
mod retry;
mod secrets;
mod simulator;
mod stk_callback;
mod stk_push;
mod stk_query;
mod support;
mod token;
mod wait;
