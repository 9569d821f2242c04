"""An issue tracker: components with owners, blockers, loads of developers."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import COMPONENTS, PEOPLE, different, ids, some, spread


def _fill_tracker(rng: random.Random, size: int) -> Rows:
    developers, components = some(rng, PEOPLE, max(3, size // 2)), some(rng, COMPONENTS, max(3, size // 3))
    issues = ids(rng, 2 * size, 100, 999)
    rows = []
    for index, issue in enumerate(issues):
        blocker = rng.choice(issues[:index]) if index and rng.random() < 0.6 else None
        state = "open" if rng.random() < 0.7 else "closed"
        rows.append(
            (issue, rng.choice(components), rng.randint(1, 5), rng.choice(developers), state, blocker)
        )
    return {
        "developer": [
            (d, n) for d, n in zip(developers, different(rng, len(developers), 1, 30), strict=True)
        ],
        "component": [
            (c, d, v)
            for c, d, v in zip(
                components, spread(rng, developers, len(components)), ids(rng, len(components)), strict=True
            )
        ],
        "issue": rows,
        "knows": [(d, c) for c in components for d in some(rng, developers, 2)],
    }


def _assignee(tools: Tools, issue: int) -> str:
    return tools.issue_developer(issue=issue)


def _component(tools: Tools, issue: int) -> str:
    return tools.issue_component(issue=issue)


def _owner(tools: Tools, issue: int) -> str:
    return tools.component_owner(component=tools.issue_component(issue=issue))


def _blocker_owner(tools: Tools, issue: int) -> str:
    return tools.issue_developer(issue=tools.issue_blocker(issue=issue))


def _to_owner(tools: Tools, issue: int) -> str:
    owner = tools.component_owner(component=tools.issue_component(issue=issue))
    tools.assign(issue=issue, developer=owner)
    return owner


def _close_blocker(tools: Tools, issue: int) -> int:
    blocker = tools.issue_blocker(issue=issue)
    tools.close_issue(issue=blocker)
    return blocker


def _close_or_assign(tools: Tools, issue: int, developer: str) -> str:
    blocker = tools.issue_blocker(issue=issue)
    if tools.issue_state(issue=blocker) == "closed":
        tools.close_issue(issue=issue)
        return "closed"
    tools.assign(issue=blocker, developer=developer)
    return "assigned"


def _least_loaded(tools: Tools, issue: int) -> str:
    loads = []
    for developer in tools.experts(component=tools.issue_component(issue=issue)):
        loads.append([tools.developer_load(developer=developer), developer])
    tools.assign(issue=issue, developer=min(loads)[1])
    return min(loads)[1]


TRACKER = DomainSpec(
    name="tracker",
    tables={
        "developer": "name TEXT PRIMARY KEY, load INTEGER",
        "component": "name TEXT PRIMARY KEY, owner TEXT, version INTEGER",
        "issue": "id INTEGER PRIMARY KEY, component TEXT, severity INTEGER, "
        "developer TEXT, state TEXT, blocker INTEGER",
        "knows": "developer TEXT, component TEXT",
    },
    fill=_fill_tracker,
    tools=(
        look(
            "issue_developer",
            "issue:int",
            "developer of an issue",
            "SELECT developer FROM issue WHERE id = :issue",
        ),
        look(
            "issue_component",
            "issue:int",
            "component of an issue",
            "SELECT component FROM issue WHERE id = :issue",
        ),
        look("issue_state", "issue:int", "state of an issue", "SELECT state FROM issue WHERE id = :issue"),
        look(
            "issue_blocker",
            "issue:int",
            "issue that blocks an issue",
            "SELECT blocker FROM issue WHERE id = :issue",
            missing="nothing blocks {issue}",
        ),
        look(
            "component_owner",
            "component",
            "owner of a component",
            "SELECT owner FROM component WHERE name = :component",
        ),
        look(
            "experts",
            "component",
            "developers who know it",
            "SELECT developer FROM knows WHERE component = :component ORDER BY 1",
            "column",
        ),
        look(
            "developer_load",
            "developer",
            "load of a developer",
            "SELECT load FROM developer WHERE name = :developer",
        ),
        change(
            "assign",
            "issue:int developer",
            "give an issue to a developer",
            [
                ("SELECT 1 FROM issue WHERE id = :issue AND state = 'open'", "issue {issue} is not open"),
                ("SELECT 1 FROM developer WHERE name = :developer", "no developer {developer}"),
            ],
            [
                "UPDATE issue SET developer = :developer WHERE id = :issue",
                "UPDATE developer SET load = load + 1 WHERE name = :developer",
            ],
            "SELECT load FROM developer WHERE name = :developer",
        ),
        change(
            "close_issue",
            "issue:int",
            "close an issue",
            [
                ("SELECT 1 FROM issue WHERE id = :issue AND state = 'open'", "issue {issue} is not open"),
                (
                    "SELECT 1 FROM issue i WHERE id = :issue AND (blocker IS NULL OR "
                    "(SELECT state FROM issue b WHERE b.id = i.blocker) = 'closed')",
                    "issue {issue} is blocked",
                ),
            ],
            ["UPDATE issue SET state = 'closed' WHERE id = :issue"],
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT id AS issue FROM issue",
            ("Developer of issue {issue}?", "Which developer has issue {issue}?"),
            _assignee,
        ),
        TaskShape(
            1,
            "SELECT id AS issue FROM issue",
            ("Component of issue {issue}?", "In which component is issue {issue}?"),
            _component,
        ),
        TaskShape(
            2,
            "SELECT id AS issue FROM issue",
            ("Owner of the component of issue {issue}?", "Issue {issue}: who owns its component?"),
            _owner,
        ),
        TaskShape(
            2,
            "SELECT id AS issue FROM issue WHERE blocker NOTNULL",
            (
                "Developer of the issue that blocks {issue}?",
                "What blocks issue {issue}? Name the developer who has it.",
            ),
            _blocker_owner,
        ),
        TaskShape(
            3,
            "SELECT id AS issue FROM issue WHERE state = 'open'",
            (
                "Give issue {issue} to the owner of its component. Who?",
                "Issue {issue} goes to whoever owns the component: assign it and name the owner.",
            ),
            _to_owner,
        ),
        TaskShape(
            3,
            "SELECT i.id AS issue FROM issue i JOIN issue b ON i.blocker = b.id WHERE "
            "b.state = 'open' AND b.blocker IS NULL",
            (
                "Close the issue that blocks {issue}. Which?",
                "Issue {issue} is blocked: close what blocks it and give that number.",
            ),
            _close_blocker,
        ),
        TaskShape(
            4,
            "SELECT i.id AS issue, name AS developer FROM issue i JOIN developer WHERE "
            "i.blocker NOTNULL AND i.state = 'open'",
            (
                "If what blocks issue {issue} is closed, close {issue}; else assign the blocker to {developer}. "
                "Which: closed or assigned?",
                "Issue {issue}: close it if its blocker is closed, if not give the blocker to {developer}. "
                "Say closed or assigned.",
            ),
            _close_or_assign,
        ),
        TaskShape(
            5,
            "SELECT i.id AS issue FROM issue i WHERE state = 'open'",
            (
                "Give issue {issue} to the developer with least load among those who know its component. Who?",
                "Who knows the component of issue {issue} and has least to do? Assign it to that developer; the name?",
            ),
            _least_loaded,
        ),
    ),
)
