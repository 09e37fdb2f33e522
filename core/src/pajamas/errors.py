"""Every error that pajamas raises on purpose.

    PajamasError                        exit 1
    ├── UsageError                      exit 2   an option or value that makes no sense
    │   └── TargetExists                         the output is there already and --force was not given
    ├── ModelNotFound                   exit 3   no such repository, revision, file or folder
    │   ├── GatedModel                           it exists, but needs an accepted licence or a token
    │   └── NotCached                            it is not in the cache and the network may not be used
    ├── Unsupported                     exit 4
    │   ├── UnsupportedFeature                   the backend cannot do what the request needs
    │   ├── UnsupportedModel                     no converter or engine for this architecture or tokenizer
    │   └── DeviceNotFound                       the device that was asked for is not here
    ├── ValidationFailed                exit 5
    ├── Unresolved                      exit 6   the sample is too small to judge
    ├── ModelFileError                           a model file is damaged, truncated or hostile
    ├── ChecksumMismatch                         a file's digest is not the one that was recorded
    ├── DownloadError                            the network failed, or broke off too often
    ├── NotEnoughDisk
    ├── NotEnoughMemory
    ├── ContextOverflow                          the prompt does not fit the context
    ├── TemplateError                            the chat template fails on these messages
    ├── EngineError                              the engine refused or failed
    │   ├── EngineMissing                        its library is not installed
    │   └── EngineCrashed                        its process died
    └── PluginError
        ├── PluginLoadError                      a plugin could not be imported or registered
        └── PluginConflict                       two distributions claim one name

The command line catches `PajamasError` and nothing else; anything that is not in this tree is a bug and keeps its
traceback.
"""

from __future__ import annotations

import re
from typing import ClassVar

# A whole command is no advice about arguments; an option stands alone.
_OPTION = re.compile(r"(?:pajamas|pip) [a-z]+ .*|(?<![\w-])--([a-z][a-z0-9-]*)")
_ARGUMENTS = {
    "context": "context_length", "tensor-type": "tensor_types", "token-embedding-type": "embedding_type",
    "output-tensor-type": "output_type", "threshold": "max_increase", "max-kld": "max_divergence", "ctx": "context",
}  # fmt: skip
_SWITCHES = frozenset({"aggressive", "dry-run", "force", "keep-16bit", "keep-imatrix", "mixed-precision", "raw"})


class PajamasError(Exception):
    """What happened, why, and what to do about it: one line each.

    They name options as the command line does, `--force`; the text of the exception, which a traceback shows, says
    besides what they are in a program, `force=True`.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(what, why, fix)
        self.what = what
        self.why = why
        self.fix = fix

    def __str__(self) -> str:
        lines = [line for line in (self.what, self.why, self.fix) if line]
        found = dict.fromkeys(match[1] for line in lines for match in _OPTION.finditer(line) if match[1])
        return "\n".join(lines + ([f"In a program: {', '.join(map(_argument, found))}"] if found else []))


class UsageError(PajamasError):
    exit_code = 2


class TargetExists(UsageError):
    pass


class ModelNotFound(PajamasError):
    exit_code = 3


class GatedModel(ModelNotFound):
    pass


class NotCached(ModelNotFound):
    pass


class Unsupported(PajamasError):
    exit_code = 4


class UnsupportedFeature(Unsupported):
    pass


class UnsupportedModel(Unsupported):
    pass


class DeviceNotFound(Unsupported):
    pass


class ValidationFailed(PajamasError):
    exit_code = 5


class Unresolved(PajamasError):
    exit_code = 6


class ModelFileError(PajamasError):
    pass


class ChecksumMismatch(PajamasError):
    pass


class DownloadError(PajamasError):
    pass


class NotEnoughDisk(PajamasError):
    pass


class NotEnoughMemory(PajamasError):
    pass


class ContextOverflow(PajamasError):
    pass


class TemplateError(PajamasError):
    pass


class EngineError(PajamasError):
    pass


class EngineMissing(EngineError):
    """An engine that is not installed, or not for this machine: what was asked for is unsupported here."""

    exit_code = 4


class EngineCrashed(EngineError):
    pass


class PluginError(PajamasError):
    pass


class PluginLoadError(PluginError):
    pass


class PluginConflict(PluginError):
    pass


def _argument(option: str) -> str:
    name = _ARGUMENTS.get(option, option.replace("-", "_"))
    return f"{name}=True" if option in _SWITCHES else f"{name}=..."


def error_class(name: str) -> type[PajamasError]:
    """The class of that name in the tree, or `PajamasError`: how an error comes back out of a worker process."""
    found = globals().get(name)
    return found if isinstance(found, type) and issubclass(found, PajamasError) else PajamasError
