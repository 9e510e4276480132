"""Hooks: "a Python entry point (`syncd.mapping`) that receives the snapshot and the finished resource and may change or
veto it; its errors park the study with its name. One documented example in `docs/`" (issue: For sites, A hook)."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import ConfigurationError
from syncd.loop.connect import connect_dry
from syncd.loop.hooks import Hook, fingerprint_with_hooks, load_hooks
from syncd.model.outcome import Outcome
from syncd.model.snapshot import StudySnapshot
from syncd.model.words import Decision
from tests.docs import pages
from tests.loop.rejecting import SAFETY, images, note, settled, uid
from tests.loop.world import STUDY, World

Resource = dict[str, Any]
PHI = "Synthetic^Sam"


def hook(call: Callable[[StudySnapshot, Resource], Any], *, name: str = "site") -> Hook:
    return Hook(name=name, distribution="site-hook 1", value="site:hook", call=call)


def hooked(world: World, *hooks: Hook) -> World:
    world._context = replace(world.connect(), hooks=hooks)
    return world


def turned(world: World, **tags: Any) -> Outcome:
    """A stable study's turn."""
    world.store(**tags)
    world.settle()
    world.poll()
    return world.turn()


def install(folder: Path, *, project: str, modules: dict[str, str]) -> None:
    """What pip leaves of a package: its modules, and what its pyproject says."""
    said = tomllib.loads(project)["project"]
    info = folder / f"{said['name'].replace('-', '_')}-{said['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {said['name']}\nVersion: {said['version']}\n")
    lines = [f"[{group}]\n" + "".join(f"{a} = {b}\n" for a, b in one.items()) for group, one in said["entry-points"].items()]
    (info / "entry_points.txt").write_text("\n".join(lines))
    for name, text in modules.items():
        (folder / f"{name}.py").write_text(text)


def project(value: str, *, name: str = "broken", version: str = "1.0") -> str:
    entry = f'[project.entry-points."syncd.mapping"]\n{name} = "{value}"\n'
    return f'[project]\nname = "{name}-hook"\nversion = "{version}"\n{entry}'


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package of docs/hook.md, installed."""
    [said] = [block.text for block in pages.blocks("toml") if block.page == "hook.md"]
    [code] = [block.text for block in pages.blocks("python") if block.page == "hook.md"]
    [module] = tomllib.loads(said)["tool"]["setuptools"]["py-modules"]
    install(tmp_path / "site", project=said, modules={module: code})
    monkeypatch.syspath_prepend(tmp_path / "site")


def test_the_documented_example_changes_and_vetoes(world: World, example: None) -> None:
    """docs/hook.md: the example is found, loaded and asked as an installed package."""
    assert [one.distribution for one in world.context.hooks] == ["example-hospital-hook 1.0"]
    outcome = turned(world, PatientID="P1", OperatorsName="Operator^Olga")
    assert outcome.decision is Decision.CREATE
    assert world.study()["series"]
    assert "Olga" not in str(world.study())
    world.store("1.2.276.9", PatientID="QA-7")
    world.settle()
    world.poll()
    vetoed = world.turn("1.2.276.9")
    assert vetoed.parked is not None
    assert (vetoed.parked.reason, vetoed.parked.detail) == ("hook", "vetoed by example-hospital")
    assert [one["id"] for one in world.fhir.resources("ImagingStudy")] == [STUDY]


def test_without_the_example_the_operator_is_named(world: World) -> None:
    """The example's test can fail: this is what it takes away."""
    turned(world, PatientID="P1", OperatorsName="Operator^Olga")
    assert "Olga" in str(world.study())


def test_hooks_see_snapshot_and_resource_at_every_status(world: World) -> None:
    """docs/hook.md: it receives the snapshot and the finished resource, announced and whole."""
    seen: list[tuple[str, str]] = []

    def look(snapshot: StudySnapshot, resource: Resource) -> Resource:
        seen.append((snapshot.study_uid, resource["status"]))
        return {**resource, "description": "said by the site"}

    hooked(world, hook(look))
    world.store()
    world.poll()
    world.turn()
    world.settle()
    world.poll()
    world.turn()
    assert seen == [(STUDY, "registered"), (STUDY, "available")]
    assert world.study()["description"] == "said by the site"


def test_hooks_see_what_is_withdrawn(world: World) -> None:
    """docs/hook.md: the finished resource, whatever it says; nothing of a rejected study comes back by it."""
    seen: list[str] = []

    def look(_: StudySnapshot, resource: Resource) -> Resource:
        seen.append(resource["status"])
        return resource

    hooked(world, hook(look))
    images(world, 1, 2)
    settled(world)
    note(world, SAFETY, {STUDY: [uid(1), uid(2)]})
    settled(world)
    assert (seen[-1], world.study()["status"]) == ("entered-in-error", "entered-in-error")


def test_each_hook_gets_what_the_one_before_gave(world: World) -> None:
    """docs/hook.md: it may change the resource."""
    first = hook(lambda _, resource: {**resource, "description": "one"}, name="a")
    second = hook(lambda _, resource: {**resource, "description": resource["description"] + ", two"}, name="b")
    turned(hooked(world, first, second))
    assert world.study()["description"] == "one, two"


def _raises(_: StudySnapshot, __: Resource) -> Resource:
    raise ValueError(PHI)


def _exits(_: StudySnapshot, __: Resource) -> Resource:
    raise SystemExit(PHI)


def _changed(**elements: Any) -> Callable[[StudySnapshot, Resource], Resource]:
    return lambda _, resource: {**resource, **elements}


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        (lambda _, __: None, "vetoed by site"),
        (_raises, "site failed (ValueError)"),
        (_exits, "site failed (SystemExit)"),
        (lambda _, __: [PHI], "site failed (TypeError)"),
        (_changed(note={PHI}), "site failed (TypeError)"),
        (_changed(note=float("nan")), "site failed (ValueError)"),
        (_changed(identifier=PHI), "site failed (AttributeError)"),
        (_changed(id="other"), "site changed id"),
        (_changed(resourceType="Patient"), "site changed resourceType"),
        (_changed(status="cancelled"), "site changed status"),
        (_changed(meta={"tag": []}), "site changed meta.tag"),
        (_changed(meta={}), "site changed meta.tag"),
        (_changed(identifier=[]), "site changed identifier urn:dicom:uid"),
        (_changed(numberOfSeries=-1), "site made it invalid: ImagingStudy.numberOfSeries"),
        (_changed(series=PHI), "site made it invalid: ImagingStudy.series"),
        (lambda _, resource: {name: resource[name] for name in resource if name != "subject"}, "site made it invalid"),
    ],
)
def test_what_a_hook_does_wrong_parks_the_study_with_its_name(
    world: World, call: Callable[[StudySnapshot, Resource], Any], detail: str
) -> None:
    """docs/hook.md: its errors park the study under its name; RULES S1: never with its message."""
    outcome = turned(hooked(world, hook(call)))
    assert outcome.parked is not None and outcome.parked.reason == "hook"
    assert outcome.parked.detail.startswith(detail)
    assert PHI not in str(outcome)
    assert world.fhir.resources("ImagingStudy") == []


def test_a_hook_gets_a_copy_of_its_own(world: World) -> None:
    """docs/hook.md: what it keeps and changes later, or changes although it then gives another, is not what is sent."""
    kept: list[Resource] = []

    def keep(_: StudySnapshot, resource: Resource) -> Resource:
        other = {**resource, "series": list(resource["series"])}
        kept.append(other)
        return other

    def spoil(_: StudySnapshot, resource: Resource) -> Resource:
        kept[0]["series"].clear()
        return resource

    turned(hooked(world, hook(keep, name="a"), hook(spoil, name="b")))
    assert len(world.study()["series"]) == 1


def test_what_a_hook_added_goes_with_it_and_never_grows(world: World) -> None:
    """RULES C3, C5: a hook's element and extension are ours: read again they are not taken for another writer's."""
    extension = {"url": "http://hospital.test/ward", "valueString": "West"}
    adding = _changed(extension=[extension], note=[{"text": "of the site"}])
    turned(hooked(world, hook(adding)))
    world.mark(read_fhir=True)
    assert world.turn().decision is Decision.SKIP
    world.put({**world.study(), "description": "edited", "extension": [extension, {**extension, "valueString": "Hers"}]})
    world.mark(read_fhir=True)
    assert world.turn().decision is Decision.UPDATE
    assert [one["valueString"] for one in world.study()["extension"]] == ["West", "Hers"]
    hooked(world)
    world.mark(read_fhir=True)
    assert world.turn().decision is Decision.UPDATE
    assert [one["valueString"] for one in world.study()["extension"]] == ["Hers"]
    assert "note" not in world.study()


def test_hooks_and_their_versions_shape_the_fingerprint() -> None:
    """RULES B3: another set of hooks makes every study dirty; without any, the fingerprint is the mapping's own."""
    one = hook(_raises)
    sets = [
        (),
        (one,),
        (one, replace(one, name="b")),
        *((replace(one, **{name: "x"}),) for name in ("distribution", "value")),
    ]
    assert len({fingerprint_with_hooks("f", hooks=hooks) for hooks in sets}) == len(sets)
    assert fingerprint_with_hooks("f", hooks=()) == "f"


def test_a_new_version_of_a_hook_marks_what_was_published(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES B3: at the start after the upgrade."""
    world.published()
    assert world.ledger.overview.counts(world.clock()).dirty == 0
    install(tmp_path / "site", project=project("builtins:max"), modules={})
    monkeypatch.syspath_prepend(tmp_path / "site")
    world.connect()
    assert world.ledger.overview.counts(world.clock()).dirty == 1
    assert connect_dry(world.site, world.ledger).fingerprint == world.context.fingerprint


@pytest.mark.parametrize(
    ("value", "text"),
    [("syncd_no_such_module:hook", ""), ("raising_hook:hook", f"raise ValueError({PHI!r})"), ("raising_hook:no", "no = 1")],
)
def test_a_hook_that_cannot_be_loaded_is_the_operators(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, text: str
) -> None:
    """docs/hook.md: exit 2 naming it, before anything is asked of a server; nothing is published without it."""
    install(tmp_path / "site", project=project(value), modules={"raising_hook": text} if text else {})
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(__import__("sys").modules, "raising_hook", raising=False)
    with pytest.raises(ConfigurationError, match="'broken'") as caught:
        world.connect()
    assert PHI not in str(caught.value)
    assert world.fhir.requests == []


def test_hooks_come_in_the_order_of_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/hook.md: whatever order the packages were installed in."""
    for name in ("b", "c", "a"):
        install(tmp_path / name, project=project("builtins:max", name=name), modules={})
        monkeypatch.syspath_prepend(tmp_path / name)
    assert [one.name for one in load_hooks()] == ["a", "b", "c"]
