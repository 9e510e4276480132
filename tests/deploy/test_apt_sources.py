"""The mirror of the second Orthanc is the machine's own, in whichever format its apt sources are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.apt_sources import debian_mirror

DEB822 = """\
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
 contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""

ANOTHER = "Types: deb\nURIs: http://third.example/x\nSuites: x\nComponents: main\n\n"


@pytest.mark.parametrize(
    ("file", "text", "mirror"),
    [
        ("sources.list", "deb http://mirror.example/debian bookworm main\n", "http://mirror.example/debian"),
        ("sources.list", "deb [arch=amd64 signed-by=/k.gpg] https://m.example/d bookworm main contrib # x\n", "https://m.example/d"),
        ("sources.list", "#deb http://old.example/d bookworm main\ndeb-src http://s.example/d bookworm main\n", ""),
        ("sources.list", "deb http://security.example/d bookworm-security main\n", ""),
        ("sources.list", "deb http://other.example/d bookworm non-free\n", ""),
        ("sources.list", "deb cdrom:[Debian] bookworm main\ndeb http://m.example/d bookworm main\n", "http://m.example/d"),
        ("sources.list.d/debian.sources", DEB822, "http://mirror.example/debian"),
        ("sources.list.d/debian.sources", DEB822 + "Enabled: no\n", ""),
        ("sources.list.d/debian.sources", DEB822.replace("deb deb-src", "deb-src"), ""),
        ("sources.list.d/debian.sources", ANOTHER + DEB822, "http://mirror.example/debian"),
        ("sources.list.d/debian.txt", DEB822, ""),
        ("sources.list", "", ""),
    ],
)  # fmt: skip
def test_the_mirror_is_the_one_this_debian_came_from(tmp_path: Path, file: str, text: str, mirror: str) -> None:
    """The second Orthanc by debootstrap, its mirror read from the machine's apt sources (sources.list(5))."""
    assert debian_mirror(apt=_apt(tmp_path, file, text), os_release=_system(tmp_path, "debian", "bookworm")) == mirror


def test_a_file_of_mirrors_names_the_first(tmp_path: Path) -> None:
    """apt-transport-mirror(1), as cloud images have it."""
    listed = tmp_path / "mirrors"
    listed.write_text("# ours\nhttps://first.example/debian\tpriority:1\nhttps://second.example/debian\n", encoding="utf-8")
    apt = _apt(tmp_path, "sources.list", f"deb mirror+file:{listed} bookworm main\n")
    assert debian_mirror(apt=apt, os_release=_system(tmp_path, "debian", "bookworm")) == "https://first.example/debian"


def test_another_distribution_has_no_debian_mirror(tmp_path: Path) -> None:
    """Ubuntu's archive holds no trixie: the step is left out, with the reason."""
    apt = _apt(tmp_path, "sources.list", "deb http://archive.example/ubuntu noble main\n")
    assert debian_mirror(apt=apt, os_release=_system(tmp_path, "ubuntu", "noble")) == ""


def _apt(tmp_path: Path, file: str, text: str) -> Path:
    target = tmp_path / "apt" / file
    target.parent.mkdir(parents=True)
    target.write_text(text, encoding="utf-8")
    return tmp_path / "apt"


def _system(tmp_path: Path, name: str, codename: str) -> Path:
    file = tmp_path / "os-release"
    file.write_text(f'ID={name}\nVERSION_CODENAME="{codename}"\n', encoding="utf-8")
    return file
