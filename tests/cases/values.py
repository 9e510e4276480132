"""Situations of values: what stands in the images, and how much of it."""

from __future__ import annotations

from tests.cases.row import Row, at


def _case(says: str, *tests: tuple[str, ...], missing: str = "") -> Row:
    return Row(group="Values", name="", says=says, tests=sum(tests, ()), missing=missing)


VALUES = (
    _case(
        "Any bytes in any tag: a resource or a named note, no instance lost",
        at(
            "mapping/test_any_values",
            "any_byte_salad_in_any_mapped_tag_gives_a_resource_or_a_named_note_and_loses_no_instance",
        ),
        at("snapshot/test_any_bytes", "no_instance_is_lost_whatever_the_values_are"),
    ),
    _case(
        "A file that is lost, damaged, too large or too late",
        at("archive/test_unread", "an_instance_in_trouble_of_its_own_is_left_unread"),
        at("archive/test_unread", "an_archive_that_reads_no_neighbour_either_is_in_trouble_itself"),
        at("loop/test_unread", "a_study_whose_only_file_is_lost_is_published_from_the_index"),
        at("loop/test_unread", "what_was_lost_is_looked_at_again_and_said_when_it_is_back"),
        at("loop/test_unread", "what_was_published_is_not_said_anew_with_nothing_to_read"),
        at("real/test_unread", "a_file_that_is_lost_costs_its_series_side_and_nobody_the_study"),
        at("real/test_unread", "a_study_of_which_every_file_is_damaged_says_what_the_index_knows"),
        at("real/test_unread", "a_lost_key_object_costs_nobody_the_study"),
    ),
    _case(
        "A slide of 126,280 frames",
        at("archive/test_unread", "a_slide_of_many_frames_is_asked_value_by_value"),
        at("archive/test_unread", "what_costs_the_archive_much_is_not_asked_again"),
        at("real/test_unread", "a_slide_of_many_frames_is_published_without_its_frames"),
    ),
    _case(
        "Sequences nested 40 deep",
        at("real/test_unread", "forty_sequences_within_each_other_are_read"),
    ),
    _case(
        "Numbers: 1.0, abc, empty, beyond 31 bits",
        at("snapshot/test_text", "a_number_is_an_unsigned_int_or_omitted"),
        at("snapshot/test_text", "an_empty_number_is_absent_without_a_rejection"),
    ),
    _case(
        "Dates and times: partial, 2400, leap second, fractions",
        at("snapshot/test_dates", "a_date_is_a_calendar_date_or_nothing", "a_time_is_cut_to_what_fhir_can_say"),
        at("snapshot/test_dates", "a_clamped_leap_second_says_so"),
    ),
    _case(
        "No time zone, or a wrong one",
        at("mapping/test_moments", "a_moment_as_dateTime", "odd_hours_are_known"),
        at("snapshot/test_dates", "an_offset_is_valid_or_as_good_as_absent"),
    ),
    _case(
        "Names: only an ideographic group, five components, trailing carets",
        at("snapshot/test_names", "a_name_is_split_by_its_carets_and_never_by_guess"),
        at("mapping/test_patient", "each_group_of_a_name_is_a_human_name"),
    ),
    _case(
        "Character sets, ISO 2022 and mislabelled ones",
        at("snapshot/test_reading", "case_14_utf8_without_a_character_set_is_mended_only_where_the_site_wants_it"),
        at("snapshot/test_build", "mojibake_is_passed_on_and_noted"),
        at("snapshot/test_text", "utf8_read_as_latin1_is_recognised"),
        at("contracts/orthanc_reading", "a_japanese_backslash_is_answered_as_a_yen_sign"),
    ),
    _case(
        "Padding of NUL and blanks",
        at("snapshot/test_text", "text_is_trimmed_and_free_of_controls"),
        at("snapshot/test_build", "uids_with_leading_zeros_pass_and_padded_ones_are_trimmed"),
    ),
    _case(
        "Text of several values",
        at("snapshot/test_text", "several_values_are_split_and_joined"),
    ),
    _case(
        "UIDs with leading zeros",
        at("mapping/test_imagingstudy", "leading_zeros_in_uids_pass"),
        at("mapping/test_dstu2", "dstu2_says_a_uid_only_where_it_is_an_oid"),
    ),
    _case(
        "UIDs over 64 characters",
        at("mapping/test_identity", "what_is_no_uid_is_parked_or_hashed"),
        at("snapshot/test_build", "what_no_fhir_id_can_hold_is_left_out_and_noted"),
    ),
    _case(
        "The same UID twice",
        at("snapshot/test_build", "a_duplicate_uid_is_kept_once_in_its_series", "one_uid_in_two_series_stays_in_both"),
    ),
    _case(
        "Private SOP classes",
        at("mapping/test_imagingstudy", "the_sop_class_is_a_urn_or_said_to_be_unknown"),
        at("mapping/test_dialects", "the_sop_class_is_an_oid_or_said_to_be_unknown"),
    ),
    _case(
        "Modality missing or unknown",
        at("snapshot/test_modality", "a_missing_modality_is_inferred_and_flagged"),
        at("mapping/test_imagingstudy", "an_unknown_modality_is_said_and_a_private_one_shown"),
    ),
    _case(
        "Instance or series number missing",
        at("snapshot/test_build", "series_and_instances_are_ordered_by_number_and_uid"),
        at("mapping/test_imagingstudy", "absent_facts_are_absent_elements"),
    ),
    _case(
        "Never a silently lost instance, always a note",
        at("mapping/test_notes", "each_oddity_leaves_one_note", "a_left_out_series_counts_its_instances_too"),
        at("snapshot/test_build", "an_instance_of_an_unlisted_series_is_said"),
        at("mapping/test_properties", "counts_are_those_of_what_is_listed"),
    ),
    _case(
        "PatientID missing or empty",
        at("mapping/test_identity", "without_a_patient_id_the_study_is_the_key"),
        at("mapping/test_patient", "a_patient_without_patient_id_says_so"),
        at("loop/test_subjects", "without_a_patient_id_nothing_is_searched"),
    ),
    _case(
        "Issuer mapped, unmapped, qualified",
        at("mapping/test_systems", "the_issuer_rule"),
        at("mapping/test_identity", "one_number_from_different_issuers_is_different_patients"),
    ),
    _case("Sex O, or rubbish", at("snapshot/test_identifiers", "sex_becomes_a_gender")),
    _case("Birth date partial", at("snapshot/test_dates", "a_birth_date_may_be_partial")),
    _case(
        "A study of one instance",
        at("mapping/test_profiles", "a_series_of_one_image_stays_what_it_is_without_a_profile"),
        at("loop/test_arriving", "a_stable_study_is_published_whole_and_its_mark_goes"),
    ),
    _case(
        "A study of 50,000 instances",
        at("snapshot/test_any_bytes", "a_study_of_many_instances_keeps_them_all"),
        at("archive/test_study_pass", "a_study_beyond_the_limit_is_parked_and_names_it"),
        at("real/test_archive", "a_thousand_instances_cost_no_call_more"),
        at("real/test_many_instances", "fifty_thousand_instances_are_counted_and_none_is_lost"),
        missing="50,000 instances in Orthanc 1.12: more than ten minutes there; 1,000 are the most",
    ),
    _case(
        "Several modalities in one study",
        at("mapping/test_imagingstudy", "study_modalities_are_those_of_its_series"),
    ),
    _case(
        "SR, PR, KO, PDF",
        at("mapping/test_imagingstudy", "documents_are_titled_instances_of_their_own_series"),
        at("snapshot/test_build", "documents_are_titled"),
        at("archive/test_study_pass", "documents_are_read_in_full"),
        at("loop/test_rejections", "other_key_objects_are_listed_and_take_nothing_back"),
    ),
    _case(
        "SEG, RT, waveforms, video",
        at("snapshot/test_modality", "a_missing_modality_is_inferred_and_flagged"),
        at("snapshot/test_modality", "the_table_holds_real_sop_classes_and_real_modalities"),
        at("real/test_archive", "every_real_file_is_read"),
        at("real/test_pydicom_files", "the_oracle_finds_both_sides_equal"),
    ),
    _case(
        "Every resource passes HAPI's $validate in each FHIR version",
        at("real/test_versions", "every_real_study_is_valid", "odd_studies_are_valid", "generated_studies_are_valid"),
        at("real/test_pydicom_files", "every_resource_of_ours_is_valid"),
    ),
)
