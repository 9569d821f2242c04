"""A restaurant: tables, dishes, orders and bills."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import COLORS, DISHES, PEOPLE, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    dishes, waiters, tables = (
        sample(rng, DISHES, size),
        sample(rng, PEOPLE, max(3, size // 3)),
        ids(rng, size),
    )
    lines = [(t, d, rng.randint(1, 4)) for t in tables[: size - 1] for d in sample(rng, dishes, 2)]
    return {
        "dish": [
            (d, p, int(rng.random() < 0.3)) for d, p in zip(dishes, distinct(rng, size, 5, 40), strict=True)
        ],
        "place": [
            (t, w, seats, c)
            for t, w, seats, c in zip(
                tables,
                spread(rng, waiters, size),
                spread(rng, [2, 4, 6, 8], size),
                spread(rng, COLORS[:3], size),
                strict=True,
            )
        ],
        "line": lines,
    }


RESTAURANT = DomainSpec(
    name="restaurant",
    tables={
        "dish": "name TEXT PRIMARY KEY, price INTEGER, vegan INTEGER",
        "place": "number INTEGER PRIMARY KEY, waiter TEXT, seats INTEGER, room TEXT",
        "line": "place INTEGER, dish TEXT, count INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool("dish_price", "dish", "price of a dish", "SELECT price FROM dish WHERE name = :dish"),
        query_tool(
            "table_waiter", "table:int", "waiter of a table", "SELECT waiter FROM place WHERE number = :table"
        ),
        query_tool(
            "first_dish",
            "table:int",
            "first dish that a table ordered",
            "SELECT dish FROM line WHERE place = :table ORDER BY rowid LIMIT 1",
        ),
        query_tool(
            "orders",
            "table:int",
            "all dishes that a table ordered",
            "SELECT dish, count FROM line WHERE place = :table ORDER BY 1",
            "rows",
        ),
        update_tool(
            "order",
            "table:int dish count:int",
            "order a dish for a table",
            [
                ("SELECT 1 FROM place WHERE number = :table", "there is no table {table}"),
                ("SELECT 1 FROM dish WHERE name = :dish", "there is no dish {dish}"),
                ("SELECT 1 WHERE :count BETWEEN 1 AND 9", "count must be from 1 to 9"),
            ],
            ["INSERT INTO line VALUES (:table, :dish, :count)"],
        ),
        update_tool(
            "pay",
            "table:int amount:int",
            "settle the bill of a table",
            [
                ("SELECT 1 FROM line WHERE place = :table", "table {table} has not ordered anything"),
                (
                    "SELECT 1 FROM line JOIN dish ON dish = name WHERE place = :table GROUP BY place "
                    "HAVING sum(count * price) = :amount",
                    "{amount} is not what table {table} owes",
                ),
            ],
            ["DELETE FROM line WHERE place = :table"],
        ),
    ),
)


@RESTAURANT.task(
    1,
    "SELECT name AS dish FROM dish",
    "What is the price of the {dish}?",
    "How much does the {dish} cost?",
)
def price(tools: Tools, dish: str) -> int:
    return tools.dish_price(dish=dish)


@RESTAURANT.task(
    1,
    "SELECT number AS 'table' FROM place",
    "Who is the waiter of table {table}?",
    "Which waiter serves table {table}?",
)
def waiter(tools: Tools, table: int) -> str:
    return tools.table_waiter(table=table)


@RESTAURANT.task(
    2,
    "SELECT a.name AS first, b.name AS second FROM dish a, dish b WHERE a.name <> b.name",
    "What is the price of the dishes {first} and {second} together?",
    "How much do the {first} and the {second} cost in total?",
)
def price_of_two(tools: Tools, first: str, second: str) -> int:
    return tools.dish_price(dish=first) + tools.dish_price(dish=second)


@RESTAURANT.task(
    2,
    "SELECT DISTINCT place AS 'table' FROM line",
    "What is the price of the first dish that table {table} ordered?",
    "How much does the dish that table {table} ordered first cost?",
)
def first_price(tools: Tools, table: int) -> int:
    return tools.dish_price(dish=tools.first_dish(table=table))


@RESTAURANT.task(
    3,
    "SELECT number AS 'table', name AS dish, 2 + number % 3 AS count FROM place, dish",
    "Order {count} portions of {dish} for table {table}. What is the total price?",
    "Table {table} wants {count} portions of {dish}. Order them. What is the total price?",
)
def serve(tools: Tools, table: int, dish: str, count: int) -> int:
    tools.order(table=table, dish=dish, count=count)
    return count * tools.dish_price(dish=dish)


@RESTAURANT.task(
    3,
    "SELECT number AS 'table', name AS dish FROM place, dish",
    "Order 1 portion of {dish} for table {table}. Who is the waiter?",
    "Table {table} wants 1 portion of {dish}. Order it and tell me the waiter's name.",
)
def serve_one(tools: Tools, table: int, dish: str) -> str:
    tools.order(table=table, dish=dish, count=1)
    return tools.table_waiter(table=table)


@RESTAURANT.task(
    4,
    "SELECT number AS 'table', a.name AS first, b.name AS second FROM place, "
    "dish a, dish b WHERE a.name <> b.name",
    "Order 1 portion of the cheaper of the dishes {first} and {second} for table {table}. Which dish is it?",
    "Table {table} will have the {first} or the {second}, whichever costs less. Order 1 portion. Which dish is it?",
)
def cheaper_dish(tools: Tools, table: int, first: str, second: str) -> str:
    chosen = first if tools.dish_price(dish=first) < tools.dish_price(dish=second) else second
    tools.order(table=table, dish=chosen, count=1)
    return chosen


@RESTAURANT.task(
    5,
    "SELECT DISTINCT place AS 'table' FROM line",
    "Settle the bill of table {table}. How much is it?",
    "Table {table} wants to pay for everything it ordered. Settle the bill and tell me the amount.",
)
def settle(tools: Tools, table: int) -> int:
    total = sum([line["count"] * tools.dish_price(dish=line["dish"]) for line in tools.orders(table=table)])
    tools.pay(table=table, amount=total)
    return total
