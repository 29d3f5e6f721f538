//! What Daraja posts to us: unsigned, once, sometimes early, sometimes never.

mod inbox;

pub use inbox::Inbox;
pub(crate) use inbox::Listener;

use crate::StkCallback;

/// Anything that Daraja posts to a callback URL.
///
/// ```
/// use daraja::{StkCallback, webhook::Event};
///
/// let callback = StkCallback::parse(br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":1037}}}"#)?;
/// let event = Event::from(callback);
/// assert!(matches!(event, Event::Stk(_)));
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// What became of an STK push.
    Stk(StkCallback),
}

impl From<StkCallback> for Event {
    fn from(callback: StkCallback) -> Self {
        Self::Stk(callback)
    }
}
