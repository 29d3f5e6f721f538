"""mpesakit against the simulator, to which `http_client.base_url` points it, and its reader of STK callbacks on each kind
that the simulator sends."""

import json
import os
import re
from pathlib import Path

from mpesakit import MpesaClient
from mpesakit.b2c import B2CCommandIDType
from mpesakit.errors import MpesaApiException
from mpesakit.mpesa_express.schemas import StkPushSimulateCallback
from mpesakit.security import generate_security_credential
from pydantic import ValidationError
from harness import (
    B2C_SHORT_CODE,
    BASE_URL,
    CONSUMER_KEY,
    CONSUMER_SECRET,
    CREDENTIAL,
    CUSTOMER,
    INITIATOR,
    INITIATOR_PASSWORD,
    LANDLINE,
    PASSKEY,
    RECIPIENT,
    SHORT_CODE,
    Receiver,
    expect,
    insist,
    refused,
    result_of,
    until,
    utility_account,
)

RECEIVER = Receiver()

# By the last two digits of the number: the code of each callback that comes, and whether a receipt is in it.
FAILED, PAID, WITHOUT_RECEIPT = "failed", "paid", "paid, without a receipt"
CALLBACKS = {
    "01": [(1, FAILED)],
    "04": [(4, FAILED)],
    "11": [(1001, FAILED)],
    "17": [(17, FAILED)],
    "19": [(1019, FAILED)],
    "20": [(2001, FAILED)],
    "25": [(1025, FAILED)],
    "26": [(26, FAILED)],
    "29": [(2029, FAILED)],
    "31": [(1031, FAILED)],
    "32": [(1032, FAILED)],
    "36": [(1036, FAILED)],
    "37": [(1037, FAILED)],
    "86": [(8006, FAILED)],
    "90": [(1019, FAILED)],
    "91": [],
    "92": [(0, PAID), (0, PAID)],
    "93": [(0, PAID)],
    "94": [(0, PAID)],
    "95": [(0, WITHOUT_RECEIPT)],
    "96": [],
    "97": [(0, PAID)],
}


def client(secret=CONSUMER_SECRET):
    daraja = MpesaClient(CONSUMER_KEY, secret)
    daraja.http_client.base_url = BASE_URL
    return daraja


def push(daraja, url, number=CUSTOMER, party_b=SHORT_CODE, passkey=PASSKEY):
    return daraja.stk_push(
        business_short_code=int(SHORT_CODE),
        transaction_type="CustomerPayBillOnline",
        amount=10,
        party_a=number,
        party_b=party_b,
        phone_number=number,
        callback_url=RECEIVER.url(url),
        account_reference="INV-001",
        transaction_desc="Order 1",
        passkey=passkey,
    )


def query(daraja, accepted):
    return daraja.stk_query(int(SHORT_CODE), accepted.CheckoutRequestID, passkey=PASSKEY)


def refusal(what, call):
    error = refused(what, MpesaApiException, call).error
    answer = error.raw_response
    return error.status_code, answer.get("errorCode"), answer.get("errorMessage")


def offered():
    """The endings that the simulator says it offers to customers."""
    printed = Path(os.environ["INTEROP_SIMULATOR"]).read_text()
    customers = printed.split("A customer decides by")[1].split("A payout ends by")[0]
    return sorted(re.findall(r"^  \.\.(\d\d) ", customers, re.MULTILINE))


def ring_all(daraja):
    expect("the simulator's scenarios", offered(), sorted(CALLBACKS))
    accepted = {}
    # 97 first: its callback comes after another one.
    for ending in sorted(CALLBACKS, reverse=True):
        accepted[ending] = push(daraja, f"/stk/{ending}", f"2547000000{ending}")
        expect(f"push to ..{ending}, ResponseCode", accepted[ending].ResponseCode, 0)
    accepted["party"] = push(daraja, "/stk/party", "254700000051", party_b="600000")
    expect("push in favour of somebody else, ResponseCode", accepted["party"].ResponseCode, 0)
    return accepted


def read_all(daraja, accepted):
    """Takes longer than a minute: one of the callbacks is a minute late."""
    callbacks = CALLBACKS | {"party": [(2028, FAILED)]}
    for ending, expected in callbacks.items():
        path = f"/stk/{ending}"
        bodies = RECEIVER.wait(path, len(expected), patience=90)
        found = [read(daraja, body, accepted[ending].CheckoutRequestID) for body in bodies]
        expect(f"callbacks of ..{ending}", found, expected)
    for ending, expected in callbacks.items():
        if RECEIVER.count(f"/stk/{ending}") != len(expected):
            raise SystemExit(f"..{ending}: {RECEIVER.count(f'/stk/{ending}')} callbacks came")


def read(daraja, body, checkout_request_id):
    """What mpesakit makes of the bytes as they came, and of what Python makes of them."""
    callback = StkPushSimulateCallback.model_validate_json(body)
    if daraja.process_stk_callback(json.loads(body)) != callback:
        raise SystemExit("its two readers differ")
    inner = callback.Body.stkCallback
    if inner.CheckoutRequestID != checkout_request_id:
        raise SystemExit(f"a callback of another push: {inner.CheckoutRequestID}")
    if not callback.is_successful:
        return inner.ResultCode, FAILED
    if (callback.amount, callback.balance, len(callback.transaction_date)) != (10.0, None, 14):
        raise SystemExit(f"amount, balance or date: {callback!r}")
    return inner.ResultCode, PAID if callback.mpesa_receipt_number else WITHOUT_RECEIPT


def refusals(daraja):
    wrong = (400, "400.008.01", "Invalid Authentication passed")
    expect("wrong secret", refusal("token", client("wrong").token_manager.get_token), wrong)
    expect(
        "push to a landline",
        refusal("push", lambda: push(daraja, "/none", LANDLINE)),
        (400, "400.002.02", "Bad Request - Invalid PhoneNumber"),
    )
    expect(
        "push with another passkey",
        refusal("push", lambda: push(daraja, "/none", passkey="wrong")),
        (500, "500.001.1001", "[MerchantValidate] - Wrong credentials"),
    )


def queries(daraja, accepted):
    """One in 12 s, while the phone of ..94 is being answered and after it was."""
    accepted["open"] = push(daraja, "/stk/open")
    told = query(daraja, accepted["open"])
    expect("query while the prompt is open", (told.ResultCode, told.is_successful()), ("4999", True))
    expect("second query within 12 s", refusal("query", lambda: query(daraja, accepted["open"])), (429, None, None))

    def later(payment):
        try:
            return query(daraja, accepted[payment])
        except MpesaApiException as error:
            insist("query too soon", error.error.status_code, 429)
            return None

    RECEIVER.wait("/stk/open")
    told = until("query", 15, lambda: later("open"))
    expect("query once it was paid", (told.ResultCode, told.is_successful()), ("0", True))
    told = until("query", 15, lambda: later("32"))
    expect("query of what was cancelled", (told.ResultCode, told.is_successful()), ("1032", True))

    # An open prompt that will be cancelled answers 200 with an error code, which is not an answer that it can read.
    def empty():
        accepted["empty"] = push(daraja, "/stk/empty", "254700000132")
        try:
            return query(daraja, accepted["empty"])
        except ValidationError as error:
            return error
        except MpesaApiException as error:
            insist("query too soon", error.error.status_code, 429)
            RECEIVER.wait("/stk/empty", RECEIVER.count("/stk/empty") + 1)
            return None

    error = until("query", 8, empty)
    expect("query that answers 200 with an error code", error.error_count(), 6)


def pay(daraja, id, path, credential=CREDENTIAL):
    return daraja.b2c.send_payment(
        originator_conversation_id=id,
        initiator_name=INITIATOR,
        security_credential=credential,
        command_id=B2CCommandIDType.BusinessPayment,
        amount=40,
        party_a=B2C_SHORT_CODE,
        party_b=RECIPIENT,
        remarks="Refund",
        queue_timeout_url=RECEIVER.url("/timeout"),
        result_url=RECEIVER.url(path),
    )


def payouts(daraja):
    expect("payout, ResponseCode", pay(daraja, "interop-1", "/paid").ResponseCode, "0")
    expect(
        "payout under the same id",
        refusal("payout", lambda: pay(daraja, "interop-1", "/paid")),
        (500, "500.002.1001", "Duplicate OriginatorConversationID."),
    )
    own = generate_security_credential(INITIATOR_PASSWORD, cert_path=os.environ["INTEROP_CERTIFICATE"])
    expect("payout with its own credential, ResponseCode", pay(daraja, "interop-2", "/own", own).ResponseCode, "0")

    [body] = RECEIVER.wait("/paid")
    code, told = result_of(body)
    expect("payout, result", (code, told["TransactionAmount"]), (0, 40))
    unread = refused("its reader", ValidationError, lambda: daraja.process_b2c_callback(json.loads(body)))
    at_fault = [(error["loc"], error["type"]) for error in unread.errors()]
    expect("the result of what was paid, to its reader", at_fault, [(("Result", "ResultParameters"), "list_type")])
    [body] = RECEIVER.wait("/own")
    declined = daraja.process_b2c_callback(json.loads(body))
    expect("payout with its own credential, result", declined.Result.ResultCode, 2001)


def ledger(daraja):
    asked = daraja.balance.query(
        initiator=INITIATOR,
        security_credential=CREDENTIAL,
        command_id="AccountBalance",
        party_a=int(B2C_SHORT_CODE),
        identifier_type=4,
        remarks="Balance",
        result_url=RECEIVER.url("/balance"),
        queue_timeout_url=RECEIVER.url("/timeout"),
    )
    expect("balance, ResponseCode", asked.ResponseCode, "0")
    left = utility_account(RECEIVER.wait("/balance")[0])
    # Customers ..91, ..92, ..93, ..94, ..95, ..97 and the one of the queries have paid, each of them once.
    expect("the ledger: 7 pushes of KES 10 came in, one payout of 40 went out", left, "1000030.00")


daraja = client()
refusals(daraja)
accepted = ring_all(daraja)
queries(daraja, accepted)
payouts(daraja)
ledger(daraja)
read_all(daraja, accepted)
