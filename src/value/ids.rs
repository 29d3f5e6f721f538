//! The ids that Daraja gives to requests: opaque, kept verbatim.

use std::{fmt, str::FromStr};

use super::{
    name_of,
    wire::{Wire, serde_as_text},
};
use crate::error::{Invalid, mask_id};

const MOST: usize = 128;

macro_rules! opaque_id {
    ($(#[$meta:meta])* $name:ident, $what:literal, $debug:path) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes an id that Daraja gave, verbatim.
            ///
            /// # Errors
            ///
            /// [`Invalid`] if it is empty, longer than 128 characters, or holds white space or a control character.
            pub fn new(id: impl Into<String>) -> Result<Self, Invalid> {
                let id = id.into();
                check($what, &id)?;
                Ok(Self(id.into()))
            }

            /// The id as Daraja wrote it.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(id: &str) -> Result<Self, Invalid> {
                check($what, id)?;
                Ok(Self(id.into()))
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), $debug(self.as_str()))
            }
        }

        impl Wire for $name {
            const WHAT: &'static str = $what;
        }

        serde_as_text!($name);
    };
}

opaque_id! {
    /// The gateway's id of a request, such as `2654-4b64-97ff-b827b542881d3130`. Quote it to Safaricom's support.
    ///
    /// Its shape has changed before, so only what no id can be is refused.
    ///
    /// ```
    /// use daraja::MerchantRequestId;
    /// let id = MerchantRequestId::new("29115-34620561-1")?;
    /// assert_eq!(id.as_str(), "29115-34620561-1");
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    MerchantRequestId, "merchant request id", std::convert::identity
}

opaque_id! {
    /// The id of one payment prompt. The callback carries it, and the STK query asks by it: store it before all else.
    ///
    /// It ends in the payer's phone number, so it is personal data: `Debug` and the log lines of this crate mask that number
    /// and show the rest, by which a payment is found. `Display` and [`as_str`](Self::as_str) are the full id, for storing and
    /// for asking.
    ///
    /// ```
    /// use daraja::CheckoutRequestId;
    /// let id = CheckoutRequestId::new("ws_CO_180920261803512708374149")?;
    /// assert_eq!(format!("{id:?}"), "CheckoutRequestId(ws_CO_1809202618035127******49)");
    /// assert_eq!(id.to_string(), "ws_CO_180920261803512708374149");
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    CheckoutRequestId, "checkout request id", mask_id
}

opaque_id! {
    /// The gateway's id of a request that is answered later by a result, such as `AG_20240706_20106e9209f64bebd05b`.
    ///
    /// ```
    /// use daraja::ConversationId;
    /// let id = ConversationId::new("AG_20240706_20106e9209f64bebd05b")?;
    /// assert_eq!(id.as_str(), "AG_20240706_20106e9209f64bebd05b");
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    ConversationId, "conversation id", std::convert::identity
}

opaque_id! {
    /// The id by which Daraja tells a payout that is sent again from a second payout: at most 128 characters.
    ///
    /// A payout has one from birth, [at random](Self::random) unless you give your own. One of your own must never have
    /// been used for another payout, in any program that pays from the same short code. Store it before sending.
    /// `Debug` masks one that holds nine digits in a row, which can be a phone number.
    ///
    /// ```
    /// use daraja::OriginatorConversationId;
    /// let own: OriginatorConversationId = "supplier-7-invoice-1042".parse()?;
    /// assert_ne!(OriginatorConversationId::random(), OriginatorConversationId::random());
    /// # Ok::<(), daraja::error::Invalid>(())
    /// ```
    OriginatorConversationId, "originator conversation id", mask_id
}

impl OriginatorConversationId {
    /// A random UUID, by the operating system's generator.
    #[must_use]
    pub fn random() -> Self {
        Self(uuid::Uuid::new_v4().to_string().into())
    }
}

fn check(what: &'static str, id: &str) -> Result<(), Invalid> {
    // What every id looks like that was ever seen; the rest is for the few that do not, and for the reason why not. A
    // fold that looks at every byte costs a fifth of a search that stops.
    if (1..=MOST).contains(&id.len()) && id.bytes().fold(true, |plain, byte| plain & byte.is_ascii_graphic()) {
        return Ok(());
    }
    let invalid = |reason: String| Err(Invalid::new(what, reason).with_input(id));
    if id.is_empty() {
        return invalid("it is empty; take it from Daraja's answer".to_owned());
    }
    if let Some(c) = id.chars().find(|c| c.is_control() || c.is_whitespace()) {
        return invalid(format!("{} cannot be part of it; take it from Daraja's answer verbatim", name_of(c)));
    }
    match id.chars().count() {
        0..=MOST => Ok(()),
        count => invalid(format!("it has {count} characters, and at most {MOST} are expected")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_shape_seen_so_far_is_kept_verbatim() {
        for id in ["29115-34620561-1", "5dbd-4f93-a478-41cdaf2b9acd86873", "ac7b-470b-8df7-23ab3cef38271280493"] {
            let parsed = MerchantRequestId::new(id).unwrap();
            assert_eq!(parsed.as_str(), id);
            assert_eq!(format!("{parsed:?}"), format!("MerchantRequestId({id})"));
        }
        for id in
            ["ws_CO_180920261803512708374149", "ws_CO_191220191020363925", "ws_CO_DMZ_250600506_23022019144745852"]
        {
            assert_eq!(CheckoutRequestId::new(id).unwrap().to_string(), id);
        }
        assert_eq!(CheckoutRequestId::new("é".repeat(128)).unwrap().as_str(), "é".repeat(128));
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        for (id, expected) in [
            ("", "invalid checkout request id \"\": it is empty; take it from Daraja's answer"),
            (
                "ws_CO_1 ",
                "invalid checkout request id \"ws_CO_1 \": \
                 ' ' cannot be part of it; take it from Daraja's answer verbatim",
            ),
            (
                "ws\r\nX",
                "invalid checkout request id \"ws\\r\\nX\": '\\r' cannot be part of it; take it from Daraja's answer \
                 verbatim",
            ),
            (
                &"é".repeat(129),
                "invalid checkout request id \"éééé********************…\": it has 129 characters, and at most 128 are \
                 expected",
            ),
        ] {
            assert_eq!(CheckoutRequestId::new(id).unwrap_err().to_string(), expected);
        }
        for id in ["ws_CO_1\0", "ws\u{7f}", "ws\u{85}", "a\u{a0}b", "\n"] {
            assert!(CheckoutRequestId::new(id).is_err(), "{id:?}");
        }
        assert_eq!(
            MerchantRequestId::new("").unwrap_err().to_string(),
            "invalid merchant request id \"\": it is empty; take it from Daraja's answer"
        );
    }

    #[test]
    fn no_checkout_request_id_shows_a_number_in_debug() {
        for (id, expected) in [
            ("ws_CO_180920261803512708374149", "CheckoutRequestId(ws_CO_1809202618035127******49)"),
            ("ws_CO_191220191020363925", "CheckoutRequestId(ws_CO_191220191020363925)"),
            ("254708374149", "CheckoutRequestId(2547******49)"),
            ("x-254708374149-y", "CheckoutRequestId(x-2547******49-y)"),
            ("ws_CO_18", "CheckoutRequestId(ws_CO_18)"),
        ] {
            assert_eq!(format!("{:?}", CheckoutRequestId::new(id).unwrap()), expected);
        }
    }

    proptest! {
        #[test]
        fn showing_and_parsing_again_changes_nothing(id in "[!-~]{1,128}") {
            let parsed = CheckoutRequestId::new(id.as_str()).unwrap();
            prop_assert_eq!(&parsed.to_string(), &id);
            prop_assert_eq!(&id.parse::<CheckoutRequestId>().unwrap(), &parsed);
            let json = serde_json::to_string(&parsed).unwrap();
            prop_assert_eq!(serde_json::from_str::<CheckoutRequestId>(&json).unwrap(), parsed);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = CheckoutRequestId::new(text).map(|id| format!("{id:?}"));
        }
    }
}
