//! What a refusal proves. Each answer that is no success is classified here, once.

use http::StatusCode;

use crate::code::ErrorCode;

/// What a refusal proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RefusalKind {
    /// The gateway refused the access token; the call was not carried out.
    TokenRefused,
    /// The gateway asked to slow down; the call was not carried out.
    Throttled,
    /// Refused by name; the call was not carried out and will not be.
    Refused,
    /// Nothing is proved.
    Unclear,
}

/// Where a refusal stands in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// The body is empty.
    Empty,
    /// The body is a text or a web page.
    Text,
    /// Daraja's `errorCode` or `ResponseCode`, or words without a code.
    Error,
    /// A fault of the gateway in front of Daraja.
    Fault,
    /// The code that one API has in place of `errorCode`.
    OwnCode,
}

/// What is known of an answer that is no success.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signs<'a> {
    pub(crate) status: StatusCode,
    pub(crate) found: Found,
    pub(crate) code: Option<&'a ErrorCode>,
    pub(crate) words: &'a str,
    /// It also holds what only an acceptance has: an id of the request, or a success code.
    pub(crate) is_acceptance: bool,
}

/// A refused token is answered with one of these, mostly in its own HTTP status. 404 is one of them.
const TOKEN_CODES: [&str; 6] = ["400.002.01", "400.003.01", "401.001", "401.002.01", "401.003.01", "404.001.03"];

/// The gateway's faults about a token, by the beginning of their codes.
const TOKEN_FAULTS: [&str; 2] = ["oauth.v2.", "keymanagement.service."];

/// Words about a token, without what is no letter.
const TOKEN_WORDS: [&str; 5] = ["accesstoken", "badtoken", "invalidtoken", "expiredtoken", "tokenexpired"];

/// The keys of ids that only an accepted request has, in lower case, or their ends. One API misspells them.
const ACCEPTED_IDS: [&str; 3] = ["checkoutrequestid", "conversationid", "coversationid"];

/// These codes also mean that the system is busy, of which nothing is known: only the words tell.
const THROTTLE_CODES: [&str; 4] = ["500.003.02", "500.002.02", "500.003.03", "500.002.03"];

impl RefusalKind {
    pub(crate) fn of(signs: Signs<'_>) -> Self {
        let named = signs.named();
        if named == Some(NamedRefusal::DuplicateId) {
            Self::Refused
        } else if signs.is_acceptance {
            Self::Unclear
        } else if signs.refuses_token() {
            Self::TokenRefused
        } else if signs.status == StatusCode::TOO_MANY_REQUESTS || signs.throttles() {
            Self::Throttled
        } else if named.is_some() || signs.refuses() {
            Self::Refused
        } else {
            Self::Unclear
        }
    }
}

impl Signs<'_> {
    fn code(&self) -> &str {
        self.code.map(ErrorCode::as_str).unwrap_or_default()
    }

    fn says(&self, words: &str) -> bool {
        contains_ignoring_case(self.words, words)
    }

    pub(crate) fn named(&self) -> Option<NamedRefusal> {
        if self.found == Found::Fault {
            return self.has_no_route().then_some(NamedRefusal::NoRoute);
        }
        NamedRefusal::of(self.code(), self.words)
    }

    /// Never with a status of 5xx: the gateway refuses tokens before it calls anything behind it.
    fn refuses_token(&self) -> bool {
        if !self.status.is_success() && !self.status.is_client_error() {
            return false;
        }
        let is_unauthorized = self.status == StatusCode::UNAUTHORIZED;
        let is_listed = TOKEN_CODES.contains(&self.code());
        match self.found {
            Found::Empty | Found::Text => is_unauthorized,
            Found::Fault => {
                TOKEN_FAULTS.iter().any(|start| self.code().starts_with(start))
                    || (is_unauthorized && self.is_about_token())
            }
            // An API's own 401 can mean that the user is not permitted.
            Found::OwnCode => self.says("invalid access token"),
            Found::Error if is_listed || self.code() == "401" => {
                self.says("invalid access token") || (is_listed && matches!(self.status.as_u16(), 400 | 401 | 404))
            }
            Found::Error => is_unauthorized && self.code.is_none() && self.is_about_token(),
        }
    }

    /// Of a 401: whether its words say that the token is bad, or say nothing at all.
    fn is_about_token(&self) -> bool {
        let letters: String = self.words.chars().filter(char::is_ascii_alphabetic).collect();
        let is = |words: &str| letters.eq_ignore_ascii_case(words);
        let is_vague = letters.is_empty() || is("unauthorized") || is("unauthorised");
        is_vague || TOKEN_WORDS.iter().any(|words| contains_ignoring_case(&letters, words))
    }

    fn throttles(&self) -> bool {
        let by_words = self.says("spike arrest") || self.says("quota violation");
        self.code().starts_with("policies.ratelimit.") || (THROTTLE_CODES.contains(&self.code()) && by_words)
    }

    fn refuses(&self) -> bool {
        let status = self.status.as_u16();
        match self.found {
            Found::Empty => status == 404,
            Found::Text | Found::Fault => false,
            Found::OwnCode => {
                matches!(status, 400 | 401 | 403 | 404 | 405 | 410 | 415 | 422) && !is_success_or_doubt(self.code())
            }
            Found::Error if self.code() == "401" => status == 401,
            Found::Error => is_refusal(status) && self.code.and_then(ErrorCode::group).is_some_and(is_refusal),
        }
    }

    /// The gateway knows no API at this host and path.
    fn has_no_route(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
            && (self.code().ends_with(".ApplicationNotFound") || self.says("unable to identify proxy"))
    }
}

/// Whether the code of one API means a success in one of them, or leaves open what was done.
fn is_success_or_doubt(code: &str) -> bool {
    let digits = code.trim().trim_start_matches('0');
    let is_server_error = digits.len() == 3 && digits.starts_with('5');
    is_server_error || matches!(digits, "" | "200" | "408" | "409" | "1000" | "4000" | "6000") || digits.contains('.')
}

/// Whether a text holds, at any depth, what only an acceptance has: an id of the request, or a `ResponseCode` of zeros.
/// Something between may have wrapped Daraja's answer and given it another status: in JSON, in JSON inside a string, in XML,
/// in a form or in a web page.
pub(crate) fn holds_acceptance(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace('_', "");
    let text = QUOTES.iter().fold(text, |text, quote| text.replace(quote, "\""));
    let has_id = ACCEPTED_IDS.iter().any(|key| values(&text, key).any(|value| !value.starts_with("null")));
    has_id || values(&text, "responsecode").any(is_zero)
}

/// A quote, as JSON, web pages and forms write it.
const QUOTES: [&str; 4] = ["\\u0022", "&quot;", "&#34;", "%22"];

/// What begins behind each key of this name, if it is not empty.
fn values<'t>(text: &'t str, key: &'static str) -> impl Iterator<Item = &'t str> {
    let is_quote = |c: char| matches!(c, '"' | '\'' | '\\') || c.is_whitespace();
    text.match_indices(key).filter_map(move |(at, found)| {
        let behind = text.get(at.checked_add(found.len())?..)?;
        // An element of XML can have attributes.
        let is_element = behind.starts_with(' ') && text.get(..at)?.ends_with('<');
        let behind = if is_element { behind.split_at_checked(behind.find('>')?)?.1 } else { behind };
        let behind = behind.trim_start_matches(is_quote);
        let value = behind.strip_prefix([':', '=', '>'])?.trim_start_matches(is_quote);
        (!value.starts_with([',', '}', ']', '<', '&']) && !value.is_empty()).then_some(value)
    })
}

fn is_zero(value: &str) -> bool {
    let digits = value.find(|c: char| !c.is_ascii_digit()).and_then(|end| value.get(..end)).unwrap_or(value);
    !digits.is_empty() && digits.bytes().all(|digit| digit == b'0')
}

/// Whether an HTTP status, or the group of a code, says that the request was not carried out. A timeout (408) and a conflict
/// (409) do not: the request, or an earlier one like it, may be under way.
fn is_refusal(number: u16) -> bool {
    (400..500).contains(&number) && !matches!(number, 408 | 409)
}

/// A refusal that is known by its words: Daraja uses one code for many things, most of which say nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedRefusal {
    WrongCredentials,
    NoMerchant,
    SubscriberBusy,
    NoSafaricomLine,
    TransactionType,
    /// The id was used before. It is not asked about again: the answer to that would look as if it had been our repeat.
    DuplicateId,
    NoRoute,
}

const NAMED_REFUSALS: [(&str, &str, NamedRefusal); 5] = [
    ("500.001.1001", "wrong credentials", NamedRefusal::WrongCredentials),
    ("500.001.1001", "merchant does not exist", NamedRefusal::NoMerchant),
    ("500.001.1001", "unable to lock subscriber", NamedRefusal::SubscriberBusy),
    ("500.001.1001", "no iccid found on nms", NamedRefusal::NoSafaricomLine),
    ("500.001.1001", "merchant not allowed to carry out transaction type", NamedRefusal::TransactionType),
];

/// These words mean the same under any code, and under none. The second spelling is Daraja's own in its answers.
const DUPLICATE: [&str; 2] = ["duplicateoriginatorconversationid", "duplicateoriginatorcoversationid"];

impl NamedRefusal {
    pub(crate) fn of(code: &str, words: &str) -> Option<Self> {
        if is_duplicate(words) {
            return Some(Self::DuplicateId);
        }
        let words = words.trim().trim_start_matches("[MerchantValidate] - ");
        let begins = |text: &str| words.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
        NAMED_REFUSALS.iter().find(|(named, text, _)| *named == code && begins(text)).map(|(.., refusal)| *refusal)
    }

    /// What to do, where the words do not say it.
    pub(crate) fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::WrongCredentials => {
                "check that MPESA_SHORTCODE and MPESA_PASSKEY belong together and to this environment"
            }
            Self::NoMerchant => "check MPESA_SHORTCODE, and that it belongs to this environment",
            Self::NoSafaricomLine => "the number has no Safaricom line: ask the customer for one that has M-PESA",
            Self::TransactionType => {
                "a PayBill is set by MPESA_SHORTCODE alone; for a till set MPESA_TILL to the till and MPESA_SHORTCODE to its \
                 store number"
            }
            Self::NoRoute => "check MPESA_BASE_URL: this host has no such API",
            Self::SubscriberBusy | Self::DuplicateId => return None,
        })
    }
}

fn is_duplicate(words: &str) -> bool {
    let letters: String = words.chars().filter(char::is_ascii_alphabetic).collect();
    DUPLICATE.iter().any(|words| contains_ignoring_case(&letters, words))
}

fn contains_ignoring_case(text: &str, words: &str) -> bool {
    text.as_bytes().windows(words.len()).any(|window| window.eq_ignore_ascii_case(words.as_bytes()))
}
