//! Whether what Daraja reports is about this payout.

use std::time::Duration;

use super::{Payout, PayoutState, Unplaced};
use crate::{
    ConversationId, Kes, OriginatorConversationId, Party, Timestamp, Transaction, TransactionState, b2c::B2cPayout,
    error::Invalid,
};

/// As much as two clocks can be apart that are right.
const MINUTES: Duration = Duration::from_secs(600);

impl Payout {
    /// Daraja writes our id or its own. A payment of version 1 whose answer was lost has no id to compare: then the URL
    /// that the event came to is all there is.
    pub(super) fn check_ids(
        &self,
        what: &'static str,
        id: Option<&OriginatorConversationId>,
        conversation: Option<&ConversationId>,
    ) -> Result<(), Invalid> {
        let was_sent = !matches!(self.state, PayoutState::Created | PayoutState::Refused(_));
        if self.is_named_by(id, conversation) || (self.knows_no_id() && was_sent) {
            return Ok(());
        }
        Err(Invalid::new(what, "it names another payment, or none; nothing was changed"))
    }

    pub(super) fn is_own(&self, report: &Unplaced) -> bool {
        self.is_named_by(report.originator_conversation_id.as_ref(), report.conversation_id.as_ref())
    }

    /// Whether one of the ids that a report names differs from the ones that are known.
    pub(super) fn names_another(&self, report: &Unplaced) -> bool {
        let (id, conversation) = (report.originator_conversation_id.as_ref(), report.conversation_id.as_ref());
        let knows_id = self.order.carries_its_id() || self.given_id.is_some();
        let is_other_id = id.is_some() && knows_id && !self.is_named_by(id, None);
        let is_other_conversation =
            conversation.is_some() && self.conversation_id.is_some() && !self.is_named_by(None, conversation);
        is_other_id || is_other_conversation
    }

    fn is_named_by(&self, id: Option<&OriginatorConversationId>, conversation: Option<&ConversationId>) -> bool {
        let own = self.order.carries_its_id().then_some(&self.order.id);
        let is_ours = id.is_some() && (id == own || id == self.given_id.as_ref());
        let is_its = conversation.is_some() && conversation == self.conversation_id.as_ref();
        is_ours || is_its
    }

    /// Whether nothing but the URL can tell what an event is about.
    pub(super) fn knows_no_id(&self) -> bool {
        !self.order.carries_its_id() && self.given_id.is_none() && self.conversation_id.is_none()
    }

    /// Whether amount and recipient are both given, and both right.
    pub(super) fn is_this_very(&self, paid: &B2cPayout) -> bool {
        self.is_this(paid.amount, paid.recipient.as_ref())
    }

    /// Whether a transaction that was asked for by an id that is not known to be its own is this payment: amount and
    /// recipient are right, and it is not older. One that failed has to say when.
    pub(super) fn is_this_transaction(&self, transaction: &Transaction) -> bool {
        let times = [transaction.initiated_at, transaction.finalised_at];
        let is_older = |time: Timestamp| self.first_sent_at.is_none_or(|sent| time.after(MINUTES) < sent);
        let is_dated = times.iter().any(Option::is_some) || transaction.status == TransactionState::Completed;
        let is_recent = is_dated && !times.into_iter().flatten().any(is_older);
        is_recent && self.is_this(transaction.amount, transaction.credit_party.as_ref())
    }

    fn is_this(&self, amount: Option<Kes>, recipient: Option<&Party>) -> bool {
        let number = recipient.and_then(Party::msisdn);
        amount == Some(self.order.amount.into()) && number == Some(self.order.recipient)
    }

    pub(super) fn differs(&self, amount: Option<Kes>, recipient: Option<&Party>) -> bool {
        let other_amount = amount.is_some_and(|amount| amount != Kes::from(self.order.amount));
        other_amount || recipient.and_then(Party::msisdn).is_some_and(|number| number != self.order.recipient)
    }
}
