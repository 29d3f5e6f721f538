//! A worker that takes payouts from step to step, and the book that it stores them in.

#![expect(missing_docs, reason = "worker.rs is shown by the README, where a line more is a line too many")]

mod book;
mod worker;

pub use book::{Book, BookError};
pub use worker::Worker;
