"""A hotel chain: rooms with beds and prices, bookings of guests."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import CITIES, HOTELS, PEOPLE, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    hotels, cities = sample(rng, HOTELS, max(3, size // 2)), sample(rng, CITIES, max(2, size // 4))
    rooms, prices = ids(rng, 2 * size), distinct(rng, 2 * size, 40, 250)
    guests = sample(rng, PEOPLE, size)
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


HOTEL = DomainSpec(
    name="hotel",
    tables={
        "hotel": "name TEXT PRIMARY KEY, city TEXT, stars INTEGER",
        "room": "id INTEGER PRIMARY KEY, hotel TEXT, beds INTEGER, price INTEGER, free INTEGER",
        "booking": "id INTEGER PRIMARY KEY, room INTEGER, guest TEXT, nights INTEGER, state TEXT",
        "guest": "name TEXT PRIMARY KEY",
    },
    fill=_fill,
    tools=(
        query_tool("room_price", "room:int", "price of a room", "SELECT price FROM room WHERE id = :room"),
        query_tool("room_hotel", "room:int", "hotel of a room", "SELECT hotel FROM room WHERE id = :room"),
        query_tool("hotel_city", "hotel", "city of a hotel", "SELECT city FROM hotel WHERE name = :hotel"),
        query_tool("hotel_stars", "hotel", "stars of a hotel", "SELECT stars FROM hotel WHERE name = :hotel"),
        query_tool(
            "hotels_in",
            "city",
            "hotels in a city",
            "SELECT name FROM hotel WHERE city = :city ORDER BY 1",
            "column",
        ),
        query_tool(
            "free_rooms",
            "hotel",
            "free rooms of a hotel",
            "SELECT id AS room, beds, price FROM room WHERE hotel = :hotel AND free ORDER BY id",
            "rows",
        ),
        query_tool(
            "guest_booking",
            "guest",
            "booking of a guest",
            "SELECT id FROM booking WHERE guest = :guest AND state = 'held'",
        ),
        query_tool(
            "guest_room",
            "guest",
            "room of a guest",
            "SELECT room FROM booking WHERE guest = :guest AND state = 'held'",
        ),
        update_tool(
            "book",
            "room:int guest nights:int",
            "book a free room for a guest",
            [
                ("SELECT 1 FROM room WHERE id = :room AND free", "room {room} is not free"),
                ("SELECT 1 FROM guest WHERE name = :guest", "there is no guest {guest}"),
                ("SELECT 1 WHERE :nights BETWEEN 1 AND 30", "nights must be from 1 to 30"),
            ],
            [
                "INSERT INTO booking SELECT max(id) + 1, :room, :guest, :nights, 'held' FROM booking",
                "UPDATE room SET free = 0 WHERE id = :room",
            ],
            "SELECT max(id) FROM booking",
        ),
        update_tool(
            "cancel",
            "booking:int",
            "cancel a booking and return its room",
            [
                (
                    "SELECT 1 FROM booking WHERE id = :booking AND state = 'held'",
                    "there is no booking {booking}",
                )
            ],
            [
                "UPDATE room SET free = 1 WHERE id = (SELECT room FROM booking WHERE id = :booking)",
                "UPDATE booking SET state = 'canceled' WHERE id = :booking",
            ],
            "SELECT room FROM booking WHERE id = :booking",
        ),
    ),
)

_NEW_GUEST = "SELECT name AS guest FROM guest WHERE name NOT IN (SELECT guest FROM booking)"


@HOTEL.task(
    1,
    "SELECT id AS room FROM room",
    "What is the price of room {room}?",
    "How much does room {room} cost?",
)
def room_price(tools: Tools, room: int) -> int:
    return tools.room_price(room=room)


@HOTEL.task(
    1,
    "SELECT name AS hotel FROM hotel",
    "How many stars does hotel {hotel} have?",
    "What is the star rating of hotel {hotel}?",
)
def hotel_stars(tools: Tools, hotel: str) -> int:
    return tools.hotel_stars(hotel=hotel)


@HOTEL.task(
    2,
    "SELECT id AS room FROM room",
    "In which city is the hotel of room {room}?",
    "Which city is room {room} in?",
)
def room_city(tools: Tools, room: int) -> str:
    return tools.hotel_city(hotel=tools.room_hotel(room=room))


@HOTEL.task(
    2,
    "SELECT guest FROM booking",
    "What is the price of {guest}'s room?",
    "How much does {guest} pay per night?",
)
def guest_price(tools: Tools, guest: str) -> int:
    return tools.room_price(room=tools.guest_room(guest=guest))


@HOTEL.task(
    3,
    "SELECT guest FROM booking",
    "Cancel {guest}'s booking. Which room was it for?",
    "{guest} cannot come. Cancel the booking and tell me the room.",
)
def leave(tools: Tools, guest: str) -> int:
    return tools.cancel(booking=tools.guest_booking(guest=guest))


@HOTEL.task(
    3,
    f"SELECT id AS room, guest, 2 + id % 5 AS nights FROM room, ({_NEW_GUEST}) WHERE free",
    "Book room {room} for {guest} for {nights} nights. What is the total price?",
    "{guest} wants room {room} for {nights} nights. Book it and tell me the total price.",
)
def stay_cost(tools: Tools, room: int, guest: str, nights: int) -> int:
    price = tools.room_price(room=room)
    tools.book(room=room, guest=guest, nights=nights)
    return price * nights


@HOTEL.task(
    4,
    "SELECT DISTINCT hotel, beds, guest FROM room, "
    f"({_NEW_GUEST}) WHERE free AND hotel IN (SELECT hotel FROM room WHERE "
    f"free GROUP BY 1 HAVING count(*) > 1)",
    "Book {guest} the cheapest free room in hotel {hotel} with {beds} or more beds, for 1 night. What is its price?",
    "{guest} needs a room with {beds} or more beds in hotel {hotel} for 1 night. Book the cheapest one that is free. "
    "How much does it cost?",
)
def cheapest(tools: Tools, hotel: str, beds: int, guest: str) -> int:
    fitting = [[r["price"], r["room"]] for r in tools.free_rooms(hotel=hotel) if r["beds"] >= beds]
    tools.book(room=min(fitting)[1], guest=guest, nights=1)
    return min(fitting)[0]


@HOTEL.task(
    5,
    "SELECT DISTINCT city, beds, guest, 2 + beds AS nights FROM room JOIN hotel ON hotel = name, "
    f"({_NEW_GUEST}) WHERE free AND city IN (SELECT city FROM hotel GROUP BY 1 HAVING count(*) > 1)",
    "Book {guest} the cheapest free room in {city} with {beds} or more beds, for {nights} nights. "
    "What is the booking number?",
    "{guest} will spend {nights} nights in {city} and needs {beds} or more beds. Book the cheapest free room in any "
    "of the hotels there. What is the booking number?",
)
def cheapest_in_city(tools: Tools, city: str, beds: int, guest: str, nights: int) -> int:
    fitting = []
    for hotel in tools.hotels_in(city=city):
        for room in tools.free_rooms(hotel=hotel):
            if room["beds"] >= beds:
                fitting.append([room["price"], room["room"]])
    return tools.book(room=min(fitting)[1], guest=guest, nights=nights)
