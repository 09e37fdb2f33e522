"""The low-level bindings are imported without the package's high-level interface, which works when it is asked for."""

from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import sys
from pajamas_gguf import engine

engine.library()
assert not {"llama_cpp.llama", "jinja2", "diskcache"} & set(sys.modules), sorted(sys.modules)

import llama_cpp
import inspect

inspect.getmodule(engine.library)  # looks at every module
assert "llama_cpp.llama" not in sys.modules
assert llama_cpp.Llama is sys.modules["llama_cpp.llama"].Llama
assert llama_cpp.llama_cpp is engine.library()
with engine.recorded() as lines:
    engine.library().llama_model_load_from_file(b"/nowhere.gguf", engine.library().llama_model_default_params())
assert any("nowhere" in line for line in lines), lines
try:
    llama_cpp.no_such_name
except AttributeError:
    print("done")
"""


def test_the_high_level_interface_is_imported_for_those_who_ask_and_leaves_the_log_to_us():
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("done\n", 0), done.stderr
