"""The kit's rules about foreign and damaged files and missing engines: each is broken by exactly one fault."""

from __future__ import annotations

import pytest

from kit_backend import with_fault

READ = '        data = (artifact.path / "weights.json").read_bytes()\n'
SIZE = '        size = files.sizes()["weights.json"]\n'


@pytest.mark.parametrize(
    ("change", "test", "words"),
    [
        ((SIZE, '        assert "config.json" not in files.sizes()\n' + SIZE), "test_foreign_files_are_none",
         "AssertionError"),
        ((SIZE, '        if "config.json" in files.sizes():\n            return Session.architecture\n' + SIZE),
         "test_foreign_files_are_none", "takes a folder whose config.json is"),
        ((SIZE, """        if "pytorch_model.bin" in files.sizes():
            import pickle
            pickle.loads(files.read("pytorch_model.bin"))
""" + SIZE), "test_foreign_files_are_none", "A pickle was loaded"),
        (("(ModelFileError, KeyError, ValueError)", "(ModelFileError, KeyError)"), "test_damaged_artifacts_are_none",
         "JSONDecodeError"),
        (("if size < 10_000 else", "if size else"), "test_detecting_reads_headers_only", "asks for 536"),
        (("    return Session.architecture if header", "    return header.get('x') if header"),
         "test_own_artifact_is_detected", "returns None"),
        (("    return Session.architecture if header", "    return header if header"),
         "test_own_artifact_is_detected", "returns {'model'"),
    ],
)  # fmt: skip
def test_one_fault_breaks_one_rule_of_detecting(check, change, test, words):
    run = check(with_fault(change), tests=("Detecting", "Loading"))

    assert list(run.failed) == [test]
    assert words in run.failed[test]


@pytest.mark.parametrize(
    ("changes", "test", "words"),
    [
        ([("(OSError, ValueError, KeyError, TypeError)", "(OSError, KeyError)")], "test_damaged_artifacts_are_refused",
         "JSONDecodeError"),
        ([(READ, READ + "        data or os.abort()\n")], "test_damaged_artifacts_are_refused",
         "was killed by SIGABRT"),
        ([(READ, READ + "        data or os._exit(0)\n")], "test_damaged_artifacts_are_refused",
         "ended without an answer"),
        ([(READ, READ + "        import pickle\n        data[:1] == b'\\x80' and pickle.loads(data)\n")],
         "test_damaged_artifacts_are_refused", "unpickles"),
        ([("        raise ModelFileError(", "        return Session(paper_engine)\n        raise ModelFileError(")],
         "test_damaged_artifacts_are_refused", "`load` takes"),
        ([('f"{artifact.path} cannot be read"', '""')], "test_damaged_artifacts_are_refused", "without a word"),
        ([("here = importlib.util.find_spec(\"paper_engine\") is not None", "here = True")],
         "test_describe_names_a_missing_engine", "says that the backend can run"),
        ([('fix="" if here else "pip install paper-engine"', 'fix="" if here else "ask us"')],
         "test_describe_names_a_missing_engine", "fix='ask us'"),
        ([('find_spec("paper_engine") is not None', 'find_spec("paper_engine").name')],
         "test_describe_names_a_missing_engine", "describe fails"),
        ([("    except ModuleNotFoundError", "    except ZeroDivisionError")], "test_load_names_a_missing_engine",
         "ModuleNotFoundError"),
        ([('"pip install paper-engine") from', '"ask us") from')], "test_load_names_a_missing_engine", "ask us"),
    ],
)  # fmt: skip
def test_one_fault_breaks_one_rule_of_errors(check, changes, test, words):
    run = check(with_fault(*changes), tests=("Loading", "Errors"))

    assert list(run.failed) == [test]
    assert words in run.failed[test]


def test_a_load_that_hangs_is_told_of(check, monkeypatch):
    monkeypatch.setattr("pajamas.testing.children.SECONDS", 5.0)

    run = check(
        with_fault((READ, READ + "        data or __import__('time').sleep(1000)\n")),
        tests=("test_damaged_artifacts_are_refused",),
    )

    assert "no answer within 5 s" in run.failed["test_damaged_artifacts_are_refused"]


def test_what_has_no_engine_says_so(check):
    run = check(with_fault(), tests=("Errors",), body="engine_modules = ()")

    assert run.failed == {}
    assert "engine_modules is empty" in run.skipped["test_load_names_a_missing_engine"]


def test_an_engine_that_is_looked_for_by_its_metadata_is_missing_too(check, fake_distributions):
    engine = fake_distributions("paper-engine", "", entry="none", group="none")
    (engine.with_name("paper_engine-1.0.dist-info") / "top_level.txt").write_text("paper_engine\n")
    by_metadata = """
    try:
        here = importlib.metadata.version("paper-engine")
    except importlib.metadata.PackageNotFoundError:
        here = None
    """.strip()

    run = check(
        with_fault(
            ('here = importlib.util.find_spec("paper_engine") is not None', by_metadata),
            ("import importlib.util", "import importlib.metadata"),
        ),
        tests=("Errors",),
    )

    assert (run.failed, run.skipped) == ({}, {})
