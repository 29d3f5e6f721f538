"""What the Python drivers share: the simulator's settings, a receiver of what it posts, and literal expectations."""

import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests.adapters

BASE_URL = os.environ["MPESA_BASE_URL"]
CONSUMER_KEY = os.environ["MPESA_CONSUMER_KEY"]
CONSUMER_SECRET = os.environ["MPESA_CONSUMER_SECRET"]
SHORT_CODE = os.environ["MPESA_SHORTCODE"]
PASSKEY = os.environ["MPESA_PASSKEY"]
B2C_SHORT_CODE = os.environ["MPESA_B2C_SHORTCODE"]
INITIATOR = os.environ["MPESA_B2C_INITIATOR_NAME"]
INITIATOR_PASSWORD = os.environ["MPESA_B2C_INITIATOR_PASSWORD"]
CREDENTIAL = os.environ["MPESA_B2C_SECURITY_CREDENTIAL"]

# A customer who approves, and somebody who is paid.
CUSTOMER = "254700000050"
RECIPIENT = "254700000060"
# Nairobi's landlines: twelve digits, and no line that could be rung.
LANDLINE = "254200000000"

PATIENCE = 30


def expect(what, actual, expected):
    insist(what, actual, expected)
    print(f"  {what}: {expected!r}")


def insist(what, actual, expected):
    if actual != expected:
        raise SystemExit(f"{what}:\n  expected {expected!r}\n  found    {actual!r}")


def refused(what, error, call):
    """The exception that a call must end in."""
    try:
        answer = call()
    except error as refusal:
        return refusal
    raise SystemExit(f"{what}: it was not refused, but answered {answer!r}")


class Receiver:
    """A loopback address that takes whatever is posted to it, as the raw bytes that came."""

    def __init__(self):
        self.posts = {}
        self.arrived = threading.Condition()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with receiver.arrived:
                    receiver.posts.setdefault(self.path, []).append(body)
                    receiver.arrived.notify_all()
                answer = b'{"ResultCode":0,"ResultDesc":"Accepted"}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def wait(self, path, count=1, patience=PATIENCE):
        """The first posts to a path, once so many have come."""
        with self.arrived:
            if not self.arrived.wait_for(lambda: len(self.posts.get(path, [])) >= count, patience):
                raise SystemExit(f"{path}: {len(self.posts.get(path, []))} of {count} posts came in {patience} s")
            return self.posts.get(path, [])[:count]

    def count(self, path):
        with self.arrived:
            return len(self.posts.get(path, []))


def result_of(body):
    """Code and words of a result of the initiator family, and what it tells by key."""
    result = json.loads(body)["Result"]
    told = result.get("ResultParameters", {}).get("ResultParameter", [])
    return result["ResultCode"], {item["Key"]: item.get("Value") for item in told}


def utility_account(body):
    """What the utility account holds, which payouts are made from."""
    accounts = dict(entry.split("|")[0::2][:2] for entry in result_of(body)[1]["AccountBalance"].split("&"))
    return accounts["Utility Account"]


def until(what, seconds, ask):
    """Asks once a second until there is an answer: the app may query once in 12 s."""
    for _ in range(seconds):
        answer = ask()
        if answer is not None:
            return answer
        time.sleep(1)
    raise SystemExit(f"{what}: no answer in {seconds} s")


def redirect_requests():
    """Takes the sandbox's requests to the simulator, for clients that have the address built in and call by `requests`.

    The request is theirs but for scheme and host. Gives the list of what was answered: path and HTTP status.
    """
    answered = []
    send = requests.adapters.HTTPAdapter.send

    def redirected(adapter, request, **options):
        sandbox = "https://sandbox.safaricom.co.ke/"
        if not request.url.startswith(sandbox):
            raise SystemExit(f"a request that is not for the sandbox: {request.url}")
        path = request.url[len(sandbox) - 1 :]
        request.url = BASE_URL + path
        response = send(adapter, request, **options)
        answered.append((path.split("?")[0], response.status_code))
        return response

    requests.adapters.HTTPAdapter.send = redirected
    return answered
