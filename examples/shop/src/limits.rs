//! How often a client, a phone or a log-in may come. Daraja's callbacks are never limited.

use std::{net::IpAddr, num::NonZeroU32};

use axum::{
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use daraja::{Msisdn, webhook::Delivery};
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::DashMapStateStore,
};

use crate::{app::App, config::Rules, reply::Failure};

type Limiter<K> = RateLimiter<K, DashMapStateStore<K>, DefaultClock>;

/// One server's limits.
pub(crate) struct Limits {
    clients: Limiter<IpAddr>,
    log_ins: Limiter<IpAddr>,
    phones: Limiter<Msisdn>,
    clock: DefaultClock,
}

impl Limits {
    pub(crate) fn new(rules: &Rules) -> Self {
        Self {
            clients: per_minute(rules.client_rate),
            log_ins: per_minute(rules.login_rate),
            phones: per_minute(rules.phone_rate),
            clock: DefaultClock::default(),
        }
    }

    /// Before a prompt rings: nobody is to be pestered.
    pub(crate) fn phone(&self, number: Msisdn) -> Result<(), Failure> {
        self.check(&self.phones, &number, "PHONE_LIMIT", "This phone was asked too often: wait a little.")
    }

    pub(crate) fn log_in(&self, client: IpAddr) -> Result<(), Failure> {
        self.check(&self.log_ins, &client, "LOGIN_LIMIT", "Too many log-ins: wait a little.")
    }

    /// Forgets who has not come for a while.
    pub(crate) fn tidy(&self) {
        self.clients.retain_recent();
        self.log_ins.retain_recent();
        self.phones.retain_recent();
    }

    fn check<K: std::hash::Hash + Eq + Clone>(
        &self,
        limiter: &Limiter<K>,
        key: &K,
        code: &'static str,
        message: &'static str,
    ) -> Result<(), Failure> {
        limiter.check_key(key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.clock.now());
            Failure::new(StatusCode::TOO_MANY_REQUESTS, code, message).retry_after(wait.as_secs().saturating_add(1))
        })
    }
}

fn per_minute<K: std::hash::Hash + Eq + Clone>(count: u32) -> Limiter<K> {
    RateLimiter::keyed(Quota::per_minute(NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)))
}

/// Whose request it is: the address behind our own proxies, by the same rule as for callbacks.
pub(crate) fn client_of(app: &App, request: &Request) -> Option<IpAddr> {
    let ConnectInfo(peer) = request.extensions().get::<ConnectInfo<std::net::SocketAddr>>()?;
    let delivery = Delivery::new(peer.ip(), "", &[]).headers(request.headers());
    app.daraja.receiver.client_of(&delivery).map(|address| match address {
        // Who has one address of these has all of the network's.
        IpAddr::V6(address) => IpAddr::from((address.to_bits() >> 64 << 64).to_be_bytes()),
        IpAddr::V4(_) => address,
    })
}

/// In front of all routes but the callbacks.
pub(crate) async fn limit(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let Some(client) = client_of(&app, &request) else {
        let message = "It cannot be told who is asking.";
        return Failure::new(StatusCode::FORBIDDEN, "NO_ADDRESS", message).into_response();
    };
    request.extensions_mut().insert(Client(client));
    let passed = app.limits.check(&app.limits.clients, &client, "CLIENT_LIMIT", "Too many requests: wait a little.");
    match passed {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    }
}

/// The address of whoever is asking.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Client(pub(crate) IpAddr);
