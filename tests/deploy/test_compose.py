"""docker-compose.yml, as docker-compose itself understands it: loopback only, pinned, no secrets, names that exist."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

import pytest
import yaml
from pydantic import BaseModel

from deploy.native.process import program
from syncd.settings import Settings, load
from tests.container_plans import HAPI_IMAGE, ORTHANC_IMAGES

FILE = Path(__file__).parents[2] / "docker-compose.yml"


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    command = program("docker-compose")
    if command is None:
        pytest.skip("docker-compose is not installed: apt-get install docker-compose")
    said = subprocess.run(
        [command, "--file", str(FILE), "config"], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60
    )
    assert said.returncode == 0, said.stderr
    parsed: dict[str, Any] = yaml.safe_load(said.stdout)
    return parsed


def test_the_three_services_are_there(compose: dict[str, Any]) -> None:
    """Servers and syncd, each by a published image."""
    assert sorted(compose["services"]) == ["hapi", "orthanc", "syncd"]


def test_every_image_is_pinned_to_what_the_tests_use(compose: dict[str, Any]) -> None:
    """Images pinned; the fixtures' containers are the same ones."""
    images = {name: service["image"] for name, service in compose["services"].items()}
    assert images["orthanc"] == ORTHANC_IMAGES["1.12.7"]
    assert images["hapi"] == HAPI_IMAGE
    assert all(re.fullmatch(r"[^:]+:v?\d+(\.\d+)+(-\d+)?", image) for image in images.values()), images


def test_every_port_is_on_loopback(compose: dict[str, Any]) -> None:
    """RULES S3; a published port without an address would be open to the network."""
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 4
    addresses = [port.get("host_ip") if isinstance(port, dict) else port.rsplit(":", 2)[0] for port in ports]
    assert set(addresses) == {"127.0.0.1"}


def test_hapi_has_no_health_check(compose: dict[str, Any]) -> None:
    """docs/fhir-servers.md: the image has no shell; such a check never turns healthy."""
    assert "healthcheck" not in compose["services"]["hapi"]


def test_no_secret_is_in_the_file(compose: dict[str, Any]) -> None:
    """No secrets in the file. Passwords and tokens come from files that the user makes, outside of git."""
    for service in compose["services"].values():
        assert not [name for name in service["environment"] if re.search("PASSWORD|TOKEN|SECRET|REGISTERED", name)]
    assert all(Path(secret["file"]).parent.name == "secrets" for secret in compose["secrets"].values())
    assert "secrets/" in (FILE.parent / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_every_syncd_name_is_a_setting(compose: dict[str, Any]) -> None:
    """Every environment name checked against the settings; secret files are named as the variables."""
    named = {*compose["services"]["syncd"]["environment"], *_secret_targets(compose)}
    assert len(named) > 5
    assert not [name for name in named if not any(re.fullmatch(known, name) for known in _known(Settings))]


def test_syncd_accepts_what_the_file_gives_it(
    compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES S3: beyond loopback only with a token, which comes as a secret file."""
    monkeypatch.chdir(tmp_path)  # a settings file of this checkout is none of the container's
    for target in _secret_targets(compose):
        (tmp_path / target).write_text("a-secret-of-32-characters-length", encoding="utf-8")
    environment = compose["services"]["syncd"]["environment"]
    settings = load(environ={**environment, "SYNCD_SECRETS_DIR": str(tmp_path)})
    assert settings.web.host == "0.0.0.0"
    assert settings.web.token is not None
    assert settings.archives["orthanc"].password is not None


def test_the_documented_users_file_is_orthancs_configuration() -> None:
    """The comment's printf makes JSON that lets the user of the environment in."""
    text = FILE.read_text(encoding="utf-8")
    (template,) = re.findall(r"printf '(\{.*\})\\n'", text)
    assert list(json.loads(template % "x")["RegisteredUsers"]) == ["syncd"]
    assert "SYNCD_ARCHIVES__ORTHANC__USERNAME: syncd" in text


def _secret_targets(compose: dict[str, Any]) -> list[str]:
    return [secret["target"] for secret in compose["services"]["syncd"]["secrets"]]


def _known(model: type[BaseModel], *, prefix: str = "SYNCD_") -> Iterator[str]:
    """Patterns of the variables that the settings' models have fields for."""
    for name, field in model.model_fields.items():
        variable = prefix + name.upper()
        block = field.annotation
        if get_origin(block) is dict:
            block, variable = get_args(block)[1], variable + "__[A-Z0-9_]+?"
        if isinstance(block, type) and issubclass(block, BaseModel):
            yield from _known(block, prefix=variable + "__")
        else:
            yield variable
