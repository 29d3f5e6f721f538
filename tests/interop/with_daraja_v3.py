"""daraja-v3 against the simulator, to which its own `base_url` points it."""

import json
from datetime import datetime

from mpesa import AuthenticationError, MpesaClient, MpesaError
from harness import (
    B2C_SHORT_CODE,
    BASE_URL,
    CONSUMER_KEY,
    CONSUMER_SECRET,
    CREDENTIAL,
    CUSTOMER,
    INITIATOR,
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


def client(short_code=SHORT_CODE, secret=CONSUMER_SECRET, passkey=PASSKEY):
    return MpesaClient(CONSUMER_KEY, secret, shortcode=short_code, passkey=passkey, base_url=BASE_URL)


def token():
    wrong = refused("wrong secret", AuthenticationError, client(secret="wrong")._auth.token)
    expect("wrong secret, status", wrong.code, "400")
    expect("wrong secret, error code", '"errorCode":"400.008.01"' in wrong.message, True)


def push(daraja):
    def refusal(what, call):
        error = refused(what, MpesaError, call)
        return error.code, error.message

    url = RECEIVER.url("/stk")
    expect(
        "push without a callback URL",
        refusal("push", lambda: daraja.stk_push(CUSTOMER, 10, "INV-001")),
        ("400.002.02", "API error 400: Bad Request - Invalid CallBackURL"),
    )
    expect(
        "push with another passkey",
        refusal("push", lambda: client(passkey="wrong").stk_push(CUSTOMER, 10, "INV-001", callback_url=url)),
        ("500.001.1001", "API error 500: [MerchantValidate] - Wrong credentials"),
    )
    # A new token voids the old one, and the client above has fetched one.
    error = refused("old token", MpesaError, lambda: daraja.stk_push(CUSTOMER, 10, "INV-001", callback_url=url))
    expect("push with the token that this voided", error.code, "404.001.03")

    daraja = client()
    accepted = daraja.stk_push(CUSTOMER, 10.75, "INV-001", callback_url=url)
    expect("push, ResponseCode", accepted.raw["ResponseCode"], "0")
    expect("push, message", accepted.customer_message, "Success. Request accepted for processing")
    open_query = daraja.stk_query(accepted.checkout_request_id)
    expect("query while the prompt is open", (open_query.result_code, open_query.is_paid), ("4999", False))
    expect("second query within 12 s", refusal("query", lambda: daraja.stk_query(accepted.checkout_request_id))[0], "429")
    expect(
        "second push while the prompt is open",
        refusal("push", lambda: daraja.stk_push(CUSTOMER, 10, "INV-001", callback_url=url))[0],
        "500.001.1001",
    )

    told = MpesaClient.parse_stk_callback(json.loads(RECEIVER.wait("/stk")[0]))
    expect("callback", (told["paid"], told["result_code"], told["phone"]), (True, "0", CUSTOMER))
    expect("callback, amount: 10.75 was asked for", told["amount"], 10)
    expect("callback, id", told["checkout_request_id"], accepted.checkout_request_id)
    expect("callback, receipt", len(told["mpesa_receipt"]), 10)

    def paid():
        try:
            return daraja.stk_query(accepted.checkout_request_id)
        except MpesaError as error:
            insist("query too soon", error.code, "429")
            return None

    query = until("query", 15, paid)
    expect("query afterwards", (query.result_code, query.is_paid), ("0", True))


def payouts(daraja):
    def pay(path, credential=CREDENTIAL, **urls):
        urls = urls or {"queue_timeout_url": RECEIVER.url("/timeout")}
        return daraja.b2c(
            RECIPIENT,
            40,
            callback_url=RECEIVER.url(path),
            initiator_name=INITIATOR,
            security_credential=credential,
            **urls,
        )

    error = refused("payout", MpesaError, lambda: pay("/none", queue_timeout_url=""))
    expect(
        "payout without a timeout URL",
        (error.code, error.message),
        ("400.002.02", "API error 400: Bad Request - Invalid QueueTimeOutURL"),
    )

    # Its ids count seconds: of payouts within one second Daraja takes the first.
    taken, error = 0, None
    while error is None and taken < 30:
        try:
            expect("payout, ResponseCode", pay("/paid").raw["ResponseCode"], "0")
            taken += 1
        except MpesaError as refusal:
            error = refusal
    expect("the next payout within the second", error and error.code, "500.002.1001")
    expect("its words", error.message, "API error 500: Duplicate OriginatorConversationID.")
    for body in RECEIVER.wait("/paid", taken):
        code, told = result_of(body)
        expect("payout, result", (code, told["TransactionAmount"]), (0, 40))

    second = datetime.now().second
    until("a new second", 3, lambda: datetime.now().second != second or None)
    expect("payout with another credential, ResponseCode", pay("/wrong", credential="wrong").raw["ResponseCode"], "0")
    expect("payout with another credential, result", result_of(RECEIVER.wait("/wrong")[0])[0], 2001)
    return taken


def ledger(daraja, paid):
    asked = daraja.account_balance(
        RECEIVER.url("/balance"), RECEIVER.url("/timeout"), initiator_name=INITIATOR, security_credential=CREDENTIAL
    )
    expect("balance, ResponseCode", asked["ResponseCode"], "0")
    left = utility_account(RECEIVER.wait("/balance")[0])
    expect("the ledger: the push came in, and the payouts that were taken went out", left, f"{1_000_010 - 40 * paid}.00")


token()
push(client())
payer = client(short_code=B2C_SHORT_CODE)
ledger(payer, payouts(payer))
