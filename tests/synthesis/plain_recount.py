"""A slow twin of the search questions' truth: raw files into plain dictionaries, every entity tried one by one.

It shares no code with Baleen: neither its parsers nor its graph nor its SQL.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")


class Plain:
    """Facts of a corpus: (relation, subject) -> objects, (label, value) pairs, numbers and words of each entity."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.subjects: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.labels: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self.numbers: dict[str, list[tuple[str, float]]] = defaultdict(list)
        self.text: dict[str, str] = {}

    def add_edge(self, subject: str, relation: str, object_: str) -> None:
        self.objects[relation, subject].add(object_)
        self.subjects[relation, object_].add(subject)

    def answers(self, form: dict[str, Any]) -> set[str]:
        return {entity for entity in self.text if self.fits(entity, form)}

    def fits(self, entity: str, form: dict[str, Any]) -> bool:
        """Whether one entity meets every condition of a logical form."""
        if any(tuple(pair) not in self.labels[entity] for pair in form["labels"]):
            return False
        for attribute, low, high in form["numbers"]:
            if not any(name == attribute and low <= value <= high for name, value in self.numbers[entity]):
                return False
        words = self.text[entity]
        if any(f" {_plain(phrase)} " not in words for phrase in form["says"]):
            return False
        for link in form["links"]:
            others = (self.objects if link["forward"] else self.subjects)[link["relation"], entity]
            if not any(self.fits(other, link["to"]) for other in others if other in self.text):
                return False
        return True


def of_wordnet(folder: Path) -> Plain:
    """From data.noun and its siblings."""
    plain = Plain()
    words: dict[str, list[str]] = {}
    pointers: dict[str, list[tuple[str, str]]] = {}
    glosses: dict[str, str] = {}
    for name in ("noun", "verb", "adj", "adv"):
        path = folder / f"data.{name}"
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            match = re.match(r"(\d{8}) \d\d (\w) (\w\w) ", line)
            if match is None:
                continue
            offset, part, count = match.groups()
            rest = line[match.end() :].split(" | ", 1)
            fields = rest[0].split()
            key = part.replace("s", "a") + offset
            these = [re.sub(r"\(\w+\)$", "", w).replace("_", " ") for w in fields[: 2 * int(count, 16) : 2]]
            words[key], glosses[key] = these, rest[1].strip()
            found = re.findall(r"(\S+) (\d{8}) (\w) [0-9a-f]{4}", " ".join(fields[2 * int(count, 16) + 1 :]))
            pointers[key] = [(symbol, p.replace("s", "a") + o) for symbol, o, p in found]
    _add_wordnet_facts(plain, words, pointers, glosses)
    return plain


def _add_wordnet_facts(
    plain: Plain,
    words: dict[str, list[str]],
    pointers: dict[str, list[tuple[str, str]]],
    glosses: dict[str, str],
) -> None:
    named = [key for key, these in pointers.items() if any(symbol == "@i" for symbol, _ in these)]
    relations = {"#p": "part_of", "#m": "member_of", ";r": "region"}
    inverse = {"%p": "part_of", "%m": "member_of", "-r": "region"}
    known = set(named)
    for key in named:
        known |= {to for symbol, to in pointers[key] if symbol in relations or symbol in inverse}
    for key in known:
        plain.text[key] = f" {_plain(glosses[key])} "
        for symbol, to in pointers[key]:
            if symbol in relations and to in known:
                plain.add_edge(key, relations[symbol], to)
        # every class up to the third level; which of them are left out of questions is not this file's business
        level = [to for symbol, to in pointers[key] if symbol in ("@", "@i")]
        for _ in range(3):
            plain.labels[key] |= {("kind", words[to][0]) for to in level}
            level = [up for to in level for symbol, up in pointers[to] if symbol == "@"]
        lived = re.search(r"\((?:[^()]*?[ ,;])?(\d{3,4})-(\d{1,4})( BC)?\)", glosses[key])
        if lived is not None:
            sign = -1 if lived[3] else 1
            last = lived[2] if lived[3] else lived[1][: max(0, len(lived[1]) - len(lived[2]))] + lived[2]
            plain.numbers[key] = [("born", sign * float(lived[1])), ("died", sign * float(last))]
        elif born := re.search(r"born (?:in )?(\d{4})\b", glosses[key]):
            plain.numbers[key] = [("born", float(born[1]))]
    senses = Counter(word for these in words.values() for word in set(these))
    owner: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for key in named:
        for word in [w for w in words[key] if not w.startswith("capital of")] or words[key]:
            pieces = tuple(_WORD.findall(word))
            if len(pieces) > 1 or (pieces and len(pieces[0]) > 2 and pieces[0][0].isupper()):
                owner[pieces].add(key)
    doubtful = {tuple(_WORD.findall(word)) for word, count in senses.items() if count > 1}
    _add_mentions(plain, glosses, owner, doubtful)


def _add_mentions(
    plain: Plain,
    texts: dict[str, str],
    owner: dict[tuple[str, ...], set[str]],
    doubtful: set[tuple[str, ...]],
) -> None:
    for key in plain.text:
        pieces = _WORD.findall(texts[key])
        skip = 0
        for i in range(len(pieces)):
            if i < skip:
                continue
            spans = [n for n in range(1, 9) if tuple(pieces[i : i + n]) in owner and i + n <= len(pieces)]
            if not spans:
                continue
            end = skip = i + max(spans)
            name = tuple(pieces[i:end])
            around = pieces[max(0, i - 1) : i] + pieces[end : end + 1]
            if len(owner[name]) == 1 and name not in doubtful and not any(w[0].isupper() for w in around):
                (other,) = owner[name]
                if other != key:
                    plain.add_edge(key, "mentions", other)


def of_packages(text: str) -> Plain:
    """From a Packages file's text."""
    plain = Plain()
    packages: dict[str, dict[str, str]] = {}
    for paragraph in re.split(r"\n\n+", text.strip()):
        unfolded = re.sub(r"\n[ \t]+", "\n\t", paragraph)
        fields = dict(re.findall(r"^([\w-]+):[ \t]*((?:.*)(?:\n\t.*)*)", unfolded, re.MULTILINE))
        if "Maintainer" in fields:
            packages.setdefault(fields["Package"], fields)
    keepers: Counter[str] = Counter()
    for name, fields in packages.items():
        keeper = re.sub(r"\s*<.*", "", fields["Maintainer"], flags=re.DOTALL).strip().strip('"') or "unknown"
        keepers[keeper] += 1
        plain.text[name] = f" {_plain(fields.get('Description', ''))} "
        plain.add_edge(name, "maintainer", f"maintainer {keeper}")
        plain.labels[name].add(("kind", "package"))
        for field in ("Section", "Priority", "Architecture"):
            if field in fields:
                plain.labels[name].add((field.lower(), fields[field]))
        plain.labels[name] |= {
            ("tag", t.strip()) for t in re.split(r",\s*", fields.get("Tag", "")) if t.strip()
        }
        if fields.get("Installed-Size", "").isdigit():
            plain.numbers[name].append(("installed_kb", float(fields["Installed-Size"])))
        wanted = {"depends": ("Depends", "Pre-Depends"), "recommends": ("Recommends",)}
        wanted |= {"suggests": ("Suggests",), "enhances": ("Enhances",)}
        for relation, sources in wanted.items():
            for clause in ",".join(fields.get(source, "") for source in sources).split(","):
                other = re.match(r"\s*([^\s(:\[]+)", clause)
                if other and "|" not in clause and other[1] in packages and other[1] != name:
                    plain.add_edge(name, relation, other[1])
    for keeper, count in keepers.items():
        plain.text[f"maintainer {keeper}"] = f" maintainer of {count} package{'s' if count > 1 else ''} "
        plain.labels[f"maintainer {keeper}"].add(("kind", "maintainer"))
    return plain


def _plain(text: str) -> str:
    letters = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(re.split(r"[\W_]+", letters.casefold())).strip()
