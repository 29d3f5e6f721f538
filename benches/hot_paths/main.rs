//! The hot paths beside their floors: the least code that does the same work, without what the crate guarantees.
//!
//! `cargo bench` runs both sides in turn, some milliseconds each, and prints the median of the rounds' ratios. Times
//! differ between machines and minutes; the ratios hardly do. `instructions.sh` counts instructions with the same
//! program, by `hot_paths run <path> <ours|floor> <times> [<base URL>]` and `hot_paths serve`.

use std::{
    hint::black_box,
    io::{self, BufRead, BufReader},
    net::Ipv4Addr,
    process::{Child, Command, ExitCode, Stdio},
    sync::RwLock,
    time::{Duration, Instant},
};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use daraja::{
    Answer, B2cResult, Client, Credentials, Environment, Merchant, Msisdn, Operation, Repeat, Result, Shillings,
    StkCallback, StkPush, Timestamp,
    transport::{BoxFuture, Transport, TransportError},
};
use http::{HeaderValue, Method, Request, Response, header};
use reqwest::{redirect, retry};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::Runtime,
};
use url::Url;

/// Does its work so many times.
type Subject = Box<dyn FnMut(u32)>;

struct Path {
    name: &'static str,
    ours: fn(base_url: &str) -> Subject,
    floor: fn(base_url: &str) -> Subject,
}

const PATHS: [Path; 6] = [
    Path { name: "push", ours: push, floor: push_floor },
    Path { name: "token", ours: token, floor: token_floor },
    Path { name: "encode", ours: encode, floor: encode_floor },
    Path { name: "callback", ours: callback, floor: callback_floor },
    Path { name: "result", ours: result, floor: result_floor },
    Path { name: "msisdn", ours: msisdn, floor: msisdn_floor },
];

const USAGE: &str = "hot_paths [serve | run <path> <ours|floor> <times> [<base URL>]]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| *argument != "--bench").collect();
    let done = match arguments[..] {
        [] => compare(),
        ["serve"] => serve(),
        ["run", path, side, times] => run(path, side, times, "http://127.0.0.1:9"),
        ["run", path, side, times, base_url] => run(path, side, times, base_url),
        _ => Err(io::Error::other(USAGE)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(path: &str, side: &str, times: &str, base_url: &str) -> io::Result<()> {
    let path = PATHS.iter().find(|known| known.name == path).ok_or(io::Error::other(USAGE))?;
    let make = match side {
        "ours" => path.ours,
        "floor" => path.floor,
        _ => return Err(io::Error::other(USAGE)),
    };
    make(base_url)(times.parse().map_err(io::Error::other)?);
    Ok(())
}

/// A whole push: build, encode, send over a connection that is open already, read the answer.
fn push(base_url: &str) -> Subject {
    let (runtime, sample) = (runtime(), Sample::new());
    let environment = Environment::custom(base_url).expect("a loopback address");
    let client = Client::builder(environment, Credentials::new("key", "secret")).build().expect("TLS can be set up");
    runtime.block_on(client.warm_up()).expect("the server answers");
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                black_box(client.send(&sample.push()).await.expect("the server accepts"));
            }
        });
    })
}

/// The same bytes, encoded before, to a URL parsed before, by reqwest alone; the answer is not looked at.
fn push_floor(base_url: &str) -> Subject {
    let runtime = runtime();
    let url: Url = format!("{base_url}/mpesa/stkpush/v1/processrequest").parse().expect("a URL");
    let body = Bytes::from(serde_json::to_vec(&Sample::new().push().body(now())).expect("JSON"));
    let client = reqwest::Client::builder().tcp_nodelay(true).redirect(redirect::Policy::none()).retry(retry::never());
    let client = client.connect_timeout(Duration::from_secs(5)).referer(false).build().expect("TLS can be set up");
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                let mut request = reqwest::Request::new(Method::POST, url.clone());
                request.headers_mut().insert(header::AUTHORIZATION, BEARER);
                request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
                request.headers_mut().insert(header::CONTENT_TYPE, JSON);
                *request.body_mut() = Some(body.clone().into());
                let response = client.execute(request).await.expect("the server answers");
                black_box(response.bytes().await.expect("the server answers"));
            }
        });
    })
}

const BEARER: HeaderValue = HeaderValue::from_static("Bearer GWGrFMOeZ1Wp4tAzvLR2c8fXnXGS");
const USER_AGENT: HeaderValue = HeaderValue::from_static("daraja-rust/0.1.0");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// What `send` does around the network, the token read first: nothing to encode, and a transport that answers at once.
fn token(_: &str) -> Subject {
    let runtime = runtime();
    let builder = Client::builder(Environment::Sandbox, Credentials::new("key", "secret"));
    let client = builder.transport(AtOnce).build().expect("no TLS is set up");
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                client.send(&Nothing).await.expect("a success");
            }
        });
    })
}

/// A token behind the standard library's lock, the request made by hand, the same transport, the answer checked to be
/// JSON. No deadlines, no repeats, no refusals.
fn token_floor(_: &str) -> Subject {
    let runtime = runtime();
    let ends = Instant::now().checked_add(Duration::from_secs(3_600)).expect("an hour can be added");
    let slot = RwLock::new(Some((BEARER, ends)));
    Box::new(move |times| {
        runtime.block_on(async {
            for _ in 0..times {
                let live = slot.read().expect("nobody panics").clone().filter(|(_, ends)| *ends > Instant::now());
                let (bearer, _) = live.expect("it lives for an hour");
                let mut request = Request::new(Bytes::from_static(b"null"));
                *request.method_mut() = Method::POST;
                *request.uri_mut() = "https://sandbox.safaricom.co.ke/nothing".parse().expect("a URI");
                request.headers_mut().insert(header::AUTHORIZATION, bearer);
                request.headers_mut().insert(header::USER_AGENT, USER_AGENT);
                request.headers_mut().insert(header::CONTENT_TYPE, JSON);
                let answer = AtOnce.call(request).await.expect("a success");
                serde_json::from_slice::<IgnoredAny>(answer.body()).expect("JSON");
            }
        });
    })
}

/// Answers without a network.
struct AtOnce;

impl Transport for AtOnce {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        let answer = if request.uri().path() == "/nothing" { "{}" } else { TOKEN };
        Box::pin(async move { Ok(Response::new(Bytes::from_static(answer.as_bytes()))) })
    }
}

/// An operation that does nothing.
struct Nothing;

impl Operation for Nothing {
    type Response = ();

    fn path(&self) -> &'static str {
        "/nothing"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn body(&self, _: Timestamp) -> impl Serialize + Send {}

    fn decode(&self, _: &Answer) -> Result<()> {
        Ok(())
    }
}

/// A push's body, the password included.
fn encode(_: &str) -> Subject {
    let (push, now) = (Sample::new().push(), now());
    repeat(move || serde_json::to_vec(&push.body(black_box(now))).expect("JSON"))
}

/// The same body out of ready strings.
fn encode_floor(_: &str) -> Subject {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Body<'a> {
        business_short_code: &'a str,
        password: &'a str,
        timestamp: &'a str,
        transaction_type: &'a str,
        amount: u32,
        party_a: &'a str,
        party_b: &'a str,
        phone_number: &'a str,
        #[serde(rename = "CallBackURL")]
        call_back_url: &'a str,
        account_reference: &'a str,
        transaction_desc: &'a str,
    }
    let body = Body {
        business_short_code: "174379",
        password: "MTc0Mzc5MDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAyMDI2MTEyMzEyMDAwMA==",
        timestamp: "20261123120000",
        transaction_type: "CustomerPayBillOnline",
        amount: 500,
        party_a: "254708374149",
        party_b: "174379",
        phone_number: "254708374149",
        call_back_url: CALLBACK_URL,
        account_reference: "INV-001",
        transaction_desc: "Order 1042",
    };
    repeat(move || serde_json::to_vec(black_box(&body)).expect("JSON"))
}

/// A callback of a payment, into values that own what they hold.
fn callback(_: &str) -> Subject {
    repeat(|| StkCallback::parse(black_box(CALLBACK.as_bytes())).expect("a callback"))
}

/// A result of a payout, into values that own what they hold.
fn result(_: &str) -> Subject {
    repeat(|| B2cResult::parse(black_box(RESULT.as_bytes())).expect("a result"))
}

/// The same bytes into derived structs: one shape is read and nothing is concluded.
fn result_floor(_: &str) -> Subject {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        result: Fields,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Fields {
        result_code: u32,
        result_desc: String,
        #[serde(rename = "OriginatorConversationID")]
        originator_conversation_id: String,
        #[serde(rename = "ConversationID")]
        conversation_id: String,
        result_parameters: Parameters,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Parameters {
        result_parameter: Vec<Parameter>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Parameter {
        key: String,
        value: Option<serde_json::Value>,
    }
    repeat(|| {
        let read: Document = serde_json::from_slice(black_box(RESULT.as_bytes())).expect("a result");
        let read = read.result;
        black_box((&read.result_code, &read.result_desc, &read.originator_conversation_id, &read.conversation_id));
        for parameter in &read.result_parameters.result_parameter {
            black_box((&parameter.key, &parameter.value));
        }
    })
}

const RESULT: &str = r#"{"Result":{"ResultType":0,"ResultCode":0,"ResultDesc":"The service request is processed successfully.","OriginatorConversationID":"6a1c3c5e-29f1-4c1f-9a36-0d1f6a3c7e55","ConversationID":"AG_20240706_20106e9209f64bebd05b","TransactionID":"SG632NMUAB","ResultParameters":{"ResultParameter":[{"Key":"TransactionAmount","Value":10},{"Key":"TransactionReceipt","Value":"SG632NMUAB"},{"Key":"ReceiverPartyPublicName","Value":"254700000001 - NAME SURNAME"},{"Key":"TransactionCompletedDateTime","Value":"06.07.2024 22:48:52"},{"Key":"B2CUtilityAccountAvailableFunds","Value":8959269.60},{"Key":"B2CWorkingAccountAvailableFunds","Value":1199371.00},{"Key":"B2CRecipientIsRegisteredCustomer","Value":"Y"},{"Key":"B2CChargesPaidAccountAvailableFunds","Value":-1980.00}]},"ReferenceData":{"ReferenceItem":{"Key":"QueueTimeoutURL","Value":"https://internalsandbox.safaricom.co.ke/mpesa/b2cresults/v1/submit"}}}}"#;

/// The same bytes into derived structs: one shape is read and nothing is concluded.
fn callback_floor(_: &str) -> Subject {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Document {
        body: Body,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        stk_callback: Callback,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Callback {
        #[serde(rename = "MerchantRequestID")]
        merchant_request_id: String,
        #[serde(rename = "CheckoutRequestID")]
        checkout_request_id: String,
        result_code: u32,
        result_desc: String,
        #[serde(rename = "CallbackMetadata")]
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Metadata {
        item: Vec<Item>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Item {
        name: String,
        value: Option<serde_json::Value>,
    }
    repeat(|| {
        let read: Document = serde_json::from_slice(black_box(CALLBACK.as_bytes())).expect("a callback");
        let read = read.body.stk_callback;
        black_box((&read.merchant_request_id, &read.checkout_request_id, read.result_code, &read.result_desc));
        for item in &read.metadata.item {
            black_box((&item.name, &item.value));
        }
        read
    })
}

/// A number as it is typed.
fn msisdn(_: &str) -> Subject {
    repeat(|| black_box(PHONE).parse::<Msisdn>().expect("a number"))
}

/// Its digits as an integer, whatever else stands there.
fn msisdn_floor(_: &str) -> Subject {
    repeat(|| {
        let digits = black_box(PHONE).bytes().filter(u8::is_ascii_digit);
        digits.fold(0_u64, |number, digit| number.wrapping_mul(10).wrapping_add(u64::from(digit & 0x0F)))
    })
}

fn repeat<T>(mut work: impl FnMut() -> T + 'static) -> Subject {
    Box::new(move |times| {
        for _ in 0..times {
            black_box(work());
        }
    })
}

const PHONE: &str = "0708 374 149";
const CALLBACK_URL: &str = "https://shop.example/callbacks/stk/9f2c4e";
const TOKEN: &str = r#"{"access_token":"GWGrFMOeZ1Wp4tAzvLR2c8fXnXGS","expires_in":"3599"}"#;
const ACCEPTED: &str = r#"{"MerchantRequestID":"2654-4b64-97ff-b827b542881d3130","CheckoutRequestID":"ws_CO_23112026120000123708374149","ResponseCode":"0","ResponseDescription":"Success. Request accepted for processing","CustomerMessage":"Success. Request accepted for processing"}"#;
const CALLBACK: &str = r#"{"Body":{"stkCallback":{"MerchantRequestID":"2654-4b64-97ff-b827b542881d3130","CheckoutRequestID":"ws_CO_23112026120000123708374149","ResultCode":0,"ResultDesc":"The service request is processed successfully.","CallbackMetadata":{"Item":[{"Name":"Amount","Value":500.00},{"Name":"MpesaReceiptNumber","Value":"SKN7RT61SV"},{"Name":"Balance"},{"Name":"TransactionDate","Value":20261123120017},{"Name":"PhoneNumber","Value":254708374149}]}}}}"#;

/// What an application holds when a customer checks out.
struct Sample {
    merchant: Merchant,
    callback_url: Url,
}

impl Sample {
    fn new() -> Self {
        let merchant = Merchant::paybill("174379".parse().expect("a short code"), "0".repeat(64));
        Self { merchant, callback_url: CALLBACK_URL.parse().expect("a URL") }
    }

    fn push(&self) -> StkPush {
        let payer = black_box(PHONE).parse().expect("a number");
        let (amount, reference) = (Shillings::new(500).expect("an amount"), "INV-001".parse().expect("a reference"));
        let push = StkPush::new(&self.merchant, payer, amount, reference, self.callback_url.clone());
        push.description("Order 1042".parse().expect("a description"))
    }
}

fn now() -> Timestamp {
    "2026-11-23T09:00:00Z".parse::<DateTime<Utc>>().expect("a time").try_into().expect("a time Daraja can show")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

const ROUNDS: usize = 31;
const ROUND: Duration = Duration::from_millis(8);

fn compare() -> io::Result<()> {
    let (_server, base_url) = Server::start()?;
    println!("{:<10}{:>12}{:>12}{:>14}", "", "ours", "floor", "ours / floor");
    for path in &PATHS {
        let (mut ours, mut floor) = ((path.ours)(&base_url), (path.floor)(&base_url));
        let (times_ours, times_floor) = (times_in_a_round(&mut ours), times_in_a_round(&mut floor));
        let rounds = (0..ROUNDS).map(|_| (measure(&mut ours, times_ours), measure(&mut floor, times_floor)));
        let rounds: Vec<(f64, f64)> = rounds.collect();
        println!(
            "{:<10}{:>9.0} ns{:>9.0} ns{:>14.2}",
            path.name,
            median(rounds.iter().map(|(ours, _)| ours * 1e9)),
            median(rounds.iter().map(|(_, floor)| floor * 1e9)),
            median(rounds.iter().map(|(ours, floor)| ours / floor)),
        );
    }
    Ok(())
}

fn times_in_a_round(subject: &mut Subject) -> u32 {
    let mut times = 1_u32;
    while measure(subject, times) * f64::from(times) < ROUND.as_secs_f64() {
        times = times.saturating_mul(2);
    }
    times
}

/// Seconds for one time.
fn measure(subject: &mut Subject, times: u32) -> f64 {
    let started = Instant::now();
    subject(times);
    started.elapsed().as_secs_f64() / f64::from(times)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The loopback server in a process of its own, so that its work is not counted as ours. It ends with this value.
struct Server(Child);

impl Server {
    fn start() -> io::Result<(Self, String)> {
        let program = std::env::current_exe()?;
        let mut server = Self(Command::new(program).arg("serve").stdout(Stdio::piped()).spawn()?);
        let mut base_url = String::new();
        BufReader::new(server.0.stdout.take().expect("it is piped")).read_line(&mut base_url)?;
        base_url.truncate(base_url.trim_end().len());
        Ok((server, base_url))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill().and_then(|()| self.0.wait());
    }
}

/// Answers at once and keeps connections open. One thread serves them all, so that the scheduler cannot treat the two
/// sides of a comparison differently.
fn serve() -> io::Result<()> {
    runtime().block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        println!("http://{}", listener.local_addr()?);
        loop {
            let (connection, _) = listener.accept().await?;
            tokio::spawn(converse(connection));
        }
    })
}

async fn converse(mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let (token, accepted) = (http_answer(TOKEN), http_answer(ACCEPTED));
    let mut request = Vec::with_capacity(8192);
    while connection.read_buf(&mut request).await? > 0 {
        if is_whole(&request) {
            connection.write_all(if request.starts_with(b"POST") { &accepted } else { &token }).await?;
            request.clear();
        }
    }
    Ok(())
}

fn is_whole(request: &[u8]) -> bool {
    let text = std::str::from_utf8(request).unwrap_or_default().to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    body.len() >= length.and_then(|length| length.trim().parse().ok()).unwrap_or(0)
}

fn http_answer(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}
