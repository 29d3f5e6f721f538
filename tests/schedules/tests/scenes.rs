//! Each scene is a test.

macro_rules! scenes {
    ($($area:ident { $($scene:ident)+ })+) => {$(
        mod $area {
            use daraja_schedules::scenes::$area;

            $(
                #[test]
                fn $scene() {
                    $area::$scene();
                }
            )+
        }
    )+};
}

scenes! {
    budget {
        turns_keep_their_distance_and_everybody_gets_one
        waits_that_are_held_stop_no_other
    }
    inbox {
        no_delivery_is_missed_and_each_is_forgotten_in_the_end
    }
    recent {
        a_value_belongs_to_its_key
    }
    token {
        one_fetches_for_all
        a_fetch_that_fails_is_tried_by_the_next_call
        one_fetches_for_all_behind_a_store
        a_fetch_that_fails_behind_a_store_is_tried_by_the_next_call
        two_processes_share_a_store
        two_processes_share_a_store_while_the_token_is_voided
        a_fetch_that_fails_gives_its_claim_back
        callers_that_are_held_stop_no_other
        callers_that_are_held_stop_no_other_behind_a_store
        a_refresh_that_is_held_blocks_no_other_call
        a_refresh_that_is_held_blocks_no_other_call_behind_a_store
    }
}
