"""Recipes, a pantry and a shopping list."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import DISHES, FOODS, PEOPLE, different, some, spread


def _fill_recipes(rng: random.Random, size: int) -> Rows:
    dishes, foods = some(rng, DISHES, size), some(rng, FOODS, min(len(FOODS), size + 3))
    pairs = [(dish, food) for dish in dishes for food in some(rng, foods, 3)]
    return {
        "recipe": [
            (d, c, m)
            for d, c, m in zip(
                dishes, spread(rng, PEOPLE[:4], size), different(rng, size, 10, 95), strict=True
            )
        ],
        "needs": [(d, f, rng.randint(2, 9)) for d, f in pairs],
        "pantry": [
            (f, rng.randint(0, 12), p) for f, p in zip(foods, different(rng, len(foods), 2, 30), strict=True)
        ],
        "shopping": [("salt", 1)],
    }


def _minutes(tools: Tools, dish: str) -> int:
    return tools.dish_minutes(dish=dish)


def _in_pantry(tools: Tools, food: str) -> int:
    return tools.pantry(food=food)


def _longer(tools: Tools, first: str, second: str) -> int:
    return max(tools.dish_minutes(dish=first), tools.dish_minutes(dish=second))


def _food_cost(tools: Tools, dish: str, food: str) -> int:
    return tools.amount(dish=dish, food=food) * tools.food_price(food=food)


def _buy_for(tools: Tools, dish: str, food: str) -> int:
    amount = tools.amount(dish=dish, food=food)
    tools.shop(food=food, amount=amount)
    return amount


def _buy_missing(tools: Tools, dish: str, food: str) -> int:
    missing = tools.amount(dish=dish, food=food) - tools.pantry(food=food)
    if missing <= 0:
        return 0
    tools.shop(food=food, amount=missing)
    return missing


def _shopping_list(tools: Tools, dish: str) -> int:
    cost = 0
    for food in tools.foods(dish=dish):
        missing = tools.amount(dish=dish, food=food) - tools.pantry(food=food)
        if missing > 0:
            tools.shop(food=food, amount=missing)
            cost += missing * tools.food_price(food=food)
    return cost


RECIPES = DomainSpec(
    name="recipes",
    tables={
        "recipe": "dish TEXT PRIMARY KEY, cook TEXT, minutes INTEGER",
        "needs": "dish TEXT, food TEXT, amount INTEGER",
        "pantry": "food TEXT PRIMARY KEY, amount INTEGER, price INTEGER",
        "shopping": "food TEXT, amount INTEGER",
    },
    fill=_fill_recipes,
    tools=(
        look("dish_minutes", "dish", "minutes a dish takes", "SELECT minutes FROM recipe WHERE dish = :dish"),
        look(
            "foods",
            "dish",
            "foods a dish needs",
            "SELECT food FROM needs WHERE dish = :dish ORDER BY 1",
            "column",
        ),
        look(
            "amount",
            "dish food",
            "amount of a food in a dish",
            "SELECT amount FROM needs WHERE dish = :dish AND food = :food",
        ),
        look("pantry", "food", "amount in the pantry", "SELECT amount FROM pantry WHERE food = :food"),
        look("food_price", "food", "price of a food", "SELECT price FROM pantry WHERE food = :food"),
        change(
            "shop",
            "food amount:int",
            "put a food on the shopping list",
            [
                ("SELECT 1 FROM pantry WHERE food = :food", "no food {food}"),
                ("SELECT 1 WHERE :amount > 0", "the amount must be above 0"),
                ("SELECT 1 WHERE :food NOT IN (SELECT food FROM shopping)", "{food} is on the list"),
            ],
            ["INSERT INTO shopping VALUES (:food, :amount)"],
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT dish FROM recipe",
            ("Minutes for dish {dish}?", "How many minutes does the {dish} take?"),
            _minutes,
        ),
        TaskShape(
            1,
            "SELECT food FROM pantry",
            ("How much {food} is in the pantry?", "Pantry: amount of {food}?"),
            _in_pantry,
        ),
        TaskShape(
            2,
            "SELECT a.dish AS first, b.dish AS second FROM recipe a, recipe b WHERE a.dish <> b.dish",
            (
                "Minutes of the longer of dishes {first} and {second}?",
                "{first} or {second}: how many minutes has the slower dish?",
            ),
            _longer,
        ),
        TaskShape(
            2,
            "SELECT dish, food FROM needs",
            ("What does the {food} for dish {dish} cost?", "Dish {dish}: amount of {food} times its price?"),
            _food_cost,
        ),
        TaskShape(
            3,
            "SELECT dish, food FROM needs",
            (
                "Put the {food} for dish {dish} on the shopping list. Amount?",
                "{dish} needs {food}: put the amount on the list and say it.",
            ),
            _buy_for,
        ),
        TaskShape(
            4,
            "SELECT dish, food FROM needs",
            (
                "Put on the list the {food} that the pantry lacks for {dish}, if any. How much?",
                "How much {food} is missing in the pantry for dish {dish}? Put it on the list if it is above 0.",
            ),
            _buy_missing,
        ),
        TaskShape(
            5,
            "SELECT dish FROM recipe",
            (
                "Put on the list all that the pantry lacks for {dish}. What will it cost?",
                "Shopping for {dish}: list each food the pantry has too little of, with what is missing. Cost in all?",
            ),
            _shopping_list,
        ),
    ),
)
