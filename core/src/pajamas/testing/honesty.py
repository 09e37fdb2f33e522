"""Whether a backend's description of itself holds together."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib.metadata import entry_points
from types import ModuleType
from typing import TYPE_CHECKING

from pajamas.testing.children import ask
from pajamas.testing.group import DEVICES, Group, require
from pajamas.testing.hook_functions import implementations
from pajamas.types import Feature

if TYPE_CHECKING:
    from pajamas.types import BackendInfo


class Honesty(Group):
    """The record that `describe` returns.

    Besides these, the pytest plugin holds every test class to the rule that a test of the kit may be overridden only
    with `xfail(reason=...)`; the kit's own test then runs all the same, so that the excuse cannot outlive its reason.
    """

    def test_name_is_the_entry_points(self, record: BackendInfo) -> None:
        """A backend calls itself as its entry point does."""
        require(
            record.name == self.backend,
            f"describe says name={record.name!r}, and the entry point is called {self.backend!r}.",
            "Make them equal: people write that name after --backend.",
        )

    def test_declares_formats_and_devices(self, record: BackendInfo) -> None:
        """A backend declares at least one format and one device, and devices by their words.

        The words are "cuda", "metal" and "cpu", the best of those that work on this machine first.
        """
        for field in ("formats", "devices"):
            values = getattr(record, field)
            require(
                isinstance(values, tuple) and values and all(isinstance(value, str) and value for value in values),
                f"describe says {field}={values!r}.",
                f"Return a tuple of names; a backend without {field} can never be chosen.",
            )
            require(len(set(values)) == len(values), f"describe says {field}={values!r}.", "Name each once.")
        strange = [device for device in record.devices if device not in DEVICES]
        require(not strange, f"describe says devices={record.devices!r}.", f"Devices are: {', '.join(DEVICES)}.")

    def test_declares_known_features(self, record: BackendInfo) -> None:
        """Every declared feature is a member of `Feature`, in a frozenset."""
        require(
            isinstance(record.features, frozenset) and all(isinstance(feature, Feature) for feature in record.features),
            f"describe says features={record.features!r}.",
            "Return frozenset({Feature.STREAM, ...}) with members of pajamas.types.Feature, not their texts.",
        )

    def test_schemes_are_distinct(self, record: BackendInfo) -> None:
        """Schemes are names that differ by more than upper and lower case."""
        folded = [scheme.casefold() for scheme in record.schemes]
        twice = sorted({scheme for scheme in record.schemes if folded.count(scheme.casefold()) > 1})
        require(
            not twice,
            f"describe says schemes={record.schemes!r}; {', '.join(twice)} are one name.",
            "People write schemes in either case, and file names are in lower case: rename or drop one.",
        )
        both = sorted({scheme.casefold() for scheme in record.refused_schemes} & set(folded))
        require(not both, f"describe both makes and refuses {', '.join(both)}.", "Take it out of refused_schemes.")
        require(all(record.schemes), f"describe says schemes={record.schemes!r}.", "Give every scheme a name.")

    def test_scheme_aliases_mean_schemes(self, record: BackendInfo) -> None:
        """Every alias of a scheme means a declared scheme, and is not the name of another one."""
        folded = {scheme.casefold() for scheme in record.schemes}
        for alias, scheme in record.scheme_aliases.items():
            require(
                scheme in record.schemes,
                f"scheme_aliases says {alias!r} for {scheme!r}, which is no declared scheme.",
                f"Spell it as in schemes: {', '.join(record.schemes) or 'there are none'}.",
            )
            require(
                alias.casefold() not in folded or alias.casefold() == scheme.casefold(),
                f"scheme_aliases says {alias!r} for {scheme!r}, but {alias!r} is a scheme itself.",
                "Take the alias out.",
            )

    def test_unavailable_says_what_to_do(self, record: BackendInfo) -> None:
        """A backend that cannot run here says why in one line, and what a person can do about it."""
        if record.unavailable is None:
            return
        require(
            record.unavailable.strip() and "\n" not in record.unavailable,
            f"describe says unavailable={record.unavailable!r}.",
            "Give the reason in one line, or None if there is none.",
        )
        require(record.fix.strip(), f"describe says {record.unavailable!r} and no fix.", "Set `fix`: pip install ...")

    def test_a_thorough_description_agrees(self, hooks: ModuleType, record: BackendInfo) -> None:
        """`describe(thorough=True)` tries the engine, and says the same of name, engine, formats and schemes.

        `pajamas doctor` asks so. A backend whose `describe` does not name the argument passes by definition.
        """
        if "thorough" not in inspect.signature(implementations(hooks)["describe"][0]).parameters:
            return
        entry = next(point for point in entry_points(group="pajamas.backends") if point.name == self.backend)
        answer = ask("describe", entry=entry.value, thorough=True)
        require(
            "failed" not in answer,
            f"describe(thorough=True) fails: {answer.get('failed')}.",
            "Say in `unavailable` what is wrong with the engine, and try it in a child process if it could crash.",
        )
        for name, value in answer["record"].items():
            quick = str(getattr(record, name))
            require(
                value == quick,
                f"describe says {name}={quick}, and with thorough=True {value}.",
                "Let only devices, features, notes and what is unavailable depend on trying the engine.",
            )

    def test_formats_can_be_told_apart(self, record: BackendInfo) -> None:
        """What tells a format by its files, and what a profile means, speak of declared formats and schemes only.

        `file_suffixes` maps ".suffix" to a format, `folder_markers` a file name to a format, `profile_schemes` a format
        to the scheme of each of the profiles "balanced", "ultra" and "hq" that it has.
        """
        from pajamas.profiles import PROFILES

        _require_declared("file_suffixes", record.file_suffixes.values(), record.formats, "formats")
        _require_declared("folder_markers", record.folder_markers.values(), record.formats, "formats")
        _require_declared("profile_schemes", record.profile_schemes, record.formats, "formats")
        for suffix in record.file_suffixes:
            require(
                suffix.startswith(".") and len(suffix) > 1 and "/" not in suffix,
                f"file_suffixes has the key {suffix!r}.",
                'A suffix begins with a dot: ".echo".',
            )
        for marker in record.folder_markers:
            require(
                marker and "/" not in marker,
                f"folder_markers has the key {marker!r}.",
                "Name a file that lies in the folder itself.",
            )
        for schemes in record.profile_schemes.values():
            _require_declared("profile_schemes", schemes, tuple(PROFILES), "profiles")
            _require_declared("profile_schemes", schemes.values(), record.schemes, "schemes")


def _require_declared(field: str, values: Iterable[str], known: tuple[str, ...], what: str) -> None:
    __tracebackhide__ = True
    unknown = [value for value in values if value not in known]
    require(
        not unknown,
        f"{field} speaks of {', '.join(map(repr, unknown))}.",
        f"Of {what} there are: {', '.join(known) or 'none'}.",
    )
