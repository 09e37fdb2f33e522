"""The other commands with the real engine: demo, info, convert, verify, list, plugins, doctor."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from cliprogram import Terminal, run, run_here

# What MLX would make of a model takes it seconds to tell, and is its own tests' matter.
WITHOUT_MLX = {"PAJAMAS_DISABLE_PLUGINS": "mlx"}


def widest(text):
    return max(len(line) for line in text.splitlines())


@pytest.mark.slow
def test_demo_shows_the_whole_pipeline_twice_in_a_row_in_an_empty_home(tmp_path):
    with Terminal("demo", home=tmp_path, columns=80, **WITHOUT_MLX) as terminal:
        assert terminal.end() == 0
    done = run("demo", home=tmp_path, **WITHOUT_MLX)

    assert done.returncode == 0, done.stderr.decode()
    assert "Quantizing to Q4_K_M" in done.stderr.decode()
    for text in (" ".join(" ".join(terminal.lines).split()), " ".join(done.stdout.decode().split())):
        for wanted in (
            "Dense decoder (GQA 2:1)", "Q4_K_M: 2.89 MB, 5.52 bits per weight", "2.90x smaller", "What is 2+2?",
            "non-thinking: 2 + 2 = 4.", "it thinks:", " thinking:", "tokens per second over 256 tokens",
            "pajamas chat --model",
        ):  # fmt: skip
            assert wanted in text
    bars = [line for line in terminal.lines if line.startswith("Quantizing to Q4_K_M")]
    assert re.search(r"━ 46 tensors [\d,]+/s +in [\d.]+ s", bars[-1])
    assert [line for line in terminal.lines if len(line.rstrip()) > 80 and str(tmp_path) not in line] == []


def test_demo_leaves_alone_what_it_has_not_made(tmp_path, tiny_gguf):
    shutil.copytree(tiny_gguf.parents[1], tmp_path / "mine")
    before = (tmp_path / "mine/gguf/tiny-q4_k_m.gguf").stat().st_mtime_ns

    done = run_here("demo", "--output", tmp_path / "mine", home=tmp_path, **WITHOUT_MLX)

    assert done.returncode == 2
    assert b"--output" in done.stderr
    assert (tmp_path / "mine/gguf/tiny-q4_k_m.gguf").stat().st_mtime_ns == before


def test_the_lines_of_the_first_description_work_as_written(tmp_path):
    script = "llama-pajamas-quant"
    options = ["--model", "tiny", "--output", "./models/tiny", "--formats", "gguf", "--precision", "q4_k_m"]

    info = run("info", "tiny", home=tmp_path, script=script, **WITHOUT_MLX)
    convert = run("convert", *options, home=tmp_path, script=script)
    again = run("convert", *options, home=tmp_path, script=script)

    assert info.returncode == convert.returncode == 0
    assert b"4.20M parameters (3.15M non-embedding)" in info.stdout
    assert widest(info.stdout.decode()) < 100
    assert (tmp_path / "models/tiny/gguf/tiny-q4_k_m.gguf").is_file()
    receipt = json.loads((tmp_path / "models/tiny/manifest.json").read_text())
    assert "llama-pajamas-quant convert --model tiny" in json.dumps(receipt)
    assert again.returncode == 2
    assert b"--force" in again.stderr


def test_a_dry_run_says_sizes_and_writes_nothing(tmp_path):
    done = run_here("convert", "--model", "tiny", "--dry-run", "--explain", home=tmp_path)

    assert done.returncode == 0
    assert b"gguf takes it and runs on cpu: chosen." in done.stderr
    assert b"Would write" in done.stdout and b"2.89 MB" in done.stdout and b"at 32,768 tokens of context" in done.stdout
    assert not (tmp_path / "data").exists()


def test_verify_takes_the_name_of_a_model(cli_home, tiny_gguf):
    named = run_here("verify", "tiny", home=cli_home)
    other = run_here("verify", "tiny:q2_k", home=cli_home)

    assert (named.returncode, other.returncode) == (0, 3)
    assert tiny_gguf.name in named.stdout.decode()
    assert "pajamas list" in other.stderr.decode()
    assert run_here("verify", "tinny", home=cli_home).returncode == 3


def test_verify_finds_a_changed_byte(cli_home, tiny_gguf, tmp_path):
    folder = tmp_path / "copy"
    (folder / "gguf").mkdir(parents=True)
    (folder / "manifest.json").write_bytes((tiny_gguf.parents[1] / "manifest.json").read_bytes())
    data = bytearray(tiny_gguf.read_bytes())
    sound = run_here("verify", tiny_gguf, home=cli_home)
    data[-100] ^= 1
    (folder / "gguf" / tiny_gguf.name).write_bytes(data)
    damaged = run_here("verify", folder, home=cli_home)
    record = json.loads(run_here("verify", folder, "--json", home=cli_home).stdout)

    assert (sound.returncode, damaged.returncode) == (0, 1)
    assert b"WRONG" not in sound.stdout and b"WRONG  sha256" in damaged.stdout
    assert record["ok"] is False


def test_list_plugins_and_doctor(cli_home):
    listed = run_here("list", home=cli_home).stdout.decode()
    plugins = run_here("plugins", home=cli_home).stdout.decode()
    doctor = run_here("doctor", home=cli_home)

    assert "tiny  gguf Q4_K_M         5.52  2.89 MB  tiny/gguf/tiny-q4_k_m.gguf" in listed
    assert re.search(r"qwen3-8b +Qwen/Qwen3-8B\n", listed)
    assert "gguf: llama.cpp" in plugins and "json-schema" in plugins
    assert doctor.returncode == 0
    assert re.search(rb"ok   backend gguf: llama.cpp .* works on: .*cpu", doctor.stdout)


def test_doctor_wraps_for_the_terminal(cli_home):
    with Terminal("doctor", home=cli_home, columns=60) as terminal:
        assert terminal.end() == 0

    assert "\x1b[32m" in terminal.raw
    assert [line for line in terminal.lines if len(line.rstrip()) > 60 and str(cli_home) not in line] == []


@pytest.mark.parametrize("command", ["list", "plugins", "doctor", "info"])
def test_reports_are_json_on_request(cli_home, tiny_gguf, command):
    done = run_here(command, "--json", *([tiny_gguf] if command == "info" else []), home=cli_home)

    assert done.returncode == 0
    assert json.loads(done.stdout)


def test_a_broken_home_is_no_obstacle(tmp_path):
    home = tmp_path / "file"
    home.touch()
    variables = {
        name: str(home / "x")
        for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "HF_HOME")
    }
    done = run("convert", "-m", "tiny", "-o", tmp_path / "out", home=tmp_path, HOME=str(home), **variables)
    doctor = run("doctor", home=tmp_path, HOME=str(home), **variables)

    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in doctor.stderr
    assert b"token cannot be read" in doctor.stdout


def test_a_disabled_backend_is_said_to_be_disabled(cli_home, tiny_gguf):
    disabled = {"PAJAMAS_DISABLE_PLUGINS": "gguf,mlx,echo,vllm"}

    generate = run("generate", "-m", tiny_gguf, "Hello", home=cli_home, **disabled)
    doctor = run("doctor", home=cli_home, **disabled)

    assert b"disabled by PAJAMAS_DISABLE_PLUGINS" in generate.stderr
    assert b"pip install" not in generate.stderr + doctor.stdout
    assert doctor.returncode == 1
