"""Every fault that a plugin can have, against every command: none may suffer, and `plugins` names each."""

from __future__ import annotations

import json

import pytest

import cliprogram
from faulty_dists import FAULTS, TWINS, write_all

COMMANDS = {
    "help": ("--help",),
    "chosen": ("--backend", "gguf", "generate", "--model", "tiny", "--max-tokens", "4", "--temperature", "0", "Hello"),
    "unchosen": ("generate", "--model", "tiny", "--max-tokens", "4", "--temperature", "0", "Hello"),
    "info": ("info", "tiny", "--json"),  # without MLX, which takes seconds to tell what it would make of it
    "convert": ("convert", "--model", "tiny", "--dry-run"),
    "list": ("list", "--json"),
    "plugins": ("plugins", "--json"),
    "doctor": ("doctor", "--json"),
}


VARIABLES = {"info": {"PAJAMAS_DISABLE_PLUGINS": "mlx"}}


class World:
    """A folder with all faulty distributions, and commands run with it on the path; each is run once."""

    def __init__(self, home, folder):
        self.home, self.folder = home, folder
        self.done = {}

    def run(self, command):
        if command not in self.done:
            self.done[command] = self.start(*COMMANDS[command], marks=command, **VARIABLES.get(command, {}))
        return self.done[command]

    def start(self, *arguments, marks="other", **variables):
        (self.folder / f"{marks}.marks").touch()
        return cliprogram.run(
            *arguments,
            home=self.home,
            PYTHONPATH=str(self.folder),
            XDG_CACHE_HOME=str(self.folder / "cache"),
            MARKS=str(self.folder / f"{marks}.marks"),
            **variables,
        )

    def importers(self, command, fault):
        """The programs that imported the faulty module while the command ran."""
        self.run(command)
        lines = (self.folder / f"{command}.marks").read_text().splitlines()
        return {line.split()[1] for line in lines if line.split()[0] == f"pajamas_{fault.name}"}


@pytest.fixture(scope="module")
def world(cli_home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("faulty")
    write_all(folder)
    return World(cli_home, folder)


@pytest.fixture(scope="module")
def statuses(world):
    """What `pajamas plugins --json` says, by distribution."""
    return {record["distribution"].replace("_", "-"): record for record in json.loads(world.run("plugins").stdout)}


def answer_of_a_sound_installation(cli_home, command):
    return cliprogram.run_here(*COMMANDS[command], home=cli_home, **VARIABLES.get(command, {})).stdout


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("plugins", "doctor")])
def test_the_command_gives_what_it_gives_without_them(world, cli_home, command):
    done = world.run(command)

    assert done.returncode == 0, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    sound = answer_of_a_sound_installation(cli_home, command)
    if command == "list":  # a sound plugin among them adds its alias
        sound, found = json.loads(sound), json.loads(done.stdout)
        assert found["models"] == sound["models"]
        assert set(found["aliases"]) - set(sound["aliases"]) == {"alias_setting"}
    else:
        assert done.stdout == sound


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault.harmful], ids=lambda fault: fault.name)
def test_what_would_end_or_delay_a_command_is_not_imported_by_it(world, fault, command):
    assert "pajamas" not in world.importers(command, fault)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_help_and_a_chosen_backend_import_no_other_backend(world, fault):
    assert world.importers("help", fault) == set()
    if fault.group == "pajamas.backends":
        assert world.importers("chosen", fault) == world.importers("unchosen", fault) == set()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_plugins_names_the_distribution_its_version_and_the_reason(world, statuses, fault):
    status = statuses[fault.distribution.replace("_", "-")]

    assert status["version"] == "0.7"
    if fault.works:
        assert status["problem"] is None
        assert fault.reason in " ".join(status["notes"])
    else:
        assert fault.reason in status["problem"]
    assert world.importers("plugins", fault) <= {"-c"}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_doctor_names_it_too(world, fault):
    origins = (f"{fault.distribution} 0.7", f"{fault.distribution.replace('_', '-')} 0.7")
    found = [
        item
        for item in json.loads(world.run("doctor").stdout)
        if item["finding"].startswith(origins) and fault.reason in item["finding"]
    ]

    assert {item["state"] for item in found} == {"note" if fault.works else "problem"}


def test_the_table_for_people_names_them_too(world):
    disabled = [fault.name for fault in FAULTS if fault.harmful]
    done = world.start("plugins", PAJAMAS_DISABLE_PLUGINS=",".join(disabled))

    lines = (done.stdout + done.stderr).decode().splitlines()
    for fault in FAULTS:
        reason = "disabled by PAJAMAS_DISABLE_PLUGINS" if fault.harmful else fault.reason
        assert any(fault.name.replace("_", "-") in line.replace("_", "-") and reason in line for line in lines), fault


def test_both_distributions_that_claim_one_name_are_reported(world, statuses):
    for name in TWINS:
        problem = statuses[name.replace("_", "-")]["problem"]
        assert all(f"{other} 0.7" in problem for other in TWINS)


def test_plugins_and_doctor_find_the_sound_ones_sound(world, statuses):
    assert world.run("plugins").returncode == 0
    assert world.run("doctor").returncode == 1
    for name in ("pajamas-gguf", "pajamas-tiny"):
        assert statuses[name]["problem"] is None
    assert statuses["pajamas-gguf"]["info"]["engine_version"]
    assert "tiny" in statuses["pajamas-tiny"]["aliases"]


def test_a_fault_is_an_error_only_where_it_is_chosen(world):
    done = world.start("--backend", "quitting", "generate", "--model", "tiny", "Hello")

    assert done.returncode == 1
    assert b"pajamas-quitting 0.7" in done.stderr and b"SystemExit: 3" in done.stderr
