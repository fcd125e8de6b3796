"""Fixtures that several modules share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.scratch import Scratch, scratch

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def scratch_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scratch]:
    with scratch(tmp_path_factory.mktemp("scratch")) as started:
        yield started
