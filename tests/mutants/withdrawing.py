"""Faults in taking back (RULES D)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

_RETRACT, _WITHDRAW, _BUDGET = "syncd/loop/study/retract.py", "syncd/plan/withdraw.py", "syncd/ledger/studies/retractions.py"

MUTANTS = (
    Mutant(
        name="404-retracts",
        rule="D1",
        breaks="a 404 alone is the end of a study",
        edits=(
            Edit(
                "syncd/loop/study/read.py",
                "            asked[name] = _look_up(task, name)",
                "            asked[name] = ()",
            ),
            Edit(
                _RETRACT,
                "    if any(source.archive.lookup(task.study_uid) for source in sources.values()):",
                "    if False:",
            ),
        ),
        noticed_by=("tests/loop/study/test_retract.py::test_a_404_alone_takes_nothing_back",),
    ),
    Mutant(
        name="gone-in-one-archive-is-gone",
        rule="D1",
        breaks="a study is taken back although another archive holds it",
        edits=(
            Edit(
                "syncd/loop/study/read.py",
                "        if name in lost or not headers:",
                "        if name in lost:",
            ),
            Edit(
                _RETRACT,
                "    if any(source.archive.lookup(task.study_uid) for source in sources.values()):",
                "    if False:",
            ),
        ),
        noticed_by=("tests/loop/archives/test_archives.py::test_a_study_that_moved_converges",),
    ),
    Mutant(
        name="anybodys-study-taken-back",
        rule="D2",
        breaks="what carries no tag of ours is withdrawn",
        edits=(
            Edit(
                _WITHDRAW,
                " if isinstance(one, Found) and installation_of(one.resource) == installation_id)",
                " if isinstance(one, Found))",
            ),
        ),
        noticed_by=("tests/loop/study/test_retract.py::test_nothing_that_the_ledger_does_not_own_is_taken_back",),
    ),
    Mutant(
        name="not-asked-again-before-it-goes",
        rule="D2",
        breaks="a study that returned meanwhile is taken back all the same",
        edits=(Edit(_RETRACT, "    if not (_is_unmarked(task) and still()):", "    if False:"),),
        noticed_by=("tests/loop/study/test_retract.py::test_a_study_recycled_and_sent_again_meanwhile_is_not_taken_back",),
    ),
    Mutant(
        name="adopted-resource-deleted",
        rule="D2",
        breaks="what was somebody else's first is deleted",
        edits=(
            Edit(
                _WITHDRAW,
                '    adopted = asked.adopted(str(current.resource["id"]))',
                "    adopted = False",
            ),
        ),
        noticed_by=("tests/loop/study/test_retract.py::test_what_was_somebody_elses_is_never_deleted",),
    ),
    Mutant(
        name="brake-off",
        rule="D3",
        breaks="any number of studies is taken back in a day",
        edits=(
            Edit(
                _BUDGET,
                "    if budget.planned or budget.spent >= budget.limit:",
                "    if False:",
            ),
        ),
        noticed_by=("tests/loop/study/test_brake.py::test_ten_may_go_and_the_eleventh_waits",),
    ),
    Mutant(
        name="any-plan-accepted",
        rule="D3",
        breaks="the operator's word for one plan lets another one go",
        edits=(
            Edit(
                _BUDGET,
                "    if not uids or current != accepted:",
                "    if not uids:",
            ),
        ),
        noticed_by=("tests/loop/study/test_brake.py::test_another_plan_is_not_accepted",),
    ),
    Mutant(
        name="rejection-pays-nothing",
        rule="D3",
        breaks="what is taken back by rejection notes passes the brake",
        edits=(
            Edit(
                "syncd/loop/study/publish.py",
                "held = brake.hold(task, cause=Cause.REJECTED) if takes else None",
                "held = None",
            ),
        ),
        noticed_by=("tests/loop/study/test_brake.py::test_all_paths_pay_from_one_budget",),
    ),
)
