"""Tasks of the scripted author: drawn from a domain, solved by its own solution.

The same state of the random generator gives the same task; no file and no process is needed.
"""

import ast
import hashlib
import inspect
import json
import random
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from baleen.chat import Message
from baleen.environments.general.database import build, changes, connect
from baleen.environments.general.domain import DomainSpec, TaskShape
from baleen.environments.general.domains import DOMAINS, HELDOUT_DOMAINS
from baleen.environments.general.solution import answer_text
from baleen.environments.general.tools import SqlTools, as_text
from baleen.environments.task import Split, Task, TaskError
from baleen.environments.toolbox import ToolError

COMPACT_SIZE = 5  # things of the main kind in a compact database
COMPACT_ASK = "Tell me: "
ANSWER_WITH = " Answer with the "
_SIZES = range(8, 15)
_COMPACT_EXACT = 3  # up to this level a compact task asks for no arithmetic
_TRIES = 100


@dataclass(frozen=True)
class Draft:
    """A task before it is written down: what is asked in which database, and how it is solved.

    calls: (tool, arguments, result as text) of the solution, in order.
    """

    spec: DomainSpec
    shape: TaskShape
    script: str
    parameters: Mapping[str, Any]
    question: str
    answer: str
    calls: Sequence[tuple[str, dict[str, Any], str]] = field(repr=False)
    changes: Mapping[str, Any] = field(repr=False)


def sample_general_task(
    domain: str, difficulty: int, rng: random.Random, compact: bool = True, distractors: int = 2
) -> Task:
    """A random task of a domain. Raises TaskError for a domain or difficulty that does not exist.

    compact: for small models: a small database, only the tools needed, all their parameters strings, up to difficulty
    3 an answer that stands in some call or result (nothing to compute), and texts in which a word is the same token
    wherever it stands: in lower case, after a space. distractors: tools that are
    offered and not needed.
    """
    spec = domain_of(domain)
    if difficulty not in difficulties(domain):
        raise TaskError(f"difficulty of {domain} is {difficulty}; it must be one of {difficulties(domain)}")
    for _ in range(_TRIES):
        script = spec.script(rng, COMPACT_SIZE if compact else rng.choice(_SIZES))
        draft = draw(spec, difficulty, script, rng)
        if draft is not None and not (compact and difficulty <= _COMPACT_EXACT and _is_computed(draft)):
            return write_task(draft, rng, compact, distractors)
    raise AssertionError(f"{domain} has no task of difficulty {difficulty} in {_TRIES} databases")


def domain_of(name: str) -> DomainSpec:
    """Raises TaskError."""
    if name not in DOMAINS:
        raise TaskError(f"domain is {name!r}; it must be one of {', '.join(DOMAINS)}")
    return DOMAINS[name]


def difficulties(domain: str) -> list[int]:
    """Of a domain, ascending. Raises TaskError."""
    return sorted({shape.level for shape in domain_of(domain).shapes})


def draw(spec: DomainSpec, level: int, script: str, rng: random.Random) -> Draft | None:
    """A random instance of a level in the database of `script`, None when it has none that makes a task.

    It makes none when the solution meets an error, or when nothing changes and the question names the answer.
    """
    shape = rng.choice([shape for shape in spec.shapes if shape.level == level])
    data = build(script)
    connection = connect(data)
    try:
        cursor = connection.execute(shape.pick)
        names = [column[0] for column in cursor.description]
        rows = sorted(cursor.fetchall())
    finally:
        connection.close()
    if not rows:
        return None
    parameters = dict(zip(names, rng.choice(rows), strict=True))
    question = rng.choice(shape.ask).format(**parameters)
    tools = SqlTools(spec.tools, data)
    recorder = _Recorder(tools)
    try:
        answer = answer_text(shape.solve(recorder, **parameters))
        after = tools.database()
    except (ToolError, ValueError):
        return None  # such as the least of none
    finally:
        tools.close()
    changed = changes(data, after)
    if not changed and answer in re.findall(r"\w+", question):
        return None
    return Draft(spec, shape, script, parameters, question, answer, tuple(recorder.calls), changed)


class _Recorder:
    """`tools` of a solution that keeps what it calls."""

    def __init__(self, source: SqlTools) -> None:
        self.calls: list[tuple[str, dict[str, Any], str]] = []
        self._source = source

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            result = self._source.call(name, arguments)
            self.calls.append((name, arguments, as_text(result)))
            return result

        return call


def _is_computed(draft: Draft) -> bool:
    texts = [text for _, arguments, result in draft.calls for text in (*map(str, arguments.values()), result)]
    return not any(draft.answer in re.findall(r"\w+", text) for text in texts)


def write_task(draft: Draft, rng: random.Random, compact: bool, distractors: int = 2) -> Task:
    """The task of a draft, with its tools in random order."""
    spec = draft.spec
    names = _offered(draft, rng, compact, distractors)
    schemas = [_schema(s, compact) for name in names for s in _schemas(spec.name) if s["name"] == name]
    environment = {
        "name": spec.name,
        "database": draft.script,
        "tools": [tool.to_row() for tool in spec.tools if tool.name in names],
        "code": "",
        "ignored": [],
    }
    data = {
        "environment": environment,
        "solution": solution_source(draft.shape.solve),
        "parameters": dict(draft.parameters),
        "calls": [[name, _arguments(arguments, compact), result] for name, arguments, result in draft.calls],
        "changes": draft.changes,
        "verification": "",
    }
    split: Split = "heldout" if spec.name in HELDOUT_DOMAINS else "train"
    return general_task(
        spec.name, draft.shape.level, split, schemas, _asked(draft, compact), draft.answer, data
    )


def general_task(
    family: str,
    difficulty: int,
    split: Split,
    schemas: Sequence[Mapping[str, Any]],
    question: str,
    answer: str,
    data: Mapping[str, Any],
) -> Task:
    """A task of the general domain, named after what is in it."""
    told = json.dumps([question, answer, data["environment"]["database"], list(schemas)], sort_keys=True)
    digest = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
    system: Message = {
        "role": "system",
        "content": "",
        "tools": [{"type": "function", "function": dict(schema)} for schema in schemas],
    }
    user: Message = {"role": "user", "content": question}
    name = f"general-{family}-{difficulty}-{digest}"
    return Task(name, "general", family, difficulty, split, (system, user), answer, data)


@cache
def solution_source(solve: Callable[..., Any]) -> str:
    """The text of a scripted solution, as the gate wants it: `def solution(tools, ...)`, no annotations."""
    function = ast.parse(textwrap.dedent(inspect.getsource(solve))).body[0]
    assert isinstance(function, ast.FunctionDef)
    function.name, function.returns = "solution", None
    for argument in function.args.args:
        argument.annotation = None
    return ast.unparse(function) + "\n"


def tools_of(solve: Callable[..., Any]) -> set[str]:
    """Names of the tools that a scripted solution may call."""
    return set(re.findall(r"\btools\.(\w+)\(", solution_source(solve)))


@cache
def _schemas(domain: str) -> list[Mapping[str, Any]]:
    tools = SqlTools(DOMAINS[domain].tools, build("CREATE TABLE t (a)"))
    try:
        return list(tools.schemas)
    finally:
        tools.close()


def _schema(schema: Mapping[str, Any], compact: bool) -> Mapping[str, Any]:
    if not compact:
        return schema
    strings = {name: {"type": "string"} for name in schema["parameters"]["properties"]}
    return {
        "description": f" {schema['description']}",
        **{key: schema[key] for key in schema if key != "description"},
        "parameters": {**schema["parameters"], "properties": strings},
    }


def _arguments(arguments: Mapping[str, Any], compact: bool) -> dict[str, Any]:
    return {name: str(value) if compact else value for name, value in arguments.items()}


def _offered(draft: Draft, rng: random.Random, compact: bool, distractors: int) -> list[str]:
    """Compact: the tools needed and a few more. Otherwise those of all levels up to this one: they grow with it."""
    shapes = [draft.shape] if compact else [s for s in draft.spec.shapes if s.level <= draft.shape.level]
    needed = sorted(set[str]().union(*(tools_of(shape.solve) for shape in shapes)))
    others = sorted({tool.name for tool in draft.spec.tools} - set(needed))
    names = needed + rng.sample(others, min(len(others), distractors))
    rng.shuffle(names)
    return names


def _asked(draft: Draft, compact: bool) -> str:
    if compact:
        named = re.split(r"\W", draft.question)[0] in map(str, draft.parameters.values())
        return COMPACT_ASK + (draft.question if named else draft.question[0].lower() + draft.question[1:])
    kind = (
        "number" if draft.answer.lstrip("-").isdigit() else "name" if draft.answer[:1].isupper() else "word"
    )
    return f"{draft.question}{ANSWER_WITH}{kind} alone."
