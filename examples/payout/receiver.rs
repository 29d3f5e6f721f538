//! The side of the one who pays: a small web server for results and queue timeouts.

use std::io;

use daraja::{
    AccountBalanceResult, B2cResult, QueueTimeout, ResultUrls, TransactionStatusResult,
    webhook::{Event, Reference, SignedUrls},
};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::web::serve;

/// What Daraja posted, by what was asked for.
pub(crate) enum Post {
    Result(B2cResult),
    Status(TransactionStatusResult),
    Balance(AccountBalanceResult),
    Timeout(QueueTimeout),
}

/// What is asked for. The URL tells it: a failure says nothing of what it answers.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Payout,
    Status,
    Balance,
}

/// Of the payout, and of the questions about it.
const PAYOUT: &str = "payout-1";
const BALANCE: &str = "balance";

fn named(reference: &str) -> Reference {
    reference.parse().expect("letters, digits and a dash")
}

/// Receives what Daraja posts to signed URLs.
pub(crate) struct Receiver {
    pub(crate) posts: UnboundedReceiver<Post>,
    urls: SignedUrls,
}

impl Receiver {
    /// On this computer; port 0 lets the system choose.
    pub(crate) async fn start(port: u16) -> io::Result<Self> {
        let (took, posts) = unbounded_channel();
        let urls = serve(port, move |reference, event| {
            // An application stores a post with its payout here, before it is answered: Daraja posts it once.
            if let Some(post) = read(&reference, event) {
                drop(took.send(post));
            }
        });
        Ok(Self { urls: urls.await?, posts })
    }

    pub(crate) fn urls(&self, kind: Kind) -> ResultUrls {
        match kind {
            Kind::Payout => self.urls.payout(&named(PAYOUT)),
            Kind::Status => self.urls.question(&named(PAYOUT)),
            Kind::Balance => self.urls.question(&named(BALANCE)),
        }
    }

    pub(crate) fn origin(&self) -> String {
        self.urls(Kind::Payout).result().origin().ascii_serialization()
    }
}

fn read(reference: &Reference, event: Event) -> Option<Post> {
    match event {
        Event::QueueTimeout(timeout) => Some(Post::Timeout(timeout)),
        // At a payout's URL nothing is read as the answer to a question, and the other way round.
        Event::Result(result) => match reference.as_str() {
            PAYOUT => result.b2c().map(Post::Result).or_else(|| result.transaction_status().map(Post::Status)),
            _ => result.account_balance().map(Post::Balance),
        },
        _ => None,
    }
}
