"""Reading what is installed: one damaged distribution takes nothing from the others."""

from __future__ import annotations

import pytest

from pajamas.entry_points import GROUPS, entry_points
from pajamas.plugin_entries import find_all

GOOD = "Metadata-Version: 2.1\nName: {name}\nVersion: 2.0\nSummary: Sums up.\n"


def write(dists, name, points, metadata=GOOD, folder=None):
    info = dists / (folder or f"{name.replace('-', '_')}-2.0.dist-info")
    info.mkdir(parents=True)
    if metadata is not None:
        (info / "METADATA").write_bytes(metadata.format(name=name).encode("utf-8", "surrogateescape"))
    (info / "entry_points.txt").write_text(points)


def found(distribution):
    return [point for point in entry_points() if point.distribution == distribution]


def test_all_groups_of_pajamas_are_read_and_no_others(dists):
    lines = "".join(f"[{group}]\nname_{number} = mod:obj\n" for number, group in enumerate(GROUPS))
    write(dists, "paper-goods", "[console_scripts]\nx = y:z\n" + lines + "[pajamas.other]\nx = y\n")

    points = found("paper-goods")

    assert sorted(point.group for point in points) == sorted(GROUPS)
    assert {(point.value, point.version, point.summary, point.problem) for point in points} == {
        ("mod:obj", "2.0", "Sums up.", None)
    }


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ("[pajamas.backends]\nalone\n", "'alone =' names no module"),
        ("[pajamas.backends]\nx =\n", "'x =' names no module"),
        ("[pajamas.backends]\nx = not a module\n", "'x = not a module' names no module"),
        ("[pajamas.backends]\n= mod\n", "'= mod' names no module"),
    ],
)
def test_a_line_that_is_no_entry_point_is_told_of(dists, points, problem):
    write(dists, "paper-goods", points + "good = mod\n")

    by_name = {point.name: point.problem for point in found("paper-goods")}

    assert by_name.pop("good") is None
    [damage] = by_name.values()
    assert problem in damage


@pytest.mark.parametrize("metadata", [None, "", "\udcff\udcfe", "no header at all"])
def test_metadata_that_cannot_be_read_leaves_the_folders_name(dists, metadata):
    write(dists, "paper-goods", "[pajamas.backends]\nx = mod\n", metadata)

    [point] = found("paper-goods")

    assert point.version == "2.0"
    assert point.problem and "METADATA" in point.problem


def test_damaged_files_of_what_is_no_plugin_are_nobodys_concern(dists):
    write(dists, "other", "garbage")
    (dists / "another-1.0.dist-info").mkdir()
    (dists / "another-1.0.dist-info/entry_points.txt").write_bytes(b"\xff\xfe\x00")

    assert not [point for point in entry_points() if point.distribution in ("other", "another")]


def test_of_two_copies_on_the_path_the_first_counts(dists, monkeypatch):
    write(dists, "paper-goods", "[pajamas.backends]\nx = old\n")
    write(dists / "first", "Paper_Goods", "[pajamas.backends]\nx = new\n")
    monkeypatch.syspath_prepend(str(dists / "first"))

    points = [point for point in entry_points() if point.name == "x"]

    assert [point.value for point in points] == ["new"]


@pytest.mark.parametrize(
    ("requires", "core_range", "fits"),
    [
        ("pajamas>=0.1,<9", "<9,>=0.1", True),
        ("Pajamas[testing]>=99", ">=99", False),
        ('pajamas>=99; extra == "later"', "", True),
        ('pajamas>=99; python_version > "3"', ">=99", False),
        ("other>=1", "", True),
    ],
)
def test_the_range_of_core_is_read_where_it_applies(dists, requires, core_range, fits):
    write(dists, "paper-goods", "[pajamas.backends]\nx = mod\n", GOOD + f"Requires-Dist: {requires}\n")

    [entry] = [entry for entry in find_all()["pajamas.backends"] if entry.distribution == "paper-goods"]

    assert entry.core_range == core_range
    assert (entry.problem is None) == fits
