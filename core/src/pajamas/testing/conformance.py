"""The conformance kit's one class: its fixtures, and all groups of rules together."""

from __future__ import annotations

import importlib.metadata
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from attrs import frozen

from pajamas.errors import ModelNotFound, PajamasError, PluginError, UsageError
from pajamas.testing.detecting import Detecting
from pajamas.testing.errors_group import Errors
from pajamas.testing.features import Features
from pajamas.testing.generating import Generating
from pajamas.testing.group import UNPROVEN
from pajamas.testing.honesty import Honesty
from pajamas.testing.hook_functions import call, implementations
from pajamas.testing.load_features import LoadFeatures
from pajamas.testing.loading import Loading
from pajamas.testing.quantizing import Quantizing
from pajamas.testing.scoring import Scoring
from pajamas.testing.static import Static
from pajamas.testing.threads import Threads
from pajamas.testing.undeclared import Undeclared
from pajamas.testing.workers import Workers

if TYPE_CHECKING:
    from pajamas.backend import Backend
    from pajamas.plugins import PluginHost
    from pajamas.types import Artifact, BackendInfo, Session

EXTENDABLE = ("artifact", "session")
"""Fixtures that a subclass may extend or replace; all others belong to the kit."""


@frozen
class Made:
    """Something that a rule is about and other rules need: it, or why it could not be made."""

    value: object = None
    error: Exception | None = None


class BackendConformance(
    Static, Honesty, Detecting, Loading, Quantizing, Generating, Threads, Scoring, Features, LoadFeatures,
    Undeclared, Errors, Workers
):  # fmt: skip
    """Every rule of the contract, as tests that a backend's own test class inherits.

    Rules that need what another rule is about (a plugin that registers, an artifact, a session) are skipped while that
    rule is broken, so that one fault is one failure.
    """

    @pytest.fixture(scope="class")
    @classmethod
    def kit_home(cls, pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """A folder of this test class's own; the user's model store and configuration are out of sight."""
        if not pytestconfig.pluginmanager.is_registered(sys.modules.get("pajamas.testing.plugin")):
            pytest.fail("The pytest plugin `pajamas` is switched off.\nHow to mend it: Leave out `-p no:pajamas`.")
        home = tmp_path_factory.mktemp("kit")
        (home / "config.toml").touch()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PAJAMAS_MODELS", str(home / "models"))
            patch.setenv("PAJAMAS_CONFIG", str(home / "config.toml"))
            yield home

    @pytest.fixture(scope="class")
    @classmethod
    def host(cls, kit_home: Path) -> PluginHost:
        """A fresh `PluginHost` of everything that is installed."""
        from pajamas.plugins import PluginHost

        return PluginHost()

    @pytest.fixture(scope="class")
    @classmethod
    def hooks(cls) -> ModuleType:
        """What the backend's entry point names, imported."""
        points = [
            point for point in importlib.metadata.entry_points(group="pajamas.backends") if point.name == cls.backend
        ]
        if len(points) != 1:
            pytest.skip(f"{cls.backend!r} is not one entry point: see test_registers")
        try:
            hooks: ModuleType = points[0].load()
        except Exception as error:  # whatever the import raises, test_registers reports it
            pytest.skip(f"{points[0].value} cannot be imported ({type(error).__name__}): see test_registers")
        return hooks

    @pytest.fixture(scope="class")
    @classmethod
    def registered(cls, host: PluginHost) -> Backend:
        """The backend as core sees it, with its hooks as methods."""
        try:
            return host.backend(cls.backend)
        except (PluginError, UsageError) as error:
            pytest.skip(f"the host does not take the plugin ({error.what}): see the group static")

    @pytest.fixture(scope="class")
    @classmethod
    def record(cls, hooks: ModuleType) -> BackendInfo:
        """What the plugin's `describe` returns, before core has looked at it."""
        from pajamas.types import BackendInfo

        try:
            record = call(hooks, "describe", thorough=False)
        except Exception as error:  # whatever it raises, test_describes_itself reports it
            pytest.skip(f"describe fails ({type(error).__name__}): see test_describes_itself")
        if not isinstance(record, BackendInfo):
            pytest.skip(f"describe returns a {type(record).__name__}: see test_describes_itself")
        return record

    @pytest.fixture(scope="class")
    @classmethod
    def info(cls, registered: Backend) -> BackendInfo:
        """What core knows of the backend: its description, once core has accepted it."""
        try:
            return registered.describe()
        except PajamasError as error:
            pytest.skip(f"core does not take the description ({error.why}): see the group honesty")

    @pytest.fixture(scope="class")
    @classmethod
    def format(cls, info: BackendInfo) -> str:
        """The format of the artifact: that of the class, or the first one declared."""
        if not info.formats:
            pytest.skip("no format is declared: see test_declares_formats_and_devices")
        return cls.artifact_format or info.formats[0]

    @pytest.fixture(scope="class")
    @classmethod
    def quantizes(cls, hooks: ModuleType) -> bool:
        """Whether the backend has a `quantize` hook."""
        return "quantize" in implementations(hooks)

    @pytest.fixture(scope="class")
    @classmethod
    def made_artifact(cls, host: PluginHost, info: BackendInfo, format: str, quantizes: bool, kit_home: Path) -> Made:
        """The model as an artifact of this backend, or why it could not be made."""
        _needs_engine(info)
        try:
            return Made(_make(cls, host, format, kit_home / "artifact") if quantizes else _find(cls, host))
        except Exception as error:  # test_the_model_becomes_an_artifact reports it
            return Made(error=error)

    @pytest.fixture(scope="class")
    @classmethod
    def artifact(cls, made_artifact: Made) -> Artifact:
        """The model made ready for `load`: quantized to `scheme` where the backend quantizes, else as it is."""
        if made_artifact.error is not None:
            pytest.skip("there is no artifact: see test_the_model_becomes_an_artifact")
        artifact: Artifact = made_artifact.value  # type: ignore[assignment]  # made by _make or _find
        return artifact

    @pytest.fixture(scope="class")
    @classmethod
    def made_session(cls, registered: Backend, info: BackendInfo, artifact: Artifact) -> Iterator[Made]:
        """The artifact loaded with `load_options`, or why it could not be; closed after the last test of the class."""
        _needs_engine(info)
        try:
            session = registered.load(artifact, cls.load_options)
        except Exception as error:  # test_the_artifact_loads reports it
            yield Made(error=error)
            return
        yield Made(session)
        session.close()

    @pytest.fixture(scope="class")
    @classmethod
    def session(cls, made_session: Made) -> Session:
        """One session that the tests of the class share. A test that changes its state leaves it as it was."""
        if made_session.error is not None:
            pytest.skip("there is no session: see test_the_artifact_loads")
        session: Session = made_session.value  # type: ignore[assignment]  # what `load` returned
        return session


def _needs_engine(info: BackendInfo) -> None:
    if info.unavailable:
        pytest.skip(f"{UNPROVEN}: {info.unavailable}")


def _make(cls: type[BackendConformance], host: PluginHost, format: str, folder: Path) -> Artifact:
    from pajamas.core import run

    schemes = host.backend(cls.backend).describe().schemes
    try:
        result = run(
            "convert",
            model=cls.model,
            output=folder,
            formats=[format],
            precision=cls.scheme or next(iter(schemes), None),
            backend=cls.backend,
            host=host,
        )
    except ModelNotFound as error:
        raise _without_model(cls.model, error) from error
    return result.artifacts[0]


def _find(cls: type[BackendConformance], host: PluginHost) -> Artifact:
    from pajamas.operations.loading import select

    try:
        return select(cls.model, cls.backend, host=host).artifact
    except ModelNotFound as error:
        raise _without_model(cls.model, error) from error


def _without_model(model: str, error: ModelNotFound) -> ModelNotFound:
    fix = "pip install pajamas-tiny, or set `model` to a model that is here." if model == "tiny" else error.fix
    return ModelNotFound(error.what, error.why, fix)


TESTS = {
    name: rule for group in BackendConformance.__mro__ for name, rule in vars(group).items() if name.startswith("test_")
}
"""Every rule of the kit, as it was written and in the order in which they run."""
