# ruff: noqa: T201  an engine prints, and the worker must cope
"""A backend whose model can count, and fail in every way that an engine can. A test double for worker tests.

The artifact's `details`, or the JSON in its file, set it up; a prompt is a command and its number, such as "count 5".
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time

from pajamas.errors import ContextOverflow, ModelFileError, NotEnoughMemory, Unsupported
from pajamas.hookspecs import hookimpl
from pajamas.types import Architecture, BackendInfo, Chunk, Feature, MemoryUse, Sampling, TokenLogprob, Usage

VOCABULARY = 1000


@hookimpl
def describe():
    return BackendInfo(
        name="count", engine="none", engine_version=None, formats=("count",), schemes=(), features=frozenset(Feature),
        file_suffixes={".count": "count"},
    )  # fmt: skip


@hookimpl
def load(artifact, options):
    details = artifact.details or (json.loads(artifact.path.read_text()) if artifact.path.is_file() else {})
    fault = details.get("load")
    if fault == "crash":
        print("engine: bad file, giving up", file=sys.stderr, flush=True)
        os.abort()
    if fault == "refuse":
        raise ModelFileError("The file is damaged.", "It ends early.", "Download it again.")
    if fault == "no room":
        raise NotEnoughMemory("The device has no room for this.", "It is full.", "Free some.")
    if fault == "unsupported":
        raise Unsupported("The cache cannot be quantized so.")
    if fault == "bug":
        raise ZeroDivisionError("a bug in the loader")
    if fault == "hang":
        os.kill(os.getpid(), signal.SIGSTOP)
    if fault == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    time.sleep(details.get("load_seconds", 0))
    return CountSession(options, parallel=details.get("parallel", False))


@hookimpl
def generate(session, request):
    return session.generate(request)


class Wait:
    """A stream that any thread may close while another waits for its only item."""

    def __init__(self, session):
        self.session = session
        self.over = threading.Event()

    def __iter__(self):
        return self

    def __next__(self):
        print("waiting", flush=True)
        self.over.wait(600)
        raise StopIteration

    def close(self):
        self.over.set()
        self.session.events.append("wait closed")


class CountSession:
    backend = "count"
    chat_template = "{{ messages }}"
    default_sampling = Sampling(temperature=0.5, logit_bias={7: float("-inf")})
    memory = MemoryUse(weights=1, kv_cache=2, compute=3)

    def __init__(self, options, *, parallel):
        self.context_length = options.context_length or 100
        self.features = frozenset({Feature.STREAM, Feature.SCORE} | ({Feature.PARALLEL} if parallel else set()))
        self.architecture = Architecture(
            model_type="count", family="Count", num_layers=1, hidden_size=2, intermediate_size=3, num_heads=4,
            num_kv_heads=4, head_dim=5, attention_type="mha", vocab_size=VOCABULARY, tied_embeddings=True,
            context_length=100,
        )  # fmt: skip
        self.special_tokens = {"eos_token": "</s>"}
        self.events: list[str] = []
        self.meeting = threading.Barrier(2)

    def tokenize(self, text, *, add_special=True, parse_special=True):
        return [0] * add_special + [ord(letter) for letter in text]

    def detokenize(self, token_ids):
        return "".join(chr(token) for token in token_ids)

    def generate(self, request):
        return Wait(self) if request.prompt == "wait" else self._answer(request)

    def _answer(self, request):
        command, _, number = request.prompt.partition(" ")
        made = 0
        try:
            for text in getattr(self, f"_{command}")(float(number or 0)):
                made += 1
                yield Chunk(text=text, token_ids=(made,), logprobs=self._logprobs(request, made))
            yield Chunk(finish_reason="stop", usage=Usage(prompt_tokens=2, completion_tokens=made))
        except (GeneratorExit, KeyboardInterrupt) as error:
            how = "closed" if isinstance(error, GeneratorExit) else "interrupted"
            self.events.append(f"{command} {how} after {made}")
            raise

    def _logprobs(self, request, token):
        if request.logprobs is None:
            return ()
        top = (TokenLogprob(token_id=1, token="1", bytes=b"\xff1", logprob=-0.1),) * request.logprobs
        return (TokenLogprob(token_id=token, token=str(token), bytes=b"\xf0", logprob=-1 / 3, top=top),)

    def _count(self, number):
        for value in range(1, int(number) + 1):
            yield f"{value} "

    def _slow(self, seconds):
        while True:
            yield "tick "
            time.sleep(seconds)

    def _paced(self, number):
        """So many pieces, a hundredth of a second apart."""
        for _ in range(int(number)):
            yield "tick "
            time.sleep(0.01)

    def _sleep(self, number):
        """A step that takes long, and says when it has begun."""
        yield "one "
        print("asleep", flush=True)
        time.sleep(600)

    def _stubborn(self, number):
        """Cannot be interrupted."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        yield "one "
        time.sleep(600)

    def _events(self, number):
        yield ",".join(self.events)

    def _meet(self, number):
        """Comes to its end only if two of these run side by side."""
        self.meeting.wait(20)
        yield "met"

    def _abort(self, number):
        yield "one "
        print("engine.cpp:7: ASSERT(n > 0) failed", flush=True)
        os.abort()

    def _segv(self, number):
        yield "one "
        ctypes.string_at(0)

    def _exit(self, number):
        yield "one "
        os._exit(int(number))

    def _quit(self, number):
        yield "one "
        sys.exit("the backend quits")

    def _hang(self, number):
        yield "one "
        os.kill(os.getpid(), signal.SIGSTOP)

    def _overflow(self, number):
        raise ContextOverflow("The prompt has 120 tokens.", "The context holds 100.", "Shorten it.")
        yield

    def _bug(self, number):
        yield "one "
        raise ValueError("a bug in the backend")

    def _noise(self, number):
        libc = ctypes.CDLL(None)
        libc.printf(b"noise from C %d\n", 5)
        libc.fflush(None)
        print("noise from Python", flush=True)
        os.write(1, b"\x00\xffraw noise\n")
        yield "quiet"

    def _flood(self, number):
        for _ in range(int(number)):
            os.write(2, b"x" * 2**16)
        yield "done"

    def _start(self, number):
        """An engine process of the engine's own, which outlives nothing."""
        yield str(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid)
        time.sleep(600)

    def _garble(self, number):
        """Write what is no frame where frames are expected: to every pipe of this process but the standard ones."""
        for descriptor in range(3, 256):  # how high it is depends on what the parent has open
            try:
                os.write(descriptor, b"this is no frame")
            except OSError:
                continue
        yield "not reached"
        time.sleep(600)

    def score(self, token_ids, first=0):
        """Blocks of up to four rows; row i is token_ids[i] + column / 1000."""
        import numpy as np

        try:
            for start in range(first, len(token_ids), 4):
                rows = np.array(token_ids[start : start + 4], dtype=np.float32)[:, None]
                yield rows + np.arange(VOCABULARY, dtype=np.float32) / VOCABULARY
        except GeneratorExit:
            self.events.append("score closed")
            raise

    def embed(self, texts):
        import numpy as np

        if "bad dtype" in texts:
            return np.zeros((1, 2), dtype=np.float64)
        return np.array([[len(text), 1] for text in texts], dtype=np.float32).reshape(len(texts), 2)

    def save_prompt_cache(self, path):
        path.write_text("17")

    def load_prompt_cache(self, path):
        return int(path.read_text())

    def close(self):
        print("session closed", file=sys.stderr, flush=True)
