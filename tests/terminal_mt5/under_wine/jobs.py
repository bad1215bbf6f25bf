"""What is left of a worker and of what it started when its job is killed, and when the job's owner is."""

import ctypes
import json
import subprocess
import sys
import time
from typing import Any

from terminal.mt5 import windows

SLEEPING = "import time; time.sleep(60)"
STARTING = ("import subprocess, sys, time; pipe = subprocess.PIPE; "
            f"other = subprocess.Popen([sys.executable, '-c', {SLEEPING!r}], stdin=pipe, stdout=pipe); "
            "print(other.pid, flush=True); time.sleep(60)")
OWNING = ("import sys; from terminal.mt5 import windows; job = windows.Job(); job.take(int(sys.argv[1])); "
          "print('taken', flush=True); sys.stdin.read()")
STILL_ACTIVE, SYNCHRONIZE, QUERY = 259, 0x100000, 0x1000
kernel = ctypes.WinDLL("kernel32")
kernel.OpenProcess.restype = ctypes.c_void_p


def python(*arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def said(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_alive(pid: int) -> bool:
    handle = kernel.OpenProcess(SYNCHRONIZE | QUERY, False, pid)
    if not handle:
        return False
    code = ctypes.c_uint32()
    kernel.GetExitCodeProcess(ctypes.c_void_p(handle), ctypes.byref(code))
    kernel.CloseHandle(ctypes.c_void_p(handle))
    return code.value == STILL_ACTIVE


def are_gone(*pids: int) -> bool:
    """Within five seconds."""
    until = time.monotonic() + 5
    while any(map(is_alive, pids)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(is_alive, pids))


def killed() -> dict[str, Any]:
    job, worker = windows.Job(), python("-c", STARTING)
    job.take(worker.pid)
    terminal = int(said(worker))
    before = is_alive(worker.pid) and is_alive(terminal)
    job.kill()
    job.kill()
    return {"before": before, "gone": are_gone(worker.pid, terminal)}


def orphaned() -> dict[str, Any]:
    """The owner ends without a word, as a desk does that is killed."""
    worker = python("-c", SLEEPING)
    owner = python("-c", OWNING, str(worker.pid))
    before = said(owner) == b"taken" and is_alive(worker.pid)
    owner.kill()
    gone = are_gone(worker.pid)
    worker.kill()
    return {"before": before, "gone": gone}


if __name__ == "__main__":
    sys.stdout.write(json.dumps({"killed": killed(), "orphaned": orphaned()}))
