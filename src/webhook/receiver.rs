//! The one door for deliveries: where from, to which URL, how large, and what they say.

use std::{fmt, net::IpAddr};

use super::{Event, EventKind, MAX_BODY_BYTES, ProxyHeader, Purpose, Reference, SignedUrls, Sources};
use crate::{
    error::{DecodeError, mask_id},
    initiated::RequestPurpose,
};

/// Takes deliveries from any web framework: checks address and signed path, then reads the body.
///
/// It keeps nothing, so that it can be shared and cloned freely. A delivery that was taken is authentic, and not yet
/// compared with what was asked: see [`Event::expect`]. It can be a repetition: see the [module's page](super).
///
/// ```
/// use daraja::webhook::{Delivery, Receiver, SignedUrls, Sources};
///
/// # let secret = daraja::secret::CallbackSecret::random();
/// let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?;
/// let receiver = Receiver::new(urls).sources(Sources::safaricom());
///
/// let url = receiver.urls().stk(&"attempt-1042".parse()?);
/// let body = br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1032}}}"#;
/// let safaricom: std::net::IpAddr = "196.201.214.200".parse().unwrap();
/// let (reference, event) = receiver.accept(Delivery::new(safaricom, url.path(), body))?;
///
/// let stranger: std::net::IpAddr = "203.0.113.7".parse().unwrap();
/// let refused = receiver.accept(Delivery::new(stranger, url.path(), body)).unwrap_err();
/// assert_eq!(refused.status(), 403); // and nothing more is said to the stranger
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Debug, Clone)]
pub struct Receiver {
    urls: SignedUrls,
    sources: Sources,
}

/// Something that was posted, as a web framework has it: the address it came from, the path as it came, neither decoded
/// nor changed, and the raw body.
///
/// Behind proxies, their headers as well; which of them is believed is the [`Sources`]' affair.
///
/// ```
/// use daraja::webhook::Delivery;
///
/// # let peer: std::net::IpAddr = "127.0.0.1".parse().unwrap();
/// # let body = b"{}";
/// let delivery = Delivery::new(peer, "/daraja/stk/attempt-1042/…", body).forwarded_for("196.201.214.200");
/// ```
#[must_use]
#[derive(Clone)]
pub struct Delivery<'a> {
    peer: Option<IpAddr>,
    path: &'a str,
    body: &'a [u8],
    forwarded_for: Vec<&'a [u8]>,
    forwarded: Vec<&'a [u8]>,
}

impl<'a> Delivery<'a> {
    /// The address of the connection's other end, the path of the URL, and the body. Where a framework gives the address
    /// as an option, pass it on: a missing one is refused.
    pub fn new(peer: impl Into<Option<IpAddr>>, path: &'a str, body: &'a [u8]) -> Self {
        Self { peer: peer.into(), path, body, forwarded_for: Vec::new(), forwarded: Vec::new() }
    }

    /// The body, to be stored as it came.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// A line of the header `X-Forwarded-For`; there may be several, in their order.
    pub fn forwarded_for(mut self, line: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.forwarded_for.push(line.as_ref());
        self
    }

    /// A line of the header `Forwarded`; there may be several, in their order.
    pub fn forwarded(mut self, line: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.forwarded.push(line.as_ref());
        self
    }

    /// All headers of the request, of which only the two above are kept: for frameworks that give names and values. Each line
    /// counts, also one that is not UTF-8. If a framework drops such lines first, a client can hide an address.
    pub fn headers<N, V>(mut self, headers: impl IntoIterator<Item = (&'a N, &'a V)>) -> Self
    where
        N: AsRef<str> + ?Sized + 'a,
        V: AsRef<[u8]> + ?Sized + 'a,
    {
        for (name, value) in headers {
            let name = name.as_ref();
            if name.eq_ignore_ascii_case("x-forwarded-for") {
                self.forwarded_for.push(value.as_ref());
            } else if name.eq_ignore_ascii_case("forwarded") {
                self.forwarded.push(value.as_ref());
            }
        }
        self
    }
}

/// Without path, which is a secret, and body.
impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery").field("peer", &self.peer).field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl Receiver {
    /// Takes deliveries to these URLs, from Safaricom's addresses.
    pub fn new(urls: SignedUrls) -> Self {
        Self { urls, sources: Sources::safaricom() }
    }

    /// Takes them from other addresses, or through proxies.
    pub fn sources(mut self, sources: Sources) -> Self {
        self.sources = sources;
        self
    }

    /// The URLs to give to Daraja.
    pub fn urls(&self) -> &SignedUrls {
        &self.urls
    }

    /// Checks and reads a delivery. Store the event, answer with [`Event::ack`], and work afterwards.
    ///
    /// The purpose of the URL chooses the reader. What comes to a timeout URL is a queue timeout, whatever it looks like, and
    /// never a result; what comes to a question's URL is the result of no payout, and the other way round; a payment to a
    /// PayBill is confirmed only at its own URL.
    ///
    /// # Errors
    ///
    /// [`Refused`], whose [`status`](Refused::status) is all that the other side shall hear. The log line `delivery refused`
    /// has the address of the connection (`peer`) and the one that the [`Sources`] see behind it (`client`).
    #[expect(clippy::needless_pass_by_value, reason = "a delivery is taken once")]
    pub fn accept(&self, delivery: Delivery<'_>) -> Result<(Reference, Event), Refused> {
        let outcome = self.read(&delivery);
        match &outcome {
            Ok((reference, event)) => {
                let reference = mask_id(reference.as_str());
                let (ids, kind) = (event.correlation(), event.kind().as_str());
                tracing::info!(
                    %reference,
                    kind,
                    checkout_request_id = ids.checkout_request_id.map(|id| mask_id(id.as_str())),
                    originator_conversation_id = ids.originator_conversation_id.map(|id| mask_id(id.as_str())),
                    conversation_id = ids.conversation_id.map(|id| mask_id(id.as_str())),
                    "delivery accepted"
                );
                if let Event::Unknown(unknown) = event {
                    unknown.warn(&reference);
                }
            }
            Err(refused) => {
                let shown = |address: Option<IpAddr>| address.map_or_else(|| "unknown".to_owned(), |ip| ip.to_string());
                let (peer, client) = (shown(delivery.peer), shown(self.client_of(&delivery)));
                let (status, bytes) = (refused.status(), delivery.body.len());
                let reference = refused.is_about_body().then(|| self.urls.verify(delivery.path).ok()).flatten();
                let reference = reference.map(|(_, reference)| mask_id(reference.as_str()));
                tracing::warn!(reference, status, %refused, %peer, %client, bytes, "delivery refused");
            }
        }
        outcome
    }

    /// The address of whoever is behind our own proxies, as the [`Sources`] tell it: whether it is one of them or not.
    ///
    /// It is for the application's other routes, such as a limit on how often one address may ask for a prompt. `None` if
    /// it cannot be told: count all of those as one.
    ///
    /// ```
    /// use std::net::IpAddr;
    /// use daraja::webhook::{Delivery, ProxyHeader, Receiver, SignedUrls, Sources};
    ///
    /// # let secret = daraja::secret::CallbackSecret::random();
    /// # let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?;
    /// let sources = Sources::safaricom().behind(["127.0.0.1"], ProxyHeader::XForwardedFor)?;
    /// let receiver = Receiver::new(urls).sources(sources);
    ///
    /// let (proxy, visitor): (IpAddr, IpAddr) = ("127.0.0.1".parse()?, "203.0.113.7".parse()?);
    /// let request = Delivery::new(proxy, "/checkout", b"").forwarded_for("198.51.100.1, 203.0.113.7");
    /// assert_eq!(receiver.client_of(&request), Some(visitor)); // what the visitor wrote on the left is not believed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn client_of(&self, delivery: &Delivery<'_>) -> Option<IpAddr> {
        self.sources.client(delivery.peer, self.lines(delivery))
    }

    /// The lines of the header that our proxies write.
    fn lines<'d, 'a>(&self, delivery: &'d Delivery<'a>) -> &'d [&'a [u8]] {
        match self.sources.header() {
            ProxyHeader::XForwardedFor => &delivery.forwarded_for,
            ProxyHeader::Forwarded => &delivery.forwarded,
        }
    }

    fn read(&self, delivery: &Delivery<'_>) -> Result<(Reference, Event), Refused> {
        if !self.sources.admit(delivery.peer, self.lines(delivery)) {
            return Err(Refused::Source);
        }
        let (purpose, reference) = self.urls.verify(delivery.path)?;
        if delivery.body.len() > MAX_BODY_BYTES {
            return Err(Refused::TooLarge);
        }
        let event = match purpose {
            Purpose::Stk => Event::parse(delivery.body),
            Purpose::Payout => Event::parse_for(RequestPurpose::Payout, delivery.body),
            Purpose::PayoutTimeout => Event::parse_as(EventKind::PayoutTimeout, delivery.body),
            Purpose::Question => Event::parse_for(RequestPurpose::Question, delivery.body),
            Purpose::QuestionTimeout => Event::parse_as(EventKind::QuestionTimeout, delivery.body),
            Purpose::C2bValidation => Event::parse_as(EventKind::C2bValidation, delivery.body),
            Purpose::C2bConfirmation => Event::parse_as(EventKind::C2bConfirmation, delivery.body),
        };
        let event = event.map_err(Refused::Malformed)?;
        if purpose.takes(event.kind()) { Ok((reference, event)) } else { Err(Refused::Misplaced) }
    }
}

/// Why a delivery was not taken. It changes nothing: what became of the payment is still to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// It came from an address that is not one of the [`Sources`], or from one that cannot be told.
    Source,
    /// Its path is not one of this receiver's URLs.
    Path,
    /// Its path has our form, and none of our secrets has signed it.
    Signature,
    /// It is larger than [`MAX_BODY_BYTES`](super::MAX_BODY_BYTES).
    TooLarge,
    /// It is no JSON, or nested too deep.
    Malformed(DecodeError),
    /// It is of another kind than its URL is for, such as a result at the URL of a push.
    Misplaced,
}

impl Refused {
    /// Whether its URL is one of ours.
    fn is_about_body(&self) -> bool {
        matches!(self, Self::TooLarge | Self::Malformed(_) | Self::Misplaced)
    }

    /// The HTTP status to answer with, and nothing else: 403, 404, 413 or 400.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::Source => 403,
            Self::Path | Self::Signature => 404,
            Self::TooLarge => 413,
            Self::Malformed(_) | Self::Misplaced => 400,
        }
    }
}

/// For your own log: it holds no path, no address and nothing of the body.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "it came from an address that is not let in",
            Self::Path => "its path is not one of this receiver's URLs",
            Self::Signature => "its path was not signed by us",
            Self::TooLarge => "its body is too large",
            Self::Malformed(error) => return write!(f, "{error}"),
            Self::Misplaced => "it is of another kind than its URL is for",
        })
    }
}

impl std::error::Error for Refused {}
