"""A warehouse with bins and suppliers; recipes and a pantry; a restaurant's tables and orders."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import CITIES, COLOURS, PEOPLE, different, ids, some, spread

PARTS = "bolt hinge valve cable lamp fuse gear motor panel spring switch tube pump rope hook clamp".split()
FOODS = "rice beans flour eggs milk butter onion tomato basil lemon honey pepper carrot leek oats cream".split()
DISHES = "soup stew curry pasta salad risotto quiche ramen paella tart pie omelette gratin dumplings".split()


def _fill_warehouse(rng: random.Random, size: int) -> Rows:
    products, suppliers = some(rng, PARTS, size), some(rng, CITIES, max(3, size // 3))
    bins = ids(rng, 2 * size, 100, 900)
    return {
        "product": [
            (p, s, price, low)
            for p, s, price, low in zip(
                products, spread(rng, suppliers, size), different(rng, size, 2, 60), ids(rng, size, 5, 40), strict=True
            )
        ],
        "bin": [(b, products[i % size], q) for i, (b, q) in enumerate(zip(bins, different(rng, 2 * size, 3, 60), strict=True))],
        "supplier": [(s, d) for s, d in zip(suppliers, different(rng, len(suppliers), 2, 20), strict=True)],
        "purchase": [(1, products[0], 0)],
    }


def _bin_stock(tools: Tools, bin: int) -> int:
    return tools.bin_stock(bin=bin)


def _supplier(tools: Tools, product: str) -> str:
    return tools.product_supplier(product=product)


def _delivery(tools: Tools, product: str) -> int:
    return tools.supplier_days(supplier=tools.product_supplier(product=product))


def _bin_price(tools: Tools, bin: int) -> int:
    return tools.product_price(product=tools.bin_product(bin=bin))


def _take(tools: Tools, bin: int, count: int) -> str:
    tools.take(bin=bin, count=count)
    return tools.bin_product(bin=bin)


def _order_for_bin(tools: Tools, bin: int, count: int) -> int:
    product = tools.bin_product(bin=bin)
    tools.order(product=product, count=count)
    return count * tools.product_price(product=product)


def _take_fullest(tools: Tools, product: str, count: int) -> int:
    fullest = max([[tools.bin_stock(bin=b), b] for b in tools.product_bins(product=product)])
    tools.take(bin=fullest[1], count=count)
    return fullest[1]


def _restock(tools: Tools, product: str) -> int:
    stock = sum([tools.bin_stock(bin=b) for b in tools.product_bins(product=product)])
    wanted = tools.product_minimum(product=product) - stock
    if wanted > 0:
        tools.order(product=product, count=wanted)
        return wanted
    return 0


WAREHOUSE = DomainSpec(
    name="warehouse",
    tables={
        "product": "name TEXT PRIMARY KEY, supplier TEXT, price INTEGER, minimum INTEGER",
        "bin": "id INTEGER PRIMARY KEY, product TEXT, stock INTEGER",
        "supplier": "name TEXT PRIMARY KEY, days INTEGER",
        "purchase": "id INTEGER PRIMARY KEY, product TEXT, count INTEGER",
    },
    fill=_fill_warehouse,
    tools=(
        look("bin_stock", "bin:int", "stock in a bin", "SELECT stock FROM bin WHERE id = :bin"),
        look("bin_product", "bin:int", "product in a bin", "SELECT product FROM bin WHERE id = :bin"),
        look("product_supplier", "product", "supplier of a product", "SELECT supplier FROM product WHERE name = :product"),
        look("product_price", "product", "price of a product", "SELECT price FROM product WHERE name = :product"),
        look("product_minimum", "product", "lowest stock wanted", "SELECT minimum FROM product WHERE name = :product"),
        look("product_bins", "product", "bins of a product", "SELECT id FROM bin WHERE product = :product ORDER BY 1", "column"),
        look("supplier_days", "supplier", "days a supplier needs", "SELECT days FROM supplier WHERE name = :supplier"),
        change(
            "take", "bin:int count:int", "take goods out of a bin",
            [
                ("SELECT 1 WHERE :count > 0", "count must be above 0"),
                ("SELECT 1 FROM bin WHERE id = :bin", "no bin {bin}"),
                ("SELECT 1 FROM bin WHERE id = :bin AND stock >= :count", "bin {bin} has less than {count}"),
            ],
            ["UPDATE bin SET stock = stock - :count WHERE id = :bin"],
        ),
        change(
            "order", "product count:int", "order a product",
            [
                ("SELECT 1 FROM product WHERE name = :product", "no product {product}"),
                ("SELECT 1 WHERE :count > 0", "count must be above 0"),
            ],
            ["INSERT INTO purchase SELECT max(id) + 1, :product, :count FROM purchase"],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT id AS bin FROM bin", ("Stock in bin {bin}?", "How much stock is in bin {bin}?"), _bin_stock),
        TaskShape(1, "SELECT name AS product FROM product", ("Supplier of product {product}?", "Which supplier sells the {product}?"), _supplier),
        TaskShape(
            2, "SELECT name AS product FROM product",
            ("How many days does the supplier of {product} need?", "Days until the supplier delivers a {product}?"), _delivery,
        ),
        TaskShape(2, "SELECT id AS bin FROM bin", ("Price of the product in bin {bin}?", "Bin {bin}: what does the product cost?"), _bin_price),
        TaskShape(
            3, "SELECT id AS bin, 1 + id % 3 AS count FROM bin",
            ("Take {count} out of bin {bin}. Which product?", "Take {count} of what is in bin {bin} and name the product."), _take,
        ),
        TaskShape(
            3, "SELECT id AS bin, 2 + id % 7 AS count FROM bin",
            ("Order {count} more of the product in bin {bin}. Total price?", "Bin {bin} needs {count} more: order them. What do they cost?"),
            _order_for_bin,
        ),
        TaskShape(
            4, "SELECT product, 1 + min(stock) % 3 AS count FROM bin GROUP BY 1 HAVING count(*) > 1",
            (
                "Take {count} {product} out of its bin with most stock. Which bin?",
                "A customer wants {count} {product}: take them from the fullest bin of it. Which one is it?",
            ),
            _take_fullest,
        ),
        TaskShape(
            5, "SELECT name AS product FROM product",
            (
                "Order as many {product} as all its bins lack to the minimum, none if they do not. How many?",
                "If the stock of {product} in all bins is below its minimum, order what is missing. Say how many.",
            ),
            _restock,
        ),
    ),
)  # fmt: skip


def _fill_recipes(rng: random.Random, size: int) -> Rows:
    dishes, foods = some(rng, DISHES, size), some(rng, FOODS, min(len(FOODS), size + 3))
    pairs = [(dish, food) for dish in dishes for food in some(rng, foods, 3)]
    return {
        "recipe": [(d, c, m) for d, c, m in zip(dishes, spread(rng, PEOPLE[:4], size), different(rng, size, 10, 95), strict=True)],
        "needs": [(d, f, rng.randint(2, 9)) for d, f in pairs],
        "pantry": [(f, rng.randint(0, 12), p) for f, p in zip(foods, different(rng, len(foods), 2, 30), strict=True)],
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
        look("foods", "dish", "foods a dish needs", "SELECT food FROM needs WHERE dish = :dish ORDER BY 1", "column"),
        look("amount", "dish food", "amount of a food in a dish", "SELECT amount FROM needs WHERE dish = :dish AND food = :food"),
        look("pantry", "food", "amount in the pantry", "SELECT amount FROM pantry WHERE food = :food"),
        look("food_price", "food", "price of a food", "SELECT price FROM pantry WHERE food = :food"),
        change(
            "shop", "food amount:int", "put a food on the shopping list",
            [
                ("SELECT 1 FROM pantry WHERE food = :food", "no food {food}"),
                ("SELECT 1 WHERE :amount > 0", "the amount must be above 0"),
                ("SELECT 1 WHERE :food NOT IN (SELECT food FROM shopping)", "{food} is on the list"),
            ],
            ["INSERT INTO shopping VALUES (:food, :amount)"],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT dish FROM recipe", ("Minutes for dish {dish}?", "How many minutes does the {dish} take?"), _minutes),
        TaskShape(1, "SELECT food FROM pantry", ("How much {food} is in the pantry?", "Pantry: amount of {food}?"), _in_pantry),
        TaskShape(
            2, "SELECT a.dish AS first, b.dish AS second FROM recipe a, recipe b WHERE a.dish <> b.dish",
            ("Minutes of the longer of dishes {first} and {second}?", "{first} or {second}: how many minutes has the slower dish?"), _longer,
        ),
        TaskShape(
            2, "SELECT dish, food FROM needs",
            ("What does the {food} for dish {dish} cost?", "Dish {dish}: amount of {food} times its price?"), _food_cost,
        ),
        TaskShape(
            3, "SELECT dish, food FROM needs",
            ("Put the {food} for dish {dish} on the shopping list. Amount?", "{dish} needs {food}: put the amount on the list and say it."),
            _buy_for,
        ),
        TaskShape(
            4, "SELECT dish, food FROM needs",
            (
                "Put on the list the {food} that the pantry lacks for {dish}, if any. How much?",
                "How much {food} is missing in the pantry for dish {dish}? Put it on the list if it is above 0.",
            ),
            _buy_missing,
        ),
        TaskShape(
            5, "SELECT dish FROM recipe",
            (
                "Put on the list all that the pantry lacks for {dish}. What will it cost?",
                "Shopping for {dish}: list each food the pantry has too little of, with what is missing. Cost in all?",
            ),
            _shopping_list,
        ),
    ),
)  # fmt: skip


def _fill_restaurant(rng: random.Random, size: int) -> Rows:
    dishes, waiters, tables = some(rng, DISHES, size), some(rng, PEOPLE, max(3, size // 3)), ids(rng, size)
    lines = [(t, d, rng.randint(1, 4)) for t in tables[: size - 1] for d in some(rng, dishes, 2)]
    return {
        "dish": [(d, p, int(rng.random() < 0.3)) for d, p in zip(dishes, different(rng, size, 5, 40), strict=True)],
        "place": [
            (t, w, seats, c)
            for t, w, seats, c in zip(
                tables, spread(rng, waiters, size), spread(rng, [2, 4, 6, 8], size), spread(rng, COLOURS[:3], size), strict=True
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
        look("table_waiter", "table:int", "waiter of a table", "SELECT waiter FROM place WHERE number = :table"),
        look("first_dish", "table:int", "dish a table ordered first",
             "SELECT dish FROM line WHERE place = :table ORDER BY rowid LIMIT 1"),
        look("orders", "table:int", "what a table ordered", "SELECT dish, count FROM line WHERE place = :table ORDER BY 1", "rows"),
        change(
            "order", "table:int dish count:int", "order a dish",
            [
                ("SELECT 1 FROM place WHERE number = :table", "no table {table}"),
                ("SELECT 1 FROM dish WHERE name = :dish", "no dish {dish}"),
                ("SELECT 1 WHERE :count BETWEEN 1 AND 9", "count must be 1 to 9"),
            ],
            ["INSERT INTO line VALUES (:table, :dish, :count)"],
        ),
        change(
            "pay", "table:int amount:int", "settle the bill of a table",
            [
                ("SELECT 1 FROM line WHERE place = :table", "table {table} has no orders"),
                ("SELECT 1 FROM line JOIN dish ON dish = name WHERE place = :table GROUP BY place "
                 "HAVING sum(count * price) = :amount", "{amount} is not what table {table} owes"),
            ],
            ["DELETE FROM line WHERE place = :table"],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT name AS dish FROM dish", ("Price of dish {dish}?", "What price has the {dish}?"), _price),
        TaskShape(1, "SELECT number AS 'table' FROM place", ("Waiter of table {table}?", "Which waiter has table {table}?"), _waiter),
        TaskShape(
            2, "SELECT a.name AS first, b.name AS second FROM dish a, dish b WHERE a.name <> b.name",
            ("Price of {first} and {second} together?", "What do dish {first} and dish {second} cost in all?"), _twice,
        ),
        TaskShape(
            2, "SELECT DISTINCT place AS 'table' FROM line",
            ("Price of the dish table {table} ordered first?", "Table {table}: what does its first dish cost?"), _line_price,
        ),
        TaskShape(
            3, "SELECT number AS 'table', name AS dish, 2 + number % 3 AS count FROM place, dish",
            ("Order {count} {dish} for table {table}. Total price?", "Table {table} wants {dish}, {count} times. Order; what is it in all?"),
            _serve,
        ),
        TaskShape(
            3, "SELECT number AS 'table', name AS dish FROM place, dish",
            ("Order 1 {dish} for table {table}. Which waiter?", "Table {table} wants one {dish}: order it and name the waiter."), _serve_one,
        ),
        TaskShape(
            4, "SELECT number AS 'table', a.name AS first, b.name AS second FROM place, dish a, dish b WHERE a.name <> b.name",
            (
                "Order table {table} the cheaper dish of {first} and {second}. Which?",
                "Table {table} takes {first} or {second}, the one of lower price. Order one and name it.",
            ),
            _cheaper_dish,
        ),
        TaskShape(
            5, "SELECT DISTINCT place AS 'table' FROM line",
            ("Settle the bill of table {table}. How much?", "Table {table} wants to pay all it ordered. Settle it; the amount?"), _settle,
        ),
    ),
)  # fmt: skip
