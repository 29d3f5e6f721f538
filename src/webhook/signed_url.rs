//! Callback URLs that nobody can guess, and that tell which attempt they belong to.

use std::{collections::HashSet, fmt};

use aws_lc_rs::{constant_time::verify_slices_are_equal, hmac};
use url::Url;
use zeroize::Zeroizing;

use super::{EventKind, Reference, Refused};
use crate::{ResultUrls, config::WithoutPath, error::Invalid, secret::CallbackSecret};

/// Longer callback URLs have not been seen to work.
const MOST: usize = 255;

/// Bytes of the shortest secret.
const SHORTEST_SECRET: usize = 32;

/// How many different characters a secret has at least. Of secrets of 32 random decimal digits, fewer than 1 in 100 have less.
const FEWEST_LETTERS: usize = 8;

/// Words of templates and tutorials, without blanks and punctuation. A secret that contains one is refused.
const GUESSED: [&str; 8] =
    ["keptinavault", "changeme", "changethis", "replaceme", "callbacksecret", "yoursecret", "mysecret", "1234567890"];

/// What stands behind the base: two slashes, a reference and a MAC.
const TAIL: usize = 2 + Reference::MOST + MAC_DIGITS;

/// Hexadecimal digits: base64 would now and then spell a word that Daraja refuses in URLs, such as `sql` or `exe`.
const MAC_DIGITS: usize = 64;

/// Makes and verifies callback URLs: `base/purpose/reference/mac`, one of its own for each attempt.
///
/// Daraja signs nothing, but posts to the URL byte by byte as it was given. So the URL carries the proof: an HMAC-SHA256 of
/// its base (host and path, not scheme and port), its purpose and your reference. Verifying needs no storage, and works when
/// the answer to the request was lost. Such a URL is a secret: keep it out of logs.
///
/// ```
/// use daraja::webhook::{Purpose, Reference, SignedUrls};
///
/// # let secret = daraja::secret::CallbackSecret::random();
/// let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?;
/// let reference: Reference = "attempt-1042".parse()?;
/// let url = urls.stk(&reference);
/// assert!(url.as_str().starts_with("https://shop.example/daraja/stk/attempt-1042/"));
///
/// assert_eq!(urls.verify(url.path())?, (Purpose::Stk, reference));
/// assert!(urls.verify("/daraja/stk/attempt-1043/0000000000000000000000000000000000000000000000000000000000000000").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
#[derive(Clone)]
pub struct SignedUrls {
    /// In the order of [`Purpose::ALL`].
    bases: [Url; Purpose::ALL.len()],
    signs: hmac::Key,
    /// What else is accepted.
    accepts: Vec<hmac::Key>,
    /// URLs of earlier bases, which are accepted as well.
    earlier: Vec<Self>,
}

/// Which text a signature covers.
#[derive(Clone, Copy)]
enum Form<'u> {
    /// With the base.
    OfBase(&'u Url),
    /// Without the base, as the first versions signed: a URL of one shop was valid in another shop with the same secret.
    OfNoBase,
}

/// What a callback URL is for. The signature covers it: a URL of one purpose is none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Purpose {
    /// Callbacks of STK pushes: `stk`.
    Stk,
    /// Results of money that leaves, which are payouts and reversals: `payout`.
    Payout,
    /// Queue timeouts of these: `payout-timeout`.
    PayoutTimeout,
    /// Answers to questions, which are transaction status and account balance: `question`.
    Question,
    /// Queue timeouts of these: `question-timeout`.
    QuestionTimeout,
    /// Whether a payment to a PayBill or till may be made: `validation`.
    C2bValidation,
    /// That one was made: `confirmation`.
    C2bConfirmation,
}

impl Purpose {
    const ALL: [Self; 7] = [
        Self::Stk,
        Self::Payout,
        Self::PayoutTimeout,
        Self::Question,
        Self::QuestionTimeout,
        Self::C2bValidation,
        Self::C2bConfirmation,
    ];

    /// The word that stands for it in URLs. None of them is one that Daraja refuses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stk => "stk",
            Self::Payout => "payout",
            Self::PayoutTimeout => "payout-timeout",
            Self::Question => "question",
            Self::QuestionTimeout => "question-timeout",
            Self::C2bValidation => "validation",
            Self::C2bConfirmation => "confirmation",
        }
    }

    /// What may come to such a URL.
    pub(super) fn takes(self, kind: EventKind) -> bool {
        match kind {
            EventKind::Stk => self == Self::Stk,
            EventKind::Payout => self == Self::Payout,
            EventKind::PayoutTimeout => matches!(self, Self::Payout | Self::PayoutTimeout),
            EventKind::Question => self == Self::Question,
            EventKind::QuestionTimeout => matches!(self, Self::Question | Self::QuestionTimeout),
            EventKind::C2bValidation => self == Self::C2bValidation,
            EventKind::C2bConfirmation => self == Self::C2bConfirmation,
            // What only a body without a verified URL is.
            EventKind::Result | EventKind::QueueTimeout | EventKind::C2b => false,
            EventKind::Unknown => true,
        }
    }
}

impl SignedUrls {
    /// Signs URLs under this base with this secret: 32 characters or more, from a random generator, the same in every
    /// process that makes or receives them.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if the secret is too short or easy to guess, or if the base is no http or https URL, holds a user name, a
    /// query or a fragment, or is so long that a URL could have more than 255 characters. Production takes https only, which
    /// is checked when the URL is sent.
    #[expect(clippy::needless_pass_by_value, reason = "URLs are given by value everywhere")]
    pub fn new(base: Url, secret: impl Into<CallbackSecret>) -> Result<Self, Invalid> {
        let under = |purpose: Purpose| below(&base, purpose.as_str());
        let bases = Purpose::ALL.map(under);
        bases.iter().try_for_each(Self::check)?;
        let secret = secret.into();
        secret.check()?;
        Ok(Self { bases, signs: key(&secret), accepts: Vec::new(), earlier: Vec::new() })
    }

    /// Takes URLs of this purpose from another base: `base/reference/mac`. Two purposes may have one base: the signatures
    /// keep them apart.
    ///
    /// ```
    /// # use daraja::webhook::{Purpose, SignedUrls};
    /// # let secret = daraja::secret::CallbackSecret::random();
    /// let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?
    ///     .at(Purpose::Stk, "https://shop.example/api/payments/callback".parse()?)?;
    /// let url = urls.stk(&"attempt-1042".parse()?);
    /// assert!(url.as_str().starts_with("https://shop.example/api/payments/callback/attempt-1042/"));
    /// # Ok::<(), daraja::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn at(mut self, purpose: Purpose, base: Url) -> Result<Self, Invalid> {
        Self::check(&base)?;
        let slot = Purpose::ALL.into_iter().zip(&mut self.bases).find(|(known, _)| *known == purpose);
        if let Some((_, slot)) = slot {
            *slot = base;
        }
        Ok(self)
    }

    /// Also accepts URLs that another secret has signed, so that the secret can be changed: the new secret signs, and the old
    /// one is accepted as long as its URLs may still be used.
    ///
    /// The first versions of this crate did not sign the base. Such signatures are accepted of secrets that are given here,
    /// and of no others. While URLs of such a version are in use, give the same secret here.
    ///
    /// ```
    /// # use daraja::{secret::CallbackSecret, webhook::SignedUrls};
    /// # let (old_secret, secret) = (CallbackSecret::random(), CallbackSecret::random());
    /// # let base: daraja::Url = "https://shop.example/daraja".parse()?;
    /// let before = SignedUrls::new(base.clone(), old_secret.clone())?.stk(&"attempt-1042".parse()?);
    /// let urls = SignedUrls::new(base, secret)?.also_accept(old_secret)?;
    /// assert!(urls.verify(before.path()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Invalid`] if the secret is too short. A secret that is easy to guess is accepted here, so that it can be replaced.
    pub fn also_accept(mut self, secret: impl Into<CallbackSecret>) -> Result<Self, Invalid> {
        let secret = secret.into();
        secret.check_length()?;
        self.accepts.push(key(&secret));
        Ok(self)
    }

    /// Also accepts the URLs of an earlier base, so that the base can be changed: URLs that are in use, above all the
    /// registered URLs of C2B, are signed for the earlier base.
    ///
    /// ```
    /// # use daraja::{secret::CallbackSecret, webhook::SignedUrls};
    /// # let secret = CallbackSecret::random();
    /// let before = SignedUrls::new("https://old.example/daraja".parse()?, secret.clone())?;
    /// let url = before.stk(&"attempt-1042".parse()?);
    /// let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?;
    /// assert!(urls.verify(url.path()).is_err());
    /// assert!(urls.also_accept_urls_of(before).verify(url.path()).is_ok());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn also_accept_urls_of(mut self, earlier: Self) -> Self {
        self.earlier.push(earlier);
        self
    }

    /// Where Daraja shall tell what became of a push.
    #[must_use]
    pub fn stk(&self, reference: &Reference) -> Url {
        self.url(Purpose::Stk, reference)
    }

    /// Where Daraja reports how money that leaves ended, by a payout or a reversal, and that the request timed out in its
    /// queue.
    ///
    /// ```
    /// # use daraja::webhook::SignedUrls;
    /// # let secret = daraja::secret::CallbackSecret::random();
    /// let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?;
    /// let reference = "payout-1042".parse()?;
    /// let (payout, question) = (urls.payout(&reference), urls.question(&reference));
    /// assert!(payout.result().as_str().starts_with("https://shop.example/daraja/payout/payout-1042/"));
    /// assert!(payout.timeout().as_str().starts_with("https://shop.example/daraja/payout-timeout/payout-1042/"));
    ///
    /// // One reference does for the payout and for all questions about it: their URLs are apart.
    /// assert!(question.result().as_str().starts_with("https://shop.example/daraja/question/payout-1042/"));
    /// # Ok::<(), daraja::Error>(())
    /// ```
    #[must_use]
    pub fn payout(&self, reference: &Reference) -> ResultUrls {
        ResultUrls::new(self.url(Purpose::Payout, reference), self.url(Purpose::PayoutTimeout, reference))
    }

    /// Where Daraja answers a question (transaction status, account balance), and reports that the question timed out in
    /// its queue. No money moves by what comes there, and no payout is settled by it as if it were its own result.
    #[must_use]
    pub fn question(&self, reference: &Reference) -> ResultUrls {
        ResultUrls::new(self.url(Purpose::Question, reference), self.url(Purpose::QuestionTimeout, reference))
    }

    /// Where Daraja shall ask whether a payment to a PayBill or till may be made. It is registered once, not for each
    /// payment.
    #[must_use]
    pub fn c2b_validation(&self, reference: &Reference) -> Url {
        self.url(Purpose::C2bValidation, reference)
    }

    /// Where Daraja shall tell that a payment to a PayBill or till was made. It is registered once, not for each payment.
    #[must_use]
    pub fn c2b_confirmation(&self, reference: &Reference) -> Url {
        self.url(Purpose::C2bConfirmation, reference)
    }

    fn url(&self, purpose: Purpose, reference: &Reference) -> Url {
        let base = self.bases().find(|(known, _)| *known == purpose).map(|(_, base)| base);
        let base = base.expect("every purpose has a base");
        below(base, &format!("{reference}/{}", mac(&self.signs, Form::OfBase(base), purpose, reference)))
    }

    /// Whether URLs may begin with this base.
    pub(crate) fn check(base: &Url) -> Result<(), Invalid> {
        let invalid = |reason: &'static str| Err(Invalid::new("base of callback URLs", reason));
        if !matches!(base.scheme(), "http" | "https") {
            return invalid("it must begin with https://");
        }
        if !base.username().is_empty()
            || base.password().is_some()
            || base.query().is_some()
            || base.fragment().is_some()
        {
            return invalid("it must hold no user name, no query and no fragment");
        }
        let longest = base.as_str().len().saturating_add(TAIL);
        if longest > MOST {
            return invalid("it is too long: with reference and signature a URL could have more than 255 characters");
        }
        Ok(())
    }

    fn bases(&self) -> impl Iterator<Item = (Purpose, &Url)> {
        Purpose::ALL.into_iter().zip(&self.bases)
    }

    /// Reads a path as it came, neither decoded nor changed, and says what it is for. Of scheme and host nothing is asked.
    ///
    /// # Errors
    ///
    /// [`Refused::Path`] if it is of another form, [`Refused::Signature`] if none of the secrets has signed it.
    pub fn verify(&self, path: &str) -> Result<(Purpose, Reference), Refused> {
        let own = self.verify_own(path);
        let earlier = || self.earlier.iter().find_map(|earlier| earlier.verify(path).ok());
        own.or_else(|refused| earlier().ok_or(refused))
    }

    fn verify_own(&self, path: &str) -> Result<(Purpose, Reference), Refused> {
        let mut found = Err(Refused::Path);
        for (purpose, base) in self.bases() {
            let Some((reference, given)) = split(path, base) else { continue };
            // Every key is tried, so that the time does not tell which one it was.
            let own = std::iter::once((&self.signs, Form::OfBase(base)));
            let others = self.accepts.iter().flat_map(|key| [(key, Form::OfBase(base)), (key, Form::OfNoBase)]);
            let signed = own.chain(others).fold(false, |signed, (key, form)| {
                let expected = mac(key, form, purpose, &reference);
                verify_slices_are_equal(expected.as_bytes(), given.as_bytes()).is_ok() | signed
            });
            if signed {
                return Ok((purpose, reference));
            }
            found = Err(Refused::Signature);
        }
        found
    }
}

/// Reference and MAC of a path below this base.
fn split<'p>(path: &'p str, base: &Url) -> Option<(Reference, &'p str)> {
    let rest = path.strip_prefix(base.path().trim_end_matches('/'))?.strip_prefix('/')?;
    let (reference, mac) = rest.split_once('/')?;
    let reference = reference.parse().ok()?;
    (mac.len() == MAC_DIGITS && !mac.contains('/')).then_some((reference, mac))
}

/// In hexadecimal digits. The parts cannot run into each other: no base, purpose or reference holds a line break.
fn mac(key: &hmac::Key, form: Form<'_>, purpose: Purpose, reference: &Reference) -> String {
    let purpose = purpose.as_str();
    let signed = match form {
        Form::OfBase(base) => {
            let (host, path) = (base.host_str().unwrap_or_default(), base.path().trim_end_matches('/'));
            format!("daraja callback v2\n{host}{path}\n{purpose}\n{reference}")
        }
        Form::OfNoBase => format!("daraja callback\n{purpose}\n{reference}"),
    };
    let tag = hmac::sign(key, signed.as_bytes());
    tag.as_ref().iter().fold(String::with_capacity(MAC_DIGITS), |mut digits, byte| {
        digits.extend([byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)));
        digits
    })
}

fn key(secret: &CallbackSecret) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes())
}

impl CallbackSecret {
    pub(crate) fn check(&self) -> Result<(), Invalid> {
        self.check_length()?;
        let secret = self.expose();
        let distinct = secret.bytes().collect::<HashSet<_>>().len();
        let mut letters = Zeroizing::new(secret.to_ascii_lowercase());
        letters.retain(|c| c.is_ascii_alphanumeric());
        if distinct < FEWEST_LETTERS || GUESSED.iter().any(|words| letters.contains(words)) {
            return Err(Invalid::new("callback secret", "it can be guessed: make one with `openssl rand -hex 32`"));
        }
        Ok(())
    }

    pub(crate) fn check_length(&self) -> Result<(), Invalid> {
        if self.expose().len() >= SHORTEST_SECRET {
            return Ok(());
        }
        Err(Invalid::new("callback secret", "32 characters or more are expected, from a random generator"))
    }
}

fn below(base: &Url, rest: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{rest}", base.path().trim_end_matches('/')));
    url
}

/// Without paths and keys.
impl fmt::Debug for SignedUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [stk, ..] = &self.bases;
        f.debug_struct("SignedUrls").field("base", &WithoutPath(stk)).finish_non_exhaustive()
    }
}
