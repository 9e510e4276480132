"""Odd values: "a counter per rule; `POLICY__VALUES=strict` parks instead" (issue: Values)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import syncd
from syncd.errors import StudyError
from syncd.loop.strictness import require_plain, rules
from syncd.mapping.policy import ArchivePolicy, MappingPolicy
from syncd.mapping.profiles.guides import GUIDES
from syncd.model.snapshot import Note
from syncd.model.words import NOTE_RULES, Decision
from tests.loop.rejecting import QUALITY, images, note, says, settled, uid
from tests.loop.world import MAIN, STUDY, World

PLAIN = {"PatientID": "P1", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.2", "TimezoneOffsetFromUTC": "+0100"}
ODD = {**PLAIN, "StudyDate": "31.12.2024", "PatientSex": "Rubbish"}
STRICT = MappingPolicy(archive=ArchivePolicy(name=MAIN), values="strict")


class Listener:
    """Hears rules."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []
        self.doubts: list[tuple[str, ...]] = []

    def count_decision(self, decision: str, seconds: float) -> None:
        return None

    def count_notes(self, rules: Iterable[str], *, safety: Iterable[str] = ()) -> None:
        self.heard += [tuple(rules)]
        self.doubts += [tuple(safety)]


def turned(world: World, **tags: Any) -> Any:
    world.store(**tags)
    world.settle()
    world.poll()
    return world.turn(tags.get("study", STUDY))


def test_lenient_publishes_what_is_odd(world: World) -> None:
    """docs/settings.md, POLICY__VALUES: strict parks *instead*; lenient is the default."""
    assert turned(world, **ODD).decision is Decision.CREATE
    assert world.study()["status"] == "available"


def test_strict_parks_what_is_odd_and_never_tells_the_value(new_world: Callable[..., World]) -> None:
    """docs/settings.md, POLICY__VALUES: strict parks instead; RULES S1: tags and rules only."""
    world = new_world(values="strict")
    outcome = turned(world, **ODD)
    assert outcome.parked is not None and outcome.parked.reason == "values-strict"
    assert "0008,0020 C.1-1" in outcome.parked.detail
    assert "31.12.2024" not in str(outcome) and "Rubbish" not in str(outcome)
    assert world.fhir.resources("ImagingStudy") == []
    assert world.fhir.resources("Patient") == []
    assert outcome.done


def test_strict_publishes_what_is_plain(new_world: Callable[..., World]) -> None:
    """Only odd values park; and what was mended in the archive goes on."""
    assert turned(new_world(values="strict"), **PLAIN).decision is Decision.CREATE


def test_strict_announces_and_then_parks(new_world: Callable[..., World]) -> None:
    """Whether anything is odd is told by the whole study only."""
    world = new_world(values="strict")
    world.store(**ODD)
    world.poll()
    assert world.turn().decision is Decision.CREATE
    assert world.study()["status"] == "registered"
    world.settle()
    world.poll()
    assert world.turn().parked is not None


def test_rejected_images_go_from_a_strict_site_too(new_world: Callable[..., World]) -> None:
    """RULES B7 above POLICY__VALUES: images left out as rejected are no odd value; parking would keep them shown."""
    world = new_world(values="strict")
    images(world, 1, 2, 3, **PLAIN)
    settled(world)
    note(world, QUALITY, {STUDY: [uid(1)]}, **{name: PLAIN[name] for name in ("PatientID", "TimezoneOffsetFromUTC")})
    settled(world)
    assert says(world) == ("available", 3)


@pytest.mark.parametrize(
    ("rules_met", "detail"),
    [
        (["A.3", "A.3"], "0008,0018 A.3"),
        (["A.1", "A.2", "A.3"], "0008,0018 A.1, 0008,0018 A.2, 0008,0018 A.3"),
        (["A.1", "A.2", "A.3", "B", "C.2"], "0008,0018 A.1, 0008,0018 A.2, 0008,0018 A.3 and 2 more"),
    ],
)
def test_at_most_three_are_named(rules_met: list[str], detail: str) -> None:
    """What parks is told, each once."""
    with pytest.raises(StudyError) as caught:
        require_plain([Note(tag="0008,0018", rule=rule, done=str(n)) for n, rule in enumerate(rules_met)], policy=STRICT)
    assert caught.value.detail == detail


SAFE = replace(STRICT, values="safe")
SIDE = Note(tag="0020,0060", rule="C.6", done="", safety=True)


def test_safe_parks_only_what_is_in_doubt(new_world: Callable[..., World]) -> None:
    """docs/settings.md, POLICY__VALUES: `safe` parks a study whose side, site, person or order is in doubt; it says so."""
    world = new_world(values="safe")
    assert turned(world, **ODD).decision is Decision.CREATE, "odd, and nothing of safety"
    outcome = turned(world, study="1.2.276.2", **{**ODD, "PatientID": ""})
    assert outcome.parked is not None and outcome.parked.reason == "values-strict"
    assert outcome.parked.detail == "safe: 0010,0020 I-11"
    assert [one["id"] for one in world.fhir.resources("ImagingStudy")] == [STUDY]


def test_what_a_site_did_not_configure_is_no_doubt(new_world: Callable[..., World]) -> None:
    """RULES B9: else `safe` would park every study of a site without identifier systems."""
    world = new_world(values="safe")
    world.policy = replace(world.policy, archive=ArchivePolicy(name=MAIN, dicomweb_url="https://pacs.test/dicom-web"))
    orders = {"AccessionNumber": "A1", "StudyID": "S1", "AdmissionID": "V1", "PlacerOrderNumberImagingServiceRequest": "O1"}
    assert turned(world, **ODD, **orders, IssuerOfPatientID="NOBODY", OtherPatientIDs="P9").decision is Decision.CREATE


@pytest.mark.parametrize(("policy", "parks"), [(SAFE, [SIDE]), (STRICT, [SIDE, replace(SIDE, rule="A.2 R6")])])
def test_strict_is_never_less_than_safe(policy: MappingPolicy, parks: list[Note]) -> None:
    """docs/settings.md, POLICY__VALUES: `safe` is between the two."""
    for parking in parks:
        with pytest.raises(StudyError):
            require_plain([parking], policy=policy)
    require_plain([replace(SIDE, safety=False)], policy=SAFE)
    require_plain([SIDE], policy=replace(SAFE, values="lenient"))


def test_what_is_in_doubt_is_counted_apart_and_kept(world: World) -> None:
    """RULES B9: a class of its own; a study that is corrected leaves the list when it is published."""
    listener = Listener()
    world._context = replace(world.connect(), observer=listener)
    world.store(**{**ODD, "PatientID": ""})
    world.settle()
    world.poll()
    world.work()
    assert listener.doubts == [("I-11",)]
    assert [one.study_uid for one in world.ledger.safety.page()] == [STUDY]
    world.mark()
    assert [one.decision for one in world.work()] == [Decision.SKIP]
    assert listener.doubts == [("I-11",), ()]
    assert len(world.ledger.safety.page()) == 1, "unchanged, and still in doubt"
    (wrong,) = (one.id for one in world.orthanc.index.all("Study"))
    world.store(series=2, **{**ODD, "PatientID": "P1"})
    world.delete(wrong)
    world.settle()
    world.poll()
    assert [one.decision for one in world.work()] == [Decision.UPDATE]
    assert world.ledger.safety.page() == []


@pytest.mark.parametrize("rule", ["C8", "D.2", "F.6", "J.2"])
def test_what_is_no_value_parks_nothing(rule: str) -> None:
    """docs/settings.md, POLICY__VALUES: "parks a study with odd values": copies, rejected images and sheer size are none."""
    require_plain([Note(tag="", rule=rule, done="")], policy=STRICT)
    with pytest.raises(StudyError):
        require_plain([Note(tag="", rule="B", done="")], policy=STRICT)


def test_each_publication_counts_each_rule_once(world: World) -> None:
    """docs/metrics.md, a counter for each rule: told with what was published, and not again while nothing changes."""
    listener = Listener()
    world._context = replace(world.connect(), observer=listener)
    for number in (1, 2):
        world.store(instance=number, **ODD)
    world.settle()
    world.poll()
    [outcome] = world.work()
    assert outcome.decision is Decision.CREATE
    [heard] = listener.heard
    assert {"C.1-1", "C.3"} <= set(heard)
    assert len(heard) == len(set(heard))
    world.mark()
    assert [one.decision for one in world.work()] == [Decision.SKIP]
    assert listener.heard[1:] == [()]


def test_every_rule_that_a_note_names_is_known_beforehand() -> None:
    """Each rule of the source is counted from zero, and no other."""
    root = Path(syncd.__file__).parent
    files = [
        *(root / "snapshot").rglob("*.py"),
        *(root / "mapping" / "notes").glob("*.py"),
        *(root / "loop" / "companions").glob("*.py"),
        *(root / "loop" / "outbox").glob("*.py"),
    ]
    said = r'(?:\brule=|\bnote\(|^_?RULE = |^UNENCODABLE = )"([^"]+)"'
    found = {rule for file in files for rule in re.findall(said, file.read_text(encoding="utf-8"), re.MULTILINE)}
    dates = (root / "snapshot" / "values" / "dates.py").read_text(encoding="utf-8")
    found |= set(re.findall(r'note\("[^"]+" if .+ else "([^"]+)"', dates))
    assert found | {guide.rule for guide in GUIDES.values()} == set(NOTE_RULES)
    assert rules([Note(tag=str(n), rule=rule, done="") for n, rule in enumerate(["B", "A.1", "B"])]) == ("A.1", "B")
