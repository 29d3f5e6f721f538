//! Real payments and payouts: the served simulator on the other side.

use std::{path::Path, time::Duration};

use daraja::{
    B2cPayment, Client, Msisdn, Shillings, StkPush, TransactionStatusQuery,
    initiated::TimeoutShape,
    simulator::{Served, Simulator},
    webhook::{Ack, Reference, SignedUrls},
};

use crate::{
    Disk, Setup,
    post::{cancelled, paid, post},
    run,
};

/// A simulator whose people decide at once.
async fn simulator() -> (Simulator, Served) {
    let moment = Duration::from_millis(50);
    let simulator = Simulator::builder().answer_time(moment).result_time(moment).build();
    let served = simulator.serve("127.0.0.1:0").await.expect("a port");
    (simulator, served)
}

fn number(digits: u64) -> Msisdn {
    Msisdn::try_from(254_700_000_000 + digits).expect("a number")
}

fn reference(text: &str) -> Reference {
    text.parse().expect("a reference")
}

/// Asks for a shilling under each of these references, of a customer each.
async fn push(simulator: &Simulator, client: &Client, urls: &SignedUrls, asked: &[(&str, Msisdn)]) {
    let merchant = simulator.merchant();
    for (name, payer) in asked {
        let (amount, account) = (Shillings::new(1).expect("an amount"), name.parse().expect("an account"));
        let push = StkPush::new(&merchant, *payer, amount, account, urls.stk(&reference(name)));
        client.send(&push).await.expect("the push is accepted");
    }
}

/// Pays 10 shillings under each of these references, to a supplier each.
async fn pay(simulator: &Simulator, client: &Client, urls: &SignedUrls, asked: &[(&str, Msisdn)]) {
    let (initiator, code) = (simulator.initiator(), simulator.b2c_short_code());
    for (name, supplier) in asked {
        let (amount, urls) = (Shillings::new(10).expect("an amount"), urls.payout(&reference(name)));
        client.send(&B2cPayment::new(&initiator, code, *supplier, amount, urls)).await.expect("the payout is accepted");
    }
}

/// Callbacks in all their ways, results, a status and queue timeouts: all of them are worked on, each once.
pub fn payments_and_payouts_are_worked_on_once(program: &Path) {
    run(async {
        let setup = Setup::of(program);
        let recipe = setup.start();
        let urls = recipe.urls();
        let (simulator, served) = simulator().await;
        let client = served.client();

        simulator.customer(number(2)).cancels();
        simulator.customer(number(3)).approves().callback_twice();
        simulator.customer(number(4)).approves().callback_early();
        simulator.customer(number(5)).pays_without_receipt();
        let customers = [("paid", 1), ("cancelled", 2), ("twice", 3), ("early", 4), ("unproven", 5)];
        push(&simulator, &client, &urls, &customers.map(|(name, digits)| (name, number(digits)))).await;

        simulator.recipient(number(12)).is_not_registered();
        simulator.recipient(number(13)).result_twice();
        simulator.recipient(number(14)).result_early();
        simulator.recipient(number(15)).result_times_out(TimeoutShape::Echo);
        simulator.recipient(number(16)).result_times_out(TimeoutShape::Envelope);
        simulator.recipient(number(17)).result_times_out(TimeoutShape::Ids);
        let suppliers = [("out", 11), ("refused", 12), ("out-twice", 13), ("out-early", 14), ("echo", 15)];
        pay(&simulator, &client, &urls, &suppliers.map(|(name, digits)| (name, number(digits)))).await;
        pay(&simulator, &client, &urls, &[("envelope", number(16)), ("ids", number(17))]).await;

        let (initiator, code) = (simulator.initiator(), simulator.b2c_short_code());
        let paid = &simulator.payouts()[0];
        let question = urls.question(&reference("out"));
        let query = TransactionStatusQuery::by_receipt(&initiator, code, paid.receipt, question);
        client.send(&query).await.expect("the question is accepted");

        let journal = setup.journal();
        let disk = tokio::task::spawn_blocking(move || Disk::until_finished(&journal, 13)).await.expect("the journal");
        for (name, _) in customers {
            assert_eq!(disk.kinds(name).into_iter().collect::<Vec<_>>(), ["stk"], "{name}");
        }
        for name in ["refused", "out-twice", "out-early"] {
            assert_eq!(disk.kinds(name).into_iter().collect::<Vec<_>>(), ["payout"], "{name}");
        }
        // One reference does for a payout and for the questions about it.
        assert_eq!(disk.kinds("out").into_iter().collect::<Vec<_>>(), ["payout", "question"]);
        for name in ["echo", "envelope", "ids"] {
            assert_eq!(disk.kinds(name).into_iter().collect::<Vec<_>>(), ["payout-timeout"], "{name}");
        }
        disk.assert_each_finished_once();
        assert!(!disk.text.contains("SecurityCredential"), "an echoed credential is on the disk");
        recipe.stop();
    });
}

/// The same body at the same URL once more: a duplicate to Daraja's eyes, a replay to an attacker's. Nothing comes of it.
pub fn a_replay_is_answered_and_changes_nothing(program: &Path) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let (mine, other) = (recipe.urls().stk(&reference("mine")), recipe.urls().stk(&reference("other")));
    let body = paid("ws_CO_061020261702341708374149", "SD25WSR9W7");
    let answer = post(recipe.address, mine.path(), &body).expect("an answer");
    assert_eq!((answer.status, &*answer.body), (200, Ack::accepted().as_str()));
    assert!(answer.head.to_ascii_lowercase().contains("content-type: application/json"), "{}", answer.head);
    Disk::until_finished(&setup.journal(), 1);

    for _ in 0..20 {
        assert_eq!(post(recipe.address, mine.path(), &body).expect("an answer").status, 200);
    }
    // The receipt of one payment at the URL of another: it is news of the same payment, and not worked on again.
    assert_eq!(post(recipe.address, other.path(), &body).expect("an answer").status, 200);
    // Behind it in the line, so that all before has been looked at.
    let url = recipe.urls().stk(&reference("last"));
    assert_eq!(post(recipe.address, url.path(), &cancelled("ws_CO_2")).expect("an answer").status, 200);
    let disk = Disk::until_finished(&setup.journal(), 2);
    assert_eq!(disk.finished.values().sum::<usize>(), 2, "{:?}", disk.finished);
    assert_eq!(disk.kinds("mine").len(), 1);
    recipe.stop();
}

/// A kind that no version knows yet is Daraja's news all the same: it is taken and kept as it came.
pub fn news_that_nobody_knows_is_kept(program: &Path) {
    let setup = Setup::of(program);
    let recipe = setup.start();
    let payout = recipe.urls().payout(&reference("new"));
    let body = r#"{"responseHeader":{"responseCode":"0"},"payer":"PLANTED NAME"}"#;
    assert_eq!(post(recipe.address, payout.result().path(), body).expect("an answer").status, 200);
    let disk = Disk::until_finished(&setup.journal(), 1);
    assert_eq!(disk.kinds("new").into_iter().collect::<Vec<_>>(), ["unknown"]);
    assert!(disk.text.contains("responseHeader"));
    recipe.stop();
}
