"""The chat template or templates that a model ships, and their keys in GGUF."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from pajamas_gguf.convert.vocab_files import TokenizerFiles

_KEY = "tokenizer.chat_template"


def template_keys(files: TokenizerFiles) -> dict[str, Any]:
    """`tokenizer.chat_template`, and for named templates `tokenizer.chat_templates` and one key for each.

    tokenizer_config.json's own template comes before chat_template.jinja (with additional_chat_templates/*.jinja), and
    that before chat_template.json, as in llama.cpp's converter. Unlike it, a template file counts without
    tokenizer_config.json too.

    Raises:
        ModelFileError: a template is not a text.
    """
    template = (files.config or {}).get("chat_template")
    if template is None:
        template = _from_files(files)
    if template is None:
        return {}
    if isinstance(template, str):
        return {_KEY: template}
    named: dict[str, str] = {}
    for entry in files.objects(template, "chat_template"):
        name, text = entry.get("name", ""), entry.get("template")
        if not isinstance(name, str) or not isinstance(text, str | None):
            raise files.error("tokenizer_config.json", "A chat template is not a text.")
        name = re.sub("[^A-Za-z0-9]", "_", name)
        if name and text is not None:
            named[name] = text
    default = named.pop("default", None)
    keys: dict[str, Any] = {f"{_KEY}.{name}": text for name, text in named.items()}
    if named:
        keys["tokenizer.chat_templates"] = sorted(named)
    return keys if default is None else keys | {_KEY: default}


def _from_files(files: TokenizerFiles) -> Any:
    default = files.text("chat_template.jinja")
    if default is None:
        return (files.json("chat_template.json") or {}).get("chat_template")
    more = [
        {"name": path.stem, "template": files.text(str(path))}
        for path in map(PurePosixPath, sorted(files.files.sizes()))
        if str(path.parent) == "additional_chat_templates" and path.suffix == ".jinja"
    ]
    return [{"name": "default", "template": default}, *more] if more else default
