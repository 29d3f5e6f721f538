//! A database for each test: SQLite in a file, or PostgreSQL where the tests are told of a server.

use daraja::Timestamp;
use sqlx::{AnyConnection, Connection, any::install_default_drivers};
use tempfile::TempDir;

/// A database that is empty at first.
pub(crate) struct Database {
    url: String,
    kind: Kind,
}

enum Kind {
    Sqlite { _folder: TempDir },
    Postgres { server: String, name: String },
}

impl Database {
    pub(crate) async fn fresh() -> Self {
        install_default_drivers();
        let Ok(server) = std::env::var("SHOP_TEST_POSTGRES") else {
            let folder = tempfile::tempdir().unwrap();
            let url = format!("sqlite://{}", folder.path().join("shop.db").display());
            return Self { url, kind: Kind::Sqlite { _folder: folder } };
        };
        let name = format!("shop_{}", uuid::Uuid::new_v4().simple());
        execute(&server, format!("CREATE DATABASE {name}")).await;
        let (before, _) = server.rsplit_once('/').expect("a URL that ends in a database's name");
        Self { url: format!("{before}/{name}"), kind: Kind::Postgres { server, name } }
    }

    /// Whether several servers can be on it.
    pub(crate) fn is_shared() -> bool {
        std::env::var_os("SHOP_TEST_POSTGRES").is_some()
    }

    pub(crate) async fn connect(&self) -> AnyConnection {
        AnyConnection::connect(&self.url).await.unwrap()
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) async fn remove(self) {
        if let Kind::Postgres { server, name } = self.kind {
            execute(&server, format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }

    /// One number.
    pub(crate) async fn value(&self, sql: &'static str) -> i64 {
        let mut connection = AnyConnection::connect(&self.url).await.unwrap();
        let (value,): (i64,) = sqlx::query_as(sql).fetch_one(&mut connection).await.unwrap();
        connection.close().await.unwrap();
        value
    }

    /// Lets time pass for payouts: what they have stored of it is moved into the past.
    pub(crate) async fn age_payouts(&self, seconds: i64) {
        let mut connection = AnyConnection::connect(&self.url).await.unwrap();
        let rows: Vec<(String, String)> =
            sqlx::query_as("SELECT id, payout FROM payouts").fetch_all(&mut connection).await.unwrap();
        for (id, payout) in rows {
            let mut aged: serde_json::Value = serde_json::from_str(&payout).unwrap();
            for name in ["due", "first_sent_at"] {
                if let Some(text) = aged[name].as_str() {
                    aged[name] = earlier(text, seconds).into();
                }
            }
            // What has happened to it meanwhile is not undone.
            let changed = sqlx::query("UPDATE payouts SET payout = $1, due_at = 0 WHERE id = $2 AND payout = $3");
            changed.bind(aged.to_string()).bind(id).bind(payout).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        execute(&self.url, sql.to_owned()).await;
    }
}

async fn execute(url: &str, sql: String) {
    let mut connection = AnyConnection::connect(url).await.unwrap();
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

fn earlier(digits: &str, seconds: i64) -> String {
    let time: Timestamp = digits.parse().unwrap();
    let earlier = time.to_datetime() - chrono::TimeDelta::seconds(seconds);
    Timestamp::try_from(earlier.to_utc()).unwrap().to_string()
}
