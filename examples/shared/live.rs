//! What the live paths share: settings of the environment or of `./.env`, and words for what went wrong.

use std::{collections::HashMap, error::Error};

use daraja::{Client, Environment, Settings};

use crate::screen::row;

pub(crate) const NOTHING_SENT: u8 = 2;

/// The settings of the environment; what it lacks is read from `./.env`.
pub(crate) fn settings() -> Result<Settings, Box<dyn Error>> {
    let file = dotenv()?;
    Ok(Settings::from_lookup(|name| std::env::var(name).ok().or_else(|| file.get(name).cloned()))?)
}

/// Reads `./.env` of this very folder, if there is one. An error shows no line of it: it may hold a secret.
fn dotenv() -> Result<HashMap<String, String>, &'static str> {
    let problem = |error: dotenvy::Error| match error {
        dotenvy::Error::LineParse(..) => "./.env holds a line that is not NAME=value",
        _ => "./.env cannot be read",
    };
    match dotenvy::from_path_iter(".env") {
        Ok(lines) => lines.collect::<Result<_, _>>().map_err(problem),
        Err(error) if error.not_found() => Ok(HashMap::new()),
        Err(error) => Err(problem(error)),
    }
}

/// Says where the money is.
pub(crate) fn introduce(client: &Client) {
    let environment = client.environment();
    match environment {
        Environment::Custom(_) if environment.is_production() => row("environment", "production, by a gateway"),
        Environment::Custom(_) => row("environment", "custom"),
        named => row("environment", named),
    }
    row("base URL", environment.base_url());
}

/// What to do about an error after which provably nothing was carried out.
pub(crate) fn what_to_do(error: &daraja::Error) -> String {
    match (error.is_retryable(), error.retry_after()) {
        (true, Some(pause)) => format!("nothing was carried out; try again after {} s", pause.as_secs()),
        (true, None) => "nothing was carried out; try again a little later".to_owned(),
        (false, _) => "nothing was carried out; put the cause right first, or the same will happen again".to_owned(),
    }
}
