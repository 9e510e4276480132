"""Whether the site wants this study at all: judged from what was read, in every turn, by the settings of now.

An excluded study is never published; one that is published already stays or goes as the site decided. It cannot be
judged at once: series arrive one by one, so a study that still arrives is judged by those that are there, and not
announced while they are excluded; its last word is spoken when it is stable. Of several copies one that is selected is
enough: a study is published whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from syncd.errors import ConfigurationError
from syncd.ledger.ledger import Ledger
from syncd.loop.context import Source
from syncd.loop.study import retract
from syncd.loop.study.conclusion import Conclusion
from syncd.loop.study.publish import is_published
from syncd.loop.study.task import Task
from syncd.model.ids import ArchiveName
from syncd.model.outcome import Ended, NextTurn, Retraction, Unpublished, Waiting, next_turn
from syncd.model.selection import UnselectedStudy
from syncd.model.study.raw import ArchiveInfo, RawStudy, StudyHeader
from syncd.model.words import SHOWN, Cause, Priority, StudyState
from syncd.model.work import Copy, MarkKind
from syncd.selection.facts import facts, select
from syncd.selection.rules import AET, LABEL, Excluded
from syncd.selection.site import KEEP, Selection
from syncd.snapshot.values.tags import readable


def require_answerable(source: Source, info: ArchiveInfo | None = None, *, selection: Selection) -> None:
    """Raise `ConfigurationError` for rules that this archive cannot answer: nothing would be excluded by them. `info` is
    what the archive says of itself; without it, it is asked if need be."""
    if not selection.rules.asks(LABEL):
        return
    info = info or source.archive.info()
    if not info.has_labels:
        raise ConfigurationError(
            f"a rule of SYNCD_ARCHIVES__{source.name.upper()}__INCLUDE or __EXCLUDE asks for a label, but Orthanc "
            f"{info.version} at {source.url} keeps none: use Orthanc 1.12 or later, or remove the rule"
        )


def outside_history(task: Task, headers: Sequence[StudyHeader]) -> Conclusion | None:
    """How a study that the first import left outside stays there: no event named it, no copy changed since, and the
    settings of now do not take it, from whichever archive. None when it is to be looked at like any other."""
    entry = task.claim.unselected
    if entry is None or entry.state != StudyState.OUTSIDE_HISTORY or task.record or task.claim.intent:
        return None
    histories = [task.context.selection(header.archive).history for header in headers]
    if _is_named_by_event(task) or _has_changed(task, headers) or any(one.takes(entry.study_date) for one in histories):
        return None
    entry = replace(entry, archive=headers[0].archive, rule=histories[0].text)
    ended = Unpublished(reason=f"outside the history ({entry.rule})", retraction=Retraction.THERE)
    return Conclusion(ended=ended, turn=NextTurn(), selection=entry)


def judge(task: Task, raws: Sequence[RawStudy], *, arriving: bool = False) -> Excluded | None:
    """The rule by which the study is left out, or None. `arriving`: `raws` hold a part of it."""
    verdict: Excluded | None = None
    for raw in raws:
        rules = task.context.selection(raw.header.archive).rules
        ask = task.context.archives[raw.header.archive].archive.calling_aet
        aets = [ask(one.orthanc_id) for one in raw.instances] if arriving and rules.asks(AET) else []
        text = partial(readable, reading=task.context.policy.reading)
        found = select(facts(raw, aets=filter(None, aets), readable=text), rules)
        if not isinstance(found, Excluded):
            return None
        verdict = verdict or found
    return verdict


def leave_out(
    task: Task, headers: Sequence[StudyHeader], found: Excluded, *, identity: str, study_date: str
) -> Conclusion | None:
    """What becomes of an excluded study; None when it is published, and the site wants it to stay, up to date."""
    entry = UnselectedStudy(
        study_uid=task.study_uid,
        archive=headers[0].archive,
        state=StudyState.EXCLUDED.value,
        rule=found.rule,
        study_date=study_date,
        since=task.context.clock(),
    )
    how = task.context.selection(headers[0].archive).on_deselect
    if not _is_shown(task, how) or not _is_published(task, identity):
        ended: Ended = Unpublished(reason=found.reason, retraction=Retraction.THERE)
    elif how == KEEP:
        return None
    else:
        ended = retract.take_back(task, cause=Cause.DESELECTED, how=how, still=lambda: _is_unchanged(task, headers))
    if isinstance(ended, Waiting):
        return Conclusion(ended=ended, turn=next_turn(ended))
    return Conclusion(
        ended=ended, turn=NextTurn(new_stream=True), selection=entry, retraction=retract.retraction_after(ended)
    )


def follow_settings(ledger: Ledger, *, name: ArchiveName, selection: Selection) -> int:
    """Let other settings reach what is published and what is left out: marked at backfill priority. Returns how many
    studies were marked."""
    marked = 0
    for only_outside in _whom_it_concerns(ledger, name=name, selection=selection):
        marked += ledger.selection.mark_again(name, only_outside=only_outside)
    said = _settings_document(selection)
    if ledger.selection.settings(name) != said:
        _list_again(ledger, name=name, selection=selection)
        ledger.selection.keep_settings(name, said)
    return marked


def count_concerned(ledger: Ledger, *, name: ArchiveName, selection: Selection) -> int:
    """How many studies `follow_settings` is about."""
    differing = _whom_it_concerns(ledger, name=name, selection=selection)
    return sum(ledger.selection.count(name, only_outside=only_outside) for only_outside in differing)


def _whom_it_concerns(ledger: Ledger, *, name: ArchiveName, selection: Selection) -> list[bool]:
    """Whom other settings concern, as `mark_again` wants it; empty when they are as they were."""
    before = ledger.selection.settings(name) or _settings_document(Selection())
    if before["rules"] != selection.fingerprint:
        return [False]
    return [True] if before["history"] != selection.history.text else []


def _list_again(ledger: Ledger, *, name: ArchiveName, selection: Selection) -> None:
    """Another history is applied by another first listing, to what waits or is not known yet."""
    before = ledger.selection.settings(name) or _settings_document(Selection())
    if ledger.feed.position(name) is not None and before["history"] != selection.history.text:
        ledger.selection.begin_import(name, until=0)
        ledger.feed.want_sweep(name)


def _settings_document(selection: Selection) -> dict[str, str]:
    return {"rules": selection.fingerprint, "history": selection.history.text}


def _is_named_by_event(task: Task) -> bool:
    """Another study's rejection note is marked as urgently, and is no event of this one."""
    row = task.claim.row
    return row.priority == Priority.FEED and (bool(row.last_event) or row.reason == MarkKind.STABLE)


def _has_changed(task: Task, headers: Sequence[StudyHeader]) -> bool:
    known = {copy.orthanc_id: copy for copy in task.claim.copies}
    return any(_differs(known.get(header.orthanc_id), header) for header in headers)


def _differs(known: Copy | None, header: StudyHeader) -> bool:
    if known is None or known.last_update != header.last_update:
        return True
    return known.tags_digest is not None and known.tags_digest != header.tags_digest


def _is_unchanged(task: Task, headers: Sequence[StudyHeader]) -> bool:
    """Whether what was judged is what the archive holds now, labels included."""
    archives = task.context.archives
    now = [archives[header.archive].archive.study(header.orthanc_id) for header in headers]
    return [(one.last_update, one.labels, one.tags_digest, one.series_ids) for one in now] == [
        (one.last_update, one.labels, one.tags_digest, one.series_ids) for one in headers
    ]


def _is_shown(task: Task, how: str) -> bool:
    """Whether the site shows it, as far as is remembered: what was taken back before is not shown anew to be kept."""
    withdrawn = task.record is not None and task.record.retracted not in SHOWN
    return how != KEEP or not withdrawn or task.claim.intent is not None


def _is_published(task: Task, identity: str) -> bool:
    """Remembered, intended, or, where something names the study, there and ours (RULES C5, E7)."""
    if task.record is not None:
        return True
    suspected = task.claim.intent is not None or task.fresh or bool(task.hits)
    return suspected and is_published(task, identity)
