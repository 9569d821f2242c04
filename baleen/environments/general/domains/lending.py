"""A library with copies and limits; a gym with plans, classes and coaches."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import PEOPLE, different, ids, some, spread

BOOKS = (
    "Atlas Beacon Comet Delta Echoes Falcon Glacier Horizon Island Jungle Kraken Lantern Meadow Nebula Oasis Pilgrim "
    "Quarry Raven Saga Tundra"
).split()
CLASSES = "yoga boxing rowing spin dance judo pilates karate swim climb stretch squash".split()


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
        "member": [(m, rng.randint(2, 4), f) for m, f in zip(members, different(rng, size, 10, 90), strict=True)],
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
        look("books_by", "author", "books by an author", "SELECT title FROM book WHERE author = :author ORDER BY 1", "column"),
        change(
            "borrow", "member book", "lend a book to a member",
            [
                ("SELECT 1 FROM member WHERE name = :member", "no member {member}"),
                ("SELECT 1 FROM book WHERE title = :book AND copies > 0", "no copy of {book} left"),
                ('SELECT 1 FROM member WHERE name = :member AND "limit" > (SELECT count(*) FROM loan WHERE member = :member)',
                 "{member} has reached the limit"),
            ],
            [
                "INSERT INTO loan VALUES (:member, :book, 30)",
                "UPDATE book SET copies = copies - 1 WHERE title = :book",
            ],
        ),
        change(
            "give_back", "member book", "take a book back",
            [("SELECT 1 FROM loan WHERE member = :member AND book = :book", "{member} has not borrowed {book}")],
            [
                "DELETE FROM loan WHERE member = :member AND book = :book",
                "UPDATE book SET copies = copies + 1 WHERE title = :book",
            ],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT title AS book FROM book", ("Shelf of book {book}?", "On which shelf is book {book}?"), _shelf),
        TaskShape(1, "SELECT title AS book FROM book", ("Author of book {book}?", "Which author wrote {book}?"), _author),
        TaskShape(
            1, "SELECT name AS member FROM member", ("Fine of member {member}?", "What fine must {member} pay?"), _fine
        ),
        TaskShape(
            2, "SELECT member FROM loan",
            ("Author of the book that member {member} has?", "Which author does {member} read? See the book."), _loan_author,
        ),
        TaskShape(
            2, "SELECT member FROM loan",
            ("Shelf of the book that {member} has?", "Where does the book of member {member} belong? Give the shelf."),
            _loan_shelf,
        ),
        TaskShape(
            3, "SELECT member FROM loan",
            (
                "Take back the book of {member}. Which shelf?",
                "{member} brings the borrowed book: take it back and say to which shelf it goes.",
            ),
            _give_back,
        ),
        TaskShape(
            3, "SELECT name AS member, title AS book FROM member, book WHERE copies > 0 "
            "AND NOT EXISTS (SELECT 1 FROM loan WHERE member = name AND book = title)",
            ("Lend book {book} to {member}. Copies left?", "{member} takes {book}. How many copies are left then?"), _borrow,
        ),
        TaskShape(
            4, "SELECT member, title AS book FROM loan, book WHERE title <> book",
            (
                "Take back the book of {member} and, if a copy is left, lend {book}. Which book came back?",
                "{member} returns the borrowed book for {book}, if there is a copy. Do it and name the book returned.",
            ),
            _swap,
        ),
        TaskShape(
            4, "SELECT name AS member, author FROM member, book WHERE name NOT IN (SELECT member FROM loan) GROUP BY 1, 2 "
            "HAVING count(*) > 1 AND count(DISTINCT copies) = count(*)",
            (
                "Lend {member} the book by {author} with most copies left. Which?",
                "{member} wants something by {author}: lend the one with the most copies and give its title.",
            ),
            _any_by,
        ),
    ),
)  # fmt: skip


def _fill_gym(rng: random.Random, size: int) -> Rows:
    members, coaches = some(rng, PEOPLE, size + 3)[:size], [f"Coach{n}" for n in ids(rng, 3)]
    classes, plans = some(rng, CLASSES, max(4, size // 2)), ["basic", "plus", "gold"]
    return {
        "plan": [(p, price, n) for p, price, n in zip(plans, sorted(different(rng, 3, 20, 90)), (1, 2, 4), strict=True)],
        "member": [(m, p) for m, p in zip(members, spread(rng, plans, size), strict=True)],
        "class": [
            (c, k, hour, places)
            for c, k, hour, places in zip(
                classes, spread(rng, coaches, len(classes)), different(rng, len(classes), 6, 22),
                spread(rng, [0, 1, 2, 3, 5], len(classes)), strict=True,
            )
        ],
        "joined": [(m, c) for m, c in zip(members[: size // 2], spread(rng, classes, size // 2), strict=True)],
    }  # fmt: skip


def _hour(tools: Tools, sport: str) -> int:
    return tools.class_hour(sport=sport)


def _coach(tools: Tools, sport: str) -> str:
    return tools.class_coach(sport=sport)


def _fee(tools: Tools, member: str) -> int:
    return tools.plan_fee(plan=tools.member_plan(member=member))


def _member_hour(tools: Tools, member: str) -> int:
    return tools.class_hour(sport=tools.member_class(member=member))


def _join(tools: Tools, member: str, sport: str) -> int:
    tools.join(member=member, sport=sport)
    return tools.class_hour(sport=sport)


def _upgrade(tools: Tools, member: str, plan: str) -> int:
    before = tools.plan_fee(plan=tools.member_plan(member=member))
    tools.set_plan(member=member, plan=plan)
    return tools.plan_fee(plan=plan) - before


def _first_free(tools: Tools, member: str, coach: str) -> str:
    free = [[tools.class_hour(sport=s), s] for s in tools.coach_classes(coach=coach) if tools.class_places(sport=s) > 0]
    tools.join(member=member, sport=min(free)[1])
    return min(free)[1]


_CAN_JOIN = (
    "(SELECT classes FROM member JOIN plan ON plan = plan.name WHERE member.name = m.name) > "
    "(SELECT count(*) FROM joined WHERE member = m.name)"
)

GYM = DomainSpec(
    name="gym",
    tables={
        "plan": "name TEXT PRIMARY KEY, fee INTEGER, classes INTEGER",
        "member": "name TEXT PRIMARY KEY, plan TEXT",
        "class": "sport TEXT PRIMARY KEY, coach TEXT, hour INTEGER, places INTEGER",
        "joined": "member TEXT, sport TEXT",
    },
    fill=_fill_gym,
    tools=(
        look("class_hour", "sport", "hour of a class", "SELECT hour FROM class WHERE sport = :sport"),
        look("class_coach", "sport", "coach of a class", "SELECT coach FROM class WHERE sport = :sport"),
        look("class_places", "sport", "places left in a class", "SELECT places FROM class WHERE sport = :sport"),
        look("coach_classes", "coach", "classes of a coach", "SELECT sport FROM class WHERE coach = :coach ORDER BY 1", "column"),
        look("member_plan", "member", "plan of a member", "SELECT plan FROM member WHERE name = :member"),
        look("member_class", "member", "class of a member", "SELECT sport FROM joined WHERE member = :member"),
        look("plan_fee", "plan", "monthly fee of a plan", "SELECT fee FROM plan WHERE name = :plan"),
        change(
            "join", "member sport", "put a member in a class",
            [
                ("SELECT 1 FROM member WHERE name = :member", "no member {member}"),
                ("SELECT 1 FROM class WHERE sport = :sport AND places > 0", "no place left in {sport}"),
                ("SELECT 1 FROM member m WHERE name = :member AND " + _CAN_JOIN, "the plan of {member} allows no more"),
            ],
            ["INSERT INTO joined VALUES (:member, :sport)", "UPDATE class SET places = places - 1 WHERE sport = :sport"],
        ),
        change(
            "set_plan", "member plan", "change the plan of a member",
            [
                ("SELECT 1 FROM member WHERE name = :member", "no member {member}"),
                ("SELECT 1 FROM plan WHERE name = :plan", "no plan {plan}"),
            ],
            ["UPDATE member SET plan = :plan WHERE name = :member"],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT sport FROM class", ("Hour of the {sport} class?", "At what hour is class {sport}?"), _hour),
        TaskShape(1, "SELECT sport FROM class", ("Coach of the {sport} class?", "Which coach gives {sport}?"), _coach),
        TaskShape(
            2, "SELECT name AS member FROM member",
            ("Fee of the plan of {member}?", "What fee does member {member} pay a month for the plan?"), _fee,
        ),
        TaskShape(
            2, "SELECT member FROM joined",
            ("Hour of the class of {member}?", "At what hour does member {member} have class?"), _member_hour,
        ),
        TaskShape(
            3, "SELECT m.name AS member, sport FROM member m, class WHERE places > 0 AND NOT EXISTS "
            f"(SELECT 1 FROM joined j WHERE j.member = m.name AND j.sport = class.sport) AND {_CAN_JOIN}",
            ("Put {member} in the {sport} class. Its hour?", "{member} joins {sport}. Do it; at what hour is it?"), _join,
        ),
        TaskShape(
            4, "SELECT m.name AS member, p.name AS plan FROM member m, plan p, plan old "
            "WHERE old.name = m.plan AND p.fee > old.fee",
            (
                "Change the plan of {member} to {plan}. How much more is the fee?",
                "{member} moves up to plan {plan}: change it. By how much does the fee grow?",
            ),
            _upgrade,
        ),
        TaskShape(
            4, "SELECT m.name AS member, coach FROM member m, class WHERE places > 0 "
            f"AND m.name NOT IN (SELECT member FROM joined) AND {_CAN_JOIN} GROUP BY 1, 2 HAVING count(*) > 1",
            (
                "Put {member} in the earliest class of {coach} with a place left. Which?",
                "{member} wants the first class of {coach} in the day that is not full. Do it and name it.",
            ),
            _first_free,
        ),
    ),
)  # fmt: skip
