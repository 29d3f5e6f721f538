//! Reversal: give back money that came in. Daraja page: "Reversals".

use std::{borrow::Cow, fmt};

use serde::Serialize;

use crate::{
    Advice, Answer, ConversationId, Initiator, Kes, Occasion, Operation, OriginatorConversationId, Party,
    ReceiptNumber, Remarks, Repeat, Result, ResultCode, ResultUrls, Rules, Shillings, ShortCode, Timestamp,
    account_balance::Account,
    code::Why,
    error::{DecodeError, Invalid, mask, redact},
    initiated::{Accepted, Asking, Envelope, Ids, InitiatorFields},
    operation::NotAfter,
    transaction_status::charge,
    wire::{Text, Told},
};

pub(crate) const REVERSAL_PATH: &str = "/mpesa/reversal/v1/request";

/// Gives a customer's payment back, whole or in part, by its receipt. It is for money received: a payout cannot be
/// reversed by API.
///
/// It moves money, and nothing on the wire tells a repeat from a second reversal: it is never repeated after an unknown
/// outcome. Then wait for the [`ReversalResult`], or look into the organisation's statement; do not refund it in another
/// way before it is known. The status of the payment's own receipt says nothing about its reversal.
///
/// ```
/// use daraja::{Reversal, ReversalOutcome, ReversalResult, Shillings, simulator::Simulator};
/// # use daraja::{StkPush, webhook::{Inbox, Receiver, Reference, SignedUrls}, stk::Outcome};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> daraja::Result<()> {
/// let simulator = Simulator::new();
/// let (daraja, initiator) = (simulator.client(), simulator.initiator());
/// # let secret = daraja::secret::CallbackSecret::random();
/// # let urls = SignedUrls::new("https://shop.example/daraja".parse()?, secret)?;
/// # let (merchant, inbox, receiver, attempt) = (simulator.merchant(), Inbox::new(), Receiver::new(urls), Reference::random());
/// # let url = receiver.urls().stk(&attempt);
/// # let push = StkPush::new(&merchant, "0712345678".parse()?, Shillings::new(500)?, "A".parse()?, url);
/// # let accepted = daraja.send(&push).await?;
/// # let settled = tokio::select! {
/// #     settled = daraja.wait_for_payment(&merchant, &accepted.checkout_request_id).inbox(&inbox).at(&attempt) => settled?,
/// #     never = simulator.deliver_to(&receiver, &inbox) => match never {},
/// # };
/// # let Outcome::Paid(payment) = settled.outcome else { panic!() };
/// # let receipt = payment.receipt.unwrap();
/// // `receipt` is that of a payment of 500 shillings to this short code.
/// let reversal = Reversal::new(&initiator, merchant.short_code(), receipt, Shillings::new(500)?, simulator.result_urls());
/// daraja.send(&reversal).await?;
///
/// let posted = simulator.next_result().await;
/// let ReversalOutcome::Reversed(reversed) = ReversalResult::parse(&posted.body)?.outcome else { panic!("reversed") };
/// assert_eq!(reversed.original_receipt, receipt);
/// # Ok(())
/// # }
/// ```
#[must_use = "a reversal does nothing until it is sent"]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    asking: Asking,
    short_code: ShortCode,
    receipt: ReceiptNumber,
    amount: Shillings,
    occasion: Option<Occasion>,
    not_after: Option<NotAfter>,
}

impl Reversal {
    /// Gives back `amount` (whole shillings, at most what was paid) of the payment with this receipt, which came in to
    /// this short code.
    pub fn new(
        initiator: &Initiator,
        short_code: ShortCode,
        receipt: ReceiptNumber,
        amount: Shillings,
        urls: ResultUrls,
    ) -> Self {
        Self { asking: Asking::new(initiator, urls), short_code, receipt, amount, occasion: None, not_after: None }
    }

    /// Sets until when it may leave: for a row that somebody else may take over, or after which the money may be given back in another way. See
    /// [`NotAfter`].
    pub fn not_after(mut self, not_after: NotAfter) -> Self {
        self.not_after = Some(not_after);
        self
    }

    /// A note of 2 to 100 characters; `Reversal` if it is left out.
    pub fn remarks(mut self, remarks: Remarks) -> Self {
        self.asking.remarks = Some(remarks);
        self
    }

    /// A further note of 1 to 100 characters.
    pub fn occasion(mut self, occasion: Occasion) -> Self {
        self.occasion = Some(occasion);
        self
    }
}

impl Operation for Reversal {
    type Response = Accepted;

    fn path(&self) -> &str {
        REVERSAL_PATH
    }

    /// It moves money.
    fn repeat(&self) -> Repeat {
        Repeat::Never
    }

    fn not_after(&self) -> Option<NotAfter> {
        self.not_after
    }

    fn about(&self) -> Option<Cow<'_, str>> {
        Some(mask(self.receipt.as_str()).into())
    }

    fn check(&self, rules: &Rules) -> Result<()> {
        if !self.receipt.is_plausible() {
            let reason = "it is the receipt of no payment; take it from the callback or the customer's SMS";
            return Err(Invalid::new("receipt number", reason).with_input(self.receipt.as_str()).into());
        }
        Ok(self.asking.check(rules)?)
    }

    fn body(&self, _now: Timestamp) -> impl Serialize + Send {
        ReversalBody {
            common: self.asking.fields("TransactionReversal", "Reversal"),
            transaction_id: self.receipt.as_str().into(),
            amount: self.amount,
            receiver_party: self.short_code.as_str().into(),
            reciever_identifier_type: "11".into(),
            occasion: self.occasion.as_ref().map(|occasion| occasion.as_str().into()),
        }
    }

    fn decode(&self, answer: &Answer) -> Result<Accepted> {
        Accepted::read(answer)
    }
}

/// What became of a reversal.
///
/// It comes once, unsigned, to the result URL. Compare its ids with those of [`Accepted`]: another request's failure at the
/// same URL is no refusal of this one.
///
/// ```
/// use daraja::{ReversalOutcome, ReversalReason, ReversalResult};
///
/// let outcome = |code: &str| -> daraja::Result<ReversalOutcome> {
///     let body = format!(r#"{{"Result":{{"ResultCode":{code},"ConversationID":"AG_1"}}}}"#);
///     Ok(ReversalResult::parse(body.as_bytes())?.outcome)
/// };
/// // Only a refusal that is final leaves the money here, so that it may be given back in another way.
/// let ReversalOutcome::Refused(failure) = outcome("\"R000002\"")? else { panic!("refused") };
/// assert_eq!(failure.reason(), ReversalReason::UnknownPayment);
/// assert_eq!(outcome("\"R000001\"")?, ReversalOutcome::AlreadyReversed);
/// assert!(matches!(outcome("26")?, ReversalOutcome::Unproven(_)));
/// # Ok::<(), daraja::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReversalResult {
    /// The id of the request.
    pub originator_conversation_id: Option<OriginatorConversationId>,
    /// The gateway's id of the request.
    pub conversation_id: Option<ConversationId>,
    /// What became of it.
    pub outcome: ReversalOutcome,
}

/// What became of a reversal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReversalOutcome {
    /// The money went back: a zero code that names the payment.
    Reversed(Reversed),
    /// `R000001`: the money had gone back before. Do not give it back in another way.
    AlreadyReversed,
    /// The money stays, finally.
    Refused(ReversalFailure),
    /// Neither is proved. Do not give it back in another way before it is known.
    Unproven(ReversalUnproven),
}

/// Money that went back.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reversed {
    /// The receipt of the payment that was reversed.
    pub original_receipt: ReceiptNumber,
    /// The receipt of the reversal itself.
    pub receipt: Option<ReceiptNumber>,
    /// What went back.
    pub amount: Option<Kes>,
    /// When it went back.
    pub completed_at: Option<Timestamp>,
    /// What Safaricom took for it.
    pub charge: Option<Kes>,
    /// Who has the money again: personal data.
    pub credit_party: Option<Party>,
    /// Who gave it back.
    pub debit_party: Option<Party>,
    /// The account it was taken from.
    pub debit_account: Option<Account>,
}

/// A reversal that was refused, finally.
#[derive(Clone, PartialEq, Eq)]
pub struct ReversalFailure {
    code: ResultCode,
    reason: ReversalReason,
    description: Box<str>,
}

/// A result that proves nothing.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReversalUnproven {
    /// Why it proves nothing. The receipt that it is about is that of the payment, not of the reversal.
    pub why: Why,
    /// Daraja's code.
    pub code: ResultCode,
    /// The receipt of the payment, if there is one and only one.
    pub original_receipt: Option<ReceiptNumber>,
    /// Daraja's words.
    pub description: Box<str>,
}

impl fmt::Debug for ReversalUnproven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReversalUnproven")
            .field("why", &self.why)
            .field("code", &self.code)
            .field("original_receipt", &self.original_receipt)
            .finish_non_exhaustive()
    }
}

impl ReversalFailure {
    /// Daraja's code.
    #[must_use]
    pub fn code(&self) -> &ResultCode {
        &self.code
    }

    /// Daraja's words. They change from day to day: go by [`reason`](Self::reason).
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What the code means for a reversal.
    #[must_use]
    pub fn reason(&self) -> ReversalReason {
        self.reason
    }

    /// What to do. The money has not gone back.
    #[must_use]
    pub fn advice(&self) -> Advice {
        Advice::FixConfiguration
    }
}

impl fmt::Debug for ReversalFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReversalFailure")
            .field("code", &self.code)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

/// What a final code means for a reversal. Other APIs use the same numbers for other things.
///
/// ```
/// let reason = daraja::ReversalReason::UnknownPayment;
/// assert_eq!(reason.to_string(), "no payment with this receipt can be reversed");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReversalReason {
    /// `R000002`: no payment with this receipt can be reversed.
    UnknownPayment,
    /// 1: the account holds too little to give it back.
    InsufficientFunds,
    /// 5, 6, 11, 13, 2006: your own account cannot pay.
    PayerAccount,
    /// 7, 8, 12, 14: the customer's account cannot take it.
    Customer,
    /// 18, 20, 2001: the initiator's name, password or certificate is wrong.
    WrongInitiator,
    /// 8006: the initiator is locked, after wrong passwords.
    InitiatorLocked,
    /// 19, 21, 22, 24, 29, 2028, `SFC_IC0003`, `TP40153`: your short code, product or initiator is not set up for this.
    NotPermitted,
}

impl ReversalReason {
    /// The one table of final codes. What is missing here settles nothing.
    fn of(code: &ResultCode) -> Option<Self> {
        let Some(number) = code.as_number() else {
            return match code.to_string().as_str() {
                "R000002" => Some(Self::UnknownPayment),
                "SFC_IC0003" | "TP40153" => Some(Self::NotPermitted),
                _ => None,
            };
        };
        Some(match number {
            1 => Self::InsufficientFunds,
            5 | 6 | 11 | 13 | 2006 => Self::PayerAccount,
            7 | 8 | 12 | 14 => Self::Customer,
            18 | 20 | 2001 => Self::WrongInitiator,
            8006 => Self::InitiatorLocked,
            19 | 21 | 22 | 24 | 29 | 2028 => Self::NotPermitted,
            _ => return None,
        })
    }
}

impl fmt::Display for ReversalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownPayment => "no payment with this receipt can be reversed",
            Self::InsufficientFunds => "the account holds too little to give it back",
            Self::PayerAccount => "the account cannot give it back",
            Self::Customer => "the customer's account cannot take it",
            Self::WrongInitiator => "the initiator's name, password or certificate is wrong",
            Self::InitiatorLocked => "the initiator is locked",
            Self::NotPermitted => "the short code, product or initiator is not set up for this",
        })
    }
}

impl ReversalResult {
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
        Self { originator_conversation_id, conversation_id, outcome: conclude(envelope, code) }
    }
}

/// Reversed only with a zero code that names the payment; refused only with a code that is known to be final; and neither if
/// the result contradicts itself.
fn conclude(envelope: &Envelope<'_>, code: ResultCode) -> ReversalOutcome {
    let description = redact(envelope.description(), 200).into();
    let (original, own) = (envelope.receipt("OriginalTransactionID"), envelope.transaction_id());
    let (amount, credit_party) = (envelope.kes("Amount"), envelope.party("CreditPartyPublicName"));
    let is_contradicted = original == Told::Contradicted
        || own == Told::Contradicted
        || amount.is_contradicted()
        || credit_party.is_contradicted();
    let why = match (&original, code.is_success(), ReversalReason::of(&code)) {
        _ if code.to_string() == "R000001" => return ReversalOutcome::AlreadyReversed,
        _ if is_contradicted => Why::Contradicted,
        (_, false, None) => Why::UnknownCode,
        (Told::Receipt(original), true, _) => return ReversalOutcome::Reversed(reversed(envelope, *original)),
        (Told::Nothing, false, Some(reason)) => {
            return ReversalOutcome::Refused(ReversalFailure { code, reason, description });
        }
        (Told::Nothing, true, _) => Why::NoReceipt,
        (Told::Unreadable(text), ..) => Why::unreadable(text),
        // A code of failure that names the payment: an older page of Daraja shows a success so.
        (Told::Receipt(_), false, Some(_)) | (Told::Contradicted, ..) => Why::Contradicted,
    };
    ReversalOutcome::Unproven(ReversalUnproven { why, code, original_receipt: original.receipt(), description })
}

fn reversed(envelope: &Envelope<'_>, original_receipt: ReceiptNumber) -> Reversed {
    Reversed {
        original_receipt,
        receipt: envelope.transaction_id().receipt(),
        amount: envelope.kes("Amount").given(),
        completed_at: envelope.timestamp("TransCompletedTime").given().flatten(),
        charge: envelope.text("Charge").and_then(|text| charge(&text)),
        credit_party: envelope.party("CreditPartyPublicName").given(),
        debit_party: envelope.party("DebitPartyPublicName").given(),
        debit_account: envelope.text("DebitAccountBalance").and_then(|text| Account::read(&text)),
    }
}

/// The request as it stands on the wire; the simulator reads it with the amount as text.
#[derive(Serialize)]
#[cfg_attr(feature = "simulator", derive(serde::Deserialize, Default))]
#[serde(rename_all = "PascalCase")]
#[cfg_attr(feature = "simulator", serde(default, bound(deserialize = "'de: 'a, A: serde::Deserialize<'de> + Default")))]
pub(crate) struct ReversalBody<'a, A> {
    #[serde(flatten)]
    pub(crate) common: InitiatorFields<'a>,
    #[serde(rename = "TransactionID")]
    pub(crate) transaction_id: Text<'a>,
    pub(crate) amount: A,
    pub(crate) receiver_party: Text<'a>,
    /// Sic: the right spelling is refused.
    pub(crate) reciever_identifier_type: Text<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) occasion: Option<Text<'a>>,
}
