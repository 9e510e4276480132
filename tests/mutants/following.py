"""Faults in following the archive and in remembering (RULES A and E)."""

from __future__ import annotations

from tests.mutants.mutant import Edit, Mutant

_LOOP, _LEDGER, _ARCHIVE = "syncd/loop", "syncd/ledger", "syncd/archive"

MUTANTS = (
    Mutant(
        name="bootstrapped-before-the-listing",
        rule="A1",
        breaks="the archive counts as listed before it was",
        edits=(
            Edit(
                f"{_LOOP}/archives/sweep.py",
                "    ledger.feed.finish_sweep(name)  # whoever",
                ("    ledger.feed.finish_bootstrap(name)\n    ledger.feed.finish_sweep(name)  # whoever"),
            ),
        ),
        noticed_by=("tests/loop/archives/test_intake.py::test_a_listing_that_breaks_off_leaves_the_bootstrap_open",),
    ),
    Mutant(
        name="feed-begun-after-the-listing",
        rule="A1",
        breaks="the feed's position is not committed before the archive is listed",
        edits=(
            Edit(
                f"{_LOOP}/archives/listing.py",
                "        ledger.feed.begin_bootstrap(name, cursor=max(0, high_water - OVERLAP), high_water=high_water)\n",
                "",
            ),
        ),
        noticed_by=("tests/loop/archives/test_intake.py",),
    ),
    Mutant(
        name="cursor-committed-first",
        rule="A2",
        breaks="cursor and marks move in two transactions",
        edits=(
            Edit(
                f"{_LOOP}/archives/intake.py",
                "                marked += self._ledger.feed.commit_intake(\n"
                "                    taken.position, before=position, marks=marks, copies=copies, "
                "settle_after=self._settle_after\n"
                "                )\n",
                "                self._ledger.feed.commit_intake(\n"
                "                    taken.position, before=position, marks=(), copies=(), settle_after=self._settle_after\n"
                "                )\n"
                "                marked += self._ledger.marks.add(marks, copies=copies, settle_after=self._settle_after)\n",
            ),
        ),
        noticed_by=("tests/crash/test_any_point.py::test_cursor_and_marks_move_together_whatever_dies",),
    ),
    Mutant(
        name="only-stable-events-heard",
        rule="A2",
        breaks="a late instance, whose only event is its own, is not heard",
        edits=(Edit("syncd/feed/interest.py", '        ("NewInstance", "Instance"),\n', ""),),
        noticed_by=("tests/feed/test_interest.py", "tests/loop/study/test_arriving.py"),
    ),
    Mutant(
        name="overlap-dropped",
        rule="A3",
        breaks="nothing behind the cursor is read again",
        edits=(
            Edit(
                "syncd/feed/follow.py",
                "    return max(min(cursor, passed) - OVERLAP, cursor - OVERLAP_MAX, 0)",
                "    return cursor",
            ),
        ),
        noticed_by=("tests/loop/archives/test_intake.py::test_a_number_that_becomes_visible_late_is_seen",),
    ),
    Mutant(
        name="vanished-entries-overlooked",
        rule="A3",
        breaks="pages that end below the highest number ask for no sweep",
        edits=(
            Edit("syncd/feed/follow.py", "    vanished = page.done and reached < high_water\n", "    vanished = False\n"),
        ),
        noticed_by=("tests/loop/archives/test_intake.py::test_entries_that_vanished_are_asked_of_the_inventory",),
    ),
    Mutant(
        name="other-content-overlooked",
        rule="A4",
        breaks="a number that comes back with another content is taken as it is",
        edits=(
            Edit(
                "syncd/feed/follow.py",
                "    if any(_contradicts(change, position.seen) for change in page.changes):",
                "    if False:",
            ),
        ),
        noticed_by=("tests/feed/test_follow.py::test_a_number_with_another_content_is_suspicious_and_nothing_is_taken",),
    ),
    Mutant(
        name="sample-ignored",
        rule="A4",
        breaks="another archive behind the address is taken for the same",
        edits=(Edit(f"{_LOOP}/same_archive.py", "    return gone * 2 >= len(sample)", "    return False"),),
        noticed_by=("tests/loop/test_same_archive.py::test_an_exchanged_archive_is_paused",),
    ),
    Mutant(
        name="stable-study-trusted",
        rule="A5",
        breaks="a StableStudy event alone makes a study available",
        edits=(
            Edit(
                f"{_LOOP}/study/consider.py",
                "    forced = _streams_without_end(task)\n",
                "    forced = _streams_without_end(task) or task.claim.row.reason == MarkKind.STABLE\n",
            ),
        ),
        noticed_by=("tests/loop/study/test_arriving.py::test_a_stable_event_alone_is_not_believed",),
    ),
    Mutant(
        name="registered-clears-the-mark",
        rule="A5",
        breaks="an announced study is not asked for again",
        edits=(
            Edit(
                f"{_LOOP}/study/conclusion.py",
                "turn=NextTurn(due=due), selection=Selected()",
                "turn=NextTurn(), selection=Selected()",
            ),
        ),
        noticed_by=("tests/loop/study/test_arriving.py::test_quiet_that_nobody_reports_still_ends_in_available",),
    ),
    Mutant(
        name="torn-read-accepted",
        rule="A7",
        breaks="a study with fewer instances than were counted after them is believed",
        edits=(
            Edit(
                f"{_ARCHIVE}/reading/study_pass.py",
                "    if len(raw.instances) != (number if counts else counted):",
                "    if False:",
            ),
        ),
        noticed_by=("tests/archive/reading/test_study_pass.py",),
    ),
    Mutant(
        name="change-during-the-read-accepted",
        rule="A7",
        breaks="a study whose LastUpdate moved while it was read is believed",
        edits=(
            Edit(
                f"{_ARCHIVE}/reading/study_pass.py",
                "    if (after.last_update, after.series_ids) != (before.last_update, before.series_ids):",
                "    if False:",
            ),
        ),
        noticed_by=("tests/archive/reading/test_study_pass.py",),
    ),
    Mutant(
        name="empty-answer-published-as-zero",
        rule="A7",
        breaks="an answer without instances is a study without instances",
        edits=(
            Edit(
                f"{_ARCHIVE}/reading/study_pass.py",
                "    if not instances or {each.series_id for each in instances} != set(header.series_ids):",
                "    if False:",
            ),
            Edit(
                f"{_ARCHIVE}/reading/study_pass.py",
                "    if len(raw.instances) != (number if counts else counted):",
                "    if False:",
            ),
            Edit(f"{_LOOP}/study/consider.py", "    if not snapshot.number_of_instances:", "    if False:"),
        ),
        noticed_by=("tests/archive/reading/test_study_pass.py",),
    ),
    Mutant(
        name="last-update-of-this-second-believed",
        rule="A8",
        breaks="a LastUpdate of the second of its own read is kept, so a change within it is never seen",
        edits=(
            Edit(
                f"{_LOOP}/study/read.py",
                'header.last_update if is_past(header.last_update, at=self.at) else ""',
                "header.last_update",
            ),
        ),
        noticed_by=("tests/loop/archives/test_intake.py",),
    ),
    Mutant(
        name="gone-before-the-first-inventory",
        rule="A1",
        breaks="studies are judged gone while the archive is listed for the first time",
        edits=(Edit(f"{_LOOP}/archives/sweep.py", "        if not bootstrapping:\n", "        if True:\n"),),
        noticed_by=("tests/loop/archives/test_sweep.py::test_nothing_is_gone_before_the_first_inventory_is_committed",),
    ),
    Mutant(
        name="newer-than-the-listing-is-gone",
        rule="A8",
        breaks="a study that came while the archive was listed is judged gone",
        edits=(Edit(f"{_LOOP}/archives/sweep.py", "window, began=sweep.began)", "window, began=float('inf'))"),),
        noticed_by=("tests/loop/archives/test_sweep.py::test_what_came_after_the_listing_began_is_not_gone",),
    ),
    Mutant(
        name="words-not-compared",
        rule="A8",
        breaks="a study that Orthanc was told to reconstruct keeps its old words for ever",
        edits=(
            Edit(
                f"{_LEDGER}/inventories/comparison.py",
                "        copies.c.tags_digest != told.c.tags_digest,\n",
                "",
            ),
        ),
        noticed_by=("tests/loop/archives/test_sweep.py::test_a_reconstructed_study_is_noticed_by_its_words",),
    ),
    Mutant(
        name="words-of-the-read-forgotten",
        rule="A8",
        breaks="only a listing tells the digest, so words that move before the first listing of a study are never seen",
        edits=(Edit(f"{_LOOP}/study/read.py", "                tags_digest=header.tags_digest,\n", ""),),
        noticed_by=("tests/loop/archives/test_sweep.py::test_words_that_moved_before_the_first_inventory_are_noticed",),
    ),
    Mutant(
        name="total-not-compared",
        rule="A8",
        breaks="an instance deleted in an archive that moves no LastUpdate is never missed",
        edits=(
            Edit(
                f"{_LOOP}/archives/counting.py",
                "    if uncounted or sweep.archive.total_instances() == known:",
                "    if True:",
            ),
        ),
        noticed_by=("tests/loop/archives/test_sweep.py::test_all_are_counted_when_the_total_does_not_fit",),
    ),
    Mutant(
        name="unsettled-not-in-question",
        rule="A8",
        breaks="a resync passes over a study that was announced, taken back or rendered otherwise, and says: in sync",
        edits=(Edit(f"{_LEDGER}/inventories/comparison.py", "                _is_unsettled(),\n", ""),),
        noticed_by=("tests/loop/commands/test_unchanged.py",),
    ),
    Mutant(
        name="resync-trusts-the-total",
        rule="A8",
        breaks="a resync misses a deleted instance of an archive that moves no LastUpdate, if another study got one",
        edits=(Edit(f"{_LOOP}/archives/counting.py", "    if not only_counting_tells(sweep.archive):\n", "    if True:\n"),),
        noticed_by=("tests/loop/commands/test_unchanged.py::test_a_deleted_instance_is_counted",),
    ),
    Mutant(
        name="backlog-before-the-feed",
        rule="A9",
        breaks="what the inventory found is as urgent as what has just arrived",
        edits=(
            Edit(
                f"{_LOOP}/archives/sweep.py",
                "Priority.BACKFILL if why is Difference.NEW else Priority.REPAIR",
                "Priority.FEED",
            ),
        ),
        noticed_by=("tests/loop/archives/test_intake.py::test_feed_marks_pass_before_the_backlog",),
    ),
    Mutant(
        name="newer-mark-ignored",
        rule="E1",
        breaks="a publication clears a mark that came while it was made",
        edits=(
            Edit(
                f"{_LEDGER}/studies/outcomes.py",
                "unmarked, turn = before.generation == outcome.generation, outcome.turn\n",
                "unmarked, turn = True, outcome.turn\n",
            ),
        ),
        noticed_by=("tests/ledger/studies/test_claims.py::test_a_mark_that_comes_during_the_work_keeps_the_study_dirty",),
    ),
    Mutant(
        name="waiting-companions-lost",
        rule="E6",
        breaks="what waits for the next transaction leaves although that one failed",
        edits=(
            Edit(
                f"{_LEDGER}/db/writer.py",
                "                boarded = self.riders.board(self._connection)\n",
                "                boarded = self.riders.board(self._connection)\n"
                "                self.riders.arrive(boarded)\n",
            ),
        ),
        noticed_by=("tests/ledger/inventories/test_companions.py::test_a_transaction_that_fails_takes_nobody_along",),
    ),
    Mutant(
        name="rejections-as-they-were-claimed",
        rule="B7",
        breaks="intents are saved without asking what notes say by then",
        edits=(
            Edit(
                f"{_LEDGER}/studies/claims.py",
                "    return find_concerning(tx.connection, [one.study_uid for one in many])\n",
                "    return {one.study_uid: () for one in many}\n",
            ),
        ),
        noticed_by=("tests/ledger/studies/test_batches.py::test_intents_of_a_batch_tell_what_notes_say_by_then",),
    ),
    Mutant(
        name="unsent-intents-stay",
        rule="C3",
        breaks="what was never sent is taken for ours",
        edits=(
            Edit(
                f"{_LEDGER}/studies/claims.py",
                '        _WITHDRAW.run(tx.connection, {"uids": none_stood})\n',
                "        pass\n",
            ),
        ),
        noticed_by=("tests/ledger/studies/test_batches.py::test_what_was_never_sent_claims_nothing",),
    ),
    Mutant(
        name="batch-mixes-copies",
        rule="C8",
        breaks="outcomes that name one copy are kept together, and the order of what they say is lost",
        edits=(
            Edit(
                f"{_LEDGER}/studies/outcomes.py",
                "    return sum(map(len, named)) == len(set().union(*named))\n",
                "    return True\n",
            ),
        ),
        noticed_by=("tests/ledger/studies/test_batches.py::test_outcomes_that_name_one_copy_are_kept_in_turn",),
    ),
    Mutant(
        name="generations-per-row",
        rule="E1",
        breaks="a study that was cleared and marked again gets a generation that it had before",
        edits=(
            Edit(
                f"{_LEDGER}/studies/marks.py",
                "row = merge_mark(\n                    row, one, generation=generation, ",
                "row = merge_mark(row, one, generation=(row.generation if row else 0) + 1, ",
            ),
        ),
        noticed_by=("tests/ledger/studies/test_claims.py::test_generations_rise_across_studies_and_restarts",),
    ),
    Mutant(
        name="parked-sent-again-on-every-mark",
        rule="E2",
        breaks="what the server refused is sent again although nothing changed",
        edits=(
            Edit(
                "syncd/plan/decide.py",
                "    if _same_target(parked, current) and not",
                "    if False and not",
            ),
        ),
        noticed_by=("tests/loop/study/test_refusals.py::test_a_refused_study_is_parked_and_not_sent_again",),
    ),
    Mutant(
        name="sentinel-not-asked",
        rule="E3",
        breaks="a server that lost everything is believed to be the one that was published to",
        edits=(Edit(f"{_LOOP}/context.py", "            raise ServerReset()", "            return"),),
        noticed_by=("tests/loop/companions/test_target.py::test_the_probe_of_a_wiped_server_fills_it_again",),
    ),
    Mutant(
        name="restored-backup-taken-for-drift",
        rule="E3",
        breaks="a server that fell behind what it confirmed is believed in all else",
        edits=(
            Edit(
                f"{_LOOP}/fhir/inventory.py",
                "    restored = bool(lower) and _is_restored(context, lower)",
                "    restored = False",
            ),
        ),
        noticed_by=("tests/loop/fhir/test_inventory.py::test_a_restored_backup_is_verified_whole",),
    ),
    Mutant(
        name="another-server-accepted",
        rule="E3",
        breaks="a server at a changed address is published to without the operator's word",
        edits=(
            Edit(
                f"{_LOOP}/companions/target.py",
                '    if not accept:\n        raise LedgerRefused(\n            f"This ledger belongs',
                '    if False:\n        raise LedgerRefused(\n            f"This ledger belongs',
            ),
        ),
        noticed_by=(
            "tests/loop/companions/test_target.py::test_another_server_at_another_address_needs_the_operators_word",
        ),
    ),
    Mutant(
        name="claims-outlive-their-owner",
        rule="E4",
        breaks="what a dead process had claimed is never handed out again",
        edits=(
            Edit(
                f"{_LEDGER}/owner/takeover.py",
                '    return next_in(tx.connection, "epoch")',
                "    return int(tx.connection.execute(_EPOCH).scalar_one())",
            ),
        ),
        noticed_by=("tests/ledger/studies/test_claims.py::test_claims_of_a_dead_owner_are_void",),
    ),
    Mutant(
        name="written-without-owning",
        rule="E4",
        breaks="a process that lost its ledger goes on writing to the FHIR server",
        edits=(Edit("syncd/publish/http.py", "            self.before_write()\n", "            pass\n"),),
        noticed_by=("tests/publish/test_http.py::test_whoever_may_not_write_is_stopped_before_anything_is_sent",),
    ),
    Mutant(
        name="times-ahead-kept",
        rule="E5",
        breaks="after a clock was set back, studies wait until it has caught up",
        edits=(Edit(f"{_LEDGER}/owner/takeover.py", "    _within_reason(tx.connection, now=now)\n", ""),),
        noticed_by=("tests/ledger/db/test_backends.py::test_a_clock_set_back_makes_nobody_wait_for_it",),
    ),
)
