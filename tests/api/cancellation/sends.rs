//! `send` and `warm_up`, dropped at every await point, with every kind of operation and whatever happens on the line.

use std::time::Duration;

use daraja::{AccountBalanceQuery, B2cPayment, Reversal, Shillings, StkQuery, simulator::Route};

use super::{
    dropped_at, living_tasks,
    world::{
        Shared::{self, Alone, ByStore},
        Way::{self, LostAnswer, NoRoad, Straight, Throttled, TokenDies},
        World, initiator,
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Push,
    PayoutV3,
    PayoutV1,
    Reversal,
    Query,
    Balance,
    WarmUp,
}

/// A call, dropped at this point. Whether it ended before.
async fn drop_at(point: usize, call: Call, world: &World) -> bool {
    let (client, simulator) = (&world.client, &world.simulator);
    let amount = Shillings::new(500).unwrap();
    match call {
        Call::Push => dropped_at(point, client.send(&world.push_to(0))).await.is_some(),
        Call::PayoutV3 | Call::PayoutV1 => {
            let recipient = "254700000055".parse().unwrap();
            let code = simulator.b2c_short_code();
            let payment = B2cPayment::new(&initiator(), code, recipient, amount, simulator.result_urls());
            let payment = if call == Call::PayoutV1 { payment.v1() } else { payment };
            dropped_at(point, client.send(&payment)).await.is_some()
        }
        Call::Reversal => {
            let (code, receipt) = (simulator.merchant().short_code(), "UKN1234567".parse().unwrap());
            let reversal = Reversal::new(&initiator(), code, receipt, amount, simulator.result_urls());
            dropped_at(point, client.send(&reversal)).await.is_some()
        }
        Call::Query => {
            let query = StkQuery::new(&simulator.merchant(), &"ws_CO_1".parse().unwrap());
            dropped_at(point, client.send(&query)).await.is_some()
        }
        Call::Balance => {
            let query = AccountBalanceQuery::new(&initiator(), simulator.b2c_short_code(), simulator.result_urls());
            dropped_at(point, client.send(&query)).await.is_some()
        }
        Call::WarmUp => dropped_at(point, client.warm_up()).await.is_some(),
    }
}

/// How often the call was carried out; of what moves nothing, how often it arrived.
fn carried_out(call: Call, world: &World) -> usize {
    let payer = world.push_to(0).payer();
    match call {
        Call::Push => world.simulator.prompts().iter().filter(|prompt| prompt.payer == payer).count(),
        Call::PayoutV3 | Call::PayoutV1 => world.simulator.payouts().len(),
        Call::Reversal => world.simulator.calls(Route::Reversal),
        Call::Query => world.simulator.calls(Route::StkQuery),
        Call::Balance => world.simulator.calls(Route::AccountBalance),
        Call::WarmUp => 0,
    }
}

/// Drops a call at each of its await points in turn; the number of points, and how often it was carried out by each.
async fn drop_everywhere(call: Call, shared: Shared, ways: &[Way], limit: Duration) -> Vec<usize> {
    let mut carried = Vec::new();
    for point in 0.. {
        let (world, tasks) = (World::new(shared, ways), living_tasks());
        let ended = drop_at(point, call, &world).await;
        let before = carried_out(call, &world);
        // The herd is the same whatever was dropped: what it finds is the token.
        world.works(limit, if call == Call::Push { 64 } else { 2 }).await;
        assert_eq!(carried_out(call, &world), before, "{call:?} dropped at {point} was repeated by somebody");
        assert_eq!(living_tasks(), tasks, "{call:?} dropped at {point} left a task");
        if ended {
            return carried;
        }
        carried.push(before);
    }
    unreachable!("a call ends")
}

const SECOND: Duration = Duration::from_secs(1);

/// A way for the token request, then one for each attempt; await points at least; how often it is carried out at most.
const STORIES: [(&[Way], usize, usize); 8] = [
    (&[Straight, Straight], 6, 1),
    (&[NoRoad, Straight, Straight], 8, 1),
    (&[LostAnswer, Straight, Straight], 9, 1),
    (&[Throttled, Straight, Straight], 10, 1),
    (&[Straight, NoRoad, Straight], 8, 1),
    (&[Straight, Throttled, Straight], 10, 1),
    (&[Straight, TokenDies, Straight, Straight], 12, 1),
    (&[Straight, LostAnswer], 5, 1),
];

#[tokio::test(start_paused = true)]
async fn what_must_not_be_repeated_is_carried_out_once_at_most_wherever_it_is_dropped() {
    for call in [Call::Push, Call::PayoutV1] {
        for (ways, points, most) in STORIES {
            let carried = drop_everywhere(call, Alone, ways, 2 * SECOND).await;
            assert!(carried.len() > points, "{call:?} {ways:?}: {carried:?}");
            assert_eq!(carried.iter().max(), Some(&most), "{call:?} {ways:?}: {carried:?}");
            assert_eq!(carried[..=points.min(3)].iter().max(), Some(&0), "nothing is sent before there is a token");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_deduplicated_is_carried_out_once_at_most_even_when_its_repeat_is_dropped() {
    for (ways, points, most) in STORIES {
        let carried = drop_everywhere(Call::PayoutV3, Alone, ways, 2 * SECOND).await;
        assert!(carried.len() > points, "{ways:?}: {carried:?}");
        assert_eq!(carried.iter().max(), Some(&most), "{ways:?}: {carried:?}");
    }
    let carried = drop_everywhere(Call::PayoutV3, Alone, &[Straight, LostAnswer, LostAnswer, Straight], SECOND).await;
    assert!(carried.len() > 12 && carried.iter().max() == Some(&1), "{carried:?}");
}

#[tokio::test(start_paused = true)]
async fn questions_reversals_and_warm_ups_are_dropped_without_a_trace() {
    for call in [Call::Query, Call::Balance, Call::Reversal, Call::WarmUp] {
        for (ways, _, _) in STORIES {
            let carried = drop_everywhere(call, Alone, ways, 2 * SECOND).await;
            assert!(carried.len() >= 4, "{call:?} {ways:?}: {carried:?}");
        }
    }
    let carried = drop_everywhere(Call::Reversal, Alone, &[Straight, LostAnswer], SECOND).await;
    assert_eq!(carried.iter().max(), Some(&1), "{carried:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_beside_a_token_store_holds_nobody_up() {
    for (ways, points, most) in STORIES {
        let carried = drop_everywhere(Call::Push, ByStore, ways, 2 * SECOND).await;
        assert!(carried.len() > points + 6, "{ways:?}: {carried:?}");
        assert_eq!(carried.iter().max(), Some(&most), "{ways:?}: {carried:?}");
    }
    drop_everywhere(Call::WarmUp, ByStore, &[], SECOND).await;
}
