"""Fixtures that several modules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit import one_by_one

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def one_by_one_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return one_by_one.build(tmp_path_factory.mktemp("one_by_one"))
