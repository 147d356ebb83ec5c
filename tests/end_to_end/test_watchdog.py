"""A worker that lost a thread ends with 70, says why, and is started again alone."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.support import processes, wait
from tests.support.installation import Installation
from tests.support.services import ROOT

SUPERVISED = """
import os, sys
from producers.operator.supervisor import Child, supervise
maimed = Child("worker", (sys.executable, "-m", "tests.support.maimed_worker", sys.argv[1]))
steady = Child("steady", ("/bin/sh", "-c", "echo steady runs $$; exec sleep 600"))
sys.exit(supervise([maimed, steady], report=lambda line: print(line, flush=True), output=sys.stdout))
"""


@pytest.mark.slow
def test_a_worker_that_lost_a_thread_ends_with_70_and_comes_back_alone(house: Installation, tmp_path: Path) -> None:
    environment = {**house.environment, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SUPERVISED, str(tmp_path / "maimed")]

    with processes.started(command, environment, tmp_path / "up.log") as up:
        up.wait_for_output("worker ended with exit code 70; starting it again", 40)
        wait.until(lambda: up.output().count("worker_started") == 2, 30, "its second life")
        output = up.output()
        assert up.end() == 0

    line = next(line for line in output.splitlines() if '"trouble"' in line)
    told = json.loads(line[line.index("{") :])
    assert (told["event"], told["trouble"]) == ("watchdog", "thread_dead")
    assert told["detail"] == "workers: 3 of 4 threads live"
    assert output.count("steady runs") == 1
    assert os.path.exists(tmp_path / "maimed")
