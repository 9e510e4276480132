"""Situations of the feed and of the intake."""

from __future__ import annotations

from tests.cases.row import Row, at


def _case(says: str, *tests: tuple[str, ...], missing: str = "") -> Row:
    return Row(group="Feed", name="", says=says, tests=sum(tests, ()), missing=missing)


FEED = (
    _case(
        "Every change is processed once",
        at("loop/archives/test_intake", "each_change_is_marked_once", "a_page_that_is_answered_twice_marks_nothing_twice"),
    ),
    _case(
        "Pages are read until Done",
        at("feed/test_follow", "reading_goes_on_from_the_page_until_done"),
        at("archive/rest/test_calls", "a_page_that_leads_nowhere_is_refused"),
    ),
    _case(
        "Several studies in one page",
        at("feed/test_interest", "a_burst_makes_one_mark_and_each_copy_its_own"),
        at("archive/test_orthanc", "resources_are_resolved_to_studies_in_chunks"),
    ),
    _case(
        "An empty poll writes nothing",
        at("loop/archives/test_intake", "an_empty_poll_writes_nothing"),
        at("feed/test_follow", "an_empty_poll_changes_nothing"),
    ),
    _case(
        "Unknown types, and a page of nothing else, move the position and mark nothing",
        at("feed/test_follow", "unknown_types_move_the_cursor"),
        at("loop/archives/test_intake", "changes_that_say_nothing_to_us_move_the_cursor"),
    ),
    _case(
        "A malformed entry is told, a sweep is asked for, its neighbours survive",
        at("feed/test_follow", "unreadable_entries_are_told_once_and_their_neighbours_survive"),
        at("loop/archives/test_intake", "an_entry_that_cannot_be_read_is_told_and_its_neighbours_survive"),
        at("archive/test_orthanc", "an_unreadable_change_is_counted_and_its_neighbours_survive"),
    ),
    _case(
        "A gap in the numbers does not stall, and is seen when it is filled late",
        at("feed/test_follow", "a_gap_does_not_stall_and_is_still_filled_late"),
        at("loop/archives/test_intake", "a_number_that_becomes_visible_late_is_seen"),
    ),
    _case(
        "The last number goes back after a deletion: no reset",
        at("contracts/orthanc_contract", "last_is_what_is_still_there_and_goes_back"),
        at("contracts/orthanc_contract", "an_empty_page_gives_the_highest_number_ever"),
        at("loop/archives/test_intake", "entries_that_vanished_are_asked_of_the_inventory"),
        at("real/test_later", "changes_that_vanished_before_they_were_read_cause_one_inventory"),
    ),
    _case(
        "An emptied log: no reset",
        at("loop/archives/test_intake", "an_emptied_log_is_no_other_archive"),
        at("contracts/orthanc_contract", "delete_changes_empties_the_log_and_the_counter_goes_on"),
    ),
    _case(
        "Another archive behind the address: paused, no hot loop, nothing retracted",
        at("loop/test_same_archive", "an_exchanged_archive_is_paused"),
        at("loop/study/test_brake", "an_archive_that_is_another_closes_the_brake"),
        at("loop/process/test_daemon", "a_daemon_that_starts_on_an_exchanged_archive_publishes_nothing"),
    ),
    _case(
        "A wiped index, empty or read in anew",
        at("loop/study/test_section_i", "case_57_a_wiped_archive_takes_nothing_back"),
        at("loop/test_same_archive", "a_reindexed_archive_goes_on_by_itself"),
    ),
    _case(
        "Late instances of a known study and of a known series",
        at("loop/study/test_arriving", "a_late_instance_moves_the_counts"),
        at("loop/study/test_section_i", "case_61_images_after_the_study_was_stable_are_a_second_version"),
        at("real/test_later", "a_late_instance_of_a_known_series_is_counted", "a_late_series_updates_modality_and_counts"),
    ),
    _case(
        "The same across a restart of either side",
        at("real/test_later", "a_late_instance_sent_while_syncd_was_down_is_counted"),
        at("real/test_later", "a_late_instance_is_counted_when_the_archive_was_restarted"),
    ),
    _case(
        "StableStudy three times in a burst: one write",
        at("feed/test_interest", "a_burst_makes_one_mark_and_each_copy_its_own"),
        at("ledger/studies/test_claims", "a_study_marked_many_times_is_handed_out_once"),
        at("loop/study/test_section_i", "case_59_the_same_instance_again_costs_no_write"),
    ),
    _case(
        "A thousand instances streaming in: one write of each status at most",
        at("loop/study/test_arriving", "it_is_announced_once_however_long_it_streams"),
        at("real/test_arriving", "a_thousand_instances_cost_two_writes_and_one_snapshot"),
    ),
    _case(
        "Orthanc killed before it called the study stable",
        at("loop/study/test_arriving", "quiet_that_nobody_reports_still_ends_in_available"),
        at("contracts/orthanc_contract", "killed_before_stable_no_event_ever_says_so"),
        at("real/test_arriving", "a_study_becomes_available_though_orthanc_died_before_it_was_registered"),
    ),
)
