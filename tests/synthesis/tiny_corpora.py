"""Small corpora in the formats of the real ones: WordNet's data files, a Packages file, a folder of documents."""

import json
import random
from pathlib import Path

_SYLLABLES = ("ba", "do", "fe", "gi", "ka", "lu", "me", "no", "pra", "ri", "sto", "ta", "ve", "zu")
_ADJECTIVES = (
    "ancient",
    "busy",
    "crooked",
    "drowsy",
    "earnest",
    "famous",
    "gentle",
    "hidden",
    "lonely",
    "mighty",
)
_NOUNS = (
    ("amber", "barley", "candles", "drums", "eels", "foxes", "gardens", "herons", "ivory", "juniper", "kites")
    + (
        "lanterns",
        "marble",
        "nettles",
        "organs",
        "pearls",
        "quarries",
        "ravens",
        "saffron",
        "tulips",
        "umbrellas",
    )
    + ("vineyards", "walnuts", "yarn")
)


class _Names:
    """Made-up names and descriptions, none of them twice."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._used: set[str] = set()

    def name(self) -> str:
        while True:
            name = "".join(self.rng.choice(_SYLLABLES) for _ in range(3)).capitalize()
            if name not in self._used:
                self._used.add(name)
                return name

    def clause(self) -> str:
        while True:
            one, two, three = self.rng.sample(_NOUNS, 3)
            clause = f"{self.rng.choice(_ADJECTIVES)} {one} and {two} beside {three}"
            if clause not in self._used:
                self._used.add(clause)
                return clause


def write_wordnet(folder: Path, towns: int = 40, people: int = 60) -> Path:
    """`data.noun` with countries, towns and rivers in them, and people who lived in the towns."""
    names = _Names(1)
    rng = names.rng
    lines: list[
        tuple[list[str], list[list[str]], str]
    ] = []  # words, pointers, gloss; a synset's id is its place

    def add(words: list[str], gloss: str, *pointers: tuple[str, int]) -> int:
        lines.append((words, [[symbol, str(to)] for symbol, to in pointers], gloss))
        return len(lines) - 1

    def is_part(part: int, whole: int) -> None:
        lines[part][1].append(["#p", str(whole)])
        lines[whole][1].append(["%p", str(part)])

    entity = add(["entity"], "that which is")
    location = add(["location"], "a point or extent in space", ("@", entity))
    person = add(["person"], "a human being", ("@", entity))
    kinds = {k: add([k], f"a kind of place, {k}", ("@", location)) for k in ("country", "town", "river")}
    trades = {t: add([t], f"somebody who is a {t}", ("@", person)) for t in ("poet", "painter", "composer")}
    add(["Polish"], "what shoes are polished with", ("@", entity))
    countries = []
    for _ in range(8):
        countries.append(add([names.name()], f"a country of {names.clause()}", ("@i", kinds["country"])))
    homes = []
    for i in range(towns):
        kind = "river" if i % 5 == 4 else "town"
        place = add([names.name()], f"a {kind} known for {names.clause()}", ("@i", kinds[kind]))
        is_part(place, rng.choice(countries))
        homes.append(place)
    for _ in range(people):
        trade = rng.choice(sorted(trades))
        home = lines[rng.choice(homes)][0][0]
        born = rng.randrange(1600, 1900)
        years = f"({born}-{born + rng.randrange(20, 90)})"
        family = names.name()
        gloss = f"{trade} who lived in {home} and praised {names.clause()} {years}"
        add([family, f"{names.name()}_{family}"], gloss, ("@i", trades[trade]))
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["  1 A tiny file in the format of WordNet's."]
    for i, (words, pointers, gloss) in enumerate(lines):
        listed = " ".join(f"{word} 0" for word in words)
        shown = "".join(f" {symbol} {int(to) + 1:08} n 0000" for symbol, to in pointers)
        rows.append(f"{i + 1:08} 15 n {len(words):02x} {listed} {len(pointers):03}{shown} | {gloss}  ")
    (folder / "data.noun").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def write_packages(path: Path, count: int = 220) -> Path:
    """A Packages file of packages that depend on each other."""
    names = _Names(2)
    rng = names.rng
    keepers = [f"{names.name()} {names.name()}" for _ in range(count // 6)]
    packages = [f"lib{names.name().lower()}{rng.choice(['', '-dev', '-doc', '2'])}" for _ in range(count)]
    paragraphs = []
    for i, name in enumerate(packages):
        others = rng.sample([other for other in packages if other != name], 4)
        relations = [
            f"Depends: {others[0]} (>= 1.{i}), {others[1]} | {others[2]}",
            f"Recommends: {others[3]}",
        ]
        tags = rng.sample(["role::library", "role::program", "use::editing", "use::viewing"], 2)
        paragraphs.append(
            "\n".join(
                [
                    f"Package: {name}",
                    f"Maintainer: {rng.choice(keepers)} <nobody@example.org>",
                    "Architecture: " + rng.choice(["all", "amd64"]),
                    f"Installed-Size: {rng.randrange(20, 90000)}",
                    *relations[: rng.choice([1, 2])],
                    f"Description: {names.clause()} for the {rng.choice(_ADJECTIVES)} desktop",
                    f"Tag: {tags[0]},",
                    f" {tags[1]}",
                    "Section: " + rng.choice(["admin", "games", "libs", "net", "text"]),
                    "Priority: optional",
                ]
            )
        )
    path.write_text("\n\n".join(paragraphs) + "\n", encoding="utf-8")
    return path


def write_documents(path: Path, count: int = 80) -> Path:
    """A JSONL of documents that mention each other; with a folder as `path`, text files."""
    names = _Names(3)
    titles = [f"{names.name()} {names.name()}" for _ in range(count)]
    rows = []
    for title in titles:
        others = names.rng.sample([other for other in titles if other != title], 2)
        text = (
            f"A place of {names.clause()}. It was founded from {others[0]}, and it trades with {others[1]}."
        )
        rows.append({"title": title, "text": text})
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    else:
        path.mkdir(parents=True)
        for row in rows:
            (path / f"{row['title'].replace(' ', '_')}.txt").write_text(row["text"], encoding="utf-8")
    return path
