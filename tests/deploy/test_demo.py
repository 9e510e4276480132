"""The demo's own decisions, without its servers: ports, one at a time, what it hands to syncd, when it is done."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.native import demo_daemon, demo_places
from deploy.native.demo_daemon import Daemon
from deploy.native.demo_places import DemoFailed, chosen_ports, only_demo
from deploy.native.demo_screen import Screen
from deploy.native.demo_studies import Seen, Sight, files
from deploy.native.process import StartFailed, free_port
from syncd.settings import load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A demo's folder that is not the checkout's: a demo may be running there."""
    monkeypatch.setattr(demo_places, "FOLDER", tmp_path / "demo")
    return tmp_path / "demo"


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", free_port()))
        somebody.listen()
        yield somebody.getsockname()[1]


def test_a_default_port_that_is_taken_gives_way_with_a_notice(taken: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ports that it says, and an Orthanc that is there already is left alone."""
    monkeypatch.setitem(demo_places.PORTS, "DEMO_ORTHANC_PORT", taken)
    ports = chosen_ports({})
    assert ports.orthanc > taken
    assert len({ports.orthanc, ports.hapi, ports.syncd}) == 3
    assert any(str(taken) in notice and "DEMO_ORTHANC_PORT" in notice for notice in ports.notices)


def test_two_servers_never_get_one_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens on a chosen port yet, so only the demo knows that it is given away."""
    port = free_port()
    monkeypatch.setitem(demo_places.PORTS, "DEMO_HAPI_PORT", port)
    assert chosen_ports({"DEMO_ORTHANC_PORT": str(port)}).hapi > port


@pytest.mark.parametrize("text", ["taken", "0", "65536", "eighty", "-1"])
def test_a_named_port_that_cannot_be_had_is_an_error(text: str, taken: int) -> None:
    """Failures say what to do; a port asked for by name is never exchanged silently."""
    with pytest.raises(DemoFailed, match="DEMO_HAPI_PORT"):
        chosen_ports({"DEMO_HAPI_PORT": str(taken) if text == "taken" else text})


def test_a_second_demo_is_refused_and_told_who_runs(folder: Path) -> None:
    """A second run does not take the first one's storage away."""
    with only_demo(), pytest.raises(DemoFailed, match=str(os.getpid())), only_demo():
        pass
    with only_demo():
        assert (folder / "lock").exists()


def test_a_new_run_starts_without_the_last_ones_data(folder: Path) -> None:
    """A second run works; yesterday's ledger would not fit today's empty HAPI."""
    with only_demo():
        assert not demo_places.cleared()
        demo_places.new_password()
        (folder / "ledger.db").touch()
        assert demo_places.cleared()
        assert [path.name for path in folder.iterdir()] == ["lock"]


def test_syncd_understands_the_settings_that_it_is_given(folder: Path) -> None:
    """docs/settings.md: an unknown key would be an error; the password comes from a secret file that only its owner
    reads."""
    with only_demo():
        password = demo_places.new_password()
        variables = demo_places.written_config(
            orthanc="http://127.0.0.1:1", dicomweb="http://127.0.0.1:1/dicom-web", fhir="http://127.0.0.1:2/fhir", port=3
        )
    settings = load(environ=variables)
    archive = settings.archives[demo_places.ARCHIVE]
    assert archive.password is not None
    assert archive.password.get_secret_value() == password
    assert settings.ledger.place == str(folder / "ledger.db")
    assert settings.web.port == 3
    (secret,) = (folder / "secrets").iterdir()
    assert secret.stat().st_mode & 0o077 == 0
    assert password not in (folder / "syncd.toml").read_text()


def test_the_daemon_gets_no_other_settings_than_the_demos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable of the shell would lead the demo's daemon to somebody else's servers."""
    monkeypatch.setenv("SYNCD_FHIR__URL", "http://production.example.org/fhir")
    monkeypatch.setattr(demo_daemon, "syncd_command", lambda: ("sh", "-c", "env | grep ^SYNCD_; exit 2"))
    daemon = Daemon(directory=tmp_path, port=free_port(), variables={"SYNCD_CONFIG": "of the demo"})
    with pytest.raises(StartFailed) as failure:
        daemon.start()
    assert daemon.log_text().split("\n") == ["SYNCD_CONFIG=of the demo", ""]
    assert "check" in str(failure.value)
    assert os.environ["SYNCD_FHIR__URL"] == "http://production.example.org/fhir"


@pytest.mark.parametrize(
    ("statuses", "parked", "pending", "settled"),
    [
        ((), (), 0, False),
        (("available", "available"), (), 0, True),
        (("available", "registered"), (), 0, False),
        (("available", "waiting"), (), 0, False),
        (("available", "waiting"), ("1",), 0, True),
        (("available", "waiting"), ("1",), 1, True),
        (("available", "available"), (), 1, False),
    ],
)
def test_all_is_settled_when_every_study_is_available_or_parked(
    statuses: tuple[str, ...], parked: tuple[str, ...], pending: int, settled: bool
) -> None:
    """Published, or parked with a reason; nothing owed."""
    studies = tuple(Seen(uid=str(index), link="", status=status) for index, status in enumerate(statuses))
    assert Sight(studies=studies, parked=dict.fromkeys(parked, "refused"), pending=pending).settled is settled


def test_without_a_terminal_every_line_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """`ONCE=1` needs no terminal; a link that is cut at 80 columns is none."""
    link = "http://127.0.0.1:18080/fhir/ImagingStudy/" + "1." * 30 + "1"
    seen = Seen(uid="1.2", link=link, status="available", date="2026-03-01", modalities="CT SR", series=2, instances=31)
    screen = Screen(once=True, steps=1)
    with screen.step("table", doing="[brackets] stay"), screen.following() as display:
        sight = Sight(studies=(seen,), parked={"3.4": "uid-not-oid"}, readiness="ok")
        display.show(sight, sent=1, files=2)
        display.show(sight, sent=2, files=2)
        screen.table(sight)
    told = capsys.readouterr().out.splitlines()
    assert told[0] == "[1/1] table: [brackets] stay"
    assert [line for line in told if line.endswith(link) and "2/31" in line and "2026-03-01" in line]
    assert "      parked: 3.4: uid-not-oid" in told
    assert len([line for line in told if "files sent" in line]) == 1


def test_a_failure_names_its_step(capsys: pytest.CaptureFixture[str]) -> None:
    """Failures say which step and what to do."""
    screen = Screen(once=True, steps=6)
    with pytest.raises(DemoFailed), screen.step("HAPI", doing="starts"):
        raise DemoFailed("build it first")
    screen.failed("build it first")
    assert capsys.readouterr().out.endswith("step 1/6 HAPI failed\nbuild it first\n")


def test_the_pydicom_package_ships_files() -> None:
    """docs/orthanc.md, Real DICOM to feed it: without them there is no demo."""
    assert len(files()) > 100
