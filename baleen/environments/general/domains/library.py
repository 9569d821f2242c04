"""A library: copies on shelves, members with limits and loans."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import BOOKS, PEOPLE, different, ids, some, spread


def _fill_library(rng: random.Random, size: int) -> Rows:
    titles, members = some(rng, BOOKS, size), some(rng, PEOPLE, size)
    authors = [name + "son" for name in some(rng, PEOPLE, max(3, size // 2))]
    loans = [(m, t, d) for m, t, d in zip(members[::2], titles, different(rng, size, 1, 29), strict=False)]
    lent = {title for _, title, _ in loans}
    return {
        "book": [
            (t, a, s, int(t not in lent) + rng.randint(0, 2))
            for t, a, s in zip(titles, spread(rng, authors, size), ids(rng, size), strict=True)
        ],
        "member": [
            (m, rng.randint(2, 4), f) for m, f in zip(members, different(rng, size, 10, 90), strict=True)
        ],
        "loan": loans,
    }


def _shelf(tools: Tools, book: str) -> int:
    return tools.book_shelf(book=book)


def _author(tools: Tools, book: str) -> str:
    return tools.book_author(book=book)


def _fine(tools: Tools, member: str) -> int:
    return tools.member_fine(member=member)


def _loan_author(tools: Tools, member: str) -> str:
    return tools.book_author(book=tools.member_book(member=member))


def _loan_shelf(tools: Tools, member: str) -> int:
    return tools.book_shelf(book=tools.member_book(member=member))


def _give_back(tools: Tools, member: str) -> int:
    book = tools.member_book(member=member)
    tools.give_back(member=member, book=book)
    return tools.book_shelf(book=book)


def _borrow(tools: Tools, member: str, book: str) -> int:
    tools.borrow(member=member, book=book)
    return tools.book_copies(book=book)


def _swap(tools: Tools, member: str, book: str) -> str:
    old = tools.member_book(member=member)
    tools.give_back(member=member, book=old)
    if tools.book_copies(book=book) > 0:
        tools.borrow(member=member, book=book)
    return old


def _any_by(tools: Tools, member: str, author: str) -> str:
    most = max([[tools.book_copies(book=b), b] for b in tools.books_by(author=author)])
    tools.borrow(member=member, book=most[1])
    return most[1]


LIBRARY = DomainSpec(
    name="library",
    tables={
        "book": "title TEXT PRIMARY KEY, author TEXT, shelf INTEGER, copies INTEGER",
        "member": 'name TEXT PRIMARY KEY, "limit" INTEGER, fine INTEGER',
        "loan": "member TEXT, book TEXT, due INTEGER",
    },
    fill=_fill_library,
    tools=(
        look("book_shelf", "book", "shelf of a book", "SELECT shelf FROM book WHERE title = :book"),
        look("book_author", "book", "author of a book", "SELECT author FROM book WHERE title = :book"),
        look("book_copies", "book", "copies left of a book", "SELECT copies FROM book WHERE title = :book"),
        look("member_book", "member", "book a member has", "SELECT book FROM loan WHERE member = :member"),
        look("member_fine", "member", "fine of a member", "SELECT fine FROM member WHERE name = :member"),
        look(
            "books_by",
            "author",
            "books by an author",
            "SELECT title FROM book WHERE author = :author ORDER BY 1",
            "column",
        ),
        change(
            "borrow",
            "member book",
            "lend a book to a member",
            [
                ("SELECT 1 FROM member WHERE name = :member", "no member {member}"),
                ("SELECT 1 FROM book WHERE title = :book AND copies > 0", "no copy of {book} left"),
                (
                    'SELECT 1 FROM member WHERE name = :member AND "limit" > (SELECT '
                    "count(*) FROM loan WHERE member = :member)",
                    "{member} has reached the limit",
                ),
            ],
            [
                "INSERT INTO loan VALUES (:member, :book, 30)",
                "UPDATE book SET copies = copies - 1 WHERE title = :book",
            ],
        ),
        change(
            "give_back",
            "member book",
            "take a book back",
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
    shapes=(
        TaskShape(
            1,
            "SELECT title AS book FROM book",
            ("Shelf of book {book}?", "On which shelf is book {book}?"),
            _shelf,
        ),
        TaskShape(
            1,
            "SELECT title AS book FROM book",
            ("Author of book {book}?", "Which author wrote {book}?"),
            _author,
        ),
        TaskShape(
            1,
            "SELECT name AS member FROM member",
            ("Fine of member {member}?", "What fine must {member} pay?"),
            _fine,
        ),
        TaskShape(
            2,
            "SELECT member FROM loan",
            (
                "Author of the book that member {member} has?",
                "Which author does {member} read? See the book.",
            ),
            _loan_author,
        ),
        TaskShape(
            2,
            "SELECT member FROM loan",
            (
                "Shelf of the book that {member} has?",
                "Where does the book of member {member} belong? Give the shelf.",
            ),
            _loan_shelf,
        ),
        TaskShape(
            3,
            "SELECT member FROM loan",
            (
                "Take back the book of {member}. Which shelf?",
                "{member} brings the borrowed book: take it back and say to which shelf it goes.",
            ),
            _give_back,
        ),
        TaskShape(
            3,
            "SELECT name AS member, title AS book FROM member, book WHERE copies > 0 "
            "AND NOT EXISTS (SELECT 1 FROM loan WHERE member = name AND book = title)",
            (
                "Lend book {book} to {member}. Copies left?",
                "{member} takes {book}. How many copies are left then?",
            ),
            _borrow,
        ),
        TaskShape(
            4,
            "SELECT member, title AS book FROM loan, book WHERE title <> book",
            (
                "Take back the book of {member} and, if a copy is left, lend {book}. Which book came back?",
                "{member} returns the borrowed book for {book}, if there is a copy. Do it and name the book returned.",
            ),
            _swap,
        ),
        TaskShape(
            4,
            "SELECT name AS member, author FROM member, book WHERE name NOT IN (SELECT member FROM loan) GROUP BY 1, 2 "
            "HAVING count(*) > 1 AND count(DISTINCT copies) = count(*)",
            (
                "Lend {member} the book by {author} with most copies left. Which?",
                "{member} wants something by {author}: lend the one with the most copies and give its title.",
            ),
            _any_by,
        ),
    ),
)
