//! What happens after a failed attempt. Here stands the table that decides whether a call is repeated.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    iter,
    time::Duration,
};

use http::{HeaderMap, header};

use crate::{
    clock::Moment,
    error::{Error, RefusalKind, TooLate},
    operation::{NotAfter, Repeat},
};

/// How often and how fast a call is repeated. Whether it may be repeated at all is not a matter of policy: see [`Repeat`].
///
/// | setting | default |
/// |---|---|
/// | attempts | 3 |
/// | first pause | 200 ms, then decorrelated jitter |
/// | longest pause | 5 s |
///
/// ```
/// use std::time::Duration;
/// let policy = daraja::RetryPolicy::default().attempts(5).pauses(Duration::from_millis(100)..=Duration::from_secs(2));
/// let once = daraja::RetryPolicy::never();
/// assert_ne!(policy, once);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 3, first_pause: Duration::from_millis(200), longest_pause: Duration::from_secs(5) }
    }
}

impl RetryPolicy {
    /// One attempt. A refused token is renewed all the same: that costs no attempt.
    #[must_use]
    pub fn never() -> Self {
        Self::default().attempts(1)
    }

    pub(crate) fn retries(&self) -> bool {
        self.attempts > 1
    }

    /// Attempts in all, the first included; at least one.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// The first and the longest pause between attempts.
    #[must_use]
    pub fn pauses(mut self, pauses: std::ops::RangeInclusive<Duration>) -> Self {
        (self.first_pause, self.longest_pause) = pauses.into_inner();
        self
    }
}

/// How long after a sending Daraja is trusted to know the caller's own id still. How long it does is not known.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(600);

/// How many tokens may be refused in one call, if the last one came from the store. Then the call fetches one without it.
const MOST_OLD_TOKENS: u8 = 2;

/// A push takes a second or two to be answered.
const LEAST_ATTEMPT: Duration = Duration::from_secs(5);

/// What one failed attempt proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The call could not be tried: no token could be had, or there is no body.
    NotTried,
    /// No connection: the call was not sent.
    NotSent,
    /// The answer was a refusal of this kind.
    Answered(RefusalKind),
    /// The token was refused, and another process had left it in the store: it may have been replaced since.
    OldToken,
}

/// A failed attempt: what it proves and what to tell the caller.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) fate: Fate,
    pub(crate) error: Error,
}

impl Failure {
    pub(crate) fn new(fate: Fate, error: impl Into<Error>) -> Self {
        Self { fate, error: error.into() }
    }

    /// Nothing is proved about this attempt.
    pub(crate) fn unclear(error: impl Into<Error>) -> Self {
        Self::new(Fate::Answered(RefusalKind::Unclear), error)
    }
}

/// What the table says about one failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Repeat,
    Renew,
    Stop,
}

/// The table of the whole crate: a payment is repeated only if it provably was not carried out.
fn verdict(fate: Fate, repeat: Repeat) -> Verdict {
    match (fate, repeat) {
        (Fate::NotSent | Fate::Answered(RefusalKind::Throttled), _)
        | (Fate::Answered(RefusalKind::Unclear), Repeat::Safe | Repeat::Deduplicated) => Verdict::Repeat,
        (Fate::Answered(RefusalKind::TokenRefused) | Fate::OldToken, _) => Verdict::Renew,
        (Fate::NotTried | Fate::Answered(RefusalKind::Refused), _)
        | (Fate::Answered(RefusalKind::Unclear), Repeat::Never) => Verdict::Stop,
    }
}

const REFUSED_AGAIN: &str =
    "a fresh token was refused as well: the app lacks this API product, or its keys are of another environment";

/// How long a call, and each try of it, may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time {
    pub(crate) call: Duration,
    pub(crate) attempt: Duration,
}

/// The course of one `send`: what its attempts have proved so far, and what is left of its time.
#[derive(Debug)]
pub(crate) struct Course {
    repeat: Repeat,
    not_after: Option<NotAfter>,
    policy: RetryPolicy,
    time: Time,
    /// When the time of day was furthest ahead: what it has been set back since then makes windows shorter.
    furthest: Moment,
    started: Moment,
    /// The least time that an attempt is given: what is sent with less would be cut off, and its outcome unknown.
    least: Duration,
    attempt: u32,
    pause: Duration,
    /// When the present attempt began.
    began: Moment,
    /// When the first attempt began that may have been carried out. It is set once and for all.
    unknown_since: Option<Moment>,
    renewals: u8,
    /// Why the attempt before this one failed.
    last: Option<Error>,
}

impl Course {
    pub(crate) fn new(
        repeat: Repeat,
        not_after: Option<NotAfter>,
        policy: RetryPolicy,
        time: Time,
        furthest: Moment,
        started: Moment,
    ) -> Self {
        let least = if repeat == Repeat::Safe {
            Duration::ZERO
        } else {
            LEAST_ATTEMPT.min(time.call.checked_div(4).unwrap_or_default())
        };
        let pause = policy.first_pause;
        Self {
            repeat,
            not_after,
            policy,
            time,
            furthest,
            started,
            least,
            attempt: 1,
            pause,
            began: started,
            unknown_since: None,
            renewals: 0,
            last: None,
        }
    }

    /// Begins an attempt: gives the time that it may take, or the error that ends the call. A program can stand still
    /// anywhere, so this is asked behind the token, and directly before a request is handed to the transport.
    pub(crate) fn begin_attempt(&mut self, now: Moment) -> Result<Duration, Failure> {
        match self.time_left(now, Duration::ZERO) {
            Ok(left) => {
                self.began = now;
                Ok(left.min(self.time.attempt))
            }
            Err(late) => Err(self.too_late(late)),
        }
    }

    /// The failure of what cannot leave any more: where an attempt was made, its error says more.
    pub(crate) fn too_late(&mut self, late: TooLate) -> Failure {
        Failure::new(Fate::NotTried, self.last.take().unwrap_or_else(|| late.into()))
    }

    /// What an attempt that leaves after this pause can take at most.
    pub(crate) fn time_left(&self, now: Moment, pause: Duration) -> Result<Duration, TooLate> {
        let deadline = (self.started, self.time.call, TooLate::Deadline);
        let remembered = self.unknown_since.map(|first| (first, REMEMBERED, TooLate::NotAfter));
        let not_after = self.not_after.map(|not_after| {
            let window = if self.is_unknown() { not_after.resend_window } else { not_after.window };
            // The age of what was sent before was taken by the time of day alone.
            let lost = if not_after.is_resend { self.furthest.set_back(now) } else { Duration::ZERO };
            (not_after.since, window.saturating_sub(lost), TooLate::NotAfter)
        });
        let mut least_left = Duration::MAX;
        for (since, window, late) in iter::once(deadline).chain(remembered).chain(not_after) {
            if late == TooLate::NotAfter && !since.clocks_agree(now) {
                return Err(TooLate::Clocks);
            }
            let left = window.saturating_sub(since.until(now)).saturating_sub(pause);
            if left <= self.least {
                return Err(late);
            }
            least_left = least_left.min(left);
        }
        Ok(least_left)
    }

    /// Whether an attempt must not go on when its time is over, not even to see whether the answer is there: one that still
    /// connects would then be sent.
    pub(crate) fn is_strict(&self) -> bool {
        self.not_after.is_some() || self.repeat == Repeat::Deduplicated
    }

    /// The part of its remaining time that this call may spend on the token store: 3 means a third. An attacker can put old
    /// tokens into the store. So the call spends less time on the second token, and then it fetches a token without the store.
    pub(crate) fn store_share(&self) -> Option<u32> {
        match self.renewals {
            0 => Some(3),
            renewals if renewals < MOST_OLD_TOKENS => Some(6),
            _ => None,
        }
    }

    pub(crate) fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Whether an attempt before this one may have been carried out.
    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown_since.is_some()
    }

    /// Takes a failed attempt; answers the pause before the next one, or the error that ends the call.
    pub(crate) fn after(&mut self, failure: Failure, now: Moment) -> Result<Duration, Error> {
        let Failure { fate, error } = failure;
        let error = match error {
            Error::Api(error) if self.renewals > 0 && fate == Fate::Answered(RefusalKind::TokenRefused) => {
                Error::Api(error.with_hint(REFUSED_AGAIN))
            }
            other => other,
        };
        let unclear = fate == Fate::Answered(RefusalKind::Unclear);
        if unclear && self.repeat != Repeat::Safe {
            self.unknown_since.get_or_insert(self.began);
        }
        // An old token that came in place of the refused one proves nothing against the app.
        let most = if fate == Fate::OldToken { MOST_OLD_TOKENS } else { 1 };
        let next = match verdict(fate, self.repeat) {
            Verdict::Renew if self.renewals < most => {
                self.renewals = self.renewals.saturating_add(1);
                Some(Duration::ZERO)
            }
            Verdict::Repeat if self.attempt < self.policy.attempts => {
                self.attempt = self.attempt.saturating_add(1);
                Some(self.next_pause(&error))
            }
            _ => None,
        };
        match next {
            Some(pause) if self.time_left(now, pause).is_ok() => {
                // A refused token says nothing about a call that then comes too late.
                self.last = (verdict(fate, self.repeat) == Verdict::Repeat).then_some(error);
                Ok(pause)
            }
            _ if self.is_unknown() => Err(error.unknown()),
            _ => Err(error),
        }
    }

    /// Decorrelated jitter; a throttle waits a second at least, and as long as Daraja asks.
    fn next_pause(&mut self, error: &Error) -> Duration {
        let (first, longest) = (self.policy.first_pause, self.policy.longest_pause.max(self.policy.first_pause));
        self.pause = random_between(first, self.pause.saturating_mul(3)).min(longest);
        if error.is_throttled() {
            self.pause.max(Duration::from_secs(1)).max(error.retry_after().unwrap_or_default())
        } else {
            self.pause
        }
    }
}

fn random_between(low: Duration, high: Duration) -> Duration {
    let span = high.saturating_sub(low).as_millis();
    // The standard library seeds every `RandomState` differently: enough for jitter, and no further crate.
    let random = u128::from(RandomState::new().build_hasher().finish());
    let extra = random.checked_rem(span.saturating_add(1)).unwrap_or(0);
    low.saturating_add(Duration::from_millis(u64::try_from(extra).unwrap_or(0)))
}

/// Reads `Retry-After`, in seconds or as a date; a date counts from the answer's own `Date`, so that no clock need agree.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let value = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |value| chrono::DateTime::parse_from_rfc2822(value).ok();
    let pause = date(value)?.signed_duration_since(date(text(header::DATE)?)?);
    Some(pause.to_std().unwrap_or_default())
}
