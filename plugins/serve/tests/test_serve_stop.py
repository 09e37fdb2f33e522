"""`pajamas ps` and `pajamas stop` where a server does not answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

from serving import COUNT, alive, count_model, until

MAIN = "import sys; from pajamas.cli.main import main; sys.argv[0] = 'pajamas'; main()"


def test_a_server_that_hangs_is_listed_and_killed(serve, tmp_path):
    path = os.pathsep.join(filter(None, [str(COUNT), os.environ.get("PYTHONPATH")]))
    environment = {"PYTHONPATH": path, "XDG_STATE_HOME": str(tmp_path / "state")}
    server = serve("--model", f"m={count_model(tmp_path)}", environment=environment)
    workers = server.workers()

    def pajamas(*arguments):
        done = subprocess.run(
            [sys.executable, "-c", MAIN, *arguments], capture_output=True, text=True, timeout=60,
            env={**os.environ, **environment},
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    os.kill(server.process.pid, signal.SIGSTOP)
    assert "no answer" in pajamas("ps")[1]
    code, said = pajamas("stop", "--timeout", "1")
    assert code == 1 and "has not stopped" in said and "--force" in said
    waiter = threading.Thread(target=server.process.wait)  # reaps it, as a shell would
    waiter.start()
    code, said = pajamas("stop", "--force")
    waiter.join(20)
    assert code == 0 and "Stopped" in said
    assert until(lambda: not any(map(alive, workers)))
