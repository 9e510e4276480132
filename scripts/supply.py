"""What comes with syncd: `python3 -m scripts.supply sbom|audit`, after `python3 -m scripts.set_up supply`.

Both answer for requirements.txt, the lock of what is installed with syncd, and not for what its tests need. The difficulty
of the list is that the lock knows no licences and an environment knows no hashes: each part says what it knows, and the lock
says what belongs to it. The difficulty of the audit is a service that is silent: a package that nobody could be asked about
is not a package without weaknesses.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from scripts.set_up import PYTHON, SUPPLY_TOOLS
from scripts.steps import ROOT

LOCK = ROOT / "requirements.txt"
SBOM = ROOT / "sbom.cdx.json"
FOUND, NOT_ASKED = 1, 3
"""Exit codes of the audit: a weakness is known; it could not be asked about every package."""

_CYCLONEDX = (str(SUPPLY_TOOLS / "bin/cyclonedx-py"),)
_AUDIT = (str(SUPPLY_TOOLS / "bin/pip-audit"), "--require-hashes", "--disable-pip", "--progress-spinner", "off")
_FORM = ("--spec-version", "1.6", "--output-format", "JSON", "--output-reproducible", "--no-validate")
_VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) and "it is not valid CycloneDX")
"""


class Audited(NamedTuple):
    """What is known of the packages: weaknesses by package, and the packages of which nothing is known, with the reason."""

    weak: dict[str, list[str]]
    silent: dict[str, str]


def write_sbom(file: Path) -> int:
    """Write the list, valid by CycloneDX's own schema."""
    pinned = _asked(*_CYCLONEDX, "requirements", *_FORM, str(LOCK))
    installed = _asked(*_CYCLONEDX, "environment", *_FORM, "--pyproject", str(ROOT / "pyproject.toml"), str(PYTHON))
    text = json.dumps(merge(pinned, installed), indent=2, ensure_ascii=False) + "\n"
    valid = subprocess.run([SUPPLY_TOOLS / "bin/python", "-c", _VALIDATE], input=text, text=True)
    if valid.returncode:
        return valid.returncode
    file.write_text(text, encoding="utf-8")
    print(f"{file.name}: {len(pinned['components'])} packages of {LOCK.name}")
    return 0


def merge(pinned: dict[str, Any], installed: dict[str, Any]) -> dict[str, Any]:
    """`installed` with only what is `pinned`, in that very version, and with its hashes.

    What is pinned for another system is not installed here; it stands there as the lock has it.
    """
    known = {_key(one): one for one in installed["components"]}
    components = [known.get(_key(one), one) for one in pinned["components"]]
    for one, lock in zip(components, pinned["components"], strict=True):
        if one is not lock:
            one["externalReferences"] = [*one.get("externalReferences", []), *lock["externalReferences"]]
        else:
            del one["description"]  # the line of the lock
    kept = {one["bom-ref"] for one in components} | {installed["metadata"]["component"]["bom-ref"]}
    listed = {one["ref"]: one for one in [*pinned["dependencies"], *installed["dependencies"]] if one["ref"] in kept}
    graph = [{**one, "dependsOn": [ref for ref in one.get("dependsOn", ()) if ref in kept]} for one in listed.values()]
    return {**installed, "components": components, "dependencies": graph}


def audit(lock: Path, *options: str) -> int:
    """Ask for known weaknesses and tell them; `options` go to pip-audit."""
    ended = subprocess.run(
        [*_AUDIT, "--format", "json", "--requirement", str(lock), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if not ended.stdout.startswith("{"):
        last = (ended.stderr.strip().splitlines() or ["no word"])[-1]
        print(f"NOT AUDITED: the advisory service could not be asked: {last}")
        return NOT_ASKED
    audited = read(json.loads(ended.stdout))
    for name, weaknesses in audited.weak.items():
        print(f"{name}: {', '.join(weaknesses)}")
    for name, reason in audited.silent.items():
        print(f"NOT AUDITED: {name}: {reason}")
    print(f"{len(audited.weak)} packages with known weaknesses, {len(audited.silent)} that could not be asked about")
    return FOUND if audited.weak else NOT_ASKED if audited.silent else 0


def read(report: dict[str, Any]) -> Audited:
    """pip-audit's report; one without a single package speaks of nothing."""
    packages = report["dependencies"]
    silent = {one["name"]: one["skip_reason"] for one in packages if "skip_reason" in one}
    weak = {
        f"{one['name']} {one['version']}": [_told(weakness) for weakness in one["vulns"]]
        for one in packages
        if one.get("vulns")
    }
    return Audited(weak, silent if packages else {"everything": "no package was looked at"})


def _told(weakness: dict[str, Any]) -> str:
    mended = " or ".join(weakness.get("fix_versions", ()))
    return f"{weakness['id']} (mended in {mended or 'no version yet'})"


def _asked(*command: str) -> dict[str, Any]:
    ended = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if ended.returncode:
        sys.exit(f"{' '.join(command)}: exit code {ended.returncode}\n{ended.stderr}")
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def _key(component: dict[str, Any]) -> tuple[str, str]:
    return re.sub(r"[-_.]+", "-", component["name"]).lower(), component["version"]


def main(arguments: Sequence[str]) -> int:
    match arguments:
        case ["sbom"]:
            return write_sbom(SBOM)
        case ["audit", *options]:
            return audit(LOCK, *options)
    sys.exit("usage: python3 -m scripts.supply sbom|audit")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
