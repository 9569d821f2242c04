"""A warehouse: bins, products with a lowest stock, suppliers."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import CITIES, PARTS, different, ids, some, spread


def _fill_warehouse(rng: random.Random, size: int) -> Rows:
    products, suppliers = some(rng, PARTS, size), some(rng, CITIES, max(3, size // 3))
    bins = ids(rng, 2 * size, 100, 900)
    return {
        "product": [
            (p, s, price, low)
            for p, s, price, low in zip(
                products,
                spread(rng, suppliers, size),
                different(rng, size, 2, 60),
                ids(rng, size, 5, 40),
                strict=True,
            )
        ],
        "bin": [
            (b, products[i % size], q)
            for i, (b, q) in enumerate(zip(bins, different(rng, 2 * size, 3, 60), strict=True))
        ],
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
        look(
            "product_supplier",
            "product",
            "supplier of a product",
            "SELECT supplier FROM product WHERE name = :product",
        ),
        look(
            "product_price",
            "product",
            "price of a product",
            "SELECT price FROM product WHERE name = :product",
        ),
        look(
            "product_minimum",
            "product",
            "lowest stock wanted",
            "SELECT minimum FROM product WHERE name = :product",
        ),
        look(
            "product_bins",
            "product",
            "bins of a product",
            "SELECT id FROM bin WHERE product = :product ORDER BY 1",
            "column",
        ),
        look(
            "supplier_days",
            "supplier",
            "days a supplier needs",
            "SELECT days FROM supplier WHERE name = :supplier",
        ),
        change(
            "take",
            "bin:int count:int",
            "take goods out of a bin",
            [
                ("SELECT 1 WHERE :count > 0", "count must be above 0"),
                ("SELECT 1 FROM bin WHERE id = :bin", "no bin {bin}"),
                ("SELECT 1 FROM bin WHERE id = :bin AND stock >= :count", "bin {bin} has less than {count}"),
            ],
            ["UPDATE bin SET stock = stock - :count WHERE id = :bin"],
        ),
        change(
            "order",
            "product count:int",
            "order a product",
            [
                ("SELECT 1 FROM product WHERE name = :product", "no product {product}"),
                ("SELECT 1 WHERE :count > 0", "count must be above 0"),
            ],
            ["INSERT INTO purchase SELECT max(id) + 1, :product, :count FROM purchase"],
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT id AS bin FROM bin",
            ("Stock in bin {bin}?", "How much stock is in bin {bin}?"),
            _bin_stock,
        ),
        TaskShape(
            1,
            "SELECT name AS product FROM product",
            ("Supplier of product {product}?", "Which supplier sells the {product}?"),
            _supplier,
        ),
        TaskShape(
            2,
            "SELECT name AS product FROM product",
            (
                "How many days does the supplier of {product} need?",
                "Days until the supplier delivers a {product}?",
            ),
            _delivery,
        ),
        TaskShape(
            2,
            "SELECT id AS bin FROM bin",
            ("Price of the product in bin {bin}?", "Bin {bin}: what does the product cost?"),
            _bin_price,
        ),
        TaskShape(
            3,
            "SELECT id AS bin, 1 + id % 3 AS count FROM bin",
            (
                "Take {count} out of bin {bin}. Which product?",
                "Take {count} of what is in bin {bin} and name the product.",
            ),
            _take,
        ),
        TaskShape(
            3,
            "SELECT id AS bin, 2 + id % 7 AS count FROM bin",
            (
                "Order {count} more of the product in bin {bin}. Total price?",
                "Bin {bin} needs {count} more: order them. What do they cost?",
            ),
            _order_for_bin,
        ),
        TaskShape(
            4,
            "SELECT product, 1 + min(stock) % 3 AS count FROM bin GROUP BY 1 HAVING count(*) > 1",
            (
                "Take {count} {product} out of its bin with most stock. Which bin?",
                "A customer wants {count} {product}: take them from the fullest bin of it. Which one is it?",
            ),
            _take_fullest,
        ),
        TaskShape(
            5,
            "SELECT name AS product FROM product",
            (
                "Order as many {product} as all its bins lack to the minimum, none if they do not. How many?",
                "If the stock of {product} in all bins is below its minimum, order what is missing. Say how many.",
            ),
            _restock,
        ),
    ),
)
