"""`syncd run`: the daemon with its web room, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from syncd import __version__
from syncd.cli.exits import Exit, exit_on_error

if TYPE_CHECKING:
    from syncd.loop.process.daemon import Daemon
    from syncd.web.metrics import Metrics
    from syncd.web.server import WebServer


def run(context: typer.Context) -> None:
    """Follow the archive and keep the FHIR server equal to it, until stopped.

    Waits for servers that cannot be reached yet and says so in the log and at /readyz. SIGTERM lets work in flight end
    and exits 0, Ctrl-C exits 130; kill -9 at any moment only makes the next start repeat a little work.
    """
    from syncd.cli.wiring import site
    from syncd.ledger.ledger import Ledger
    from syncd.logs import configure
    from syncd.loop.process.daemon import Daemon
    from syncd.settings import load
    from syncd.web.metrics import Metrics

    with exit_on_error():
        settings = load(config_file=context.obj)
        configure(level=settings.log.level, format=settings.log.format)
        ledger = Ledger.open(settings.ledger.url)
        stopped_by: list[int] = []
        try:
            metrics = Metrics(version=__version__)
            daemon = Daemon(
                site(settings, on_call=metrics.count_call),
                ledger,
                version=__version__,
                observer=metrics,
            )
            web = _web(settings, daemon, metrics)
            daemon.web = web.url

            def stop(number: int, _frame: FrameType | None) -> None:
                stopped_by.append(number)
                daemon.stop()

            signal.signal(signal.SIGTERM, stop)
            signal.signal(signal.SIGINT, stop)
            try:
                daemon.run()
            finally:
                web.stop()
            code = Exit.INTERRUPTED if stopped_by[:1] == [signal.SIGINT] else Exit.DONE
            if daemon.unfinished:
                # The ledger stays ours until the last request of ours is dead with us (RULES C7, E4).
                os._exit(code)
        finally:
            ledger.close()
        _end(code)


def _end(code: Exit) -> None:
    """Exit without waiting for a request to the archive that a stopped tick still has open."""
    if any(thread is not threading.main_thread() and not thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    raise typer.Exit(code)


def _web(settings: Any, daemon: Daemon, metrics: Metrics) -> WebServer:
    from syncd.cli.credentials import of_web
    from syncd.web.app import create_app
    from syncd.web.guard import allowed_hosts
    from syncd.web.server import WebServer

    application = create_app(daemon, metrics, token=of_web(settings.web), allowed_hosts=allowed_hosts(settings.web.host))
    web = WebServer(application, settings.web.bind)
    web.start()
    return web
