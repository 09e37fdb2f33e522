"""A headless Chromium that tests drive over its debugging pipe (Chrome DevTools Protocol), without any library."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Browser:
    """A running Chromium; every method waits for its answer."""

    def __init__(self, profile):
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        flags = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
            "--remote-debugging-pipe", f"--user-data-dir={profile}", "--window-size=1280,800",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        ]  # fmt: skip

        def wire():
            os.dup2(commands, 3)
            os.dup2(answers, 4)

        kept = (commands, answers, 3, 4)
        self._process = subprocess.Popen(
            [CHROMIUM, *flags, "about:blank"], pass_fds=kept, preexec_fn=wire,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for descriptor in (commands, answers):
            os.close(descriptor)
        self._data = b""
        self._number = 0

    def call(self, method, session=None, told=None, **parameters):
        """The answer to a command. What the browser tells meanwhile goes to the list `told`."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            if told is not None and answer.get("sessionId") == session:
                told.append(answer)

    def close(self):
        self._process.kill()
        self._process.wait()
        for descriptor in (self._out, self._in):
            os.close(descriptor)

    def _receive(self):
        while b"\0" not in self._data:
            more = os.read(self._in, 2**16)
            assert more, "the browser has gone"
            self._data += more
        message, _, self._data = self._data.partition(b"\0")
        return json.loads(message)


class Page:
    """One page, which knows nothing of the others."""

    def __init__(self, browser, url):
        self.messages = []
        self._browser = browser
        self._context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=self._context)["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.call(f"{domain}.enable")
        self.call("Page.navigate", url=url)

    def call(self, method, **parameters):
        return self._browser.call(method, self._session, self.messages, **parameters)

    def run(self, script):
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def until(self, script, seconds=30):
        """Wait until the expression is true, and return its value."""
        end = time.monotonic() + seconds
        while not (value := self.run(script)):
            assert time.monotonic() < end, f"it never came true: {script}\n{self.run('document.body.innerText')}"
            time.sleep(0.05)
        return value

    def press(self, key, code=0, text=""):
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **typed)

    def type(self, text):
        self.call("Input.insertText", text=text)

    def faults(self):
        """What the browser has complained of, and addresses that it has asked."""
        wrong = [m for m in self.messages if m.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded")]
        asked = [m["params"]["request"]["url"] for m in self.messages if m.get("method") == "Network.requestWillBeSent"]
        return wrong, asked

    def close(self):
        self._browser.call("Target.disposeBrowserContext", browserContextId=self._context)
