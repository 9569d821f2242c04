"""A bank with accounts and fees; meters whose readings become bills."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import PEOPLE, different, ids, some, spread


def _fill_bank(rng: random.Random, size: int) -> Rows:
    owners, branches = some(rng, PEOPLE, size), [f"North{n}" for n in ids(rng, 3)]
    numbers, balances = ids(rng, 2 * size, 100, 1000), different(rng, 2 * size, 20, 900, 2)
    return {
        "owner": [(o, b, p) for o, b, p in zip(owners, spread(rng, branches, size), ids(rng, size, 500, 999), strict=True)],
        "account": [
            (n, owners[i % size], "save" if i >= size else "main", b, int(rng.random() < 0.2))
            for i, (n, b) in enumerate(zip(numbers, balances, strict=True))
        ],
        "branch": [(b, m, f) for b, m, f in zip(branches, some(rng, PEOPLE, 3), different(rng, 3, 1, 9), strict=True)],
    }


def _balance(tools: Tools, account: int) -> int:
    return tools.balance(account=account)


def _phone(tools: Tools, owner: str) -> int:
    return tools.owner_phone(owner=owner)


def _account_phone(tools: Tools, account: int) -> int:
    return tools.owner_phone(owner=tools.account_owner(account=account))


def _manager(tools: Tools, owner: str) -> str:
    return tools.branch_manager(branch=tools.owner_branch(owner=owner))


def _pay_in(tools: Tools, account: int, amount: int) -> int:
    tools.deposit(account=account, amount=amount)
    return tools.balance(account=account)


def _pay_owner(tools: Tools, account: int, owner: str, amount: int) -> int:
    target = tools.main_account(owner=owner)
    tools.transfer(source=account, target=target, amount=amount)
    return target


def _from_richer(tools: Tools, first: int, second: int, target: int, amount: int) -> int:
    chosen = first if tools.balance(account=first) > tools.balance(account=second) else second
    tools.transfer(source=chosen, target=target, amount=amount)
    return tools.balance(account=chosen)


def _level(tools: Tools, owner: str) -> int:
    accounts = tools.accounts_of(owner=owner)
    low, high = sorted([[tools.balance(account=a), a] for a in accounts])
    amount = (high[0] - low[0]) // 2
    tools.transfer(source=high[1], target=low[1], amount=amount)
    return amount


BANK = DomainSpec(
    name="bank",
    tables={
        "owner": "name TEXT PRIMARY KEY, branch TEXT, phone INTEGER",
        "account": "number INTEGER PRIMARY KEY, owner TEXT, kind TEXT, balance INTEGER, locked INTEGER",
        "branch": "name TEXT PRIMARY KEY, manager TEXT, fee INTEGER",
    },
    fill=_fill_bank,
    tools=(
        look("balance", "account:int", "balance of an account", "SELECT balance FROM account WHERE number = :account"),
        look("account_owner", "account:int", "owner of an account", "SELECT owner FROM account WHERE number = :account"),
        look("owner_phone", "owner", "phone of an owner", "SELECT phone FROM owner WHERE name = :owner"),
        look("owner_branch", "owner", "branch of an owner", "SELECT branch FROM owner WHERE name = :owner"),
        look("branch_manager", "branch", "manager of a branch", "SELECT manager FROM branch WHERE name = :branch"),
        look("main_account", "owner", "main account of an owner",
             "SELECT number FROM account WHERE owner = :owner AND kind = 'main'"),
        look("accounts_of", "owner", "accounts of an owner",
             "SELECT number FROM account WHERE owner = :owner ORDER BY 1", "column"),
        change(
            "deposit", "account:int amount:int", "pay money in",
            [
                ("SELECT 1 FROM account WHERE number = :account", "no account {account}"),
                ("SELECT 1 WHERE :amount > 0", "the amount must be above 0"),
            ],
            ["UPDATE account SET balance = balance + :amount WHERE number = :account"],
        ),
        change(
            "transfer", "source:int target:int amount:int", "move money between accounts",
            [
                ("SELECT 1 WHERE :amount > 0 AND :source <> :target", "nothing to move"),
                ("SELECT 1 FROM account WHERE number = :target", "no account {target}"),
                ("SELECT 1 FROM account WHERE number = :source AND NOT locked", "account {source} is locked or missing"),
                ("SELECT 1 FROM account WHERE number = :source AND balance >= :amount", "{source} has too little"),
            ],
            [
                "UPDATE account SET balance = balance - :amount WHERE number = :source",
                "UPDATE account SET balance = balance + :amount WHERE number = :target",
            ],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT number AS account FROM account", ("Balance of account {account}?", "How much is in account {account}?"), _balance),
        TaskShape(1, "SELECT name AS owner FROM owner", ("Phone of owner {owner}?", "Which phone number has {owner}?"), _phone),
        TaskShape(
            2, "SELECT number AS account FROM account",
            ("Phone of the owner of account {account}?", "Account {account}: the phone number of its owner?"), _account_phone,
        ),
        TaskShape(
            2, "SELECT name AS owner FROM owner",
            ("Manager of the branch of {owner}?", "Who is manager of the branch where {owner} banks?"), _manager,
        ),
        TaskShape(
            3, "SELECT number AS account, 5 + number % 60 AS amount FROM account",
            ("Pay {amount} into account {account}. New balance?", "Deposit {amount} to account {account}; the balance then?"),
            _pay_in,
        ),
        TaskShape(
            3, "SELECT number AS account, name AS owner, 3 + number % 15 AS amount FROM account, owner "
            "WHERE owner <> name AND NOT locked",
            (
                "Transfer {amount} from account {account} to the main account of {owner}. Its number?",
                "Account {account} pays {owner} {amount} on the main account. Do it; which account got the money?",
            ),
            _pay_owner,
        ),
        TaskShape(
            4, "SELECT a.number AS first, b.number AS second, t.number AS target, 10 + a.number % 9 AS amount "
            "FROM account a, account b, account t WHERE a.number < b.number AND NOT a.locked AND NOT b.locked "
            "AND t.number NOT IN (a.number, b.number) AND a.balance <> b.balance",
            (
                "Transfer {amount} to {target} from account {first} or {second}, whichever has more. Its balance then?",
                "The richer of accounts {first} and {second} pays {amount} to {target}. What is left on it?",
            ),
            _from_richer,
        ),
        TaskShape(
            5, "SELECT owner FROM account GROUP BY 1 HAVING sum(locked) = 0 AND count(*) = 2 "
            "AND (max(balance) - min(balance)) % 2 = 0",
            (
                "Make the two accounts of {owner} equal by one transfer. How much?",
                "{owner} wants the same balance on both accounts: transfer what it takes and say how much.",
            ),
            _level,
        ),
    ),
)  # fmt: skip


def _fill_energy(rng: random.Random, size: int) -> Rows:
    meters, tariffs = ids(rng, size, 200, 900), ["day", "night", "flat"]
    months = ["Jan", "Feb", "Mar"]
    readings = []
    for meter in meters:
        level = rng.randrange(100, 400)
        for month in months:
            level += rng.randrange(11, 80)
            readings.append((meter, month, level))
    return {
        "home": [(m, h, t, 0) for m, h, t in zip(meters, some(rng, PEOPLE, size), spread(rng, tariffs, size), strict=True)],
        "tariff": [(t, p) for t, p in zip(tariffs, different(rng, 3, 2, 9), strict=True)],
        "reading": readings,
        "bill": [(1, meters[0], 0)],
    }


def _household(tools: Tools, meter: int) -> str:
    return tools.meter_home(meter=meter)


def _reading(tools: Tools, meter: int, month: str) -> int:
    return tools.reading(meter=meter, month=month)


def _tariff_price(tools: Tools, meter: int) -> int:
    return tools.tariff_price(tariff=tools.meter_tariff(meter=meter))


def _used(tools: Tools, meter: int, start: str, end: str) -> int:
    return tools.reading(meter=meter, month=end) - tools.reading(meter=meter, month=start)


def _new_tariff(tools: Tools, home: str, tariff: str) -> int:
    meter = tools.home_meter(home=home)
    tools.set_tariff(meter=meter, tariff=tariff)
    return meter


def _bill(tools: Tools, meter: int, start: str, end: str) -> int:
    used = tools.reading(meter=meter, month=end) - tools.reading(meter=meter, month=start)
    amount = used * tools.tariff_price(tariff=tools.meter_tariff(meter=meter))
    tools.bill(meter=meter, amount=amount)
    return amount


def _cheaper(tools: Tools, home: str, start: str, end: str) -> str:
    meter = tools.home_meter(home=home)
    used = tools.reading(meter=meter, month=end) - tools.reading(meter=meter, month=start)
    best = min([[tools.tariff_price(tariff=t), t] for t in tools.tariffs()])
    tools.set_tariff(meter=meter, tariff=best[1])
    tools.bill(meter=meter, amount=used * best[0])
    return best[1]


_SPANS = "SELECT 'Jan' AS start, 'Feb' AS end UNION SELECT 'Feb', 'Mar' UNION SELECT 'Jan', 'Mar'"

ENERGY = DomainSpec(
    name="energy",
    tables={
        "home": "meter INTEGER PRIMARY KEY, name TEXT, tariff TEXT, due INTEGER",
        "tariff": "name TEXT PRIMARY KEY, price INTEGER",
        "reading": "meter INTEGER, month TEXT, level INTEGER",
        "bill": "id INTEGER PRIMARY KEY, meter INTEGER, amount INTEGER",
    },
    fill=_fill_energy,
    tools=(
        look("meter_home", "meter:int", "home of a meter", "SELECT name FROM home WHERE meter = :meter"),
        look("home_meter", "home", "meter of a home", "SELECT meter FROM home WHERE name = :home"),
        look("meter_tariff", "meter:int", "tariff of a meter", "SELECT tariff FROM home WHERE meter = :meter"),
        look("tariff_price", "tariff", "price of a tariff", "SELECT price FROM tariff WHERE name = :tariff"),
        look("tariffs", "", "all tariffs", "SELECT name FROM tariff ORDER BY 1", "column"),
        look("reading", "meter:int month", "reading of a meter",
             "SELECT level FROM reading WHERE meter = :meter AND month = :month"),
        change(
            "set_tariff", "meter:int tariff", "change the tariff of a meter",
            [
                ("SELECT 1 FROM home WHERE meter = :meter", "no meter {meter}"),
                ("SELECT 1 FROM tariff WHERE name = :tariff", "no tariff {tariff}"),
            ],
            ["UPDATE home SET tariff = :tariff WHERE meter = :meter"],
        ),
        change(
            "bill", "meter:int amount:int", "write a bill",
            [
                ("SELECT 1 FROM home WHERE meter = :meter", "no meter {meter}"),
                ("SELECT 1 WHERE :amount > 0", "the amount must be above 0"),
            ],
            [
                "INSERT INTO bill SELECT max(id) + 1, :meter, :amount FROM bill",
                "UPDATE home SET due = due + :amount WHERE meter = :meter",
            ],
            "SELECT max(id) FROM bill",
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT meter FROM home", ("Home of meter {meter}?", "In whose home is meter {meter}?"), _household),
        TaskShape(1, "SELECT meter, month FROM reading", ("Reading of meter {meter} in {month}?", "What did meter {meter} read in {month}?"), _reading),
        TaskShape(2, "SELECT meter FROM home", ("Price of the tariff of meter {meter}?", "What price does meter {meter} pay by its tariff?"), _tariff_price),
        TaskShape(
            2, f"SELECT meter, start, end FROM home, ({_SPANS})",
            ("Meter {meter}: use from {start} to {end}?", "How much did meter {meter} count between {start} and {end}?"), _used,
        ),
        TaskShape(
            3, "SELECT h.name AS home, t.name AS tariff FROM home h, tariff t WHERE t.name <> tariff",
            ("Change the meter of home {home} to tariff {tariff}. Which meter?", "{home} wants tariff {tariff} at home. Set it; the meter's number?"),
            _new_tariff,
        ),
        TaskShape(
            4, f"SELECT meter, start, end FROM home, ({_SPANS})",
            (
                "Write the bill of meter {meter} for its use from {start} to {end}. Amount?",
                "Bill meter {meter}: use between {start} and {end} at the price of its tariff. How much?",
            ),
            _bill,
        ),
        TaskShape(
            5, f"SELECT name AS home, start, end FROM home, ({_SPANS})",
            (
                "Put {home} on the cheapest tariff, then bill the use from {start} to {end} at it. Which tariff?",
                "{home} gets the tariff of lowest price and a bill at that price for {start} to {end}. Name the tariff.",
            ),
            _cheaper,
        ),
    ),
)  # fmt: skip
