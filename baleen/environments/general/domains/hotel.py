"""A hotel chain: rooms with beds and prices, bookings of guests."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import CITIES, HOTELS, PEOPLE, different, ids, some, spread


def _fill_hotels(rng: random.Random, size: int) -> Rows:
    hotels, cities = some(rng, HOTELS, max(3, size // 2)), some(rng, CITIES, max(2, size // 4))
    rooms, prices = ids(rng, 2 * size), different(rng, 2 * size, 40, 250)
    guests = some(rng, PEOPLE, size)
    taken = rooms[::2][: max(2, size // 2)]
    return {
        "hotel": [
            (h, c, rng.randint(1, 5)) for h, c in zip(hotels, spread(rng, cities, len(hotels)), strict=True)
        ],
        "room": [
            (r, h, rng.randint(1, 3), p, int(r not in taken))
            for r, h, p in zip(rooms, spread(rng, hotels, len(rooms)), prices, strict=True)
        ],
        "booking": [
            (b, r, g, rng.randint(1, 9), "held")
            for b, r, g in zip(ids(rng, len(taken), 100, 400), taken, guests, strict=False)
        ],
        "guest": [(g,) for g in guests],
    }


def _room_price(tools: Tools, room: int) -> int:
    return tools.room_price(room=room)


def _hotel_stars(tools: Tools, hotel: str) -> int:
    return tools.hotel_stars(hotel=hotel)


def _room_city(tools: Tools, room: int) -> str:
    return tools.hotel_city(hotel=tools.room_hotel(room=room))


def _guest_price(tools: Tools, guest: str) -> int:
    return tools.room_price(room=tools.guest_room(guest=guest))


def _leave(tools: Tools, guest: str) -> int:
    return tools.cancel(booking=tools.guest_booking(guest=guest))


def _stay_cost(tools: Tools, room: int, guest: str, nights: int) -> int:
    price = tools.room_price(room=room)
    tools.book(room=room, guest=guest, nights=nights)
    return price * nights


def _cheapest(tools: Tools, hotel: str, beds: int, guest: str) -> int:
    fitting = [[r["price"], r["room"]] for r in tools.free_rooms(hotel=hotel) if r["beds"] >= beds]
    tools.book(room=min(fitting)[1], guest=guest, nights=1)
    return min(fitting)[0]


def _cheapest_in_city(tools: Tools, city: str, beds: int, guest: str, nights: int) -> int:
    fitting = []
    for hotel in tools.hotels_in(city=city):
        for room in tools.free_rooms(hotel=hotel):
            if room["beds"] >= beds:
                fitting.append([room["price"], room["room"]])
    return tools.book(room=min(fitting)[1], guest=guest, nights=nights)


_NEW_GUEST = "SELECT name AS guest FROM guest WHERE name NOT IN (SELECT guest FROM booking)"

HOTEL = DomainSpec(
    name="hotel",
    tables={
        "hotel": "name TEXT PRIMARY KEY, city TEXT, stars INTEGER",
        "room": "id INTEGER PRIMARY KEY, hotel TEXT, beds INTEGER, price INTEGER, free INTEGER",
        "booking": "id INTEGER PRIMARY KEY, room INTEGER, guest TEXT, nights INTEGER, state TEXT",
        "guest": "name TEXT PRIMARY KEY",
    },
    fill=_fill_hotels,
    tools=(
        look("room_price", "room:int", "price of a room", "SELECT price FROM room WHERE id = :room"),
        look("room_hotel", "room:int", "hotel of a room", "SELECT hotel FROM room WHERE id = :room"),
        look("hotel_city", "hotel", "city of a hotel", "SELECT city FROM hotel WHERE name = :hotel"),
        look("hotel_stars", "hotel", "stars of a hotel", "SELECT stars FROM hotel WHERE name = :hotel"),
        look(
            "hotels_in",
            "city",
            "hotels in a city",
            "SELECT name FROM hotel WHERE city = :city ORDER BY 1",
            "column",
        ),
        look(
            "free_rooms",
            "hotel",
            "free rooms of a hotel",
            "SELECT id AS room, beds, price FROM room WHERE hotel = :hotel AND free ORDER BY id",
            "rows",
        ),
        look(
            "guest_booking",
            "guest",
            "booking of a guest",
            "SELECT id FROM booking WHERE guest = :guest AND state = 'held'",
        ),
        look(
            "guest_room",
            "guest",
            "room of a guest",
            "SELECT room FROM booking WHERE guest = :guest AND state = 'held'",
        ),
        change(
            "book",
            "room:int guest nights:int",
            "book a free room",
            [
                ("SELECT 1 FROM room WHERE id = :room AND free", "room {room} is not free"),
                ("SELECT 1 FROM guest WHERE name = :guest", "no guest {guest}"),
                ("SELECT 1 WHERE :nights BETWEEN 1 AND 30", "nights must be 1 to 30"),
            ],
            [
                "INSERT INTO booking SELECT max(id) + 1, :room, :guest, :nights, 'held' FROM booking",
                "UPDATE room SET free = 0 WHERE id = :room",
            ],
            "SELECT max(id) FROM booking",
        ),
        change(
            "cancel",
            "booking:int",
            "cancel a booking, gives its room",
            [("SELECT 1 FROM booking WHERE id = :booking AND state = 'held'", "no booking {booking}")],
            [
                "UPDATE room SET free = 1 WHERE id = (SELECT room FROM booking WHERE id = :booking)",
                "UPDATE booking SET state = 'cancelled' WHERE id = :booking",
            ],
            "SELECT room FROM booking WHERE id = :booking",
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT id AS room FROM room",
            ("Price of room {room}?", "What does room {room} cost?"),
            _room_price,
        ),
        TaskShape(
            1,
            "SELECT name AS hotel FROM hotel",
            ("Stars of hotel {hotel}?", "How many stars has hotel {hotel}?"),
            _hotel_stars,
        ),
        TaskShape(
            2,
            "SELECT id AS room FROM room",
            ("City of room {room}?", "In which city is room {room}?"),
            _room_city,
        ),
        TaskShape(
            2,
            "SELECT guest FROM booking",
            ("Price of the room of {guest}?", "What does the room of guest {guest} cost a night?"),
            _guest_price,
        ),
        TaskShape(
            3,
            "SELECT guest FROM booking",
            (
                "Cancel the booking of {guest}. Which room is it?",
                "{guest} cannot come: cancel. Give the room.",
            ),
            _leave,
        ),
        TaskShape(
            3,
            f"SELECT id AS room, guest, 2 + id % 5 AS nights FROM room, ({_NEW_GUEST}) WHERE free",
            (
                "Book room {room} for {guest}, {nights} nights. Total price?",
                "{guest} wants room {room} for {nights} nights: book it and say what they cost together.",
            ),
            _stay_cost,
        ),
        TaskShape(
            4,
            "SELECT DISTINCT hotel, beds, guest FROM room, "
            f"({_NEW_GUEST}) WHERE free AND hotel IN (SELECT hotel FROM room WHERE "
            f"free GROUP BY 1 HAVING count(*) > 1)",
            (
                "Book the cheapest free room with {beds} or more beds in hotel "
                "{hotel} for {guest}, 1 night. Its price?",
                "{guest} needs {beds} beds or more in hotel {hotel} for one night, "
                "as cheap as can be. Book; the price?",
            ),
            _cheapest,
        ),
        TaskShape(
            5,
            "SELECT DISTINCT city, beds, guest, 2 + beds AS nights FROM room JOIN hotel ON hotel = name, "
            f"({_NEW_GUEST}) WHERE free AND city IN (SELECT city FROM hotel GROUP BY 1 HAVING count(*) > 1)",
            (
                "Book {guest} the cheapest free room in {city} with {beds} or more beds for {nights} nights. "
                "Number of the booking?",
                "Which booking number does {guest} get for {nights} nights in the cheapest free room of all hotels in "
                "{city} that has at least {beds} beds? Book it.",
            ),
            _cheapest_in_city,
        ),
    ),
)
