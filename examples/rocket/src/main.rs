//! Daraja's callbacks in Rocket: checked, on the disk before the answer, worked on afterwards.

use std::{env, error::Error, fs::File, io, net::SocketAddr, time::Duration};

use daraja::webhook::{Delivery, Journal, MAX_BODY_BYTES, Receiver, Unfinished};
use rocket::{
    Config, Request, State, catch, catchers,
    config::LogLevel,
    data::{Data, ToByteUnit},
    fairing::AdHoc,
    http::{ContentType, Status, uri::Origin},
    post,
    request::{FromRequest, Outcome},
    routes,
};
use tokio::time::timeout;

/// How long a body may take. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);

struct Desk {
    receiver: Receiver,
    journal: Journal,
}

#[rocket::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let file = env::args().nth(2).unwrap_or_else(|| "callbacks.jsonl".to_owned());
    let lock = File::create(format!("{file}.lock"))?;
    lock.try_lock().map_err(|_| format!("{file} is in use by another program"))?;
    let (journal, unfinished) = Journal::open(file)?;
    let desk = Desk { receiver: Receiver::from_env()?, journal: journal.clone() };
    let worker = tokio::spawn(work(unfinished));

    let address: SocketAddr = address.parse()?;
    let config = Config {
        address: address.ip(),
        port: address.port(),
        // Rocket's own log shows paths, which are secrets here.
        log_level: LogLevel::Off,
        // A connection is closed behind its answer, even if its body never ends.
        keep_alive: 0,
        ..Config::release_default()
    };
    // It ends with Ctrl-C, and on Unix with what `kill` sends, by itself.
    let listening = AdHoc::on_liftoff("listening", |rocket| {
        Box::pin(async {
            println!("listening on http://{}", SocketAddr::new(rocket.config().address, rocket.config().port));
        })
    });
    let rocket = rocket::custom(config).manage(desk).attach(listening);
    let rocket = rocket.mount("/", routes![callback]).register("/", catchers![refusal]);
    drop(rocket.launch().await?);

    journal.close().await?;
    Ok(worker.await?)
}

#[post("/<_..>", data = "<body>")]
async fn callback(
    desk: &State<Desk>,
    peer: SocketAddr,
    path: &Origin<'_>,
    forwarded: Forwarded<'_>,
    body: Data<'_>,
) -> Result<(ContentType, String), Status> {
    let body = timeout(BODY_TIME, body.open(MAX_BODY_BYTES.bytes()).into_bytes()).await;
    let body = body.map_err(|_| Status::RequestTimeout)?.map_err(|_| Status::BadRequest)?;
    if !body.is_complete() {
        return Err(Status::PayloadTooLarge);
    }

    let delivery = Delivery::new(peer.ip(), path.path().as_str(), &body);
    let delivery = forwarded.0.iter().fold(delivery, |delivery, line| delivery.forwarded_for(*line));
    let delivery = forwarded.1.iter().fold(delivery, |delivery, line| delivery.forwarded(*line));
    let (reference, event) = desk.receiver.accept(delivery).map_err(|refused| Status::new(refused.status()))?;
    // Not stored is not taken: Daraja does not try again, so the payment has to be asked for.
    desk.journal.store(&reference, &event, &body).await.map_err(|_| Status::InternalServerError)?;
    Ok((ContentType::JSON, event.ack().into()))
}

/// The status is all that the other side hears.
#[catch(default)]
fn refusal() {}

/// What proxies say: the lines of `X-Forwarded-For`, and those of `Forwarded`.
struct Forwarded<'r>(Vec<&'r str>, Vec<&'r str>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Forwarded<'r> {
    type Error = std::convert::Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Self::Error> {
        let lines = |name| request.headers().get(name).collect();
        Outcome::Success(Self(lines("x-forwarded-for"), lines("forwarded")))
    }
}

/// What is done behind the answer: at once, and at the next start if the program died before.
async fn work(mut unfinished: Unfinished) {
    while let Some(entry) = unfinished.next().await {
        // A shop looks up what it asked for under `entry.reference()`, compares it by `entry.event().expect(..)`, books
        // the payment, and rejects the entry if it is about something else.
        let (reference, kind) = (entry.reference().to_owned(), entry.event().kind());
        let finished = entry.finish();
        tracing::info!(reference, %kind, ?finished, "worked on");
    }
}
