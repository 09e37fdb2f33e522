"""From a folder to a session."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from pajamas.errors import ModelFileError, NotEnoughMemory
from pajamas_mlx import engine, parameters
from pajamas_mlx.session.checkup import check_cache, check_once
from pajamas_mlx.session.facts import read_facts
from pajamas_mlx.session.session import MLXSession

if TYPE_CHECKING:
    from pajamas.types import Artifact, LoadOptions

log = logging.getLogger(__name__)


def load(artifact: Artifact, options: LoadOptions) -> MLXSession:
    """Load a folder in mlx-lm's layout, quantized or not, or a plain Hugging Face one.

    Before its weights the folder is checked twice: strictly by its headers, and (once for each state of its files) in a
    child process, so that a damaged one is an error and not the end of this process. MLX always reads the weights, as
    `mmap=False` asks for.

    Raises:
        ModelFileError: the folder is missing, damaged or hostile, or no whole model.
        EngineMissing: MLX or mlx-lm is not installed or does not load.
        DeviceNotFound: the device is not here.
        UnsupportedModel: mlx-lm does not know its kind, or its tokenizer is of an unknown one.
        UnsupportedFeature, UsageError: an option that cannot be honoured.
        NotEnoughMemory: the weights are larger than the memory, or with the cache of a context that was asked for.
    """
    engine.engine()
    facts = read_facts(artifact.path)
    chosen = parameters.resolve(options, facts)
    try:
        together = check_once(facts, chosen)
        for note in chosen.notes:
            log.warning("%s", note)
        session = MLXSession(facts, chosen, together=together)
    except OSError as error:
        raise ModelFileError(f"{artifact.path} was there and is gone.", str(error), "Check the path.") from error
    if options.context_length is not None or options.max_sequences is not None:
        try:
            check_cache(session.memory, facts.folder)
        except NotEnoughMemory:
            session.close()
            raise
    return session
