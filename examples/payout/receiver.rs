//! The side of the one who pays: a small web server for results and queue timeouts.

use std::io;

use daraja::{AccountBalanceResult, B2cResult, QueueTimeout, ResultUrls, TransactionStatusResult, error::DecodeError};
use hyper::StatusCode;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use url::Url;

use crate::web::{serve, unguessable};

/// What Daraja posted, by the URL that it came to.
pub(crate) enum Post {
    Result(B2cResult),
    Status(TransactionStatusResult),
    Balance(AccountBalanceResult),
    Timeout(QueueTimeout),
}

/// What is asked for, which is what the URLs tell apart.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Payout,
    Status,
    Balance,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Payout => "payout",
            Self::Status => "status",
            Self::Balance => "balance",
        }
    }
}

/// Receives what Daraja posts. Daraja signs nothing: it is believed because nobody else can guess where to post it.
pub(crate) struct Receiver {
    pub(crate) posts: UnboundedReceiver<Post>,
    pub(crate) origin: String,
    path: String,
}

impl Receiver {
    /// On this computer; port 0 lets the system choose.
    pub(crate) async fn start(port: u16) -> io::Result<Self> {
        let (took, posts) = unbounded_channel();
        let path = format!("/payouts/{}/", unguessable());
        let base = path.clone();
        let take = move |path: &str, body: &[u8]| match path.strip_prefix(&base) {
            Some(kind) => take(kind, body, &took),
            None => StatusCode::NOT_FOUND,
        };
        let address = serve(("127.0.0.1", port), take).await?;
        Ok(Self { posts, origin: format!("http://{address}"), path })
    }

    pub(crate) fn urls(&self, kind: Kind) -> ResultUrls {
        let url = |kind| -> Url {
            let url = format!("{}{}{kind}", self.origin, self.path);
            url.parse().expect("an address, hexadecimal digits and a word make a URL")
        };
        ResultUrls::new(url(kind.as_str()), url("timeout"))
    }
}

/// An application stores a post with its payout here, before it answers: Daraja posts it once.
fn take(kind: &str, body: &[u8], took: &UnboundedSender<Post>) -> StatusCode {
    match read(kind, body) {
        None => StatusCode::NOT_FOUND,
        Some(Err(_)) => StatusCode::BAD_REQUEST,
        Some(Ok(post)) => {
            drop(took.send(post));
            StatusCode::OK
        }
    }
}

fn read(kind: &str, body: &[u8]) -> Option<Result<Post, DecodeError>> {
    Some(match kind {
        "payout" => B2cResult::parse(body).map(Post::Result),
        "status" => TransactionStatusResult::parse(body).map(Post::Status),
        "balance" => AccountBalanceResult::parse(body).map(Post::Balance),
        "timeout" => QueueTimeout::parse(body).map(Post::Timeout),
        _ => return None,
    })
}
