"""RULES B11: what the archive shows of a study is believed where its files bear it out."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.model.snapshot import StudySnapshot
from syncd.model.study.raw import Undecoded
from syncd.snapshot.build import build
from syncd.snapshot.values.decoding import READ_AS_UTF8
from tests.snapshot.studies import CT, image, series, study

TEXTS = ("0008,0050", "0008,1030", "0010,0010", "0032,1060")
UNKNOWN, ESCAPES = "ISO IR 192", "ISO 2022 IR 6\\ISO 2022 IR 149"


def saying(text: Any, *, charset: str, uid: str = "1.2.3.1") -> dict[str, Any]:
    return {"0008,0016": CT, "0008,0005": charset, "0020,000e": uid, "0010,0020": "P1", **dict.fromkeys(TEXTS, text)}


def of(*files: dict[str, Any], shown: str) -> StudySnapshot:
    """A study with a series of each of these; `shown` is what the archive made of a text of the last one."""
    keys = [f"s{number}" for number in range(len(files))]
    uids = [f"1.2.3.{number + 1}" for number in range(len(files))]
    return build(
        study(
            *(series(uid, key=key, representative=one) for uid, key, one in zip(uids, keys, files, strict=True)),
            instances=[image(f"{uid}.1", series=key) for uid, key in zip(uids, keys, strict=True)],
            main={"0010,0020": "P1", **dict.fromkeys(TEXTS, shown)},
        )
    )


def told(found: StudySnapshot) -> list[list[str]]:
    """Everything that is said in `TEXTS`."""
    names = [name.alphabetic.family for name in found.patient.names if name.alphabetic]
    return [[one.value for one in found.accessions], [found.description], names, list(found.procedure_texts)]


RAW = Undecoded(value="Müller".encode(), character_set=UNKNOWN)


@pytest.mark.parametrize("shown", ["Mller", "MÃ¼ller", "M\x81ller"])
@pytest.mark.parametrize("others", [(), (saying("", charset=ESCAPES),), (saying("", charset="ISO_IR 192"),)])
def test_what_a_file_says_stands_in_the_place_of_what_the_archive_made_of_it(
    shown: str, others: tuple[dict[str, Any], ...]
) -> None:
    """RULES B11: no invented order, patient or description beside the true one, whichever series it is of."""
    assert told(of(*others, saying(RAW, charset=UNKNOWN), shown=shown)) == [["Müller"]] * 4


def test_what_a_well_read_file_says_as_well_stays_the_archives() -> None:
    """MAPPING I-62: another series' text is no reason to doubt it."""
    found = of(saying(RAW, charset=UNKNOWN), saying("Thorax", charset="ISO_IR 192"), shown="Thorax")
    assert (found.description, found.accessions[0].value) == ("Thorax", "Thorax")
    assert "differs within the study: the archive's value kept" in {note.done for note in found.notes}


def test_a_text_that_no_file_could_be_asked_for_is_read_as_it_shows_itself() -> None:
    """MAPPING C.3: UTF-8 that was read as Latin-1, also where the file that says it is lost."""
    assert told(of(saying("", charset=ESCAPES), shown="MÃ¼ller")) == [["Müller"]] * 4
    blind = build(study(series(main={"0008,103e": "HÃ¼fte"}), instances=[image("1.2.3.1.1")]))
    assert blind.series[0].description == "Hüfte"
    assert READ_AS_UTF8 in {note.done for note in blind.notes}


def test_a_text_of_which_the_archive_shows_a_part_is_left_out_where_the_whole_could_not_be_had() -> None:
    assert told(of(saying(None, charset=UNKNOWN), shown="Mller")) == [[], [""], [], []]
