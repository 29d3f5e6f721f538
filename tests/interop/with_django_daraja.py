"""django-daraja against the simulator. Its address is built in: the driver takes its requests to the simulator."""

import os
import tempfile
from pathlib import Path

import django
from django.conf import settings
from harness import (
    B2C_SHORT_CODE,
    CONSUMER_KEY,
    CONSUMER_SECRET,
    CUSTOMER,
    INITIATOR,
    INITIATOR_PASSWORD,
    LANDLINE,
    PASSKEY,
    RECIPIENT,
    SHORT_CODE,
    Receiver,
    expect,
    redirect_requests,
    refused,
    result_of,
)

ANSWERED = redirect_requests()
RECEIVER = Receiver()

# It looks for the certificate in the project's folder, where whoever uses it has put it.
PROJECT = Path(tempfile.mkdtemp(dir=os.environ["INTEROP_SCRATCH"]))
(PROJECT / "certs").mkdir()
(PROJECT / "certs" / "sandbox.cer").write_bytes(Path(os.environ["INTEROP_CERTIFICATE"]).read_bytes())

settings.configure(
    BASE_DIR=PROJECT,
    USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    INSTALLED_APPS=["django_daraja"],
    MPESA_ENVIRONMENT="sandbox",
    MPESA_CONSUMER_KEY=CONSUMER_KEY,
    MPESA_CONSUMER_SECRET=CONSUMER_SECRET,
    MPESA_EXPRESS_SHORTCODE=SHORT_CODE,
    MPESA_SHORTCODE=B2C_SHORT_CODE,
    MPESA_PASSKEY=PASSKEY,
    MPESA_INITIATOR_USERNAME=INITIATOR,
    MPESA_INITIATOR_SECURITY_CREDENTIAL=INITIATOR_PASSWORD,
)
django.setup()

from django.core.management import call_command  # noqa: E402
from django_daraja.mpesa import utils  # noqa: E402
from django_daraja.mpesa.core import MpesaClient  # noqa: E402
from django_daraja.mpesa.exceptions import MpesaError  # noqa: E402

call_command("migrate", verbosity=0)
DARAJA = MpesaClient()


def answer(response):
    return response.status_code, response.error_code, response.error_message, response.response_code


def token():
    settings.MPESA_CONSUMER_SECRET = "wrong"
    error = refused("wrong secret", MpesaError, DARAJA.access_token)
    expect("wrong secret", str(error), "Unable to generate access token")
    expect("wrong secret, tried twice", ANSWERED, [("/oauth/v1/generate", 400), ("/oauth/v1/generate", 400)])
    settings.MPESA_CONSUMER_SECRET = CONSUMER_SECRET
    expect("token", len(DARAJA.access_token()), 28)


def push():
    def ring(number=CUSTOMER, url=RECEIVER.url("/stk")):
        return DARAJA.stk_push(number, 10, "INV-001", "Order 1", url)

    refusal = (400, "400.002.02", "Bad Request - Invalid PhoneNumber", "")
    expect("push to a landline", answer(ring(LANDLINE)), refusal)
    accepted = ring()
    expect("push", answer(accepted), (200, None, "", "0"))
    told = DARAJA.parse_stk_result(RECEIVER.wait("/stk")[0])
    expect("callback", (told["ResultCode"], told["Amount"], str(told["PhoneNumber"])), (0, 10, CUSTOMER))
    expect("callback, id", told["CheckoutRequestID"], accepted.checkout_request_id)
    expect("callback, receipt and balance", (len(told["MpesaReceiptNumber"]), told["Balance"]), (10, None))
    # Nine digits from the end, whatever is before them: a number in another country becomes a Kenyan one.
    foreign = ring("+44 700000032", RECEIVER.url("/foreign"))
    expect("push to +44 700000032", answer(foreign), (200, None, "", "0"))
    told = DARAJA.parse_stk_result(RECEIVER.wait("/foreign")[0])
    expect("callback of the phone that rang", told["ResultCode"], 1032)
    expect("the phone that rang", told["CheckoutRequestID"].endswith("700000032"), True)


def payouts():
    paid = DARAJA.business_payment(RECIPIENT, 40, "Refund", RECEIVER.url("/paid"), "Refund")
    expect("payout", answer(paid), (200, None, "", "0"))
    code, told = result_of(RECEIVER.wait("/paid")[0])
    expect("payout, result", (code, told["TransactionAmount"]), (0, 40))
    left = told["B2CUtilityAccountAvailableFunds"]
    expect("the ledger: one push of KES 10 came in, one payout of 40 went out", left, 999_970)
    refusal = (400, "400.002.02", "Bad Request - Invalid PartyB", "")
    to_landline = DARAJA.business_payment(LANDLINE, 10, "Refund", RECEIVER.url("/none"), "Refund")
    expect("payout to a landline", answer(to_landline), refusal)
    settings.MPESA_INITIATOR_SECURITY_CREDENTIAL = "wrong"
    wrong = DARAJA.business_payment(RECIPIENT, 10, "Refund", RECEIVER.url("/wrong"), "Refund")
    expect("payout with another password", answer(wrong), (200, None, "", "0"))
    expect("payout with another password, result", result_of(RECEIVER.wait("/wrong")[0])[0], 2001)


def old_token():
    expect("a token for somebody else", utils.generate_access_token_request().status_code, 200)
    voided = DARAJA.stk_push(CUSTOMER, 10, "INV-001", "Order 1", RECEIVER.url("/stk"))
    expect("push with the token that this voided", answer(voided), (404, "404.001.03", "Invalid Access Token", ""))


token()
push()
payouts()
old_token()
