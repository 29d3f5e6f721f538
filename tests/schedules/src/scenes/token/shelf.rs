//! A store of tokens that processes share, with claims.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use crate::{
    clock::after,
    secret::AccessToken,
    sync::Instant,
    token::{StoreError, StoredToken, TokenKey, TokenStore},
    transport::BoxFuture,
    world::yield_now,
};

/// What is in the store.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    token: Option<(AccessToken, Instant)>,
    /// Who has the claim, and until when.
    claim: Option<(usize, Instant)>,
}

/// One process's way to it.
struct Access {
    shelf: Shelf,
    process: usize,
}

impl Shelf {
    pub(super) fn of(&self, process: usize) -> Box<dyn TokenStore> {
        Box::new(Access { shelf: self.clone(), process })
    }

    async fn reach(&self) -> MutexGuard<'_, Kept> {
        yield_now().await;
        self.0.lock().expect("no panic within")
    }
}

impl Kept {
    fn release(&mut self, process: usize) {
        self.claim.take_if(|(owner, _)| *owner == process);
    }
}

impl TokenStore for Access {
    fn load<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        Box::pin(async {
            let kept = self.shelf.reach().await;
            let left = |ends: &Instant| ends.saturating_duration_since(Instant::now());
            Ok(kept.token.as_ref().map(|(token, ends)| StoredToken::new(token.clone(), left(ends))))
        })
    }

    fn save<'a>(&'a self, _: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            let mut kept = self.shelf.reach().await;
            kept.token = Some((token.token.clone(), after(Instant::now(), token.life)));
            kept.release(self.process);
            Ok(())
        })
    }

    fn claim<'a>(&'a self, _: &'a TokenKey, lease: Duration) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let mut kept = self.shelf.reach().await;
            let now = Instant::now();
            let is_free = kept.claim.is_none_or(|(owner, ends)| owner == self.process || ends <= now);
            if is_free {
                kept.claim = Some((self.process, after(now, lease)));
            }
            Ok(is_free)
        })
    }

    fn release<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async {
            self.shelf.reach().await.release(self.process);
            Ok(())
        })
    }
}
