"""Distributions with one fault each, and what `pajamas plugins` is to say of it.

Each module first notes in the file that MARKS names which program imports it, so that a test can tell who did.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

from attrs import frozen

MARK = """\
import os, sys
from pathlib import Path
with open(os.environ["MARKS"], "a") as marks:
    marks.write(f"{__name__} {Path(sys.argv[0]).name}\\n")
from pajamas.hookspecs import hookimpl
from pajamas.types import BackendInfo
"""

DESCRIBE = """
@hookimpl
def describe():
    return BackendInfo(
        name="NAME", engine="none", engine_version="1", formats=("paper",), schemes=(), features=frozenset()
    )
"""
ALIASES = """
@hookimpl
def model_aliases():
    return {"NAME": "Org/NAME"}
"""


@frozen(kw_only=True)
class Fault:
    """One distribution. Its name is `pajamas-NAME`, its module `pajamas_NAME`, its version 0.7."""

    name: str
    source: str
    """Of the module, after MARK; NAME in it is the fault's name."""
    reason: str
    """What is said of it."""
    group: str = "pajamas.backends"
    metadata: str = "Metadata-Version: 2.1\nName: DIST\nVersion: 0.7\nRequires-Dist: pajamas>=0.1\n"
    entry_points: bytes = b"[GROUP]\nNAME = MODULE\n"
    works: bool = False
    """It is used all the same, and `reason` is a note."""
    harmful: bool = False
    """It must not be imported by a command that did not choose it."""

    @property
    def distribution(self) -> str:
        return f"pajamas-{self.name}"

    def write(self, root: Path) -> None:
        module = f"pajamas_{self.name}"
        info = root / f"{module}-0.7.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(self.metadata.replace("DIST", self.distribution))
        points = self.entry_points.replace(b"GROUP", self.group.encode())
        points = points.replace(b"NAME", self.name.encode()).replace(b"MODULE", module.encode())
        (info / "entry_points.txt").write_bytes(points)
        source = MARK + textwrap.dedent(self.source).replace("NAME", self.name)
        (root / f"{module}.py").write_text(source)


_PLUGIN = "pajamas.plugins"
_SLOW = "import time\ntime.sleep(60)\n"

FAULTS = (
    Fault(name="import_error", source="import nothing_of_that_name", reason="No module named 'nothing_of_that_name'"),
    Fault(name="syntax", source="def (:", reason="SyntaxError"),
    Fault(
        name="late",
        source=DESCRIBE,
        metadata="Metadata-Version: 2.1\nName: DIST\nVersion: 0.7\nRequires-Dist: pajamas>=99\n",
        reason="it needs pajamas>=99, and this is pajamas",
    ),
    Fault(name="misspelt", source="@hookimpl\ndef descrive():\n    return None\n", reason="unknown hook 'descrive'"),
    Fault(name="arguments", source="@hookimpl\ndef quantize(work):\n    return None\n", reason="Argument(s) {'work'}"),
    Fault(name="raising", source="@hookimpl\ndef describe():\n    1 / 0\n", reason="ZeroDivisionError"),
    Fault(name="leaving", source="@hookimpl\ndef describe():\n    raise SystemExit(0)\n", reason="SystemExit: 0"),
    Fault(name="wordy", source="@hookimpl\ndef describe():\n    return 'paper'\n", reason="returned str, not Backend"),
    Fault(name="stranger", source=DESCRIBE.replace("NAME", "other"), reason="calls itself 'other'"),
    Fault(
        name="stuck",
        source="@hookimpl\ndef describe():\n    while True:\n        pass\n",
        reason="it took longer than",
        harmful=True,
    ),
    Fault(name="slow", source=_SLOW + DESCRIBE, reason="it took longer than", harmful=True),
    Fault(name="quitting", source="raise SystemExit(3)", reason="SystemExit: 3"),
    Fault(name="ending", source="import os\nos._exit(3)", reason="exit status 3", harmful=True),
    Fault(name="ending_well", source="import os\nos._exit(0)", reason="exit status 0", harmful=True),
    Fault(name="crashing", source="import os\nos.abort()", reason="SIGABRT", harmful=True),
    Fault(
        name="nowhere",
        source="",
        entry_points=b"[GROUP]\nNAME = not_there.at_all\n",
        reason="No module named 'not_there'",
    ),
    Fault(name="valueless", source="", entry_points=b"[GROUP]\nNAME =\n", reason="names no module"),
    Fault(
        name="attributeless", source=DESCRIBE, entry_points=b"[GROUP]\nNAME = MODULE:plugin\n", reason="AttributeError"
    ),
    Fault(
        name="nameless",
        source=DESCRIBE,
        metadata="Metadata-Version: 2.1\nVersion: 0.7\nRequires-Dist: pajamas>=0.1\n",
        reason="its METADATA has no Name",
    ),
    Fault(
        name="versionless",
        source=DESCRIBE,
        metadata="Metadata-Version: 2.1\nName: DIST\nRequires-Dist: pajamas>=0.1\n",
        reason="its METADATA has no Version",
    ),
    Fault(
        name="requiring",
        source=DESCRIBE,
        metadata="Metadata-Version: 2.1\nName: DIST\nVersion: 0.7\nRequires-Dist: pajamas>=>=1\n",
        reason="damaged line, Requires-Dist: pajamas>=>=1",
    ),
    Fault(name="garbage", source="", entry_points=b"\x93\xff\x00pajamas", reason="entry_points.txt cannot be read"),
    Fault(name="lineless", source="", entry_points=b"pajamas, but no list", reason="entry_points.txt is damaged"),
    Fault(
        name="printing", source="print('hello, world')\n" + DESCRIBE, reason="prints when it is imported", works=True
    ),
    Fault(
        name="setting",
        source="import os\nos.environ['PAJAMAS_MODELS'] = '/nowhere'\n" + DESCRIBE,
        reason="sets PAJAMAS_MODELS in the environment",
        works=True,
    ),
    Fault(name="alias_slow", source=_SLOW + ALIASES, group=_PLUGIN, reason="it took longer than", harmful=True),
    Fault(
        name="alias_ending",
        source="import os\nos._exit(3)" + ALIASES,
        group=_PLUGIN,
        reason="exit status 3",
        harmful=True,
    ),
    Fault(name="alias_quitting", source="raise SystemExit(3)" + ALIASES, group=_PLUGIN, reason="SystemExit: 3"),
    Fault(name="alias_raising", source="@hookimpl\ndef model_aliases():\n    1 / 0\n", group=_PLUGIN, reason="ZeroDiv"),
    Fault(
        name="alias_wordy",
        source="@hookimpl\ndef model_aliases():\n    return 'a'\n",
        group=_PLUGIN,
        reason="answers 'a'",
    ),
    Fault(
        name="alias_setting",
        source="import os\nos.environ['PAJAMAS_MODELS'] = '/nowhere'\nprint('hello, world')\n" + ALIASES,
        group=_PLUGIN,
        reason="sets PAJAMAS_MODELS in the environment",
        works=True,
    ),
)

TWINS = ("pajamas-first_twin", "pajamas-second_twin")


def write_all(root: Path) -> None:
    """Every fault, and two distributions that claim the backend `twin`."""
    for fault in FAULTS:
        fault.write(root)
    for name in TWINS:
        twin = Fault(
            name=name.removeprefix("pajamas-"),
            source=DESCRIBE,
            entry_points=b"[pajamas.backends]\ntwin = MODULE\n",
            reason="",
        )
        twin.write(root)
