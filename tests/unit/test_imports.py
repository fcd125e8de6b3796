"""Modules import each other in one direction. What only the type checker reads makes no order of its own, and which
layer may know which is for the contracts in pyproject.toml."""

from __future__ import annotations

from pathlib import Path

import grimp
import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src"
PACKAGES = sorted(
    ".".join(folder.parent.relative_to(SOURCE).parts) for folder in (SOURCE / "debugserver").rglob("__init__.py")
)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("debugserver", exclude_type_checking_imports=True, cache_dir=None)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_module_is_imported_by_what_it_imports(package: str, graph: grimp.ImportGraph) -> None:
    assert graph.nominate_cycle_breakers(package) == set()
