"""The demo: real Orthanc, real HAPI and `syncd run` on loopback, fed with the DICOM files that pydicom ships.

    make demo                 live display, a table of what HAPI holds, then up until Ctrl-C
    ONCE=1 make demo          no terminal needed: waits, lets tests/oracle.py compare both sides, exit 0 only if they agree

Ports: DEMO_ORTHANC_PORT, DEMO_HAPI_PORT, DEMO_SYNCD_PORT. What a demo must not do is to leave something behind: whatever
was started is stopped in the reverse order, also after a failure, Ctrl-C or SIGTERM, and the kernel ends the servers of a
demo that was killed. A failure names its step, what to do, and shows the end of the log in question.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import TypeVar

if __package__ in (None, ""):  # started by path: the checkout's root is not on the path then
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from deploy.native import demo_places as places
from deploy.native.demo_daemon import Daemon
from deploy.native.demo_places import FOLDER, DemoFailed, Ports
from deploy.native.demo_screen import Display, Screen
from deploy.native.demo_studies import Places, Sender, Sight, Watch
from deploy.native.process import ServerProcess
from deploy.native.servers import Hapi, HapiConfig, Orthanc, OrthancConfig, StartFailed
from tests import oracle
from tests.oracle_archive import Unreadable

PARKED = Path(__file__).with_name("parked.json")
"""StudyInstanceUIDs of pydicom's files that are parked, each with its reason: all that `ONCE=1` accepts as missing."""

LOOKS_EVERY = 0.5
PATIENCE = 120.0
"""Seconds without any change after which the demo stops waiting."""


_Server = TypeVar("_Server", bound=ServerProcess)


class Interrupted(BaseException):
    """SIGTERM: as Ctrl-C, somebody wants the demo to end."""


class Demo:
    """One run; `servers` are those that must stay alive until its end."""

    def __init__(self, *, once: bool, screen: Screen) -> None:
        self.once = once
        self.up = False
        self._screen = screen
        self._servers: list[ServerProcess] = []

    def run(self, stack: ExitStack) -> int:
        """All steps in order; whatever is started is stopped by `stack`."""
        ports = self._prepare(stack)
        password = places.new_password()
        auth = (places.USER, password)
        orthanc = self._start_orthanc(stack, port=ports.orthanc, password=password)
        hapi = self._start_hapi(stack, port=ports.hapi)
        where = Places(
            orthanc=orthanc.url,
            auth=auth,
            dicomweb=f"{orthanc.url}/dicom-web",
            fhir=hapi.base_url,
            syncd=f"http://127.0.0.1:{ports.syncd}",
        )
        daemon = self._start_syncd(stack, where=where, port=ports.syncd)
        sight = self._follow(Watch(where, ask_parked=daemon.parked), sender=Sender(where.orthanc, auth=auth))
        if self.once:
            self._screen.table(sight)
            return self._compare(sight, where=where)
        self._stay(sight, where=where)
        return 0

    def _prepare(self, stack: ExitStack) -> Ports:
        with self._screen.step("place", doing=f"folder {_relative(FOLDER)}, ports on loopback"):
            stack.enter_context(places.only_demo())
            again = places.cleared()
            ports = places.chosen_ports(os.environ)
            for notice in ports.notices:
                self._screen.detail(notice)
            self._screen.detail(f"Orthanc {ports.orthanc}, HAPI {ports.hapi}, syncd {ports.syncd}")
            self._screen.detail("reused: the virtual environment, Orthanc's package and HAPI's build")
            fresh = "new: Orthanc's storage, HAPI's memory, syncd's ledger, the password"
            self._screen.detail(fresh + ("; those of the last run are gone" if again else ""))
        return ports

    def _start_orthanc(self, stack: ExitStack, *, port: int, password: str) -> Orthanc:
        with self._screen.step("Orthanc", doing=f"a real one, calls a study stable after {places.STABLE_AGE} s"):
            config = OrthancConfig(
                directory=FOLDER / "orthanc",
                http_port=port,
                stable_age=places.STABLE_AGE,
                users={places.USER: password},
            )
            orthanc = self._started(Orthanc(config), stack=stack)
            secret = _relative(next((FOLDER / "secrets").iterdir()))
            self._screen.detail(f"Orthanc {orthanc.version} at {orthanc.url}, user {places.USER}, password in {secret}")
        return orthanc

    def _start_hapi(self, stack: ExitStack, *, port: int) -> Hapi:
        with self._screen.step("HAPI", doing="a real FHIR R4 server in memory; this takes 10 to 60 s"):
            hapi = self._started(Hapi(HapiConfig(directory=FOLDER / "hapi", port=port)), stack=stack)
            self._screen.detail(f"HAPI at {hapi.base_url}")
        return hapi

    def _start_syncd(self, stack: ExitStack, *, where: Places, port: int) -> Daemon:
        with self._screen.step("syncd", doing="`syncd run`, the daemon"):
            variables = places.written_config(orthanc=where.orthanc, dicomweb=where.dicomweb, fhir=where.fhir, port=port)
            daemon = Daemon(directory=FOLDER / "syncd", port=port, variables=variables)
            self._started(daemon, stack=stack)
            self._screen.detail(f"syncd at {daemon.url}, its log is {_relative(daemon.log)}")
            shown = {name: _relative(Path(value)) for name, value in variables.items()}
            self._screen.detail(f"ask it yourself: {Daemon.shown(shown)} .venv/bin/syncd status")
        return daemon

    def _started(self, server: _Server, *, stack: ExitStack) -> _Server:
        stack.callback(self._stop, server)
        server.start()
        self._servers.append(server)
        return server

    def _stop(self, server: ServerProcess) -> None:
        if server.is_running:
            self._screen.say(f"[dim]stopping {server.name}[/dim]")
        server.stop()

    def _follow(self, watch: Watch, *, sender: Sender) -> Sight:
        doing = f"sends the {sender.total} files that pydicom ships; each study turns registered, then available, in HAPI"
        with self._screen.step("studies", doing=doing):
            with sender, self._screen.following() as display:
                sight = self._followed(watch, sender=sender, display=display)
            self._screen.detail(f"of {sender.total} files {sender.words}")
        return sight

    def _followed(self, watch: Watch, *, sender: Sender, display: Display) -> Sight:
        last, changed = watch.look(), time.monotonic()
        while True:
            sent = sender.done
            sight = watch.look()
            display.show(sight, sent=sender.sent, files=sender.total)
            if sent and sight.settled:
                return sight
            self._still_alive()
            if not sent or sight.studies != last.studies or sight.parked != last.parked:
                last, changed = sight, time.monotonic()
            if time.monotonic() - changed > PATIENCE:
                raise DemoFailed(_stuck(sight, log=self._servers[-1].log_tail()))
            threading.Event().wait(LOOKS_EVERY)

    def _compare(self, sight: Sight, *, where: Places) -> int:
        with self._screen.step("compare", doing="tests/oracle.py reads both sides, file by file, and compares"):
            listed = json.loads(PARKED.read_text(encoding="utf-8"))
            unlisted = {uid: reason for uid, reason in sight.parked.items() if listed.get(uid) != reason}
            for uid, reason in unlisted.items():
                self._screen.detail(f"parked, but not listed in {PARKED.name}: {uid}: {reason}")
            report = oracle.compare(where.orthanc, where.auth, where.fhir, dicomweb_url=where.dicomweb, accepted=listed)
            for line in report.lines():
                self._screen.detail(line)
        return 0 if report.agrees and not unlisted else 1

    def _stay(self, sight: Sight, *, where: Places) -> None:
        with self._screen.step("table", doing="what HAPI holds now"):
            self._screen.table(sight)
        self.up = True
        places_to_look = (f"{where.orthanc}/app/explorer.html", f"{where.fhir}/ImagingStudy", f"{where.syncd}/readyz")
        self._screen.say(f"[bold green]up[/bold green]: {', '.join(places_to_look)}")
        self._screen.say("send more DICOM to Orthanc and look again; [bold]Ctrl-C[/bold] stops everything that was started")
        while True:
            self._still_alive()
            threading.Event().wait(LOOKS_EVERY)

    def _still_alive(self) -> None:
        for server in self._servers:
            if not server.is_running:
                raise DemoFailed(
                    f"{server.name} has ended. {server.advice}\n--- the end of {server.log}\n{server.log_tail()}"
                )


def _stuck(sight: Sight, *, log: str) -> str:
    waiting = [
        f"{one.status}: {one.uid}" for one in sight.studies if one.status != "available" and one.uid not in sight.parked
    ]
    said = f"no study moved for {PATIENCE:.0f} s; syncd says: {sight.readiness}"
    return "\n".join([said, *waiting, "--- the end of syncd's log", log])


def _relative(path: Path) -> str:
    return str(path.relative_to(places.ROOT))


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise Interrupted


def main() -> int:
    """0: it did what it should; 1: a step failed or the sides differ; 130: interrupted before it was up."""
    once = os.environ.get("ONCE", "") not in ("", "0")
    screen = Screen(once=once, steps=6)
    demo = Demo(once=once, screen=screen)
    signal.signal(signal.SIGTERM, _interrupt)
    began = time.monotonic()
    with ExitStack() as stack:
        stack.callback(screen.say, "[dim]nothing that the demo started is running now[/dim]")
        code = _run(demo, stack, screen=screen)
        screen.say(f"[dim]{time.monotonic() - began:.0f} s in all[/dim]")
        # A second Ctrl-C must not leave a server behind.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    return code


def _run(demo: Demo, stack: ExitStack, *, screen: Screen) -> int:
    try:
        return demo.run(stack)
    except (DemoFailed, StartFailed, Unreadable) as failure:
        screen.failed(str(failure))
        return 1
    except (KeyboardInterrupt, Interrupted):
        screen.say("")
        return 0 if demo.up else 130


if __name__ == "__main__":
    sys.exit(main())
