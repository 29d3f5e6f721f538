//! Account balance: what your short code's accounts hold. Daraja page: "Account Balance".

use std::borrow::Cow;

use serde::Serialize;

use crate::{
    Answer, ConversationId, Initiator, Kes, Operation, OriginatorConversationId, Remarks, Repeat, Result, ResultCode,
    ResultUrls, Rules, ShortCode, Timestamp,
    code::{Unproven, Why},
    error::DecodeError,
    initiated::{Accepted, Asking, Envelope, Ids, InitiatorFields, RequestFailure},
    wire::Text,
};

pub(crate) const BALANCE_PATH: &str = "/mpesa/accountbalance/v1/query";

/// Asks what the accounts of a short code hold. It moves no money and may be repeated.
///
/// The answer, [`Accepted`], says that the question was taken; the balances come to the result URL as an
/// [`AccountBalanceResult`].
///
/// ```
/// use daraja::{AccountBalanceQuery, AccountBalanceResult, BalanceOutcome, Kes, simulator::Simulator};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> daraja::Result<()> {
/// let simulator = Simulator::builder().utility_account(Kes::from_cents(2_500_000)).build();
/// let (initiator, urls) = (simulator.initiator(), simulator.result_urls());
/// let query = AccountBalanceQuery::new(&initiator, simulator.b2c_short_code(), urls);
/// simulator.client().send(&query).await?;
///
/// let posted = simulator.next_result().await;
/// let BalanceOutcome::Known(balances) = AccountBalanceResult::parse(&posted.body)?.outcome else { panic!("known") };
/// assert_eq!(balances.utility().unwrap().available, Some(Kes::from_cents(2_500_000)));
/// # Ok(())
/// # }
/// ```
#[must_use = "a query does nothing until it is sent"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountBalanceQuery {
    asking: Asking,
    short_code: ShortCode,
}

impl AccountBalanceQuery {
    /// Asks for the accounts of this short code.
    pub fn new(initiator: &Initiator, short_code: ShortCode, urls: ResultUrls) -> Self {
        Self { asking: Asking::new(initiator, urls), short_code }
    }

    /// A note of 2 to 100 characters; `Balance` if it is left out.
    pub fn remarks(mut self, remarks: Remarks) -> Self {
        self.asking.remarks = Some(remarks);
        self
    }
}

impl Operation for AccountBalanceQuery {
    type Response = Accepted;

    fn path(&self) -> &str {
        BALANCE_PATH
    }

    fn repeat(&self) -> Repeat {
        Repeat::Safe
    }

    fn about(&self) -> Option<Cow<'_, str>> {
        self.asking.about()
    }

    fn check(&self, rules: &Rules) -> Result<()> {
        Ok(self.asking.check(rules)?)
    }

    fn body(&self, _now: Timestamp) -> impl Serialize + Send {
        BalanceBody {
            common: self.asking.fields("AccountBalance", "Balance"),
            party_a: self.short_code.as_str().into(),
            identifier_type: "4".into(),
        }
    }

    fn decode(&self, answer: &Answer) -> Result<Accepted> {
        Accepted::read(answer)
    }
}

/// What an account balance query brought.
///
/// It comes once, unsigned, to the result URL.
///
/// ```
/// use daraja::{AccountBalanceResult, BalanceOutcome, Kes};
///
/// let result = AccountBalanceResult::parse(br#"{"Result":{"ResultCode":0,"ConversationID":"AG_1","ResultParameters":
///     {"ResultParameter":[{"Key":"AccountBalance","Value":"Utility Account|KES|228037.00|228037.00|0.00|0.00&Charges Paid Account|KES|-1540.00|-1540.00|0.00|0.00"},
///     {"Key":"BOCompletedTime","Value":20260106123045}]}}}"#)?;
/// let BalanceOutcome::Known(balances) = result.outcome else { panic!("known") };
/// assert_eq!(balances.utility().unwrap().available, Some(Kes::from_cents(22_803_700)));
/// assert_eq!(balances.charges_paid().unwrap().current, Some(Kes::from_cents(-154_000)));
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccountBalanceResult {
    /// The id of the question.
    pub originator_conversation_id: Option<OriginatorConversationId>,
    /// The gateway's id of the question.
    pub conversation_id: Option<ConversationId>,
    /// What it brought.
    pub outcome: BalanceOutcome,
}

/// What an account balance query brought.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BalanceOutcome {
    /// The balances.
    Known(Balances),
    /// The question failed.
    Failed(RequestFailure),
    /// A zero code without a readable account: it says nothing of the balances, and can be the answer to another request.
    Unproven(Unproven),
}

/// The accounts of a short code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Balances {
    /// Every account, in Daraja's order.
    pub accounts: Vec<Account>,
    /// When these balances were so.
    pub as_of: Option<Timestamp>,
}

/// One account and what it holds. An amount that cannot be read to the cent is absent, never guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// Its name, such as `Utility Account`.
    pub name: Box<str>,
    /// Its currency, `KES`. Amounts in any other are absent.
    pub currency: Box<str>,
    /// What it holds. It can be negative.
    pub current: Option<Kes>,
    /// What of it can be used.
    pub available: Option<Kes>,
    /// What of it is set aside.
    pub reserved: Option<Kes>,
    /// What has come in and is not cleared yet.
    pub uncleared: Option<Kes>,
}

impl Balances {
    /// The account of this name, upper or lower case; `None` if it is given twice, differently.
    #[must_use]
    pub fn account(&self, name: &str) -> Option<&Account> {
        let mut named = self.accounts.iter().filter(|account| account.name.eq_ignore_ascii_case(name));
        let first = named.next()?;
        named.all(|other| other == first).then_some(first)
    }

    /// The utility account, which payouts are made from.
    #[must_use]
    pub fn utility(&self) -> Option<&Account> {
        self.account("Utility Account")
    }

    /// The working account.
    #[must_use]
    pub fn working(&self) -> Option<&Account> {
        self.account("Working Account")
    }

    /// The account that Safaricom's charges are taken from.
    #[must_use]
    pub fn charges_paid(&self) -> Option<&Account> {
        self.account("Charges Paid Account")
    }
}

impl Account {
    /// Reads `Working Account|KES|346568.83|6186.83|340382.00|0.00`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('|').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let currency = parts.next()?;
        let mut next = || parts.next().filter(|_| currency == "KES").and_then(|amount| amount.parse().ok());
        let [current, available, reserved, uncleared] = [next(), next(), next(), next()];
        Some(Self { name: name.into(), currency: currency.into(), current, available, reserved, uncleared })
    }
}

impl AccountBalanceResult {
    /// Reads a result's body. Unknown keys are let pass, and so is anything but the code.
    ///
    /// # Errors
    ///
    /// [`DecodeError`], which quotes nothing, if it is larger than 64 KiB, no JSON, has no code, or gives code or ids
    /// twice, differently.
    pub fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        Envelope::parse(body, Self::of)
    }

    pub(crate) fn of(
        envelope: &Envelope<'_>,
        code: ResultCode,
        (originator_conversation_id, conversation_id): Ids,
    ) -> Self {
        let outcome = if code.is_success() {
            let read = |text: &str| text.split('&').filter_map(Account::read).collect::<Vec<_>>();
            let reported = envelope.once("AccountBalance", read);
            let why = if reported.is_contradicted() { Why::Contradicted } else { Why::NoParameters };
            match reported.given().filter(|accounts| !accounts.is_empty()) {
                Some(accounts) => {
                    let as_of = envelope.timestamp("BOCompletedTime").given().flatten();
                    BalanceOutcome::Known(Balances { accounts, as_of })
                }
                None => BalanceOutcome::Unproven(Unproven::new(code, envelope.description(), why)),
            }
        } else {
            BalanceOutcome::Failed(RequestFailure::new(code, envelope.description()))
        };
        Self { originator_conversation_id, conversation_id, outcome }
    }
}

/// The request as it stands on the wire.
#[derive(Serialize)]
#[cfg_attr(feature = "simulator", derive(serde::Deserialize, Default), serde(default))]
#[serde(rename_all = "PascalCase")]
pub(crate) struct BalanceBody<'a> {
    #[serde(borrow, flatten)]
    pub(crate) common: InitiatorFields<'a>,
    #[serde(borrow)]
    pub(crate) party_a: Text<'a>,
    #[serde(borrow)]
    pub(crate) identifier_type: Text<'a>,
}
