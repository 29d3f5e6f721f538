//! A TCP proxy that cuts the connection at a place of the test's choosing, and counts what it saw.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinSet,
};

use super::message::{self, Message};

/// Where a call is cut. Token requests are never cut.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// As soon as the connection is accepted, before a byte is read.
    Accepted,
    /// When this much of the request was forwarded.
    Request(Part),
    /// When the whole request was forwarded and answered, and this much of the answer was forwarded.
    Answer(Part),
}

/// How much of a message is forwarded.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Part {
    First(usize),
    Head,
    HalfOfTheBody,
    AllBut(usize),
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Fin,
    Reset,
    /// It does not: nothing comes any more until the client gives up.
    Silence,
}

/// Whether calls use the connection that brought the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    Fresh,
    Reused,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: JoinSet<()>,
}

struct Shared {
    upstream: String,
    connection: Connection,
    state: Mutex<State>,
    left: Notify,
}

#[derive(Default)]
struct State {
    /// The cut of the next call, once.
    cut: Option<(Place, By)>,
    /// How the connection ends behind the answer to every call.
    after_answers: Option<By>,
    connections: usize,
    calls: usize,
}

impl Proxy {
    /// Stands in front of a base URL.
    pub(crate) async fn before(base_url: &str, connection: Connection) -> Self {
        let upstream = base_url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared { upstream, connection, state: Mutex::default(), left: Notify::new() });
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener, shared.clone()));
        Self { address, shared, _accepting: accepting }
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn cut_next(&self, place: Place, by: By) {
        self.shared.lock().cut = Some((place, by));
    }

    pub(crate) fn end_after_answers(&self, by: Option<By>) {
        self.shared.lock().after_answers = by;
    }

    /// Connections that were accepted, the token's included.
    pub(crate) fn connections(&self) -> usize {
        self.shared.lock().connections
    }

    /// Requests that were read, token requests not included.
    pub(crate) fn calls(&self) -> usize {
        self.shared.lock().calls
    }

    /// Waits until the client has closed a connection that was ended behind an answer.
    pub(crate) async fn client_left(&self) {
        self.shared.left.notified().await;
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_cut(&self, fits: impl Fn(Place) -> bool) -> Option<(Place, By)> {
        self.lock().cut.take_if(|(place, _)| fits(*place))
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        shared.lock().connections += 1;
        connections.spawn(relay(client, shared.clone()));
    }
}

async fn relay(mut client: TcpStream, shared: Arc<Shared>) {
    client.set_nodelay(true).expect("a socket option");
    if let Some((_, by)) = shared.take_cut(|place| matches!(place, Place::Accepted)) {
        return end(client, by).await;
    }
    let mut server = TcpStream::connect(&*shared.upstream).await.expect("the simulator is there");
    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    while let Some(request) = message::read(&mut client, &mut from_client).await {
        let is_call = !request.is_token_request();
        shared.lock().calls += usize::from(is_call);
        let cut = if is_call { shared.take_cut(|_| true) } else { None };
        if let Some((Place::Request(part), by)) = cut {
            server.write_all(share(&request, part)).await.expect("the simulator reads");
            if by != By::Silence {
                // What the simulator counted is final once it has closed its side.
                server.shutdown().await.expect("the simulator is there");
                drop(server.read_to_end(&mut from_server).await);
            }
            return end(client, by).await;
        }
        server.write_all(&request.bytes).await.expect("the simulator reads");
        let mut answer = message::read(&mut server, &mut from_server).await.expect("the simulator answers");
        if let Some((Place::Answer(part), by)) = cut {
            client.write_all(share(&answer, part)).await.expect("the client reads");
            return end(client, by).await;
        }
        let goodbye = !is_call && shared.connection == Connection::Fresh;
        if goodbye {
            say_goodbye(&mut answer);
        }
        let by = if is_call { shared.lock().after_answers } else { goodbye.then_some(By::Fin) };
        if client.write_all(&answer.bytes).await.is_err() {
            return;
        }
        if let Some(by) = by {
            end(client, by).await;
            return shared.left.notify_one();
        }
    }
}

fn share(message: &Message, part: Part) -> &[u8] {
    let (head, whole) = (message.head_len, message.bytes.len());
    let length = match part {
        Part::First(bytes) => bytes,
        Part::Head => head,
        Part::HalfOfTheBody => head + (whole - head) / 2,
        Part::AllBut(bytes) => whole - bytes,
    };
    &message.bytes[..length]
}

/// Tells the client not to use this connection again.
fn say_goodbye(answer: &mut Message) {
    const HEADER: &[u8] = b"connection: close\r\n";
    let end_of_first_line = answer.head().find("\r\n").expect("a head has lines") + 2;
    answer.bytes.splice(end_of_first_line..end_of_first_line, HEADER.iter().copied());
    answer.head_len += HEADER.len();
}

async fn end(mut client: TcpStream, by: By) {
    match by {
        By::Reset => client.set_zero_linger().expect("a socket option"),
        By::Fin => drop(client.shutdown().await),
        By::Silence => {}
    }
    if by != By::Reset {
        // Closing with unread bytes would be a reset.
        drop(client.read_to_end(&mut Vec::new()).await);
    }
}
