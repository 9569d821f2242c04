"""A kitchen: recipes, a pantry and a shopping list."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import DISHES, INGREDIENTS, PEOPLE, distinct, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    dishes = sample(rng, DISHES, size)
    ingredients = sample(rng, INGREDIENTS, min(len(INGREDIENTS), size + 3))
    pairs = [(dish, ingredient) for dish in dishes for ingredient in sample(rng, ingredients, 3)]
    return {
        "recipe": [
            (d, c, m)
            for d, c, m in zip(
                dishes, spread(rng, PEOPLE[:4], size), distinct(rng, size, 10, 95), strict=True
            )
        ],
        "needs": [(d, i, rng.randint(2, 9)) for d, i in pairs],
        "pantry": [
            (i, rng.randint(0, 12), p)
            for i, p in zip(ingredients, distinct(rng, len(ingredients), 2, 30), strict=True)
        ],
        "shopping": [("salt", 1)],
    }


RECIPES = DomainSpec(
    name="recipes",
    tables={
        "recipe": "dish TEXT PRIMARY KEY, cook TEXT, minutes INTEGER",
        "needs": "dish TEXT, ingredient TEXT, amount INTEGER",
        "pantry": "ingredient TEXT PRIMARY KEY, amount INTEGER, price INTEGER",
        "shopping": "ingredient TEXT, amount INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool(
            "dish_minutes", "dish", "minutes a dish takes", "SELECT minutes FROM recipe WHERE dish = :dish"
        ),
        query_tool(
            "ingredients",
            "dish",
            "ingredients of a dish",
            "SELECT ingredient FROM needs WHERE dish = :dish ORDER BY 1",
            "column",
        ),
        query_tool(
            "amount",
            "dish ingredient",
            "amount of an ingredient in a dish",
            "SELECT amount FROM needs WHERE dish = :dish AND ingredient = :ingredient",
        ),
        query_tool(
            "pantry",
            "ingredient",
            "amount of an ingredient in the pantry",
            "SELECT amount FROM pantry WHERE ingredient = :ingredient",
        ),
        query_tool(
            "ingredient_price",
            "ingredient",
            "price of an ingredient",
            "SELECT price FROM pantry WHERE ingredient = :ingredient",
        ),
        update_tool(
            "shop",
            "ingredient amount:int",
            "put an ingredient on the shopping list",
            [
                (
                    "SELECT 1 FROM pantry WHERE ingredient = :ingredient",
                    "there is no ingredient {ingredient}",
                ),
                ("SELECT 1 WHERE :amount > 0", "the amount must be greater than 0"),
                (
                    "SELECT 1 WHERE :ingredient NOT IN (SELECT ingredient FROM shopping)",
                    "{ingredient} is already on the list",
                ),
            ],
            ["INSERT INTO shopping VALUES (:ingredient, :amount)"],
        ),
    ),
)


@RECIPES.task(
    1,
    "SELECT dish FROM recipe",
    "How many minutes does the {dish} take?",
    "How long does it take to cook the {dish}, in minutes?",
)
def minutes(tools: Tools, dish: str) -> int:
    return tools.dish_minutes(dish=dish)


@RECIPES.task(
    1,
    "SELECT ingredient FROM pantry",
    "How much {ingredient} is in the pantry?",
    "What amount of {ingredient} is there in the pantry?",
)
def in_pantry(tools: Tools, ingredient: str) -> int:
    return tools.pantry(ingredient=ingredient)


@RECIPES.task(
    2,
    "SELECT a.dish AS first, b.dish AS second FROM recipe a, recipe b WHERE a.dish <> b.dish",
    "How many minutes does the slower of the dishes {first} and {second} take?",
    "Of the {first} and the {second}, how many minutes does the slower dish take?",
)
def longer(tools: Tools, first: str, second: str) -> int:
    return max(tools.dish_minutes(dish=first), tools.dish_minutes(dish=second))


@RECIPES.task(
    2,
    "SELECT dish, ingredient FROM needs",
    "How much does the {ingredient} in the {dish} cost?",
    "What is the amount of {ingredient} in the {dish} times its price?",
)
def ingredient_cost(tools: Tools, dish: str, ingredient: str) -> int:
    return tools.amount(dish=dish, ingredient=ingredient) * tools.ingredient_price(ingredient=ingredient)


@RECIPES.task(
    3,
    "SELECT dish, ingredient FROM needs",
    "Put the {ingredient} for the {dish} on the shopping list. What is the amount?",
    "The {dish} needs {ingredient}. Put it on the shopping list and tell me the amount.",
)
def buy_for(tools: Tools, dish: str, ingredient: str) -> int:
    amount = tools.amount(dish=dish, ingredient=ingredient)
    tools.shop(ingredient=ingredient, amount=amount)
    return amount


@RECIPES.task(
    4,
    "SELECT dish, ingredient FROM needs",
    "If the pantry does not have enough {ingredient} for the {dish}, put the missing amount on the shopping list. "
    "How much is missing?",
    "How much {ingredient} is missing from the pantry for the {dish}? Put it on the shopping list unless it is 0.",
)
def buy_missing(tools: Tools, dish: str, ingredient: str) -> int:
    missing = tools.amount(dish=dish, ingredient=ingredient) - tools.pantry(ingredient=ingredient)
    if missing <= 0:
        return 0
    tools.shop(ingredient=ingredient, amount=missing)
    return missing


@RECIPES.task(
    5,
    "SELECT dish FROM recipe",
    "Put everything that the pantry lacks for the {dish} on the shopping list. How much will it cost?",
    "We are cooking the {dish}. For each ingredient that the pantry has too little of, put the missing amount on the "
    "shopping list. How much does it cost in total?",
)
def shopping_list(tools: Tools, dish: str) -> int:
    cost = 0
    for ingredient in tools.ingredients(dish=dish):
        missing = tools.amount(dish=dish, ingredient=ingredient) - tools.pantry(ingredient=ingredient)
        if missing > 0:
            tools.shop(ingredient=ingredient, amount=missing)
            cost += missing * tools.ingredient_price(ingredient=ingredient)
    return cost
