"""`pajamas chat` with the real engine: on a pseudo-terminal, and in a pipe."""

from __future__ import annotations

import json
import time

import pytest

from cliprogram import ACCEPTED, PROMPT, Terminal, run

CTRL_C, CTRL_D, ALT_ENTER = "\x03", "\x04", "\x1b\r"
PLAIN = ("--mode", "non-thinking", "--temperature", "0")
QUESTION = "What is 2+2?"


@pytest.fixture
def chat(cli_home):
    """A chat whose prompt has appeared."""
    open_terminals = []

    def chat(*arguments, **variables):
        terminal = Terminal("chat", "--model", "tiny", *PLAIN, *arguments, home=cli_home, **variables)
        open_terminals.append(terminal.__enter__())
        terminal.wait_for(PROMPT)
        return terminal

    yield chat
    for terminal in open_terminals:
        terminal.__exit__()


def test_answers_commands_and_the_end(chat, tmp_path, cli_home):
    talk = tmp_path / "talk.json"
    terminal = chat()

    assert "2 + 2 = 4." in terminal.say(QUESTION)
    assert "tokens at" in terminal.say("/stats")
    assert "/system" in terminal.say("/help")
    assert "Be brief." in terminal.say("/system Be brief.")
    assert "3 messages" in terminal.say(f"/save {talk}")
    assert "3 messages" in terminal.say(f'/save "{tmp_path}/my talk.json"') and (tmp_path / "my talk.json").is_file()
    assert "Error" in terminal.say(f'/save "{tmp_path}/x.json')
    assert "forgotten" in terminal.say("/reset")
    assert "3 messages" in terminal.say(f"/load {talk}")
    assert "no command /nope" in terminal.say("/nope")
    assert "Error" in terminal.say(f"/load {tmp_path}")
    terminal.send("/quit\r")
    assert terminal.end() == 0
    assert [message["role"] for message in json.loads(talk.read_text())["messages"]] == ["system", "user", "assistant"]
    assert QUESTION in (cli_home / "state/pajamas/chat-history").read_text()


def test_set_refuses_at_once_and_says_what_is_set(chat):
    terminal = chat()

    assert "Did you mean temperature?" in terminal.say("/set temprature 1")
    assert "must be a number" in terminal.say("/set temperature hot")
    assert "Error" in terminal.say("/set top-p 2")
    assert "Error" in terminal.say("/set messages []")
    assert "Error" in terminal.say("/set logit-bias often")
    assert "top-k 3" in terminal.say("/set top_k 3")
    assert 'stop ["="]' in terminal.say('/set stop ["="]')
    assert "2 + 2 \n" in terminal.say(QUESTION)
    assert "stop" not in terminal.say("/set stop")
    assert "mode thinking" in terminal.say("/set mode thinking")
    thinking = terminal.say(QUESTION)
    assert "compute" in thinking and "2 + 2 = 4." in thinking
    assert "\x1b[2m" in terminal.raw


def test_ctrl_c_stops_the_answer_and_not_the_program(chat):
    terminal = chat("--ignore-eos", "--context", "16384")

    terminal.send("Tell me a story.\r")
    terminal.wait_for("Once")
    terminal.interrupt()
    assert "[stopped]" in terminal.wait_for(PROMPT)
    terminal.say("/set ignore-eos")
    assert "2 + 2 = 4." in terminal.say("/reset") + terminal.say(QUESTION)
    terminal.send(CTRL_D)
    assert terminal.end() == 0


@pytest.mark.parametrize("isolated", [(), ("--isolated",)], ids=["here", "isolated"])
def test_ctrl_c_stops_the_reading_of_a_long_prompt(chat, tmp_path, isolated):
    long = tmp_path / "long.json"
    story = "The small dog went home. " * 9_000
    long.write_text(json.dumps([{"role": "user", "content": story}, {"role": "assistant", "content": "Fine."}]))
    terminal = chat("--context", "60000", "--threads", "1", *isolated)

    terminal.say(f"/load {long}")
    terminal.send("And then?\r")
    terminal.wait_for(ACCEPTED)
    time.sleep(0.5)  # until the engine is at it; the prompt keeps it busy for many times as long
    terminal.interrupt()
    assert "stopped; your message is not kept" in terminal.wait_for(PROMPT)
    terminal.say("/reset")
    assert "2 + 2 = 4." in terminal.say(QUESTION)


def test_ctrl_c_at_the_prompt_drops_the_line_and_twice_ends(chat):
    terminal = chat()

    terminal.send("half a line" + CTRL_C)
    assert "2 + 2 = 4." in terminal.say(QUESTION)
    terminal.send(CTRL_C)
    assert "Press Ctrl-C again" in terminal.wait_for(PROMPT)
    assert "2 + 2 = 4." in terminal.say(QUESTION)
    terminal.send(CTRL_C)
    assert "Press Ctrl-C again" in terminal.wait_for(PROMPT)
    terminal.send(CTRL_C)
    assert terminal.end() == 0


@pytest.mark.parametrize("new_line", ["\\\r", ALT_ENTER], ids=["backslash", "alt-enter"])
def test_a_message_of_several_lines(chat, tmp_path, new_line):
    talk = tmp_path / "talk.json"
    terminal = chat()

    terminal.say(f"One{new_line}two")
    terminal.say(f"/save {talk}")
    assert json.loads(talk.read_text())["messages"][0]["content"] == "One\ntwo"


def test_a_full_context_is_an_error_and_the_talk_goes_on_after_reset(chat):
    terminal = chat("--context", "64")

    said = terminal.say("dog " * 80)
    assert "tokens" in said and "64" in said and "/reset" in said
    assert "2 + 2 = 4." in terminal.say(QUESTION)
    assert "the context is full" in terminal.say("/set ignore-eos true") + terminal.say("Go on.")
    assert "Error" in terminal.say("Go on.")
    terminal.say("/reset")
    terminal.say("/set ignore-eos")
    assert "2 + 2 = 4." in terminal.say(QUESTION)


def test_no_colour_and_a_home_that_is_no_folder(cli_home, tmp_path, chat):
    (tmp_path / "file").touch()
    terminal = chat("--mode", "thinking", NO_COLOR="1", XDG_STATE_HOME=str(tmp_path / "file"))

    assert "history is not kept" in terminal.text
    terminal.say(QUESTION)
    assert "\x1b[2m" not in terminal.raw


def test_what_a_model_says_cannot_steer_the_terminal(cli_home):
    from pajamas.cli.output import safe

    assert safe("a\x1b]0;title\x07b\rc\x9bd\ne\tf") == "a\\x1b]0;title\\x07b\\x0dc\\x9bd\ne\tf"


def test_without_a_terminal_each_line_is_a_turn(cli_home):
    lines = f"{QUESTION}\n\n/set temprature 1\n/set mode thinking\n{QUESTION}\n/quit\nnever asked\n"
    done = run("chat", "--model", "tiny", *PLAIN, home=cli_home, stdin=lines)

    assert done.returncode == 0
    assert done.stdout.decode() == "2 + 2 = 4.\ntemperature 0.0\nmode thinking\n2 + 2 = 4.\n"
    assert b"Did you mean temperature?" in done.stderr
    assert b"compute" in done.stderr


def test_the_line_of_the_first_description_works_as_written(cli_home, tiny_gguf):
    done = run(
        "chat", "--model", tiny_gguf, "--backend", "cpu", home=cli_home, script="llama-pajamas-run", stdin="Hello\n"
    )

    assert done.returncode == 0
    assert done.stdout.strip()
