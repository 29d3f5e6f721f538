//! Names that lead to a server or nowhere, by plan: every new connection asks for its address.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::without_roots;

/// Where one connection leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Road {
    /// To the server.
    Open,
    /// To an address on which nothing listens.
    Refused,
    /// The name has no address.
    Unknown,
}

/// A resolver that follows a plan; what comes beyond it is refused.
#[derive(Clone)]
pub(crate) struct Roads {
    plan: Arc<[Road]>,
    taken: Arc<AtomicUsize>,
}

impl Roads {
    pub(crate) fn new(plan: impl IntoIterator<Item = Road>) -> Self {
        Self { plan: plan.into_iter().collect(), taken: Arc::default() }
    }

    /// How many connections were tried.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// A reqwest builder that opens a connection for every request.
    pub(crate) fn builder(&self) -> impl Fn() -> reqwest::ClientBuilder + Send + Sync + use<> {
        let roads = Arc::new(self.clone());
        move || without_roots().pool_max_idle_per_host(0).dns_resolver(roads.clone())
    }
}

impl Resolve for Roads {
    fn resolve(&self, _: Name) -> Resolving {
        let road = self.plan.get(self.taken.fetch_add(1, Ordering::SeqCst)).copied().unwrap_or(Road::Refused);
        Box::pin(async move {
            let address: SocketAddr = match road {
                Road::Open => ([127, 0, 0, 1], 0).into(),
                // The servers listen on 127.0.0.1 only.
                Road::Refused => ([127, 0, 0, 2], 0).into(),
                Road::Unknown => return Err("no such name".into()),
            };
            Ok(Box::new(std::iter::once(address)) as Addrs)
        })
    }
}
