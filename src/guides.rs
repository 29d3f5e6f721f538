//! The guides in `docs/`, so that their examples are compiled and run.

#[doc = include_str!("../docs/receiving-callbacks.md")]
mod receiving_callbacks {}
