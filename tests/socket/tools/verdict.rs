//! How a verdict is written down, so that a table can hold it as text.
//!
//! The error is its variants from the outside in, such as `Unknown(Transport(Timeout))`, `Token(Api(400 400.008.01))` or
//! `Decode(403)`; what it means is one word: `done`, `unknown`, `retryable` or `final`.

use std::error::Error as StdError;

use daraja::{Error, Result};

pub(crate) fn told<T>(result: &Result<T>) -> String {
    result.as_ref().map_or_else(variants, |_| "Ok".to_owned())
}

pub(crate) fn means<T>(result: &Result<T>) -> &'static str {
    let Err(error) = result else { return "done" };
    match (error.outcome_unknown(), error.is_retryable()) {
        (true, false) => "unknown",
        (false, true) => "retryable",
        (false, false) => "final",
        (true, true) => "unknown and retryable at once",
    }
}

fn variants(error: &Error) -> String {
    match error {
        Error::Unknown(inner) => format!("Unknown({})", variants(inner)),
        Error::Token(inner) => format!("Token({})", variants(inner)),
        Error::Transport(error) => format!("Transport({:?})", error.kind()),
        Error::Decode(error) => format!("Decode({})", error.status().map_or(0, |status| status.as_u16())),
        Error::Api(error) => match error.code() {
            Some(code) => format!("Api({} {code})", error.status().as_u16()),
            None => format!("Api({})", error.status().as_u16()),
        },
        Error::StillPending(_) => "StillPending".to_owned(),
        other => format!("{other:?}"),
    }
}

/// What the error says, at every level.
pub(crate) fn words<T>(result: &Result<T>) -> String {
    let mut words = String::new();
    let mut next = result.as_ref().err().map(|error| error as &dyn StdError);
    while let Some(error) = next {
        words.push_str(&error.to_string());
        words.push_str(" | ");
        next = error.source();
    }
    words
}
