//! The fetch of a token, a refresh, and the wait for somebody else's fetch, dropped at every await point.

use std::time::Duration;

use daraja::simulator::Route;
use tokio::{
    task::JoinSet,
    time::{Instant, advance},
};

use super::{
    dropped_at, living_tasks,
    world::{
        LEASE,
        Shared::{Alone, ByStore, WithTheDead},
        Way, World,
    },
};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn ten_that_wait_for_a_fetch_that_is_dropped_all_succeed() {
    for (shared, points) in [(Alone, 7), (ByStore, 13)] {
        for point in 0.. {
            let (world, tasks) = (World::new(shared, &[]), living_tasks());
            let others = {
                let world = world.clone();
                async move {
                    tokio::task::yield_now().await;
                    world.herd(10, 100).await;
                }
            };
            let push = world.push_to(0);
            let (ended, ()) = tokio::join!(dropped_at(point, world.client.send(&push)), others);
            assert!(world.simulator.calls(Route::OAuth) <= 2, "dropped at {point}");
            world.works(SECOND, 64).await;
            assert_eq!(living_tasks(), tasks);
            if ended.is_some() {
                assert!(point >= points, "{shared:?}: dropped at {point} points only");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_for_somebody_elses_fetch_is_dropped_without_harm() {
    for shared in [Alone, ByStore] {
        for point in 0..8 {
            let (world, mut fetching) = (World::new(shared, &[]), JoinSet::new());
            fetching.spawn({
                let world = world.clone();
                async move { world.client.send(&world.push_to(1)).await }
            });
            tokio::task::yield_now().await;
            let push = world.push_to(0);
            dropped_at(point, world.client.send(&push)).await;
            fetching.join_next().await.unwrap().unwrap().unwrap();
            assert_eq!(world.simulator.calls(Route::OAuth), 1, "dropped at {point}");
            world.works(SECOND, 64).await;
        }
    }
}

/// A new token voids the old one: a refresh that is dropped behind Daraja's grant has killed the token that is in use.
#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_dropped_anywhere_costs_one_fetch_at_most() {
    for (shared, points) in [(Alone, 7), (ByStore, 13)] {
        for point in 0.. {
            let world = World::new(shared, &[]);
            world.client.warm_up().await.unwrap();
            advance(Duration::from_secs(3_300)).await;
            let push = world.push_to(0);
            let ended = dropped_at(point, world.client.send(&push)).await;
            world.works(SECOND, 64).await;
            if ended.is_some() {
                assert!(point >= points, "{shared:?}: dropped at {point} points only");
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_of_a_refused_token_that_is_dropped_is_made_by_the_next_call() {
    for shared in [Alone, ByStore] {
        for point in 0.. {
            let world = World::new(shared, &[Way::Straight, Way::TokenDies]);
            world.client.warm_up().await.unwrap();
            let push = world.push_to(0);
            let ended = dropped_at(point, world.client.send(&push)).await;
            world.works(SECOND, 64).await;
            if ended.is_some() {
                break;
            }
        }
    }
}

/// The one that fetches waits for the dead as long as a fetch can take, and then fetches; the others wait for both.
#[tokio::test(start_paused = true)]
async fn sixty_four_that_wait_while_a_dead_process_holds_the_fetch_all_succeed() {
    let (world, started) = (World::new(WithTheDead, &[]), Instant::now());
    world.herd(64, 100).await;
    assert!((LEASE..LEASE + SECOND).contains(&started.elapsed()), "{:?}", started.elapsed());
    assert_eq!(world.simulator.calls(Route::OAuth), 1);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_failed_is_made_again_at_once_beside_a_token_store() {
    let world = World::new(ByStore, &[Way::LostAnswer; 3]);
    let push = world.push_to(0);
    assert!(world.client.send(&push).await.unwrap_err().is_retryable());
    world.works(SECOND, 64).await;
}

/// What a dropped call was about to be told is not taken for granted.
#[tokio::test(start_paused = true)]
async fn a_call_that_takes_over_waits_for_another_process_too() {
    for point in 0..12 {
        let (world, started) = (World::new(WithTheDead, &[]), Instant::now());
        let push = world.push_to(0);
        assert!(dropped_at(point, world.client.send(&push)).await.is_none());
        world.client.send(&push).await.unwrap();
        assert!(started.elapsed() >= LEASE, "dropped at {point}: {:?}", started.elapsed());
        assert_eq!(world.simulator.calls(Route::OAuth), 1);
    }
}
