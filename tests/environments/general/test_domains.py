"""The scripted domains: every level of each, told apart, right by independent queries, fit for small models."""

import json
import random
import re
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from baleen.environments import Task, TaskError, environment_for
from baleen.environments.general import (
    DOMAINS,
    HELDOUT_DOMAINS,
    TRAIN_DOMAINS,
    GeneralTask,
    demonstrate,
    difficulties,
    inline_tools,
    open_tools,
    randomize_vocabulary,
    sample_general_task,
)
from baleen.environments.general.ast_check import check_solution
from baleen.environments.general.randomize_values import randomize_values
from baleen.environments.general.words import PEOPLE


def played(task: Task) -> float:
    world = environment_for(task)
    world.reset()
    messages = demonstrate(task)
    for said, heard in zip(messages[:-1:2], messages[1::2], strict=True):
        assert world.step(said)[0]["content"] == heard["content"]
    return world.score(messages[-1])


def things(database: str) -> list[str]:
    """Values of the rows that are text."""
    return re.findall(r"'(\w+)'", database.partition("INSERT")[2])


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("compact", [True, False])
def test_every_level_has_tasks_that_their_demonstration_solves(domain: str, compact: bool) -> None:
    rng = random.Random(1)
    levels = difficulties(domain)
    assert set(levels) >= {1, 2, 3, 4}
    for level in levels:
        for _ in range(2):
            task = sample_general_task(domain, level, rng, compact)
            assert played(task) == 1.0
            assert (task.family, task.difficulty, task.domain) == (domain, level, "general")


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_guess_is_wrong_in_every_domain(domain: str) -> None:
    rng = random.Random(2)
    for level in difficulties(domain):
        task = randomize_vocabulary(sample_general_task(domain, level, rng), rng)
        world = environment_for(task)
        world.reset()
        [guess] = demonstrate(task, style="short")
        assert guess["content"] in task.question
        assert guess["reasoning_content"] == f": {guess['content']}"
        assert world.step(guess) == []
        assert world.score(guess) == 0.0


def test_the_same_seed_gives_the_same_task() -> None:
    one, two = (sample_general_task("fleet", 3, random.Random(5)) for _ in range(2))
    assert json.dumps(one.to_row()) == json.dumps(two.to_row())
    assert one.id != sample_general_task("fleet", 3, random.Random(6)).id


def test_held_out_domains_share_nothing_with_the_others() -> None:
    assert len(TRAIN_DOMAINS) >= 10 and len(HELDOUT_DOMAINS) >= 5
    assert not set(TRAIN_DOMAINS) & set(HELDOUT_DOMAINS)

    def signatures(names: tuple[str, ...]) -> set[str]:
        return {f"{t.name}{sorted(t.types)}{t.returns}" for name in names for t in DOMAINS[name].tools}

    assert not signatures(TRAIN_DOMAINS) & signatures(HELDOUT_DOMAINS)
    assert sample_general_task("gym", 1, random.Random(0)).split == "heldout"
    assert sample_general_task("bank", 1, random.Random(0)).split == "train"


def test_domains_differ() -> None:
    """No two have the same tables, and no question of one is asked in another."""
    assert len({tuple(spec.tables.values()) for spec in DOMAINS.values()}) == len(DOMAINS) >= 15
    asked = Counter(q for spec in DOMAINS.values() for template in spec.templates for q in template.questions)
    assert max(asked.values()) == 1
    assert all(len(t.questions) > 1 for spec in DOMAINS.values() for t in spec.templates)


@pytest.mark.parametrize("domain", DOMAINS)
def test_compact_tasks_are_small(domain: str) -> None:
    rng = random.Random(2)
    for level, most in ((1, 700), (2, 850), (3, 1100)):
        for _ in range(5):
            task = sample_general_task(domain, level, rng)
            schemas = [json.dumps(tool["function"]) for tool in task.messages[0]["tools"]]
            assert sum(map(len, schemas)) < most and len(task.question) < 90 and len(task.answer) < 20
            kinds = {p["type"] for s in schemas for p in json.loads(s)["parameters"]["properties"].values()}
            assert kinds <= {"string"}
            told = " ".join(
                m["content"] + json.dumps(m.get("tool_calls", "")) for m in demonstrate(task)[:-1]
            )
            assert task.answer in told  # nothing to compute


def test_tools_grow_with_the_level() -> None:
    rng = random.Random(0)
    counts = [
        len(sample_general_task("hotel", level, rng, compact=False).messages[0]["tools"])
        for level in (1, 3, 5)
    ]
    assert counts == sorted(counts) and counts[0] < counts[-1]


@pytest.mark.parametrize(("domain", "level"), [("hostel", 1), ("hotel", 9)])
def test_what_does_not_exist_is_named(domain: str, level: int) -> None:
    with pytest.raises(TaskError, match="must be one of"):
        sample_general_task(domain, level, random.Random(0))


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("compact", [True, False])
def test_tasks_in_other_words_play_alike(domain: str, compact: bool) -> None:
    rng = random.Random(2)
    for level in difficulties(domain):
        task = sample_general_task(domain, level, rng, compact)
        reworded = randomize_vocabulary(task, rng)
        assert played(reworded) == played(inline_tools(reworded)) == 1.0 and reworded.id != task.id
        old, new = (open_tools(GeneralTask.of(t).environment) for t in (task, reworded))
        names = {schema["name"] for schema in new.schemas}
        assert len(names) == len(old.schemas) and names != {schema["name"] for schema in old.schemas}
        check_solution(reworded.data["solution"], names)


def test_what_question_offer_and_names_share_is_still_shared() -> None:
    drawn = (sample_general_task("bank", 1, random.Random(seed)) for seed in range(100))
    task = next(task for task in drawn if "balance of account" in task.question)
    reworded = randomize_vocabulary(task, random.Random(0))
    offered = [tool["function"] for tool in reworded.messages[0]["tools"]]
    said = f"{reworded.question} {offered}".lower()
    assert "account" not in said and "balance" not in said
    (used,) = (tool for tool in offered if tool["name"] == reworded.data["calls"][0][0])
    of = re.fullmatch(r" (\w+) of an (\w+)", used["description"])
    assert of is not None and f" the {of[1]} of {of[2]} " in reworded.question
    assert list(used["parameters"]["properties"]) == [of[2]]
    assert set(used["name"].split("_")) & set(of.groups())


@pytest.mark.parametrize("domain", DOMAINS)
def test_tasks_about_other_things_play_alike(domain: str) -> None:
    rng = random.Random(3)
    for level in difficulties(domain):
        task = sample_general_task(domain, level, rng)
        other = randomize_values(task, rng)
        assert played(other) == 1.0
        before, after = (Counter(things(t.data["environment"]["database"])) for t in (task, other))
        assert sorted(before.values()) == sorted(after.values())
        if level <= 2:  # what one or two look-ups tell does not hang on an order of names
            assert not {name for name in before if name in PEOPLE} & set(after)
        assert re.findall(r"\d+", re.sub(r"'\w*'", "", task.data["environment"]["database"])) == re.findall(
            r"\d+", re.sub(r"'\w*'", "", other.data["environment"]["database"])
        )


def test_where_names_decide_what_happens_they_stay() -> None:
    task = sample_general_task("clinic", 1, random.Random(0))
    names = re.findall(r"\('(\w+)', 'Dr", task.data["environment"]["database"])
    tool = task.data["environment"]["tools"][0]
    first = {
        **tool,
        "name": "first",
        "types": {},
        "returns": "SELECT name FROM patient ORDER BY name LIMIT 1",
    }
    environment = {**task.data["environment"], "tools": [first]}
    task = replace(task, data={**task.data, "environment": environment, "calls": [["first", {}, min(names)]]})
    others = [randomize_values(task, random.Random(seed)) for seed in range(40)]
    kept = [other for other in others if other is task]
    assert 0 < len(kept) < 40
    for other in others:
        source = open_tools(GeneralTask.of(other).environment)
        assert source.call("first", {}) == other.data["calls"][0][2]


def test_each_rewording_is_another() -> None:
    task = sample_general_task("hotel", 2, random.Random(1))
    assert len({randomize_vocabulary(task, random.Random(seed)).question for seed in range(20)}) == 20


# (domain, level, words of the question): the answer by one query over the initial database
ORACLES = [
    (
        "hotel", 5, "booking number",
        "SELECT max(id) + 1 FROM booking",
    ),
    (
        "flights", 5, "",
        "SELECT min(a.price + b.price) FROM flight a JOIN flight b ON b.start = :via AND b.end = :end "
        "WHERE a.start = :start AND a.end = :via AND a.seats > 0 AND b.seats > 0 AND a.lands < b.leaves",
    ),
    (
        "parcels", 5, "parcel",
        "SELECT l.id FROM locker l JOIN parcel p ON p.depot = l.depot WHERE p.id = :parcel AND holds >= weight "
        "AND NOT used ORDER BY holds LIMIT 1",
    ),
    (
        "tracker", 5, "issue",
        "SELECT name FROM developer JOIN knows k ON k.developer = name JOIN issue USING (component) WHERE id = :issue "
        "ORDER BY load LIMIT 1",
    ),
    (
        "warehouse", 5, "",
        "SELECT max(0, minimum - (SELECT sum(stock) FROM bin WHERE product = name)) FROM product WHERE name = :product",
    ),
    (
        "recipes", 5, "",
        "SELECT sum(max(0, n.amount - p.amount) * price) FROM needs n JOIN pantry p USING (ingredient) "
        "WHERE dish = :dish",
    ),
    ("restaurant", 5, "", "SELECT sum(count * price) FROM line JOIN dish ON dish = name WHERE place = :table"),
    (
        "energy", 4, "",
        "SELECT (b.level - a.level) * price FROM household JOIN tariff ON tariff = tariff.name "
        "JOIN reading a ON a.meter = :meter AND a.month = :start JOIN reading b ON b.meter = :meter AND b.month = :end "
        "WHERE household.meter = :meter",
    ),
    (
        "clinic", 4, "",
        "SELECT min(hour) FROM slot JOIN patient p ON p.doctor = slot.doctor WHERE p.name = :patient AND day = :day "
        "AND patient IS NULL",
    ),
    (
        "school", 5, "",
        "SELECT t.name FROM teacher t JOIN lesson l ON l.id = :lesson AND t.subject = l.subject AND name <> l.teacher "
        "WHERE l.period NOT IN (SELECT period FROM lesson WHERE teacher = t.name) ORDER BY hours LIMIT 1",
    ),
    (
        "gym", 4, "Which class",
        "SELECT sport FROM class WHERE coach = :coach AND spots > 0 ORDER BY hour LIMIT 1",
    ),
    ("fleet", 5, "", 'SELECT count(*) FROM car WHERE garage = :garage AND mileage - serviced > :limit'),
    ("staff", 5, "", "SELECT count(*) FROM employee WHERE boss = :boss AND days >= :days"),
    (
        "museum", 5, "",
        "SELECT sum(value) FROM work, museum m WHERE artist = :artist AND m.name = :museum AND place <> m.name "
        'AND value <= "limit"',
    ),
    ("events", 5, "", "SELECT section FROM seats WHERE show = :show AND free >= :count ORDER BY price LIMIT 1"),
    (
        "library", 4, "most copies",
        "SELECT title FROM book WHERE author = :author ORDER BY copies DESC LIMIT 1",
    ),
    ("bank", 5, "", "SELECT (max(balance) - min(balance)) / 2 FROM account WHERE owner = :owner"),
]  # fmt: skip


@pytest.mark.parametrize(("domain", "level", "words", "query"), ORACLES)
def test_hard_answers_agree_with_one_query(domain: str, level: int, words: str, query: str) -> None:
    rng = random.Random(11)
    compared = 0
    for _ in range(40):
        task = sample_general_task(domain, level, rng, compact=False)
        if words in task.question and compared < 8:
            assert task.answer == truth(task.data, query), task.question
            compared += 1
    assert compared >= 3


def truth(data: Mapping[str, Any], query: str) -> str:
    connection = sqlite3.connect(":memory:")
    connection.executescript(data["environment"]["database"])
    return str(connection.execute(query, data["parameters"]).fetchone()[0])
