"""A restaurant: tables, dishes, orders and bills."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import COLOURS, DISHES, PEOPLE, different, ids, some, spread


def _fill_restaurant(rng: random.Random, size: int) -> Rows:
    dishes, waiters, tables = some(rng, DISHES, size), some(rng, PEOPLE, max(3, size // 3)), ids(rng, size)
    lines = [(t, d, rng.randint(1, 4)) for t in tables[: size - 1] for d in some(rng, dishes, 2)]
    return {
        "dish": [
            (d, p, int(rng.random() < 0.3)) for d, p in zip(dishes, different(rng, size, 5, 40), strict=True)
        ],
        "place": [
            (t, w, seats, c)
            for t, w, seats, c in zip(
                tables,
                spread(rng, waiters, size),
                spread(rng, [2, 4, 6, 8], size),
                spread(rng, COLOURS[:3], size),
                strict=True,
            )
        ],
        "line": lines,
    }


def _price(tools: Tools, dish: str) -> int:
    return tools.dish_price(dish=dish)


def _waiter(tools: Tools, table: int) -> str:
    return tools.table_waiter(table=table)


def _twice(tools: Tools, first: str, second: str) -> int:
    return tools.dish_price(dish=first) + tools.dish_price(dish=second)


def _line_price(tools: Tools, table: int) -> int:
    return tools.dish_price(dish=tools.first_dish(table=table))


def _serve(tools: Tools, table: int, dish: str, count: int) -> int:
    tools.order(table=table, dish=dish, count=count)
    return count * tools.dish_price(dish=dish)


def _serve_one(tools: Tools, table: int, dish: str) -> str:
    tools.order(table=table, dish=dish, count=1)
    return tools.table_waiter(table=table)


def _cheaper_dish(tools: Tools, table: int, first: str, second: str) -> str:
    chosen = first if tools.dish_price(dish=first) < tools.dish_price(dish=second) else second
    tools.order(table=table, dish=chosen, count=1)
    return chosen


def _settle(tools: Tools, table: int) -> int:
    total = sum([line["count"] * tools.dish_price(dish=line["dish"]) for line in tools.orders(table=table)])
    tools.pay(table=table, amount=total)
    return total


RESTAURANT = DomainSpec(
    name="restaurant",
    tables={
        "dish": "name TEXT PRIMARY KEY, price INTEGER, vegan INTEGER",
        "place": "number INTEGER PRIMARY KEY, waiter TEXT, seats INTEGER, room TEXT",
        "line": "place INTEGER, dish TEXT, count INTEGER",
    },
    fill=_fill_restaurant,
    tools=(
        look("dish_price", "dish", "price of a dish", "SELECT price FROM dish WHERE name = :dish"),
        look(
            "table_waiter", "table:int", "waiter of a table", "SELECT waiter FROM place WHERE number = :table"
        ),
        look(
            "first_dish",
            "table:int",
            "dish a table ordered first",
            "SELECT dish FROM line WHERE place = :table ORDER BY rowid LIMIT 1",
        ),
        look(
            "orders",
            "table:int",
            "what a table ordered",
            "SELECT dish, count FROM line WHERE place = :table ORDER BY 1",
            "rows",
        ),
        change(
            "order",
            "table:int dish count:int",
            "order a dish",
            [
                ("SELECT 1 FROM place WHERE number = :table", "no table {table}"),
                ("SELECT 1 FROM dish WHERE name = :dish", "no dish {dish}"),
                ("SELECT 1 WHERE :count BETWEEN 1 AND 9", "count must be 1 to 9"),
            ],
            ["INSERT INTO line VALUES (:table, :dish, :count)"],
        ),
        change(
            "pay",
            "table:int amount:int",
            "settle the bill of a table",
            [
                ("SELECT 1 FROM line WHERE place = :table", "table {table} has no orders"),
                (
                    "SELECT 1 FROM line JOIN dish ON dish = name WHERE place = :table GROUP BY place "
                    "HAVING sum(count * price) = :amount",
                    "{amount} is not what table {table} owes",
                ),
            ],
            ["DELETE FROM line WHERE place = :table"],
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT name AS dish FROM dish",
            ("Price of dish {dish}?", "What price has the {dish}?"),
            _price,
        ),
        TaskShape(
            1,
            "SELECT number AS 'table' FROM place",
            ("Waiter of table {table}?", "Which waiter has table {table}?"),
            _waiter,
        ),
        TaskShape(
            2,
            "SELECT a.name AS first, b.name AS second FROM dish a, dish b WHERE a.name <> b.name",
            (
                "Price of {first} and {second} together?",
                "What do dish {first} and dish {second} cost in all?",
            ),
            _twice,
        ),
        TaskShape(
            2,
            "SELECT DISTINCT place AS 'table' FROM line",
            (
                "Price of the dish table {table} ordered first?",
                "Table {table}: what does its first dish cost?",
            ),
            _line_price,
        ),
        TaskShape(
            3,
            "SELECT number AS 'table', name AS dish, 2 + number % 3 AS count FROM place, dish",
            (
                "Order {count} {dish} for table {table}. Total price?",
                "Table {table} wants {dish}, {count} times. Order; what is it in all?",
            ),
            _serve,
        ),
        TaskShape(
            3,
            "SELECT number AS 'table', name AS dish FROM place, dish",
            (
                "Order 1 {dish} for table {table}. Which waiter?",
                "Table {table} wants one {dish}: order it and name the waiter.",
            ),
            _serve_one,
        ),
        TaskShape(
            4,
            "SELECT number AS 'table', a.name AS first, b.name AS second FROM place, "
            "dish a, dish b WHERE a.name <> b.name",
            (
                "Order table {table} the cheaper dish of {first} and {second}. Which?",
                "Table {table} takes {first} or {second}, the one of lower price. Order one and name it.",
            ),
            _cheaper_dish,
        ),
        TaskShape(
            5,
            "SELECT DISTINCT place AS 'table' FROM line",
            (
                "Settle the bill of table {table}. How much?",
                "Table {table} wants to pay all it ordered. Settle it; the amount?",
            ),
            _settle,
        ),
    ),
)
