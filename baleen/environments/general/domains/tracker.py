"""An issue tracker: components with owners, blocking issues, workloads of developers."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import COMPONENTS, PEOPLE, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    developers = sample(rng, PEOPLE, max(3, size // 2))
    components = sample(rng, COMPONENTS, max(3, size // 3))
    issues = ids(rng, 2 * size, 100, 999)
    rows = []
    for index, issue in enumerate(issues):
        blocker = rng.choice(issues[:index]) if index and rng.random() < 0.6 else None
        state = "open" if rng.random() < 0.7 else "closed"
        rows.append(
            (issue, rng.choice(components), rng.randint(1, 5), rng.choice(developers), state, blocker)
        )
    return {
        "developer": [(d, n) for d, n in zip(developers, distinct(rng, len(developers), 1, 30), strict=True)],
        "component": [
            (c, d, v)
            for c, d, v in zip(
                components, spread(rng, developers, len(components)), ids(rng, len(components)), strict=True
            )
        ],
        "issue": rows,
        "knows": [(d, c) for c in components for d in sample(rng, developers, 2)],
    }


TRACKER = DomainSpec(
    name="tracker",
    tables={
        "developer": "name TEXT PRIMARY KEY, load INTEGER",
        "component": "name TEXT PRIMARY KEY, owner TEXT, version INTEGER",
        "issue": "id INTEGER PRIMARY KEY, component TEXT, severity INTEGER, "
        "developer TEXT, state TEXT, blocker INTEGER",
        "knows": "developer TEXT, component TEXT",
    },
    fill=_fill,
    tools=(
        query_tool(
            "issue_developer",
            "issue:int",
            "developer of an issue",
            "SELECT developer FROM issue WHERE id = :issue",
        ),
        query_tool(
            "issue_component",
            "issue:int",
            "component of an issue",
            "SELECT component FROM issue WHERE id = :issue",
        ),
        query_tool(
            "issue_state", "issue:int", "state of an issue", "SELECT state FROM issue WHERE id = :issue"
        ),
        query_tool(
            "issue_blocker",
            "issue:int",
            "issue that blocks another issue",
            "SELECT blocker FROM issue WHERE id = :issue",
            missing="nothing blocks issue {issue}",
        ),
        query_tool(
            "component_owner",
            "component",
            "owner of a component",
            "SELECT owner FROM component WHERE name = :component",
        ),
        query_tool(
            "experts",
            "component",
            "developers who know a component",
            "SELECT developer FROM knows WHERE component = :component ORDER BY 1",
            "column",
        ),
        query_tool(
            "workload",
            "developer",
            "workload of a developer",
            "SELECT load FROM developer WHERE name = :developer",
        ),
        update_tool(
            "assign",
            "issue:int developer",
            "assign an issue to a developer",
            [
                ("SELECT 1 FROM issue WHERE id = :issue AND state = 'open'", "issue {issue} is not open"),
                ("SELECT 1 FROM developer WHERE name = :developer", "there is no developer {developer}"),
            ],
            [
                "UPDATE issue SET developer = :developer WHERE id = :issue",
                "UPDATE developer SET load = load + 1 WHERE name = :developer",
            ],
            "SELECT load FROM developer WHERE name = :developer",
        ),
        update_tool(
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
)


@TRACKER.task(
    1,
    "SELECT id AS issue FROM issue",
    "Who is the developer of issue {issue}?",
    "Which developer is working on issue {issue}?",
)
def assignee(tools: Tools, issue: int) -> str:
    return tools.issue_developer(issue=issue)


@TRACKER.task(
    1,
    "SELECT id AS issue FROM issue",
    "What is the component of issue {issue}?",
    "Which component does issue {issue} belong to?",
)
def component(tools: Tools, issue: int) -> str:
    return tools.issue_component(issue=issue)


@TRACKER.task(
    2,
    "SELECT id AS issue FROM issue",
    "Who is the owner of the component of issue {issue}?",
    "Who owns the component that issue {issue} belongs to?",
)
def owner(tools: Tools, issue: int) -> str:
    return tools.component_owner(component=tools.issue_component(issue=issue))


@TRACKER.task(
    2,
    "SELECT id AS issue FROM issue WHERE blocker NOTNULL",
    "Who is the developer of the issue that blocks issue {issue}?",
    "Which developer is working on the issue that blocks issue {issue}?",
)
def blocker_developer(tools: Tools, issue: int) -> str:
    return tools.issue_developer(issue=tools.issue_blocker(issue=issue))


@TRACKER.task(
    3,
    "SELECT id AS issue FROM issue WHERE state = 'open'",
    "Assign issue {issue} to the owner of its component. Who is it?",
    "Issue {issue} should go to the owner of its component. Assign it. Who is it?",
)
def to_owner(tools: Tools, issue: int) -> str:
    owner = tools.component_owner(component=tools.issue_component(issue=issue))
    tools.assign(issue=issue, developer=owner)
    return owner


@TRACKER.task(
    3,
    "SELECT i.id AS issue FROM issue i JOIN issue b ON i.blocker = b.id WHERE "
    "b.state = 'open' AND b.blocker IS NULL",
    "Close the issue that blocks issue {issue}. Which issue is it?",
    "Another issue blocks issue {issue}. Close it and tell me its number.",
)
def close_blocker(tools: Tools, issue: int) -> int:
    blocker = tools.issue_blocker(issue=issue)
    tools.close_issue(issue=blocker)
    return blocker


@TRACKER.task(
    4,
    "SELECT i.id AS issue, name AS developer FROM issue i JOIN developer WHERE "
    "i.blocker NOTNULL AND i.state = 'open'",
    "If the issue that blocks issue {issue} is closed, close issue {issue} too; otherwise assign the blocking issue to "
    "{developer}. What did you do? Say closed or assigned.",
    "Close issue {issue} if the issue that blocks it is closed. If not, assign the blocking issue to {developer}. "
    "Which was it, closed or assigned?",
)
def close_or_assign(tools: Tools, issue: int, developer: str) -> str:
    blocker = tools.issue_blocker(issue=issue)
    if tools.issue_state(issue=blocker) == "closed":
        tools.close_issue(issue=issue)
        return "closed"
    tools.assign(issue=blocker, developer=developer)
    return "assigned"


@TRACKER.task(
    5,
    "SELECT i.id AS issue FROM issue i WHERE state = 'open'",
    "Of the developers who know the component of issue {issue}, assign it to the one with the lowest workload. "
    "Who is it?",
    "Who knows the component of issue {issue} and has the lowest workload? Assign the issue to that developer and tell "
    "me the name.",
)
def lowest_workload(tools: Tools, issue: int) -> str:
    loads = []
    for developer in tools.experts(component=tools.issue_component(issue=issue)):
        loads.append([tools.workload(developer=developer), developer])
    tools.assign(issue=issue, developer=min(loads)[1])
    return min(loads)[1]
