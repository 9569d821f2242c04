"""Runs inside the sandbox, next to the Jupyter kernel: reads a cell as a line of JSON, writes its outcome as another.

It is started as a script, by a Python that need not have Baleen. The kernel's sockets (ipc) are in the sandbox's own
/tmp, so only these lines leave the sandbox, and even they must not be trusted.

    in   {"code": "...", "seconds": 20}
    out  {"status": "ok" | "error" | "interrupted" | "stuck" | "dead", "text": "..."}

"interrupted": the cell ran out of time and the kernel is still alive. "stuck": the cell ignored the interrupt. "dead":
the kernel ended. The first line out, {"status": "ready"}, says that cells can be sent.
"""

import json
import os
import re
import sys
import time
from typing import Any, TextIO

HEAD, TAIL = 6_000, 2_000  # characters kept of the beginning and the end of a longer output
TRACEBACK_LINES = 12
GRACE = 3.0  # seconds that an interrupted cell has left
_POLL_SECONDS = 0.25  # between two checks whether the kernel is alive
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_KERNEL = "--kernel"
_KERNEL_OPTIONS = (
    "--HistoryManager.enabled=False",
    "--InteractiveShell.colors=NoColor",
    "--InteractiveShell.xmode=Plain",
)


class Output:
    """Text of any length, of which the beginning and the end are kept."""

    def __init__(self) -> None:
        self._head = ""
        self._tail = ""
        self._length = 0

    def add(self, text: str) -> None:
        self._length += len(text)
        room = HEAD + TAIL - len(self._head)
        self._head += text[:room]
        self._tail = (self._tail + text[room:])[-TAIL:]

    def text(self) -> str:
        left_out = self._length - HEAD - TAIL
        if left_out <= 0:
            return self._head
        tail = (self._head[HEAD:] + self._tail)[-TAIL:]
        return f"{self._head[:HEAD]}\n... {left_out} characters left out ...\n{tail}"


def add_message(output: Output, kind: str, content: dict[str, Any]) -> None:
    """Add what a message of the kernel shows as text."""
    if kind == "stream":
        output.add(_ESCAPES.sub("", str(content.get("text", ""))))
    elif kind in ("execute_result", "display_data"):
        output.add(str(content.get("data", {}).get("text/plain", "")) + "\n")
    elif kind == "error":
        lines = _ESCAPES.sub("", "\n".join(map(str, content.get("traceback", ())))).strip().splitlines()
        if len(lines) > TRACEBACK_LINES:
            lines = [*lines[:2], "...", *lines[2 - TRACEBACK_LINES :]]
        output.add("\n".join(lines) + "\n")


class Driver:
    """A kernel and its client."""

    def __init__(self) -> None:
        from jupyter_client.manager import KernelManager

        self._manager = KernelManager(transport="ipc", ip="/tmp/.kernel")
        spec = self._manager.kernel_spec
        assert spec is not None
        spec.argv = [sys.executable, __file__, _KERNEL, "-f", "{connection_file}", *_KERNEL_OPTIONS]
        self._manager.start_kernel()
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
        # Programs that use `random` without a seed print the same in every episode.
        self.run("__import__('random').seed(0)", 10.0)

    def run(self, code: str, seconds: float) -> dict[str, str]:
        """Execute one cell."""
        output = Output()
        cell = self._client.execute(code, allow_stdin=False)
        status = self._follow(cell, output, time.monotonic() + seconds)
        if status == "late":
            self._manager.interrupt_kernel()
            ended = self._follow(cell, output, time.monotonic() + GRACE)
            status = {"late": "stuck", "dead": "dead"}.get(ended, "interrupted")
        return {"status": status, "text": output.text()}

    def _follow(self, cell: str, output: Output, deadline: float) -> str:
        """Collect the output of a cell until it ends. Returns "ok", "error", "dead", or "late" at the deadline."""
        from queue import Empty

        status = "ok"
        while True:
            left = deadline - time.monotonic()
            try:
                message = self._client.get_iopub_msg(timeout=max(0.0, min(left, _POLL_SECONDS)))
            except Empty:
                if not self._manager.is_alive():
                    return "dead"
                if left <= 0:
                    return "late"
                continue
            if left <= 0:
                return "late"
            if message["parent_header"].get("msg_id") != cell:
                continue
            kind, content = message["msg_type"], message["content"]
            add_message(output, kind, content)
            if kind == "error":
                status = "error"
            elif kind == "status" and content.get("execution_state") == "idle":
                return status


def serve(lines: TextIO, out: TextIO) -> None:
    """Answer each line of the input."""
    driver = Driver()
    _say(out, {"status": "ready", "text": ""})
    for line in lines:
        request = json.loads(line)
        _say(out, driver.run(request["code"], request["seconds"]))


def _say(out: TextIO, reply: dict[str, str]) -> None:
    out.write(json.dumps(reply) + "\n")
    out.flush()


def run_kernel(argv: list[str]) -> None:
    """Run the kernel without a TCP socket, which the sandbox forbids; libzmq would abort the process.

    ipykernel needs the socket only for what forked children print to `sys.stdout`. What they write to descriptor 1 is
    shown all the same.
    """
    from ipykernel import kernelapp

    class IOPubThread(kernelapp.IOPubThread):
        def __init__(self, socket: Any, pipe: bool = False, session: Any = False) -> None:
            super().__init__(socket, pipe=False, session=session)

    kernelapp.IOPubThread = IOPubThread
    kernelapp.launch_new_instance(argv)


if __name__ == "__main__":
    if sys.argv[1:2] == [_KERNEL]:
        run_kernel(sys.argv[2:])
        sys.exit()
    # The kernel must not inherit the pipe, or what it prints past Jupyter would mix with the replies.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    os.makedirs("/tmp/work", exist_ok=True)
    os.chdir("/tmp/work")
    serve(sys.stdin, replies)
