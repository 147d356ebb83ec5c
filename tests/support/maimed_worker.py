"""A real worker that loses one of its threads in its first life: `python -m tests.support.maimed_worker MARK`.

It exists because nothing in the product may kill a thread. MARK is a file: where it exists, the worker is well.
"""

import ctypes
import sys
import threading
import time
from pathlib import Path

from dramatiq.worker import WorkerThread

from worker import main, settings


def maim(mark: Path) -> None:
    """Kill one worker thread as soon as there are some; it ends as by an error that nobody catches."""
    while not (found := [thread for thread in threading.enumerate() if isinstance(thread, WorkerThread)]):
        time.sleep(0.05)
    mark.touch()
    ident = ctypes.c_ulong(found[0].ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))


def run(mark: Path) -> int:
    """Serve, maimed or well."""
    if not mark.exists():
        threading.Thread(target=maim, args=(mark,), daemon=True).start()
    return main.serve(settings.load())


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
