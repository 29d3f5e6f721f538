//! What is asked of the URLs that Daraja is to post to.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicU16, Ordering},
};

use url::Url;

use crate::{Environment, Rules, config::is_private, error::Invalid};

/// What Daraja documents for C2B URLs only is a warning here: such words have been seen to work elsewhere.
const WORDS: [&str; 9] = ["mpesa", "m-pesa", "safaricom", "exec", "exe", "cmd", "sql", "query", "ngrok"];

/// The words that were warned of: once is enough, and a payment service asks a thousand times a day.
static WARNED: AtomicU16 = AtomicU16::new(0);

/// The last host that was warned of, because Safaricom cannot reach it.
static WARNED_OF_HOST: Mutex<String> = Mutex::new(String::new());

pub(crate) fn check(what: &'static str, url: &Url, rules: &Rules) -> Result<(), Invalid> {
    let invalid = |reason: &'static str| Err(Invalid::new(what, reason));
    match url.scheme() {
        "https" => {}
        "http" if !rules.environment().is_production() => {}
        "http" => return invalid("Daraja calls back over https only"),
        _ => return invalid("it must begin with https://"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return invalid("it must hold no user name or password");
    }
    if tracing::enabled!(tracing::Level::WARN) {
        warn_if_unreachable(what, url, rules);
        let lower = url.as_str().to_ascii_lowercase();
        for (place, word) in WORDS.into_iter().enumerate().filter(|(_, word)| lower.contains(word)) {
            let bit = 1 << place;
            if WARNED.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
                tracing::warn!(url = what, word, "this URL holds a word that the Daraja portal warns about");
            }
        }
    }
    Ok(())
}

fn warn_if_unreachable(what: &str, url: &Url, rules: &Rules) {
    let is_safaricom = matches!(rules.environment(), Environment::Sandbox | Environment::Production);
    let Some(host) = url.host_str().filter(|_| is_safaricom && is_private(url)) else { return };
    let mut warned = WARNED_OF_HOST.lock().unwrap_or_else(PoisonError::into_inner);
    if *warned != host {
        host.clone_into(&mut warned);
        tracing::warn!(
            url = what,
            host,
            "Safaricom cannot reach this URL: it is on this machine or its network, so use a tunnel"
        );
    }
}
