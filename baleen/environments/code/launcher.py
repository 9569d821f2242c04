"""Runs inside the sandbox: writes a tree of files, runs one command on it, and returns the result.

The sandbox's interpreter gets the text of this file with `-c`, so it uses only the standard library. The request comes
on stdin and the result leaves on stdout, both as a frame: a line of JSON, then the contents of the files that it lists.
The command gets neither of the two. Its output and its test report go into pipes, where bytes once written can be
neither changed nor removed.
"""

import ctypes
import json
import os
import secrets
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from typing import Any

# path relative to the root -> (mode in git's notation, content); the content of a link is its target
Files = dict[str, tuple[str, bytes]]

MODES = ("100644", "100755", "120000")
READY = "ready"  # written to stderr; failures after it may be the command's fault
REPORT = "{report}"  # placeholder in a command for the place of its report
_SKIPPED_FOLDERS = frozenset({"__pycache__", ".pytest_cache", ".hypothesis"})
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36


class FrameError(ValueError):
    """The bytes are not a frame, or one of its paths leaves the root."""


def pack(header: dict[str, Any], files: Files) -> bytes:
    """The frame of a header, a JSON object, and of files."""
    listing = [[path, files[path][0], len(files[path][1])] for path in sorted(files)]
    first = json.dumps({**header, "files": listing}, sort_keys=True).encode() + b"\n"
    return first + b"".join(files[path][1] for path in sorted(files))


def unpack(data: bytes) -> tuple[dict[str, Any], Files]:
    """The inverse of `pack`. Raises FrameError."""
    first, separator, body = data.partition(b"\n")
    try:
        header = json.loads(first)
        listing = [(str(path), str(mode), int(size)) for path, mode, size in header.pop("files")]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise FrameError(f"not a frame: {error}") from None
    files: Files = {}
    start = 0
    for path, mode, size in listing:
        if not is_inside(path) or mode not in MODES or size < 0:
            raise FrameError(f"the frame has a file {path!r} of mode {mode!r} and size {size}")
        files[path] = (mode, body[start : start + size])
        start += size
    if not separator or start != len(body):
        raise FrameError(f"the files of the frame should have {start} bytes, not {len(body)}")
    return header, files


def is_inside(path: str) -> bool:
    """Whether a relative path stays below its root, judging by its text alone."""
    return "\0" not in path and all(part not in ("", ".", "..") for part in path.split("/"))


def write_files(root: str, files: Files) -> None:
    """Write files below `root`. Links come last, so that no file is written through one."""
    os.makedirs(root, exist_ok=True)
    for path in sorted(files, key=lambda path: (files[path][0] == "120000", path)):
        mode, content = files[path]
        place = os.path.join(root, path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if mode == "120000":
            os.symlink(content, place)
            continue
        with open(place, "wb") as file:
            file.write(content)
        os.chmod(place, int(mode[-3:], 8))


def read_files(root: str, max_bytes: int, max_files: int) -> Files | None:
    """All files below `root`, without following links; None if they exceed a limit."""
    files: Files = {}
    total = 0
    for folder, folders, names in os.walk(root):
        # os.walk lists a link to a folder among the folders; here it is a file.
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(set(folders) - set(links) - _SKIPPED_FOLDERS)
        for name in sorted(names + links):
            place = os.path.join(folder, name)
            found = os.lstat(place)
            if stat.S_ISLNK(found.st_mode):
                entry = ("120000", os.fsencode(os.readlink(place)))
            elif stat.S_ISREG(found.st_mode):
                total += found.st_size
                if total > max_bytes:
                    return None
                entry = ("100755" if found.st_mode & 0o100 else "100644", _read(place))
            else:
                continue
            files[os.path.relpath(place, root)] = entry
            if len(files) > max_files:
                return None
    return files


def _read(place: str) -> bytes:
    if not os.access(place, os.R_OK):
        os.chmod(place, 0o644)
    with open(place, "rb") as file:
        return file.read()


class _Drain(threading.Thread):
    """Reads a pipe to its end, so that no writer blocks, and keeps the first and the last bytes."""

    def __init__(self, source: int, keep: int) -> None:
        super().__init__(daemon=True)
        self.head, self.tail, self.total = b"", b"", 0
        self._source, self._keep = source, keep
        self.start()

    def run(self) -> None:
        while data := os.read(self._source, 1 << 16):
            self.total += len(data)
            room = max(0, self._keep - len(self.head))
            self.head += data[:room]
            self.tail = (self.tail + data[room:])[-self._keep :]

    @property
    def is_whole(self) -> bool:
        return self.total <= len(self.head) + len(self.tail)


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run the command of a request until it ends or its time is up. None of its processes is left afterwards."""
    report_read, report_write = os.pipe()
    output_read, output_write = os.pipe()
    place = f"/proc/self/fd/{report_write}"
    if request["report"] == "file":
        place = os.path.join("/tmp", secrets.token_hex(8), "report.xml")
        os.mkdir(os.path.dirname(place))
    argv = [word.replace(REPORT, place) for word in request["argv"]]
    began = time.monotonic()
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output_write,
            stderr=output_write,
            cwd=request["root"],
            env=request["env"],
            start_new_session=True,
            pass_fds=[report_write] if request["report"] == "pipe" else [],
        )
    except OSError as error:
        return {"code": 127, "output": f"{argv[0]}: {error.strerror}", "report": "", "seconds": 0.0}
    os.close(report_write)
    os.close(output_write)
    output = _Drain(output_read, request["output_bytes"] // 2)
    report = _Drain(report_read, request["report_bytes"] // 2)
    try:
        code: int | None = child.wait(request["seconds"])
    except subprocess.TimeoutExpired:
        code = None
    end_descendants()
    seconds = time.monotonic() - began
    output.join(5)
    report.join(5)
    text = report.head + report.tail if report.is_whole else b""
    if request["report"] == "file" and os.path.isfile(place) and not os.path.islink(place):
        with open(place, "rb") as file:
            text = file.read(request["report_bytes"])
    gap = b"" if output.is_whole else b"\n[...]\n"
    return {
        "code": code,
        "output": (output.head + gap + output.tail).decode("utf-8", "replace"),
        "report": text.decode("utf-8", "replace"),
        "seconds": round(seconds, 3),
    }


def end_descendants() -> None:
    """Kill all descendants, including daemons, which this process adopts (PR_SET_CHILD_SUBREAPER)."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        below = _descendants()
        if not below:
            return
        for pid in below:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)


def _descendants() -> set[int]:
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parents[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
            except OSError:
                continue
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def main() -> None:
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    # Not dumpable, so that the command, which has the same user, cannot open this process's memory or stdout in /proc.
    if prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) or prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    request, files = unpack(sys.stdin.buffer.read())
    write_files(request["root"], files)
    print(READY, file=sys.stderr, flush=True)
    result = run(request)
    kept: Files | None = {}
    if request["keep"]:
        kept = read_files(request["root"], request["tree_bytes"], request["tree_files"])
    result["overflow"] = kept is None
    sys.stdout.buffer.write(pack(result, kept or {}))
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
