//! Daraja's access token, in the database: one for all servers, since a new one voids the one before.

use std::time::Duration;

use daraja::{
    secret::AccessToken,
    token::{StoreError, StoredToken, TokenKey, TokenStore},
    transport::BoxFuture,
};
use uuid::Uuid;

use crate::db::{Db, millis, now};

/// The table `access_tokens`. A token dies within the hour, so backups hold none of use.
pub(crate) struct SharedToken {
    db: Db,
    /// Tells this server's claims from those of others.
    claimant: String,
}

impl SharedToken {
    pub(crate) fn new(db: Db) -> Self {
        Self { db, claimant: Uuid::new_v4().to_string() }
    }
}

impl TokenStore for SharedToken {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<StoredToken>, StoreError>> {
        Box::pin(async move {
            let found: Option<(Option<String>, i64)> =
                sqlx::query_as("SELECT token, expires_at FROM access_tokens WHERE app = $1")
                    .bind(app(key))
                    .fetch_optional(self.db.pool())
                    .await?;
            Ok(found.and_then(|(token, expires_at)| {
                let life = Duration::from_millis(expires_at.saturating_sub(now()).try_into().unwrap_or_default());
                Some(StoredToken::new(AccessToken::new(token?), life))
            }))
        })
    }

    fn save<'a>(&'a self, key: &'a TokenKey, token: &'a StoredToken) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut tx = self.db.write().await?;
            // Whoever finds that it is refused may fetch the next one at once.
            sqlx::query(
                "INSERT INTO access_tokens (app, token, expires_at, claimed_until, claimed_by) VALUES ($1, $2, $3, 0, '')
                 ON CONFLICT (app) DO UPDATE SET token = $2, expires_at = $3, claimed_until =
                    CASE WHEN access_tokens.claimed_by = $4 THEN 0 ELSE access_tokens.claimed_until END",
            )
            .bind(app(key))
            .bind(token.token.expose())
            .bind(now().saturating_add(millis(token.life)))
            .bind(&self.claimant)
            .execute(&mut *tx)
            .await?;
            Ok(tx.commit().await?)
        })
    }

    fn claim<'a>(&'a self, key: &'a TokenKey, lease: Duration) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let now = now();
            let mut tx = self.db.write().await?;
            let claimed = sqlx::query(
                "INSERT INTO access_tokens (app, expires_at, claimed_until, claimed_by) VALUES ($1, 0, $2, $4)
                 ON CONFLICT (app) DO UPDATE SET claimed_until = $2, claimed_by = $4
                 WHERE access_tokens.claimed_until <= $3 OR access_tokens.claimed_by = $4",
            )
            .bind(app(key))
            .bind(now.saturating_add(millis(lease)))
            .bind(now)
            .bind(&self.claimant)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
            Ok(claimed.rows_affected() == 1)
        })
    }

    fn release<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut tx = self.db.write().await?;
            sqlx::query("UPDATE access_tokens SET claimed_until = 0 WHERE app = $1 AND claimed_by = $2")
                .bind(app(key))
                .bind(&self.claimant)
                .execute(&mut *tx)
                .await?;
            Ok(tx.commit().await?)
        })
    }
}

/// One app in one environment.
fn app(key: &TokenKey) -> String {
    format!("{} {}", key.environment(), key.consumer_key())
}
