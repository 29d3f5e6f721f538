//! `Idempotency-Key`: the same request twice is one request.

use aws_lc_rs::digest;
use axum::http::{HeaderMap, StatusCode};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::AnyConnection;

use crate::{
    auth::{User, hex},
    db::{DAY, Db, now},
    reply::{Failure, Reply, Status},
};

/// A request that names itself. Its key counts for one user and one route.
pub(crate) struct Named {
    user: String,
    route: &'static str,
    key: String,
    digest: String,
}

/// What is known of a request that names itself.
pub(crate) enum Seen {
    /// Nothing: it is noted now, as long as the transaction is committed.
    Never,
    /// It was answered.
    Answered(u16, String),
    /// It is under way, or the server died over it: this is what it made.
    UnderWay(String),
}

impl Named {
    /// By the header, if there is one.
    pub(crate) fn read<B: Serialize>(
        headers: &HeaderMap,
        user: &User,
        route: &'static str,
        body: &B,
    ) -> Result<Option<Self>, Failure> {
        let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
        let key = key.to_str().unwrap_or_default().trim();
        if key.is_empty() || key.len() > 200 {
            let message = "Idempotency-Key must have 1 to 200 ASCII characters.";
            return Err(Failure::new(StatusCode::BAD_REQUEST, "INVALID_KEY", message));
        }
        Ok(Some(Self::new(user, route, key, body)))
    }

    pub(crate) fn new<B: Serialize>(user: &User, route: &'static str, key: &str, body: &B) -> Self {
        let bytes = serde_json::to_vec(body).unwrap_or_default();
        let digest = hex(digest::digest(&digest::SHA256, &bytes).as_ref());
        // PostgreSQL's text holds no NUL.
        Self { user: user.id.clone(), route, key: key.replace('\0', " "), digest }
    }

    /// Notes it together with what it makes: in the same transaction.
    pub(crate) async fn begin(&self, tx: &mut AnyConnection, subject: &str) -> Result<Seen, Failure> {
        let noted = sqlx::query(
            "INSERT INTO idempotency (user_id, route, key, digest, subject, at) VALUES ($1, $2, $3, $4, $5, $6)
             ON CONFLICT DO NOTHING",
        )
        .bind(&self.user)
        .bind(self.route)
        .bind(&self.key)
        .bind(&self.digest)
        .bind(subject)
        .bind(now())
        .execute(&mut *tx)
        .await?;
        if noted.rows_affected() == 1 {
            return Ok(Seen::Never);
        }
        let (digest, subject, status, answer): (String, String, Option<i64>, Option<String>) = sqlx::query_as(
            "SELECT digest, subject, status, answer FROM idempotency WHERE user_id = $1 AND route = $2 AND key = $3",
        )
        .bind(&self.user)
        .bind(self.route)
        .bind(&self.key)
        .fetch_one(&mut *tx)
        .await?;
        if digest != self.digest {
            let message = "This Idempotency-Key was used with another body: take a new key for a new request.";
            return Err(Failure::invalid("KEY_REUSED", message));
        }
        match (status.and_then(|status| u16::try_from(status).ok()), answer) {
            (Some(status), Some(answer)) => Ok(Seen::Answered(status, answer)),
            _ => Ok(Seen::UnderWay(subject)),
        }
    }

    /// Notes what was answered.
    pub(crate) async fn finish<T: Serialize>(&self, tx: &mut AnyConnection, reply: &Reply<T>) -> sqlx::Result<()> {
        sqlx::query("UPDATE idempotency SET status = $1, answer = $2 WHERE user_id = $3 AND route = $4 AND key = $5")
            .bind(i64::from(reply.status.0.as_u16()))
            .bind(serde_json::to_string(reply).unwrap_or_default())
            .bind(&self.user)
            .bind(self.route)
            .bind(&self.key)
            .execute(tx)
            .await
            .map(drop)
    }
}

/// The answer that was given before.
pub(crate) fn again<T: DeserializeOwned>(status: u16, answer: &str) -> Result<Reply<T>, Failure> {
    let reply: Reply<T> = serde_json::from_str(answer).map_err(|_| {
        Failure::conflict("IN_FLIGHT", "The first request with this key was answered, but its answer is lost.")
    })?;
    Ok(Reply { status: Status(StatusCode::from_u16(status).unwrap_or(StatusCode::OK)), ..reply })
}

/// The first request with this key is not answered yet.
pub(crate) fn in_flight() -> Failure {
    Failure::conflict("IN_FLIGHT", "The first request with this key is still under way: ask again in a moment.")
        .retry_after(2)
}

/// Forgets keys after a day. Those of money that leaves are kept for good: it must not leave again, however late.
pub(crate) async fn tidy(db: &Db) -> sqlx::Result<()> {
    let mut tx = db.write().await?;
    let day_ago = now().saturating_sub(DAY);
    sqlx::query("DELETE FROM idempotency WHERE at < $1 AND route IN ('orders', 'initiate')")
        .bind(day_ago)
        .execute(&mut *tx)
        .await?;
    tx.commit().await
}
