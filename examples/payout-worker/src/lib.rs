//! A worker that takes payouts from step to step, and the book that it stores them in.

#![expect(
    missing_docs,
    clippy::missing_errors_doc,
    reason = "the README shows worker.rs, where a line more is one too many"
)]

mod book;
mod worker;

pub use book::{Book, BookError};
pub use worker::Worker;
