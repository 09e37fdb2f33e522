"""What a backend's distribution and hooks must be before anything of it runs."""

from __future__ import annotations

import difflib
import importlib.metadata
import inspect
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from pajamas import hookspecs
from pajamas.errors import PajamasError
from pajamas.testing.children import ask
from pajamas.testing.group import Group, require
from pajamas.testing.hook_functions import implementations

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.plugin_entries import PluginEntry
    from pajamas.plugins import PluginHost

HEAVY = (
    "ctranslate2", "exllamav2", "jax", "llama_cpp", "mlx", "mlx_lm", "numpy", "onnxruntime", "openvino", "pandas",
    "scipy", "tensorflow", "tokenizers", "torch", "transformers", "vllm",
)  # fmt: skip
"""Modules that a plugin may need but never while it is only looked at."""

DESCRIBE_SECONDS = 2.0
"""Well under a second is asked for; this is where the kit gives up."""
TRIES = 3

SPECS = {name: getattr(hookspecs, name) for name in dir(hookspecs) if hasattr(getattr(hookspecs, name), "pajamas_spec")}
_LOOKED_AT = "It is imported whenever somebody lists plugins. Import the engine inside the function that needs it."


class Static(Group):
    """The plugin itself: its metadata, its hooks and what importing them costs."""

    def test_registers(self, host: PluginHost) -> None:
        """One installed distribution offers the backend under its name, and core can import and register it."""
        entry = _entry(host, self.backend)
        try:
            host.backend(self.backend)
        except PajamasError as error:
            if _is_told_elsewhere(entry):
                return
            require(False, " ".join(str(error).splitlines()), "See the reason above; `pajamas plugins` shows it too.")

    def test_hooks_are_spelt_right(self, hooks: ModuleType) -> None:
        """Every function that is marked with `hookimpl` is a hook, and every hook is marked.

        pluggy never calls a function that is misspelt or not marked, and says nothing. A hook of a newer core is marked
        with `hookimpl(optionalhook=True)`.
        """
        for name in _unknown_hooks(hooks):
            near = difflib.get_close_matches(name, SPECS, n=1)
            require(
                False,
                f"{hooks.__name__} implements a hook {name!r}, and there is none.",
                f"Rename it to {near[0]!r}." if near else f"Hooks are: {', '.join(SPECS)}.",
            )
        own = {name: value for name, value in vars(hooks).items() if inspect.isfunction(value)}
        for name in sorted(set(own) & set(SPECS) - set(implementations(hooks))):
            require(
                own[name].__module__ != hooks.__name__,
                f"{hooks.__name__} has a function {name!r} that is not marked, so that core never calls it.",
                "Put @hookimpl above it (from pajamas.hookspecs import hookimpl), or rename it.",
            )

    def test_hook_arguments_are_known(self, hooks: ModuleType) -> None:
        """A hook implementation names only arguments that the hook has, and may leave out those it does not use."""
        for name, unknown in _unknown_arguments(hooks).items():
            known = ", ".join(inspect.signature(SPECS[name]).parameters)
            require(False, f"{name} asks for {', '.join(unknown)}.", f"The hook gives: {known or 'nothing'}.")

    def test_hook_arguments_have_no_defaults(self, hooks: ModuleType) -> None:
        """The arguments of a hook implementation are positional and have no defaults.

        pluggy does not pass an argument that has a default, nor one that is keyword-only: it would never hear what
        core says.
        """
        for name, (function, _) in implementations(hooks).items():
            for argument in inspect.signature(function).parameters.values():
                plain = argument.kind in (argument.POSITIONAL_ONLY, argument.POSITIONAL_OR_KEYWORD)
                require(
                    plain and argument.default is argument.empty,
                    f"{name} declares its argument as `{argument}`.",
                    f"Write `def {name}({argument.name})`: positional, no default, no star.",
                )

    def test_importing_hooks_loads_no_engine(self, host: PluginHost) -> None:
        """Importing the module that the entry point names loads neither the engine nor any other heavy library.

        Checked in a process of its own. A package's `__init__.py` counts: it is imported too.
        """
        module = _entry(host, self.backend).module.partition(":")[0]
        answer = ask("import_module", module=module)
        if "failed" in answer:
            pytest.skip(f"{module} cannot be imported: see test_registers")
        self._require_light(answer["modules"], f"Importing {module}")

    def test_importing_hooks_changes_nothing(self, registered: Backend, host: PluginHost) -> None:
        """Importing the module that the entry point names prints nothing and sets no environment variable."""
        notes = host.notes("pajamas.backends", registered.name)
        require(not notes, f"{'; '.join(notes)}.", "Do it in the function that needs it; log instead of printing.")

    def test_describes_itself(self, registered: Backend) -> None:
        """`describe` returns a `BackendInfo`, quickly and without loading the engine.

        It is called whenever a backend is chosen. Look for the engine by its metadata or `importlib.util.find_spec`.
        """
        entry = registered.entry.module
        answers = [ask("describe", entry=entry)]
        while len(answers) < TRIES and answers[-1].get("seconds", 0) > DESCRIBE_SECONDS:
            answers.append(ask("describe", entry=entry))  # the machine may have been busy
        for answer in answers:
            mend = "Return a pajamas.types.BackendInfo, and let nothing escape from `describe`."
            require("failed" not in answer, f"describe fails: {answer.get('failed')}", mend)
            require(answer["type"] == "BackendInfo", f"describe returns a {answer['type']}.", mend)
            self._require_light(answer["modules"], "describe")
        require(
            min(answer["seconds"] for answer in answers) <= DESCRIBE_SECONDS,
            f"describe takes {answers[-1]['seconds']:.1f} s; {DESCRIBE_SECONDS:.1f} s is too long by far.",
            "Do what takes time only when `thorough` is True, in `load`, or remember it from one run to the next.",
        )

    def test_core_range_is_declared(self, host: PluginHost) -> None:
        """The distribution requires `pajamas` with a range that holds the running core and has an upper bound.

        The range is how core knows, before it imports a plugin, that the two fit. Without an upper bound a plugin that
        is left alone breaks for its users when core's next major version appears.
        """
        from packaging.specifiers import SpecifierSet

        entry = _entry(host, self.backend)
        mend = f'Declare it in pyproject.toml: dependencies = ["pajamas{_usual_range()}"].'
        require(entry.core_range, f"{entry.distribution} does not require a range of pajamas.", mend)
        require(not entry.problem, f"{entry.distribution} does not fit: {entry.problem}.", mend)
        require(
            not SpecifierSet(entry.core_range).contains("99999"),
            f"{entry.distribution} requires pajamas{entry.core_range}, which has no upper bound.",
            mend,
        )

    def test_names_follow_the_convention(self, host: PluginHost) -> None:
        """The distribution is called pajamas-NAME and its package pajamas_NAME, where NAME is the backend's.

        People find it so, and core's own messages say `pip install pajamas-NAME`. A plugin that has to be called
        otherwise marks this test with `xfail(reason=...)`.
        """
        from packaging.utils import canonicalize_name

        entry = _entry(host, self.backend)
        wanted = canonicalize_name(f"pajamas-{self.backend}")
        require(
            canonicalize_name(entry.distribution) == wanted,
            f"The backend {self.backend!r} comes in the distribution {entry.distribution!r}.",
            f"Call it {wanted}.",
        )
        package = entry.module.partition(":")[0].partition(".")[0]
        require(
            package == wanted.replace("-", "_"),
            f"The backend {self.backend!r} comes in the package {package!r}.",
            f"Call it {wanted.replace('-', '_')}.",
        )

    def _require_light(self, modules: list[str], what: str) -> None:
        __tracebackhide__ = True
        heavy = sorted({name.partition(".")[0] for name in modules} & {*HEAVY, *self.engine_modules})
        require(not heavy, f"{what} loads {', '.join(heavy)}.", _LOOKED_AT)


def _entry(host: PluginHost, backend: str) -> PluginEntry:
    __tracebackhide__ = True
    entries = [entry for entry in host.entries("pajamas.backends") if entry.name == backend]
    require(
        entries,
        f"No installed distribution has an entry point {backend!r} in the group pajamas.backends.",
        f'In pyproject.toml: [project.entry-points."pajamas.backends"] {backend} = "pajamas_{backend}.hooks"; '
        "then install it: pip install -e .",
    )
    claims = " and ".join(f"{entry.distribution} {entry.version}" for entry in entries)
    require(len(entries) == 1, f"{claims} both offer {backend!r}.", "Uninstall one of them.")
    return entries[0]


def _is_told_elsewhere(entry: PluginEntry) -> bool:
    """Whether one of the other static rules names the reason for which core refuses the plugin."""
    if entry.problem:
        return True
    try:
        hooks = importlib.metadata.EntryPoint(entry.name, entry.module, entry.group).load()
    except Exception:  # then it is told here, by the host's own message
        return False
    return bool(_unknown_hooks(hooks) or _unknown_arguments(hooks))


def _unknown_hooks(hooks: ModuleType) -> list[str]:
    return [
        name
        for name, (_, options) in implementations(hooks).items()
        if name not in SPECS and not options.get("optionalhook")
    ]


def _unknown_arguments(hooks: ModuleType) -> dict[str, list[str]]:
    found = {}
    for name, (function, _) in implementations(hooks).items():
        if name in SPECS:
            known = inspect.signature(SPECS[name]).parameters
            unknown = [
                argument.name
                for argument in inspect.signature(function).parameters.values()
                if argument.name not in known
                and argument.default is argument.empty
                and argument.kind in (argument.POSITIONAL_ONLY, argument.POSITIONAL_OR_KEYWORD)
            ]
            if unknown:
                found[name] = unknown
    return found


def _usual_range() -> str:
    from pajamas.plugin_entries import core_version

    major, minor = (int(part) for part in core_version().split(".")[:2])
    return f">={major}.{minor},<{f'0.{minor + 1}' if major == 0 else major + 1}"
