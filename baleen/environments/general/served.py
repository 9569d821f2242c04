"""Tools that an author wrote in Python: they run next to the database in a sandboxed process, called over a pipe."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from baleen.environments.general.database import MAX_DATABASE_BYTES
from baleen.environments.general.process import ProcessEnded, Program
from baleen.environments.toolbox import ToolError

CALL_SECONDS = 5.0
_START_SECONDS = 10.0


class ServedTools:
    """The tools of a Python module.

    The first call starts the process. The database is also kept here, so that nothing is lost if the process dies.
    """

    def __init__(self, schemas: Sequence[Mapping[str, Any]], text: str, data: bytes) -> None:
        self.schemas = list(schemas)
        self._text = text
        self._data = data
        self._program: Program | None = None
        self._is_current = False  # whether the process has the same database

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        try:
            program = self._started()
            state = {} if self._is_current else {"database": base64.b64encode(self._data).decode()}
            program.send({"tool": name, "arguments": dict(arguments), **state})
            reply = program.receive(CALL_SECONDS)
            self._is_current = True
            if "database" in reply:
                self._data = _decoded(reply["database"])
        except ProcessEnded as error:
            # The call did not happen: the next one starts from the state before this one.
            self.close()
            raise ToolError(f"the tool failed: {error}") from None
        if "error" in reply:
            raise ToolError(str(reply["error"])[:500])
        return reply.get("result")

    def _started(self) -> Program:
        if self._program is None:
            self._program = Program("tool_server", {"tools_text": self._text})
            ready = self._program.receive(_START_SECONDS)
            if "failed" in ready:
                raise ProcessEnded(str(ready["failed"]))
        return self._program

    def database(self) -> bytes:
        return self._data

    def restore(self, data: bytes) -> None:
        self._data = data
        self._is_current = False

    def close(self) -> None:
        if self._program is not None:
            self._program.close()
            self._program = None
            self._is_current = False


def _decoded(text: object) -> bytes:
    try:
        data = base64.b64decode(str(text), validate=True)
    except ValueError:
        raise ProcessEnded("its database cannot be decoded") from None
    if len(data) > MAX_DATABASE_BYTES:
        raise ProcessEnded(f"its database has grown to {len(data)} bytes; the limit is {MAX_DATABASE_BYTES}")
    return data
