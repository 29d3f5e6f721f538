//! What every framework recipe has to do: one test suite, run against each of them as a process of its own, over real
//! sockets, with the simulator on the other side.
//!
//! A recipe takes two arguments, the address to listen on and the journal's path, and its settings from the environment.
//! It prints `listening on http://ADDRESS` first.

#![expect(
    clippy::arithmetic_side_effects,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "it is a test: what cannot be done fails it"
)]

mod built;
mod disk;
mod post;
mod recipe;

pub mod floods;
pub mod forgeries;
pub mod payments;
pub mod restarts;
pub mod sender;

pub use disk::Disk;
pub use recipe::{Recipe, Setup};

/// Makes a test of each thing that a recipe has to do, for the recipe whose program this is.
#[macro_export]
macro_rules! tests {
    ($program:expr) => {
        $crate::tests! { $program;
            payments: [
                payments_and_payouts_are_worked_on_once,
                a_replay_is_answered_and_changes_nothing,
                news_that_nobody_knows_is_kept,
            ]
            forgeries: [
                forged_deliveries_are_refused_without_a_word,
                odd_requests_open_nothing_and_end_nothing,
                behind_a_proxy_only_the_nearest_stranger_counts,
                an_address_counts_however_it_is_written,
            ]
            floods: [
                what_is_too_large_or_too_deep_is_refused_in_bounded_memory,
                a_slow_body_is_cut_off_and_disturbs_nobody,
            ]
            restarts: [
                what_was_not_finished_is_taken_up_at_the_start,
                a_kill_in_the_middle_loses_nothing_that_was_answered,
                a_polite_stop_finishes_what_was_answered,
                a_polite_stop_works_off_what_is_left,
                a_polite_stop_waits_for_a_delivery_in_the_middle,
                a_polite_stop_does_not_wait_for_strangers,
                what_cannot_be_stored_is_no_success,
                a_setting_that_is_missing_is_named,
                a_second_program_does_not_touch_the_journal,
            ]
        }
    };
    ($program:expr; $($module:ident: [$($name:ident,)*])*) => {$($(
        #[test]
        fn $name() {
            $crate::$module::$name(std::path::Path::new($program));
        }
    )*)*};
}

/// Runs a test's future, with time and sockets.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be built").block_on(test)
}
