"""The lock files and the licence list follow `pyproject.toml`."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = [re.match(r"[A-Za-z0-9-]+", line)[0].lower() for line in PROJECT["dependencies"]]  # type: ignore[index]
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-embedded.lock")


def locked(name: str) -> dict[str, str]:
    """Package to version."""
    return dict(re.findall(r"^([a-z0-9-]+)==([^ \n]+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_dependency_is_locked(lock: str) -> None:
    assert set(NEEDED) <= set(locked(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_carries_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / lock).read_text()
    requirements = re.split(r"\n(?=[a-z0-9])", text)

    assert all("--hash=sha256:" in requirement for requirement in requirements)
    assert "://" not in text
    assert "--index" not in text


def test_tests_run_against_the_versions_that_are_shipped() -> None:
    shipped, *others = map(locked, LOCKS)

    for other in others:
        assert {name: other.get(name) for name in shipped} == shipped


def test_every_library_is_named_with_its_licence() -> None:
    notice = (ROOT / "NOTICE").read_text().lower()

    assert [name for name in NEEDED if name not in notice] == []


def test_nothing_shipped_is_forgotten_by_the_package() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    shipped = [
        path
        for package in ("schemas", "producers", "worker")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    ]

    assert [path for path in shipped if not any(path.match(pattern) for pattern in patterns)] == []
