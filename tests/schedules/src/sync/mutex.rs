//! tokio's `Mutex`: first come, first served.

use std::{
    ops::{Deref, DerefMut},
    sync::{Mutex, PoisonError},
};

use shuttle::future::batch_semaphore::{BatchSemaphore, Fairness, TryAcquireError};

use super::Arc;

/// The value is in here, or with the guard.
pub(crate) struct AsyncMutex<T> {
    permit: BatchSemaphore,
    value: Mutex<Option<T>>,
}

pub(crate) struct OwnedMutexGuard<T> {
    mutex: Arc<AsyncMutex<T>>,
    value: Option<T>,
}

const HELD: &str = "who has the permit has the value";

impl<T: Default> Default for AsyncMutex<T> {
    fn default() -> Self {
        Self { permit: BatchSemaphore::new(1, Fairness::StrictlyFair), value: Mutex::new(Some(T::default())) }
    }
}

impl<T> AsyncMutex<T> {
    pub(crate) async fn lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        self.permit.acquire(1).await.expect("it is never closed");
        self.guard()
    }

    pub(crate) fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryAcquireError> {
        self.permit.try_acquire(1)?;
        Ok(self.guard())
    }

    fn guard(self: Arc<Self>) -> OwnedMutexGuard<T> {
        let value = self.value.lock().unwrap_or_else(PoisonError::into_inner).take();
        assert!(value.is_some(), "{HELD}");
        OwnedMutexGuard { mutex: self, value }
    }
}

impl<T> Deref for OwnedMutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect(HELD)
    }
}

impl<T> DerefMut for OwnedMutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect(HELD)
    }
}

impl<T> Drop for OwnedMutexGuard<T> {
    fn drop(&mut self) {
        *self.mutex.value.lock().unwrap_or_else(PoisonError::into_inner) = self.value.take();
        self.mutex.permit.release(1);
    }
}
