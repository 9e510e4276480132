"""Situations after which both sides must agree again, and errors."""

from __future__ import annotations

from tests.cases.row import Row, at


def _case(says: str, *tests: tuple[str, ...], missing: str = "") -> Row:
    return Row(group="Convergence", name="", says=says, tests=sum(tests, ()), missing=missing)


def _error(says: str, *tests: tuple[str, ...], missing: str = "") -> Row:
    return Row(group="Errors", name="", says=says, tests=sum(tests, ()), missing=missing)


CONVERGENCE = (
    _case(
        "A Patient of another writer is merged, set inactive, deleted, or given another identifier",
        at("loop/fhir/test_asked_again", "old_studies_follow_a_merged_patient", "a_patient_that_is_none_any_more_is_left"),
        at("loop/fhir/test_asked_again", "resync_of_a_study_asks_again", "explain_says_what_would_be_done"),
        at("real/test_provenance", "old_studies_follow_a_merged_patient"),
    ),
    _case(
        "An order is revoked, replaced, deleted, or one of two",
        at("loop/fhir/test_asked_again", "an_order_that_stands_no_more_is_words_again"),
        at("loop/fhir/test_asked_again", "an_order_that_another_replaces_is_followed"),
        at("real/test_provenance", "an_order_that_was_revoked_is_words_again"),
    ),
    _case(
        "What else a study refers to is gone",
        at(
            "loop/fhir/test_asked_again",
            "a_companion_that_is_gone_is_written_again",
            "our_patient_that_is_gone_is_written_again",
        ),
        at("loop/fhir/test_asked_again", "what_may_not_be_listed_is_taken_as_it_is"),
    ),
    _case(
        "Whatever happens, in whatever order",
        at("machine/test_convergence", "both_sides_agree_whatever_happened"),
        at("crash/test_any_point", "a_death_after_any_change_leaves_enough_to_go_on"),
    ),
    _case(
        "A study deleted while syncd runs",
        at("loop/study/test_section_i", "case_56_a_deleted_study_is_found_by_the_sweep_and_withdrawn_once"),
        at("real/test_deletions", "what_is_deleted_while_syncd_runs"),
    ),
    _case(
        "A series or an instance deleted",
        at("loop/study/test_retract", "a_series_and_an_instance_deleted_are_no_retraction"),
        at("loop/study/test_section_i", "case_55_an_instance_deleted_unannounced_is_found_by_the_sweep"),
        at("real/test_deletions", "what_is_deleted_while_syncd_runs"),
        at("real/test_sweep", "deletions_that_nothing_announced_are_noticed"),
    ),
    _case(
        "Words corrected without an event: `/reconstruct` after OverwriteInstances, or after an edit in place",
        at("loop/archives/test_sweep", "a_reconstructed_study_is_noticed_by_its_words"),
        at("loop/archives/test_sweep", "words_that_moved_before_the_first_inventory_are_noticed"),
        at("loop/commands/test_audit", "each_difference_is_found_and_repaired"),
        at("real/test_sweep", "new_words_that_nothing_announced_are_noticed"),
    ),
    _case(
        "Upgrades around the digests: a ledger of before them, another version of Orthanc",
        at("loop/archives/test_sweep", "a_ledger_from_before_the_digests_marks_nothing_at_first"),
        at("ledger/db/test_migrations", "the_first_inventory_after_an_upgrade_marks_nothing_for_its_words"),
        at("real/test_archive", "the_same_words_are_the_same_digest_in_both_versions"),
    ),
    _case(
        "Deleted while syncd is down",
        at("loop/study/test_retract", "a_study_deleted_while_syncd_is_down"),
        at("real/test_deletions", "a_study_deleted_while_syncd_is_down"),
    ),
    _case(
        "Recycled by Orthanc's own limits",
        at("loop/study/test_section_i", "a_study_that_made_room_for_another_is_withdrawn"),
        at("loop/study/test_retract", "a_study_recycled_and_sent_again_meanwhile_is_not_taken_back"),
        at("real/test_recycled", "the_oldest_patient_makes_room_for_a_newcomer"),
    ),
    _case(
        "Deleted between the change and the read: a 404 alone retracts nothing",
        at("loop/study/test_retract", "a_404_alone_takes_nothing_back"),
        at("feed/test_interest", "a_study_that_is_gone_or_has_no_uid_makes_no_mark"),
        at("loop/study/test_arriving", "a_study_that_vanishes_while_it_is_read_stays_dirty"),
    ),
    _case(
        "PatientID changed: one ImagingStudy, a new subject",
        at("loop/study/test_copies", "a_corrected_patient_id_changes_the_subject"),
        at("real/test_provenance", "another_patient_leaves_one_provenance"),
    ),
    _case(
        "One StudyInstanceUID under two patients: parked, resolves by itself",
        at("loop/study/test_copies", "two_patients_in_one_study_are_a_conflict_that_resolves"),
        at("real/test_archive", "one_uid_under_two_patients_is_two_studies"),
    ),
    _case(
        "Split and merged studies",
        at("loop/study/test_section_i", "case_52_a_split_leaves_one_series_fewer_and_a_study_of_its_own"),
        at("loop/study/test_section_i", "case_53_a_merge_withdraws_the_source_and_the_target_grows"),
        at("loop/archives/test_archives", "a_study_that_is_split_across_archives_and_merged_again_converges"),
        at("real/test_split", "a_series_that_is_split_off_and_merged_again_is_said_once"),
        at("real/test_split", "what_is_split_and_merged_while_its_source_is_kept_is_said_of_both"),
    ),
    _case(
        "Edited, deleted or duplicated on the FHIR side: found by audit, repaired or reported",
        at("loop/commands/test_audit", "each_difference_is_found_and_repaired", "a_duplicate_is_reported_and_not_touched"),
        at("loop/fhir/test_inventory", "a_deleted_resource_comes_back", "a_duplicate_is_reported_and_not_made_worse"),
        at("real/test_audit", "what_differs_is_found_and_repaired"),
    ),
    _case(
        "Foreign elements survive every update",
        at("plan/test_ownership", "what_others_wrote_survives"),
        at("loop/fhir/test_inventory", "an_edited_resource_is_put_right_and_keeps_what_is_foreign"),
        at("loop/study/test_retract", "what_others_wrote_survives"),
    ),
    _case(
        "A conflict keeps the human's foreign fields",
        at("loop/study/test_writing", "a_conflict_starts_again_and_keeps_what_the_other_wrote"),
        at("real/test_refused", "what_a_human_added_survives_an_update"),
    ),
    _case(
        "FHIR server wiped: everything is back after an inventory, which a missing resource starts at once",
        at(
            "loop/fhir/test_inventory",
            "a_wiped_server_gets_everything_back",
            "one_missing_study_starts_an_inventory_at_once",
        ),
        at("real/test_sweep", "a_wiped_server_gets_everything_back_though_nothing_changed"),
        at("real/test_server_reset", "a_server_wiped_under_a_running_daemon_gets_everything_back"),
    ),
    _case(
        "Ledger lost: rebuilt from both sides, what is equal is not rewritten",
        at("loop/study/test_refusals", "a_lost_ledger_rewrites_nothing_that_is_equal"),
        at("real/test_pydicom_files", "a_lost_ledger_is_rebuilt_without_a_write"),
    ),
    _case(
        "More retractions than a day's budget, by any path: refused, reported, released by a command",
        at("loop/study/test_brake", "ten_may_go_and_the_eleventh_waits", "all_paths_pay_from_one_budget"),
        at("loop/study/test_brake", "resync_pays_from_the_same_budget"),
        at("loop/process/test_daemon", "a_closed_brake_is_told"),
        at("cli/commands/test_audit", "exactly_the_plan_that_was_shown_is_accepted"),
    ),
    _error(
        "Tokens: the authorization server slow, dead, refusing; the token revoked, over, for somebody else; clocks apart",
        at("auth/test_tokens", "many_threads_fetch_one_token", "a_token_is_fetched_once_and_renewed_before_it_ends"),
        at("auth/test_tokens", "an_outage_is_not_noticed_while_the_token_holds", "a_failure_is_everybodys_for_a_second"),
        at("auth/test_tokens", "a_clock_that_differs_is_tolerated_and_told", "an_assertion_serves_once"),
        at("real/test_oauth", "a_refusal_pauses_the_target_and_names_the_setting", "a_slow_endpoint_is_an_outage"),
        at("real/test_oauth", "a_dead_endpoint_is_an_outage_and_its_return_is_noticed"),
        at("real/test_oauth", "a_token_that_is_over_is_replaced_within_the_request", "a_short_life_is_never_noticed"),
        at("real/test_oauth", "a_token_for_somebody_else_is_told_with_its_audience"),
        at("real/test_oauth", "keys_are_exchanged_without_a_refusal", "a_client_certificate_goes_with_a_token"),
        at("real/test_oauth", "an_import_an_outage_and_an_audit", "an_archive_behind_a_gateway_takes_a_token"),
    ),
    _error(
        "Every kind of answer, on a scripted server",
        at("loop/workers/test_errors", "each_answer_has_its_consequence"),
        at("publish/test_answers", "every_status_has_its_meaning", "every_row_of_the_table_decides_something"),
        at("publish/test_server", "each_answer_to_a_write_says_who_must_act"),
    ),
    _error(
        "Refusals and outages through a proxy before a real server; other studies go on",
        at("real/test_refused", "a_refused_study_is_parked_and_not_sent_again_until_somebody_asks"),
        at("real/test_server_away", "a_busy_server_is_asked_again_and_its_neighbours_are_not_held_up"),
        at("real/test_server_away", "a_study_that_the_archive_cannot_read_holds_up_no_other"),
        at("real/test_bad_input", "a_bad_server_ends_a_resync_and_lets_the_daemon_wait"),
        at("real/test_refused_writes", "a_server_that_refuses_every_write_is_paused_and_no_study_is_blamed"),
        at("real/test_refused_writes", "what_is_refused_of_one_study_holds_up_no_other"),
    ),
    _error(
        "Too large (413): the instance level is left out, counts are kept, the ledger says so",
        at("loop/study/test_refusals", "too_large_becomes_a_summary"),
        at("loop/study/test_refusals", "too_large_even_as_a_summary_is_parked_and_not_sent_again"),
    ),
    _error(
        "Above the configured number of instances: the same",
        at("mapping/resources/test_imagingstudy", "above_max_instances_only_series_and_counts_are_said"),
        at("mapping/resources/test_imagingstudy", "thirty_thousand_instances_stay_below_ten_kilobytes"),
        at("real/test_mapping_validates", "hapi_finds_no_error_in_a_summary"),
    ),
    _error(
        "FHIR server away for the whole of an import: nothing lost, no write twice",
        at("loop/workers/test_workers", "an_outage_costs_no_attempt"),
        at("real/test_server_away", "an_outage_loses_nothing_and_costs_no_study_an_attempt"),
        at("real/test_server_away", "a_restart_of_the_server_in_the_middle_loses_nothing"),
        at("loop/archives/test_import", "an_import_while_the_server_is_away_is_written_once"),
    ),
    _error(
        "SIGTERM drains and stops",
        at("loop/process/test_nothing_lost", "stopping_lets_work_in_flight_end"),
        at("loop/archives/test_sweep", "a_daemon_that_stops_ends_its_sweep"),
        at("real/test_server_away", "sigterm_lets_the_write_in_flight_end"),
        at("real/test_bad_input", "a_daemon_that_waits_for_a_server_still_ends_well"),
    ),
    _error(
        "SIGINT in resync exits 130, and a second run goes on",
        at("cli/test_exits", "ctrl_c_is_130"),
        at("real/test_bad_input", "ctrl_c_ends_a_resync_with_130_and_the_next_one_goes_on"),
    ),
    _error(
        "kill -9 between the request and the record: the replay is a no-op",
        at("loop/study/test_writing", "what_was_sent_before_a_crash_does_not_become_foreign"),
        at("crash/test_every_step", "a_restart_after_kill_9_only_repeats_work"),
        at("real/test_postgres_ledger", "a_daemon_that_was_killed_goes_on_where_its_ledger_stands"),
    ),
    _error(
        "Disk full: a clear message, nothing lost",
        at("ledger/db/test_files", "a_full_disk_is_said_and_survived"),
        at("loop/process/test_daemon", "a_ledger_that_cannot_be_written_is_told"),
    ),
    _error(
        "Read-only ledger: a clear message, nothing lost",
        at("ledger/db/test_files", "a_ledger_that_became_read_only_is_said_and_survived"),
        at("ledger/db/test_postgresql", "a_standby_is_said"),
    ),
    _error(
        "Two daemons on one ledger: the second refuses",
        at("ledger/db/test_crash", "a_second_process_is_refused_and_told_who_holds_it"),
        at("cli/test_commands", "a_ledger_that_another_process_holds_is_exit_4"),
        at("real/test_bad_input", "a_second_daemon_on_one_ledger_is_refused"),
        at("real/test_postgres_ledger", "a_second_daemon_on_the_same_ledger_refuses"),
    ),
    _error(
        "A ledger of a newer version: refused",
        at("ledger/db/test_files", "a_file_that_is_no_whole_ledger_is_refused_and_left_as_it_is"),
        at("ledger/db/test_postgresql", "a_database_of_a_newer_syncd_is_refused_and_left_as_it_is"),
    ),
    _error(
        "A truncated ledger: refused, never silently empty",
        at("ledger/db/test_files", "a_file_that_is_no_whole_ledger_is_refused_and_left_as_it_is"),
        at("ledger/db/test_files", "a_missing_file_beside_its_journal_is_no_first_start"),
        at("ledger/db/test_postgresql", "a_ledger_that_lost_a_part_is_refused"),
    ),
    _error(
        "The clock stepping back: no stall",
        at("loop/process/test_clock_steps", "ticks_go_on_after_the_clock_was_set_back_an_hour"),
        at("faults/test_clock", "set_back_an_hour_a_new_study_is_there_within_seconds"),
        at("faults/test_clock", "set_back_while_no_daemon_runs_nothing_waits_for_it"),
    ),
    _case(
        "A FHIR server of another make: versions without order, 200 for a creation, no create-only form, no tombstones",
        at("loop/fhir/test_unordered", "a_wiped_server_is_noticed_by_the_sentinel", "a_study_is_taken_back_and_returns"),
        at("loop/fhir/test_unordered", "a_restored_backup_is_repaired_study_by_study"),
        at("real/test_medplum", "pydicoms_files_end_equal_and_unchanged_ones_cost_no_write"),
        at("real/test_medplum", "what_others_do_there_is_found_and_put_right"),
        at("real/test_medplum", "a_server_that_lost_everything_gets_it_back"),
    ),
    _case(
        "A FHIR server behind a gateway, under another base URL than its own",
        at("publish/test_bases", "references_to_the_server_itself_are_read_as_relative_ones"),
        at("cli/commands/test_check", "check_turns_a_page_and_names_the_gateway"),
        at("real/test_gateway", "all_pages_are_read_at_our_base", "a_changed_etag_misleads_nobody"),
    ),
)
