"""The arrows of design section 6, stated as import-linter contracts in `pyproject.toml`.

The first test holds the code against them. The others prove that the contracts bite: each puts one wrong
import into a copy of the packages and expects exactly its contract to break.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("schemas", "producers", "worker")

WRONG_ARROWS = [
    ("schemas/wrong.py", "import worker.model", "rooms"),
    ("worker/model/wrong.py", "import worker.rules", "rooms"),
    ("worker/rules/wrong.py", "import worker.database", "rooms"),
    ("worker/shopify/wrong.py", "import worker.database", "rooms"),
    ("worker/erp/wrong.py", "import worker.database", "rooms"),
    ("worker/database/wrong.py", "import worker.jobs", "rooms"),
    ("worker/broker/wrong.py", "import worker.jobs", "rooms"),
    ("worker/jobs/wrong.py", "import worker.reports", "rooms"),
    ("worker/reports/wrong.py", "import worker.actors", "rooms"),
    ("worker/actors.py", "import worker.main", "rooms"),
    ("worker/jobs/wrong.py", "import producers.client", "one-arrow-back"),
    ("worker/jobs/wrong.py", "import dramatiq", "engine"),
    ("worker/rules/wrong.py", "import httpx", "pure"),
    ("worker/errors.py", "import worker.model", "leaves"),
    ("producers/client/wrong.py", "import worker.clock", "client-alone"),
    ("producers/client/wrong.py", "import producers.operator", "doors"),
    ("producers/scheduler/wrong.py", "import producers.webhooks", "doors"),
    ("producers/webhooks/wrong.py", "import worker.rules", "doors-see-the-archive"),
    ("producers/operator/wrong.py", "import worker.jobs", "doors-see-the-archive"),
]


def test_the_code_keeps_every_contract() -> None:
    answer = check_imports(ROOT)

    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(("path", "line", "contract"), WRONG_ARROWS)
def test_a_wrong_arrow_breaks_its_contract(tmp_path: Path, path: str, line: str, contract: str) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / path).open("a") as file:
        file.write(f"\n{line}\n")

    answer = check_imports(tmp_path, contract)

    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "Contracts: 0 kept, 1 broken." in answer.stdout, answer.stdout
    assert f"{module_of(path)} -> {line.removeprefix('import ')}" in answer.stdout, answer.stdout


def test_a_circle_between_two_modules_of_a_room_is_found(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "worker/rules/hen.py").write_text("import worker.rules.egg\n")
    (tmp_path / "worker/rules/egg.py").write_text("import worker.rules.hen\n")

    answer = check_imports(tmp_path, "circles")

    assert answer.returncode == 1, answer.stdout + answer.stderr


def module_of(path: str) -> str:
    """The name under which the file at ``path`` is imported."""
    return path.removesuffix(".py").replace("/", ".")


def check_imports(directory: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    """Hold the packages in ``directory`` against all contracts, or against one."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-logo", "--no-cache"]
    command += ["--config", str(ROOT / "pyproject.toml")]
    command += ["--contract", contract] if contract else []
    # The current directory comes first on the import path, before the installed packages.
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)
