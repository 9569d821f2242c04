"""Tasks of the scripted author: drawn from a domain and solved by the solution that stands with them.

The same state of the random generator gives the same task. No file and no process is needed.
"""

import ast
import hashlib
import inspect
import json
import random
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from baleen.chat import Message
from baleen.environments.general.database import Changes, build, changes, connect
from baleen.environments.general.domain import DomainSpec, Solution, TaskTemplate
from baleen.environments.general.domains import DOMAINS, HELDOUT_DOMAINS
from baleen.environments.general.solution import answer_text
from baleen.environments.general.task import EnvironmentSpec, GeneralTask, ToolCall
from baleen.environments.general.tools import SqlTools, as_text
from baleen.environments.task import Split, Task, TaskError
from baleen.environments.toolbox import ToolError

ANSWER_WITH = " Answer with just the "
_COMPACT_SIZE = 5  # things of the main kind in a compact database
_COMPACT_OPENING = "Hi, "
_SIZES = range(8, 15)
_COMPACT_EXACT = 3  # up to this level a compact task asks for no arithmetic
_TRIES = 100


@dataclass(frozen=True)
class Draft:
    """A task before it is written down.

    Attributes:
        spec: its domain.
        template: the kind of task.
        script: SQL script of the database.
        parameters: what question and solution are about.
        question: the question.
        answer: the answer of the solution.
        calls: the calls of the solution, in order.
        changes: what the solution changes in the database.
    """

    spec: DomainSpec
    template: TaskTemplate
    script: str
    parameters: Mapping[str, Any]
    question: str
    answer: str
    calls: Sequence[ToolCall] = field(repr=False)
    changes: Changes = field(repr=False)


def sample_general_task(
    domain: str, difficulty: int, rng: random.Random, compact: bool = True, distractors: int = 2
) -> Task:
    """Draw a random task of a domain.

    Args:
        domain: name of the domain.
        difficulty: a level that the domain has.
        rng: the source of all randomness.
        compact: for small models: a small database, only the tools that are needed, string parameters, and up to
            difficulty 3 an answer that appears in some call or result, so that nothing has to be computed. Texts are
            written so that a word is the same token wherever it stands: in lower case, after a space.
        distractors: number of tools that are offered without being needed.

    Raises:
        TaskError: the domain or the difficulty does not exist.
    """
    spec = domain_of(domain)
    if difficulty not in difficulties(domain):
        raise TaskError(f"difficulty of {domain} is {difficulty}; it must be one of {difficulties(domain)}")
    for _ in range(_TRIES):
        script = spec.script(rng, _COMPACT_SIZE if compact else rng.choice(_SIZES))
        draft = draw(spec, difficulty, script, rng)
        if draft is not None and not (compact and difficulty <= _COMPACT_EXACT and _is_computed(draft)):
            return write_task(draft, rng, compact, distractors)
    raise AssertionError(f"{domain} has no task of difficulty {difficulty} in {_TRIES} databases")


def domain_of(name: str) -> DomainSpec:
    """Look up a domain by name. Raises TaskError."""
    if name not in DOMAINS:
        raise TaskError(f"domain is {name!r}; it must be one of {', '.join(DOMAINS)}")
    return DOMAINS[name]


def difficulties(domain: str) -> list[int]:
    """The levels of a domain in ascending order. Raises TaskError."""
    return sorted({template.level for template in domain_of(domain).templates})


def draw(spec: DomainSpec, level: int, script: str, rng: random.Random) -> Draft | None:
    """Draw a random instance of a level in the database of `script`.

    Returns:
        None if there is no instance, if the solution fails, or if nothing changes and the question contains the answer.
    """
    template = rng.choice([template for template in spec.templates if template.level == level])
    data = build(script)
    connection = connect(data)
    try:
        cursor = connection.execute(template.instances)
        names = [column[0] for column in cursor.description]
        rows = sorted(cursor.fetchall())
    finally:
        connection.close()
    if not rows:
        return None
    parameters = dict(zip(names, rng.choice(rows), strict=True))
    question = rng.choice(template.questions).format(**parameters)
    tools = SqlTools(spec.tools, data)
    recorder = _Recorder(tools)
    try:
        answer = answer_text(template.solve(recorder, **parameters))
        after = tools.database()
    except (ToolError, ValueError):
        return None  # such as the minimum of an empty list
    finally:
        tools.close()
    changed = changes(data, after)
    if not changed and answer in re.findall(r"\w+", question):
        return None
    return Draft(spec, template, script, parameters, question, answer, tuple(recorder.calls), changed)


class _Recorder:
    """The `tools` of a solution; it records the calls."""

    def __init__(self, source: SqlTools) -> None:
        self.calls: list[ToolCall] = []
        self._source = source

    def __getattr__(self, name: str) -> Solution:
        def call(**arguments: Any) -> Any:
            result = self._source.call(name, arguments)
            self.calls.append(ToolCall(name, arguments, as_text(result)))
            return result

        return call


def _is_computed(draft: Draft) -> bool:
    texts = [text for call in draft.calls for text in (*map(str, call.arguments.values()), call.result)]
    return not any(draft.answer in re.findall(r"\w+", text) for text in texts)


def write_task(draft: Draft, rng: random.Random, compact: bool, distractors: int = 2) -> Task:
    """Write down a draft as a task, with its tools in random order."""
    spec = draft.spec
    names = _offered(draft, rng, compact, distractors)
    schemas = [_schema(s, compact) for name in names for s in _schemas(spec.name) if s["name"] == name]
    data = GeneralTask(
        environment=EnvironmentSpec(
            name=spec.name,
            database=draft.script,
            tools=tuple(tool.to_data() for tool in spec.tools if tool.name in names),
        ),
        solution=solution_source(draft.template.solve),
        parameters=dict(draft.parameters),
        calls=tuple(call._replace(arguments=_arguments(call.arguments, compact)) for call in draft.calls),
        changes=draft.changes,
    )
    split: Split = "heldout" if spec.name in HELDOUT_DOMAINS else "train"
    question = _question(draft, compact)
    return general_task(spec.name, draft.template.level, split, schemas, question, draft.answer, data)


def general_task(
    family: str,
    difficulty: int,
    split: Split,
    schemas: Sequence[Mapping[str, Any]],
    question: str,
    answer: str,
    data: GeneralTask,
) -> Task:
    """A task of the general domain whose id is a digest of its contents."""
    contents = json.dumps([question, answer, data.environment.database, list(schemas)], sort_keys=True)
    digest = hashlib.blake2b(contents.encode(), digest_size=8).hexdigest()
    system: Message = {
        "role": "system",
        "content": "",
        "tools": [{"type": "function", "function": dict(schema)} for schema in schemas],
    }
    user: Message = {"role": "user", "content": question}
    name = f"general-{family}-{difficulty}-{digest}"
    return Task(name, "general", family, difficulty, split, (system, user), answer, data.to_data())


@cache
def solution_source(solve: Solution) -> str:
    """The text of a scripted solution in the form that `ast_check` requires: `def solution(tools, ...)`."""
    function = ast.parse(textwrap.dedent(inspect.getsource(solve))).body[0]
    assert isinstance(function, ast.FunctionDef)
    function.name, function.returns, function.decorator_list = "solution", None, []
    for argument in function.args.args:
        argument.annotation = None
    return ast.unparse(function) + "\n"


def tools_of(solve: Solution) -> set[str]:
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
    """Names of the tools to offer, in random order.

    A compact task offers what it needs and some distractors, any other what all tasks up to its level need, so that
    the number of tools grows with the level.
    """
    level = draft.template.level
    templates = [draft.template] if compact else [t for t in draft.spec.templates if t.level <= level]
    needed = sorted(set[str]().union(*(tools_of(template.solve) for template in templates)))
    others = sorted({tool.name for tool in draft.spec.tools} - set(needed))
    names = needed + rng.sample(others, min(len(others), distractors))
    rng.shuffle(names)
    return names


def _question(draft: Draft, compact: bool) -> str:
    question = draft.question
    if compact:
        starts_with_name = re.split(r"\W", question)[0] in map(str, draft.parameters.values())
        return _COMPACT_OPENING + (question if starts_with_name else question[0].lower() + question[1:])
    answer = draft.answer
    kind = "number" if answer.lstrip("-").isdigit() else "name" if answer[:1].isupper() else "word"
    return f"{question}{ANSWER_WITH}{kind}."
