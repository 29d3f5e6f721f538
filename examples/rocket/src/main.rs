//! Daraja's callbacks in Rocket: checked, on the disk before the answer, worked on afterwards.

use std::{convert::Infallible, error::Error, net::SocketAddr, time::Duration};

use daraja::webhook::{Delivery, MAX_BODY_BYTES};
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

#[path = "../../shared/desk.rs"]
mod desk;

use desk::Desk;

/// How long a body may take. Daraja's come at once.
const BODY_TIME: Duration = Duration::from_secs(5);

#[rocket::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (desk, address, worker) = Desk::open()?;
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
    let listening = AdHoc::on_liftoff("listening", |rocket| {
        Box::pin(async {
            println!("listening on http://{}", SocketAddr::new(rocket.config().address, rocket.config().port));
        })
    });
    let rocket = rocket::custom(config).manage(desk.clone()).attach(listening);
    let rocket = rocket.mount("/", routes![callback]).register("/", catchers![refusal]);
    // It ends with Ctrl-C, and on Unix with what `kill` sends, by itself.
    drop(rocket.launch().await?);
    desk.close(worker).await
}

// Whatever the path: the desk knows its own.
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

    let delivery = Delivery::new(peer.ip(), path.path().as_str(), &body).headers(forwarded.0);
    let ack = desk.take(delivery).await.map_err(Status::new)?;
    Ok((ContentType::JSON, ack.into()))
}

/// The status is all that the other side hears.
#[catch(default)]
fn refusal() {}

/// What proxies say: names and values of the headers. Rocket drops a line that is not UTF-8, without a trace: so the proxy
/// has to replace the header or to join its lines, as nginx does, and not add its own line below those of the client.
struct Forwarded<'r>(Vec<(&'static str, &'r str)>);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Forwarded<'r> {
    type Error = Infallible;

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, Infallible> {
        let lines = |name| request.headers().get(name).map(move |line| (name, line));
        Outcome::Success(Self(lines("x-forwarded-for").chain(lines("forwarded")).collect()))
    }
}
