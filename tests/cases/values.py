"""Situations of values: what stands in the images, and how much of it."""

from __future__ import annotations

from tests.cases.row import Row, at


def _case(says: str, *tests: tuple[str, ...], missing: str = "") -> Row:
    return Row(group="Values", name="", says=says, tests=sum(tests, ()), missing=missing)


VALUES = (
    _case(
        "Sides, regions, body parts, protocols, performers that images of a series differ in, or only some say",
        at(
            "snapshot/values/test_agreement",
            "what_images_differ_in_is_left_out_and_noted",
            "two_sides_in_one_series_are_no_side",
        ),
        at("snapshot/values/test_agreement", "a_region_is_the_series_where_every_image_names_it"),
        at("real/test_agreement", "images_of_both_sides_have_none", "images_of_hand_and_foot_have_no_region"),
        at("real/test_agreement", "what_differs_among_few_or_many_images_is_left_out"),
    ),
    _case(
        "An image that names one side or region, and another of its frames; a body part that another's code contradicts",
        at("snapshot/series/test_laterality", "the_side_of_a_series_of_two_images"),
        at("snapshot/values/test_agreement", "a_region_of_some_frames_is_not_the_images"),
        at("mapping/values/test_terms", "a_body_part_that_an_image_contradicts_by_code_is_not_shown"),
    ),
    _case(
        "Main tags that the archive decoded wrongly, of whichever series: no order, name or text beside the true one",
        at("snapshot/values/test_main_tags", "what_a_file_says_stands_in_the_place_of_what_the_archive_made_of_it"),
    ),
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
        at("archive/reading/test_unread", "an_instance_in_trouble_of_its_own_is_left_unread"),
        at("archive/reading/test_unread", "an_archive_that_reads_no_neighbour_either_is_in_trouble_itself"),
        at("loop/study/test_unread", "a_study_whose_only_file_is_lost_is_published_from_the_index"),
        at("loop/study/test_unread", "what_was_lost_is_looked_at_again_and_said_when_it_is_back"),
        at("loop/study/test_unread", "what_was_published_is_not_said_anew_with_nothing_to_read"),
        at("real/test_unread", "a_file_that_is_lost_costs_its_series_side_and_nobody_the_study"),
        at("real/test_unread", "a_study_of_which_every_file_is_damaged_says_what_the_index_knows"),
        at("real/test_unread", "a_lost_key_object_costs_nobody_the_study"),
    ),
    _case(
        "A slide of 126,280 frames",
        at("archive/reading/test_unread", "a_slide_of_many_frames_is_asked_value_by_value"),
        at("archive/reading/test_unread", "what_costs_the_archive_much_is_not_asked_again"),
        at("real/test_unread", "a_slide_of_many_frames_is_published_without_its_frames"),
    ),
    _case(
        "Sequences nested 40 deep",
        at("real/test_unread", "forty_sequences_within_each_other_are_read"),
    ),
    _case(
        "Numbers: 1.0, abc, empty, beyond 31 bits",
        at("snapshot/values/test_text", "a_number_is_an_unsigned_int_or_omitted"),
        at("snapshot/values/test_text", "an_empty_number_is_absent_without_a_rejection"),
    ),
    _case(
        "Dates and times: partial, 2400, leap second, fractions",
        at("snapshot/values/test_dates", "a_date_is_a_calendar_date_or_nothing", "a_time_is_cut_to_what_fhir_can_say"),
        at("snapshot/values/test_dates", "a_clamped_leap_second_says_so"),
    ),
    _case(
        "No time zone, or a wrong one",
        at("mapping/values/test_moments", "a_moment_as_dateTime", "odd_hours_are_known"),
        at("snapshot/values/test_dates", "an_offset_is_valid_or_as_good_as_absent"),
    ),
    _case(
        "Names: only an ideographic group, five components, trailing carets",
        at("snapshot/values/test_names", "a_name_is_split_by_its_carets_and_never_by_guess"),
        at("mapping/resources/test_patient", "each_group_of_a_name_is_a_human_name"),
    ),
    _case(
        "Character sets: several values and escapes, ISO IR 13, misspelt, false and missing labels",
        at(
            "snapshot/values/test_decoding",
            "what_is_in_the_sets_named_is_read_without_a_word",
            "5ch_separates_values_where_it_is_no_part_of_a_character",
            "a_misspelt_term_is_the_one_that_can_only_be_meant",
            "what_is_in_no_set_named_is_left_out",
            "utf8_under_a_label_that_says_nothing_of_it_is_utf8_and_noted",
            "the_bytes_of_a_name_win_over_what_the_archive_made_of_them",
        ),
        at("snapshot/test_reading", "case_14_utf8_that_is_not_declared_is_read_as_such_or_left_out"),
        at(
            "archive/reading/test_instance_tags",
            "a_text_is_doubted_that_shows_another_set_or_may_have_had_escapes",
            "under_a_name_that_the_archive_does_not_know_every_text_is_doubted",
            "what_the_archive_decodes_well_is_believed",
        ),
        at("contracts/orthanc_reading", "texts_are_decoded_by_the_first_set_that_is_known"),
        at("contracts/orthanc_reading", "a_japanese_backslash_is_answered_as_a_yen_sign"),
        at("real/test_texts", "two_operators_under_iso_ir_13_are_two", "a_name_is_what_its_bytes_say_or_left_out"),
    ),
    _case(
        "An item in a character set of its own",
        at("snapshot/values/test_decoding", "texts_in_items_carry_their_own_character_set"),
        at("real/test_texts", "an_item_in_a_set_of_its_own_is_read_in_it"),
    ),
    _case(
        "Values above 256 bytes, which the archive answers with null",
        at("contracts/orthanc_reading", "texts_above_256_bytes_are_null_and_no_main_tags"),
        at("archive/reading/test_instance_tags", "texts_are_asked_for_however_long_they_are"),
        at("archive/reading/test_instance_tags", "every_text_that_the_snapshot_names_is_in_the_list"),
        at(
            "snapshot/values/test_decoding",
            "a_text_that_could_not_be_had_is_not_absent",
            "what_is_empty_is_absent_without_a_note",
        ),
        at("real/test_texts", "a_name_of_more_than_256_bytes_is_there", "long_texts_are_there_on_every_level"),
    ),
    _case(
        "What reading raw costs: nothing for plain studies, and a bounded number of calls for others",
        at("real/test_texts", "plain_studies_cost_no_call_more"),
        at("archive/reading/test_study_pass", "a_pass_costs_four_or_three_calls_and_one_per_series"),
        at("archive/reading/test_instance_tags", "what_is_asked_for_is_bounded_in_number_and_size"),
    ),
    _case(
        "Padding of NUL and blanks",
        at("snapshot/values/test_text", "text_is_trimmed_and_free_of_controls"),
        at("snapshot/test_build", "uids_with_leading_zeros_pass_and_padded_ones_are_trimmed"),
    ),
    _case(
        "Text of several values",
        at("snapshot/values/test_text", "several_values_are_split_and_joined"),
    ),
    _case(
        "UIDs with leading zeros",
        at("mapping/resources/test_imagingstudy", "leading_zeros_in_uids_pass"),
        at("mapping/dialects/test_dstu2", "dstu2_says_a_uid_only_where_it_is_an_oid"),
    ),
    _case(
        "UIDs over 64 characters",
        at("mapping/values/test_identity", "what_is_no_uid_is_parked_or_hashed"),
        at("snapshot/test_build", "what_no_fhir_id_can_hold_is_left_out_and_noted"),
    ),
    _case(
        "The same UID twice",
        at("snapshot/test_build", "a_duplicate_uid_is_kept_once_in_its_series", "one_uid_in_two_series_stays_in_both"),
    ),
    _case(
        "Private SOP classes",
        at("mapping/resources/test_imagingstudy", "the_sop_class_is_a_urn_or_said_to_be_unknown"),
        at("mapping/dialects/test_dialects", "the_sop_class_is_an_oid_or_said_to_be_unknown"),
    ),
    _case(
        "Modality missing or unknown",
        at("snapshot/instances/test_modality", "a_missing_modality_is_inferred_and_flagged"),
        at("mapping/resources/test_imagingstudy", "an_unknown_modality_is_said_and_a_private_one_shown"),
    ),
    _case(
        "Instance or series number missing",
        at("snapshot/test_build", "series_and_instances_are_ordered_by_number_and_uid"),
        at("mapping/resources/test_imagingstudy", "absent_facts_are_absent_elements"),
    ),
    _case(
        "Never a silently lost instance, always a note",
        at("mapping/notes/test_notes", "each_oddity_leaves_one_note", "a_left_out_series_counts_its_instances_too"),
        at("snapshot/test_build", "an_instance_of_an_unlisted_series_is_said"),
        at("mapping/test_properties", "counts_are_those_of_what_is_listed"),
    ),
    _case(
        "Patient, side, body region or order in doubt: published without it, noted, listed until it is corrected",
        at("loop/study/test_odd_values", "what_is_in_doubt_is_counted_apart_and_kept"),
        at("ledger/studies/test_safety", "a_study_leaves_the_list_in_the_transaction_that_records_it"),
        at("ledger/studies/test_safety", "what_is_published_stays_in_doubt_until_it_is_said_anew"),
        at("ledger/studies/test_safety", "an_unchanged_study_costs_no_statement"),
        at("cli/commands/test_notes", "the_list_names_study_tag_and_rule", "status_gives_the_number_and_the_command"),
    ),
    _case(
        "The same at a site that wants no such study: parked, and no other",
        at("loop/study/test_odd_values", "safe_parks_only_what_is_in_doubt", "what_a_site_did_not_configure_is_no_doubt"),
        at("loop/study/test_odd_values", "strict_is_never_less_than_safe"),
    ),
    _case(
        "Lists in a pipe, or on a narrow terminal: one line a study",
        at("cli/test_lines", "each_parked_study_is_one_line", "each_difference_is_one_line", "a_pipe_gets_whole_lines"),
    ),
    _case(
        "PatientID missing or empty",
        at("mapping/values/test_identity", "without_a_patient_id_the_study_is_the_key"),
        at("mapping/resources/test_patient", "a_patient_without_patient_id_says_so"),
        at("loop/companions/test_subjects", "without_a_patient_id_nothing_is_searched"),
    ),
    _case(
        "Issuer mapped, unmapped, qualified",
        at("mapping/values/test_systems", "the_issuer_rule"),
        at("mapping/values/test_identity", "one_number_from_different_issuers_is_different_patients"),
    ),
    _case(
        "Two people under one PatientID",
        at("loop/companions/test_one_person", "the_study_that_came_later_is_parked"),
        at("loop/companions/test_one_person", "what_the_server_holds_is_compared_not_what_the_ledger_remembers"),
        at("loop/companions/test_one_person", "a_correction_that_another_study_does_not_share_waits_for_it"),
        at("loop/companions/test_one_person", "one_value_that_differs_is_published_with_a_note"),
        at("loop/companions/test_one_person", "a_remembered_foreign_patient_is_judged"),
        at("real/test_provenance", "two_people_of_one_number_are_never_one_patient"),
        at("real/test_provenance", "a_lost_ledger_asks_the_server_who_stands_by_the_patient"),
    ),
    _case(
        "Two people in one study",
        at("snapshot/people/test_one_person", "series_of_two_people_contradict_each_other"),
        at("snapshot/people/test_one_person", "one_value_that_differs_is_left_out_and_noted"),
        at("snapshot/people/test_one_person", "issuers_that_differ_leave_the_number_to_nobody"),
        at("loop/companions/test_one_person", "series_of_two_people_in_one_study_are_parked"),
        at("loop/companions/test_one_person", "issuers_that_differ_within_a_study_share_no_patient"),
        at("loop/companions/test_one_person", "copies_of_two_people_are_parked"),
    ),
    _case("Sex O, or rubbish", at("snapshot/test_identifiers", "sex_becomes_a_gender")),
    _case("Birth date partial", at("snapshot/values/test_dates", "a_birth_date_may_be_partial")),
    _case(
        "A study of one instance",
        at("mapping/profiles/test_profiles", "a_series_of_one_image_stays_what_it_is_without_a_profile"),
        at("loop/study/test_arriving", "a_stable_study_is_published_whole_and_its_mark_goes"),
    ),
    _case(
        "A study of 50,000 instances",
        at("snapshot/test_any_bytes", "a_study_of_many_instances_keeps_them_all"),
        at("archive/reading/test_study_pass", "a_study_beyond_the_limit_is_parked_and_names_it"),
        at("real/test_archive", "a_thousand_instances_cost_no_call_more"),
        at("real/test_many_instances", "fifty_thousand_instances_are_counted_and_none_is_lost"),
        missing="50,000 instances in Orthanc 1.12: more than ten minutes there; 1,000 are the most",
    ),
    _case(
        "Several modalities in one study",
        at("mapping/resources/test_imagingstudy", "study_modalities_are_those_of_its_series"),
    ),
    _case(
        "Another modality inside a series: RTSTRUCT in CT, CT in PT",
        at("snapshot/test_build", "an_rtstruct_in_a_ct_series_keeps_its_modality"),
        at("snapshot/instances/test_modality", "a_sop_class_contradicts_its_series_only_where_it_leaves_no_doubt"),
        at("mapping/resources/test_imagingstudy", "what_lies_in_a_series_of_another_modality_is_named_with_the_study"),
        at("mapping/notes/test_unsaid", "a_modality_that_r6_may_not_name_with_the_study_is_noted"),
        at("real/test_orders", "an_archive_of_either_version_tells_of_every_order"),
    ),
    _case(
        "A code string in lower case: modality, sex",
        at("snapshot/instances/test_modality", "a_token_is_the_first_value"),
        at("snapshot/test_identifiers", "sex_becomes_a_gender"),
    ),
    _case(
        "Several orders in one study, in its requests or in several series or copies",
        at("snapshot/test_identifiers", "accessions_are_those_of_the_study_and_of_its_requests"),
        at("snapshot/test_build", "orders_of_every_series_are_the_studys"),
        at("snapshot/test_union", "what_any_copy_says_of_orders_and_identifiers_counts"),
        at(
            "mapping/resources/test_several_archives", "a_number_that_another_archive_tells_of_is_under_that_archives_system"
        ),
        at("loop/fhir/test_turned_up", "every_order_of_a_study_is_searched"),
        at("real/test_orders", "a_study_is_found_by_each_of_its_orders"),
    ),
    _case(
        "Accession numbers that exclude each other",
        at("snapshot/test_identifiers", "only_numbers_that_exclude_each_other_are_a_doubt"),
        at("snapshot/test_build", "levels_that_contradict_each_other_are_all_named_with_a_safety_note"),
    ),
    _case(
        "One number with and without its issuer, and of two issuers",
        at("snapshot/test_identifiers", "a_number_with_and_without_its_issuer_is_one_order_and_of_two_issuers_two"),
        at("snapshot/test_identifiers", "an_issuer_is_never_given_to_another_level_s_number"),
    ),
    _case(
        "Other Patient IDs that only one series or an older study names",
        at("snapshot/test_identifiers", "further_ids_of_any_series_are_the_patients"),
        at("loop/companions/test_subjects", "our_patient_keeps_the_identifier_that_only_an_older_study_names"),
        at("loop/companions/test_subjects", "an_older_study_that_comes_later_adds_its_identifier_and_nothing_else"),
    ),
    _case(
        "SR, PR, KO, PDF",
        at("mapping/resources/test_imagingstudy", "documents_are_titled_instances_of_their_own_series"),
        at("snapshot/test_build", "documents_are_titled"),
        at("snapshot/test_build", "an_encapsulated_document_without_a_title_has_its_concepts_name"),
        at("archive/reading/test_study_pass", "documents_are_read_in_full"),
        at("loop/study/test_rejections", "other_key_objects_are_listed_and_take_nothing_back"),
    ),
    _case(
        "SEG, RT, waveforms, video",
        at("snapshot/instances/test_modality", "a_missing_modality_is_inferred_and_flagged"),
        at("snapshot/instances/test_modality", "the_table_holds_real_sop_classes_and_real_modalities"),
        at("real/test_archive", "every_real_file_is_read"),
        at("real/test_pydicom_files", "the_oracle_finds_both_sides_equal"),
    ),
    _case(
        "Every resource passes HAPI's $validate in each FHIR version",
        at("real/test_versions", "every_real_study_is_valid", "odd_studies_are_valid", "generated_studies_are_valid"),
        at("real/test_pydicom_files", "every_resource_of_ours_is_valid"),
    ),
    _case(
        "Images, series, studies and people that disagree, in anything that is mapped",
        at("drawn/test_drawn_archives", "what_is_published_of_any_archive_is_true_or_left_out"),
    ),
    _case(
        "Values above 256 bytes; character sets with escapes, several values, misspelt or false labels",
        at("drawn/test_drawn_archives", "what_is_published_of_any_archive_is_true_or_left_out"),
    ),
    _case(
        "Public sample files of other people's packages",
        at("real/test_pydicom_files", "the_oracle_finds_both_sides_equal"),
        at("real/test_public_samples", "the_oracle_finds_both_sides_equal", "every_resource_of_ours_is_valid"),
    ),
)
