"""Faults in writing (RULES C)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

_LOOP, _PUBLISH, _DECIDE, _OWN = "syncd/loop", "syncd/publish", "syncd/plan/decide.py", "syncd/plan/ownership.py"

MUTANTS = (
    Mutant(
        name="no-if-match",
        rule="C2",
        breaks="an update overwrites whatever is there",
        edits=(
            Edit(
                f"{_PUBLISH}/server.py",
                "        if expected_version != CREATE_ONLY:\n"
                '            return {"If-Match": f\'W/"{expected_version}"\'}\n',
                "        if expected_version != CREATE_ONLY:\n            return {}\n",
            ),
        ),
        noticed_by=("tests/loop/study/test_writing.py::test_a_conflict_starts_again_and_keeps_what_the_other_wrote",),
    ),
    Mutant(
        name="create-overwrites",
        rule="C2",
        breaks="a first write is not create-only",
        edits=(Edit(f"{_PUBLISH}/server.py", '        return {"If-Match": \'W/"0"\'}\n', "        return {}\n"),),
        noticed_by=("tests/loop/study/test_writing.py::test_the_first_write_is_never_unconditional",),
    ),
    Mutant(
        name="refusal-proves-a-create-form",
        rule="C2",
        breaks="a form that refuses version 0 of anything counts as create-only, though it created nothing",
        edits=(
            Edit(
                f"{_PUBLISH}/sentinel.py",
                "        return False  # it cannot create, or is not understood at all\n",
                "        return not is_new\n",
            ),
        ),
        noticed_by=("tests/publish/test_own.py::test_refusing_version_0_of_anything_is_no_create_only_form",),
    ),
    Mutant(
        name="changed-etag-believed",
        rule="C4",
        breaks="the ETag, which a proxy may have changed, wins over the location",
        edits=(
            Edit(
                f"{_PUBLISH}/answers.py", "located.group(1) if located else", "located.group(1) if located and not etag else"
            ),
        ),
        noticed_by=("tests/publish/test_server.py::test_a_changed_etag_does_not_hide_the_version",),
    ),
    Mutant(
        name="foreign-study-adopted",
        rule="C2",
        breaks="another writer's ImagingStudy is taken over, whatever it is",
        edits=(
            Edit(
                _DECIDE,
                "    adopted = record is None and owner != known.installation_id and not lost_reply\n",
                "    adopted = False\n",
            ),
        ),
        noticed_by=("tests/loop/study/test_writing.py::test_a_foreign_resource_is_parked_and_left_alone",),
    ),
    Mutant(
        name="only-its-own-id-is-looked-up",
        rule="C2",
        breaks="a study that is there under another id is published a second time",
        edits=(
            Edit(
                f"{_PUBLISH}/lookups.py",
                '            {**by_uid(batch, fhir_version=fhir_version), "_elements": told},\n',
                "",
            ),
        ),
        noticed_by=(
            "tests/loop/study/test_writing.py::test_a_foreign_resource_under_another_id_is_found_by_its_identifier",
        ),
    ),
    Mutant(
        name="foreign-identifier-dropped",
        rule="C3",
        breaks="what others added to the study is lost with our next update",
        edits=(Edit(_OWN, 'for item in current.get("identifier", ())', "for item in ()"),),
        noticed_by=("tests/plan/test_ownership.py",),
    ),
    Mutant(
        name="intent-not-saved",
        rule="C3",
        breaks="nothing is committed before a write is sent",
        edits=(
            Edit(
                f"{_LOOP}/study/say.py",
                "claims.save_intent(step.intent)",
                "step.task.context.ledger.rejections.find_concerning(step.task.study_uid)",
            ),
        ),
        noticed_by=("tests/loop/study/test_writing.py::test_what_was_sent_before_a_crash_does_not_become_foreign",),
    ),
    Mutant(
        name="intents-after-the-writes",
        rule="C5",
        breaks="a batch is sent before the ledger knows what will be",
        edits=(
            Edit(
                f"{_LOOP}/workers/batch.py",
                "concerning = self._context.ledger.claims.save_intents([one.intent for _, one in prepared])",
                "concerning = {member.task.study_uid: member.task.claim.concerning for member, _ in prepared}",
            ),
        ),
        noticed_by=(
            "tests/loop/workers/test_batches.py::test_intents_are_kept_before_the_first_write_and_outcomes_together",
        ),
    ),
    Mutant(
        name="batch-intents-stay",
        rule="C7",
        breaks="what a batch meant to send and did not claims a resource all the same",
        edits=(Edit(f"{_LOOP}/workers/batch.py", "        if unsent:\n", "        if False:\n"),),
        noticed_by=("tests/loop/workers/test_batches.py::test_what_is_not_sent_when_the_server_goes_away_claims_nothing",),
    ),
    Mutant(
        name="notes-not-asked-before-a-batch",
        rule="B7",
        breaks="what a note rejects while a batch is mapped is shown",
        edits=(
            Edit(
                f"{_LOOP}/workers/batch.py",
                "if one.is_current(concerning[member.task.study_uid])]",
                "if concerning is not None]",
            ),
        ),
        noticed_by=("tests/loop/workers/test_batches.py::test_notes_that_change_after_the_mapping_stop_the_write",),
    ),
    Mutant(
        name="conditions-of-entries-unproved",
        rule="C2",
        breaks="a server that overlooks the conditions of a transaction is sent some",
        edits=(
            Edit(
                "syncd/publish/together.py",
                '    log.info("transactions_not_used"',
                '    return True\n    log.info("transactions_not_used"',
            ),
        ),
        noticed_by=("tests/loop/workers/test_batches.py::test_a_server_that_overlooks_conditions_is_sent_no_transaction",),
    ),
    Mutant(
        name="old-snapshot-merged-after-a-409",
        rule="C4",
        breaks="after a conflict the old resource is sent again under the newer version",
        edits=(
            Edit(
                f"{_LOOP}/study/send.py",
                "        written = server.put(resource, expected_version=intent.expected_version)\n",
                "        try:\n"
                "            written = server.put(resource, expected_version=intent.expected_version)\n"
                "        except Conflict:\n"
                '            newer = server.read("ImagingStudy", intent.resource_id)\n'
                "            written = server.put(resource, expected_version=newer.version)\n",
            ),
        ),
        noticed_by=("tests/loop/study/test_writing.py::test_a_conflict_restarts_from_the_archive",),
    ),
    Mutant(
        name="withdrawn-by-other-overwritten",
        rule="C4",
        breaks="a human's entered-in-error is undone",
        edits=(
            Edit(_DECIDE, "    if says in WITHDRAWN - {*own_statuses(record, intent), wanted.status}:", "    if False:"),
        ),
        noticed_by=("tests/loop/study/test_writing.py::test_what_a_human_withdrew_stays_withdrawn",),
    ),
    Mutant(
        name="lost-reply-sent-again",
        rule="C5",
        breaks="after a lost reply the server is not read first",
        edits=(
            Edit(
                _DECIDE,
                "    if record is None or known.intent is not None or known.read_fhir or record.retracted:",
                "    if record is None or known.read_fhir or record.retracted:",
            ),
        ),
        noticed_by=("tests/plan/test_decide.py::test_what_the_ledger_cannot_tell_is_read_first",),
    ),
    Mutant(
        name="wish-to-read-forgotten",
        rule="C5",
        breaks="of two marks only the later one says whether FHIR must be read",
        edits=(
            Edit(
                "syncd/model/work.py",
                "        read_fhir=before.read_fhir or mark.read_fhir,",
                "        read_fhir=mark.read_fhir,",
            ),
        ),
        noticed_by=("tests/ledger/studies/test_claims.py::test_the_wish_to_read_fhir_survives_until_the_server_answered",),
    ),
    Mutant(
        name="verified-against-the-ledger",
        rule="C5",
        breaks="a verification believes the ledger instead of the server",
        edits=(
            Edit(
                _DECIDE,
                "    if record is None or known.intent is not None or known.read_fhir or record.retracted:",
                "    if record is None or known.intent is not None or record.retracted:",
            ),
        ),
        noticed_by=("tests/loop/study/test_refusals.py::test_a_verifying_mark_reads_the_server_and_repairs",),
    ),
    Mutant(
        name="any-404-is-absence",
        rule="C6",
        breaks="a proxy's 404 is taken for a resource that is not there",
        edits=(
            Edit(
                f"{_PUBLISH}/answers.py",
                "    _row(404, Verdict.ABSENT, outcome=True),",
                "    _row(404, Verdict.ABSENT),",
            ),
        ),
        noticed_by=("tests/publish/test_answers.py",),
    ),
    Mutant(
        name="busy-is-refused",
        rule="C6",
        breaks="a study that met a busy server is parked",
        edits=(
            Edit(
                f"{_PUBLISH}/answers.py",
                "    _row(429, Verdict.TRANSIENT),",
                "    _row(429, Verdict.REFUSED),",
            ),
        ),
        noticed_by=("tests/publish/test_answers.py::test_every_status_has_its_meaning",),
    ),
    Mutant(
        name="created-instead-of-updated-accepted",
        rule="C6",
        breaks="an update that created is no sign of a reset",
        edits=(
            Edit(
                f"{_LOOP}/study/send.py",
                "    if updates and written.created:",
                "    if False:",
            ),
        ),
        noticed_by=("tests/loop/study/test_refusals.py::test_an_update_that_created_is_a_reset",),
    ),
    Mutant(
        name="outage-blamed-on-the-studies",
        rule="C6",
        breaks="a server that is away costs each study an attempt",
        edits=(
            Edit(
                f"{_LOOP}/workers/attempt.py",
                "            return None if self.outage(error) else self._handle_failure(task, error)",
                "            return self._handle_failure(task, error)",
            ),
        ),
        noticed_by=("tests/loop/workers/test_workers.py::test_a_turn_that_meets_an_outage_gives_the_study_back_as_it_was",),
    ),
    Mutant(
        name="archive-never-forgiven",
        rule="C6",
        breaks="after some outages every further one of an archive lasts half a minute",
        edits=(Edit(f"{_LOOP}/workers/attempt.py", "                breaker.note_success()\n", "                pass\n"),),
        noticed_by=(
            "tests/loop/workers/test_workers.py::test_an_archive_that_was_read_again_is_probed_quickly_the_next_time",
        ),
    ),
    Mutant(
        name="backoff-shortened-by-a-mark",
        rule="C6",
        breaks="a study that fails is tried again with each event",
        edits=(Edit("syncd/model/work.py", "        due=max(due, before.not_before),", "        due=due,"),),
        noticed_by=("tests/ledger/studies/test_claims.py::test_a_backoff_is_kept_and_no_mark_shortens_it",),
    ),
    Mutant(
        name="patient-conflict-merged",
        rule="C8",
        breaks="copies of two patients become one study",
        edits=(
            Edit(
                f"{_LOOP}/study/read.py",
                "    if len({key.resource_id for key in keys}) > 1:",
                "    if False:",
            ),
        ),
        noticed_by=("tests/loop/study/test_copies.py::test_two_patients_in_one_study_are_a_conflict_that_resolves",),
    ),
    Mutant(
        name="smaller-copy-taken",
        rule="C8",
        breaks="a series is taken from the copy with fewest instances",
        edits=(
            Edit(
                "syncd/snapshot/union.py",
                "    held.sort(key=lambda each: (-len(each[1].instances),",
                "    held.sort(key=lambda each: (len(each[1].instances),",
            ),
        ),
        noticed_by=("tests/snapshot/test_union.py",),
    ),
    Mutant(
        name="published-without-the-archive-that-is-away",
        rule="C8",
        breaks="a copy that cannot be read is left out",
        edits=(
            Edit(
                f"{_LOOP}/study/read.py",
                "        except StudyGone:\n            missing.append(copy)",
                "        except Transient:\n            continue\n"
                "        except StudyGone:\n            missing.append(copy)",
            ),
        ),
        noticed_by=(
            "tests/loop/archives/test_archives_waiting.py::test_a_published_study_is_never_published_with_fewer_series_for_an_outage",
            "tests/loop/archives/test_archives_waiting.py::test_a_copy_that_becomes_known_in_an_archive_that_is_away_goes_back",
        ),
    ),
    Mutant(
        name="pages-by-our-own-base-only",
        rule="C9",
        breaks="what the server calls itself is not heeded, so that further pages are asked at an address that is none",
        edits=(
            Edit(
                f"{_PUBLISH}/bases.py", "for base in (self.ours, *self._own)), key=len", "for base in (self.ours,)), key=len"
            ),
        ),
        noticed_by=("tests/publish/test_bases.py::test_a_page_is_asked_at_our_base",),
    ),
    Mutant(
        name="large-ones-together",
        rule="A7",
        breaks="what large studies hold adds up: all threads may be at one",
        edits=(Edit("syncd/loop/study/reconcile.py", 'hold("a large study") if large', 'hold("a large study") if False'),),
        noticed_by=("tests/loop/workers/test_workers.py::test_of_large_studies_one_is_written_at_a_time[large]",),
    ),
    Mutant(
        name="no-patience",
        rule="C6",
        breaks="a server that answers 429 or 503 gets as many requests at once as before",
        edits=(Edit("syncd/http/flow.py", "self._limit = max(1, self._limit // 2)", "self._limit = max(1, self._limit)"),),
        noticed_by=("tests/http/test_flow.py::test_where_it_asks_for_patience_it_gets_half",),
    ),
    Mutant(
        name="more-at-once-than-allowed",
        rule="C6",
        breaks="while a server is fast it gets ever more requests at once, whatever FHIR__CONCURRENCY says",
        edits=(Edit("syncd/http/flow.py", "if self._limit == self._most:", "if not self._most:"),),
        noticed_by=(
            "tests/http/test_flow.py::test_one_more_is_tried_while_answers_come_as_fast_as_ever_and_never_more_than_the_site_allows",
        ),
    ),
    Mutant(
        name="search-cache-trusted",
        rule="C9",
        breaks="searches and reads may be answered from a minute ago",
        edits=(
            Edit(f"{_PUBLISH}/server.py", '_NO_CACHE = {"Cache-Control": "no-cache"}', "_NO_CACHE: dict[str, str] = {}"),
        ),
        noticed_by=("tests/publish/test_server.py::test_a_search_is_posted_uncached_and_reads_all_pages",),
    ),
)
