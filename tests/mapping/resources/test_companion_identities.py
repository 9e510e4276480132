"""Who gets a companion, which studies share one, and what is said where there is none (MAPPING J)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.mapping.notes.notes import notes
from syncd.mapping.resources.device import device_id
from syncd.mapping.resources.procedure import period
from syncd.model.snapshot import Code, Equipment, Moment, PerformedStep, Person
from tests.mapping.companions import ALL, LOINC, of_type, referring
from tests.mapping.studies import COLLEAGUE, POLICY, STEP, full_study, person, series, study

WITHOUT_SYSTEM = Code(value="4711", scheme="99STAFF")


@pytest.mark.parametrize("who", [person("Ruiz"), person("Ruiz", identifiers=(WITHOUT_SYSTEM,))], ids=["name", "code"])
def test_a_name_alone_is_no_practitioner(who: Person) -> None:
    """MAPPING J.2: only an identifier that has a system; else `{display}`."""
    snapshot = study(referrer=who)
    assert of_type("Practitioner", "r4", snapshot) == []
    assert referring("r4", snapshot)["referrer"] == {"display": "Ruiz"}


def test_one_person_in_two_places_is_one_practitioner() -> None:
    """MAPPING J.2: deterministic by identifier; the first name is shown."""
    snapshot = study(
        referrer=person("Ruiz", "Ana", identifiers=(COLLEAGUE,)),
        series=(series(operators=(person("RUIZ A", identifiers=(COLLEAGUE,)),)),),
    )
    [said] = of_type("Practitioner", "r4", snapshot)
    assert said["name"][0]["family"] == "Ruiz"
    performer = referring("r4", snapshot)["series"][0]["performer"][0]
    assert performer["actor"] == {"reference": f"Practitioner/{said['id']}"}


SAME = Equipment(manufacturer="Acme", model="Scan 3", serial="S-17")
IDENTITIES: list[tuple[Equipment, Equipment, bool]] = [
    (SAME, replace(SAME, station="CT1", versions=("2",)), True),
    (SAME, replace(SAME, serial="S-18"), False),
    (SAME, replace(SAME, uid="2.25.900"), False),
    (replace(SAME, uid="2.25.900"), Equipment(uid="2.25.900"), True),
    (SAME, replace(SAME, uid="1.02.3"), True),
]


@pytest.mark.parametrize(("one", "other", "equal"), IDENTITIES)
def test_a_device_is_who_it_is_by_uid_or_serial_number(one: Equipment, other: Equipment, equal: bool) -> None:
    """MAPPING J.2: (0018,1002), else (0008,0070)+(0008,1090)+(0018,1000); what is no OID is no UID of a device."""
    assert (device_id(one) == device_id(other)) is equal
    assert device_id(one).startswith("dev-") and len(device_id(one)) == 44


@pytest.mark.parametrize("missing", ["manufacturer", "model", "serial"])
def test_equipment_that_cannot_be_told_from_others_is_words(missing: str) -> None:
    """MAPPING J.2: two scanners of one model must not become one."""
    snapshot = study(series=(series(equipment=replace(SAME, **{missing: ""})),))
    assert of_type("Device", "r4", snapshot) == []
    [performer] = referring("r4", snapshot)["series"][0]["performer"]
    words = {"manufacturer": "Scan 3", "model": "Acme", "serial": "Acme Scan 3"}[missing]
    assert performer["actor"] == {"type": "Device", "display": words}
    assert [note.rule for note in notes(snapshot, policy=ALL) if note.tag == "0018,1000"] == ["J.2"]


def at(date: str, time: str = "", offset: str = "+00:00") -> Moment:
    return Moment(date=date, time=time, offset=offset if time else "")


PERIODS: list[tuple[Moment | None, Moment | None, dict[str, str]]] = [
    (None, None, {}),
    (at("2026-03-01"), None, {"start": "2026-03-01"}),
    (None, at("2026-03-01"), {"end": "2026-03-01"}),
    (at("2026-03-01", "09:00:00"), at("2026-03-01"), {"start": "2026-03-01", "end": "2026-03-01"}),
    (at("2026-03-01"), at("2026-03-02", "01:00:00"), {"start": "2026-03-01", "end": "2026-03-02"}),
    (at("2026-03"), at("2026-03-02"), {"start": "2026-03", "end": "2026-03"}),
    (at("2026-03-02"), at("2026-03-01"), {"start": "2026-03-02"}),
    (at("2026-03-01", "09:00:00"), at("2026-03-01", "08:59:59"), {"start": "2026-03-01T09:00:00+00:00"}),
    (
        at("2026-03-01", "09:00:00", "+01:00"),
        at("2026-03-01", "08:30:00", "+00:00"),
        {"start": "2026-03-01T09:00:00+01:00", "end": "2026-03-01T08:30:00+00:00"},
    ),
]


@pytest.mark.parametrize(("started", "ended", "said"), PERIODS)
def test_a_period_is_said_in_one_precision_and_in_order(
    started: Moment | None, ended: Moment | None, said: dict[str, str]
) -> None:
    """MAPPING J.4, C.1: FHIR's per-1 refuses an end that lies before its start, or cannot be compared with it."""
    step = PerformedStep(uids=("2.25.1",), started=started, ended=ended)
    assert period(step, timezone="") == said
    [procedure] = of_type("Procedure", "r4", study(series=(series(performed_step=step),)))
    assert procedure["status"] == ("completed" if "end" in said else "unknown")
    noted = [note.tag for note in notes(study(series=(series(performed_step=step),)), policy=ALL) if note.rule == "J.4"]
    assert noted == (["0040,0250"] if ended and "end" not in said else [])


def test_each_step_is_a_procedure_and_the_study_one_only_without_steps() -> None:
    """MAPPING J.4: `proc-` and the step's UID, else the study's; only with (0008,1111) or (0008,1032)."""
    steps = tuple(series(uid=f"2.25.{n}", performed_step=replace(STEP, uids=(f"2.25.80{n % 2}",))) for n in range(1, 4))
    found = of_type("Procedure", "r5", study(series=steps))
    assert [one["identifier"][0]["value"] for one in found] == ["urn:oid:2.25.801", "urn:oid:2.25.800"]
    assert [one["code"] for one in found] == [{"text": "CT chest"}] * 2
    assert len(referring("r5", study(series=steps))["partOf"]) == 2
    assert referring("r4", study(series=steps))["procedureReference"]["reference"] == f"Procedure/{found[0]['id']}"

    coded = study(procedure_codes=(Code(value="24627-2", scheme="LN", meaning="CT Chest"),))
    [whole] = of_type("Procedure", "r5", coded)
    assert "identifier" not in whole
    assert (whole["status"], whole["code"]) == ("unknown", LOINC)
    assert of_type("Procedure", "r5", study(procedure_texts=("words",))) == []


def test_a_step_whose_uid_is_none_is_noted() -> None:
    """MAPPING J.4, RULES S1: rule and tag, never the value."""
    snapshot = study(series=(series(performed_step=PerformedStep(uids=("secret",))),))
    assert of_type("Procedure", "r4", snapshot) == []
    [note] = [one for one in notes(snapshot, policy=ALL) if one.rule == "J.4"]
    assert note.tag == "0008,1111" and "secret" not in note.done
    assert [one for one in notes(snapshot, policy=POLICY) if one.rule == "J.4"] == []


def test_another_patients_left_chest_is_another_body_structure() -> None:
    """MAPPING J.7: by patient, site and side."""
    ids = {
        of_type("BodyStructure", "r5", replace(full_study(), **changed))[0]["id"]
        for changed in (
            {},
            {"patient": replace(full_study().patient, ids=())},
            {"series": (replace(full_study().series[0], laterality="R"),)},
            {"series": (replace(full_study().series[0], body_part="ABDOMEN"),)},
        )
    }
    assert len(ids) == 4
    assert of_type("BodyStructure", "r5", study(series=(series(body_part="CHEST"),))) == []
