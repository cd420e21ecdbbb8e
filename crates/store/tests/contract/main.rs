//! One suite for every database: what the traits of the store promise. PostgreSQL takes part when
//! `BELVEDERE_TEST_POSTGRES_URL` names a server on which the role may create databases.

#![expect(clippy::unwrap_used, reason = "a test may")]

mod accepting;
mod bed;
mod claiming;
mod crowds;
mod duties;
mod ending;
mod faults;
mod history;
mod leases;
mod model;
mod noticing;
mod opening;
mod queueing;
mod remembering;
mod reporting;
mod schema;
mod targets;
mod tasking;
mod users;
mod viewing;

/// The one list of tests. Each runs on each database.
macro_rules! suite {
    ($($module:ident: $($name:ident)*;)*) => {
        mod sqlite {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let bed = crate::bed::Bed::sqlite().await;
                    crate::$module::$name(&bed).await;
                }
            )* })*
        }
        mod postgres {
            $(mod $module { $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let Some(bed) = crate::bed::Bed::postgres().await else { return };
                    crate::$module::$name(&bed).await;
                    bed.close().await;
                }
            )* })*
        }
    };
}

suite! {
    opening:
        other_urls_are_refused
        broken_connections_are_replaced;
    claiming:
        an_empty_queue_gives_nothing
        the_oldest_job_goes_first
        priority_beats_fairness_and_age
        a_namespace_without_started_jobs_goes_first
        then_the_namespaces_with_fewest_started_jobs
        started_jobs_of_any_priority_count
        difficulty_is_exclusive_below_and_inclusive_above
        an_inclusive_lower_bound_can_be_asked_for
        started_jobs_outside_the_bounds_do_not_count
        only_and_blocked_steps_restrict_jobs_and_fairness
        a_dataset_at_its_cap_waits
        work_started_by_another_pool_is_passed_over
        a_long_head_of_one_namespace_hides_nobody
        many_namespaces_and_difficulties_are_all_found
        resting_datasets_are_passed_over_and_do_not_count
        datasets_left_to_others_are_passed_over
        claims_at_the_same_moment_follow_the_rules
        a_claim_tells_all_about_the_job;
    queueing:
        the_same_work_waits_once
        a_second_trigger_raises_priority_and_force
        duplicates_in_one_call_are_one_job
        work_that_runs_can_be_queued_again
        different_revisions_are_different_work
        pending_and_counts_tell_the_same
        has_pending_looks_at_steps
        the_next_due_time_is_known
        waiting_workers_are_woken;
    leases:
        a_heartbeat_extends_the_lease
        a_heartbeat_tells_of_lost_and_superseded_jobs
        stale_tokens_change_nothing
        signs_of_life_and_ends_at_the_same_moment_never_wait_for_each_other
        a_late_finish_counts_until_somebody_else_took_the_job
        expired_leases_go_back_at_their_age
        crashes_are_counted_and_capped
        a_dead_job_can_be_finished
        a_released_job_waits_for_its_delay
        a_released_job_merges_with_its_twin
        an_expired_job_merges_with_its_twin
        released_jobs_of_old_revisions_are_dropped;
    faults:
        e020_a_flood_of_one_dataset_holds_up_nobody
        e023_high_priority_goes_first_and_nobody_waits_for_ever
        e030_finished_work_costs_a_claim_nothing;
    ending:
        views_children_and_deletion_are_one_transaction
        a_finish_that_fails_changes_nothing
        a_job_may_end_without_a_view
        saving_keeps_the_job
        failed_runs_count_per_revision_and_artifact
        a_stored_view_is_reused_by_digest
        a_view_that_is_gone_cannot_be_reused
        a_recomputed_digest_replaces_its_view
        coalesced_children_keep_their_distance
        a_run_is_as_long_as_its_worker_says
        a_clock_that_was_set_back_holds_nobody_up
        a_coalesced_job_triggered_while_it_runs_keeps_its_distance
        the_first_coalesced_run_does_not_wait
        the_rate_limit_is_strict
        the_rate_limit_forgets_and_ignores_short_jobs
        a_resting_dataset_queues_but_does_not_run
        superseded_results_are_not_stored
        an_end_brings_the_next_job
        what_is_wrong_with_an_end_or_a_claim_is_no_business_of_the_other
        ends_at_the_same_moment_have_their_own_outcomes
        ends_at_the_same_moment_may_leave_the_same_view
        ends_at_the_same_moment_queue_a_common_child_once
        ends_of_different_kinds_do_not_disturb_each_other
        one_artifact_may_get_several_views_at_once
        results_of_deleted_datasets_are_not_stored;
    targets:
        a_new_target_drops_the_waiting_jobs_of_the_old
        the_same_target_keeps_its_time
        plans_are_applied
        plans_join_what_waits_already
        the_served_revision_follows_the_answer_set
        children_of_the_answer_set_hold_it_back
        the_answer_set_may_be_completed_by_another_step
        a_target_with_nothing_to_do_is_served_at_once
        a_revision_can_be_served_by_force
        a_revision_is_adopted_when_nothing_is_to_be_done
        deleting_drops_what_nobody_else_points_at
        lists_tell_pending_jobs_and_errors;
    viewing:
        outdated_views_are_read_and_planned_again
        nothing_is_found_where_nothing_is_stored
        a_revision_is_read_exactly
        readers_see_the_served_revision
        readers_see_the_target_while_nothing_is_served
        readers_see_the_target_when_patience_ends
        readers_see_the_target_after_it_was_superseded_unserved
        what_lacks_parts_waits_for_patience_where_a_whole_one_is_served
        rows_show_the_target_else_the_served
        many_are_read_in_order
        nasty_names_come_back
        a_megabyte_comes_back
        old_revisions_retire;
    reporting:
        pages_follow_the_cursor
        an_artifact_has_one_row
        reports_tell_what_went_wrong
        artifacts_are_counted_once
        builders_are_counted
        datasets_are_found_by_their_errors
        lists_of_jobs_are_cut_per_step
        jobs_ahead_are_older_or_more_urgent
        a_job_is_found_until_it_ends
        counts_tell_resting_jobs_apart
        cancelled_jobs_wait_again
        a_rest_can_be_ended
        leftovers_are_counted_and_removed;
    remembering:
        manifests_come_back
        hashes_are_found_by_folder
        segments_are_found_by_key;
    tasking:
        a_task_comes_back_whole
        e093_owners_reach_their_own_tasks_only
        lists_are_newest_first_and_filtered
        e060_the_same_request_is_one_task
        e061_a_key_belongs_to_one_request
        limits_hold_among_submissions_at_the_same_moment
        a_change_on_an_old_version_changes_nothing
        facts_are_kept_until_replaced
        e062_cancelling_is_noted_in_every_state
        a_retry_is_a_new_attempt
        e066_logs_come_back_from_any_place
        artifacts_are_replaced_as_a_whole
        e056_one_process_watches_a_cluster
        the_relation_task_is_there
        tasks_of_a_sweep_take_turns
        a_sweep_is_cancelled_as_a_whole
        a_sweep_counts_as_many_tasks_as_may_be_active
        an_end_may_be_followed_by_another_attempt
        a_deleted_task_leaves_folders_to_be_removed
        selections_are_kept_while_they_are_used
        tasks_are_listed_by_their_dataset;
    noticing:
        reads_change_nothing
        what_this_process_writes_is_noticed_at_once
        what_others_write_is_noticed_soon
        a_new_connection_counts_as_a_change;
    accepting:
        the_limit_of_each_owner_holds_among_all_that_are_sent
        the_limit_of_a_cluster_holds_among_owners
        retries_and_sweeps_count_against_what_is_sent
        e060_a_key_sent_to_two_processes_is_one_task
        a_submission_that_fails_fails_alone
        small_files_come_back_whole;
    users:
        a_name_is_given_once
        users_come_back_without_their_password
        changes_end_sessions
        a_removed_user_comes_back_as_another
        logins_are_noted_and_hashes_replaced_once
        admins_are_found
        a_token_is_good_until_it_ends
        tokens_go_with_their_owner
        tokens_are_withdrawn_by_their_owner
        uses_of_a_token_are_noted_now_and_then
        an_ended_session_stays_ended
        secrets_are_shared
        users_of_one_name_at_the_same_moment;
    history:
        runs_of_a_job_come_back_in_order
        the_last_runs_come_newest_first
        the_oldest_runs_are_forgotten;
    duties:
        a_duty_is_taken_by_one_and_not_again_before_it_is_due
        a_duty_is_taken_over_when_its_lease_runs_out
        whoever_lost_a_duty_changes_nothing
        a_duty_that_was_not_done_is_free
        many_ask_one_gets_the_duty
        duties_are_listed;
    schema:
        e026_a_program_works_on_a_newer_schema_that_allows_it
        e026_a_program_refuses_a_newer_schema_that_does_not
        e026_a_program_that_runs_learns_of_a_newer_schema;
    crowds:
        many_enqueue_one_job_waits
        many_claim_none_gets_the_same
        many_end_and_claim_none_gets_the_same
        two_processes_claim_none_gets_the_same
        a_job_whose_asker_is_gone_is_given_to_the_next
        two_processes_end_what_triggers_each_other
        the_last_two_finish_together_and_the_answer_set_is_served;
    model:
        random_histories_follow_the_model;
}
