//! Who is asking: passwords, tokens, roles, and the sessions of pages.

use std::sync::{Arc, LazyLock};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use aws_lc_rs::hmac;
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, StatusCode, header::AUTHORIZATION, header::COOKIE, request::Parts},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind};
use serde::{Deserialize, Serialize};
use tokio::{sync::Semaphore, task::spawn_blocking};
use utoipa::ToSchema;

use crate::{
    app::App,
    db::{Db, new_id, now},
    reply::Failure,
    suppliers::audit,
};

/// How long a token or a page's session lasts, in seconds.
pub(crate) const LIFE: i64 = 3_600;
/// The cookie of a page's session.
pub(crate) const SESSION: &str = "shop_session";
/// The cookie of somebody who has not logged in yet: the log-in form is nobody else's either.
pub(crate) const GUEST: &str = "shop_guest";
/// Hashing a password takes memory and time on purpose: not many at once.
static HASHING: Semaphore = Semaphore::const_new(2);

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// Orders and pays.
    Customer,
    /// Pays suppliers, gives money back, and sees everything.
    Admin,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Admin => "admin",
        }
    }

    fn read(word: &str) -> Self {
        if word == Self::Admin.as_str() { Self::Admin } else { Self::Customer }
    }
}

/// Whoever sent a valid token.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) role: Role,
    /// The id of the token or session.
    pub(crate) session: String,
}

/// A user who is an admin.
#[derive(Debug, Clone)]
pub(crate) struct Admin(pub(crate) User);

impl User {
    pub(crate) fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }
}

/// What a token is for: the one of a page's cookie is of no use as a bearer, and the other way round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Api,
    Page,
}

impl Audience {
    fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Page => "page",
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    role: Role,
    aud: String,
    jti: String,
    iat: i64,
    exp: i64,
}

/// Makes and checks tokens. Clones share the secret.
#[derive(Clone)]
pub(crate) struct Tokens {
    keys: Arc<Keys>,
}

struct Keys {
    signs: EncodingKey,
    verifies: DecodingKey,
    forms: hmac::Key,
}

impl Tokens {
    pub(crate) fn new(secret: &str) -> Self {
        let forms = hmac::Key::new(hmac::HMAC_SHA256, format!("forms:{secret}").as_bytes());
        let (signs, verifies) =
            (EncodingKey::from_secret(secret.as_bytes()), DecodingKey::from_secret(secret.as_bytes()));
        Self { keys: Arc::new(Keys { signs, verifies, forms }) }
    }

    pub(crate) fn issue(&self, id: &str, role: Role, audience: Audience) -> Result<String, Failure> {
        let iat = now() / 1_000;
        let exp = iat.saturating_add(LIFE);
        let claims = Claims { sub: id.to_owned(), role, aud: audience.as_str().to_owned(), jti: new_id(), iat, exp };
        encode(&Header::new(Algorithm::HS256), &claims, &self.keys.signs)
            .map_err(|_| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "TRY_AGAIN", "No token could be made."))
    }

    pub(crate) fn check(&self, token: &str, audience: Audience) -> Result<User, Failure> {
        let mut rules = Validation::new(Algorithm::HS256);
        rules.leeway = 0;
        rules.set_audience(&[audience.as_str()]);
        rules.set_required_spec_claims(&["exp", "aud", "sub"]);
        let refuse = |code, message| Failure::new(StatusCode::UNAUTHORIZED, code, message);
        match decode::<Claims>(token, &self.keys.verifies, &rules) {
            Ok(token) => Ok(User { id: token.claims.sub, role: token.claims.role, session: token.claims.jti }),
            Err(error) if *error.kind() == ErrorKind::ExpiredSignature => {
                Err(refuse("TOKEN_EXPIRED", "Your log-in has expired: log in again."))
            }
            Err(_) => Err(refuse("TOKEN_INVALID", "This token is not valid: log in again.")),
        }
    }

    /// The token that a session's forms carry: nobody else can know it.
    pub(crate) fn form_token(&self, session: &str) -> String {
        hex(hmac::sign(&self.keys.forms, session.as_bytes()).as_ref())
    }

    pub(crate) fn check_form(&self, session: &str, given: &str) -> Result<(), Failure> {
        let expected = self.form_token(session);
        let same = aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), given.as_bytes());
        same.map_err(|_| {
            Failure::new(StatusCode::FORBIDDEN, "FORM_EXPIRED", "This form is too old: load the page again.")
        })
    }
}

impl User {
    /// As the database knows it now, with the email address: a token outlives neither its user nor the user's role.
    pub(crate) async fn still(self, db: &Db) -> sqlx::Result<Option<(Self, String)>> {
        let found: Option<(String, String)> = sqlx::query_as("SELECT role, email FROM users WHERE id = $1")
            .bind(&self.id)
            .fetch_optional(db.pool())
            .await?;
        Ok(found.map(|(role, email)| (Self { role: Role::read(&role), ..self }, email)))
    }
}

impl FromRequestParts<App> for User {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token =
            header.and_then(|value| value.split_once(' ')).filter(|(kind, _)| kind.eq_ignore_ascii_case("bearer"));
        let Some((_, token)) = token else {
            let message = "Log in first, and send the token: Authorization: Bearer …";
            return Err(Failure::new(StatusCode::UNAUTHORIZED, "TOKEN_MISSING", message));
        };
        let user = app.tokens.check(token.trim(), Audience::Api)?;
        user.still(&app.db).await?.map(|(user, _)| user).ok_or_else(|| {
            Failure::new(StatusCode::UNAUTHORIZED, "TOKEN_INVALID", "This token is nobody's any more: log in again.")
        })
    }
}

impl FromRequestParts<App> for Admin {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        User::from_request_parts(parts, app).await.and_then(Self::of)
    }
}

impl Admin {
    pub(crate) fn of(user: User) -> Result<Self, Failure> {
        if user.is_admin() {
            return Ok(Self(user));
        }
        Err(Failure::new(StatusCode::FORBIDDEN, "ADMINS_ONLY", "Only an admin may do this."))
    }
}

/// A cookie of this name.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Bytes as text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes whatever is written.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A hash of a password to store.
pub(crate) async fn hash(password: String) -> Result<String, Failure> {
    let _turn = HASHING.acquire().await;
    let hash =
        spawn_blocking(move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()));
    hash.await
        .ok()
        .and_then(Result::ok)
        .ok_or_else(|| Failure::new(StatusCode::SERVICE_UNAVAILABLE, "TRY_AGAIN", "The password could not be stored."))
}

async fn verify(password: String, hash: String) -> bool {
    let _turn = HASHING.acquire().await;
    let same = move || {
        let hash = PasswordHash::new(&hash).ok()?;
        Argon2::default().verify_password(password.as_bytes(), &hash).ok()
    };
    spawn_blocking(same).await.ok().flatten().is_some()
}

/// The hash of no password: looking up somebody who does not exist takes as long as a wrong password.
static NOBODY: LazyLock<String> = LazyLock::new(|| {
    Argon2::default().hash_password(new_id().as_bytes()).map(|hash| hash.to_string()).unwrap_or_default()
});

/// Somebody's id and role by email address and password.
pub(crate) async fn log_in(db: &Db, email: &str, password: &str) -> Result<(String, Role), Failure> {
    // PostgreSQL's text holds no NUL.
    let email = email.trim().to_lowercase().replace('\0', " ");
    let found: Option<(String, String, String)> =
        sqlx::query_as("SELECT id, role, password_hash FROM users WHERE email = $1")
            .bind(email)
            .fetch_optional(db.pool())
            .await?;
    let hash = found.as_ref().map_or_else(|| NOBODY.clone(), |(_, _, hash)| hash.clone());
    let same = verify(password.to_owned(), hash).await;
    match found {
        Some((id, role, _)) if same => {
            let role = Role::read(&role);
            tracing::info!(event = "login.succeeded", user = id, "logged in");
            Ok((id, role))
        }
        _ => {
            tracing::warn!(event = "login.failed", "a log-in failed");
            let message = "Email address or password is wrong.";
            Err(Failure::new(StatusCode::UNAUTHORIZED, "WRONG_PASSWORD", message))
        }
    }
}

/// Adds somebody whom no admin made. `false` if the address is taken.
pub(crate) async fn add_user(db: &Db, id: &str, email: &str, password: &str, role: Role) -> Result<bool, Failure> {
    add_made_by(db, id, email, password, role, None).await
}

/// Adds somebody, and notes the admin who did. `false` if the address is taken.
pub(crate) async fn add_made_by(
    db: &Db,
    id: &str,
    email: &str,
    password: &str,
    role: Role,
    maker: Option<&Admin>,
) -> Result<bool, Failure> {
    let hash = hash(password.to_owned()).await?;
    let mut tx = db.write().await?;
    let added = sqlx::query(
        "INSERT INTO users (id, email, password_hash, role, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING",
    )
    .bind(id)
    .bind(email.trim().to_lowercase())
    .bind(hash)
    .bind(role.as_str())
    .bind(maker.map(|maker| &maker.0.id))
    .bind(now())
    .execute(&mut *tx)
    .await?;
    if let (Some(maker), 1) = (maker, added.rows_affected()) {
        audit(&mut tx, &maker.0, "admin.added", id, None, None, "added by an admin").await?;
    }
    tx.commit().await?;
    Ok(added.rows_affected() == 1)
}
