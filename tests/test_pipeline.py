"""From the bundled model to an artifact with a receipt, and back to answers, through `run()` alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import pajamas
from pajamas import manifest
from pajamas.errors import ModelFileError, ModelNotFound, TargetExists, UnsupportedFeature, UnsupportedModel, UsageError

QUESTION = "What is 2+2?"


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Two artifacts of `tiny` in one folder."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    first = pajamas.run("convert", model="tiny", output=folder, command="the first")
    pajamas.run("convert", model="tiny", output=folder, precision="q8_0")
    return first


@pytest.fixture
def copy(converted, tmp_path):
    """A copy of the folder, to damage."""
    for file in converted.folder.rglob("*"):
        if file.is_file():
            target = tmp_path / "copy" / file.relative_to(converted.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return tmp_path / "copy"


def test_the_layout_is_the_documented_one(converted):
    files = {file.relative_to(converted.folder).as_posix() for file in converted.folder.rglob("*") if file.is_file()}

    assert files == {"manifest.json", "gguf/tiny-q4_k_m.gguf", "gguf/tiny-q8_0.gguf"}
    assert converted.gguf_path == converted.folder / "gguf/tiny-q4_k_m.gguf"
    assert converted.size_mb == pytest.approx(converted.gguf_path.stat().st_size / 1e6)


def test_the_receipt_says_what_was_made_of_what_and_how(converted):
    receipt, other = manifest.read(converted.folder).artifacts
    source = Path(converted.source.path)

    assert (receipt.scheme, receipt.profile, other.scheme, other.profile) == ("Q4_K_M", "balanced", "Q8_0", None)
    assert receipt.command == "the first"
    assert (receipt.parameters, receipt.size) == (4_197_120, converted.gguf_path.stat().st_size)
    assert receipt.tensor_types == {"F32": 17, "Q4_K": 24, "Q6_K": 5}
    assert sum(receipt.tensor_types.values()) == len(receipt.tensors)
    assert receipt.source.text == str(source)
    assert {"config.json", "tokenizer.json"} <= set(receipt.source.files)
    assert receipt.tokenizer_digest == other.tokenizer_digest
    assert receipt.tensor_digest != other.tensor_digest
    assert receipt.validation is None


def test_what_was_announced_is_what_was_made(converted, tmp_path):
    planned = pajamas.run("convert", model="tiny", output=tmp_path / "plan", dry_run=True)

    assert planned.artifacts[0].size == converted.gguf_path.stat().st_size
    assert planned.artifacts[0].tensors == converted.artifacts[0].tensors
    assert not (tmp_path / "plan").exists()


def test_verify_finds_everything_in_order(converted):
    assert pajamas.run("verify", path=converted.folder).ok
    assert pajamas.run("verify", path=converted.gguf_path).ok


@pytest.mark.parametrize("place", [100, -1])
def test_verify_finds_a_flipped_bit(copy, place):
    path = copy / "gguf/tiny-q4_k_m.gguf"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)

    result = pajamas.run("verify", path=copy)

    wrong = {check.artifact for check in result.checks if not check.ok}
    assert wrong == {"gguf/tiny-q4_k_m.gguf"}


def test_verify_finds_a_missing_and_a_truncated_file(copy):
    path = copy / "gguf/tiny-q8_0.gguf"
    path.write_bytes(path.read_bytes()[:-100])
    assert not pajamas.run("verify", path=copy).ok
    path.unlink()
    assert not pajamas.run("verify", path=copy).ok


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("size", 1, "size"),
        ("parameters", 7, "parameters"),
        ("bits_per_weight", 1.5, "bits per weight"),
        ("scheme", "Q2_K", "scheme"),
        ("tensor_types", {"Q4_K": 46}, "tensor types"),
        ("tensor_digest", "00", "tensor digest"),
        ("tokenizer_digest", "00", "tokenizer digest"),
        ("template_digest", "00", "template digest"),
    ],
)
def test_verify_finds_an_altered_receipt(copy, field, value, what):
    data = json.loads((copy / "manifest.json").read_text())
    data["artifacts"][0][field] = value
    (copy / "manifest.json").write_text(json.dumps(data))

    result = pajamas.run("verify", path=copy)

    assert [check.what for check in result.checks if not check.ok] == [what]


@pytest.mark.parametrize(("record", "field", "value"), [("tensors", "type", "Q2_K"), ("architecture", "num_layers", 5)])
def test_verify_finds_an_altered_record_within_a_receipt(copy, record, field, value):
    data = json.loads((copy / "manifest.json").read_text())
    found = data["artifacts"][0][record]
    (found[-1] if isinstance(found, list) else found)[field] = value
    (copy / "manifest.json").write_text(json.dumps(data))

    assert [check.what for check in pajamas.run("verify", path=copy).checks if not check.ok] == [record]


def test_verify_refuses_what_has_no_receipt(copy):
    stray = copy / "gguf/stray.gguf"
    stray.write_bytes((copy / "gguf/tiny-q8_0.gguf").read_bytes())

    with pytest.raises(ModelNotFound, match="no receipt"):
        pajamas.run("verify", path=stray)


def test_an_existing_artifact_is_not_touched_unless_forced(copy):
    path = copy / "gguf/tiny-q4_k_m.gguf"
    path.write_bytes(b"mine")

    with pytest.raises(TargetExists):
        pajamas.run("convert", model="tiny", output=copy)
    assert path.read_bytes() == b"mine"

    pajamas.run("convert", model="tiny", output=copy, force=True)
    assert pajamas.run("verify", path=copy).ok


def test_the_file_answers_as_the_folder_of_one_artifact_does(converted, copy):
    data = json.loads((copy / "manifest.json").read_text())
    data["artifacts"] = data["artifacts"][:1]
    (copy / "manifest.json").write_text(json.dumps(data))
    options = {"prompt": QUESTION, "temperature": 0, "max_tokens": 30, "mode": "non-thinking"}

    by_file = pajamas.run("generate", model=converted.gguf_path, **options)
    by_folder = pajamas.run("generate", model=copy, **options)

    assert by_file.text == by_folder.text == "2 + 2 = 4."
    assert by_file.finish_reason == "stop"


def test_thinking_comes_apart_from_the_answer(converted):
    answer = pajamas.run("generate", model=converted.gguf_path, prompt=QUESTION, temperature=0, mode="thinking")

    assert "2 + 2" in answer.reasoning
    assert answer.text == "2 + 2 = 4."
    assert "think>" not in answer.reasoning + answer.text


def test_a_tool_call_is_parsed(converted):
    tool = {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Get the weather of a city",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
    path = converted.folder / "gguf/tiny-q8_0.gguf"

    answer = pajamas.run(
        "generate", model=path, prompt="What is the weather in Paris?", tools=[tool], temperature=0, mode="non-thinking"
    )

    assert [(call.name, json.loads(call.arguments)) for call in answer.tool_calls] == [
        ("get_weather", {"city": "Paris"})
    ]
    assert (answer.text, answer.finish_reason) == ("", "tool_calls")


def test_a_schema_is_obeyed_and_not_combined_with_thinking(converted):
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 10}, "age": {"type": "integer"}},
        "required": ["name", "age"],
    }
    prompt = "Tom is 7 years old. Answer with JSON."

    answer = pajamas.run("generate", model=converted.gguf_path, prompt=prompt, json_schema=schema, temperature=0)

    assert set(json.loads(answer.text)) == {"name", "age"}
    with pytest.raises(UnsupportedFeature, match="thinking"):
        pajamas.run("generate", model=converted.gguf_path, prompt=prompt, json_schema=schema, mode="thinking")


def test_several_artifacts_of_one_format_are_for_the_person_to_choose_from(converted):
    with pytest.raises(UsageError) as caught:
        pajamas.run("generate", model=converted.folder, prompt=QUESTION)

    assert "tiny:q4_k_m" in caught.value.fix and "tiny:q8_0" in caught.value.fix


def test_a_source_model_is_found_converted_in_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("PAJAMAS_MODELS", str(tmp_path / "store"))
    with pytest.raises(UnsupportedModel) as caught:
        pajamas.run("generate", model="tiny", prompt=QUESTION)
    assert "pajamas convert --model" in caught.value.fix

    made = pajamas.run("convert", model="tiny")

    assert made.gguf_path == tmp_path / "store/tiny/gguf/tiny-q4_k_m.gguf"
    assert pajamas.run("generate", model="tiny", prompt=QUESTION, temperature=0).text == "2 + 2 = 4."
    assert [model.path for model in pajamas.run("list").models if model.kind == "artifact"] == [made.gguf_path]


def test_a_damaged_file_is_an_error(copy):
    path = copy / "gguf/tiny-q4_k_m.gguf"
    path.write_bytes(path.read_bytes()[:1_000_000])

    with pytest.raises(ModelFileError):
        pajamas.run("generate", model=path, prompt=QUESTION)


def test_a_receipt_of_the_library_says_how_to_make_the_same_again(tmp_path):
    made = pajamas.run(
        "convert", model="tiny", output=tmp_path / "a", tensor_types=[("ffn_down", "Q8_0")], outtype="f16"
    )

    [receipt] = made.receipts
    assert receipt.options == {"outtype": "f16", "tensor_types": (("ffn_down", "Q8_0"),)}
    assert receipt.command.startswith("pajamas.run('convert', model=")
    again = eval(receipt.command.replace("pajamas.run(", f"pajamas.run(output={str(tmp_path / 'b')!r}, operation="))
    assert again.receipts[0].tensor_digest == receipt.tensor_digest


def test_a_gguf_source_is_recorded_by_its_digest(converted, tmp_path):
    path = converted.folder / "gguf/tiny-q8_0.gguf"
    made = pajamas.run("convert", model=path, output=tmp_path, precision="q4_0")

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert dict(made.receipts[0].source.files) == {"tiny-q8_0.gguf": digest}


def test_a_foreign_manifest_is_refused_before_any_work(tmp_path):
    (tmp_path / "manifest.json").write_text('{"mine": true}')

    with pytest.raises(ModelFileError, match="not a pajamas manifest"):
        pajamas.run("convert", model="tiny", output=tmp_path, force=True)

    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]


def test_the_kept_16bit_file_is_named(tmp_path):
    made = pajamas.run("convert", model="tiny", output=tmp_path, keep_16bit=True)

    assert (tmp_path / "gguf/tiny-bf16.gguf").is_file()
    assert any("tiny-bf16.gguf" in note for note in made.artifacts[0].notes)


def test_verify_knows_16bit_artifacts(tmp_path):
    pajamas.run("convert", model="tiny", output=tmp_path, precision="bf16")

    assert pajamas.run("verify", path=tmp_path).ok


def test_one_file_as_the_output(tmp_path):
    made = pajamas.run("convert", model="tiny", output=tmp_path / "small.gguf", precision="q2_k")

    assert made.gguf_path == tmp_path / "small.gguf"
    assert pajamas.run("verify", path=tmp_path / "small.gguf").ok


def test_a_format_that_no_backend_makes_is_refused_before_any_work(tmp_path):
    with pytest.raises(UnsupportedFeature, match="vellum"):
        pajamas.run("convert", model="tiny", output=tmp_path, formats=["gguf", "vellum"], precision="q4_k_m:soft")
    assert not list(tmp_path.iterdir())
