"""A library: copies on shelves, members with limits and loans."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import BOOKS, PEOPLE, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    titles, members = sample(rng, BOOKS, size), sample(rng, PEOPLE, size)
    authors = [name + "son" for name in sample(rng, PEOPLE, max(3, size // 2))]
    loans = [(m, t, d) for m, t, d in zip(members[::2], titles, distinct(rng, size, 1, 29), strict=False)]
    lent = {title for _, title, _ in loans}
    return {
        "book": [
            (t, a, s, int(t not in lent) + rng.randint(0, 2))
            for t, a, s in zip(titles, spread(rng, authors, size), ids(rng, size), strict=True)
        ],
        "member": [
            (m, rng.randint(2, 4), f) for m, f in zip(members, distinct(rng, size, 10, 90), strict=True)
        ],
        "loan": loans,
    }


LIBRARY = DomainSpec(
    name="library",
    tables={
        "book": "title TEXT PRIMARY KEY, author TEXT, shelf INTEGER, copies INTEGER",
        "member": 'name TEXT PRIMARY KEY, "limit" INTEGER, fine INTEGER',
        "loan": "member TEXT, book TEXT, due INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool("book_shelf", "book", "shelf of a book", "SELECT shelf FROM book WHERE title = :book"),
        query_tool("book_author", "book", "author of a book", "SELECT author FROM book WHERE title = :book"),
        query_tool(
            "book_copies",
            "book",
            "number of copies left of a book",
            "SELECT copies FROM book WHERE title = :book",
        ),
        query_tool(
            "member_book",
            "member",
            "book borrowed by a member",
            "SELECT book FROM loan WHERE member = :member",
        ),
        query_tool(
            "member_fine",
            "member",
            "fine of a member",
            "SELECT fine FROM member WHERE name = :member",
        ),
        query_tool(
            "books_by",
            "author",
            "books by an author",
            "SELECT title FROM book WHERE author = :author ORDER BY 1",
            "column",
        ),
        update_tool(
            "borrow",
            "member book",
            "lend a member a book",
            [
                ("SELECT 1 FROM member WHERE name = :member", "there is no member {member}"),
                ("SELECT 1 FROM book WHERE title = :book AND copies > 0", "no copies of {book} are left"),
                (
                    'SELECT 1 FROM member WHERE name = :member AND "limit" > (SELECT '
                    "count(*) FROM loan WHERE member = :member)",
                    "{member} may not borrow more books",
                ),
            ],
            [
                "INSERT INTO loan VALUES (:member, :book, 30)",
                "UPDATE book SET copies = copies - 1 WHERE title = :book",
            ],
        ),
        update_tool(
            "give_back",
            "member book",
            "take back a book from a member",
            [
                (
                    "SELECT 1 FROM loan WHERE member = :member AND book = :book",
                    "{member} has not borrowed {book}",
                )
            ],
            [
                "DELETE FROM loan WHERE member = :member AND book = :book",
                "UPDATE book SET copies = copies + 1 WHERE title = :book",
            ],
        ),
    ),
)


@LIBRARY.task(
    1,
    "SELECT title AS book FROM book",
    "On which shelf is the book {book}?",
    "Which shelf is {book} on?",
)
def shelf(tools: Tools, book: str) -> int:
    return tools.book_shelf(book=book)


@LIBRARY.task(
    1,
    "SELECT title AS book FROM book",
    "Who is the author of the book {book}?",
    "Which author wrote {book}?",
)
def author(tools: Tools, book: str) -> str:
    return tools.book_author(book=book)


@LIBRARY.task(
    1,
    "SELECT name AS member FROM member",
    "How high is the fine of member {member}?",
    "How much is the fine that {member} has to pay?",
)
def fine(tools: Tools, member: str) -> int:
    return tools.member_fine(member=member)


@LIBRARY.task(
    2,
    "SELECT member FROM loan",
    "Who is the author of the book borrowed by {member}?",
    "Which author wrote the book that {member} has borrowed?",
)
def loan_author(tools: Tools, member: str) -> str:
    return tools.book_author(book=tools.member_book(member=member))


@LIBRARY.task(
    2,
    "SELECT member FROM loan",
    "On which shelf does the book borrowed by {member} belong?",
    "Which shelf does {member}'s book go back on?",
)
def loan_shelf(tools: Tools, member: str) -> int:
    return tools.book_shelf(book=tools.member_book(member=member))


@LIBRARY.task(
    3,
    "SELECT member FROM loan",
    "Take back the book borrowed by {member}. Which shelf does it go on?",
    "{member} has brought a book back. Take it back and tell me its shelf.",
)
def give_back(tools: Tools, member: str) -> int:
    book = tools.member_book(member=member)
    tools.give_back(member=member, book=book)
    return tools.book_shelf(book=book)


@LIBRARY.task(
    3,
    "SELECT name AS member, title AS book FROM member, book WHERE copies > 0 "
    "AND NOT EXISTS (SELECT 1 FROM loan WHERE member = name AND book = title)",
    "Lend {member} the book {book}. How many copies are left?",
    "{member} wants to borrow {book}. Lend it and tell me how many copies are left.",
)
def borrow(tools: Tools, member: str, book: str) -> int:
    tools.borrow(member=member, book=book)
    return tools.book_copies(book=book)


@LIBRARY.task(
    4,
    "SELECT member, title AS book FROM loan, book WHERE title <> book",
    "Take back {member}'s book, then lend {member} the book {book} if a copy is left. Which book came back?",
    "{member} wants to exchange the borrowed book for {book}. Take back the old one, and lend {book} if a copy is "
    "left. Which book came back?",
)
def swap(tools: Tools, member: str, book: str) -> str:
    old = tools.member_book(member=member)
    tools.give_back(member=member, book=old)
    if tools.book_copies(book=book) > 0:
        tools.borrow(member=member, book=book)
    return old


@LIBRARY.task(
    4,
    "SELECT name AS member, author FROM member, book WHERE name NOT IN (SELECT member FROM loan) GROUP BY 1, 2 "
    "HAVING count(*) > 1 AND count(DISTINCT copies) = count(*)",
    "Lend {member} the book by {author} with the most copies left. Which book is it?",
    "{member} would like something by {author}. Lend the book with the most copies left and tell me its title.",
)
def any_by(tools: Tools, member: str, author: str) -> str:
    most = max([[tools.book_copies(book=b), b] for b in tools.books_by(author=author)])
    tools.borrow(member=member, book=most[1])
    return most[1]
