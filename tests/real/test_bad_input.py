"""What bad settings and bad servers get: a message that says what to do, the right exit code, and no traceback."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.daemon import Ended, Syncd
from tests.proxy import Answer, Drop, Fault, Hold
from tests.real.installation import Installation, study
from tests.servers import Archive, FhirServer

HTML = Answer(status=200, body=b"<!DOCTYPE html><p>Log in", headers={"Content-Type": "text/html"})
UNAUTHORIZED = Answer(status=401, body=b"", headers={"WWW-Authenticate": "Basic"})
STU3 = {"resourceType": "CapabilityStatement", "fhirVersion": "3.0.2", "rest": [{"resource": [{"type": "ImagingStudy"}]}]}
SPEAKS_STU3 = Answer(status=200, body=json.dumps(STU3).encode(), headers={"Content-Type": "application/fhir+json"})

BAD_SERVERS = [
    ("archive", Drop(), "the connection broke"),
    ("archive", HTML, "web page instead of JSON"),
    ("archive", UNAUTHORIZED, "refuses our credentials"),
    ("fhir", Drop(), "FHIR server cannot be reached"),
    ("fhir", HTML, "is no CapabilityStatement"),
    ("fhir", UNAUTHORIZED, "SYNCD_FHIR__AUTH__"),
    ("fhir", SPEAKS_STU3, "speaks FHIR 3.0.2"),
]
"""(which server, what it does, what we say). None of it can be settled by a setting alone: exit 3, and `run` waits."""


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """An HTTPS server that nobody vouches for."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "1"]
    subprocess.run(["openssl", *request, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        serving = threading.Thread(target=server.serve_forever, args=(0.05,))
        serving.start()
        yield f"https://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        serving.join()


@pytest.mark.parametrize("command", ["run", "resync", "render"])
def test_all_problems_of_the_settings_are_in_one_message(tmp_path: Path, command: str) -> None:
    """Each setting by name, a suggestion, exit 2."""
    syncd = Syncd(
        tmp_path, variables={"SYNCD_FHIR__ULR": "http://x", "SYNCD_LOG__LEVEL": "loud", "SYNCD_FHIR__TIMEOUT": "60"}
    )
    ended = syncd.command(command, *(["1.2.3"] if command == "render" else []), expect=2)
    for said in ("SYNCD_FHIR__ULR", "did you mean", "SYNCD_LOG__LEVEL", "SYNCD_FHIR__TIMEOUT", "60s", "SYNCD_ARCHIVES__"):
        assert said in ended.err
    _assert_plain(ended)


@pytest.mark.parametrize(("server", "fault", "said"), BAD_SERVERS, ids=[f"{row[0]}: {row[2]}" for row in BAD_SERVERS])
@pytest.mark.quick("archive: refuses our credentials", "fhir: speaks FHIR 3.0.2")
def test_a_bad_server_ends_a_resync_and_lets_the_daemon_wait(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation], server: str, fault: Fault, said: str
) -> None:
    """`check` says so, `resync` exits 3, `run` says so at /readyz and goes on by itself when it is well."""
    site = install(archive, hapi)
    study_uid, files = study(f"bad {server} {said}")
    site.send(*files)
    proxy = site.before_archive if server == "archive" else site.before_fhir
    proxy.fail(fault)
    checking = site.syncd.begin("check")
    ended = site.syncd.command("resync", expect=3)
    assert said in ended.err
    _assert_plain(ended)
    checked = site.syncd.heard(checking, *checking.communicate(timeout=60), expect=3)
    assert [line for line in checked.out.splitlines() if line.startswith("BAD") and said in line]

    site.syncd.start(until_ready=False)
    site.syncd.wait(lambda: said in site.syncd.page("/readyz").text, what="said at /readyz")
    assert site.syncd.page("/readyz").status == 503
    assert site.syncd.page("/livez").status == 200
    proxy.heal()
    site.wait_for(study_uid)
    site.syncd.wait(lambda: site.syncd.page("/readyz").status == 200, what="ready")
    site.syncd.stop()


def test_a_daemon_that_waits_for_a_server_still_ends_well(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """README.md, Commands: SIGTERM is 0, also while nothing works."""
    site = install(archive, hapi)
    site.before_fhir.fail(Drop())
    site.syncd.start(until_ready=False)
    site.syncd.stop()


def test_a_named_version_that_the_server_does_not_speak_is_a_contradiction(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """An explicit version conflict is exit 2, of the daemon as well."""
    site = install(archive, hapi, SYNCD_FHIR__VERSION="r4")
    site.before_fhir.fail(SPEAKS_STU3, path="/metadata")
    ended = site.syncd.command("resync", expect=2)
    assert "SYNCD_FHIR__VERSION is r4" in ended.err
    _assert_plain(ended)
    site.syncd.start_only()
    assert site.syncd.ended() == 2


@pytest.mark.long
def test_no_dicomweb_plugin_and_no_address_for_it_is_a_contradiction(
    new_orthanc: Callable[..., Archive], hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """Exit 2, unless PUBLIC_DICOMWEB_URL says who offers the images."""
    site = install(new_orthanc(dicomweb=False), hapi)
    site.send(*study("no plugin")[1])
    name = f"{site.block}PUBLIC_DICOMWEB_URL"
    address = site.syncd.variables.pop(name)
    for command in ("resync", "check"):
        ended = site.syncd.command(command, expect=2)
        assert name in ended.out + ended.err
        assert "DICOMweb plugin" in ended.out + ended.err
        _assert_plain(ended)
    site.syncd.start_only()
    assert site.syncd.ended() == 2
    site.syncd.variables[name] = address
    site.wait_stable(study("no plugin")[0])
    site.syncd.command("resync", expect=0)
    assert "no DICOMweb plugin" in site.syncd.command("check", expect=0).out


@pytest.mark.long
def test_the_dicomweb_address_is_derived_where_it_is_not_given(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """docs/settings.md, PUBLIC_DICOMWEB_URL: URL + the server's DICOMweb root; `check` warns."""
    site = install(archive, hapi)
    del site.syncd.variables[f"{site.block}PUBLIC_DICOMWEB_URL"]
    study_uid, files = study("derived address")
    site.send(*files)
    site.wait_stable(study_uid)
    assert "PUBLIC_DICOMWEB_URL is unset" in site.syncd.command("check", expect=0).out
    site.syncd.command("resync", expect=0)
    site.dicomweb_url = f"{site.before_archive.url}/dicom-web"
    site.assert_equal()


def test_check_has_one_line_each(archive: Archive, hapi: FhirServer, install: Callable[..., Installation]) -> None:
    """README.md, `check`: settings, both servers, ledger; it writes nothing, and exits 0 in spite of warnings."""
    site = install(archive, hapi)
    ended = site.syncd.command("check", expect=0)
    about = [line[5:17].strip() for line in ended.out.splitlines() if line.startswith("ok")]
    assert {"settings", "archive", "FHIR server", "ledger"} == set(about)
    assert site.archive.version in ended.out
    assert site.before_fhir.writes() == ()
    assert not (site.syncd.directory / "ledger.db").exists()

    site.before_archive.fail(Drop())
    site.before_fhir.fail(Drop())
    both = site.syncd.command("check", expect=3)
    bad = [line[5:17].strip() for line in both.out.splitlines() if line.startswith("BAD")]
    assert bad == ["archive", "FHIR server"]


def test_nobody_listens_at_all(tmp_path: Path) -> None:
    """A closed port is told with the setting to look at."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{closed.getsockname()[1]}"
        variables = {"SYNCD_ARCHIVES__MAIN__URL": nowhere, "SYNCD_FHIR__URL": f"{nowhere}/fhir"}
        syncd = Syncd(tmp_path, variables=variables)
        ended = syncd.command("resync", expect=3)
        assert "SYNCD_ARCHIVES__MAIN__URL" in ended.err
        _assert_plain(ended)
        assert syncd.command("status").code == 3


@pytest.mark.parametrize(
    ("server", "setting"), [("archive", "SYNCD_ARCHIVES__MAIN__CA_FILE"), ("fhir", "SYNCD_FHIR__CA_FILE")]
)
def test_a_refused_certificate_is_told_with_the_setting_that_helps(
    archive: Archive, self_signed: str, tmp_path: Path, server: str, setting: str
) -> None:
    """RULES S3: TLS is verified; exit 3, because the server may get another certificate."""
    variables = {
        "SYNCD_ARCHIVES__MAIN__URL": self_signed if server == "archive" else archive.url,
        "SYNCD_ARCHIVES__MAIN__USERNAME": archive.username,
        "SYNCD_ARCHIVES__MAIN__PASSWORD": archive.password,
        "SYNCD_FHIR__URL": f"{self_signed}/fhir",
    }
    syncd = Syncd(tmp_path / "syncd", variables=variables)
    ended = syncd.command("resync", expect=3)
    assert setting in ended.err
    assert "certificate" in ended.err
    _assert_plain(ended)
    assert setting in syncd.command("check", expect=3).out


def test_ctrl_c_ends_the_daemon_with_130(archive: Archive, hapi: FhirServer, install: Callable[..., Installation]) -> None:
    """README.md, Commands."""
    site = install(archive, hapi)
    site.syncd.start()
    site.syncd.signal(signal.SIGINT)
    assert site.syncd.ended() == 130


def test_a_daemon_ends_also_while_a_poll_finds_that_changes_vanished(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """docs/cases.md "SIGTERM drains and stops": the poll in flight asks the clockwork for an inventory while that is being
    shut."""
    site = install(archive, hapi)
    site.syncd.start()
    site.before_archive.fail(Drop(), path="^/changes")
    study_uid, files = study("vanished at the end")
    site.send(*files)
    site.archive.clear()
    hold = Hold(until=threading.Event())
    site.before_archive.fail(hold, path="^/changes", times=1)
    assert hold.reached.wait(60)
    site.before_archive.heal()
    site.syncd.signal(signal.SIGTERM)
    site.syncd.wait(lambda: site.syncd.events("stopping"), what="stopping")
    hold.until.set()
    assert site.syncd.ended() == 0
    assert site.resource(study_uid) is None


def test_ctrl_c_ends_a_resync_with_130_and_the_next_one_goes_on(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """docs/cases.md "SIGINT in `resync` exits 130 and a second run goes on"."""
    site = install(archive, hapi)
    study_uid, files = study("interrupted")
    site.send(*files)
    site.wait_stable(study_uid)
    hold = Hold(until=threading.Event())
    site.before_fhir.fail(hold, method="PUT", path="/ImagingStudy/", times=1)
    process = site.syncd.begin("resync")
    assert hold.reached.wait(60)
    process.send_signal(signal.SIGINT)
    hold.until.set()
    out, err = process.communicate(timeout=60)
    ended = site.syncd.heard(process, out, err, expect=130)
    assert "interrupted" in ended.err
    _assert_plain(ended)
    site.syncd.command("resync", expect=0)
    assert site.statuses(study_uid) == ["available"]


def test_a_second_daemon_on_one_ledger_is_refused(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES E4: exit 4, and the first goes on."""
    site = install(archive, hapi)
    site.syncd.start()
    ended = site.syncd.command("run", expect=4)
    _assert_plain(ended)
    assert site.syncd.page("/readyz").status == 200
    assert site.syncd.command("status").code == 0
    site.syncd.stop()


@pytest.mark.long
def test_a_second_installation_with_the_same_name_is_refused(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation], tmp_path: Path
) -> None:
    """RULES E3: a sentinel with our tag that the ledger does not know: exit 4, saying what to do."""
    site = install(archive, hapi)
    site.syncd.command("resync", expect=0)
    twin = Syncd(tmp_path / "twin", variables=site.syncd.variables | {"SYNCD_LEDGER__URL": f"sqlite:///{tmp_path}/twin.db"})
    ended = twin.command("resync", expect=4)
    assert "SYNCD_INSTALLATION_ID" in ended.err
    _assert_plain(ended)


@pytest.mark.long
def test_an_endpoint_of_somebody_else_at_our_id_is_left_alone(
    archive: Archive, hapi: FhirServer, install: Callable[..., Installation]
) -> None:
    """RULES B5: exit 2, naming the setting that helps."""
    site = install(archive, hapi)
    kind = {"system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type", "code": "dicom-wado-rs"}
    theirs = {
        "resourceType": "Endpoint",
        "id": f"{site.name}-wado-rs",
        "status": "active",
        "connectionType": kind,
        "payloadType": [{"text": "x"}],
        "address": "https://elsewhere.example/dicom-web",
    }
    assert hapi.put(f"Endpoint/{theirs['id']}", theirs).status == 201
    ended = site.syncd.command("resync", expect=2)
    assert "SYNCD_POLICY__ENDPOINT_PREFIX" in ended.err
    assert hapi.get(f"Endpoint/{theirs['id']}")["address"] == theirs["address"]
    site.syncd.variables["SYNCD_POLICY__ENDPOINT_PREFIX"] = "ours-"
    site.syncd.command("resync", expect=0)


def _assert_plain(ended: Ended) -> None:
    assert "Traceback" not in ended.out + ended.err
