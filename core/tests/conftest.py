"""Fixtures that tests of core share."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture
def dists(tmp_path, monkeypatch):
    """A folder on sys.path; modules that tests import from it are forgotten afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", "") and str(tmp_path) in str(sys.modules[name].__file__):
            del sys.modules[name]
