//! The shop's book beside Daraja's: every row that does not agree.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    book::{Attempt, Belief, Gone, News, Payout, Refund, Row, Told},
    other_side::{Books, PaidBack, PaidIn, PaidOut, Prompted},
};

/// What the shop knows at the end, with all that came in.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) attempts: Vec<Attempt>,
    payouts: Vec<Payout>,
    refunds: Vec<Refund>,
    news: HashMap<String, Vec<Told>>,
    keys: HashSet<String>,
    repeated: usize,
    wrong: Vec<String>,
}

impl Shelf {
    pub(crate) fn of(rows: Vec<Row>) -> Self {
        let mut shelf = Self::default();
        for row in rows {
            match row {
                Row::Attempt(attempt) => shelf.attempts.push(attempt),
                Row::Payout(payout) => shelf.payouts.push(payout),
                Row::Refund(refund) => shelf.refunds.push(refund),
                Row::News(news) => shelf.put(news),
                Row::Wrong(what) => shelf.wrong.push(what),
            }
        }
        shelf
    }

    /// What was told before is no news.
    fn put(&mut self, News { reference, key, told }: News) {
        if self.keys.insert(key) {
            self.news.entry(reference).or_default().push(told);
        } else {
            self.repeated += 1;
        }
    }

    /// What came after the shop had stopped waiting settles what it left open, and brings receipts.
    pub(crate) fn catch_up(&mut self) {
        for attempt in &mut self.attempts {
            let told = self.news.get(&attempt.reference).map(Vec::as_slice).unwrap_or_default();
            let paid = told.iter().find_map(|told| match told {
                Told::Paid(receipt, _) => Some(receipt.clone()),
                _ => None,
            });
            match (&attempt.belief, paid) {
                (Belief::Unknown | Belief::Paid(None), Some(receipt)) => attempt.belief = Belief::Paid(Some(receipt)),
                (Belief::Unknown, None) if told.contains(&Told::Failed) => attempt.belief = Belief::Failed,
                _ => {}
            }
        }
        for refund in &mut self.refunds {
            let told = self.news.get(&refund.reference).map(Vec::as_slice).unwrap_or_default();
            if let (Gone::Unknown(_), Some(Told::Back(receipt, _))) = (&refund.gone, told.first()) {
                refund.gone = Gone::Paid(receipt.clone());
            }
        }
    }

    /// How many rows there are of each kind.
    pub(crate) fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::from([("posts that came twice", self.repeated)]);
        for attempt in &self.attempts {
            *counts.entry(name_of(&attempt.belief)).or_default() += 1;
        }
        let names = ["payouts paid", "payouts failed", "payouts not sent", "payouts unknown"];
        self.payouts.iter().for_each(|payout| *counts.entry(names[place_of(&payout.gone)]).or_default() += 1);
        let names = ["reversals done", "reversals failed", "reversals not sent", "reversals unknown"];
        self.refunds.iter().for_each(|refund| *counts.entry(names[place_of(&refund.gone)]).or_default() += 1);
        counts
    }
}

fn name_of(belief: &Belief) -> &'static str {
    match belief {
        Belief::Paid(Some(_)) => "pushes paid",
        Belief::Paid(None) => "pushes paid, no receipt told",
        Belief::Failed => "pushes failed",
        Belief::Unknown => "pushes unknown",
        Belief::NotSent => "pushes not sent",
    }
}

fn place_of(gone: &Gone) -> usize {
    match gone {
        Gone::Paid(_) => 0,
        Gone::Failed => 1,
        Gone::NotSent => 2,
        Gone::Unknown(_) => 3,
    }
}

/// Everything that is wrong, in words. Nothing, one hopes.
pub(crate) fn differences(shelf: &Shelf, books: &Books) -> Vec<String> {
    let mut wrong = shelf.wrong.clone();
    wrong.extend(pushes(shelf, books));
    wrong.extend(payouts(shelf, books));
    wrong.extend(refunds(shelf, books));
    if books.not_taken > 0 {
        wrong.push(format!("{} posts were not answered with 200", books.not_taken));
    }
    wrong
}

/// Callbacks of numbers with these endings are lost, or held back until the next one.
const NEVER_TOLD: [&str; 3] = ["91", "96", "97"];

/// Callbacks of numbers with these endings bring no receipt, or never come.
const WITHOUT_RECEIPT: [&str; 3] = ["91", "95", "97"];

fn ends_in(number: &str, endings: &[&str]) -> bool {
    endings.iter().any(|ending| number.ends_with(ending))
}

fn pushes(shelf: &Shelf, books: &Books) -> Vec<String> {
    let mut wrong = Vec::new();
    let prompts: HashMap<&str, &Prompted> =
        books.prompts.iter().map(|prompt| (prompt.reference.as_str(), prompt)).collect();
    let payments: HashMap<&str, &PaidIn> = books.payments.iter().map(|paid| (paid.reference.as_str(), paid)).collect();
    if prompts.len() != books.prompts.len() || payments.len() != books.payments.len() {
        wrong.push("an attempt rang or was paid more than once".to_owned());
    }
    let known: HashSet<&str> = shelf.attempts.iter().map(|attempt| attempt.reference.as_str()).collect();
    wrong.extend(payments.keys().filter(|paid| !known.contains(*paid)).map(|paid| format!("{paid}: paid, no row")));
    let mut orders: HashMap<u64, usize> = HashMap::new();
    let mut receipts = HashSet::new();
    for attempt in &shelf.attempts {
        let (prompt, paid) = (prompts.get(&*attempt.reference).copied(), payments.get(&*attempt.reference).copied());
        if let Some(problem) = judge(attempt, prompt, paid) {
            wrong.push(format!("{problem}: {attempt:?}, in the books {prompt:?} {paid:?}"));
        }
        *orders.entry(attempt.order).or_default() += usize::from(paid.is_some());
        if let Belief::Paid(Some(receipt)) = &attempt.belief {
            if !receipts.insert(receipt) {
                wrong.push(format!("{receipt} was booked twice"));
            }
        }
    }
    wrong.extend(
        orders.iter().filter(|(_, paid)| **paid > 1).map(|(order, paid)| format!("order {order}: paid {paid} times")),
    );
    wrong
}

/// What the shop believes of an attempt, beside what rang and what was paid.
fn judge(attempt: &Attempt, prompt: Option<&Prompted>, paid: Option<&PaidIn>) -> Option<&'static str> {
    let is_asked = prompt.is_none_or(|prompt| (prompt.amount, &prompt.payer) == (attempt.amount, &attempt.payer));
    if !is_asked || paid.is_some_and(|paid| (paid.amount, &paid.payer) != (attempt.amount, &attempt.payer)) {
        return Some("another amount or number");
    }
    if attempt.id.is_some() && attempt.id.as_ref() != prompt.map(|prompt| &prompt.id) {
        return Some("another push's id");
    }
    match (&attempt.belief, paid) {
        (Belief::Paid(_), None) => Some("believed to be paid"),
        (Belief::Paid(Some(receipt)), Some(paid)) if *receipt != paid.receipt => Some("another receipt"),
        (Belief::Paid(None), _) if !ends_in(&attempt.payer, &WITHOUT_RECEIPT) => Some("the receipt was lost"),
        (Belief::Failed, Some(_)) => Some("paid, and believed to have failed"),
        (Belief::NotSent, _) if prompt.is_some() => Some("rung, and believed not to be sent"),
        // Nobody told, and nobody can be asked: it never rang, or its callback was lost together with the answer.
        (Belief::Unknown, _) if attempt.id.is_some() => Some("it has an id to ask by"),
        (Belief::Unknown, _) if prompt.is_some() && !ends_in(&attempt.payer, &NEVER_TOLD) => Some("nobody knows it"),
        _ => None,
    }
}

fn payouts(shelf: &Shelf, books: &Books) -> Vec<String> {
    let paid: HashMap<&str, &PaidOut> = books.payouts.iter().map(|paid| (paid.id.as_str(), paid)).collect();
    let mut wrong = Vec::new();
    if paid.len() != books.payouts.len() {
        wrong.push(format!("{} payouts under {} ids", books.payouts.len(), paid.len()));
    }
    let known: HashSet<&str> = shelf.payouts.iter().map(|payout| payout.id.as_str()).collect();
    wrong.extend(paid.keys().filter(|id| !known.contains(*id)).map(|id| format!("payout {id}: paid, and no row")));
    for payout in &shelf.payouts {
        let paid = paid.get(&*payout.id);
        let problem = match (&payout.gone, paid) {
            _ if payout.contradictions > 0 => Some("contradicted"),
            (Gone::Unknown(_), _) => Some("not settled"),
            (Gone::Paid(receipt), Some(paid)) if *receipt != paid.receipt => Some("another receipt"),
            (Gone::Paid(_), Some(paid)) if (paid.amount, &paid.recipient) != (payout.amount, &payout.recipient) => {
                Some("another amount or number")
            }
            (Gone::Paid(_), None) => Some("believed to be paid"),
            (Gone::Failed | Gone::NotSent, Some(_)) => Some("paid, and not believed to be"),
            _ => None,
        };
        wrong.extend(problem.map(|problem| format!("{problem}: {payout:?}, in the books {paid:?}")));
    }
    wrong
}

fn refunds(shelf: &Shelf, books: &Books) -> Vec<String> {
    let back: HashMap<&str, &PaidBack> = books.reversals.iter().map(|back| (back.original.as_str(), back)).collect();
    let mut wrong = Vec::new();
    if back.len() != shelf.refunds.iter().filter(|refund| back.contains_key(&*refund.receipt)).count() {
        wrong.push("money went back that the shop did not give back".to_owned());
    }
    for refund in &shelf.refunds {
        let back = back.get(&*refund.receipt);
        let problem = match (&refund.gone, back) {
            (Gone::Paid(receipt), Some(back)) if *receipt != refund.receipt || back.amount != refund.amount => {
                Some("another payment or amount")
            }
            (Gone::Paid(_), None) => Some("believed to be given back"),
            (Gone::Failed | Gone::NotSent, Some(_)) => Some("given back, and not believed to be"),
            // What was carried out is told: the result of a reversal is never lost here.
            (Gone::Unknown(_), Some(_)) => Some("given back, and nobody knows it"),
            _ => None,
        };
        wrong.extend(problem.map(|problem| format!("{problem}: {refund:?}, in the books {back:?}")));
    }
    wrong
}
