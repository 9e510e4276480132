"""Headers that both clients send and read, and who we are."""

from __future__ import annotations

import email.utils
import time
from collections.abc import Mapping
from typing import Any

import pytest

from syncd.errors import LedgerUnavailable, TargetPaused, Unsuitable
from syncd.http.cookies import MOST_COOKIES
from syncd.http.headers import LONGEST_PAUSE, moment, retry_after
from tests.archive import scripted as archives
from tests.fakes.http import Response
from tests.publish import scripted as servers


class Renewing:
    """Another token each time that one was refused, `left` times."""

    def __init__(self, left: int) -> None:
        self._left = left
        self.asked = 0

    def headers(self) -> Mapping[str, str]:
        self.asked += 1
        return {"Authorization": f"Bearer {self._left}"}

    def refused(self) -> bool:
        self._left -= 1
        return self._left >= 0


@pytest.mark.parametrize(("left", "sent"), [(0, ["0"]), (1, ["1", "0"]), (5, ["5", "4"])])
@pytest.mark.parametrize("rim", ["fhir", "archive"])
def test_a_refused_request_is_sent_once_more_where_that_may_help(rim: str, left: int, sent: list[str]) -> None:
    """Once, and never in a circle."""
    given = Renewing(left)
    if rim == "fhir":
        fake = servers.Scripted(Response(status=401))
        assert servers.http(fake, authorization=given).exchange("PUT", "Patient/1", resource={}).status == 401
        carried = [one.headers["authorization"] for one in fake.requests]
    else:
        calls, asked = _archive({"GET /system": lambda request: archives.saying(401)}, authorization=given)
        with pytest.raises(Unsuitable, match="refuses our credentials"):
            calls.info()
        carried = [one.headers["Authorization"] for one in asked.requests]
    assert carried == [f"Bearer {token}" for token in sent]


@pytest.mark.parametrize("rim", ["fhir", "archive"])
def test_the_second_answer_counts(rim: str) -> None:
    """A token that ended meanwhile is no trouble to anybody."""
    if rim == "fhir":
        fake = servers.Scripted(Response(status=401), servers.statement())
        assert servers.server(fake, authorization=Renewing(1)).capabilities().fhir_version == "4.0.1"
    else:
        answers = archives.in_turn(lambda _: archives.saying(401), archives.answering(archives.system(modern=True)))
        calls, _ = _archive({"GET /system": answers}, authorization=Renewing(1))
        assert calls.info().version == "1.12.7"


@pytest.mark.parametrize("rim", ["fhir", "archive"])
def test_who_gives_no_credentials_is_heard(rim: str) -> None:
    """An authorization server that is away is an outage, told in its own words."""

    class Away(Renewing):
        def headers(self) -> Mapping[str, str]:
            raise TargetPaused("nobody gives tokens")

    with pytest.raises(TargetPaused, match="nobody gives tokens"):
        if rim == "fhir":
            servers.server(servers.Scripted(Response()), authorization=Away(1)).capabilities()
        else:
            _archive({}, authorization=Away(1))[0].info()


def test_a_write_that_is_sent_once_more_is_asked_for_again() -> None:
    """RULES E4: immediately before every write; the ledger may have been taken over meanwhile."""
    asked: list[int] = []

    def check() -> None:
        asked.append(1)
        if len(asked) > 1:
            raise LedgerUnavailable("taken over")

    fake = servers.Scripted(Response(status=401))
    client = servers.http(fake, authorization=Renewing(1))
    client.before_write = check
    with pytest.raises(LedgerUnavailable, match="taken over"):
        client.exchange("DELETE", "Patient/1")
    assert len(fake.requests) == 1


def test_a_redirect_is_told_as_what_it_is() -> None:
    """RULES S2: not followed, with the setting to change."""
    fake = servers.Scripted(Response(status=308, headers={"Location": "https://elsewhere.invalid/fhir"}))
    with pytest.raises(TargetPaused, match=r"redirects to another address .*set SYNCD_FHIR__URL to the final one"):
        servers.server(fake).capabilities()
    assert len(fake.requests) == 1


def test_a_redirect_to_what_is_no_address_is_none_the_less_told() -> None:
    """Drawn: requests looks where it leads, also where it is not followed."""
    fake = servers.Scripted(Response(status=303, headers={"Location": "\x9dC"}))
    with pytest.raises(TargetPaused, match="redirects"):
        servers.server(fake).capabilities()


@pytest.mark.parametrize("cookie", ["\x80", "a=\x80; Path=/", "a=" + "x" * 5000])
def test_one_odd_cookie_does_not_spoil_every_later_request(cookie: str) -> None:
    """Drawn: no client can send back what is not ASCII, and one raised whatever was asked next."""
    giving = archives.answering(archives.system(modern=True), headers=[("Set-Cookie", cookie)])
    orthanc, asked = _archive({"GET /system": giving, "GET /plugins/dicom-web": archives.answering({})})
    assert orthanc.info().version == orthanc.info().version == "1.12.7"
    assert not [one for one in asked.requests if "Cookie" in one.headers]


def test_few_cookies_are_kept() -> None:
    """A load balancer needs one or two."""
    many = [("Set-Cookie", f"c{number}=1; Path=/") for number in range(100)]
    giving = archives.answering(archives.system(modern=True), headers=many)
    orthanc, asked = _archive({"GET /system": giving, "GET /plugins/dicom-web": archives.answering({})})
    orthanc.info()
    assert asked.requests[-1].headers["Cookie"].count("=1") == MOST_COOKIES


@pytest.mark.parametrize("text", ["9" * 400, "99999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_waits_for_ever(text: str) -> None:
    """A server may ask for anything."""
    assert retry_after(text) == LONGEST_PAUSE


@pytest.mark.parametrize(
    "text",
    ["\N{SUPERSCRIPT TWO}", "\N{ARABIC-INDIC DIGIT ONE}", "Mon", "-1", "1e9", "\x00"],
)
def test_what_is_neither_number_nor_date_asks_for_nothing(text: str) -> None:
    """RFC 9110 10.2.3."""
    assert retry_after(text) is None


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000"])
def test_a_date_is_in_utc_whatever_it_says_of_its_zone(zone: str) -> None:
    """RFC 9110 5.6.7; RFC 5322 3.3 has `-0000` for a zone that nobody knows."""
    assert moment(f"Thu, 01 Jan 1970 00:01:00 {zone}") == 60.0
    assert moment(email.utils.formatdate(time.time(), usegmt=True)) == pytest.approx(time.time(), abs=2)


def _archive(routes: Any, **connection: Any) -> Any:
    scripted = archives.Scripted(routes)
    made = archives.ArchiveConnection(name=archives.ArchiveName("main"), url="http://orthanc.invalid/pacs", **connection)
    return archives.OrthancArchive(made, transport=scripted), scripted
