//! Daraja's own faults: refusals, throttling, dead tokens, outages, and a clock that is wrong.

use daraja::simulator::Fault::{
    AcceptedButError, Busy, Empty, ErrorInOk, Html, Redirect, Refused, ResetAfter, ResetBefore, Throttled,
    TokenExpired, Truncated,
};

use super::{
    Cells, DONE, INTERRUPTED, LATER, LOST, MADE, REFUSED, Row, TIMEOUT,
    cell::{
        Start::{self, Nothing, Skewed},
        Trouble::{Desk, Late, OAuth, Token},
    },
    judge, page, row, unknown_means_both,
};

/// A query finds its answer in what is a failure to the others.
const REFUSED_BUT_TO_A_QUERY: Cells = ["ok", "refused", "refused 0×", "refused 0×", "refused 0×", "refused 0×"];

const TOKEN: Start = Start::Token;

fn outages() -> Vec<Row> {
    let refused = |status, code, words| [Desk(Refused(status, code, words))];
    vec![
        row("reset before it is looked at", TOKEN, &[Desk(ResetBefore)], INTERRUPTED, LOST),
        row("reset when it was carried out", TOKEN, &[Desk(ResetAfter)], INTERRUPTED, MADE),
        row("cut in the answer's body", TOKEN, &[Desk(Truncated)], INTERRUPTED, MADE),
        row("answered too late", TOKEN, &[Late], TIMEOUT, MADE),
        row("403 and HTML of the firewall", TOKEN, &[Desk(Html)], "Unknown(Decode(403))", LOST),
        row("500 without a body", TOKEN, &[Desk(Empty)], "Unknown(Decode(500))", LOST),
        row("redirect", TOKEN, &[Desk(Redirect)], "Unknown(Decode(302))", LOST),
        row("200 with 500.001.1001 and no words", TOKEN, &[Desk(ErrorInOk)], "Unknown(Api(200 500.001.1001))", LOST),
        row(
            "500.001.1001 The transaction is being processed",
            TOKEN,
            &refused(500, "500.001.1001", "The transaction is being processed"),
            "Unknown(Api(500 500.001.1001))",
            LOST,
        ),
        row(
            "500.001.1001 Internal Server Error, and it was carried out",
            TOKEN,
            &[Desk(AcceptedButError)],
            "Unknown(Api(500 500.001.1001))",
            MADE,
        ),
        row(
            "500.001.1001 Error: merchant does not exist in cache",
            TOKEN,
            &refused(500, "500.001.1001", "Error: merchant does not exist in cache"),
            "Unknown(Api(500 500.001.1001))",
            LOST,
        ),
        row(
            "500.002.1001 System internal error.",
            TOKEN,
            &refused(500, "500.002.1001", "System internal error."),
            "Unknown(Api(500 500.002.1001))",
            LOST,
        ),
        row(
            "503 with 500.003.1001 Service is currently unreachable.",
            TOKEN,
            &refused(503, "500.003.1001", "Service is currently unreachable. Please try again later."),
            "Unknown(Api(503 500.003.1001))",
            LOST,
        ),
        row(
            "500.003.02 System is busy, and it was carried out",
            TOKEN,
            &[Desk(Busy)],
            "Unknown(Api(500 500.003.02))",
            MADE,
        ),
        row(
            "500.002.02 System is busy, and it was not",
            TOKEN,
            &refused(500, "500.002.02", "System is busy. Please try again in few minutes."),
            "Unknown(Api(500 500.002.02))",
            LOST,
        ),
        row(
            "400.002.02 Invalid Amount, with the status 200",
            TOKEN,
            &refused(200, "400.002.02", "Bad Request - Invalid Amount"),
            "Unknown(Api(200 400.002.02))",
            LOST,
        ),
        row(
            "504 with 408.001.01 Request Timeout",
            TOKEN,
            &refused(504, "408.001.01", "Request Timeout"),
            "Unknown(Api(504 408.001.01))",
            LOST,
        ),
    ]
}

fn throttles() -> Vec<Row> {
    const SPIKE: &str = "Api(429 policies.ratelimit.SpikeArrestViolation)";
    let throttled = |after| [Desk(Throttled(after))];
    let by_code = |code, words| [Desk(Refused(500, code, words))];
    let spike = "Error Occurred: Spike Arrest Violation";
    let quota = "Error Occurred: Quota Violation";
    vec![
        row("429", TOKEN, &throttled(None), "Ok", DONE),
        row("429, retry-after 0", TOKEN, &throttled(Some(0)), "Ok", DONE),
        row("429, retry-after 1", TOKEN, &throttled(Some(1)), "Ok", DONE),
        row("429, retry-after 3600, beyond the deadline", TOKEN, &throttled(Some(3_600)), SPIKE, LATER),
        row("500.003.02 Spike Arrest Violation", TOKEN, &by_code("500.003.02", spike), "Ok", DONE),
        row("500.002.02 Spike Arrest Violation", TOKEN, &by_code("500.002.02", spike), "Ok", DONE),
        row("500.003.03 Quota Violation", TOKEN, &by_code("500.003.03", quota), "Ok", DONE),
        row("500.002.03 Quota Violation", TOKEN, &by_code("500.002.03", quota), "Ok", DONE),
        row("429 to the token request", Nothing, &[OAuth(Throttled(None))], "Ok", DONE),
        row(
            "429 to the token request, retry-after 3600",
            Nothing,
            &[OAuth(Throttled(Some(3_600)))],
            "Token(Api(429 policies.ratelimit.SpikeArrestViolation))",
            LATER,
        ),
    ]
}

fn tokens() -> Vec<Row> {
    const DEAD: [super::Trouble; 1] = [Token(404, "404.001.03", "Invalid Access Token")];
    const ECHOED: &str = "Error Occurred - Invalid Access Token - BJGFGQXV5aZn9QKA4TDtu4Xdyf";
    const NO_PRODUCT: &str = "Error Occurred - Invalid Access Token - Invalid API call as no apiproduct match found";
    let words = "Invalid Access Token";
    let wrong_pair = OAuth(Refused(400, "400.008.01", "Invalid Authentication passed"));
    let no_token = "Token(Api(400 400.008.01))";
    vec![
        row("token refused: 404, 404.001.03", TOKEN, &DEAD, "Ok", DONE),
        row("token refused: 400, 400.002.01", TOKEN, &[Token(400, "400.002.01", words)], "Ok", DONE),
        row("token refused: 400, 400.003.01", TOKEN, &[Token(400, "400.003.01", words)], "Ok", DONE),
        row("token refused: 401, 401.001", TOKEN, &[Token(401, "401.001", words)], "Ok", DONE),
        row("token refused: 401, 401.002.01", TOKEN, &[Token(401, "401.002.01", ECHOED)], "Ok", DONE),
        row("token refused: 401, 401.003.01", TOKEN, &[Token(401, "401.003.01", NO_PRODUCT)], "Ok", DONE),
        row("token dead when the call arrives", TOKEN, &[Desk(TokenExpired)], "Ok", DONE),
        row("token refused, and the next one too", TOKEN, &[DEAD[0], DEAD[0]], "Api(404 404.001.03)", REFUSED),
        row("token refused, and no other granted", TOKEN, &[DEAD[0], wrong_pair], no_token, REFUSED),
        row(
            "404.001.03 with the status 500",
            TOKEN,
            &[Desk(Refused(500, "404.001.03", words))],
            "Unknown(Api(500 404.001.03))",
            LOST,
        ),
        row(
            "500.001.1001 Invalid Access Token",
            TOKEN,
            &[Desk(Refused(500, "500.001.1001", words))],
            "Unknown(Api(500 500.001.1001))",
            LOST,
        ),
        row("no token at first: the request for it is reset", Nothing, &[OAuth(ResetBefore)], "Ok", DONE),
        row("no token at first: 500 without a body", Nothing, &[OAuth(Empty)], "Ok", DONE),
        row("no token at first: 403 and HTML", Nothing, &[OAuth(Html)], "Ok", DONE),
        row(
            "no token: the request for it is reset three times",
            Nothing,
            &[OAuth(ResetBefore), OAuth(ResetBefore), OAuth(ResetBefore)],
            "Token(Transport(Interrupted))",
            LATER,
        ),
        row("no token: 400.008.01", Nothing, &[wrong_pair], no_token, REFUSED),
        row("the client's clock is 2 hours ahead", Skewed(2), &[], "Ok", DONE),
        row("the client's clock is 2 hours behind", Skewed(-2), &[], "Ok", DONE),
    ]
}

fn refusals() -> Vec<Row> {
    let by_code = |status, code, words| [Desk(Refused(status, code, words))];
    let named = |words| by_code(500, "500.001.1001", words);
    let (amount, locked) = (
        "Bad Request - Invalid Amount",
        "Unable to lock subscriber, a transaction is already in process for the current subscriber",
    );
    vec![
        row("400.002.02 Invalid Amount", TOKEN, &by_code(400, "400.002.02", amount), "Api(400 400.002.02)", REFUSED),
        row(
            "400.002.02 Invalid CheckoutRequestID, which is news of a payment",
            TOKEN,
            &by_code(400, "400.002.02", "Bad Request - Invalid CheckoutRequestID"),
            "Api(400 400.002.02)",
            REFUSED_BUT_TO_A_QUERY,
        ),
        row(
            "404.001.01 Resource not found",
            TOKEN,
            &by_code(404, "404.001.01", "Resource not found"),
            "Api(404 404.001.01)",
            REFUSED,
        ),
        row(
            "500.001.1001 Wrong credentials",
            TOKEN,
            &named("[MerchantValidate] - Wrong credentials"),
            "Api(500 500.001.1001)",
            REFUSED,
        ),
        row(
            "500.001.1001 Merchant does not exist",
            TOKEN,
            &named("Merchant does not exist"),
            "Api(500 500.001.1001)",
            REFUSED,
        ),
        row("500.001.1001 Unable to lock subscriber", TOKEN, &named(locked), "Api(500 500.001.1001)", LATER),
    ]
}

#[tokio::test]
async fn an_outage_leaves_a_call_unknown_unless_it_can_be_repeated() {
    let rows = outages();
    unknown_means_both(rows.iter().flat_map(|row| row.cells));
    page::compare("outages", &page::table(&judge(rows).await));
}

#[tokio::test]
async fn a_throttled_call_was_not_carried_out() {
    page::compare("throttling", &page::table(&judge(throttles()).await));
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_whatever_the_code_of_its_family() {
    page::compare("tokens", &page::table(&judge(tokens()).await));
}

#[tokio::test]
async fn a_refusal_by_name_is_final_and_nothing_was_carried_out() {
    page::compare("refusals", &page::table(&judge(refusals()).await));
}
