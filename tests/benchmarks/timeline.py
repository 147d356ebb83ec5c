"""When jobs ran, written down by the processes that ran them. Standard library only: peers use it too."""

import os
import struct
import threading
import time
from pathlib import Path

FOLDER_VARIABLE = "BENCH_TIMELINE"
_FLUSH_SECONDS = 0.1


class Timeline:
    """The moments at which jobs ran in this process, appended to a file of its own ten times a second."""

    def __init__(self) -> None:
        self._moments: list[float] = []
        self._writer: threading.Thread | None = None
        self._pid = 0

    def mark(self) -> None:
        """A job ran now. From any thread, also after a fork."""
        self._moments.append(time.monotonic())
        if self._pid != os.getpid():
            self._pid = os.getpid()
            self._writer = threading.Thread(target=self._write, daemon=True)
            self._writer.start()

    def _write(self) -> None:
        with (Path(os.environ[FOLDER_VARIABLE]) / str(os.getpid())).open("ab") as file:
            while True:
                time.sleep(_FLUSH_SECONDS)
                count = len(self._moments)
                if count:
                    file.write(struct.pack(f"{count}d", *self._moments[:count]))
                    file.flush()
                    del self._moments[:count]


def count(folder: Path) -> int:
    """Jobs that ran so far."""
    return sum(file.stat().st_size for file in folder.iterdir()) // struct.calcsize("d")


def moments(folder: Path) -> list[float]:
    """All moments of all processes, in order. One clock: they ran on one machine."""
    found: list[float] = []
    for file in folder.iterdir():
        data = file.read_bytes()
        found += struct.unpack(f"{len(data) // struct.calcsize('d')}d", data)
    return sorted(found)


def rate(folder: Path) -> float:
    """Jobs per second between the first tenth and the last: without start and tail."""
    ran = moments(folder)
    first, last = len(ran) // 10, len(ran) - 1 - len(ran) // 10
    return (last - first) / (ran[last] - ran[first])
