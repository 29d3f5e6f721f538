//! Until when a request may leave: a payout's window, a worker that stands still, and a machine that sleeps.
//!
//! Where it says how long Daraja remembers an id, that is no longer than the payout says.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use daraja::{
    Answer, B2cPayment, B2cResult, Client, Error, Initiator, NextStep, Operation, Payout, PayoutState, Repeat, Result,
    RetryPolicy, Reversal, Shillings, StkPush, Timestamp,
    error::TooLate,
    operation::NotAfter,
    simulator::{Fault, Route, Simulator},
    transport::{BoxFuture, Transport, TransportError, TransportErrorKind},
};
use http::{Request, Response};
use tokio::time::{Instant, advance, sleep};

use crate::support::{Scripted, Step, answer, initiator, note, noted, refusal, result_urls};

const SECOND: Duration = Duration::from_secs(1);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A Daraja that remembers ids for so long, and who pays there.
struct World {
    simulator: Simulator,
    client: Client,
    initiator: Initiator,
}

impl World {
    async fn remembering(memory: Duration) -> Self {
        let simulator = Simulator::builder().duplicate_memory(memory).result_time(5 * SECOND).build();
        let client = simulator.client();
        client.warm_up().await.unwrap();
        Self { client, initiator: simulator.initiator(), simulator }
    }

    fn payment(&self) -> B2cPayment {
        let (code, supplier) = (self.simulator.b2c_short_code(), "254708374149".parse().unwrap());
        let amount = Shillings::new(5_000).unwrap();
        B2cPayment::new(&self.initiator, code, supplier, amount, self.simulator.result_urls())
    }

    /// Begins and sends it.
    async fn send(&self, payout: &mut Payout, client: &Client, policy: RetryPolicy) {
        let dispatch = payout.begin(client.now()).unwrap();
        let urls = self.simulator.result_urls();
        let sent = dispatch.send_with(client, &self.initiator, urls, policy).await;
        payout.sent(&sent, client.now());
    }

    /// A payout whose first sending arrived, and whose answer was lost.
    async fn answer_lost(&self, window: Duration) -> Payout {
        let mut payout = Payout::new(self.payment()).send_again_within(window);
        self.simulator.fault(Route::B2c, Fault::ResetAfter);
        self.send(&mut payout, &self.client, RetryPolicy::never()).await;
        assert_eq!((payout.state(), self.simulator.payouts().len()), (&PayoutState::Unknown, 1));
        payout
    }

    fn push(&self) -> StkPush {
        let (merchant, url) = (self.simulator.merchant(), self.simulator.callback_url());
        StkPush::new(
            &merchant,
            "254708374149".parse().unwrap(),
            Shillings::new(500).unwrap(),
            "INV-001".parse().unwrap(),
            url,
        )
    }

    /// Lets so much time pass in one step as soon as this route was called: the program stands still.
    fn stand_still_after(&self, route: Route, pause: Duration) {
        let (simulator, before) = (self.simulator.clone(), self.simulator.calls(route));
        tokio::spawn(async move {
            while simulator.calls(route) == before {
                tokio::task::yield_now().await;
            }
            advance(pause).await;
        });
    }
}

/// The line to Daraja: the first requests for payouts get lost in silence.
struct SilentLine {
    simulator: Simulator,
    silent: AtomicUsize,
}

impl SilentLine {
    fn new(simulator: &Simulator, silent: usize) -> Self {
        Self { simulator: simulator.clone(), silent: silent.into() }
    }
}

impl Transport for SilentLine {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let is_payout = request.uri().path().contains("b2c");
            if is_payout && self.silent.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
                std::future::pending::<()>().await;
            }
            Ok(self.simulator.handle(&request))
        })
    }
}

/// Connects for a second, and then sends.
struct SlowConnect(Simulator);

impl Transport for SlowConnect {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            sleep(SECOND).await;
            Ok(self.0.handle(&request))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn the_clients_own_retries_do_not_overrun_the_window() {
    for window in [600, 60] {
        let world = World::remembering(seconds(window)).await;
        let mut payout = world.answer_lost(seconds(window)).await;
        sleep(seconds(window - 1)).await;
        assert_eq!(payout.next_step(world.client.now()), NextStep::SendAgainWithSameId);
        world.simulator.fault(Route::B2c, Fault::ResetBefore);
        world.simulator.fault(Route::B2c, Fault::ResetBefore);
        let policy = RetryPolicy::default().pauses(SECOND..=5 * SECOND);
        world.send(&mut payout, &world.client, policy).await;
        assert_eq!(world.simulator.payouts().len(), 1, "paid twice, window {window} s");
        assert_eq!(*payout.state(), PayoutState::Unknown);
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_a_silent_try_does_not_overrun_the_window() {
    let world = World::remembering(seconds(600)).await;
    let mut payout = world.answer_lost(seconds(600)).await;
    sleep(seconds(520)).await;
    let line = SilentLine::new(&world.simulator, 1);
    let client = world.simulator.client_builder().transport(line).build().unwrap();
    let before = client.now();
    world.send(&mut payout, &client, RetryPolicy::default()).await;
    assert_eq!(world.simulator.payouts().len(), 1, "paid twice");
    assert_eq!(*payout.state(), PayoutState::Unknown);
    // The silent try is given up a minute before the window is over: another machine's clock may be ahead by so much.
    assert!(client.now().since(before).unwrap() <= seconds(20));
}

#[tokio::test(start_paused = true)]
async fn the_window_of_a_payout_and_the_clients_ten_minutes_do_not_add_up() {
    let world = World::remembering(seconds(600)).await;
    let mut payout = world.answer_lost(seconds(600)).await;
    sleep(seconds(530)).await;
    let line = SilentLine::new(&world.simulator, 1);
    let builder = world.simulator.client_builder().transport(line);
    let patient = builder.timeout(seconds(3_600)).attempt_timeout(seconds(590)).build().unwrap();
    world.send(&mut payout, &patient, RetryPolicy::default()).await;
    assert_eq!(world.simulator.payouts().len(), 1, "paid twice");
}

#[tokio::test(start_paused = true)]
async fn a_patient_client_does_not_send_when_another_worker_may_have_taken_over() {
    let world = World::remembering(seconds(600)).await;
    let line = SilentLine::new(&world.simulator, 1);
    let builder = world.simulator.client_builder().transport(line);
    let patient = builder.timeout(seconds(3_600)).attempt_timeout(seconds(590)).build().unwrap();
    let mut payout = Payout::new(world.payment());
    let before = patient.now();
    world.send(&mut payout, &patient, RetryPolicy::default()).await;
    assert!(patient.now().since(before).unwrap() <= seconds(120), "others take over after two minutes");
    assert_eq!(*payout.state(), PayoutState::Unknown);
    assert!(world.simulator.payouts().is_empty());
}

/// The first worker begins, stores, and stands still. The second takes over, pays, and the result comes: paid.
#[tokio::test(start_paused = true)]
async fn a_worker_that_stands_still_before_it_sends_does_not_send_when_others_took_over() {
    for stall in [121, 735] {
        let world = World::remembering(seconds(600)).await;
        let (client, urls) = (world.client.clone(), world.simulator.result_urls());
        let mut payout = Payout::new(world.payment());
        let dispatch = payout.begin(client.now()).unwrap();
        let row = serde_json::to_string(&payout).unwrap();
        let first = tokio::spawn({
            let (client, initiator, urls) = (client.clone(), world.initiator.clone(), urls.clone());
            async move {
                sleep(seconds(stall)).await;
                dispatch.send(&client, &initiator, urls).await
            }
        });

        sleep(seconds(120)).await;
        let mut payout: Payout = serde_json::from_str(&row).unwrap();
        assert_eq!(payout.next_step(client.now()), NextStep::SendAgainWithSameId);
        world.send(&mut payout, &client, RetryPolicy::default()).await;
        let posted = world.simulator.next_result().await;
        payout.take_result(&B2cResult::parse(&posted.body).unwrap(), client.now()).unwrap();
        assert!(matches!(payout.state(), PayoutState::Paid(_)));

        let late = first.await.unwrap();
        assert_eq!(world.simulator.payouts().len(), 1, "paid twice");
        assert!(matches!(late.outcome(), Err(Error::TooLate(TooLate::NotAfter))), "{late:?}");
        payout.sent(&late, client.now());
        assert!(matches!(payout.state(), PayoutState::Paid(_)));
        assert_eq!(payout.contradictions(), []);
    }
}

/// What did not leave is begun anew, if no other worker did.
#[tokio::test(start_paused = true)]
async fn a_dispatch_that_came_too_late_is_sent_by_the_next_one() {
    for (name, payment) in [("version 3", None), ("version 1", Some(()))] {
        let world = World::remembering(seconds(600)).await;
        let payment = if payment.is_some() { world.payment().v1() } else { world.payment() };
        let mut payout = Payout::new(payment);
        let dispatch = payout.begin(world.client.now()).unwrap();
        sleep(seconds(600)).await;
        let outcome = dispatch.send(&world.client, &world.initiator, world.simulator.result_urls()).await;
        let error = outcome.outcome().unwrap_err();
        assert!(error.is_retryable() && error.is_timeout() && !error.outcome_unknown(), "{name}: {error:?}");
        payout.sent(&outcome, world.client.now());
        assert_eq!(*payout.state(), PayoutState::Created, "{name}");
        sleep(seconds(60)).await;
        world.send(&mut payout, &world.client, RetryPolicy::default()).await;
        assert_eq!((payout.state(), world.simulator.payouts().len()), (&PayoutState::Accepted, 1), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_of_zero_is_one_try() {
    let world = World::remembering(Duration::ZERO).await;
    let mut payout = Payout::new(world.payment()).send_again_within(Duration::ZERO);
    world.simulator.fault(Route::B2c, Fault::ResetAfter);
    world.send(&mut payout, &world.client, RetryPolicy::default()).await;
    assert_eq!((payout.state(), world.simulator.payouts().len()), (&PayoutState::Unknown, 1));

    // What provably was not carried out is tried again all the same.
    let mut payout = Payout::new(world.payment()).send_again_within(Duration::ZERO);
    world.simulator.fault(Route::B2c, Fault::Throttled(None));
    world.send(&mut payout, &world.client, RetryPolicy::default()).await;
    assert_eq!((payout.state(), world.simulator.payouts().len()), (&PayoutState::Accepted, 2));
}

#[tokio::test(start_paused = true)]
async fn time_that_passes_in_the_token_fetch_counts() {
    let world = World::remembering(seconds(600)).await;
    let mut payout = Payout::new(world.payment());
    let dispatch = payout.begin(world.client.now()).unwrap();
    world.simulator.fault(Route::OAuth, Fault::Slow(SECOND));
    world.stand_still_after(Route::OAuth, seconds(130));
    let patient = world.simulator.client_builder().timeout(seconds(3_600)).token_timeout(seconds(1_800));
    let outcome = dispatch.send(&patient.build().unwrap(), &world.initiator, world.simulator.result_urls()).await;
    assert!(outcome.outcome().unwrap_err().is_retryable(), "{outcome:?}");
    assert!(world.simulator.payouts().is_empty(), "it left after others took over");
    payout.sent(&outcome, world.client.now());
    assert_eq!(*payout.state(), PayoutState::Created);
}

#[tokio::test(start_paused = true)]
async fn time_that_passes_in_connecting_counts() {
    let world = World::remembering(seconds(600)).await;
    let client = world.simulator.client_builder().transport(SlowConnect(world.simulator.clone())).build().unwrap();
    client.warm_up().await.unwrap();
    let mut payout = Payout::new(world.payment());
    let dispatch = payout.begin(client.now()).unwrap();
    tokio::spawn(async {
        tokio::task::yield_now().await;
        advance(seconds(130)).await;
    });
    let outcome = dispatch.send(&client, &world.initiator, world.simulator.result_urls()).await;
    // Whether it had left before is not known to the client.
    assert!(outcome.outcome().unwrap_err().outcome_unknown(), "{outcome:?}");
    assert!(world.simulator.payouts().is_empty(), "it left after others took over");
}

#[tokio::test(start_paused = true)]
async fn time_that_passes_in_the_pause_between_two_tries_counts() {
    let world = World::remembering(seconds(600)).await;
    world.simulator.fault(Route::B2c, Fault::ResetAfter);
    world.stand_still_after(Route::B2c, seconds(660));
    let outcome = world.client.send(&world.payment()).await;
    assert!(outcome.unwrap_err().outcome_unknown());
    assert_eq!(world.simulator.payouts().len(), 1, "paid twice");
}

#[tokio::test(start_paused = true)]
async fn a_push_does_not_leave_after_the_deadline_of_its_call() {
    // Half an hour, and almost all of a minute: what is left would be too short for an answer.
    for pause in [1_800, 58] {
        let world = World::remembering(seconds(600)).await;
        world.simulator.fault(Route::StkPush, Fault::Throttled(None));
        world.stand_still_after(Route::StkPush, seconds(pause));
        let error = world.client.send(&world.push()).await.unwrap_err();
        assert!(world.simulator.prompts().is_empty(), "the phone rang after {pause} s");
        // The try that had time was throttled, and that is what is said.
        assert!(error.is_throttled() && error.is_retryable(), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_no_time_is_not_handed_to_the_transport() {
    let world = World::remembering(seconds(600)).await;
    let line = SilentLine::new(&world.simulator, 0);
    let client = world.simulator.client_builder().transport(line).timeout(Duration::ZERO).build().unwrap();
    let error = client.send(&world.push()).await.unwrap_err();
    assert!(world.simulator.prompts().is_empty());
    assert!(matches!(error, Error::TooLate(TooLate::Deadline)) && error.is_retryable(), "{error:?}");
}

/// The first answer is lost, or is a throttle; then the machine sleeps: the time of day goes on, the monotonic clock does
/// not.
struct Suspended {
    first: Step,
    calls: AtomicUsize,
    asleep: Arc<AtomicI64>,
    sleep: i64,
}

impl Transport for Suspended {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let ok = |body: &'static str| Ok(Response::new(Bytes::from_static(body.as_bytes())));
            if request.uri().path().starts_with("/oauth") {
                return ok(r#"{"access_token":"c9SQxWWhmdVRlyh0zh8gZDTkubVF","expires_in":"3599"}"#);
            }
            if self.calls.fetch_add(1, SeqCst) > 0 {
                return ok(r#"{"ConversationID":"AG_2","OriginatorConversationID":"own-id","ResponseCode":"0"}"#);
            }
            self.asleep.fetch_add(self.sleep, SeqCst);
            match &self.first {
                Step::Fail(kind) => Err(TransportError::new(*kind)),
                _ => Ok(Response::builder().status(429).body(Bytes::new()).unwrap()),
            }
        })
    }
}

fn noon() -> DateTime<Utc> {
    "2026-10-06T09:00:00Z".parse().unwrap()
}

fn at(seconds: i64) -> Timestamp {
    (noon() + TimeDelta::seconds(seconds)).try_into().unwrap()
}

/// A client on a machine that sleeps for so many seconds during its first call, whose clock may be set back as well.
fn suspended(first: Step, sleep: i64) -> (Arc<Suspended>, Client) {
    let asleep = Arc::new(AtomicI64::new(0));
    let transport = Arc::new(Suspended { first, calls: 0.into(), asleep: asleep.clone(), sleep });
    let clock = move || noon() + TimeDelta::seconds(asleep.load(SeqCst));
    let client = Scripted::default().builder().transport(transport.clone()).clock(clock).build().unwrap();
    (transport, client)
}

fn payment() -> B2cPayment {
    let (code, recipient) = ("600310".parse().unwrap(), "254708374149".parse().unwrap());
    B2cPayment::new(&initiator(), code, recipient, Shillings::new(10).unwrap(), result_urls())
}

#[tokio::test(start_paused = true)]
async fn time_counts_while_the_machine_sleeps() {
    const DAY: i64 = 86_400;
    let lost = || Step::Fail(TransportErrorKind::Interrupted);
    // A payment as it is, and one that is dispatched.
    for is_dispatched in [false, true] {
        let (transport, client) = suspended(lost(), DAY);
        let outcome = if is_dispatched {
            let dispatch = Payout::new(payment()).begin(client.now()).unwrap();
            dispatch.send(&client, &initiator(), result_urls()).await.into_outcome()
        } else {
            client.send(&payment()).await
        };
        assert!(outcome.unwrap_err().outcome_unknown());
        assert_eq!(transport.calls.load(SeqCst), 1, "sent again a day after the first try");
    }
    // A call has its deadline by both clocks, too.
    let (transport, client) = suspended(answer(429, ""), 61);
    let error = client.send(&payment().v1()).await.unwrap_err();
    assert!(error.is_throttled() && error.is_retryable(), "{error:?}");
    assert_eq!(transport.calls.load(SeqCst), 1, "sent a minute after its deadline");
    // A short sleep is none.
    let (transport, client) = suspended(lost(), 20);
    client.send(&payment()).await.unwrap();
    assert_eq!(transport.calls.load(SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_while_a_call_is_retried_ends_the_retries() {
    let (transport, client) = suspended(Step::Fail(TransportErrorKind::Interrupted), -61);
    assert!(client.send(&payment()).await.unwrap_err().outcome_unknown());
    assert_eq!(transport.calls.load(SeqCst), 1, "how long ago the first try was is not known");
}

#[tokio::test(start_paused = true)]
async fn a_payout_that_was_begun_by_another_clock_is_not_sent() {
    let scripted = Scripted::default();
    let client = scripted.builder().clock(noon).build().unwrap();
    for off in [-61, 61, 7_200, -7_200] {
        let mut payout = Payout::new(payment());
        let dispatch = payout.begin(at(off)).unwrap();
        let outcome = dispatch.send(&client, &initiator(), result_urls()).await;
        let error = outcome.outcome().unwrap_err();
        assert!(matches!(error, Error::TooLate(TooLate::Clocks)) && error.is_retryable(), "{off}: {error:?}");
        assert_eq!(
            error.to_string(),
            "the clock was set or the machine slept since the payment was begun, so it was not sent: \
             look at the stored payment, which says what to do next"
        );
        payout.sent(&outcome, at(off));
        assert_eq!(*payout.state(), PayoutState::Created);
    }
    assert!(scripted.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_less_than_a_minute_off_sends() {
    for off in [-50, 0, 59] {
        let scripted = Scripted::new([answer(200, crate::b2c::ACCEPTED)]);
        let client = scripted.builder().clock(noon).build().unwrap();
        let dispatch = Payout::new(payment()).begin(at(off)).unwrap();
        dispatch.send(&client, &initiator(), result_urls()).await.outcome().unwrap();
    }
}

/// A push or a reversal whose row somebody else may have taken over meanwhile.
#[tokio::test(start_paused = true)]
async fn a_push_and_a_reversal_do_not_leave_after_their_time() {
    let world = World::remembering(seconds(600)).await;
    let (client, simulator) = (&world.client, &world.simulator);
    let receipt = "UKN1234567".parse().unwrap();
    let (code, urls) = (simulator.merchant().short_code(), simulator.result_urls());
    let reversal = Reversal::new(&world.initiator, code, receipt, Shillings::new(500).unwrap(), urls);
    let not_after = NotAfter::within(client.now(), seconds(60));
    sleep(seconds(61)).await;
    let push = client.send(&world.push().not_after(not_after)).await.unwrap_err();
    let reversal = client.send(&reversal.not_after(not_after)).await.unwrap_err();
    for error in [push, reversal] {
        assert!(matches!(error, Error::TooLate(TooLate::NotAfter)), "{error:?}");
    }
    assert_eq!((simulator.calls(Route::StkPush), simulator.calls(Route::Reversal)), (0, 0));
}

/// An operation of the user's own, which says until when it may leave.
struct Own(Option<NotAfter>);

impl Operation for Own {
    type Response = ();

    fn path(&self) -> &str {
        "/own/v1/call"
    }

    fn repeat(&self) -> Repeat {
        Repeat::Deduplicated
    }

    fn not_after(&self) -> Option<NotAfter> {
        self.0
    }

    fn body(&self, _: Timestamp) -> impl serde::Serialize + Send {}

    fn decode(&self, _: &Answer) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_of_the_users_own_says_until_when_it_may_leave() {
    let lost = || Step::Fail(TransportErrorKind::Interrupted);
    let patient = |scripted: &Scripted| {
        let started = Instant::now();
        // The time of day goes by as the paused clock does.
        let clock = move || noon() + TimeDelta::from_std(started.elapsed()).unwrap();
        scripted.builder().timeout(seconds(7_200)).clock(clock).build().unwrap()
    };
    let paused = || RetryPolicy::default().pauses(seconds(50)..=seconds(50));
    for (name, window, resend, expected) in [
        ("for an hour", 3_600, None, 3),
        ("for a minute", 60, None, 2),
        ("never again", 3_600, Some(0), 1),
        ("again within a minute", 3_600, Some(60), 2),
        ("no longer than the whole", 60, Some(3_600), 2),
        ("not at all", 0, None, 0),
    ] {
        let scripted = Scripted::new(vec![lost(); 3]);
        let client = patient(&scripted);
        let not_after = NotAfter::within(client.now(), seconds(window));
        let not_after = resend.map_or(not_after, |resend| not_after.resend_within(seconds(resend)));
        client.send_with(&Own(Some(not_after)), paused()).await.unwrap_err();
        assert_eq!(scripted.calls().len(), expected, "{name}");
    }
    // One that says nothing is not sent again after ten minutes.
    let scripted = Scripted::new(vec![lost(); 3]);
    let policy = RetryPolicy::default().pauses(seconds(400)..=seconds(400));
    patient(&scripted).send_with(&Own(None), policy).await.unwrap_err();
    assert_eq!(scripted.calls().len(), 2);
}

/// The payout was told 12:09:00, and then 12:01:01, a second later by the world's clock.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_within_the_window_closes_it() {
    let lost = Scripted::new([Step::Fail(TransportErrorKind::Interrupted)]).builder().retry(RetryPolicy::never());
    let lost = lost.build().unwrap().send(&payment()).await;
    let mut payout = Payout::new(payment());
    drop(payout.begin(at(0)).unwrap());
    note(&mut payout, lost.clone(), at(5));
    drop(payout.begin(at(530)).unwrap());
    note(&mut payout, lost, at(540));
    assert_eq!(payout.next_step(at(61)), NextStep::AskStatus, "before anything is taken");
    asked_in_vain(&mut payout, at(61));
    // By the world's clock it is 541 s, and then 1 070 s.
    assert_ne!(payout.next_step(at(61)), NextStep::SendAgainWithSameId);
    assert_eq!(payout.next_step(at(590)), NextStep::AskStatus);
}

/// An event that says nothing but its time.
fn asked_in_vain(payout: &mut Payout, now: Timestamp) {
    let query = payout.status_query(&initiator(), result_urls()).unwrap();
    payout.asked(&query, &Err(TooLate::Deadline.into()), now);
}

/// The clocks of two machines differ by some seconds: the window is so much shorter then, each time.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_seconds_behind_shortens_the_window_by_as_much() {
    let mut payout = Payout::new(payment());
    drop(payout.begin(at(0)).unwrap());
    let not_sent = noted(&payout, Err(TooLate::Deadline.into()));
    payout.sent(&not_sent, at(0));
    drop(payout.begin(at(20)).unwrap());
    assert_eq!(payout.next_step(at(-40)), NextStep::Wait(at(140)), "it is under way, whatever the other clock says");
    // Noted once more, it says nothing but the time.
    for _ in 0..3 {
        payout.sent(&not_sent, at(32));
        payout.sent(&not_sent, at(22));
    }
    assert_eq!(payout.next_step(at(589)), NextStep::SendAgainWithSameId);
    assert_eq!(payout.next_step(at(590)), NextStep::AskStatus);
}

/// Daraja's token service is out of order: that says nothing about the payment, which is sent later.
#[tokio::test(start_paused = true)]
async fn a_token_that_is_refused_or_cannot_be_had_does_not_end_a_payout() {
    let no_token = || refusal(404, "404.001.03", "Invalid Access Token");
    let no_app = refusal(400, "400.008.01", "Invalid Authentication passed");
    for scripted in [
        Scripted::new([no_token(), no_token()]),
        Scripted::default().with_token_steps([no_app.clone(), no_app.clone(), no_app]),
    ] {
        let client = scripted.client();
        let mut payout = Payout::new(payment());
        let dispatch = payout.begin(client.now()).unwrap();
        let outcome = dispatch.send(&client, &initiator(), result_urls()).await;
        assert!(!outcome.outcome().unwrap_err().outcome_unknown());
        payout.sent(&outcome, client.now());
        assert_eq!(*payout.state(), PayoutState::Created);
        assert!(matches!(payout.next_step(client.now()), NextStep::Wait(_)), "a pause is made");
        sleep(seconds(60)).await;
        assert_eq!(payout.next_step((Utc::now() + TimeDelta::seconds(60)).try_into().unwrap()), NextStep::Send);
    }
}
