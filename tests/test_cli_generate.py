"""`pajamas generate` with the real engine, in a pipe and on a terminal."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from cliprogram import SCRIPTS, Terminal, environment, run, run_here, start

QUESTION = "What is 2+2?"
PLAIN = ("--mode", "non-thinking", "--temperature", "0")
ENDLESS = ("--ignore-eos", "--max-tokens", "100000")


@pytest.fixture
def generate(cli_home):
    def generate(*arguments, **options):
        return run_here("generate", "--model", "tiny", *arguments, home=cli_home, **options)

    return generate


def record(done):
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def test_the_line_of_the_first_description_works_as_written(cli_home, tiny_gguf):
    options = ["--max-tokens", "200", "--temperature", "0.7", "--mode", "thinking", "--top-p", "0.95"]
    done = run(
        "generate", "--model", tiny_gguf, "--prompt", QUESTION, *options, home=cli_home, script="llama-pajamas-run"
    )

    assert done.returncode == 0
    assert done.stdout.strip()
    assert b"tokens at" in done.stderr


def test_reasoning_goes_to_standard_error(generate):
    done = generate("--mode", "thinking", "--temperature", "0", QUESTION)

    assert done.stdout == b"2 + 2 = 4.\n"
    assert b"compute" in done.stderr


def test_standard_output_has_the_answer_and_nothing_else(generate):
    assert generate(*PLAIN, QUESTION).stdout == b"2 + 2 = 4.\n"


@pytest.mark.parametrize("arguments", [(), ("-",), ("--prompt", "-")])
def test_the_prompt_comes_from_standard_input(cli_home, arguments):
    done = run("generate", "--model", "tiny", *PLAIN, *arguments, home=cli_home, stdin=QUESTION + "\n")

    assert done.stdout == b"2 + 2 = 4.\n"


def test_json_is_the_whole_record(generate):
    answer = record(generate(*PLAIN, "--json", "--logprobs", "0", QUESTION))

    assert answer["text"] == "2 + 2 = 4."
    assert answer["finish_reason"] == "stop"
    assert len(answer["token_ids"]) == len(answer["logprobs"]) == answer["usage"]["completion_tokens"]
    assert answer["logprobs"][0]["top"] == []
    assert answer["usage"]["time_to_first_token"] > 0


def test_an_option_of_zero_is_honoured(generate):
    story = ("--mode", "non-thinking", "--max-tokens", "40", "Tell me a story.")
    greedy = {generate("--temperature", "0", *story).stdout for _ in range(2)}
    seeded = {generate("--temperature", "2", "--top-k", "0", "--seed", "0", *story).stdout for _ in range(2)}

    assert len(greedy) == len(seeded) == 1
    assert greedy != seeded


def test_messages_tools_and_what_shapes_an_answer(generate, tmp_path):
    messages = tmp_path / "messages.json"
    messages.write_text(json.dumps([{"role": "user", "content": QUESTION}]))
    grammar = tmp_path / "yes.gbnf"
    grammar.write_text('root ::= "yes" | "no"')
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]

    assert generate(*PLAIN, "--messages", messages, "--system", "Be brief.").stdout.strip()
    assert generate("--grammar", grammar, QUESTION).stdout in (b"yes\n", b"no\n")
    assert set(json.loads(generate("--json-schema", json.dumps(schema), QUESTION).stdout)) == {"sum"}
    assert record(generate(*PLAIN, "--tools", json.dumps(tools), "--json", "-n", "5", QUESTION))
    assert generate(*PLAIN, "--stop", "=", QUESTION).stdout == b"2 + 2 \n"
    assert generate("--temperature", "0", "--raw", "-n", "4", "Once upon a").returncode == 0
    assert generate("--mode", "thinking", "--raw", "Once upon a").returncode == 4


def test_the_bias_of_a_token_forbids_it(generate):
    first = record(generate(*PLAIN, "--json", QUESTION))["token_ids"][0]
    without = record(generate(*PLAIN, "--json", "--logit-bias", f"{first}=-inf", "-n", "9", QUESTION))["token_ids"]

    assert first not in without


def test_an_answer_that_is_cut_off_says_so(generate):
    done = generate(*PLAIN, "--ignore-eos", "--max-tokens", "7", QUESTION)
    full = generate(*PLAIN, "--ignore-eos", "--context", "64", QUESTION)

    assert b"7 tokens at" in done.stderr and b"cut off at --max-tokens" in done.stderr
    assert b"the context is full" in full.stderr


def test_a_prompt_longer_than_the_context_exits_with_1_and_both_numbers(generate):
    done = generate("--context", "64", "dog " * 100)

    assert done.returncode == 1
    assert b"109 tokens" in done.stderr and b"64" in done.stderr


def test_a_worker_process_answers_the_same_and_its_choice_is_explained(generate):
    done = generate(*PLAIN, "--isolated", "--explain", "--backend", "gguf", QUESTION)

    assert done.stdout == b"2 + 2 = 4.\n"
    assert b"--backend gguf names the backend." in done.stderr


def test_the_backend_may_stand_before_the_command(cli_home):
    for arguments in (("--backend", "cpu", "generate"), ("generate", "--backend", "cpu")):
        assert run_here(*arguments, "--model", "tiny", *PLAIN, QUESTION, home=cli_home).stdout == b"2 + 2 = 4.\n"
    done = run_here("--backend", "cuda", "generate", "--model", "tiny", "--backend", "cpu", *PLAIN, "hi", home=cli_home)
    assert done.returncode == 0


@pytest.mark.parametrize("isolated", [(), ("--isolated",)], ids=["here", "isolated"])
def test_ctrl_c_in_the_middle_of_an_answer_exits_with_130(cli_home, isolated):
    with start("generate", "--model", "tiny", *ENDLESS, *isolated, "Tell me a story.", home=cli_home) as program:
        assert program.stdout.read(20)
        program.send_signal(signal.SIGINT)
        _, stderr = program.communicate(timeout=60)

    assert program.returncode == 130
    assert stderr.decode().strip().splitlines()[-1] == "Interrupted."
    assert b"Traceback" not in stderr


def test_a_reader_that_goes_away_is_no_error(cli_home):
    line = (
        f"set -o pipefail; {SCRIPTS}/pajamas generate --model tiny {' '.join(ENDLESS)} 'Tell me a story.' | head -c 9"
    )
    done = subprocess.run(["bash", "-c", line], capture_output=True, timeout=120, env=environment(cli_home))

    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout) == 9


def test_on_a_terminal_the_reasoning_is_dim_and_the_answer_is_not(cli_home):
    arguments = ("generate", "--model", "tiny", "--mode", "thinking", "--temperature", "0", QUESTION)
    with Terminal(*arguments, home=cli_home) as terminal:
        assert terminal.end() == 0
        assert "\x1b[2mI need to" in terminal.raw or "\x1b[2mI\x1b[0m" in terminal.raw
        assert "\n2 + 2 = 4.\n" in terminal.text
    with Terminal(*arguments, home=cli_home, NO_COLOR="1") as terminal:
        assert terminal.end() == 0
        assert "\x1b[2m" not in terminal.raw


def damaged(sound):
    flipped = bytearray(sound)
    flipped[9] ^= 0x40
    return {
        "truncated": sound[: len(sound) // 2], "a few bytes": sound[:10], "empty": b"", "text": b"I am no model.\n",
        "a bit flipped": bytes(flipped), "a folder": None,
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["truncated", "a few bytes", "empty", "text", "a bit flipped", "a folder"])
@pytest.mark.parametrize("command", ["generate", "info"])
def test_a_damaged_file_is_an_error_and_no_traceback(cli_home, tiny_gguf, tmp_path, kind, command):
    path = tmp_path / "broken.gguf"
    data = damaged(tiny_gguf.read_bytes())[kind]
    path.mkdir() if data is None else path.write_bytes(data)

    # A damaged file may end the process that loads it.
    done = (
        run("generate", "hi", "-m", path, home=cli_home)
        if command == "generate"
        else run_here("info", path, home=cli_home)
    )

    assert done.returncode in (1, 3, 4)
    assert done.stderr.startswith(b"Error: ")
    assert b"Traceback" not in done.stderr


def test_a_prompt_cache_is_written_and_used(cli_home, tiny_gguf, tmp_path):
    file = tmp_path / "prompt.cache"
    options = ["generate", "-m", tiny_gguf, "-t", "0", "--mode", "non-thinking", "--json", "--prompt-cache", file]

    first = json.loads(run_here(*options, "What is 2+2?", home=cli_home).stdout)
    again = json.loads(run_here(*options, "What is 2+2?", home=cli_home).stdout)
    file.write_bytes(b"damaged")
    damaged = run_here(*options, "What is 2+2?", home=cli_home)

    assert first["usage"]["cached_tokens"] == 0 < again["usage"]["cached_tokens"]
    assert first["text"] == again["text"]
    assert damaged.returncode == 1 and b"Traceback" not in damaged.stderr


def test_the_choice_is_explained_with_the_features_that_it_needs(cli_home, tiny_gguf):
    done = run_here("generate", "-m", tiny_gguf, "-n", "1", "--top-k", "5", "--explain", "Hello", home=cli_home)

    assert b"What was asked for needs: top-k." in done.stderr
