"""A bank: accounts, owners, branches, transfers with preconditions."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import PEOPLE, different, ids, some, spread


def _fill_bank(rng: random.Random, size: int) -> Rows:
    owners, branches = some(rng, PEOPLE, size), [f"North{n}" for n in ids(rng, 3)]
    numbers, balances = ids(rng, 2 * size, 100, 1000), different(rng, 2 * size, 20, 900, 2)
    return {
        "owner": [
            (o, b, p)
            for o, b, p in zip(owners, spread(rng, branches, size), ids(rng, size, 500, 999), strict=True)
        ],
        "account": [
            (n, owners[i % size], "save" if i >= size else "main", b, int(rng.random() < 0.2))
            for i, (n, b) in enumerate(zip(numbers, balances, strict=True))
        ],
        "branch": [
            (b, m, f) for b, m, f in zip(branches, some(rng, PEOPLE, 3), different(rng, 3, 1, 9), strict=True)
        ],
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
        look(
            "balance",
            "account:int",
            "balance of an account",
            "SELECT balance FROM account WHERE number = :account",
        ),
        look(
            "account_owner",
            "account:int",
            "owner of an account",
            "SELECT owner FROM account WHERE number = :account",
        ),
        look("owner_phone", "owner", "phone of an owner", "SELECT phone FROM owner WHERE name = :owner"),
        look("owner_branch", "owner", "branch of an owner", "SELECT branch FROM owner WHERE name = :owner"),
        look(
            "branch_manager",
            "branch",
            "manager of a branch",
            "SELECT manager FROM branch WHERE name = :branch",
        ),
        look(
            "main_account",
            "owner",
            "main account of an owner",
            "SELECT number FROM account WHERE owner = :owner AND kind = 'main'",
        ),
        look(
            "accounts_of",
            "owner",
            "accounts of an owner",
            "SELECT number FROM account WHERE owner = :owner ORDER BY 1",
            "column",
        ),
        change(
            "deposit",
            "account:int amount:int",
            "pay money in",
            [
                ("SELECT 1 FROM account WHERE number = :account", "no account {account}"),
                ("SELECT 1 WHERE :amount > 0", "the amount must be above 0"),
            ],
            ["UPDATE account SET balance = balance + :amount WHERE number = :account"],
        ),
        change(
            "transfer",
            "source:int target:int amount:int",
            "move money between accounts",
            [
                ("SELECT 1 WHERE :amount > 0 AND :source <> :target", "nothing to move"),
                ("SELECT 1 FROM account WHERE number = :target", "no account {target}"),
                (
                    "SELECT 1 FROM account WHERE number = :source AND NOT locked",
                    "account {source} is locked or missing",
                ),
                (
                    "SELECT 1 FROM account WHERE number = :source AND balance >= :amount",
                    "{source} has too little",
                ),
            ],
            [
                "UPDATE account SET balance = balance - :amount WHERE number = :source",
                "UPDATE account SET balance = balance + :amount WHERE number = :target",
            ],
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT number AS account FROM account",
            ("Balance of account {account}?", "How much is in account {account}?"),
            _balance,
        ),
        TaskShape(
            1,
            "SELECT name AS owner FROM owner",
            ("Phone of owner {owner}?", "Which phone number has {owner}?"),
            _phone,
        ),
        TaskShape(
            2,
            "SELECT number AS account FROM account",
            ("Phone of the owner of account {account}?", "Account {account}: the phone number of its owner?"),
            _account_phone,
        ),
        TaskShape(
            2,
            "SELECT name AS owner FROM owner",
            ("Manager of the branch of {owner}?", "Who is manager of the branch where {owner} banks?"),
            _manager,
        ),
        TaskShape(
            3,
            "SELECT number AS account, 5 + number % 60 AS amount FROM account",
            (
                "Pay {amount} into account {account}. New balance?",
                "Deposit {amount} to account {account}; the balance then?",
            ),
            _pay_in,
        ),
        TaskShape(
            3,
            "SELECT number AS account, name AS owner, 3 + number % 15 AS amount FROM account, owner "
            "WHERE owner <> name AND NOT locked",
            (
                "Transfer {amount} from account {account} to the main account of {owner}. Its number?",
                "Account {account} pays {owner} {amount} on the main account. Do it; which account got the money?",
            ),
            _pay_owner,
        ),
        TaskShape(
            4,
            "SELECT a.number AS first, b.number AS second, t.number AS target, 10 + a.number % 9 AS amount "
            "FROM account a, account b, account t WHERE a.number < b.number AND NOT a.locked AND NOT b.locked "
            "AND t.number NOT IN (a.number, b.number) AND a.balance <> b.balance",
            (
                "Transfer {amount} to {target} from account {first} or {second}, whichever has more. Its balance then?",
                "The richer of accounts {first} and {second} pays {amount} to {target}. What is left on it?",
            ),
            _from_richer,
        ),
        TaskShape(
            5,
            "SELECT owner FROM account GROUP BY 1 HAVING sum(locked) = 0 AND count(*) = 2 "
            "AND (max(balance) - min(balance)) % 2 = 0",
            (
                "Make the two accounts of {owner} equal by one transfer. How much?",
                "{owner} wants the same balance on both accounts: transfer what it takes and say how much.",
            ),
            _level,
        ),
    ),
)
