"""Faults in what FHIR is told, and in what nobody may be told (RULES B and S, MAPPING C)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

_LOOP = "syncd/loop"
_OUTBOX, _DISPATCHER = "syncd/ledger/studies/outbox.py", f"{_LOOP}/outbox/dispatcher.py"

MUTANTS = (
    Mutant(
        name="outbox-overtakes",
        rule="B8",
        breaks="a later entry of a study, kind and sink is sent before an earlier one that waits",
        edits=(Edit(_OUTBOX, 'outbox.c.due <= bindparam("now"), ~_OVERTAKES)', 'outbox.c.due <= bindparam("now"))'),),
        noticed_by=(
            "tests/ledger/studies/test_outbox.py::test_nothing_overtakes_within_study_kind_and_sink",
            "tests/loop/outbox/test_dispatcher.py::test_nothing_overtakes_what_failed",
        ),
    ),
    Mutant(
        name="outbox-maker-overtakes",
        rule="B8",
        breaks="what a study was just written with is sent at once, whatever waits before it",
        edits=(Edit(_DISPATCHER, " and entry.lane not in held\n", "\n"),),
        noticed_by=(
            "tests/loop/outbox/test_dispatcher.py"
            "::test_what_the_fhir_server_is_owed_goes_at_once_unless_something_waits_before_it",
        ),
    ),
    Mutant(
        name="outbox-dead-sink-asked-by-all",
        rule="B8",
        breaks="every entry tries a receiver that is in trouble",
        edits=(
            Edit(f"{_LOOP}/outbox/breaker.py", "            if not self.is_due:\n                return False\n", ""),
            Edit(
                f"{_LOOP}/outbox/breaker.py",
                "        return until is None or (self._prober is None and self._monotonic() >= until)\n",
                "        return until is None or self._monotonic() >= 0.0\n",
            ),
        ),
        noticed_by=("tests/loop/outbox/test_dispatcher.py::test_a_dead_receiver_holds_up_nobody_else",),
    ),
    Mutant(
        name="outbox-settles-its-successor",
        rule="B8",
        breaks="an entry of the same key that came while the older one was sent counts as sent, too",
        edits=(
            Edit(
                _OUTBOX,
                '        del row["seq"]\n',
                '        row["seq"] = before.seq if before is not None else None\n',
            ),
            Edit(_OUTBOX, 'for name in _NAMES if name != "seq"}))', "for name in _NAMES}))"),
        ),
        noticed_by=(
            "tests/ledger/studies/test_outbox.py::test_a_newer_entry_of_the_same_key_is_not_settled_by_the_older_one",
        ),
    ),
    Mutant(
        name="outbox-at-most-once",
        rule="B8",
        breaks="an entry is settled before it is sent",
        edits=(
            Edit(
                _DISPATCHER,
                "            outlet.delivery.send(entry)\n",
                "            self._context.ledger.outbox.settle(entry)\n            outlet.delivery.send(entry)\n",
            ),
        ),
        noticed_by=("tests/loop/outbox/test_dispatcher.py::test_what_may_yet_succeed_is_put_off",),
    ),
    Mutant(
        name="outbox-outage-counts",
        rule="B8",
        breaks="a receiver that is away costs its entries their attempts",
        edits=(Edit(_DISPATCHER, "by=0 if isinstance(error, Unreachable) else 1", "by=1"),),
        noticed_by=("tests/loop/outbox/test_dispatcher.py::test_what_may_yet_succeed_is_put_off",),
    ),
    Mutant(
        name="outbox-gives-up-silently",
        rule="B8",
        breaks="what is given up leaves no line in the study's history",
        edits=(Edit(_OUTBOX, "    tx.connection.execute(history.insert(), line)\n", ""),),
        noticed_by=("tests/ledger/studies/test_outbox.py::test_what_was_given_up_is_told_and_kept_for_a_while",),
    ),
    Mutant(
        name="one-image-speaks-for-a-series",
        rule="B9",
        breaks="what one image says is said of a series whose other images deny it",
        edits=(
            Edit(
                "syncd/snapshot/values/agreement.py",
                "    if any(value != carried[0] for value in carried[1:]):",
                "    if False:",
            ),
        ),
        noticed_by=("tests/snapshot/values/test_agreement.py",),
    ),
    Mutant(
        name="one-side-speaks-for-two",
        rule="B9",
        breaks="of a right and a left image in one series the first one's side is published",
        edits=(
            Edit(
                "syncd/snapshot/series/laterality.py",
                "    if len(set(said)) > 1:",
                "    if False:",
            ),
        ),
        noticed_by=("tests/snapshot/values/test_agreement.py", "tests/snapshot/series/test_laterality.py"),
    ),
    Mutant(
        name="archives-decoder-trusted",
        rule="B11",
        breaks="what the archive decoded by another character set is published as it is",
        edits=(
            Edit(
                "syncd/archive/reading/doubt.py",
                "    places = doubtful(tags, texts=TEXTS | (routes.texts - CODED_STRINGS))\n",
                "    places: list[Place] = []\n",
            ),
        ),
        noticed_by=("tests/archive/reading/test_instance_tags.py::test_a_doubtful_text_is_put_there_as_bytes",),
    ),
    Mutant(
        name="main-tag-over-the-bytes",
        rule="B11",
        breaks="the archive's spoilt main tag hides what was read raw",
        edits=(
            Edit(
                "syncd/snapshot/values/main_tags.py",
                "    told = next((one for one in said if _is_better(one, value)), None)\n",
                "    told: object = None\n",
            ),
        ),
        noticed_by=("tests/snapshot/values/test_decoding.py", "tests/snapshot/values/test_main_tags.py"),
    ),
    Mutant(
        name="half-a-name",
        rule="B11",
        breaks="bytes that are not of the set are dropped instead of the text",
        edits=(
            Edit(
                "syncd/snapshot/values/character_sets.py",
                "        return value.decode(codec)\n",
                '        return value.decode(codec, "ignore")\n',
            ),
        ),
        noticed_by=("tests/snapshot/values/test_decoding.py",),
    ),
    Mutant(
        name="long-texts-cut",
        rule="B11",
        breaks="texts above 256 bytes are not asked for",
        edits=(
            Edit(
                "syncd/archive/reading/doubt.py",
                "    return routes.tags(instance_id, whole=sorted({*WHOLE, *routes.texts}))\n",
                "    return routes.tags(instance_id)\n",
            ),
        ),
        noticed_by=("tests/archive/reading/test_instance_tags.py::test_texts_are_asked_for_however_long_they_are",),
    ),
    Mutant(
        name="null-taken-for-absence",
        rule="B11",
        breaks="a text that could not be had is left out without a note",
        edits=(
            Edit(
                "syncd/snapshot/values/tags.py",
                "        if value is None and tag in self.tags and self._is_full:\n",
                "        if False:\n",
            ),
        ),
        noticed_by=("tests/snapshot/values/test_decoding.py::test_a_text_that_could_not_be_had_is_not_absent",),
    ),
    Mutant(
        name="own-writes-taken-for-changes",
        rule="B3",
        breaks="equal resources differ by what the server adds",
        edits=(
            Edit(
                "syncd/plan/essence.py",
                'if name not in ("meta", "text")}',
                'if name != "text"}',
            ),
        ),
        noticed_by=("tests/plan/test_essence.py::test_what_a_server_adds_is_no_difference",),
    ),
    Mutant(
        name="changed-settings-reach-nobody",
        rule="B3",
        breaks="what was published under other settings is not rendered again",
        edits=(
            Edit(
                f"{_LOOP}/connect.py",
                " if hold else ledger.marks.add_outdated(fingerprint)",
                "",
            ),
        ),
        noticed_by=("tests/loop/companions/test_target.py::test_changed_settings_render_everything_again",),
    ),
    Mutant(
        name="patient-searched-without-a-system",
        rule="B4",
        breaks="a number that some other house gave finds a patient",
        edits=(
            Edit(
                f"{_LOOP}/companions/patient.py",
                "    if not key.system or key.unidentified:",
                "    if key.unidentified:",
            ),
        ),
        noticed_by=("tests/loop/companions/test_subjects.py",),
    ),
    Mutant(
        name="patient-not-confirmed",
        rule="B4",
        breaks="whatever a search answers is taken for the patient",
        edits=(
            Edit(
                "syncd/publish/lookups.py",
                "if not isinstance(current, Found) or not carries(current.resource, system, value):",
                "if not isinstance(current, Found):",
            ),
        ),
        noticed_by=("tests/publish/test_own.py::test_a_hit_that_is_gone_is_no_patient",),
    ),
    Mutant(
        name="any-study-speaks-for-the-patient",
        rule="B4",
        breaks="an older study overwrites what a newer one said of the patient",
        edits=(
            Edit(
                f"{_LOOP}/companions/own_patient.py",
                "        if known is not None and speaker.key < known.source_key:",
                "        if False:",
            ),
        ),
        noticed_by=("tests/loop/companions/test_subjects.py::test_only_the_greatest_study_changes_our_patient",),
    ),
    Mutant(
        name="mismatch-overlooked",
        rule="B4",
        breaks="a patient of another birth date and gender becomes the subject",
        edits=(
            Edit(
                "syncd/plan/subject.py",
                "    if are_two(differing_traits(patient_statement(patient), patient_statement(ours))):",
                "    if False:",
            ),
        ),
        noticed_by=("tests/plan/test_subject.py::test_birth_date_and_gender_together_contradict",),
    ),
    Mutant(
        name="our-patient-turns-into-another-person",
        rule="B10",
        breaks="our own Patient is rewritten by a study of somebody else",
        edits=(
            Edit(
                f"{_LOOP}/companions/own_patient.py",
                "        if are_two(traits):\n            _require_free(",
                "        if False:\n            _require_free(",
            ),
        ),
        noticed_by=("tests/loop/companions/test_one_person.py::test_the_study_that_came_later_is_parked",),
    ),
    Mutant(
        name="two-people-in-one-study",
        rule="B10",
        breaks="series of two people are published as one patient's",
        edits=(Edit(f"{_LOOP}/study/read.py", "    if two:\n        of_what", "    if False:\n        of_what"),),
        noticed_by=("tests/loop/companions/test_one_person.py::test_series_of_two_people_in_one_study_are_parked",),
    ),
    Mutant(
        name="remembered-for-ever",
        rule="B12",
        breaks="the Patients of published studies are never asked for again",
        edits=(
            Edit(
                f"{_LOOP}/fhir/inventory.py",
                "sum(context.ledger.marks.add_subject(one) for one in find_outdated_subjects(context, subjects))",
                "0 * len(find_outdated_subjects(context, subjects))",
            ),
        ),
        noticed_by=("tests/loop/fhir/test_asked_again.py::test_old_studies_follow_a_merged_patient",),
    ),
    Mutant(
        name="side-of-one-image",
        rule="B6",
        breaks="the side of some images becomes that of the series",
        edits=(
            Edit(
                "syncd/snapshot/series/laterality.py",
                "    if len(everyone) < expected:",
                "    if not everyone:",
            ),
        ),
        noticed_by=("tests/snapshot/series/test_laterality.py",),
    ),
    Mutant(
        name="first-order-hides-the-others",
        rule="B9",
        breaks="an accession number of the study's own level hides those of its requests",
        edits=(
            Edit(
                "syncd/snapshot/orders.py",
                "    return distinct_numbers([*first, *(one for each in others for one in each)])",
                "    return distinct_numbers(first or [one for each in others for one in each])",
            ),
        ),
        noticed_by=("tests/snapshot/test_build.py::test_orders_of_every_series_are_the_studys",),
    ),
    Mutant(
        name="orders-of-one-series",
        rule="B9",
        breaks="the orders of the first series are taken for those of the study",
        edits=(
            Edit(
                "syncd/snapshot/build.py",
                "    levels += [*(Tagset(tags, notes) for tags in _differing_instances(series)), *documents]",
                "    levels += documents",
            ),
        ),
        noticed_by=("tests/snapshot/test_build.py::test_orders_of_every_series_are_the_studys",),
    ),
    Mutant(
        name="unknown-study-between-two-people",
        rule="B10",
        breaks="a later study without birth date and sex makes our Patient forget whose it is",
        edits=(
            Edit(
                f"{_LOOP}/companions/own_patient.py",
                "    return source_key if number == len(_LESS) else",
                "    return source_key if True else",
            ),
        ),
        noticed_by=(
            "tests/loop/companions/test_one_person.py::test_a_study_that_knows_nobody_does_not_stand_between_two_people",
        ),
    ),
    Mutant(
        name="identifiers-of-the-greatest-study-only",
        rule="B9",
        breaks="an identifier that only an older study names vanishes from our Patient",
        edits=(
            Edit(
                f"{_LOOP}/companions/own_patient.py",
                "        wanted if before is None else with_identifiers(wanted, of=before),",
                "        wanted,",
            ),
        ),
        noticed_by=(
            "tests/loop/companions/test_subjects.py::test_our_patient_keeps_the_identifier_that_only_an_older_study_names",
        ),
    ),
    Mutant(
        name="missing-note-revoked-at-once",
        rule="B7",
        breaks="a rejection note that is missing once has no effect any more",
        edits=(
            Edit(
                f"{_LOOP}/study/rejections.py",
                "if now < one.first_missing_at + context.revoke_grace]",
                "if now < one.first_missing_at]",
            ),
        ),
        noticed_by=(
            "tests/loop/study/test_rejections.py::test_a_deleted_note_counts_for_a_sweep_interval_and_then_no_more",
        ),
    ),
    Mutant(
        name="another-patients-note-counts",
        rule="B7",
        breaks="a note of another patient takes images back",
        edits=(
            Edit(
                "syncd/snapshot/instances/rejection.py",
                "    return one.source_uid == snapshot.study_uid or one.patient == patient",
                "    return True",
            ),
        ),
        noticed_by=("tests/loop/study/test_rejections.py::test_another_patients_note_takes_nothing_back",),
    ),
    Mutant(
        name="every-rejection-an-error",
        rule="B7",
        breaks="what was rejected for its quality is called an error",
        edits=(Edit(f"{_LOOP}/study/consider.py", "in_error=applied.in_error", "in_error=True"),),
        noticed_by=("tests/loop/study/test_rejections.py",),
    ),
    Mutant(
        name="time-without-zone-is-utc",
        rule="C.1-7",
        breaks="a time of which nobody says the zone gets one",
        edits=(
            Edit(
                "syncd/mapping/values/moments.py",
                '    if not timezone:\n        return ""\n    offset, _',
                '    if not timezone:\n        return "Z"\n    offset, _',
            ),
        ),
        noticed_by=("tests/mapping/values/test_moments.py::test_a_moment_as_dateTime",),
    ),
    Mutant(
        name="name-in-the-log",
        rule="S1",
        breaks="the message of an unexpected exception is logged, patient's name and all",
        edits=(
            Edit(
                f"{_LOOP}/workers/attempt.py",
                'log.error("study_failed_unexpectedly", error=type(error).__name__,',
                'log.error("study_failed_unexpectedly", error=str(error),',
            ),
        ),
        noticed_by=(
            "tests/loop/process/test_nothing_lost.py::test_a_defect_neither_ends_the_worker_nor_tells_the_patients_name",
        ),
    ),
    Mutant(
        name="outcome-text-in-the-reason",
        rule="S1",
        breaks="what the server says about a patient is kept with the reason, and logged",
        edits=(
            Edit(
                "syncd/publish/server.py",
                '                raise StudyError(ParkedReason.REFUSED, f"{reply.status} {codes}", outcome=outcome)',
                '                raise StudyError(ParkedReason.REFUSED, f"{reply.status} {outcome}", outcome=outcome)',
            ),
        ),
        noticed_by=("tests/loop/study/test_refusals.py", "tests/publish/test_server.py"),
    ),
    Mutant(
        name="request-outlives-its-turn",
        rule="S2",
        breaks="a study whose servers answer each request late, but in time, holds a worker for hours",
        edits=(Edit("syncd/http/deadline.py", "mine if turn is None or mine.at < turn.at else turn", "mine"),),
        noticed_by=("tests/http/test_deadlines.py::test_the_end_of_a_turn_is_forgotten_with_it",),
    ),
    Mutant(
        name="last-of-two-keys-believed",
        rule="S2",
        breaks="JSON that says a key twice is taken by its last word, which another reader may not have seen",
        edits=(Edit("syncd/http/replies.py", "    if len(found) != len(pairs):\n", "    if not pairs and found:\n"),),
        noticed_by=("tests/http/test_replies.py::test_what_nobody_can_trust_is_not_believed",),
    ),
    Mutant(
        name="keys-counted-by-guess",
        rule="S2",
        breaks="a key that is said twice is found only where no text holds a colon",
        edits=(Edit("syncd/http/replies.py", 'keys == body.count(b":")', 'keys <= body.count(b":")'),),
        noticed_by=("tests/http/test_replies.py::test_what_nobody_can_trust_is_not_believed",),
    ),
    Mutant(
        name="leftovers-answer",
        rule="S2",
        breaks="what a server says behind an answer is taken for the answer to the next request",
        edits=(
            Edit("syncd/http/wire.py", "self._keeps and self._lines.tell() == self._timed.tell()", "self._keeps"),
            Edit("syncd/http/pool.py", "if not wire.is_dead:", "if wire:"),
        ),
        noticed_by=("tests/http/test_pool.py::test_a_connection_is_not_kept_after",),
    ),
    Mutant(
        name="two-lengths-believed",
        rule="S2",
        breaks="an answer ends where the first of two lengths says, and whoever stands between believes the other",
        edits=(Edit("syncd/http/wire.py", "len(lengths) != 1 or not", "not"),),
        noticed_by=("tests/http/test_wire.py::test_what_is_not_plain_is_lost",),
    ),
    Mutant(
        name="headers-of-two-lines",
        rule="S2",
        breaks="a value of two lines is sent, and the second is a header of its own to some",
        edits=(Edit("syncd/http/wire.py", r'-]+: [^\r\n\0]*")', r'-]+: (?s:.*)")'),),
        noticed_by=("tests/http/test_wire.py::test_nothing_is_sent_that_would_be_another_line",),
    ),
    Mutant(
        name="head-broken-off",
        rule="S2",
        breaks="the end of a connection is the end of a head, so half an answer is one without a body",
        edits=(Edit("syncd/http/wire.py", r'not line.endswith(b"\n") or ', ""),),
        noticed_by=("tests/http/test_wire.py::test_what_is_not_plain_is_lost",),
    ),
    Mutant(
        name="headers-after-none",
        rule="S2",
        breaks="what stands behind a line that is no header is left out, though it may say where the answer ends",
        edits=(Edit("syncd/http/wire.py", "isinstance(defect, _NO_HEADER)", "False"),),
        noticed_by=("tests/http/test_wire.py::test_what_is_not_plain_is_lost",),
    ),
    Mutant(
        name="redirects-followed",
        rule="S2",
        breaks="credentials and patients go wherever a server points to",
        edits=(
            Edit(
                "syncd/http/client.py",
                "        if answer.headers.cookies:\n",
                "        if 300 <= answer.status < 400:\n"
                "            return self.send('GET', answer.headers['location'], headers=request.headers)\n"
                "        if answer.headers.cookies:\n",
            ),
        ),
        noticed_by=("tests/publish/test_http.py::test_redirects_are_not_followed",),
    ),
    Mutant(
        name="idle-connections",
        rule="S3",
        breaks="connections that ask nothing stay, each an open file of the daemon",
        edits=(Edit("syncd/web/server.py", "            http=Connection,\n", ""),),
        noticed_by=("tests/web/test_connections.py",),
    ),
    Mutant(
        name="pages-of-others",
        rule="S3",
        breaks="any page in the operator's browser may ask",
        edits=(Edit("syncd/web/guard.py", "elif _is_from_elsewhere(headers):", "elif False:"),),
        noticed_by=("tests/web/test_app.py::test_a_page_of_another_origin_may_not_ask",),
    ),
    Mutant(
        name="guessed-token",
        rule="S3",
        breaks="whoever guesses the token at last is let in",
        edits=(Edit("syncd/web/app.py", "        if pause:\n", "        if False:\n"),),
        noticed_by=("tests/web/test_app.py::test_who_guesses_the_token_is_not_listened_to",),
    ),
    Mutant(
        name="values-in-the-ledger",
        rule="S1",
        breaks="accession numbers and names that were written are kept in clear",
        edits=(
            Edit(
                "syncd/plan/essence.py",
                "    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]\n",
                "    return canonical(value)\n",
            ),
        ),
        noticed_by=("tests/loop/study/test_what_is_kept.py",),
    ),
)
