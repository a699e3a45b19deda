//! The one suite every store has to pass: one file for each port, and [`restarts`] for what must
//! outlive a process. For tests only. A test file says how to make its [`Backend`] and calls
//! [`conformance_suite!`](crate::conformance_suite), which makes a test of each case; what is
//! particular to one store is tested beside that store.
//!
//! Races are part of it and cannot be opted out of: a store that lets two win is not one.

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "a test suite: a panic is its verdict"
)]

pub mod archive;
pub mod assertions;
pub mod audit;
pub mod clients;
pub mod consents;
pub mod disabled;
pub mod grants;
pub mod inspection;
pub mod invalidations;
pub mod logins;
pub mod nodes;
pub mod pins;
pub mod provider_tokens;
mod records;
pub mod restarts;
pub mod revocation;
pub mod rotation;
pub mod secrets;
pub mod sessions;
pub mod tasks;
pub mod transactions;
pub mod upkeep;

use std::{future::Future, sync::Arc};

use portunus_core::{Timestamp, store::Stores};
use tokio::sync::Barrier;

use crate::inspection::Inspection;

/// Storage of a test's own, empty at first.
pub trait Backend: Send + Sync + Sized {
    fn fresh() -> impl Future<Output = Self> + Send;

    /// Stores over this storage. Called again after the first ones were dropped it is a restart of
    /// the gateway; called again while they are in use it is a second gateway on the same storage.
    fn open(&self) -> impl Future<Output = Stores> + Send;

    /// What is found when this storage is looked through, in use or not.
    fn inspect(&self, now: Timestamp) -> impl Future<Output = Inspection> + Send;
}

/// How many race: more than there are threads, connections or places in a batch of any store.
const RACERS: usize = 50;

/// Runs `attempt` many times at once, each with its number, and gives what came out of each.
async fn race<T, F>(attempt: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let start = Arc::new(Barrier::new(RACERS));
    let racers: Vec<_> = (0..RACERS)
        .map(|number| {
            let (start, attempt) = (Arc::clone(&start), attempt(number));
            tokio::spawn(async move {
                start.wait().await;
                attempt.await
            })
        })
        .collect();
    let mut outcomes = Vec::with_capacity(RACERS);
    for racer in racers {
        outcomes.push(racer.await.unwrap());
    }
    outcomes
}

/// Makes a test of every case for one [`Backend`].
#[macro_export]
macro_rules! conformance_suite {
    ($backend:ident) => {
        $crate::conformance_suite! { @port $backend
            clients: kept_whole, id_taken, absent, touched, listed_newest_first, updated_only_while_there,
            deleted_with_all_it_was_given, deleted_though_never_kept, unused_are_counted, one_of_many_inserts_wins,
            configured_ones_are_remembered_by_id, unused_go_oldest_first_of_who_has_most, unused_ones_without_an_address_go_too
        }
        $crate::conformance_suite! { @port $backend
            logins: kept_whole, id_taken, expire, user_is_as_last_described, taken_once, one_of_many_takers_wins,
            touched_end_later, touching_revives_nothing, last_of_many_touches_counts, all_of_a_user_are_taken, user_without_a_login,
            users_by_what_they_are_called, the_latest_user_of_a_provider
        }
        $crate::conformance_suite! { @port $backend
            transactions: kept_whole, id_taken, expire, updated_only_while_there, taken_once, provider_request_taken_once, provider_request_expires,
            one_of_many_takers_wins, one_of_many_takers_of_a_provider_request_wins, the_oldest_of_an_address_go_first
        }
        $crate::conformance_suite! { @port $backend
            consents: kept_whole, one_for_each_user_client_and_resource, deleted_for_a_client
        }
        $crate::conformance_suite! { @port $backend
            grants: code_kept_whole, code_taken, code_expires, a_redeemed_code_is_remembered_as_long_as_its_grant, redeeming_keeps_grant_and_tokens, redeeming_without_refresh,
            redeemed_once, nothing_to_redeem, failed_redeeming_is_undone, one_of_many_redeemers_wins,
            one_of_many_redeemers_at_two_gateways_wins, access_expires, access_gives_the_user_as_last_described,
            revoking_ends_access, revoked_once, listed_newest_first
        }
        $crate::conformance_suite! { @port $backend
            revocation: grant_without_a_code, failed_grant_is_undone, token_keeps_its_own_resource, revoked_together,
            listed_by_whose_they_are, revoking_beats_redeeming, one_token_ends_alone
        }
        $crate::conformance_suite! { @port $backend
            rotation: an_exchange_keeps_family_and_access, the_family_of_a_grant, a_family_changes_only_as_it_was_found, nothing_to_exchange,
            revoked_changes_no_more, failed_exchange_is_undone, one_of_many_exchanges_wins,
            one_of_many_exchanges_at_two_gateways_wins, fb16_a_thousand_exchanges_cost_what_ten_do,
            tokens_of_earlier_versions_are_found_and_become_a_family, one_of_many_makes_the_family_of_an_earlier_grant,
            a_hash_is_no_family
        }
        $crate::conformance_suite! { @port $backend
            assertions: used_once, a_refused_use_prolongs_nothing, one_of_many_uses_wins, one_of_many_uses_at_two_gateways_wins,
            used_stays_used_after_a_restart, expired_is_purged
        }
        $crate::conformance_suite! { @port $backend
            pins: kept_whole, the_first_stays_pinned, changes_are_noted_once, the_newest_changes_are_kept,
            approved_beside_what_was_pinned, forgotten, kinds_are_apart, pinned_stays_pinned_after_a_restart, one_of_many_at_two_gateways_pins,
            a_change_that_many_see_is_new_to_one
        }
        $crate::conformance_suite! { @port $backend
            disabled: kept_whole, a_person_loses_everything_but_consents, nothing_new_for_a_person_until_they_are_enabled,
            a_client_loses_grants_and_codes_and_gets_no_more, a_server_or_a_tool_ends_nothing_here, tasks_of_agent_keys_end_together,
            all_but_persons_have_a_bound, what_is_disabled_and_enabled_is_told,
            whatever_comes_at_the_same_moment_is_of_no_use
        }
        $crate::conformance_suite! { @port $backend
            nodes: living_nodes_are_listed, the_first_is_home_while_it_lives, homes_end, one_of_many_becomes_home
        }
        $crate::conformance_suite! { @port $backend
            invalidations: heard_between_its_marks, what_is_revoked_is_told, who_is_described_anew_is_told,
            the_mark_stays_where_nothing_is_told, counted_for_other_gateways_and_later_ones, none_of_many_is_lost_in_the_count
        }
        $crate::conformance_suite! { @port $backend
            sessions: kept_whole, expire_unless_touched, deleted_once, found_after_a_restart_and_purged
        }
        $crate::conformance_suite! { @port $backend
            provider_tokens: kept_whole, the_newest_takes_the_place, changed_only_as_it_was_found, one_of_many_changes_wins,
            one_of_many_changes_at_two_gateways_wins, deleted_once, found_after_a_restart_and_purged
        }
        $crate::conformance_suite! { @port $backend
            tasks: kept_whole, gone_when_expired_or_deleted, found_after_a_restart_and_purged
        }
        $crate::conformance_suite! { @port $backend
            audit: kept_in_order, appended_whole_or_not_at_all, one_of_many_appends_wins, an_append_from_before_a_deletion_is_refused_and_found,
                a_note_alone_changes_the_head_it_was_made_for, found_by_what_is_wanted,
            what_is_deleted_in_its_time_is_not_missed, kept_over_a_restart
        }
        $crate::conformance_suite! { @port $backend
            restarts: everything_is_kept, redeemed_code_stays_redeemed, used_refresh_token_stays_used,
            the_current_pair_is_made_again_after_a_restart, revoked_grant_stays_revoked, taken_stays_taken
        }
        $crate::conformance_suite! { @port $backend
            archive: everything_comes_over, nothing_is_added_or_lost_on_the_way, what_was_there_is_replaced,
            what_has_expired_is_purged_after_it_came, a_chain_in_motion_is_taken_whole
        }
        $crate::conformance_suite! { @port $backend
            inspection: nothing_is_wrong_with_what_ports_wrote, nothing_is_wrong_with_what_was_imported,
            nothing_is_wrong_with_a_store_in_use
        }
        $crate::conformance_suite! { @port $backend
            upkeep: well, expired_is_deleted, living_is_left_alone, refresh_tokens_stay_until_the_last_one_expires,
            grant_goes_with_its_last_token, unused_clients_go
        }
    };
    (@port $backend:ident $port:ident: $($case:ident),+) => {
        mod $port {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    $crate::conformance::$port::$case::<super::$backend>().await;
                }
            )+
        }
    };
}
