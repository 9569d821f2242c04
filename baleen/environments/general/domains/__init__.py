"""The scripted author's domains: each its own tables, tools and shapes of tasks."""

from baleen.environments.general.domain import DomainSpec
from baleen.environments.general.domains.goods import RECIPES, RESTAURANT, WAREHOUSE
from baleen.environments.general.domains.lending import GYM, LIBRARY
from baleen.environments.general.domains.money import BANK, ENERGY
from baleen.environments.general.domains.people import CLINIC, SCHOOL, STAFF
from baleen.environments.general.domains.stays import HOTEL, MUSEUM
from baleen.environments.general.domains.transport import FLEET, FLIGHTS, PARCELS
from baleen.environments.general.domains.work import EVENTS, TRACKER

_ALL = (BANK, CLINIC, ENERGY, EVENTS, FLEET, FLIGHTS, GYM, HOTEL, LIBRARY, MUSEUM, PARCELS, RECIPES, RESTAURANT) + (
    SCHOOL,
    STAFF,
    TRACKER,
    WAREHOUSE,
)
DOMAINS: dict[str, DomainSpec] = {spec.name: spec for spec in _ALL}

# Whole domains are held out: their tables, tools and words are in no training task.
HELDOUT_DOMAINS = ("energy", "events", "gym", "museum", "parcels")
TRAIN_DOMAINS = tuple(name for name in DOMAINS if name not in HELDOUT_DOMAINS)
