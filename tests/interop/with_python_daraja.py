"""python-daraja against the simulator. It sends forms and says that they are JSON."""

from python_daraja import payment
from harness import CONSUMER_KEY, CONSUMER_SECRET, CUSTOMER, PASSKEY, SHORT_CODE, Receiver, expect, redirect_requests

ANSWERED = redirect_requests()
RECEIVER = Receiver()

payment.CONSUMER_KEY = CONSUMER_KEY
payment.CONSUMER_SECRET = CONSUMER_SECRET
payment.PASSKEY = PASSKEY
payment.SHORT_CODE = SHORT_CODE
payment.ACCOUNT_TYPE = "PAYBILL"

REFUSED = {"errorCode": "400.002.05", "errorMessage": "Invalid Request Payload"}


def words(answer):
    expect("a refusal has an id of its own", bool(answer.pop("requestId")), True)
    return answer


expect("push", words(payment.trigger_stk_push(int(CUSTOMER), 10, RECEIVER.url("/stk"), "INV-001", "Order 1")), REFUSED)
expect("query", words(payment.query_stk_push("ws_CO_26112026120000123700000050")), REFUSED)
expect(
    "statuses",
    ANSWERED,
    [
        ("/oauth/v1/generate", 200),
        ("/mpesa/stkpush/v1/processrequest", 400),
        ("/oauth/v1/generate", 200),
        ("/mpesa/stkpushquery/v1/query", 400),
    ],
)
payment.CONSUMER_SECRET = "wrong"
try:
    payment.query_stk_push("ws_CO_26112026120000123700000050")
except KeyError as error:
    expect("wrong secret", str(error), "'access_token'")
expect("wrong secret, status", ANSWERED[4:], [("/oauth/v1/generate", 400)])
