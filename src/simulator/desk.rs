//! The front desk: which call it is, whether the token opens it, and the shape of a refusal.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use serde::Serialize;
use tokio::time::Instant;

use super::{CONSUMER_KEY, CONSUMER_SECRET, Coexistence, Route, Simulator, express, initiated, payouts};
use crate::token::TokenBody;

/// A refusal in Daraja's own words: HTTP status, error code, message.
pub(super) struct Refusal(pub(super) u16, pub(super) &'static str, pub(super) &'static str);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RefusalBody<'a> {
    request_id: &'a str,
    error_code: &'a str,
    error_message: &'a str,
}

pub(super) fn answer(simulator: &Simulator, request: &Request<Bytes>) -> Response<Bytes> {
    let route = Route::of(request.uri().path());
    simulator.count(route);
    let response = match route {
        Route::OAuth => oauth(simulator, request),
        Route::StkPush => guarded(simulator, request, express::push),
        Route::StkQuery => guarded(simulator, request, express::query),
        Route::B2c => guarded(simulator, request, payouts::b2c),
        Route::TransactionStatus => guarded(simulator, request, initiated::status),
        Route::AccountBalance => guarded(simulator, request, initiated::balance),
        Route::Reversal => guarded(simulator, request, initiated::reversal),
        Route::Other => Err(Refusal(404, "404.001.01", "Resource not found")),
    };
    let response = response.unwrap_or_else(|Refusal(status, code, words)| refuse(simulator, status, code, words));
    tracing::info!(?route, status = response.status().as_u16(), "answered");
    response
}

type Handler = fn(&Simulator, &Request<Bytes>) -> Result<Response<Bytes>, Refusal>;

/// Lets a call through that is a POST with a live token.
fn guarded(simulator: &Simulator, request: &Request<Bytes>, handler: Handler) -> Result<Response<Bytes>, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal(405, "405.001", "Method Not Allowed"));
    }
    let token = authorization(request.headers(), "Bearer ").ok_or(Refusal(
        404,
        "404.001.04",
        "Invalid Authentication Header",
    ))?;
    let lives = simulator.lock().tokens.get(token).is_some_and(|dies| Instant::now() < *dies);
    if !lives {
        return Err(Refusal(404, "404.001.03", "Invalid Access Token"));
    }
    handler(simulator, request)
}

fn oauth(simulator: &Simulator, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
    if request.method() != Method::GET {
        return Err(Refusal(405, "405.001", "Method Not Allowed"));
    }
    let granted = STANDARD.encode(format!("{CONSUMER_KEY}:{CONSUMER_SECRET}"));
    if authorization(request.headers(), "Basic ") != Some(granted.as_str()) {
        return Err(Refusal(400, "400.008.01", "Invalid Authentication passed"));
    }
    let query = request.uri().query().unwrap_or_default();
    if !query.split('&').any(|pair| pair == "grant_type=client_credentials") {
        return Err(Refusal(400, "400.008.02", "Invalid grant type passed"));
    }
    let settings = &simulator.shared.settings;
    let mut state = simulator.lock();
    let (token, now) = (state.random.token(), Instant::now());
    match settings.tokens_coexist {
        Coexistence::NewestOnly => state.tokens.clear(),
        Coexistence::All => state.tokens.retain(|_, dies| *dies > now),
    }
    state.tokens.insert(token.clone(), now.checked_add(settings.token_life).unwrap_or(now));
    drop(state);
    let life = settings.token_life.as_secs().to_string();
    Ok(json(StatusCode::OK, &TokenBody { access_token: token.into(), expires_in: life.into() }))
}

fn authorization<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix(scheme)
}

pub(super) fn refuse(simulator: &Simulator, status: u16, code: &str, words: &str) -> Response<Bytes> {
    let id = simulator.lock().random.request_id();
    refuse_as(&id, status, code, words)
}

pub(super) fn refuse_as(request_id: &str, status: u16, code: &str, words: &str) -> Response<Bytes> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json(status, &RefusalBody { request_id, error_code: code, error_message: words })
}

pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response<Bytes> {
    let body = serde_json::to_vec(body).expect("the simulator's answers are plain structs");
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
