"""The Debian package index as a corpus: a page per package and per maintainer, relations as the index gives them.

Reads the output of `apt-cache dumpavail`, or any `Packages` file. E-mail addresses are left out.
"""

import hashlib
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from baleen.config.errors import UserError
from baleen.environments.search.corpus import ASKABLE, Document, Entity, write_corpus

# field -> relation; the names of the lines are the fields' own
_RELATIONS = {
    "Depends": "depends",
    "Recommends": "recommends",
    "Suggests": "suggests",
    "Enhances": "enhances",
}
_LABELS = {"Section": "section", "Priority": "priority", "Architecture": "architecture"}
ABOUT: dict[str, Any] = {
    "corpus": "debian",
    "source": "Debian package index (apt-cache dumpavail)",
    "licence": "facts about packages, from the index that Debian publishes freely",
    "noun": "package",
    "lines": {relation: [field, ""] for field, relation in _RELATIONS.items()}
    | {"maintainer": ["Maintainer", "Maintains"]},
    "label_lines": {label: field for field, label in _LABELS.items()} | {"kind": "Kind", "tag": "Tag"},
    "number_lines": {"installed_kb": "Installed-Size"},
}


def read_index(path: Path | None) -> list[dict[str, str]]:
    """Packages as field -> value, the first of each name, sorted by name. None asks apt-cache.

    Raises UserError, OSError.
    """
    if path is not None:
        text = path.read_text(encoding="utf-8", errors="replace")
    else:
        try:
            done = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise UserError(
                f"`apt-cache dumpavail` failed ({error}); on other systems give a Packages file with --corpus FILE"
            ) from None
        text = done.stdout.decode("utf-8", "replace")
    packages: dict[str, dict[str, str]] = {}
    for paragraph in text.split("\n\n"):
        fields = parse_paragraph(paragraph)
        if "Package" in fields and "Maintainer" in fields:
            packages.setdefault(fields["Package"], fields)
    if not packages:
        raise UserError(
            "the package index is empty; run `apt-get update` or give a Packages file with --corpus FILE"
        )
    return [packages[name] for name in sorted(packages)]


def parse_paragraph(paragraph: str) -> dict[str, str]:
    """Fields of one package; continuation lines are joined by line ends."""
    fields: dict[str, str] = {}
    name = ""
    for line in paragraph.splitlines():
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] += "\n" + line.strip()
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return fields


def relations_of(value: str) -> tuple[list[str], list[str]]:
    """(packages that a relation field names outright, packages it names as alternatives)."""
    certain: list[str] = []
    alternatives: list[str] = []
    for clause in value.split(","):
        names = [re.split(r"[\s(:\[]", option.strip(), maxsplit=1)[0] for option in clause.split("|")]
        (certain if len(names) == 1 else alternatives).extend(filter(None, names))
    return list(dict.fromkeys(certain)), list(dict.fromkeys(alternatives))


def maintainer_of(fields: dict[str, str]) -> str:
    """The name without the address."""
    return fields["Maintainer"].partition("<")[0].strip().strip('"') or "unknown"


def build(index: Path | None, path: Path) -> None:
    """Write the corpus of a package index. Raises UserError, OSError."""
    packages = read_index(index)
    known = {fields["Package"] for fields in packages}
    keeps: dict[str, list[str]] = {}
    for fields in packages:
        keeps.setdefault(maintainer_of(fields), []).append(fields["Package"])
    write_corpus(path, ABOUT, _documents(packages, keeps, known), _entities(packages, keeps, known))


def _documents(
    packages: Iterable[dict[str, str]], keeps: dict[str, list[str]], known: set[str]
) -> Iterator[Document]:
    for fields in packages:
        name, maintainer = fields["Package"], maintainer_of(fields)
        facts = ["Kind: package", f"Maintainer: {maintainer} [{_id(maintainer)}]"]
        facts += [f"{field}: {fields[field]}" for field in _LABELS if field in fields]
        if fields.get("Installed-Size", "").isdigit():
            facts.append(f"Installed-Size: {fields['Installed-Size']} kB")
        facts += [f"Tag: {tag}" for tag in _tags(fields)]
        for field in _RELATIONS:
            certain, alternatives = _relations(fields, field)
            facts += [f"{field}: {other} [{other}]" for other in certain if other in known]
            facts += [
                f"{field} (one of several): {other} [{other}]" for other in alternatives if other in known
            ]
        yield Document(name, name, _description(fields), "\n".join(facts))
    for maintainer in sorted(keeps):
        facts = ["Kind: maintainer", *(f"Maintains: {name} [{name}]" for name in keeps[maintainer])]
        text = f"Maintainer of {len(keeps[maintainer])} package{'s'[: len(keeps[maintainer]) > 1]}."
        yield Document(_id(maintainer), maintainer, text, "\n".join(facts))


def _entities(
    packages: Iterable[dict[str, str]], keeps: dict[str, list[str]], known: set[str]
) -> Iterator[Entity]:
    for fields in packages:
        name = fields["Package"]
        labels = [ASKABLE, ("kind", "package"), *((_LABELS[f], fields[f]) for f in _LABELS if f in fields)]
        edges = [("maintainer", _id(maintainer_of(fields)))]
        for field, relation in _RELATIONS.items():
            certain, alternatives = _relations(fields, field)
            edges += [(relation, other) for other in certain if other in known and other != name]
            edges += [("alternative", other) for other in alternatives if other in known and other != name]
        size = fields.get("Installed-Size", "")
        yield Entity(
            id=name,
            names=(name,),
            labels=(*labels, *(("tag", tag) for tag in _tags(fields))),
            numbers=(("installed_kb", float(size)),) if size.isdigit() else (),
            edges=tuple(edges),
        )
    for maintainer in sorted(keeps):
        yield Entity(_id(maintainer), (maintainer,), (("kind", "maintainer"),))


def _relations(fields: dict[str, str], field: str) -> tuple[list[str], list[str]]:
    certain, alternatives = relations_of(fields.get(field, ""))
    if field == "Depends":  # what must be there before is depended on too
        first, others = relations_of(fields.get("Pre-Depends", ""))
        certain = list(dict.fromkeys([*certain, *first]))
        alternatives = list(dict.fromkeys([*alternatives, *others]))
    return certain, [name for name in alternatives if name not in certain]


def _tags(fields: dict[str, str]) -> list[str]:
    return sorted({tag.strip() for tag in fields.get("Tag", "").replace("\n", " ").split(",") if tag.strip()})


def _description(fields: dict[str, str]) -> str:
    return fields.get("Description", fields.get("Description-en", "")).replace("\n.\n", "\n\n")


def _id(maintainer: str) -> str:
    return "m-" + hashlib.blake2b(maintainer.encode(), digest_size=5).hexdigest()
