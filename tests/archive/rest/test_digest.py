"""The digest of what an inventory is told: it moves with the words, and with nothing else (RULES A8)."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.archive.rest.answers import MAIN_TAGS, study_header, study_listing, tags_digest
from syncd.model.ids import ArchiveName
from tests.fakes.orthanc_tags import MAIN_TAGS as KEPT
from tests.fakes.orthanc_tags import MORE_MAIN_TAGS, PATIENT, STUDY

SAID = {tag: f"value {tag}" for tag in MAIN_TAGS}


@pytest.mark.parametrize("tag", MAIN_TAGS)
def test_every_word_counts(tag: str) -> None:
    """RULES A8: another value, and none, are another digest each."""
    others = [{**SAID, tag: "another"}, {**SAID, tag: None}]
    assert len({tags_digest(SAID), *map(tags_digest, others)}) == 3


@pytest.mark.parametrize(
    "changed",
    [{"0008,0201": "+0100"}, {"0010,0010": "value 0010,0010  "}, {"0010,0010": " value 0010,0010\0"}, {"0008,0005": "x"}],
    ids=["only 1.12 keeps it", "padded", "padded otherwise", "another of a site's ExtraMainDicomTags"],
)
def test_what_says_nothing_else_does_not_count(changed: dict[str, Any]) -> None:
    """RULES A8: an upgrade of Orthanc marks no study; padding is insignificant (PS3.5 6.2)."""
    assert tags_digest({**SAID, **changed}) == tags_digest(SAID)


@pytest.mark.parametrize("nothing", ["", " ", None])
def test_empty_and_absent_are_the_same(nothing: str | None) -> None:
    """PS3.5 7.4: neither says anything."""
    absent = {tag: value for tag, value in SAID.items() if tag != "0008,1030"}
    assert tags_digest({**SAID, "0008,1030": nothing}) == tags_digest(absent)


def test_a_value_does_not_pass_for_its_neighbour() -> None:
    """RULES A8: the same words in another attribute are other words."""
    assert tags_digest({"0032,1032": "A"}) != tags_digest({"0032,1060": "A"})


def test_it_is_of_what_both_versions_keep() -> None:
    """docs/orthanc.md: the main tags of a study and its patient, without those of 1.12 alone."""
    assert set(MAIN_TAGS) == {*KEPT[PATIENT], *KEPT[STUDY]}
    assert not set(MAIN_TAGS) & {*MORE_MAIN_TAGS[PATIENT], *MORE_MAIN_TAGS[STUDY]}


def test_it_is_too_short_to_name_anybody() -> None:
    """RULES S1, docs/decisions/inventory-digest.md: 32 bits, and the study's own UID in them: no two studies are alike."""
    person = {"0010,0010": "Synthetic^Sam", "0010,0020": "SYN-1"}
    digests = [tags_digest({**person, "0020,000d": study_uid}) for study_uid in ("1.2.3", "1.2.4")]
    assert [len(one) for one in digests] == [8, 8]
    assert digests[0] != digests[1]


def test_a_header_and_a_listing_of_the_same_study_are_equal() -> None:
    """RULES A8: what one of them told is compared with what the other one tells."""
    told = {
        "ID": "0a0a0a0a-0b0b0b0b-0c0c0c0c-0d0d0d0d-0e0e0e0e",
        "MainDicomTags": {"0020,000d": "1.2.3", "0008,1030": "Words"},
        "PatientMainDicomTags": {"0010,0010": "Synthetic^Sam"},
    }
    header, listing = study_header(told, archive=ArchiveName("main")), study_listing(told)
    assert header.tags_digest == listing.tags_digest == tags_digest(header.main_tags)
    renamed = {**told, "PatientMainDicomTags": {"0010,0010": "Synthetic^Sally"}}
    assert study_listing(renamed).tags_digest != listing.tags_digest
