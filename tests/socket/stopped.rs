//! A program that is stopped in the pause between two tries, as by `kill -STOP`, a debugger or a paused virtual machine.
//!
//! Each test is two programs: it starts itself once more, and stops that one.

use std::{
    env,
    process::{Child, Command, Stdio},
    time::Duration,
};

use daraja::{
    B2cPayment, Client, Environment, RetryPolicy, Shillings,
    operation::NotAfter,
    simulator::{Fault, Route, Simulator},
};

use crate::tools::{push, without_roots};

/// Set for the program that is stopped: where Daraja is.
const BASE_URL: &str = "DARAJA_TEST_STOPPED_BASE_URL";

/// How long the stopped program may send, and the pause between its tries.
const TIME: Duration = Duration::from_secs(4);
const PAUSE: Duration = Duration::from_secs(2);

fn client(simulator: &Simulator, base_url: &str) -> Client {
    let environment = Environment::custom(base_url).expect("a loopback URL");
    let builder = Client::builder(environment, simulator.credentials()).reqwest(without_roots);
    builder.timeout(TIME).retry(RetryPolicy::default().pauses(PAUSE..=PAUSE)).build().expect("a client")
}

/// Starts this very test once more, as the program that is stopped.
fn start(test: &str, base_url: &str) -> Child {
    let mut program = Command::new(env::current_exe().expect("this program"));
    program.args(["--exact", test, "--nocapture"]).env(BASE_URL, base_url).stdout(Stdio::piped());
    program.spawn().expect("it starts")
}

fn signal(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill is there");
    assert!(status.success(), "kill {signal}");
}

/// Stops the program once it has called, which leaves it in the pause before its next try, until its time is over, and answers what it printed.
async fn stop_once(called: impl Fn() -> bool, mut child: Child) -> String {
    while !called() {
        assert!(child.try_wait().expect("its state").is_none(), "it ended before it called");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    signal(&child, "-STOP");
    tokio::time::sleep(TIME + Duration::from_secs(1)).await;
    signal(&child, "-CONT");
    let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.expect("it is waited for");
    String::from_utf8(output.expect("its output").stdout).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_not_sent_after_the_deadline_of_its_call() {
    let simulator = Simulator::new();
    if let Ok(base_url) = env::var(BASE_URL) {
        let error = client(&simulator, &base_url).send(&push()).await.expect_err("its time is over");
        println!("throttled: {}, retryable: {}", error.is_throttled(), error.is_retryable());
        return;
    }
    let served = simulator.serve("127.0.0.1:0").await.expect("a loopback port");
    simulator.fault(Route::StkPush, Fault::Throttled(Some(PAUSE.as_secs())));
    let child = start("stopped::a_push_is_not_sent_after_the_deadline_of_its_call", &served.base_url());
    let printed = stop_once(|| simulator.calls(Route::StkPush) > 0, child).await;
    assert!(simulator.prompts().is_empty(), "the phone rang after the deadline");
    // The only try that had time was throttled: provably nothing was executed.
    assert!(printed.contains("throttled: true, retryable: true"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payout_is_not_sent_again_after_its_window() {
    // A Daraja that forgets ids at once: what is sent again is paid again.
    let simulator = Simulator::builder().duplicate_memory(Duration::ZERO).build();
    if let Ok(base_url) = env::var(BASE_URL) {
        let client = client(&simulator, &base_url);
        let (recipient, amount) = ("254700000055".parse().expect("a number"), Shillings::new(500).expect("an amount"));
        let (initiator, code) = (simulator.initiator(), simulator.b2c_short_code());
        let payment = B2cPayment::new(&initiator, code, recipient, amount, simulator.result_urls());
        client.warm_up().await.expect("a token");
        let error = client.send(&payment.not_after(NotAfter::within(client.now(), TIME))).await;
        println!("unknown: {}", error.expect_err("its time is over").outcome_unknown());
        return;
    }
    let served = simulator.serve("127.0.0.1:0").await.expect("a loopback port");
    simulator.fault(Route::B2c, Fault::ResetAfter);
    let child = start("stopped::a_payout_is_not_sent_again_after_its_window", &served.base_url());
    let printed = stop_once(|| !simulator.payouts().is_empty(), child).await;
    assert_eq!(simulator.payouts().len(), 1, "paid twice");
    assert!(printed.contains("unknown: true"), "{printed}");
}
