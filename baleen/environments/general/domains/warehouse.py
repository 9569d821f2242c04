"""A warehouse: bins, products with a minimum stock, suppliers."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import CITIES, PARTS, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    products, suppliers = sample(rng, PARTS, size), sample(rng, CITIES, max(3, size // 3))
    bins = ids(rng, 2 * size, 100, 900)
    return {
        "product": [
            (p, s, price, low)
            for p, s, price, low in zip(
                products,
                spread(rng, suppliers, size),
                distinct(rng, size, 2, 60),
                ids(rng, size, 5, 40),
                strict=True,
            )
        ],
        "bin": [
            (b, products[i % size], q)
            for i, (b, q) in enumerate(zip(bins, distinct(rng, 2 * size, 3, 60), strict=True))
        ],
        "supplier": [(s, d) for s, d in zip(suppliers, distinct(rng, len(suppliers), 2, 20), strict=True)],
        "purchase": [(1, products[0], 0)],
    }


WAREHOUSE = DomainSpec(
    name="warehouse",
    tables={
        "product": "name TEXT PRIMARY KEY, supplier TEXT, price INTEGER, minimum INTEGER",
        "bin": "id INTEGER PRIMARY KEY, product TEXT, stock INTEGER",
        "supplier": "name TEXT PRIMARY KEY, days INTEGER",
        "purchase": "id INTEGER PRIMARY KEY, product TEXT, count INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool("bin_stock", "bin:int", "stock in a bin", "SELECT stock FROM bin WHERE id = :bin"),
        query_tool("bin_product", "bin:int", "product in a bin", "SELECT product FROM bin WHERE id = :bin"),
        query_tool(
            "product_supplier",
            "product",
            "supplier of a product",
            "SELECT supplier FROM product WHERE name = :product",
        ),
        query_tool(
            "product_price",
            "product",
            "price of a product",
            "SELECT price FROM product WHERE name = :product",
        ),
        query_tool(
            "product_minimum",
            "product",
            "minimum stock of a product",
            "SELECT minimum FROM product WHERE name = :product",
        ),
        query_tool(
            "product_bins",
            "product",
            "bins of a product",
            "SELECT id FROM bin WHERE product = :product ORDER BY 1",
            "column",
        ),
        query_tool(
            "supplier_days",
            "supplier",
            "days a supplier needs to deliver",
            "SELECT days FROM supplier WHERE name = :supplier",
        ),
        update_tool(
            "take",
            "bin:int count:int",
            "take units out of a bin",
            [
                ("SELECT 1 WHERE :count > 0", "count must be greater than 0"),
                ("SELECT 1 FROM bin WHERE id = :bin", "there is no bin {bin}"),
                (
                    "SELECT 1 FROM bin WHERE id = :bin AND stock >= :count",
                    "bin {bin} has fewer than {count} units",
                ),
            ],
            ["UPDATE bin SET stock = stock - :count WHERE id = :bin"],
        ),
        update_tool(
            "order",
            "product count:int",
            "order units of a product",
            [
                ("SELECT 1 FROM product WHERE name = :product", "there is no product {product}"),
                ("SELECT 1 WHERE :count > 0", "count must be greater than 0"),
            ],
            ["INSERT INTO purchase SELECT max(id) + 1, :product, :count FROM purchase"],
        ),
    ),
)


@WAREHOUSE.task(
    1,
    "SELECT id AS bin FROM bin",
    "What is the stock in bin {bin}?",
    "How many units are in bin {bin}?",
)
def bin_stock(tools: Tools, bin: int) -> int:
    return tools.bin_stock(bin=bin)


@WAREHOUSE.task(
    1,
    "SELECT name AS product FROM product",
    "Who is the supplier of the product {product}?",
    "Which supplier sells the {product}?",
)
def supplier(tools: Tools, product: str) -> str:
    return tools.product_supplier(product=product)


@WAREHOUSE.task(
    2,
    "SELECT name AS product FROM product",
    "How many days does the supplier of the {product} need to deliver?",
    "How many days will it take the supplier to deliver the {product}?",
)
def delivery(tools: Tools, product: str) -> int:
    return tools.supplier_days(supplier=tools.product_supplier(product=product))


@WAREHOUSE.task(
    2,
    "SELECT id AS bin FROM bin",
    "What is the price of the product in bin {bin}?",
    "How much does the product in bin {bin} cost?",
)
def bin_price(tools: Tools, bin: int) -> int:
    return tools.product_price(product=tools.bin_product(bin=bin))


@WAREHOUSE.task(
    3,
    "SELECT id AS bin, 2 + id % 2 AS count FROM bin",
    "Take {count} units out of bin {bin}. Which product are they?",
    "Take {count} units of what is in bin {bin} and tell me the product.",
)
def take(tools: Tools, bin: int, count: int) -> str:
    tools.take(bin=bin, count=count)
    return tools.bin_product(bin=bin)


@WAREHOUSE.task(
    3,
    "SELECT id AS bin, 2 + id % 7 AS count FROM bin",
    "Order {count} units of the product in bin {bin}. What is the total price?",
    "Bin {bin} needs {count} more units of its product. Order them. What is the total price?",
)
def order_for_bin(tools: Tools, bin: int, count: int) -> int:
    product = tools.bin_product(bin=bin)
    tools.order(product=product, count=count)
    return count * tools.product_price(product=product)


@WAREHOUSE.task(
    4,
    "SELECT product, 2 + min(stock) % 2 AS count FROM bin GROUP BY 1 HAVING count(*) > 1",
    "Take {count} units of the product {product} out of the bin with the most stock of it. Which bin is it?",
    "A customer wants {count} units of the product {product}. Take them out of the fullest of its bins. "
    "Which bin is it?",
)
def take_fullest(tools: Tools, product: str, count: int) -> int:
    fullest = max([[tools.bin_stock(bin=b), b] for b in tools.product_bins(product=product)])
    tools.take(bin=fullest[1], count=count)
    return fullest[1]


@WAREHOUSE.task(
    5,
    "SELECT name AS product FROM product",
    "If the total stock of the product {product} in all of its bins is below its minimum, order what is missing. "
    "How many units are missing?",
    "Order as many units of the product {product} as the stock in all of its bins falls short of its minimum, or none "
    "if there is enough. How many units is that?",
)
def restock(tools: Tools, product: str) -> int:
    stock = sum([tools.bin_stock(bin=b) for b in tools.product_bins(product=product)])
    wanted = tools.product_minimum(product=product) - stock
    if wanted > 0:
        tools.order(product=product, count=wanted)
        return wanted
    return 0
