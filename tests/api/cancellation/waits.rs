//! A wait for a payment, dropped at every await point: it is no burden to the others, and can be taken up again.

use std::{iter, time::Duration};

use daraja::{CheckoutRequestId, StkCallback, stk::Outcome, webhook::Inbox};
use tokio::time::{Instant, timeout};

use super::{
    dropped_at, living_tasks,
    world::{Shared::Alone, World},
};
use crate::support::ATTEMPT;

const SECOND: Duration = Duration::from_secs(1);

async fn rung(world: &World, customer: u64) -> CheckoutRequestId {
    world.client.send(&world.push_to(customer)).await.unwrap().checkout_request_id
}

/// The customer pays after 17 s; the first query is due after 5 s, and tells nothing yet.
#[tokio::test(start_paused = true)]
async fn a_wait_that_is_dropped_anywhere_is_taken_up_again_and_delays_no_other() {
    for point in 0.. {
        let (world, inbox, tasks) = (World::new(Alone, &[]), Inbox::new(), living_tasks());
        let merchant = world.simulator.merchant();
        let (first, second) = (rung(&world, 2).await, rung(&world, 3).await);
        let fast = || iter::once(5 * SECOND).chain(iter::repeat(15 * SECOND));
        let wait = |id| world.client.wait_for_payment(&merchant, id).schedule(fast()).into_future();
        let dropped = world.client.wait_for_payment(&merchant, &first).inbox(&inbox).at(&ATTEMPT).schedule(fast());
        let ended = dropped_at(point, dropped.into_future()).await;
        assert!(format!("{inbox:?}").contains("listeners: {}"), "dropped at {point}: {inbox:?}");

        let started = Instant::now();
        let other = wait(&second).await.unwrap();
        // The first query may come too early, the second does not: no turn but the spacing's is waited for.
        assert!(started.elapsed() <= 33 * SECOND, "dropped at {point}: the other took {:?}", started.elapsed());
        assert!(matches!(other.outcome, Outcome::Paid(_)));
        assert!(matches!(wait(&first).await.unwrap().outcome, Outcome::Paid(_)));
        assert_eq!(living_tasks(), tasks);
        if ended.is_some() {
            assert!(point >= 7, "dropped at {point} points only");
            break;
        }
    }
}

/// A hundred places in the queue that are given up must not be waited for, a second each.
#[tokio::test(start_paused = true)]
async fn a_hundred_waits_that_are_dropped_give_their_places_in_the_queue_away() {
    let (world, inbox) = (World::new(Alone, &[]), Inbox::new());
    let merchant = world.simulator.merchant();
    let id = rung(&world, 0).await;
    for _ in 0..100 {
        let wait = world.client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).schedule([Duration::ZERO]);
        assert!(timeout(Duration::ZERO, wait.into_future()).await.is_err());
    }
    assert!(format!("{inbox:?}").contains("listeners: {}"), "{inbox:?}");
    tokio::time::sleep(20 * SECOND).await;
    let started = Instant::now();
    world.client.wait_for_payment(&merchant, &id).schedule([SECOND]).await.unwrap();
    assert_eq!(started.elapsed().as_secs(), 1);
}

/// Whoever stands behind others looks later than they do; when they have left, at its own time.
#[tokio::test(start_paused = true)]
async fn a_wait_moves_up_when_those_before_it_are_dropped() {
    let world = World::new(Alone, &[]);
    let merchant = world.simulator.merchant();
    let id = rung(&world, 0).await;
    tokio::time::sleep(20 * SECOND).await;
    let client = world.simulator.client_builder().query_spacing(13 * SECOND).build().unwrap();
    let wait = || client.wait_for_payment(&merchant, &id).schedule([Duration::ZERO]).into_future();
    let started = Instant::now();
    wait().await.unwrap();
    // The next turn is 13 s after the first.
    let mut before: Vec<_> = (0..10).map(|_| wait()).collect();
    for wait in &mut before {
        assert!(timeout(Duration::ZERO, wait).await.is_err());
    }
    let leave = async {
        tokio::time::sleep(SECOND).await;
        drop(before);
    };
    let (settled, ()) = tokio::join!(wait(), leave);
    settled.unwrap();
    assert_eq!(started.elapsed().as_secs(), 13);
}

#[tokio::test(start_paused = true)]
async fn a_callback_is_kept_for_whoever_waits_after_a_wait_that_was_dropped() {
    let body = br#"{"Body":{"stkCallback":{"CheckoutRequestID":"ws_CO_1","ResultCode":0,"CallbackMetadata":{"Item":[
        {"Name":"MpesaReceiptNumber","Value":"UJ65WSR9W7"}]}}}}"#;
    let (world, id) = (World::new(Alone, &[]), "ws_CO_1".parse().unwrap());
    let merchant = world.simulator.merchant();
    // Before the callback comes, and behind it, with the waker told and the future not polled again.
    for delivered_before in [false, true] {
        let inbox = Inbox::new();
        let deliver = || inbox.deliver(&ATTEMPT, StkCallback::parse(body).unwrap());
        if delivered_before {
            deliver();
            drop(world.client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).into_future());
        } else {
            let mut wait = world.client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).into_future();
            assert!(timeout(SECOND, &mut wait).await.is_err());
            deliver();
            drop(wait);
        }
        let settled = world.client.wait_for_payment(&merchant, &id).inbox(&inbox).at(&ATTEMPT).await.unwrap();
        assert!(matches!(settled.outcome, Outcome::Paid(_)));
    }
}
