"""What holds for the tests of every distribution."""

import os
import signal
import tempfile

# A shell starts background jobs with SIGINT ignored, and children inherit that: tests that interrupt would hang.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Hundreds of tests start a program, which would compile its libraries anew each time. Nothing is written beside them.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    os.environ["PYTHONPYCACHEPREFIX"] = os.path.join(tempfile.gettempdir(), "pajamas-tests-bytecode")
