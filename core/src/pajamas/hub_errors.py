"""What huggingface_hub and its HTTP client raise, in pajamas' own errors: `hub_errors`."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from pajamas.errors import DownloadError, GatedModel, ModelNotFound, NotCached, NotEnoughDisk, PajamasError, UsageError
from pajamas.source import Source


@contextmanager
def hub_errors(source: Source) -> Iterator[None]:
    """Whatever goes wrong inside with the Hub, the network or the cache becomes an error about `source`."""
    import httpx2
    from huggingface_hub import errors as hub

    try:
        yield
    except PajamasError:
        raise
    except (
        OSError,  # most of huggingface_hub's errors, and the cache's own
        httpx2.HTTPError,
        httpx2.InvalidURL,
        hub.EntryNotFoundError,
        hub.RevisionResolutionError,
        hub.XetDownloadError,
        hub.HFValidationError,
    ) as error:
        raise explain(error, source) from error


def explain(error: BaseException, source: Source) -> PajamasError:
    """The error of pajamas that says what `error` means for the model that was asked for."""
    import httpx2
    from huggingface_hub import constants
    from huggingface_hub import errors as hub

    repo = source.repo_id or source.text
    page = f"{constants.ENDPOINT}/{repo}"
    if isinstance(error, hub.GatedRepoError):
        return _gated(error, repo, page)
    if isinstance(error, hub.RevisionNotFoundError):
        why = f"The Hub has {repo}, but no branch, tag or commit of that name."
        return ModelNotFound(f"{repo} has no revision {source.revision!r}.", why, f"See {page}/tree/main")
    if isinstance(error, hub.RemoteEntryNotFoundError):
        return ModelNotFound(f"{repo} lacks a file that was asked for.", _first_line(error), f"See {page}/tree/main")
    if isinstance(error, hub.HfHubHTTPError):
        return _refused(error, repo, page)
    if isinstance(error, hub.OfflineModeIsEnabled) or (
        isinstance(error, (hub.LocalEntryNotFoundError, hub.RevisionResolutionError)) and constants.is_offline_mode()
    ):
        return not_cached(source)
    if isinstance(error, (hub.LocalEntryNotFoundError, hub.RevisionResolutionError)) and error.__cause__ is not None:
        return explain(error.__cause__, source)
    if isinstance(error, hub.HFValidationError):
        return UsageError(f"{repo!r} cannot be a Hub id.", _first_line(error), "A Hub id is Org/Name.")
    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError, httpx2.UnsupportedProtocol)):
        if _like_path(source):
            return _no_folder(source, f"And {constants.ENDPOINT} cannot be reached to ask whether it is a model there.")
        fix = "Check the network, HF_ENDPOINT and HTTPS_PROXY; a model in the cache works with HF_HUB_OFFLINE=1."
        why = f"It was asked for {repo}, which is no folder here. {_first_line(error)}"
        return DownloadError(f"The Hub cannot be reached at {constants.ENDPOINT}", why, fix)
    if isinstance(error, (httpx2.HTTPError, hub.XetDownloadError)):
        return broken_off(source, _first_line(error))
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        fix = "Free some space, or point HF_HOME at a larger disk; then run the same command again."
        return NotEnoughDisk(f"The disk of {constants.HF_HUB_CACHE} is full.", _first_line(error), fix)
    if isinstance(error, OSError) and error.errno is not None:
        fix = "Give this user the right to write there, or point HF_HOME at another folder."
        return DownloadError(f"The cache {constants.HF_HUB_CACHE} cannot be used.", _first_line(error), fix)
    return broken_off(source, _first_line(error))


def not_cached(source: Source, why: str = "") -> NotCached:
    """For offline mode: the model, or part of it, is not in the cache."""
    repo = source.repo_id or source.text
    if not why and _like_path(source):
        return _no_folder(source, "And HF_HUB_OFFLINE forbids to ask whether it is a model of the Hub.")
    return NotCached(
        f"{repo} is not in the cache.",
        why or "HF_HUB_OFFLINE forbids the network, the model was not downloaded before, and no folder is called so.",
        f"Unset HF_HUB_OFFLINE and run: pajamas pull {source.text}",
    )


def _like_path(source: Source) -> bool:
    """Whether a name that may be a Hub id is more likely a path that ends early: `models/nothing`, where models is."""
    return not source.text.startswith("hf://") and os.path.isdir((source.repo_id or "").partition("/")[0])


def _no_folder(source: Source, why: str) -> NotCached:
    fix = f"Check the spelling; if it is a model of the Hub, write hf://{source.text}"
    return NotCached(f"There is no folder or alias {source.text}", why, fix)


def broken_off(source: Source, why: str) -> DownloadError:
    """The connection failed more often than it is tried again."""
    fix = "Run the same command again: it goes on where this one stopped."
    return DownloadError(f"The download of {source.repo_id or source.text} broke off.", why, fix)


def not_a_hub(error: BaseException) -> DownloadError:
    """The endpoint's answer is not what the Hub's API answers."""
    from huggingface_hub import constants

    why = f"{type(error).__name__}: {_first_line(error)}"
    fix = "Check HF_ENDPOINT, and that no proxy or login page answers in the Hub's place."
    return DownloadError(f"{constants.ENDPOINT} does not answer like the Hub.", why, fix)


def _gated(error: BaseException, repo: str, page: str) -> GatedModel:
    if _sent_token(error):
        return GatedModel(
            f"{repo} is gated, and this account may not read it.",
            "The token that was sent belongs to an account that has not been granted access.",
            f"Accept its terms or ask for access at {page}",
        )
    return GatedModel(
        f"{repo} is gated: it needs an account that has accepted its terms.",
        "No token was sent.",
        f"Accept the terms at {page} and log in with `hf auth login`, or set HF_TOKEN.",
    )


def _refused(error: BaseException, repo: str, page: str) -> PajamasError:
    from huggingface_hub import errors as hub

    assert isinstance(error, hub.HfHubHTTPError)
    status = error.response.status_code
    token = _sent_token(error)
    if status == 401 and token and not isinstance(error, hub.RepositoryNotFoundError):
        fix = "Log in again with `hf auth login`, or correct HF_TOKEN."
        return GatedModel("The Hub does not accept the token that was sent.", _first_line(error), fix)
    if isinstance(error, hub.RepositoryNotFoundError) or status in (401, 404):
        fix = f"Check the spelling at {page}"
        if not token:
            fix += "; for a private repository log in with `hf auth login`, or set HF_TOKEN."
        why = f"The Hub has no repository of that name{' that this account may see' if token else ''}, "
        return ModelNotFound(f"There is no model {repo}", why + f"and there is no folder {repo} here.", fix)
    if isinstance(error, hub.DisabledRepoError):
        return ModelNotFound(f"{repo} has been disabled on the Hub.", _first_line(error), f"See {page}")
    if status == 403:
        return GatedModel(f"The Hub forbids access to {repo}.", _first_line(error), f"See {page}")
    if status == 429:
        fix = "Wait some minutes; a token (`hf auth login`) raises the limit."
        return DownloadError("The Hub asks to slow down.", _first_line(error), fix)
    fix = "Run the same command again in a while: it goes on where this one stopped."
    return DownloadError(f"The Hub answered with status {status}.", _first_line(error), fix)


def _sent_token(error: BaseException) -> bool:
    response = getattr(error, "response", None)
    return response is not None and "authorization" in response.request.headers


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
