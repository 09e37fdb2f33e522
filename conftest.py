"""What holds for the tests of every distribution."""

import signal

# A shell starts background jobs with SIGINT ignored, and children inherit that: tests that interrupt would hang.
signal.signal(signal.SIGINT, signal.default_int_handler)
