//! The pages that people see in a browser.

use std::collections::HashMap;

use askama::Template;
use axum::{
    Router,
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::{
    app::App,
    auth::{self, Admin, Audience, GUEST, Role, SESSION, User},
    db::new_id,
    demo,
    limits::Client,
    reply::Failure,
};

mod admin;
mod checkout;
mod money_back;
mod money_out;
mod phone;
mod receipts;
pub(crate) mod views;
mod words;

use views::{
    Contact, Field, Notice, Shell, Tone, Visitor,
    account::{DemoUser, ErrorPage, LoginPage, Trouble},
};

/// The cookie that opens the demo's phone.
const PHONE_KEY: &str = "shop_phone";

/// Every page, and what they are styled and moved by.
pub(crate) fn routes() -> Router<App> {
    let file =
        |kind: &'static str, text: &'static str| get(move || async move { ([(header::CONTENT_TYPE, kind)], text) });
    let files = Router::new()
        .route("/static/app.css", file("text/css; charset=utf-8", views::APP_CSS))
        .route("/static/app.js", file("text/javascript; charset=utf-8", views::APP_JS))
        .layer(SetResponseHeaderLayer::overriding(header::CACHE_CONTROL, HeaderValue::from_static("max-age=300")));
    Router::new()
        .route("/", get(home))
        .route("/favicon.ico", get(|| async { StatusCode::NO_CONTENT }))
        .route("/login", get(login_form).post(log_in))
        .route("/logout", post(log_out))
        .merge(checkout::routes())
        .merge(admin::routes())
        .merge(money_back::routes())
        .merge(money_out::routes())
        .merge(phone::routes())
        .merge(receipts::routes())
        .merge(files)
}

/// Somebody who looks at a page.
pub(crate) struct Visit {
    pub(crate) app: App,
    user: Option<User>,
    email: String,
    /// What forms are signed for: the session, or the guest's cookie.
    session: String,
    /// Where to go on after a log-in.
    path: String,
    /// The key of the demo's phone, if the browser has it.
    phone_key: String,
    notice: Option<(Tone, &'static str)>,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let token = auth::cookie(&parts.headers, SESSION).unwrap_or_default();
        let user = app.tokens.check(token, Audience::Page).ok();
        let guest = || auth::cookie(&parts.headers, GUEST).map_or_else(new_id, str::to_owned);
        let session = user.as_ref().map_or_else(guest, |user| user.session.clone());
        // Whoever was removed since is nobody.
        let (user, email) = match user {
            Some(user) => user.still(&app.db).await?.unzip(),
            None => (None, None),
        };
        Ok(Self {
            app: app.clone(),
            user,
            email: email.unwrap_or_default(),
            session,
            path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
            phone_key: auth::cookie(&parts.headers, PHONE_KEY).unwrap_or_default().to_owned(),
            notice: parts.uri.query().and_then(words::notice),
        })
    }
}

impl Visit {
    pub(crate) fn user(&self) -> Result<&User, Failure> {
        let message = "Log in first.";
        self.user.as_ref().ok_or_else(|| Failure::new(StatusCode::UNAUTHORIZED, "TOKEN_MISSING", message))
    }

    pub(crate) fn admin(&self) -> Result<Admin, Failure> {
        self.user().cloned().and_then(Admin::of)
    }

    pub(crate) fn shell(&self) -> Shell {
        Shell {
            shop: self.app.identity.name.clone(),
            demo: self.app.demo.is_some(),
            csrf: self.app.tokens.form_token(&self.session),
            visitor: match &self.user {
                None => Visitor::Nobody,
                Some(user) if user.is_admin() => Visitor::Admin(self.email.clone()),
                Some(_) => Visitor::Customer(self.email.clone()),
            },
            contact: Contact { phone: self.app.identity.phone.clone(), email: self.app.identity.email.clone() },
            notice: self.notice.map(|(tone, text)| Notice { tone, text: text.to_owned() }),
        }
    }

    /// The shell with a sentence about what went wrong.
    pub(crate) fn shell_with(&self, failure: &Failure) -> Shell {
        let notice = Notice { tone: Tone::Bad, text: failure.message.clone().into_owned() };
        Shell { notice: Some(notice), ..self.shell() }
    }

    /// What a page comes to: itself, the log-in, or a page that says what went wrong.
    pub(crate) fn finish(self, outcome: Result<Response, Failure>) -> Response {
        let failure = match outcome {
            Ok(response) => return response,
            Err(failure) => failure,
        };
        let trouble = match failure.status {
            StatusCode::UNAUTHORIZED => {
                return Redirect::to(&format!("/login?next={}", words::encoded(&self.path))).into_response();
            }
            StatusCode::NOT_FOUND => Trouble::NotFound,
            StatusCode::FORBIDDEN => Trouble::Forbidden,
            StatusCode::TOO_MANY_REQUESTS => Trouble::TooMany {
                seconds: failure.retry_after.and_then(|wait| i64::try_from(wait).ok()).unwrap_or(60),
            },
            status if status.is_server_error() => Trouble::Server { reference: failure.code.to_owned() },
            _ => Trouble::NotFound,
        };
        let status = StatusCode::from_u16(trouble.status()).unwrap_or(failure.status);
        render(status, &ErrorPage { shell: self.shell_with(&failure), trouble })
    }
}

/// A page as an answer.
pub(crate) fn render(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(event = "page.failed", %error, "a page could not be written");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is how the body of a page ends")]
pub(crate) fn shown(page: &impl Template) -> Result<Response, Failure> {
    Ok(render(StatusCode::OK, page))
}

/// The fields of a form that carried its token.
pub(crate) struct Form {
    fields: HashMap<String, String>,
}

impl Form {
    pub(crate) fn get(&self, name: &str) -> &str {
        self.fields.get(name).map(String::as_str).unwrap_or_default()
    }

    pub(crate) fn field(&self, name: &str) -> Field {
        Field::of(self.get(name))
    }

    /// All fields whose name begins so, with what follows.
    pub(crate) fn under<'f>(&'f self, prefix: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        let fields = self.fields.iter();
        fields.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }

    async fn read(visit: &Visit, request: Request) -> Result<Self, Failure> {
        let form = axum::Form::<HashMap<String, String>>::from_request(request, &()).await;
        let axum::Form(fields) =
            form.map_err(|_| Failure::new(StatusCode::FORBIDDEN, "FORM_EXPIRED", "This is no form."))?;
        let form = Self { fields };
        visit.app.tokens.check_form(&visit.session, form.get("csrf"))?;
        Ok(form)
    }
}

/// Shows a page.
pub(crate) async fn page(visit: Visit, write: impl AsyncFnOnce(&Visit) -> Result<Response, Failure>) -> Response {
    let outcome = write(&visit).await;
    visit.finish(outcome)
}

/// Takes a form, if it carries the token of its session.
pub(crate) async fn form(
    visit: Visit,
    request: Request,
    take: impl AsyncFnOnce(&Visit, &Form) -> Result<Response, Failure>,
) -> Response {
    let outcome = match Form::read(&visit, request).await {
        Ok(form) => take(&visit, &form).await,
        Err(failure) => Err(failure),
    };
    visit.finish(outcome)
}

/// Elsewhere, by a GET.
#[expect(clippy::unnecessary_wraps, reason = "it is how the body of a page ends")]
pub(crate) fn go(path: &str) -> Result<Response, Failure> {
    Ok(Redirect::to(path).into_response())
}

async fn home(visit: Visit) -> Response {
    page(visit, async |visit| go(if visit.user()?.is_admin() { "/admin" } else { "/orders" })).await
}

async fn login_form(visit: Visit) -> Response {
    page(visit, async |visit| {
        let next = words::parameter(&visit.path, "next").unwrap_or_default();
        shown(&login(visit, Field::default(), next)).map(|response| for_guests(visit, response))
    })
    .await
}

fn login(visit: &Visit, email: Field, next: String) -> LoginPage {
    let demo_users = demo::PEOPLE.into_iter().filter(|_| visit.app.demo.is_some());
    let demo_users = demo_users.map(|(email, role)| DemoUser {
        role: if role == Role::Admin { "Admin" } else { "Customer" }.to_owned(),
        email: email.to_owned(),
    });
    LoginPage { shell: visit.shell(), email, next, demo_users: demo_users.collect() }
}

async fn log_in(State(app): State<App>, client: axum::Extension<Client>, visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, form| {
        app.limits.log_in(client.0.0)?;
        let next = form.get("next");
        match auth::log_in(&app.db, form.get("email"), form.get("password")).await {
            Ok((id, role)) => {
                let token = app.tokens.issue(&id, role, Audience::Page)?;
                // Only to a page of ours: `//host` and `/\host` are other sites.
                let inside = next.starts_with('/')
                    && !next.starts_with("//")
                    && !next.contains(|c: char| c == '\\' || c.is_control());
                let mut response = Redirect::to(if inside { next } else { "/" }).into_response();
                set_cookie(&mut response, visit, SESSION, &token);
                Ok(response)
            }
            Err(failure) if failure.status == StatusCode::UNAUTHORIZED => {
                let email = form.field("email").wrong(failure.message.clone());
                Ok(render(StatusCode::UNAUTHORIZED, &login(visit, email, next.to_owned())))
            }
            Err(failure) => Err(failure),
        }
    })
    .await
}

async fn log_out(visit: Visit, request: Request) -> Response {
    form(visit, request, async |visit, _| {
        let mut response = Redirect::to("/login").into_response();
        set_cookie(&mut response, visit, SESSION, "");
        Ok(response)
    })
    .await
}

/// A page with a form for somebody who has not logged in: the cookie that the form is signed for goes with it.
pub(crate) fn for_guests(visit: &Visit, mut response: Response) -> Response {
    if visit.user.is_none() {
        set_cookie(&mut response, visit, GUEST, &visit.session);
    }
    response
}

/// No script can read it, and no other site can have it sent.
fn set_cookie(response: &mut Response, visit: &Visit, name: &str, value: &str) {
    let secure = if visit.app.is_https { "; Secure" } else { "" };
    let age = if value.is_empty() { 0 } else { auth::LIFE };
    let cookie = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{secure}");
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
}
