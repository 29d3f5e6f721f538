//! The organisation: its initiator, its accounts, what it was paid and what it paid, and what is posted to it.

use std::fmt;

use bytes::Bytes;
use url::Url;

use super::{
    Accounts, RecipientScript, Simulator, credential,
    delivery::{Delivery, Kind as Mail},
    ledger::{Fate, IdIs, Kind, Reversal},
};
use crate::{
    Certificate, CheckoutRequestId, Initiator, InitiatorPassword, Kes, Msisdn, OriginatorConversationId, ReceiptNumber,
    ResultUrls, SecurityCredential, Shillings, ShortCode,
};

pub(super) const B2C_SHORT_CODE: &str = "600992";
pub(super) const INITIATOR: &str = "simulator-api";

/// Money that a customer paid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PaidIn {
    /// What Daraja calls the payment.
    pub checkout_request_id: CheckoutRequestId,
    /// Who paid.
    pub payer: Msisdn,
    /// How much was paid.
    pub amount: Shillings,
    /// The reference that the prompt showed.
    pub reference: String,
    /// M-PESA's receipt.
    pub receipt: ReceiptNumber,
}

/// Money that a reversal gave back to who had paid it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PaidBack {
    /// The receipt of the payment that was reversed.
    pub original_receipt: ReceiptNumber,
    /// Who had paid, and has it back.
    pub payer: Msisdn,
    /// How much was given back: the whole payment or a part.
    pub amount: Shillings,
    /// M-PESA's receipt of the reversal itself.
    pub receipt: ReceiptNumber,
}

/// Money that a payout moved.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PaidOut {
    /// The sender's own id; version 1 has none.
    pub originator_conversation_id: Option<OriginatorConversationId>,
    /// Who was paid.
    pub recipient: Msisdn,
    /// How much was paid.
    pub amount: Shillings,
    /// M-PESA's receipt.
    pub receipt: ReceiptNumber,
}

/// What Daraja posts to a URL that a request named.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Posted {
    /// The URL it is posted to: the callback URL of a push, or the result or timeout URL of any other request.
    pub url: String,
    /// The body, to be parsed.
    pub body: Bytes,
}

/// Without URL and body, which nobody else is to see.
impl fmt::Debug for Posted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Posted").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}

impl Simulator {
    /// The certificate to make a security credential with. Its private key is in this crate, for everybody to read.
    ///
    /// ```
    /// use daraja::{SecurityCredential, simulator::Simulator};
    ///
    /// let simulator = Simulator::new();
    /// let credential = SecurityCredential::encrypt(&simulator.initiator_password(), &simulator.certificate())?;
    /// assert_eq!(credential.expose().len(), 344);
    /// # Ok::<(), daraja::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// Never, as the certificate is its own.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        credential::certificate()
    }

    /// The same certificate as PEM text, for programs in other languages.
    ///
    /// ```
    /// use daraja::{Certificate, simulator::Simulator};
    ///
    /// let simulator = Simulator::new();
    /// let read = Certificate::from_pem(simulator.certificate_pem().as_bytes())?;
    /// assert_eq!(read.sha256(), simulator.certificate().sha256());
    /// # Ok::<(), daraja::Error>(())
    /// ```
    #[must_use]
    pub fn certificate_pem(&self) -> &'static str {
        credential::CERTIFICATE
    }

    /// The password of the initiator whom it knows.
    #[must_use]
    pub fn initiator_password(&self) -> InitiatorPassword {
        InitiatorPassword::new(credential::PASSWORD)
    }

    /// The initiator that it knows, with a credential that it can read.
    ///
    /// # Panics
    ///
    /// Never, as the certificate is its own.
    #[must_use]
    pub fn initiator(&self) -> Initiator {
        let credential = SecurityCredential::encrypt(&self.initiator_password(), &self.certificate());
        Initiator::new(INITIATOR, credential.expect("its own password fits its own key"))
    }

    /// The short code that its payouts are made from.
    ///
    /// # Panics
    ///
    /// Never, as the number is its own.
    #[must_use]
    pub fn b2c_short_code(&self) -> ShortCode {
        B2C_SHORT_CODE.parse().expect("a short code")
    }

    /// URLs for results and queue timeouts that it accepts. In process nothing is posted to them: see
    /// [`next_result`](Self::next_result).
    ///
    /// # Panics
    ///
    /// Never, as the URLs are its own.
    #[must_use]
    pub fn result_urls(&self) -> ResultUrls {
        let url = |kind| Url::parse(&format!("https://shop.example/b2c/{kind}")).expect("a valid URL");
        ResultUrls::new(url("result"), url("timeout"))
    }

    /// Scripts what becomes of payouts to one recipient from now on, whatever the number ends in.
    #[must_use]
    pub fn recipient(&self, number: Msisdn) -> RecipientScript<'_> {
        RecipientScript::new(self, Some(number))
    }

    /// Scripts what becomes of payouts from now on to every recipient without a script of their own.
    #[must_use]
    pub fn every_recipient(&self) -> RecipientScript<'_> {
        RecipientScript::new(self, None)
    }

    /// What the organisation's accounts hold.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        self.lock().ledger.accounts()
    }

    /// Sets what the utility account holds.
    pub fn set_utility_account(&self, amount: Kes) {
        self.lock().ledger.set_utility(amount);
    }

    /// Unlocks the initiator, who is locked after three wrong credentials in a row.
    pub fn unlock_initiator(&self) {
        self.lock().wrong_credentials = 0;
    }

    /// Every payout that moved money, in order: what was really paid, whatever anybody was told.
    ///
    /// # Panics
    ///
    /// Never, as the receipts are its own.
    #[must_use]
    pub fn payouts(&self) -> Vec<PaidOut> {
        let state = self.lock();
        let paid =
            state.ledger.entries().iter().filter(|entry| entry.kind == Kind::Payout && entry.fate == Fate::Completed);
        paid.map(|entry| PaidOut {
            originator_conversation_id: match entry.id_is_own {
                IdIs::Own => entry.originator_conversation_id.parse().ok(),
                IdIs::TheGateways => None,
            },
            recipient: entry.number,
            amount: entry.amount,
            receipt: read_receipt(&entry.receipt),
        })
        .collect()
    }

    /// Every payment that has come in by now, in the order in which the money came: what was really paid, whatever anybody
    /// was told. A payment that was reversed is among them, and among the [`reversals`](Self::reversals).
    ///
    /// ```
    /// use daraja::{Shillings, StkPush, simulator::Simulator};
    /// # use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> daraja::Result<()> {
    /// let simulator = Simulator::new();
    /// simulator.everyone().approves().after(Duration::from_secs(20)).callback_lost();
    /// # let (merchant, payer) = (simulator.merchant(), "254708374149".parse()?);
    /// # let push = StkPush::new(&merchant, payer, Shillings::new(500)?, "INV-001".parse()?, simulator.callback_url());
    /// let accepted = simulator.client().send(&push).await?;
    /// assert!(simulator.payments().is_empty());
    /// tokio::time::sleep(Duration::from_secs(20)).await;
    /// assert_eq!(simulator.payments()[0].checkout_request_id, accepted.checkout_request_id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Never, as the books are its own.
    #[must_use]
    pub fn payments(&self) -> Vec<PaidIn> {
        let state = self.lock();
        let mut entries: Vec<_> = state.ledger.moved().filter(|entry| entry.kind == Kind::Payment).collect();
        entries.sort_by_key(|entry| entry.ends_at);
        let paid = entries.into_iter().map(|entry| {
            let push = state.pushes.get(&entry.conversation_id).expect("every payment began with a push");
            PaidIn {
                checkout_request_id: push.prompt.checkout_request_id.clone(),
                payer: entry.number,
                amount: entry.amount,
                reference: push.prompt.reference.clone(),
                receipt: read_receipt(&entry.receipt),
            }
        });
        paid.collect()
    }

    /// Every reversal that gave money back, in order, whatever anybody was told.
    ///
    /// # Panics
    ///
    /// Never, as the receipts are its own.
    #[must_use]
    pub fn reversals(&self) -> Vec<PaidBack> {
        let state = self.lock();
        let mut reversed: Vec<_> =
            state.ledger.entries().iter().filter_map(|entry| Some((entry, entry.reversal.as_ref()?))).collect();
        reversed.sort_by_key(|(_, reversal)| reversal.moment);
        let paid = reversed.into_iter().map(|(entry, Reversal { receipt, amount, .. })| PaidBack {
            original_receipt: read_receipt(&entry.receipt),
            payer: entry.number,
            amount: *amount,
            receipt: read_receipt(receipt),
        });
        paid.collect()
    }

    /// Waits for the next result or queue timeout that is due, and takes it, as the route behind its URL would.
    pub async fn next_result(&self) -> Posted {
        let Delivery { url, body, .. } = self.next_delivery(Mail::Result).await;
        Posted { url, body }
    }
}

pub(super) fn read_receipt(receipt: &str) -> ReceiptNumber {
    receipt.parse().expect("the simulator's receipts are receipts")
}
