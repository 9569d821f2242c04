"""A bank: accounts, owners, branches, transfers with preconditions."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import PEOPLE, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    owners, branches = sample(rng, PEOPLE, size), [f"North{n}" for n in ids(rng, 3)]
    numbers, balances = ids(rng, 2 * size, 100, 1000), distinct(rng, 2 * size, 20, 900, 2)
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
            (b, m, f)
            for b, m, f in zip(branches, sample(rng, PEOPLE, 3), distinct(rng, 3, 1, 9), strict=True)
        ],
    }


BANK = DomainSpec(
    name="bank",
    tables={
        "owner": "name TEXT PRIMARY KEY, branch TEXT, phone INTEGER",
        "account": "number INTEGER PRIMARY KEY, owner TEXT, kind TEXT, balance INTEGER, locked INTEGER",
        "branch": "name TEXT PRIMARY KEY, manager TEXT, fee INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool(
            "balance",
            "account:int",
            "balance of an account",
            "SELECT balance FROM account WHERE number = :account",
        ),
        query_tool(
            "account_owner",
            "account:int",
            "owner of an account",
            "SELECT owner FROM account WHERE number = :account",
        ),
        query_tool(
            "owner_phone",
            "owner",
            "phone number of an owner",
            "SELECT phone FROM owner WHERE name = :owner",
        ),
        query_tool(
            "owner_branch", "owner", "branch of an owner", "SELECT branch FROM owner WHERE name = :owner"
        ),
        query_tool(
            "branch_manager",
            "branch",
            "manager of a branch",
            "SELECT manager FROM branch WHERE name = :branch",
        ),
        query_tool(
            "main_account",
            "owner",
            "main account of an owner",
            "SELECT number FROM account WHERE owner = :owner AND kind = 'main'",
        ),
        query_tool(
            "accounts_of",
            "owner",
            "all accounts of an owner",
            "SELECT number FROM account WHERE owner = :owner ORDER BY 1",
            "column",
        ),
        update_tool(
            "deposit",
            "account:int amount:int",
            "deposit an amount into an account",
            [
                ("SELECT 1 FROM account WHERE number = :account", "there is no account {account}"),
                ("SELECT 1 WHERE :amount > 0", "the amount must be greater than 0"),
            ],
            ["UPDATE account SET balance = balance + :amount WHERE number = :account"],
        ),
        update_tool(
            "transfer",
            "source:int target:int amount:int",
            "transfer an amount between two accounts",
            [
                (
                    "SELECT 1 WHERE :amount > 0 AND :source <> :target",
                    "the amount must be greater than 0 and the accounts must differ",
                ),
                ("SELECT 1 FROM account WHERE number = :target", "there is no account {target}"),
                (
                    "SELECT 1 FROM account WHERE number = :source AND NOT locked",
                    "account {source} is locked or does not exist",
                ),
                (
                    "SELECT 1 FROM account WHERE number = :source AND balance >= :amount",
                    "the balance of account {source} is too low",
                ),
            ],
            [
                "UPDATE account SET balance = balance - :amount WHERE number = :source",
                "UPDATE account SET balance = balance + :amount WHERE number = :target",
            ],
        ),
    ),
)


@BANK.task(
    1,
    "SELECT number AS account FROM account",
    "What is the balance of account {account}?",
    "How much money is in account {account}?",
)
def balance(tools: Tools, account: int) -> int:
    return tools.balance(account=account)


@BANK.task(
    1,
    "SELECT name AS owner FROM owner",
    "What is {owner}'s phone number?",
    "Which phone number do we have for {owner}?",
)
def phone(tools: Tools, owner: str) -> int:
    return tools.owner_phone(owner=owner)


@BANK.task(
    2,
    "SELECT number AS account FROM account",
    "What is the phone number of the owner of account {account}?",
    "Which phone number do we have for the owner of account {account}?",
)
def account_phone(tools: Tools, account: int) -> int:
    return tools.owner_phone(owner=tools.account_owner(account=account))


@BANK.task(
    2,
    "SELECT name AS owner FROM owner",
    "Who is the manager of {owner}'s branch?",
    "Who manages the branch where {owner} banks?",
)
def manager(tools: Tools, owner: str) -> str:
    return tools.branch_manager(branch=tools.owner_branch(owner=owner))


@BANK.task(
    3,
    "SELECT number AS account, 5 + number % 60 AS amount FROM account",
    "Deposit {amount} into account {account}. What is the new balance?",
    "Please deposit {amount} into account {account} and tell me the new balance.",
)
def pay_in(tools: Tools, account: int, amount: int) -> int:
    tools.deposit(account=account, amount=amount)
    return tools.balance(account=account)


@BANK.task(
    3,
    "SELECT number AS account, name AS owner, 3 + number % 15 AS amount FROM account, owner "
    "WHERE owner <> name AND NOT locked",
    "Transfer {amount} from account {account} to {owner}'s main account. Which account is that?",
    "Send {amount} from account {account} to the main account of {owner}. What is its number?",
)
def pay_owner(tools: Tools, account: int, owner: str, amount: int) -> int:
    target = tools.main_account(owner=owner)
    tools.transfer(source=account, target=target, amount=amount)
    return target


@BANK.task(
    4,
    "SELECT a.number AS first, b.number AS second, t.number AS target, 10 + a.number % 9 AS amount "
    "FROM account a, account b, account t WHERE a.number < b.number AND NOT a.locked AND NOT b.locked "
    "AND t.number NOT IN (a.number, b.number) AND a.balance <> b.balance",
    "Transfer {amount} to account {target} from account {first} or account {second}, whichever has the higher "
    "balance. What is the balance of that account now?",
    "Of accounts {first} and {second}, take the one with more money and transfer {amount} from it to account "
    "{target}. How much is left in it?",
)
def from_richer(tools: Tools, first: int, second: int, target: int, amount: int) -> int:
    chosen = first if tools.balance(account=first) > tools.balance(account=second) else second
    tools.transfer(source=chosen, target=target, amount=amount)
    return tools.balance(account=chosen)


@BANK.task(
    5,
    "SELECT owner FROM account GROUP BY 1 HAVING sum(locked) = 0 AND count(*) = 2 "
    "AND (max(balance) - min(balance)) % 2 = 0",
    "Make the balances of {owner}'s two accounts equal with a single transfer. How much did you transfer?",
    "{owner} wants the same balance in both accounts. Make the one transfer that is needed and tell me the amount.",
)
def level(tools: Tools, owner: str) -> int:
    accounts = tools.accounts_of(owner=owner)
    low, high = sorted([[tools.balance(account=a), a] for a in accounts])
    amount = (high[0] - low[0]) // 2
    tools.transfer(source=high[1], target=low[1], amount=amount)
    return amount
