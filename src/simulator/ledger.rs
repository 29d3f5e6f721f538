//! The organisation's books: three accounts, and every transaction that moved money or was to move it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    time::Duration,
};

use tokio::time::Instant;

use crate::{Kes, Msisdn, Shillings, Timestamp};

/// What Safaricom takes for a payout here, from the account of charges. The true tariff depends on the amount.
pub(super) const PAYOUT_FEE: Kes = Kes::from_cents(22_40);

/// What the organisation's accounts hold: see [`Simulator::accounts`](super::Simulator::accounts).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accounts {
    /// Payments come in here, and payouts leave from here.
    pub utility: Kes,
    /// Nothing is paid from here, which surprises many.
    pub working: Kes,
    /// Safaricom's charges are taken from here; it goes below zero.
    pub charges_paid: Kes,
}

/// One transaction, whatever became of it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) receipt: String,
    /// The id that a payout was sent under, by us or by the gateway.
    pub(super) originator_conversation_id: String,
    pub(super) conversation_id: String,
    /// Whether the id is the sender's own.
    pub(super) id_is_own: IdIs,
    pub(super) number: Msisdn,
    pub(super) amount: Shillings,
    pub(super) started: Timestamp,
    pub(super) ended: Timestamp,
    /// Before this moment it is under way.
    pub(super) ends_at: Instant,
    pub(super) fate: Fate,
    /// How a payment was given back.
    pub(super) reversal: Option<Reversal>,
}

/// Money that was given back to who had paid it.
#[derive(Debug, Clone)]
pub(super) struct Reversal {
    pub(super) receipt: String,
    pub(super) amount: Shillings,
    pub(super) at: Timestamp,
    pub(super) moment: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Money that came in.
    Payment,
    /// Money that left.
    Payout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdIs {
    Own,
    TheGateways,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Completed,
    Declined,
}

/// The books. Money that is under way is booked when it is there.
pub(super) struct Ledger {
    accounts: Accounts,
    entries: Vec<Entry>,
    by_receipt: HashMap<String, usize>,
    by_id: HashMap<String, usize>,
    /// Payments that come in later, the next one first.
    expected: BinaryHeap<Reverse<(Instant, Kes)>>,
    /// When each id was first used, for as long as Daraja remembers.
    ids: HashMap<String, Instant>,
    memory: Duration,
}

impl Ledger {
    pub(super) fn new(accounts: Accounts, memory: Duration) -> Self {
        Self {
            accounts,
            entries: Vec::new(),
            by_receipt: HashMap::new(),
            by_id: HashMap::new(),
            expected: BinaryHeap::new(),
            ids: HashMap::new(),
            memory,
        }
    }

    pub(super) fn accounts(&mut self) -> Accounts {
        let now = Instant::now();
        while let Some(Reverse((_, amount))) = self.expected.peek().copied().filter(|Reverse((at, _))| *at <= now) {
            let utility = &mut self.accounts.utility;
            *utility = utility.checked_add(amount).unwrap_or(*utility);
            self.expected.pop();
        }
        self.accounts
    }

    pub(super) fn set_utility(&mut self, amount: Kes) {
        self.accounts();
        self.accounts.utility = amount;
    }

    /// Whether an id is still known; a new one is, from now on.
    pub(super) fn is_duplicate(&mut self, id: &str) -> bool {
        let now = Instant::now();
        let known = self.ids.get(id).is_some_and(|first| now.saturating_duration_since(*first) < self.memory);
        if !known {
            self.ids.insert(id.to_owned(), now);
        }
        known
    }

    /// Books a payment that is there when it has ended.
    pub(super) fn receive(&mut self, entry: Entry) {
        self.expected.push(Reverse((entry.ends_at, entry.amount.into())));
        self.add(entry);
    }

    /// Takes money out, or says that there is too little.
    pub(super) fn withdraw(&mut self, amount: Shillings) -> Result<Accounts, TooLittle> {
        let left = self.accounts().utility.checked_sub(amount.into()).filter(|left| left.cents() >= 0);
        self.accounts.utility = left.ok_or(TooLittle)?;
        Ok(self.accounts)
    }

    pub(super) fn charge(&mut self, fee: Kes) -> Accounts {
        let charges = self.accounts.charges_paid;
        self.accounts.charges_paid = charges.checked_sub(fee).unwrap_or(charges);
        self.accounts
    }

    pub(super) fn add(&mut self, entry: Entry) {
        let place = self.entries.len();
        self.by_receipt.insert(entry.receipt.clone(), place);
        // A payout whose id was forgotten is a second one under the same id: the first is what a question finds.
        self.by_id.entry(entry.originator_conversation_id.clone()).or_insert(place);
        self.entries.push(entry);
    }

    pub(super) fn by_receipt(&self, receipt: &str) -> Option<&Entry> {
        self.entries.get(*self.by_receipt.get(receipt)?)
    }

    pub(super) fn by_id(&self, id: &str) -> Option<&Entry> {
        self.entries.get(*self.by_id.get(id)?)
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What moved money and has ended by now.
    pub(super) fn moved(&self) -> impl Iterator<Item = &Entry> {
        let now = Instant::now();
        self.entries.iter().filter(move |entry| entry.fate == Fate::Completed && entry.ends_at <= now)
    }

    pub(super) fn mark_reversed(&mut self, receipt: &str, reversal: Reversal) {
        let place = self.by_receipt.get(receipt).copied();
        if let Some(entry) = place.and_then(|place| self.entries.get_mut(place)) {
            entry.reversal = Some(reversal);
        }
    }
}

/// The utility account holds too little.
pub(super) struct TooLittle;
