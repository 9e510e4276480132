"""Rules A, B: following the archive, and saying it in FHIR."""

from __future__ import annotations

from tests.cases.row import Row, at


def _rule(name: str, says: str, *tests: tuple[str, ...], missing: str = "") -> Row:
    group = "A. Following the archive" if name.startswith("A") else "B. Saying it in FHIR"
    return Row(group=group, name=name, says=says, tests=sum(tests, ()), missing=missing)


FOLLOWING = (
    _rule(
        "A1",
        "First start: the feed's position is committed before the listing, and nothing is gone before that is done",
        at("loop/test_intake", "nothing_is_followed_before_the_position_is_committed"),
        at("loop/test_intake", "a_crash_within_the_first_listing_keeps_the_position"),
        at("loop/test_sweep", "nothing_is_gone_before_the_first_inventory_is_committed"),
        at("ledger/test_feed", "the_bootstrap_mark_is_kept_over_a_restart"),
        at("real/test_archive", "the_inventory_lists_each_study_once"),
    ),
    _rule(
        "A2",
        "Intake: durable events, one bulk call for a page, marks and position in one transaction",
        at("feed/test_interest", "only_what_may_change_a_study_is_resolved"),
        at("ledger/test_feed", "cursor_marks_copies_and_what_was_seen_move_together"),
        at("ledger/test_feed", "an_intake_that_fails_moves_nothing"),
        at("ledger/test_crash", "what_was_committed_survives_kill_9_and_the_rest_is_only_repeated"),
        at("real/test_archive", "the_feed_resolves_to_the_study"),
    ),
    _rule(
        "A3",
        "Position and overlap: what becomes visible late is seen, nothing is marked twice",
        at("feed/test_follow", "each_poll_asks_only_for_what_may_be_new"),
        at("loop/test_intake", "each_change_is_marked_once", "a_number_that_becomes_visible_late_is_seen"),
        at("loop/test_intake", "entries_that_vanished_are_asked_of_the_inventory"),
        at("real/test_later", "changes_that_vanished_before_they_were_read_cause_one_inventory"),
    ),
    _rule(
        "A4",
        "Which index is this: told by its content; another one pauses that archive until the operator's word",
        at("loop/test_identity", "a_reindexed_archive_goes_on_by_itself", "an_exchanged_archive_is_paused"),
        at("loop/test_identity", "half_of_the_sample_is_the_proof", "a_small_ledger_proves_nothing"),
        at("loop/test_daemon", "an_exchanged_archive_stops_publishing_until_it_is_accepted"),
        at("cli/test_archive", "archive_list_and_accept"),
    ),
    _rule(
        "A5",
        "Available needs the archive's own word of the same read, or ten minutes of unbroken streaming",
        at("loop/test_arriving", "a_stable_event_alone_is_not_believed"),
        at("loop/test_arriving", "quiet_that_nobody_reports_still_ends_in_available"),
        at("loop/test_arriving", "a_stream_without_end_is_published_after_ten_minutes"),
        at("real/test_arriving", "a_study_becomes_available_though_orthanc_died_after_it_was_registered"),
    ),
    _rule(
        "A6",
        "Registered says who, when and where; once, and not of key objects alone",
        at("loop/test_arriving", "a_study_that_arrives_is_announced_without_its_content"),
        at("loop/test_arriving", "it_is_announced_once_however_long_it_streams"),
        at("loop/test_arriving", "key_objects_alone_are_no_reason_to_announce"),
        at("loop/test_dstu2", "a_study_that_arrives_is_not_written_but_keeps_its_mark"),
        at("real/test_arriving", "registered_says_who_and_when_but_nothing_that_may_still_change"),
    ),
    _rule(
        "A7",
        "Snapshot: what does not fit is unknown, read again, and never a smaller study",
        at("archive/test_study_pass", "what_does_not_fit_is_unknown_and_never_a_smaller_study"),
        at("loop/test_arriving", "a_torn_read_is_read_again", "a_study_that_is_torn_again_and_again_stays_dirty"),
        at("real/test_archive", "a_study_that_changes_while_it_is_read_is_unknown"),
        at("real/test_archive", "one_pass_costs_what_the_rule_says", "a_site_that_cuts_finds_loses_no_instance"),
    ),
    _rule(
        "A8",
        "Sweep: the whole listing against the copies, counts in turn; gone is only a mark",
        at("loop/test_sweep", "a_deleted_study_is_marked_though_nothing_announced_it", "a_deleted_instance_is_noticed"),
        at("loop/test_sweep", "a_share_is_counted_although_the_total_fits"),
        at("loop/test_sweep", "what_came_after_the_listing_began_is_not_gone"),
        at("ledger/test_sweep", "what_differs", "gone_is_what_was_known_before_and_is_not_listed"),
        at("archive/test_digest", "every_word_counts", "what_says_nothing_else_does_not_count"),
        at("loop/test_sweep", "a_reconstructed_study_is_noticed_by_its_words"),
        at(
            "real/test_sweep", "deletions_that_nothing_announced_are_noticed", "new_words_that_nothing_announced_are_noticed"
        ),
    ),
    _rule(
        "A9",
        "Order of work: the feed's marks, repairs, backlog",
        at("ledger/test_work", "work_is_handed_out_by_priority_then_due_time_then_uid"),
        at("ledger/test_archives", "what_becomes_due_behind_many_that_wait_is_found_at_once"),
        at("loop/test_intake", "feed_marks_pass_before_the_backlog"),
        at(
            "loop/test_backfill",
            "old_studies_are_worked_on_newest_first",
            "what_arrives_while_thousands_wait_is_the_next_study",
            "the_rate_bounds_old_studies_only",
            "outside_the_window_no_old_study_is_begun",
        ),
        at("benchmarks/test_arrival_benchmark", "both_rows_and_their_ratio_are_told"),
        missing="the 2 s beside 10,000 that wait: `make bench` measures them (benchmarks/arrival.py); a time is no test",
    ),
    _rule(
        "B1",
        "What is sent is our own JSON, and it was checked",
        at("mapping/test_check", "what_fhirclient_lets_pass_is_found", "the_check_changes_nothing"),
        at("publish/test_http", "what_is_sent_is_our_own_json"),
        at("mapping/test_properties", "every_resource_of_every_study_can_be_sent"),
        at("real/test_mapping_validates", "hapi_finds_no_error_in_generated_studies"),
        at("real/test_versions", "what_is_written_comes_back"),
    ),
    _rule(
        "B2",
        "No fact that changes in tags or labels; one constant tag",
        at("mapping/test_imagingstudy", "installation_and_prefix_reach_the_resource"),
        at("plan/test_ownership", "a_generated_narrative_is_dropped_and_foreign_tags_stay"),
        at("loop/test_target", "a_ledger_refuses_another_installation_id"),
        at("contracts/fhir_contract", "tags_and_labels_left_out_are_carried_forward"),
    ),
    _rule(
        "B3",
        "Equality is of essences; another fingerprint renders everything again",
        at("plan/test_essence", "what_a_server_adds_is_no_difference", "what_matters_is_a_difference"),
        at("mapping/test_fingerprint", "every_setting_counts"),
        at("loop/test_target", "changed_settings_render_everything_again"),
        at("ledger/test_work", "only_what_was_published_under_another_fingerprint_is_outdated"),
        at("real/test_pydicom_files", "a_second_resync_sends_no_write_at_all"),
    ),
    _rule(
        "B4",
        "Patient: an exact match, or our own; never somebody else's rewritten; ours gives way",
        at("plan/test_subject", "exactly_one_foreign_patient_is_used", "several_patients_are_ambiguous"),
        at("loop/test_subjects", "an_exact_match_is_used_and_never_written"),
        at("loop/test_subjects", "only_the_greatest_study_changes_our_patient", "a_doubtful_patient_parks_the_study"),
        at("loop/test_turned_up", "all_studies_move_to_a_patient_that_turns_up_and_ours_gives_way"),
        at("loop/test_refusals", "a_refused_reference_is_resolved_again_once", "a_reference_refused_twice_is_parked"),
        at("real/test_provenance", "subjects_move_to_a_patient_that_turns_up"),
    ),
    _rule(
        "B5",
        "Endpoints: our ids, by archive and service; another writer's at our id is the operator's matter",
        at("mapping/test_endpoints", "every_service_with_an_address_has_one", "ihe_iid_is_said_only_of_an_iid_address"),
        at("loop/test_target", "a_foreign_endpoint_at_our_id_is_the_operators_matter"),
        at("real/test_bad_input", "an_endpoint_of_somebody_else_at_our_id_is_left_alone"),
    ),
    _rule(
        "B6",
        "Laterality: every image of the series, or none is said",
        at("snapshot/test_laterality", "the_side_of_a_series_of_two_images", "an_omitted_side_is_noted"),
        at("archive/test_study_pass", "every_instance_is_asked_where_one_names_its_side"),
        at("archive/test_study_pass", "a_series_too_long_to_ask_has_no_sides"),
    ),
    _rule(
        "B7",
        "Rejection: the same patient only; timers and marks survive; a returned study waits until it is stable",
        at("snapshot/test_rejection", "nothing_left_is_an_error_only_if_everything_was"),
        at("snapshot/test_rejection", "another_studys_note_counts_under_the_same_patient_only"),
        at("loop/test_rejections", "a_withdrawn_study_keeps_its_status_until_it_is_stable"),
        at("loop/test_rejections", "a_deleted_note_counts_for_a_sweep_interval_and_then_no_more"),
        at("ledger/test_rejections", "what_was_said_survives_a_restart", "every_other_change_marks_those_whom_it_named"),
        at("real/test_rejection", "a_rejection_note_takes_its_images_back_until_it_is_deleted"),
    ),
    _rule(
        "B8",
        "Provenance of corrections, owed from the record on, in nobody's way",
        at("loop/test_provenance", "another_patient_leaves_one_provenance_and_the_old_patient_stays"),
        at("loop/test_provenance", "what_the_server_refuses_is_given_up_and_counted"),
        at("loop/test_provenance", "it_does_not_count_among_the_writes_of_a_study"),
        at("crash/test_trail", "a_provenance_that_is_owed_is_written_once"),
        at("real/test_provenance", "a_withdrawn_study_leaves_one"),
    ),
)
