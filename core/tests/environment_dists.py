"""A backend whose engine lives in an environment of its own, as wheels that pip installs from a folder, offline."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from textwrap import dedent

from plugin_dists import write_dist

CORE = Path(__file__).parents[1]
HOOKS = dedent("""
    import importlib.util
    from pathlib import Path

    from pajamas.hookspecs import hookimpl
    from pajamas.types import Architecture, BackendInfo, Chunk, Environment, Feature, Usage
    from pajamas.session import BaseSession

    KILN = Environment(
        name="kiln",
        module="kiln_engine",
        variants={{"cuda": ("kiln-engine==2.0",), "cpu": ("kiln-engine=={version}", "kiln-glaze")}},
        unwanted={{"cpu": ("kiln-soot",)}},
    )

    @hookimpl
    def describe():
        here = importlib.util.find_spec("kiln_engine") is not None
        return BackendInfo(
            name="clay", engine="Kiln", engine_version="here" if here else None, formats=("clay",), schemes=(),
            features=frozenset({{Feature.STREAM}}), unavailable=None if here else "kiln-engine is not installed",
            fix="build a kiln", environment=KILN, file_suffixes={{".clay": "clay"}},
        )

    class Pot(BaseSession):
        backend = "clay"
        architecture = Architecture(model_type="pot", family="Pot")
        context_length = 100
        features = frozenset({{Feature.STREAM}})

        def tokenize(self, text, *, add_special=True, parse_special=True):
            return list(text.encode())

        def detokenize(self, token_ids):
            return bytes(token_ids).decode()

        def generate(self, request):
            import sys

            import kiln_engine
            yield Chunk(text=f"{{kiln_engine.NAME}} of {{sys.prefix}}", token_ids=(1,), finish_reason="stop",
                        usage=Usage(prompt_tokens=1, completion_tokens=1, prompt_seconds=1, generation_seconds=1,
                                    time_to_first_token=1))

    @hookimpl
    def load(artifact, options):
        return Pot()

    @hookimpl
    def generate(session, request):
        return session.generate(request)
""")


def write_wheel(
    folder: Path, name: str, version: str, module: str, source: str, *, requires: tuple[str, ...] = (), entry: str = ""
) -> None:
    """A wheel with one module; `entry` is its entry_points.txt (the binary distribution format, version 1.0)."""
    stem = f"{name.replace('-', '_')}-{version}"
    requirements = "".join(f"Requires-Dist: {text}\n" for text in requires)
    files = {
        f"{module}.py": source,
        f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{requirements}",
        f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/entry_points.txt": entry,
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text.encode())}\n")
    files[f"{stem}.dist-info/RECORD"] = "".join(lines) + f"{stem}.dist-info/RECORD,,\n"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def build_core(folder: Path) -> Path:
    """A wheel of core as it is here."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CORE)]
    subprocess.run(build, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def install_core(wheel: Path, installed: Path, wheels: Path) -> None:
    """Have the metadata in `installed` say that pajamas was installed from an index, which has that wheel."""
    shutil.copy(wheel, wheels)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed, [name for name in archive.namelist() if ".dist-info/" in name])


def write_clay(installed: Path, wheels: Path, *, version: str = "1.0") -> None:
    """Install the plugin in `installed`, and put all that its environment needs into `wheels`."""
    source = HOOKS.format(version=version)
    write_dist(installed, "pajamas-clay", source, entry="clay")
    entry = "[pajamas.backends]\nclay = pajamas_clay\n"
    write_wheel(wheels, "pajamas-clay", "1.0", "pajamas_clay", source, entry=entry)
    engine = f'NAME = "kiln {version}"\n'
    write_wheel(wheels, "kiln-engine", version, "kiln_engine", engine, requires=("kiln-soot",))
    write_wheel(wheels, "kiln-glaze", "1.0", "kiln_glaze", "")
    write_wheel(wheels, "kiln-soot", "1.0", "kiln_soot", "")


def link_libraries(folder: Path) -> Path:
    """What pajamas needs of other libraries, without the workspace's own code: stands in for the package index."""
    folder.mkdir()
    for library in Path(next(path for path in sys.path if path.endswith("site-packages"))).iterdir():
        if not library.name.lower().lstrip("_").startswith(("pajamas", "pip")):
            (folder / library.name).symlink_to(library)
    return folder


def clay_artifact(folder: Path) -> Path:
    """A file that clay loads."""
    path = folder / "pot.clay"
    path.write_text("a pot")
    return path
