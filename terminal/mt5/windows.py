"""What only Windows has: job objects that end a terminal with its worker, and the pipes terminals open.

Written against Microsoft's documentation of CreateJobObject, SetInformationJobObject and FindFirstFile on
``\\\\.\\pipe\\``. Only a Windows host can confirm that a terminal started here opens its pipe within its time and
that nothing of it outlives the job. Elsewhere this module has nothing in it.
"""

import sys

if sys.platform == "win32":
    import asyncio
    import ctypes
    import os
    import subprocess
    import time
    from ctypes import wintypes
    from pathlib import Path

    _KILL_ON_JOB_CLOSE, _EXTENDED_LIMITS = 0x2000, 9
    _SET_QUOTA, _TERMINATE = 0x0100, 0x0001
    _PIPE_PREFIX, _PIPE_SECONDS, _LOOK_EVERY = "MT5.Terminal.", 20.0, 0.25

    class _BasicLimits(ctypes.Structure):
        _fields_ = [("process_time", ctypes.c_int64), ("job_time", ctypes.c_int64), ("flags", wintypes.DWORD),
                    ("least_set", ctypes.c_size_t), ("most_set", ctypes.c_size_t), ("processes", wintypes.DWORD),
                    ("affinity", ctypes.c_size_t), ("priority", wintypes.DWORD), ("scheduling", wintypes.DWORD)]

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = [("basic", _BasicLimits), ("io", ctypes.c_uint64 * 6), ("process_memory", ctypes.c_size_t),
                    ("job_memory", ctypes.c_size_t), ("process_peak", ctypes.c_size_t), ("job_peak", ctypes.c_size_t)]

    _kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel.CreateJobObjectW.restype = wintypes.HANDLE
    _kernel.CreateJobObjectW.argtypes = [ctypes.c_void_p, wintypes.LPCWSTR]
    _kernel.SetInformationJobObject.argtypes = [wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD]
    _kernel.OpenProcess.restype = wintypes.HANDLE
    _kernel.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
    _kernel.AssignProcessToJobObject.argtypes = [wintypes.HANDLE, wintypes.HANDLE]
    _kernel.TerminateJobObject.argtypes = [wintypes.HANDLE, wintypes.UINT]
    _kernel.CloseHandle.argtypes = [wintypes.HANDLE]

    class Job:
        """A terminal and its worker. When the job is closed, by us or by our own end, all of it is killed."""

        def __init__(self) -> None:
            self._handle = _kernel.CreateJobObjectW(None, None)
            limits = _ExtendedLimits()
            limits.basic.flags = _KILL_ON_JOB_CLOSE
            if not self._handle or not _kernel.SetInformationJobObject(
                    self._handle, _EXTENDED_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits)):
                raise ctypes.WinError(ctypes.get_last_error())

        def take(self, pid: int) -> None:
            """Put a process into the job; what it starts from then on is in it too."""
            process = _kernel.OpenProcess(_SET_QUOTA | _TERMINATE, False, pid)
            if not process:
                raise ctypes.WinError(ctypes.get_last_error())
            try:
                if not _kernel.AssignProcessToJobObject(self._handle, process):
                    raise ctypes.WinError(ctypes.get_last_error())
            finally:
                _kernel.CloseHandle(process)

        def kill(self) -> None:
            """End everything in the job."""
            if self._handle:
                _kernel.TerminateJobObject(self._handle, 1)
                _kernel.CloseHandle(self._handle)
                self._handle = None

    def _pipes() -> set[str] | None:
        """The pipes of terminals; None where nobody can list pipes, which is so under Wine."""
        try:
            return {name for name in os.listdir(r"\\.\pipe" + "\\") if name.startswith(_PIPE_PREFIX)}  # noqa: PTH208
        except OSError:
            return None

    async def start_terminal(job: Job, program: Path, environment: dict[str, str]) -> None:
        """Start a portable terminal and wait until a new pipe of a terminal is there, or for some seconds.

        The library would start it as well, but waits for its pipe for up to 100 seconds without a way to stop it.
        Which pipe belongs to which terminal cannot be told; when two start together one may be taken for the other,
        and the later one's worker waits inside the library for a moment, under the deadline of its start.
        """
        before = _pipes()
        nothing = subprocess.DEVNULL
        started = subprocess.Popen([str(program), "/portable"], cwd=program.parent, env=environment,  # noqa: S603, ASYNC220
                                   stdin=nothing, stdout=nothing, stderr=nothing)
        job.take(started.pid)
        until = time.monotonic() + _PIPE_SECONDS
        while before is not None and time.monotonic() < until and started.poll() is None:
            if (_pipes() or set()) - before:
                return
            await asyncio.sleep(_LOOK_EVERY)
