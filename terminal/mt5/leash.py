"""Runs a worker that ends with the process that started it: ``python -m terminal.mt5.leash PARENT MODULE``.

A desk killed with -9 closes nothing. A worker that waits for its next frame notices that by itself; one that hangs in a
terminal's call does not, so the kernel is asked to end it. On Windows the job object of ``windows.py`` does the same.
"""

import ctypes
import os
import runpy
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def hold(parent: int) -> None:
    """Ask Linux to kill this process when its parent has ended; where there is no Linux, nothing."""
    if sys.platform != "linux":
        return
    import resource
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a password must not be left in what a crash writes down
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before it could be asked
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    hold(int(sys.argv[1]))
    worker = sys.argv[2]
    sys.argv[1:] = []
    runpy.run_module(worker, run_name="__main__", alter_sys=True)
