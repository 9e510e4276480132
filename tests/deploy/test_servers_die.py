"""A server never outlives the process that started it, however that process ends."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

PARENT = """
import sys, threading
from pathlib import Path
from deploy.native.process import ServerProcess

class Sleeper(ServerProcess):
    name = "Sleeper"
    def command(self): return ("sleep", "600")
    def is_ready(self): return True

started = []
thread = threading.Thread(target=lambda: started.append(Sleeper(directory=Path(sys.argv[1]), port=0).start()))
thread.start(); thread.join()
alive = started[0].is_running
print(started[0].pid if alive else 0, flush=True)
sys.stdin.read()
"""


def test_a_server_dies_with_its_killed_parent_but_not_with_the_thread_that_asked(tmp_path: Path) -> None:
    """The kernel's parent-death signal belongs to a thread: the one that starts servers lives as long as its process."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin and parent.stdout
    with parent.stdin, parent.stdout:
        pid = int(parent.stdout.readline())
        assert pid, "the server died with the thread that asked for it"
        server = os.pidfd_open(pid)
        try:
            parent.send_signal(signal.SIGKILL)
            parent.wait()
            assert select.select([server], [], [], 30)[0], "the server outlived its killed parent"
        finally:
            os.close(server)
