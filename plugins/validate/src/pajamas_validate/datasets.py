"""Texts by name, fetched from the Hub once and checked against their digest.

`wikitext2` is the test split of WikiText-2 raw (Merity et al. 2016, CC BY-SA 3.0) as the one file that everybody who
publishes perplexities of llama.cpp measures on: the zip archive that llama.cpp's scripts/get-wikitext-2.sh fetches. It
is read with the standard library; the dataset's own repository holds Parquet, which is not, and without the line ends.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from pathlib import Path

from attrs import frozen

from pajamas.errors import ChecksumMismatch, ModelFileError, NotCached, PajamasError, UsageError
from pajamas.hub_errors import hub_errors
from pajamas.source import Source

_MOST = 64 << 20
"""No text here is larger: a damaged archive may say that it is."""


@frozen(kw_only=True)
class Dataset:
    repo_id: str
    revision: str
    file: str
    """A zip archive in the dataset repository."""
    member: str
    sha256: str
    """Of the member."""


DATASETS = {
    "wikitext2": Dataset(
        repo_id="ggml-org/ci",
        revision="927b3642933080f1b0e811e2f916e14c292992f9",
        file="wikitext-2-raw-v1.zip",
        member="wikitext-2-raw/wiki.test.raw",
        sha256="173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08",
    )
}


def read_dataset(name: str) -> str:
    """The text of that name, without a newline at the end, from the Hub's cache or the Hub.

    Raises:
        UsageError: there is no such dataset.
        NotCached: it was not fetched before, and the network may not be used.
        DownloadError: the network failed.
        ChecksumMismatch: the file is not the one that everybody measures on.
    """
    if name not in DATASETS:
        raise UsageError(f"There is no dataset {name!r}.", f"Known are: {', '.join(DATASETS)}.", "Or give a text file.")
    dataset = DATASETS[name]
    return read_member(_fetch(dataset), dataset).removesuffix("\n")


def read_member(archive: Path, dataset: Dataset) -> str:
    """The dataset's text in its archive.

    Raises:
        ModelFileError: the archive is damaged.
        ChecksumMismatch: it holds another text.
    """
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(dataset.member) as stream:
            data = stream.read(_MOST)
    except (OSError, KeyError, EOFError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelFileError(f"{archive} cannot be read.", str(error), "Delete it, and run this again.") from error
    found = hashlib.sha256(data).hexdigest()
    if found != dataset.sha256:
        raise ChecksumMismatch(
            f"{dataset.member} in {archive} is not the text that it should be.",
            f"Its sha256 is {found}, not {dataset.sha256}.",
            "Delete it, and run this again.",
        )
    return data.decode("utf-8")


def _fetch(dataset: Dataset) -> Path:
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url, try_to_load_from_cache

    repo, file, revision = dataset.repo_id, dataset.file, dataset.revision
    kept = try_to_load_from_cache(repo, file, repo_type="dataset", revision=revision)
    if isinstance(kept, str):
        return Path(kept)
    try:
        with hub_errors(Source(text=repo, kind="hub", repo_id=repo, revision=revision)):
            # Asked once by ourselves: where there is no network, the download tries for half a minute.
            get_hf_file_metadata(hf_hub_url(repo, file, repo_type="dataset", revision=revision))
            found = hf_hub_download(repo, file, repo_type="dataset", revision=revision)
    except NotCached as error:
        raise NotCached(
            f"The dataset file {dataset.file} is not in the cache.",
            error.why,
            "Unset HF_HUB_OFFLINE once, or give a text of your own: --text FILE",
        ) from error
    except PajamasError as error:
        what = f"The dataset file {dataset.file} could not be fetched."
        raise type(error)(what, error.what, "Check the network, or give a text of your own: --text FILE") from error
    return Path(found)
