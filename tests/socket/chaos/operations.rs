//! The calls that meet the faults, two or three of each class, and what the simulator's books say about them.

use std::sync::LazyLock;

use daraja::{
    B2cPayment, Client, Initiator, ReceiptNumber, Result, Reversal, Shillings, StkQuery, TransactionStatusQuery,
    simulator::{Route, Simulator},
};

use crate::tools::{
    merchant, push,
    verdict::{means, told},
};

/// A call, by its class: the first two are `Safe`, the third is `Deduplicated`, the others are `Never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    Query,
    Status,
    Payout,
    Push,
    PayoutV1,
    Reversal,
}

pub(super) const CALLS: [Call; 6] =
    [Call::Query, Call::Status, Call::Payout, Call::Push, Call::PayoutV1, Call::Reversal];

const SHILLINGS: u32 = 500;

/// Encrypting its password for every cell would take most of the time.
static INITIATOR: LazyLock<Initiator> = LazyLock::new(|| Simulator::new().initiator());

impl Call {
    pub(super) fn is_safe(self) -> bool {
        matches!(self, Self::Query | Self::Status)
    }

    pub(super) fn route(self) -> Route {
        match self {
            Self::Query => Route::StkQuery,
            Self::Status => Route::TransactionStatus,
            Self::Payout | Self::PayoutV1 => Route::B2c,
            Self::Push => Route::StkPush,
            Self::Reversal => Route::Reversal,
        }
    }

    /// Lets happen in process what must have happened before; answers the receipt of a payment that can be reversed.
    pub(super) async fn prepare(self, simulator: &Simulator) -> Option<ReceiptNumber> {
        if self != Self::Reversal {
            return None;
        }
        simulator.client().send(&push()).await.expect("a push is accepted");
        Some(simulator.payments().first().expect("it is paid at once").receipt)
    }

    /// Sends it once; answers the verdict and its meaning.
    pub(super) async fn send(
        self,
        client: &Client,
        simulator: &Simulator,
        receipt: Option<ReceiptNumber>,
    ) -> (String, &'static str) {
        let (short_code, urls) = (simulator.b2c_short_code(), simulator.result_urls());
        let (recipient, amount) = ("254700000055".parse().expect("a number"), Shillings::new(SHILLINGS));
        let amount = amount.expect("an amount");
        let payout = || B2cPayment::new(&INITIATOR, short_code, recipient, amount, urls.clone());
        match self {
            Self::Query => both(&client.send(&StkQuery::new(&merchant(), &"ws_CO_1".parse().expect("an id"))).await),
            Self::Status => {
                let receipt = "SG632NMUAB".parse().expect("a receipt");
                let query = TransactionStatusQuery::by_receipt(&INITIATOR, short_code, receipt, urls.clone());
                both(&client.send(&query).await)
            }
            Self::Payout => both(&client.send(&payout()).await),
            Self::Push => both(&client.send(&push()).await),
            Self::PayoutV1 => both(&client.send(&payout().v1()).await),
            Self::Reversal => {
                let receipt = receipt.expect("there is a payment");
                let reversal = Reversal::new(&INITIATOR, merchant().short_code(), receipt, amount, urls.clone());
                both(&client.send(&reversal).await)
            }
        }
    }

    /// How often the simulator carried it out, by its books: prompts that rang, payouts that left, reversals that were taken.
    pub(super) fn carried_out(self, simulator: &Simulator) -> usize {
        let (paid, payouts) = (simulator.payments().len(), simulator.payouts().len());
        let (reversals, taken) = (simulator.reversals().len(), simulator.undelivered());
        let cents = |times: usize| i64::try_from(times).expect("few") * 50_000;
        let balance = 100_000_000 + cents(paid) - cents(payouts) - cents(reversals);
        assert_eq!(simulator.accounts().utility.cents(), balance, "the account holds what the books say");
        match self {
            Self::Query | Self::Status => paid + payouts + reversals,
            Self::Payout | Self::PayoutV1 => payouts,
            Self::Push => simulator.prompts().len(),
            // A second reversal of one payment moves nothing, but it was asked for: each has a result of its own.
            Self::Reversal => {
                assert_eq!(reversals, taken.min(1), "the first reversal gives the money back");
                taken
            }
        }
    }
}

fn both<T>(outcome: &Result<T>) -> (String, &'static str) {
    (told(outcome), means(outcome))
}
