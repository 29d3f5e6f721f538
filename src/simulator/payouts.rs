//! B2C in its four forms from the other side: what is asked for, what becomes of it, and how it is reported.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Simulator, State,
    desk::Refusal,
    express::{line_number, read},
    initiated::{Taken, check_rest, parameter, party, refuse, whole_amount},
    ledger::{Entry, Fate, IdIs, Kind, PAYOUT_FEE},
    line::{HEAD_START, HeldBack},
    recipient::{ABOVE_MAXIMUM, BELOW_MINIMUM, DUPLICATE, PROCESSED, Reception, Report, TOO_LITTLE, Verdict},
};
use crate::{
    Msisdn, Shillings, Timestamp,
    b2c::{B2cBody, CHECKED_PATH, POCHI_PATH, V1_PATH},
    initiated::TimeoutShape,
    wire::Text,
};

pub(super) fn b2c(simulator: &Simulator, request: &Request<Bytes>) -> Result<Response<Bytes>, Refusal> {
    let body: B2cBody<'_, Text<'_>, Text<'_>> = read(request)?;
    let asked = Asked::check(request.uri().path(), &body)?;
    let today = simulator.shared.clock.timestamp();
    let mut state = simulator.lock();
    let (id, id_is_own) = match asked.id {
        Some(id) => (id.to_owned(), IdIs::Own),
        None => (state.random.request_id(), IdIs::TheGateways),
    };
    let is_duplicate = state.ledger.is_duplicate(&id);
    if is_duplicate && !simulator.shared.settings.duplicates.are_taken() {
        return Err(Refusal(500, "500.002.1001", "Duplicate OriginatorConversationID."));
    }
    let taken = Taken {
        originator_conversation_id: id,
        conversation_id: state.conversation_id(today),
        short_code: asked.short_code,
        result_url: asked.result_url,
        timeout_url: asked.timeout_url,
    };
    let usual = simulator.shared.settings.result_time;
    if is_duplicate {
        let result = taken.result(&DUPLICATE.0.into(), DUPLICATE.1, &state.next_receipt(today), None);
        taken.post(simulator, &mut state, taken.result_url, usual, &result);
        return Ok(taken.acknowledge());
    }
    let reception = state.reception_of(asked.recipient);
    let early = reception.report == Report::Early;
    let after = if early { Duration::ZERO } else { reception.after.unwrap_or(usual) };
    let result = state.pay(&asked, &body, &taken, When { started: today, after, id_is_own }, reception);
    report(simulator, &mut state, &taken, &body, reception.report, after, &result);
    let mut response = taken.acknowledge();
    if early {
        response.extensions_mut().insert(HeldBack(HEAD_START));
    }
    Ok(response)
}

/// What a payment asks for, once every field was found right.
struct Asked<'b> {
    /// The sender's own id; version 1 has none.
    id: Option<&'b str>,
    short_code: &'b str,
    recipient: Msisdn,
    amount: Shillings,
    result_url: &'b str,
    timeout_url: &'b str,
}

impl<'b> Asked<'b> {
    fn check(path: &str, body: &'b B2cBody<'_, Text<'_>, Text<'_>>) -> Result<Self, Refusal> {
        let id = body.originator_conversation_id.as_ref().map_or("", Text::as_str);
        let id = match path {
            V1_PATH => None,
            _ if (1..=128).contains(&id.chars().count()) => Some(id),
            _ => return refuse("Bad Request - Invalid OriginatorConversationID"),
        };
        if body.initiator_name.as_str().is_empty() {
            return refuse("Bad Request - Invalid InitiatorName");
        }
        if body.security_credential.as_str().is_empty() {
            return refuse("Bad Request - Invalid SecurityCredential");
        }
        let is_known = match path {
            POCHI_PATH => body.command_id.as_str() == "BusinessPayToPochi" && body.occassion.is_some(),
            _ => matches!(body.command_id.as_str(), "BusinessPayment" | "SalaryPayment" | "PromotionPayment"),
        };
        if !is_known {
            return refuse("Bad Request - Invalid CommandID");
        }
        if path == CHECKED_PATH && (body.id_type.is_none() || body.id_number.is_none()) {
            return refuse("Bad Request - Invalid IDNumber");
        }
        let amount = whole_amount(&body.amount)?;
        let Some(recipient) = line_number(&body.party_b) else { return refuse("Bad Request - Invalid PartyB") };
        let (short_code, result_url, timeout_url) =
            check_rest(&body.party_a, &body.remarks, &body.result_url, &body.queue_time_out_url)?;
        Ok(Self { id, short_code, recipient, amount, result_url, timeout_url })
    }
}

/// When a payout begins and how long it takes.
#[derive(Clone, Copy)]
struct When {
    started: Timestamp,
    after: Duration,
    id_is_own: IdIs,
}

impl State {
    /// Carries a payout out or declines it, and writes its result.
    fn pay(
        &mut self,
        asked: &Asked<'_>,
        body: &B2cBody<'_, Text<'_>, Text<'_>>,
        taken: &Taken<'_>,
        When { started, after, id_is_own }: When,
        reception: Reception,
    ) -> Value {
        let ended = started.after(after);
        let verdict = self.judge_payout(asked, body, reception);
        let receipt = self.next_receipt(started);
        let fate = if verdict == PROCESSED { Fate::Completed } else { Fate::Declined };
        self.ledger.add(Entry {
            kind: Kind::Payout,
            receipt: receipt.clone(),
            originator_conversation_id: taken.originator_conversation_id.clone(),
            conversation_id: taken.conversation_id.clone(),
            id_is_own,
            number: asked.recipient,
            amount: asked.amount,
            started,
            ended,
            ends_at: Instant::now().checked_add(after).unwrap_or_else(Instant::now),
            fate,
            reversal: None,
        });
        if fate == Fate::Declined {
            return taken.result(&verdict.0.into(), verdict.1, &receipt, None);
        }
        let accounts = self.ledger.charge(PAYOUT_FEE);
        let kes = |amount: crate::Kes| serde_json::from_str::<Value>(&amount.to_string()).unwrap_or_default();
        let parameters = json!([
            parameter("TransactionAmount", asked.amount.get()),
            parameter("TransactionReceipt", receipt.as_str()),
            parameter("ReceiverPartyPublicName", party(asked.recipient)),
            parameter("TransactionCompletedDateTime", ended.to_datetime().format("%d.%m.%Y %H:%M:%S").to_string()),
            parameter("B2CUtilityAccountAvailableFunds", kes(accounts.utility)),
            parameter("B2CWorkingAccountAvailableFunds", kes(accounts.working)),
            parameter("B2CRecipientIsRegisteredCustomer", "Y"),
            parameter("B2CChargesPaidAccountAvailableFunds", kes(accounts.charges_paid)),
        ]);
        taken.result(&0.into(), PROCESSED.1, &receipt, Some(parameters))
    }

    fn judge_payout(
        &mut self,
        asked: &Asked<'_>,
        body: &B2cBody<'_, Text<'_>, Text<'_>>,
        reception: Reception,
    ) -> Verdict {
        let (name, credential) = (body.initiator_name.as_str(), body.security_credential.as_str());
        if let Err(verdict) = self.judge_initiator(name, credential, asked.short_code) {
            return verdict;
        }
        match asked.amount.get() {
            ..10 => BELOW_MINIMUM,
            250_001.. => ABOVE_MAXIMUM,
            _ if reception.verdict.0 != 0 => reception.verdict,
            _ => self.ledger.withdraw(asked.amount).map_or(TOO_LITTLE, |_| PROCESSED),
        }
    }
}

/// Posts a result, or does not, as the recipient's script says.
fn report(
    simulator: &Simulator,
    state: &mut State,
    taken: &Taken<'_>,
    body: &B2cBody<'_, Text<'_>, Text<'_>>,
    report: Report,
    after: Duration,
    result: &Value,
) {
    let second = after.saturating_add(Duration::from_secs(2));
    let mut post = |after, url, body: &Value| taken.post(simulator, state, url, after, body);
    match report {
        Report::Lost => {}
        Report::Once | Report::Early => post(after, taken.result_url, result),
        Report::Late(delay) => post(after.saturating_add(delay), taken.result_url, result),
        Report::Twice => {
            post(after, taken.result_url, result);
            post(second, taken.result_url, result);
        }
        Report::TimesOut(shape) => post(after, taken.timeout_url, &notice(shape, taken, body)),
    }
}

/// A queue timeout, in one of the shapes that are expected of Daraja.
fn notice(shape: TimeoutShape, taken: &Taken<'_>, body: &B2cBody<'_, Text<'_>, Text<'_>>) -> Value {
    match shape {
        TimeoutShape::Echo => serde_json::to_value(body).unwrap_or_default(),
        TimeoutShape::Envelope => taken.result(&1037.into(), "The request timed out in the queue.", "", None),
        TimeoutShape::Ids => json!({
            "OriginatorConversationID": taken.originator_conversation_id,
            "ConversationID": taken.conversation_id,
        }),
    }
}
