"""Faults in living beside other programs and failing servers (RULES C2, C4, C6, E2)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

_LOOP, _DECIDE = "syncd/loop", "syncd/plan/decide.py"

MUTANTS = (
    Mutant(
        name="looked-up-in-another-version",
        rule="C2",
        breaks="in DSTU2 the lookup of a batch asks for a parameter that is none there, and each study asks for itself",
        edits=(Edit(f"{_LOOP}/workers/first_look.py", "server, ids, fhir_version=context.fhir_version)", "server, ids)"),),
        noticed_by=("tests/loop/fhir/test_dstu2.py::test_studies_are_looked_up_together_by_what_dstu2_can_search_for",),
    ),
    Mutant(
        name="adopted-without-a-look",
        rule="C2",
        breaks="a described study, or one of another patient, is adopted like an announced one",
        edits=(
            Edit(
                "syncd/plan/adoption.py",
                '    announced = names.status_of(theirs) == "registered" and not theirs.get("series")\n'
                "    return announced and _same_subject(",
                "    return True or _same_subject(",
            ),
        ),
        noticed_by=(
            "tests/loop/study/test_adoption.py::test_a_described_study_is_left_alone_until_the_site_says_otherwise",
        ),
    ),
    Mutant(
        name="adopted-from-another-patient",
        rule="C2",
        breaks="an announcement for another patient is filled with our images",
        edits=(
            Edit(
                "syncd/plan/adoption.py",
                "    return announced and _same_subject(",
                "    return announced or _same_subject(",
            ),
        ),
        noticed_by=("tests/plan/test_adoption.py::test_only_an_announcement_of_the_same_patient_is_adopted",),
    ),
    Mutant(
        name="adoption-forgotten",
        rule="C2",
        breaks="what was adopted at our own id counts as made by us",
        edits=(
            Edit(
                f"{_LOOP}/study/publish.py",
                "        at=task.context.clock(),\n        adopted=write.adopted,\n",
                "        at=task.context.clock(),\n",
            ),
        ),
        noticed_by=("tests/loop/study/test_adoption.py::test_one_at_our_own_id_is_remembered_as_adopted",),
    ),
    Mutant(
        name="quarrel-not-counted",
        rule="C4",
        breaks="no correction is remembered, so two programs write in turn for ever",
        edits=(
            Edit(
                "syncd/ledger/studies/outcomes.py",
                "for element in ended.corrected)",
                "for element in ())",
            ),
        ),
        noticed_by=("tests/loop/study/test_contested.py::test_there_is_no_third_correction",),
    ),
    Mutant(
        name="third-correction",
        rule="C4",
        breaks="what is fought over is corrected again and again",
        edits=(Edit(_DECIDE, "    if corrects & set(known.fought_over):", "    if False:"),),
        noticed_by=("tests/plan/test_contest.py::test_a_third_correction_of_the_same_element_is_not_made",),
    ),
    Mutant(
        name="restored-backup-is-a-quarrel",
        rule="C4",
        breaks="a server that was set back counts as somebody who contradicts us",
        edits=(
            Edit(
                "syncd/plan/contest.py",
                "        return int(current) > int(recorded)\n",
                "        return int(current) != int(recorded)\n",
            ),
        ),
        noticed_by=("tests/plan/test_contest.py",),
    ),
    Mutant(
        name="five-in-a-row-blamed-on-themselves",
        rule="C6",
        breaks="a server that fails every write opens no breaker and costs each study an attempt",
        edits=(Edit(f"{_LOOP}/workers/failures.py", "            if len(failed) < IN_A_ROW:\n", "            if True:\n"),),
        noticed_by=("tests/loop/workers/test_failures.py",),
    ),
    Mutant(
        name="attempts-count-though-nothing-was-written",
        rule="C6",
        breaks="a study is parked for failures that the server dealt out to everybody",
        edits=(
            Edit(
                f"{_LOOP}/workers/failures.py",
                "            counts = own or attempts == 0 or self._written > before\n",
                "            counts = True\n",
            ),
        ),
        noticed_by=("tests/loop/workers/test_failures.py",),
    ),
    Mutant(
        name="stubborn-slot-off",
        rule="C6",
        breaks="studies that fail again and again occupy every thread",
        edits=(
            Edit(
                f"{_LOOP}/workers/pool.py",
                "            stubborn=0 if self._stubborn else 1,\n",
                "            stubborn=None,\n",
            ),
        ),
        noticed_by=("tests/loop/workers/test_errors.py::test_studies_that_fail_again_and_again_share_one_slot",),
    ),
    Mutant(
        name="hidden-resource-pauses-the-target",
        rule="C6",
        breaks="one 403 stops everything although other studies are taken",
        edits=(
            Edit(
                f"{_LOOP}/workers/attempt.py",
                "        if self._neighbours.wait_for_others(task.study_uid, until=self._others_succeed):",
                "        if False:",
            ),
        ),
        noticed_by=("tests/loop/workers/test_errors.py::test_each_answer_has_its_consequence",),
    ),
    Mutant(
        name="the-quickest-refusal-counts",
        rule="C6",
        breaks="a 403 that comes before the neighbour's write has ended pauses the target",
        edits=(
            Edit(
                f"{_LOOP}/workers/attempt.py",
                "        if self._neighbours.wait_for_others(task.study_uid, until=self._others_succeed):",
                "        if self._others_succeed():",
            ),
        ),
        noticed_by=("tests/loop/workers/test_neighbours.py",),
    ),
    Mutant(
        name="dropped-is-deaf",
        rule="E2",
        breaks="a dropped study that changed is not sent",
        edits=(
            Edit(
                _DECIDE,
                "    if parked is None or parked.digest != wanted.digest:",
                "    if parked is None or (parked.digest != wanted.digest and not parked.dropped):",
            ),
        ),
        noticed_by=("tests/loop/workers/test_errors.py::test_a_dropped_study_is_silent_until_it_changes",),
    ),
    Mutant(
        name="dropped-speaks",
        rule="E2",
        breaks="a dropped study is sent, or told of, with its next mark",
        edits=(
            Edit(
                _DECIDE,
                "    if parked.dropped:",
                "    if False:",
            ),
        ),
        noticed_by=("tests/plan/test_contest.py::test_a_dropped_study_is_silent_until_its_digest_changes",),
    ),
)
