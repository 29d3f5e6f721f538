//! The bytes that leave: paths, headers and bodies, and where they do not go.

use daraja::{Client, Credentials, Environment, Merchant, Shillings, StkPush, StkQuery, client::ClientBuilder};
use reqwest::redirect::Policy;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any, matchers::path};

use crate::tools::{
    PATIENCE, at_once,
    operation::Own,
    push,
    script::Script,
    stored::Stored,
    verdict::{means, told, words},
    without_roots,
};

const TOKEN: &str = r#"{"access_token":"c9SQxWWhmdVRlyh0zh8gZDTkubVF","expires_in":"3599"}"#;
const ACCEPTED: &str = r#"{"MerchantRequestID":"29115-34620561-1","CheckoutRequestID":"ws_CO_191220191020363925","ResponseCode":"0","ResponseDescription":"Success. Request accepted for processing","CustomerMessage":"Success. Request accepted for processing"}"#;

const OAUTH: &str = "/oauth/v1/generate";
const PUSH: &str = "/mpesa/stkpush/v1/processrequest";
const QUERY: &str = "/mpesa/stkpushquery/v1/query";

/// Five in the afternoon in Nairobi. The passwords below were written by Python's base64.
const FIVE_O_CLOCK: &str = "2024-04-02T14:00:17Z";

const PAYBILL_BODY: &str = concat!(
    r#"{"BusinessShortCode":"174379","Password":"MTc0Mzc5YmZiMjc5LW5vdC1hLXJlYWwtcGFzc2tleTIwMjQwNDAyMTcwMDE3","#,
    r#""Timestamp":"20240402170017","TransactionType":"CustomerPayBillOnline","Amount":500,"PartyA":"254708374149","#,
    r#""PartyB":"174379","PhoneNumber":"254708374149","CallBackURL":"https://shop.example/callbacks/stk?order=1042","#,
    r#""AccountReference":"INV-001","TransactionDesc":"Order 1042"}"#,
);
const TILL_BODY: &str = concat!(
    r#"{"BusinessShortCode":"600986","Password":"NjAwOTg2dGlsbC1wYXNza2V5MjAyNDA0MDIxNzAwMTc=","#,
    r#""Timestamp":"20240402170017","TransactionType":"CustomerBuyGoodsOnline","Amount":1,"PartyA":"254708374149","#,
    r#""PartyB":"5123456","PhoneNumber":"254708374149","CallBackURL":"https://shop.example/","#,
    r#""AccountReference":"A","TransactionDesc":"Payment"}"#,
);
const QUERY_BODY: &str = concat!(
    r#"{"BusinessShortCode":"174379","Password":"MTc0Mzc5YmZiMjc5LW5vdC1hLXJlYWwtcGFzc2tleTIwMjQwNDAyMTcwMDE3","#,
    r#""Timestamp":"20240402170017","CheckoutRequestID":"ws_CO_191220191020363925"}"#,
);

fn client(base_url: &str) -> ClientBuilder {
    let environment = Environment::custom(base_url).expect("a loopback URL");
    Client::builder(environment, Credentials::new("key of the app", "its secret"))
        .retry(at_once())
        .query_spacing(std::time::Duration::ZERO)
        .reqwest(without_roots)
        .clock(|| FIVE_O_CLOCK.parse().expect("a date"))
}

async fn server(answers: &[(&str, ResponseTemplate)]) -> MockServer {
    let server = MockServer::start().await;
    for (at, answer) in answers {
        Mock::given(path(*at)).respond_with(answer.clone()).mount(&server).await;
    }
    server
}

fn json(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

fn paybill() -> Merchant {
    Merchant::paybill("174379".parse().expect("a short code"), "bfb279-not-a-real-passkey")
}

fn header<'r>(request: &'r Request, name: &str) -> Vec<&'r str> {
    request.headers.get_all(name).iter().map(|value| value.to_str().expect("text")).collect()
}

async fn requests(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.expect("they are recorded")
}

#[tokio::test]
async fn a_paybill_push_is_these_bytes() {
    let server = server(&[(OAUTH, json(200, TOKEN)), (PUSH, json(200, ACCEPTED))]).await;
    let client = client(&server.uri()).build().unwrap();
    let (payer, reference) = ("0708 374 149".parse().unwrap(), "INV-001".parse().unwrap());
    let callback_url = "https://shop.example/callbacks/stk?order=1042".parse().unwrap();
    let push = StkPush::new(&paybill(), payer, Shillings::new(500).unwrap(), reference, callback_url)
        .description("Order 1042".parse().unwrap());

    let accepted = client.send(&push).await.unwrap();

    assert_eq!(accepted.checkout_request_id.as_str(), "ws_CO_191220191020363925");
    let requests = requests(&server).await;
    let [oauth, sent] = &*requests else { panic!("{} requests", requests.len()) };
    assert_eq!(oauth.method.as_str(), "GET");
    assert_eq!((oauth.url.path(), oauth.url.query()), (OAUTH, Some("grant_type=client_credentials")));
    assert_eq!(header(oauth, "authorization"), ["Basic a2V5IG9mIHRoZSBhcHA6aXRzIHNlY3JldA=="]);
    assert!(oauth.body.is_empty());
    assert_eq!(sent.method.as_str(), "POST");
    assert_eq!((sent.url.path(), sent.url.query()), (PUSH, None));
    assert_eq!(header(sent, "authorization"), ["Bearer c9SQxWWhmdVRlyh0zh8gZDTkubVF"]);
    assert_eq!(header(sent, "content-type"), ["application/json"]);
    assert_eq!(std::str::from_utf8(&sent.body).unwrap(), PAYBILL_BODY);
    for request in &requests {
        assert_eq!(header(request, "user-agent"), ["daraja-rust/0.1.0"]);
        assert!(!request.headers.contains_key("cookie") && !request.headers.contains_key("referer"));
    }
}

#[tokio::test]
async fn a_till_push_is_these_bytes() {
    let server = server(&[(OAUTH, json(200, TOKEN)), (PUSH, json(200, ACCEPTED))]).await;
    let client = client(&server.uri()).build().unwrap();
    let merchant = Merchant::till("600986".parse().unwrap(), "5123456".parse().unwrap(), "till-passkey");
    let (payer, reference) = ("254708374149".parse().unwrap(), "A".parse().unwrap());
    let callback_url = "https://SHOP.example".parse().unwrap();

    client.send(&StkPush::new(&merchant, payer, Shillings::new(1).unwrap(), reference, callback_url)).await.unwrap();

    let requests = requests(&server).await;
    assert_eq!(std::str::from_utf8(&requests[1].body).unwrap(), TILL_BODY);
}

#[tokio::test]
async fn a_query_is_these_bytes() {
    let pending = r#"{"ResponseCode":"0","CheckoutRequestID":"ws_CO_191220191020363925","ResultCode":"4999"}"#;
    let server = server(&[(OAUTH, json(200, TOKEN)), (QUERY, json(200, pending))]).await;
    let client = client(&server.uri()).build().unwrap();

    client.send(&StkQuery::new(&paybill(), &"ws_CO_191220191020363925".parse().unwrap())).await.unwrap();

    let requests = requests(&server).await;
    assert_eq!((requests[1].method.as_str(), requests[1].url.path()), ("POST", QUERY));
    assert_eq!(header(&requests[1], "content-type"), ["application/json"]);
    assert_eq!(std::str::from_utf8(&requests[1].body).unwrap(), QUERY_BODY);
}

#[tokio::test]
async fn a_repeated_push_is_stamped_again() {
    let throttled = json(429, "{}").insert_header("retry-after", "1");
    let server = MockServer::start().await;
    Mock::given(path(OAUTH)).respond_with(json(200, TOKEN)).mount(&server).await;
    Mock::given(path(PUSH)).respond_with(throttled).up_to_n_times(1).mount(&server).await;
    Mock::given(path(PUSH)).respond_with(json(200, ACCEPTED)).mount(&server).await;
    let started = std::time::Instant::now();
    let ticking = move || {
        let start: chrono::DateTime<chrono::Utc> = FIVE_O_CLOCK.parse().expect("a date");
        start + chrono::TimeDelta::from_std(started.elapsed()).expect("seconds")
    };
    let client = client(&server.uri()).clock(ticking).build().unwrap();

    client.send(&push()).await.unwrap();

    let requests = requests(&server).await;
    let stamps = |request: &Request| {
        let body: serde_json::Value = request.body_json().unwrap();
        (body["Timestamp"].as_str().unwrap().to_owned(), body["Password"].as_str().unwrap().to_owned())
    };
    let (first, second) = (stamps(&requests[1]), stamps(&requests[2]));
    // The throttle asks for a pause of a second.
    assert!(*"20240402170017" <= *first.0 && first.0 < second.0, "{} and {}", first.0, second.0);
    assert_ne!(first.1, second.1, "the password goes with the timestamp");
}

#[tokio::test]
async fn the_path_of_the_base_url_is_kept() {
    for slash in ["", "/"] {
        let server = server(&[
            ("/mirror/daraja/oauth/v1/generate", json(200, TOKEN)),
            ("/mirror/daraja/mpesa/stkpush/v1/processrequest", json(200, ACCEPTED)),
        ])
        .await;
        let client = client(&format!("{}/mirror/daraja{slash}", server.uri())).build().unwrap();

        client.send(&push()).await.unwrap();

        assert_eq!(requests(&server).await.len(), 2);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_and_leaves_a_push_unknown() {
    const VERDICTS: [(u16, &str); 5] = [
        (301, "Unknown(Decode(301))"),
        (302, "Unknown(Decode(302))"),
        (303, "Unknown(Decode(303))"),
        (307, "Unknown(Decode(307))"),
        (308, "Unknown(Decode(308))"),
    ];
    for (status, verdict) in VERDICTS {
        for policy in [Policy::none, || Policy::limited(5)] {
            let moved = ResponseTemplate::new(status).insert_header("location", PUSH);
            let server = server(&[(OAUTH, json(200, TOKEN)), (PUSH, moved)]).await;
            let follows = move || without_roots().redirect(policy());
            let client = client(&server.uri()).reqwest(follows).build().unwrap();

            let outcome = client.send(&push()).await;

            assert_eq!((told(&outcome).as_str(), means(&outcome)), (verdict, "unknown"));
            assert_eq!(requests(&server).await.len(), 2, "{status}: token and push");
        }
    }
}

#[tokio::test]
async fn a_redirected_token_request_shows_the_credentials_to_nobody_else() {
    let elsewhere = server(&[("/", json(200, TOKEN))]).await;
    let moved = ResponseTemplate::new(302).insert_header("location", elsewhere.uri());
    let server = server(&[(OAUTH, moved)]).await;
    let client = client(&server.uri()).build().unwrap();

    let outcome = client.send(&push()).await;

    assert_eq!((told(&outcome).as_str(), means(&outcome)), ("Token(Decode(302))", "final"));
    assert!(requests(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn the_retries_of_a_reqwest_builder_are_switched_off() {
    let server = server(&[(OAUTH, json(200, TOKEN)), (PUSH, ResponseTemplate::new(503))]).await;
    let eager = || {
        reqwest::retry::for_host("127.0.0.1").no_budget().max_retries_per_request(3).classify_fn(|answer| {
            if answer.status() == Some(http::StatusCode::OK) { answer.success() } else { answer.retryable() }
        })
    };
    let client = client(&server.uri()).reqwest(move || without_roots().retry(eager())).build().unwrap();

    let outcome = client.send(&push()).await;

    assert_eq!((told(&outcome).as_str(), means(&outcome)), ("Unknown(Decode(503))", "unknown"));
    assert_eq!(requests(&server).await.len(), 2, "token and push");
}

#[tokio::test]
async fn a_timeout_of_a_reqwest_builder_is_a_timeout() {
    let slow = json(200, ACCEPTED).set_delay(std::time::Duration::from_secs(60));
    let server = server(&[(OAUTH, json(200, TOKEN)), (PUSH, slow)]).await;
    let hasty = || without_roots().read_timeout(PATIENCE);
    let client = client(&server.uri()).reqwest(hasty).build().unwrap();

    let outcome = client.send(&push()).await;

    assert_eq!((told(&outcome).as_str(), means(&outcome)), ("Unknown(Transport(Timeout))", "unknown"));
}

#[test]
fn plain_http_is_for_loopback_addresses_only() {
    const REFUSED: [&str; 7] = [
        "http://sandbox.safaricom.co.ke",
        "http://192.168.1.10:8090",
        "http://10.0.0.1",
        "http://0.0.0.0:8090",
        "http://127.0.0.1.example:8090",
        "http://localhost.example",
        "http://[::]:8090",
    ];
    for url in REFUSED {
        assert_eq!(
            Environment::custom(url).unwrap_err().to_string(),
            "invalid base URL: plain http is for loopback addresses only, because the token would be read on the way",
            "{url}"
        );
    }
    for url in ["http://127.0.0.1:8090", "http://localhost:8090", "http://[::1]:8090"] {
        assert_eq!(Environment::custom(url).unwrap().base_url(), url);
    }
    let production = Environment::custom_production("http://127.0.0.1:8090").unwrap_err();
    assert_eq!(production.to_string(), "invalid base URL: production is called over https only");
}

#[tokio::test]
async fn a_tls_handshake_that_fails_sent_nothing() {
    let garbage = Script::of([]).await;
    // The server speaks no TLS: it waits for a request that never becomes one, or is asked and hangs up.
    let base_url = garbage.base_url().replace("http://", "https://");
    let client = client(&base_url).token_store(Stored).connect_timeout(PATIENCE / 4).build().unwrap();

    let outcome = client.send(&push()).await;

    assert_eq!((told(&outcome).as_str(), means(&outcome)), ("Transport(Connect)", "retryable"));
    assert_eq!(garbage.connections(), 3, "a stalled handshake is both a failed connect and a timeout");
    assert_eq!(garbage.calls(), 0);
}

#[tokio::test]
async fn https_is_not_given_up_for_a_plain_answer() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(json(200, TOKEN)).mount(&server).await;
    let client = client(&server.uri().replace("http://", "https://")).build().unwrap();

    let outcome = client.send(&Own(daraja::Repeat::Never)).await;

    assert_eq!((told(&outcome).as_str(), means(&outcome)), ("Token(Transport(Connect))", "retryable"));
    assert!(requests(&server).await.is_empty());
    assert!(words(&outcome).starts_with("no access token could be fetched, so the call was not sent | "));
}

#[tokio::test]
async fn an_operation_of_ones_own_is_these_bytes() {
    let server = server(&[(OAUTH, json(200, TOKEN)), ("/own/v1/operation", json(200, "{}"))]).await;

    client(&server.uri()).build().unwrap().send(&Own(daraja::Repeat::Never)).await.unwrap();

    let requests = requests(&server).await;
    assert_eq!(std::str::from_utf8(&requests[1].body).unwrap(), r#"{"OriginatorConversationID":"ours"}"#);
    assert_eq!(header(&requests[1], "content-length"), ["35"]);
}
