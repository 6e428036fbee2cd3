//! What every database must do. The tests of the contract know no database; they run on every rung: SQLite always, the others
//! where `rungs.rs` finds them. `postgres.rs` and `differential.rs` test what only servers can get wrong.

#[path = "../common/mod.rs"]
mod common;

mod alerts;
mod configs;
mod contract;
mod damage;
mod differential;
mod follow;
mod journal;
mod lease;
mod log;
mod people;
mod postgres;
mod report;
mod rungs;
mod schedules;
mod schema;
mod sqlite;
mod strangers;
mod sums;
mod upkeep;
mod world;

use rungs::Place;

/// Makes a module for each test with one `#[tokio::test]` a rung, and one for the rung that has one session, which runs all of
/// them one after the other.
macro_rules! on_every_rung {
    ($($name:ident: $test:path;)*) => {
        $(mod $name {
            use super::*;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                $test(&Place::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                Place::on("postgres", "EVERYPATH_TEST_POSTGRES_URL", async |place| $test(place).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn timescale_apache() {
                Place::on("timescale_apache", "EVERYPATH_TEST_TIMESCALE_APACHE_URL", async |place| $test(place).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn timescale_community() {
                Place::on("timescale_community", "EVERYPATH_TEST_TIMESCALE_URL", async |place| $test(place).await).await;
            }
        })*

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn timescale_wasm() {
            let Some(url) = rungs::url("timescale_wasm", "EVERYPATH_TEST_TIMESCALE_WASM_URL") else { return };
            $(
                eprintln!("timescale_wasm: {}", stringify!($name));
                let place = Place::one_session(&url).await;
                $test(&place).await;
            )*
            let place = Place::one_session(&url).await;
            differential::the_continuous_aggregate_says_what_the_sums_say(&place).await;
        }
    };
}

on_every_rung! {
    the_contract: contract::contract;
    sums_are_those_of_the_samples: sums::sums_are_those_of_the_samples;
    what_is_not_summed_yet_is_added: sums::what_is_not_summed_yet_is_added;
    nothing_is_added_twice: sums::nothing_is_added_twice;
    a_lease_is_held_by_one: lease::a_lease_is_held_by_one;
    who_lost_the_lease_does_nothing: lease::who_lost_the_lease_does_nothing;
    the_journal_tells_everything_once: follow::the_journal_tells_everything_once;
    the_newer_evidence_stays: follow::the_newer_evidence_stays;
    what_is_old_goes_and_is_remembered: upkeep::what_is_old_goes_and_is_remembered;
    what_comes_after_everything_was_deleted_is_summed: upkeep::what_comes_after_everything_was_deleted_is_summed;
    accounts_of_small_blocks_are_joined: upkeep::accounts_of_small_blocks_are_joined;
    a_report_adds_up_what_was_measured: report::a_report_adds_up_what_was_measured;
    settings_have_versions: upkeep::settings_have_versions;
    the_first_secret_stays: upkeep::the_first_secret_stays;
    a_store_says_what_it_is: upkeep::a_store_says_what_it_is;
    nobody_fills_the_database_with_made_up_targets: strangers::nobody_fills_the_database_with_made_up_targets;
    doing_it_again_changes_nothing: schema::doing_it_again_changes_nothing;
    an_account_has_a_life: people::an_account_has_a_life;
    the_first_administrator_is_made_until_somebody_is_in: people::the_first_administrator_is_made_until_somebody_is_in;
    an_invitation_is_good_once: people::an_invitation_is_good_once;
    sessions_end_with_what_they_were_made_of: people::sessions_end_with_what_they_were_made_of;
    api_tokens_are_kept_by_name: people::api_tokens_are_kept_by_name;
    api_tokens_belong_to_an_account: people::api_tokens_belong_to_an_account;
    api_tokens_are_limited_in_number: people::api_tokens_are_limited_in_number;
    attempts_to_log_in_are_counted: people::attempts_to_log_in_are_counted;
    guesses_from_everywhere_do_not_keep_the_owner_out: people::guesses_from_everywhere_do_not_keep_the_owner_out;
    versions_are_made_one_behind_the_other: configs::versions_are_made_one_behind_the_other;
    of_two_that_change_it_at_once_one_does: configs::of_two_that_change_it_at_once_one_does;
    only_so_many_versions_are_kept: configs::only_so_many_versions_are_kept;
    what_agents_run_is_known: configs::what_agents_run_is_known;
    the_log_is_one_chain: log::the_log_is_one_chain;
    nothing_is_done_that_is_not_logged: log::nothing_is_done_that_is_not_logged;
    no_alert_is_changed_that_is_not_logged: log::no_alert_is_changed_that_is_not_logged;
    rules_and_channels_have_versions_and_limits: alerts::rules_and_channels_have_versions_and_limits;
    incidents_come_back_as_they_were_kept: alerts::incidents_come_back_as_they_were_kept;
    who_lost_the_lease_tells_nothing: alerts::who_lost_the_lease_tells_nothing;
    a_message_is_sent_by_one_and_by_another_if_that_one_is_gone: alerts::a_message_is_sent_by_one_and_by_another_if_that_one_is_gone;
    many_who_send_take_each_message_once: alerts::many_who_send_take_each_message_once;
    what_was_given_up_is_told_by_a_channel_that_was_mended: alerts::what_was_given_up_is_told_by_a_channel_that_was_mended;
    many_that_wait_for_one_channel_hide_none_of_another: alerts::many_that_wait_for_one_channel_hide_none_of_another;
    silences_that_are_over_are_few_and_in_nobodys_way: alerts::silences_that_are_over_are_few_and_in_nobodys_way;
    what_was_sent_meanwhile_is_not_sent_again: alerts::what_was_sent_meanwhile_is_not_sent_again;
    schedules_have_versions_and_limits: schedules::schedules_have_versions_and_limits;
    a_report_is_sent_by_one_and_by_another_if_that_one_is_gone: schedules::a_report_is_sent_by_one_and_by_another_if_that_one_is_gone;
    what_was_given_up_meanwhile_is_not_sent: schedules::what_was_given_up_meanwhile_is_not_sent;
    a_report_that_cannot_be_made_rests_and_what_was_missed_is_past: schedules::a_report_that_cannot_be_made_rests_and_what_was_missed_is_past;
    the_delivery_log_keeps_the_newest: alerts::the_delivery_log_keeps_the_newest;
    every_rung_sums_alike: differential::every_rung_sums_alike;
}
