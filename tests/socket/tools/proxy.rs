//! A TCP proxy that cuts the connection at a place of the test's choosing, and counts what it saw.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinSet,
    time::timeout,
};

use super::message::{self, Message};

/// Where a call is cut. Token requests are never cut.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    /// Nowhere: the call passes.
    Nowhere,
    /// As soon as the connection is accepted, before a byte is read.
    Accepted,
    /// The client is told that nothing will come as soon as its first byte is there, but all it says is read and forwarded.
    HalfClosed,
    /// When this much of the request was forwarded.
    Request(Part),
    /// When the whole request was forwarded and answered, and this much of the answer was forwarded.
    Answer(Part),
    /// When the answer was forwarded as this makes it.
    Rewritten(fn(&Message) -> Vec<u8>),
    /// The answer is forwarded a byte a second.
    Trickled,
    /// The answer is forwarded as this makes it, and its end again and again for as long as the client reads.
    Endless(fn(&Message) -> (Vec<u8>, Vec<u8>)),
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
    /// How many connections are open.
    open: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    /// The cuts of the next calls, in order.
    cuts: VecDeque<(Place, By)>,
    /// The cuts after which nothing came any more until the client gave up.
    silences: usize,
    /// The bytes of the last answer that was cut, before it was.
    answer: usize,
    /// How the connection ends behind the answer to every call.
    after_answers: Option<By>,
    /// How it ends behind the answer to every token request, without a word of warning.
    after_tokens: Option<By>,
    connections: usize,
    calls: usize,
}

impl Proxy {
    /// Stands in front of a base URL.
    pub(crate) async fn before(base_url: &str, connection: Connection) -> Self {
        let upstream = base_url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            upstream,
            connection,
            state: Mutex::default(),
            left: Notify::new(),
            open: watch::Sender::new(0),
        });
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

    /// Cuts the next call for which no cut was ordered yet.
    pub(crate) fn cut_next(&self, place: Place, by: By) {
        self.shared.lock().cuts.push_back((place, by));
    }

    /// How many calls were left waiting.
    pub(crate) fn silences(&self) -> usize {
        self.shared.lock().silences
    }

    /// How many bytes the last answer had that was cut, before it was.
    pub(crate) fn answer(&self) -> usize {
        self.shared.lock().answer
    }

    /// Waits until every connection has ended: what the simulator counted is final then.
    pub(crate) async fn quiet(&self) {
        drop(self.shared.open.subscribe().wait_for(|open| *open == 0).await);
    }

    pub(crate) fn end_after_answers(&self, by: Option<By>) {
        self.shared.lock().after_answers = by;
    }

    pub(crate) fn end_after_tokens(&self, by: By) {
        self.shared.lock().after_tokens = Some(by);
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

    /// The cut of the next call, if it is one that comes before the call is read.
    fn take_early_cut(&self) -> Option<(Place, By)> {
        let mut state = self.lock();
        let is_early = matches!(state.cuts.front(), Some((Place::Accepted | Place::HalfClosed, _)));
        if is_early { state.cuts.pop_front() } else { None }
    }

    fn take_cut(&self) -> Option<(Place, By)> {
        self.lock().cuts.pop_front()
    }

    /// How the connection ends behind an answer that is not cut; in time, the answer says so.
    fn goodbye(&self, is_call: bool, answer: &mut Message) -> Option<By> {
        if is_call {
            self.lock().after_answers
        } else if self.connection == Connection::Fresh {
            say_goodbye(answer);
            Some(By::Fin)
        } else {
            self.lock().after_tokens
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        shared.lock().connections += 1;
        shared.open.send_modify(|open| *open += 1);
        let shared = shared.clone();
        connections.spawn(async move {
            relay(client, &shared).await;
            shared.open.send_modify(|open| *open -= 1);
        });
    }
}

async fn relay(mut client: TcpStream, shared: &Shared) {
    client.set_nodelay(true).expect("a socket option");
    let early = shared.take_early_cut();
    match early {
        Some((Place::Accepted, by)) => return end(client, by, shared).await,
        Some(_) => {
            client.peek(&mut [0]).await.expect("the client writes");
            client.shutdown().await.expect("the client is there");
        }
        None => {}
    }
    let mut server = TcpStream::connect(&*shared.upstream).await.expect("the simulator is there");
    let (mut from_client, mut from_server) = (Vec::new(), Vec::new());
    while let Some(request) = message::read(&mut client, &mut from_client).await {
        let is_call = !request.is_token_request();
        shared.lock().calls += usize::from(is_call);
        let cut = if is_call { early.or_else(|| shared.take_cut()) } else { None };
        if let Some((Place::Request(part), by)) = cut {
            forward_a_part(&request, part, by, server).await;
            return end(client, by, shared).await;
        }
        server.write_all(&request.bytes).await.expect("the simulator reads");
        let Some(mut answer) = message::read(&mut server, &mut from_server).await else {
            // The simulator has faults of its own: what came of an answer is passed on.
            drop(client.write_all(&from_server).await);
            return end(client, By::Fin, shared).await;
        };
        if let Some((place, by)) = cut.filter(|(place, _)| !matches!(place, Place::Nowhere)) {
            return cut_answer(client, &answer, place, by, shared).await;
        }
        let by = shared.goodbye(is_call, &mut answer);
        if client.write_all(&answer.bytes).await.is_err() {
            return;
        }
        if let Some(by) = by {
            end(client, by, shared).await;
            return shared.left.notify_one();
        }
    }
}

async fn forward_a_part(request: &Message, part: Part, by: By, mut server: TcpStream) {
    server.write_all(share(request, part)).await.expect("the simulator reads");
    if by != By::Silence {
        // What the simulator counted is final once it has closed its side.
        server.shutdown().await.expect("the simulator is there");
        drop(server.read_to_end(&mut Vec::new()).await);
    }
}

/// A client that has read enough, or waited for long enough, leaves.
async fn cut_answer(mut client: TcpStream, answer: &Message, place: Place, by: By, shared: &Shared) {
    shared.lock().answer = answer.bytes.len();
    match place {
        Place::Answer(part) => drop(client.write_all(share(answer, part)).await),
        Place::Rewritten(rewrite) => drop(client.write_all(&rewrite(answer)).await),
        Place::Endless(rewrite) => {
            let (beginning, again) = rewrite(answer);
            let mut written = client.write_all(&beginning).await;
            while written.is_ok() {
                written = client.write_all(&again).await;
            }
        }
        Place::Trickled => {
            let mut nothing = [0];
            for byte in &answer.bytes {
                drop(client.write_all(&[*byte]).await);
                // The client says nothing more: whatever is read here is that it leaves.
                if timeout(Duration::from_secs(1), client.read(&mut nothing)).await.is_ok() {
                    shared.lock().silences += 1;
                    return;
                }
            }
        }
        Place::Nowhere | Place::Accepted | Place::HalfClosed | Place::Request(_) => {}
    }
    end(client, by, shared).await;
}

fn share(message: &Message, part: Part) -> &[u8] {
    let (head, whole) = (message.head_len, message.bytes.len());
    let length = match part {
        Part::First(bytes) => bytes.min(whole),
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

async fn end(mut client: TcpStream, by: By, shared: &Shared) {
    match by {
        By::Reset => client.set_zero_linger().expect("a socket option"),
        By::Fin => drop(client.shutdown().await),
        By::Silence => shared.lock().silences += 1,
    }
    if by != By::Reset {
        // Closing with unread bytes would be a reset.
        drop(client.read_to_end(&mut Vec::new()).await);
    }
}
