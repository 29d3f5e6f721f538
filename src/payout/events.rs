//! What happens to a payout: answers, results, the status of its transaction, queue timeouts.

use std::time::Duration;

use super::{Contradiction, LONGEST_ASK_PAUSE, Payout, PayoutState, Sent, Unplaced, state::Requests};
use crate::{
    ConversationId, Error, QueueTimeout, ReceiptNumber, Repeat, Result, StatusOutcome, Timestamp, Transaction,
    TransactionState, TransactionStatusQuery, TransactionStatusResult,
    b2c::{B2cAccepted, B2cFailure, B2cOutcome, B2cPayout, B2cResult, B2cUnproven},
    code::{Unproven, Why},
    error::{ApiError, Invalid, mask, mask_id},
    initiated::{Accepted, RequestPurpose},
};

/// Before the same payment is sent again; doubled each time.
const SEND_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_SEND_PAUSE: Duration = Duration::from_secs(240);
/// Before Daraja is asked, and asked again; doubled each time. An answer has been seen to take a minute and a half.
const ASK_PAUSE: Duration = Duration::from_secs(120);
/// As much as two clocks can be apart that are meant to agree, their time zones included.
const SKEW: Duration = Duration::from_secs(86_400);
/// Reports that are kept while it is not known what they are about.
const MOST_UNPLACED: usize = 8;

impl Payout {
    /// Takes what sending the [`Dispatch`](super::Dispatch) came to.
    ///
    /// What is noted twice, or by a worker whose payout another one has begun since, never makes a payout one that may be
    /// sent anew.
    ///
    /// The outcome of another payout changes nothing; it is logged as an error.
    pub fn sent(&mut self, sent: &Sent, now: Timestamp) {
        if sent.id != self.order.id {
            let (payout, sent) = (mask_id(self.order.id.as_str()), mask_id(sent.id.as_str()));
            tracing::error!(payout, sent, "the outcome of another payout was given: nothing was changed");
            return;
        }
        self.look_at(now);
        let is_current = sent.number == self.begins;
        if is_current {
            self.noted = sent.number;
        }
        match &sent.outcome {
            Ok(accepted) => {
                match accepted {
                    B2cAccepted::Accepted(accepted) => {
                        if sent.number != self.first_begin || accepted.is_repeat {
                            self.requests = Requests::Several;
                        }
                        self.conversation_id.clone_from(&accepted.conversation_id);
                        self.given_id.clone_from(&accepted.originator_conversation_id);
                    }
                    // It refuses repeats at once, so it has accepted one request.
                    B2cAccepted::AlreadyAccepted => self.requests.one(),
                }
                self.is_taken();
                self.enter(PayoutState::Accepted, now.after(ASK_PAUSE));
            }
            Err(error) => self.not_sent(sent, error, now),
        }
        // A failure that was kept may be certain now.
        self.place(now);
    }

    fn not_sent(&mut self, sent: &Sent, error: &Error, now: Timestamp) {
        let is_current = sent.number == self.begins;
        let is_duplicate = error.api().is_some_and(ApiError::is_duplicate);
        // The id was used before: for this payment, or for another one. Only Daraja can tell.
        self.is_known |= is_duplicate;
        self.may_be_done |= is_duplicate || error.outcome_unknown();
        // As the answer to a repeat a duplicate says that one request was accepted; as the very first answer, that the id is
        // known, perhaps from another payment.
        if is_duplicate && sent.number != self.first_begin {
            self.requests.one();
        } else if is_duplicate || (error.outcome_unknown() && sent.may_have_retried) {
            self.requests.perhaps_several();
        }
        if !is_current && (self.state == PayoutState::Sending || !self.may_be_done) {
            return;
        }
        let pause = doubled(SEND_PAUSE, self.sends, LONGEST_SEND_PAUSE).max(error.retry_after().unwrap_or_default());
        let pause = pause.min(LONGEST_ASK_PAUSE);
        self.sends = self.sends.saturating_add(1);
        if self.may_be_done {
            let pause = if is_duplicate { Duration::ZERO } else { pause };
            return self.enter(PayoutState::Unknown, now.after(pause));
        }
        self.first_sent_at = None;
        // No token, or one that Daraja refused: that says nothing about the payment.
        let is_of_the_app = matches!(error, Error::Token(_)) || error.api().is_some_and(ApiError::is_token_refused);
        if error.is_retryable() || is_of_the_app {
            self.enter(PayoutState::Created, now.after(pause));
        } else {
            self.enter(PayoutState::Refused(error.to_string().into()), now);
        }
    }

    /// Takes what sending the [status query](Self::status_query) came to.
    pub fn asked(&mut self, query: &TransactionStatusQuery, outcome: &Result<Accepted>, now: Timestamp) {
        self.look_at(now);
        if let Ok(accepted) = outcome {
            self.question.clone_from(&accepted.conversation_id);
            self.asked_by = query.id().cloned();
        }
        let asked_to_wait = outcome.as_ref().err().and_then(Error::retry_after).unwrap_or_default();
        let pause = doubled(ASK_PAUSE, self.asks, LONGEST_ASK_PAUSE).max(asked_to_wait).min(LONGEST_ASK_PAUSE);
        self.asks = self.asks.saturating_add(1);
        self.due = Some(now.after(pause));
    }

    /// Takes a result that came to the URL of this payout.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if it names another payment. Then nothing is changed.
    pub fn take_result(&mut self, result: &B2cResult, now: Timestamp) -> Result<(), Invalid> {
        self.check_ids("result", result.originator_conversation_id.as_ref(), result.conversation_id.as_ref())?;
        if result.conversation_id.is_some() && result.conversation_id == self.question {
            return Err(Invalid::new("result", "it is about the question, not the payment; nothing was changed"));
        }
        self.look_at(now);
        let report = Unplaced::result(result);
        if self.knows_no_id() {
            // By the URL alone: it may be another payment's.
            if let B2cOutcome::Unproven(unproven) = &result.outcome {
                self.note(unproven.into());
            }
            self.keep(report);
            match &result.outcome {
                B2cOutcome::Paid(paid) if self.is_this_very(paid) => self.paid(paid.clone(), now),
                _ => self.unsettled(now),
            }
        } else {
            self.report(report, now);
        }
        Ok(())
    }

    /// Takes what is known to be reported about this payment.
    fn report(&mut self, report: Unplaced, now: Timestamp) {
        if self.known_id().is_none() {
            self.given_id.clone_from(&report.originator_conversation_id);
        }
        match &report.outcome {
            Some(B2cOutcome::Paid(paid)) => self.paid(paid.clone(), now),
            Some(B2cOutcome::Failed(_)) if self.may_be_of_another_request() => {
                self.keep(report);
                self.unsettled(now);
            }
            Some(B2cOutcome::Failed(_)) if self.is_another_request(report.conversation_id.as_ref()) => {
                self.contradicted(None, now);
            }
            Some(B2cOutcome::Failed(failure)) => self.failed(failure.clone()),
            Some(B2cOutcome::Unproven(unproven)) => self.unproven(unproven, &report, now),
            None => self.doubt(now),
        }
    }

    /// Takes a report that proves nothing by itself. A success without a receipt is a payment if it came to the URL of this
    /// payout and names only its own ids.
    fn unproven(&mut self, unproven: &B2cUnproven, report: &Unplaced, now: Timestamp) {
        let is_at_payout_url = report.purpose == Some(RequestPurpose::Payout);
        let is_own = self.is_own(report) && !self.names_another(report);
        match &unproven.without_receipt {
            Some(paid) if is_at_payout_url && is_own => self.paid(paid.clone(), now),
            _ if unproven.why == Why::Contradicted => {
                self.note(unproven.into());
                self.contradicted(unproven.receipt, now);
            }
            _ => {
                self.note(unproven.into());
                self.unsettled(now);
            }
        }
    }

    /// Keeps what settles nothing, for a person to see.
    fn note(&mut self, unproven: Unproven) {
        if self.last_unproven.as_ref() != Some(&unproven) {
            let Unproven { code, description, why } = &unproven;
            let payout = mask_id(self.order.id.as_str());
            tracing::warn!(payout, %code, %description, %why, "payout not settled by a report");
            self.last_unproven = Some(unproven);
        }
    }

    /// Whether a failure may be that of a repeat, while the first request has paid: it was sent more than once, or is being
    /// sent. Daraja may look at the initiator and the balance before it finds that it knows the id.
    fn may_be_of_another_request(&self) -> bool {
        let may_be_several = self.requests != Requests::One || self.noted < self.begins;
        self.order.repeat() == Repeat::Deduplicated && may_be_several
    }

    fn is_another_request(&self, conversation: Option<&ConversationId>) -> bool {
        conversation.zip(self.conversation_id.as_ref()).is_some_and(|(reported, known)| reported != known)
    }

    /// Keeps a report until it is known what it is about.
    fn keep(&mut self, report: Unplaced) {
        if self.unplaced.len() < MOST_UNPLACED && !self.unplaced.contains(&report) {
            self.unplaced.push(report);
        }
    }

    /// The ids of the payment are known now: what was reported before is used. What names another payment is a
    /// contradiction: it came to the URL of this one.
    fn place(&mut self, now: Timestamp) {
        if self.knows_no_id() {
            return;
        }
        let reports = std::mem::take(&mut self.unplaced);
        let (own, others): (Vec<_>, Vec<_>) = reports.into_iter().partition(|report| self.is_own(report));
        for report in others {
            if report.originator_conversation_id.is_some() || report.conversation_id.is_some() {
                self.contradict(Contradiction::OtherPayment(report.receipt()));
                // Believed by its URL alone, and it was another payment.
                if matches!(&self.state, PayoutState::Paid(paid) if Some(paid.receipt) == report.receipt()) {
                    self.state = PayoutState::Accepted;
                    self.due = Some(now.after(ASK_PAUSE));
                }
            }
            self.unplaced.push(report);
        }
        for report in own {
            self.report(report, now);
        }
    }

    /// Takes the answer to a status query about this payout. A question that failed, or that found nothing, settles
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if it does not answer the last question and the transaction that was found is another one. Then nothing is
    /// changed.
    pub fn take_status(&mut self, result: &TransactionStatusResult, now: Timestamp) -> Result<(), Invalid> {
        let answers_ours = self.question.is_some() && self.question == result.conversation_id;
        let transaction = match &result.outcome {
            StatusOutcome::Found(transaction) => transaction,
            StatusOutcome::Failed(failure) if answers_ours => {
                self.note(Unproven::new(failure.code().clone(), failure.description(), Why::QuestionFailed));
                return Ok(());
            }
            StatusOutcome::Unproven(unproven) if answers_ours => {
                self.note(unproven.clone());
                return Ok(());
            }
            StatusOutcome::NotFound | StatusOutcome::Failed(_) | StatusOutcome::Unproven(_) => return Ok(()),
        };
        let was_asked_by_own_id = self.asked_by.is_some() && self.asked_by.as_ref() == self.known_id();
        if !(answers_ours && (was_asked_by_own_id || self.knows_no_id())) {
            let id = transaction.originator_conversation_id.as_ref();
            self.check_ids("transaction", id, transaction.conversation_id.as_ref())?;
        }
        self.look_at(now);
        if self.knows_no_id() && !self.is_this_transaction(transaction) {
            // It may be another payment's.
            if let Some(report) = Unplaced::transaction(transaction) {
                self.keep(report);
            }
            self.unsettled(now);
        } else {
            self.found(transaction, now);
        }
        Ok(())
    }

    /// Takes the transaction that is known to be this payment.
    fn found(&mut self, transaction: &Transaction, now: Timestamp) {
        let (named, known) = (transaction.originator_conversation_id.as_ref(), self.known_id());
        let is_another = named.zip(known).is_some_and(|(named, known)| named != known);
        if transaction.is_contradicted() || is_another {
            return self.contradicted(transaction.receipt, now);
        }
        if transaction.status == TransactionState::Completed {
            return match transaction.proof() {
                Some(receipt) => self.paid(B2cPayout::found(transaction, receipt), now),
                None => self.unsettled(now),
            };
        }
        if self.differs(transaction.amount, transaction.credit_party.as_ref()) {
            return self.contradicted(None, now);
        }
        if let Some(failure) = B2cFailure::found(&transaction.status) {
            return self.failed(failure);
        }
        self.is_taken();
        if !matches!(self.state, PayoutState::Accepted | PayoutState::Unknown) {
            self.doubt(now.after(ASK_PAUSE));
        }
    }

    /// Takes a notice that the payment timed out in Daraja's queue. It is not a failure: the payment may have been made.
    ///
    /// # Errors
    ///
    /// [`Invalid`] if it came to the URL of a question, or names another payment, or none and this one was not sent. Then
    /// nothing is changed.
    pub fn take_timeout(&mut self, timeout: &QueueTimeout, now: Timestamp) -> Result<(), Invalid> {
        if timeout.purpose() == Some(RequestPurpose::Question) {
            let reason = "it came to the URL of a question, not of the payment; nothing was changed";
            return Err(Invalid::new("queue timeout", reason));
        }
        let (id, conversation) = (timeout.originator_conversation_id.as_ref(), timeout.conversation_id.as_ref());
        let is_named = id.is_some() || conversation.is_some();
        if is_named {
            self.check_ids("queue timeout", id, conversation)?;
        } else if self.state == PayoutState::Created {
            return Err(Invalid::new(
                "queue timeout",
                "it names no payment, and this one was not sent; nothing was changed",
            ));
        }
        self.look_at(now);
        // It is in Daraja's queue, and nobody knows whether the id of what timed out there is remembered.
        self.is_taken();
        if is_named && self.knows_no_id() {
            self.keep(Unplaced::timeout(timeout));
        }
        self.doubt(now);
        Ok(())
    }

    fn paid(&mut self, paid: B2cPayout, now: Timestamp) {
        // A closed window says that the clock was seen wrong, or that it is not relied on.
        let sent = self.first_sent_at.filter(|_| self.window_seconds > 0);
        let is_older = sent.zip(paid.completed_at).is_some_and(|(first, done)| done.after(SKEW) < first);
        if is_older || self.differs(paid.amount, paid.recipient.as_ref()) {
            return self.contradicted(Some(paid.receipt), now);
        }
        match &mut self.state {
            PayoutState::Paid(known) if known.receipt == paid.receipt => known.complete(paid),
            PayoutState::Paid(_) => self.contradict(Contradiction::SecondReceipt(paid.receipt)),
            PayoutState::Failed(_) | PayoutState::Refused(_) => {
                self.contradict(Contradiction::PaidAfterFailure);
                self.settle(PayoutState::Paid(paid));
            }
            _ => self.settle(PayoutState::Paid(paid)),
        }
    }

    fn settle(&mut self, state: PayoutState) {
        let payout = mask_id(self.order.id.as_str());
        match &state {
            PayoutState::Paid(paid) => {
                tracing::info!(payout, outcome = "paid", receipt = mask(paid.receipt.as_str()), "payout settled");
            }
            PayoutState::Failed(failure) => {
                let (code, reason) = (failure.code().map(tracing::field::display), failure.reason());
                tracing::info!(payout, outcome = "failed", code, ?reason, "payout settled");
            }
            PayoutState::Refused(words) => {
                tracing::info!(payout, outcome = "refused", reason = %words, "payout settled");
            }
            _ => {}
        }
        self.state = state;
    }

    fn failed(&mut self, failure: B2cFailure) {
        match &self.state {
            PayoutState::Paid(_) => self.contradict(Contradiction::FailureAfterPayment),
            PayoutState::Failed(_) => {}
            _ => self.settle(PayoutState::Failed(failure)),
        }
    }

    /// Something was reported under the id that cannot be this payment: a person has to look, and meanwhile Daraja is asked.
    fn contradicted(&mut self, receipt: Option<ReceiptNumber>, now: Timestamp) {
        self.contradict(Contradiction::OtherPayment(receipt));
        self.unsettled(now);
    }

    fn contradict(&mut self, contradiction: Contradiction) {
        if !self.contradictions.contains(&contradiction) {
            let payout = mask_id(self.order.id.as_str());
            tracing::error!(payout, ?contradiction, "payout contradicted: a person has to look at it");
            self.contradictions.push(contradiction);
        }
    }

    /// Daraja has the payment, and has not said what became of it. If that is news, it is asked at once.
    fn unsettled(&mut self, now: Timestamp) {
        let is_news = !self.is_known || self.state != PayoutState::Unknown;
        self.is_taken();
        if is_news {
            self.doubt(now);
        }
    }

    /// Daraja has it: from here on no error says that it was not carried out.
    fn is_taken(&mut self) {
        self.is_known = true;
        self.may_be_done = true;
    }

    /// It may have been carried out. That goes for a refused one too: nobody else sends under its id.
    fn doubt(&mut self, due: Timestamp) {
        self.may_be_done = true;
        if !matches!(self.state, PayoutState::Paid(_) | PayoutState::Failed(_)) {
            self.state = PayoutState::Unknown;
            self.due = Some(due);
        }
    }

    /// What is settled stays so, whatever a send comes to that was under way meanwhile.
    fn enter(&mut self, state: PayoutState, due: Timestamp) {
        // A refusal proves nothing about another sending that was under way.
        let outdoes_refusal = matches!(self.state, PayoutState::Refused(_)) && state != PayoutState::Created;
        if !self.state.is_settled() || outdoes_refusal {
            self.settle(state);
            self.due = Some(due);
        }
    }
}

fn doubled(pause: Duration, turns: u32, longest: Duration) -> Duration {
    pause.saturating_mul(1_u32.checked_shl(turns).unwrap_or(u32::MAX)).min(longest)
}
