//! Payouts over a port: the answer is cut, the result is posted, and the money leaves once.

use std::time::Duration;

use daraja::{
    AccountBalanceQuery, AccountBalanceResult, B2cAccepted, B2cOutcome, B2cPayment, B2cResult, BalanceOutcome,
    QueueTimeout, ResultUrls, Shillings,
    initiated::TimeoutShape,
    simulator::{Fault, Route, Simulator},
};
use tokio::{
    sync::mpsc::{UnboundedReceiver, unbounded_channel},
    time::timeout,
};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::tools::at_once;

const RECIPIENT: &str = "254700000055";
/// A post that does not come fails the test; a busy machine does not.
const LONG: Duration = Duration::from_secs(30);

/// The shop's side: takes what is posted.
struct Shop {
    urls: ResultUrls,
    posts: UnboundedReceiver<Request>,
    _server: MockServer,
}

impl Shop {
    async fn open() -> Self {
        let (server, (took, posts)) = (MockServer::start().await, unbounded_channel());
        let take = move |request: &Request| {
            took.send(request.clone()).expect("the test listens");
            ResponseTemplate::new(200)
        };
        Mock::given(any()).respond_with(take).mount(&server).await;
        let url = |kind| format!("{}/b2c/{kind}/8c1f", server.uri()).parse().expect("a URL");
        Self { urls: ResultUrls::new(url("result"), url("timeout")), posts, _server: server }
    }

    async fn next(&mut self) -> Request {
        timeout(LONG, self.posts.recv()).await.expect("a post comes").expect("the server lives")
    }
}

fn simulator() -> Simulator {
    Simulator::builder().result_time(Duration::ZERO).build()
}

fn payment(simulator: &Simulator, urls: &ResultUrls) -> B2cPayment {
    let (recipient, amount) = (RECIPIENT.parse().expect("a number"), Shillings::new(500).expect("an amount"));
    B2cPayment::new(&simulator.initiator(), simulator.b2c_short_code(), recipient, amount, urls.clone())
}

#[tokio::test]
async fn a_result_is_posted_to_the_result_url_and_a_timeout_to_the_timeout_url() {
    let mut shop = Shop::open().await;
    let simulator = simulator();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let paid = payment(&simulator, &shop.urls);
    served.client().send(&paid).await.unwrap();
    let post = shop.next().await;
    assert_eq!((post.method.as_str(), post.url.path()), ("POST", "/b2c/result/8c1f"));
    assert_eq!(post.headers["content-type"], "application/json;charset=UTF-8");
    let result = B2cResult::parse(&post.body).unwrap();
    assert_eq!(result.originator_conversation_id.as_ref(), Some(paid.id()));
    assert!(matches!(result.outcome, B2cOutcome::Paid(_)));

    simulator.recipient(RECIPIENT.parse().unwrap()).result_times_out(TimeoutShape::Echo);
    let timed_out = payment(&simulator, &shop.urls);
    served.client().send(&timed_out).await.unwrap();
    let post = shop.next().await;
    assert_eq!(post.url.path(), "/b2c/timeout/8c1f");
    // The echo holds the credential, as Safaricom's staff is quoted: what is read of it does not.
    assert!(String::from_utf8_lossy(&post.body).contains("SecurityCredential"));
    let notice = QueueTimeout::parse(&post.body).unwrap();
    assert_eq!(notice.originator_conversation_id.as_ref(), Some(timed_out.id()));
    assert_eq!(simulator.payouts().len(), 2);

    let query = AccountBalanceQuery::new(&simulator.initiator(), simulator.b2c_short_code(), shop.urls.clone());
    served.client().send(&query).await.unwrap();
    let post = shop.next().await;
    let BalanceOutcome::Known(balances) = AccountBalanceResult::parse(&post.body).unwrap().outcome else { panic!() };
    assert_eq!(balances.utility().unwrap().available, Some(simulator.accounts().utility));
}

#[tokio::test]
async fn an_answer_that_is_cut_is_made_good_by_the_same_id() {
    let shop = Shop::open().await;
    let simulator = simulator();
    let served = simulator.serve("127.0.0.1:0").await.unwrap();
    let client = served.client_builder().retry(at_once()).build().unwrap();
    for fault in [Fault::ResetAfter, Fault::Truncated, Fault::AcceptedButError, Fault::Busy] {
        simulator.fault(Route::B2c, fault);
        assert_eq!(
            client.send(&payment(&simulator, &shop.urls)).await.unwrap(),
            B2cAccepted::AlreadyAccepted,
            "{fault:?}"
        );
    }
    for fault in [Fault::ResetBefore, Fault::Html, Fault::Empty, Fault::ErrorInOk, Fault::Redirect] {
        simulator.fault(Route::B2c, fault);
        let accepted = client.send(&payment(&simulator, &shop.urls)).await.unwrap();
        assert!(matches!(accepted, B2cAccepted::Accepted(_)), "{fault:?}");
    }
    assert_eq!(simulator.payouts().len(), 9);
    for fault in [Fault::ResetAfter, Fault::Truncated, Fault::AcceptedButError, Fault::Busy, Fault::Html] {
        simulator.fault(Route::B2c, fault);
        let error = client.send(&payment(&simulator, &shop.urls).v1()).await.unwrap_err();
        assert!(error.outcome_unknown(), "{fault:?}: {error}");
    }
    assert_eq!(simulator.payouts().len(), 13, "version 1 is sent once, whatever comes back");
}
