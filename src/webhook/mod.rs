//! What Daraja posts to us: unsigned, once, sometimes early, sometimes never.
//!
//! Anyone who finds a callback URL can post to it. So a delivery is believed in steps: [`SignedUrls`] gives each attempt
//! URLs that nobody can guess, [`Sources`] lets in Safaricom's addresses only, a [`Receiver`] checks both and reads what
//! came, and [`Event::expect`] compares it with what was asked.
//!
//! # In three lines
//!
//! A web framework gives the peer's address, the path and the raw body; an event and the reference of the attempt come
//! out, or a refusal that knows its HTTP status. The directories in `examples/` wire this into axum, actix-web,
//! Rocket, warp, poem and hyper.
//!
#![cfg_attr(feature = "crypto", doc = "```")]
#![cfg_attr(not(feature = "crypto"), doc = "```ignore")]
//! use daraja::webhook::{Delivery, Event, Receiver, Reference, SignedUrls};
//!
//! # let secret = daraja::secret::CallbackSecret::random();
//! let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?;
//! let receiver = Receiver::new(urls);
//!
//! // When asking for money: the URL goes into the push, the reference to the attempt's row.
//! let reference: Reference = "attempt-1042".parse()?;
//! let url = receiver.urls().stk(&reference);
//!
//! // When something comes in: three lines.
//! # let (peer, path) = ("196.201.214.200".parse::<std::net::IpAddr>().unwrap(), url.path());
//! # let body = br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1032}}}"#;
//! let delivery = Delivery::new(peer, path, body);
//! let (reference, event) = receiver.accept(delivery)?;
//! assert_eq!(reference.as_str(), "attempt-1042");
//! # assert!(matches!(event, Event::Stk(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Once
//!
//! A delivery can come twice, and two events can report one payment: the callback of its push, and a C2B confirmation.
//! So there are two keys:
//!
//! - [`Event::dedup_key_at`] is the key of the table of all that came. The reference of the URL is a part of it, and so is the
//!   purpose of the URL of a result or a queue timeout: what was posted to another URL does not use up the key of the true
//!   event.
//! - [`Event::dedup_key`] is the key under which money is settled, the same for both events of one payment. Let the database
//!   keep it unique, and insert it **in the same transaction as the work**: a key that is stored before its work is a payment
//!   lost when the program dies in between, and one that is stored after it is a payment settled twice.
//!
//! ```sql
//! CREATE TABLE inbox (dedup_key TEXT PRIMARY KEY, reference TEXT, kind TEXT, body TEXT); -- what came: Event::dedup_key_at
//! CREATE TABLE settled (dedup_key TEXT PRIMARY KEY, reference TEXT);                     -- what was recorded: Event::dedup_key
//!
//! BEGIN;
//! INSERT INTO settled VALUES ($1, $2) ON CONFLICT DO NOTHING; -- no row inserted: the money is recorded, do not record it again
//! UPDATE attempts SET paid_by = $1 WHERE reference = $2;      -- in both cases: this attempt is over
//! COMMIT;
//! ```
//!
//! Insert the key only after [`Event::expect`], or the payout that it was read for, has found that the event is about that
//! attempt. Without a database, a [`Journal`] keeps what was accepted until it is done.

mod ack;
mod dedup;
mod event;
mod expect;
mod inbox;
mod journal;
#[cfg(feature = "crypto")]
mod receiver;
mod reference;
#[cfg(feature = "crypto")]
mod signed_url;
#[cfg(feature = "crypto")]
mod source;
mod stored;
mod unknown;

pub use self::{
    ack::{Ack, C2bRejection},
    dedup::DedupKey,
    event::{Correlation, Event, EventKind},
    expect::{Expected, Mismatch},
    inbox::Inbox,
    journal::{Entry, Finished, Journal, Unfinished},
    reference::Reference,
    unknown::UnknownEvent,
};
#[cfg(feature = "crypto")]
pub use self::{
    receiver::{Delivery, Receiver, Refused},
    signed_url::{Purpose, SignedUrls},
    source::{ProxyHeader, SAFARICOM, Sources},
};
pub(crate) use inbox::{Arrival, Listener};
pub(crate) use reference::shown_reference;

/// The largest body that is read, in bytes: let your framework read no more. Real ones have about 600 to 1 500.
pub const MAX_BODY_BYTES: usize = crate::wire::MAX_BYTES;
