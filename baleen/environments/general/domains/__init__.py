"""The domains of the scripted author, each with its own tables, tools and task templates."""

from baleen.environments.general.domain import DomainSpec
from baleen.environments.general.domains.bank import BANK
from baleen.environments.general.domains.clinic import CLINIC
from baleen.environments.general.domains.energy import ENERGY
from baleen.environments.general.domains.events import EVENTS
from baleen.environments.general.domains.fleet import FLEET
from baleen.environments.general.domains.flights import FLIGHTS
from baleen.environments.general.domains.gym import GYM
from baleen.environments.general.domains.hotel import HOTEL
from baleen.environments.general.domains.library import LIBRARY
from baleen.environments.general.domains.museum import MUSEUM
from baleen.environments.general.domains.parcels import PARCELS
from baleen.environments.general.domains.recipes import RECIPES
from baleen.environments.general.domains.restaurant import RESTAURANT
from baleen.environments.general.domains.school import SCHOOL
from baleen.environments.general.domains.staff import STAFF
from baleen.environments.general.domains.tracker import TRACKER
from baleen.environments.general.domains.warehouse import WAREHOUSE

_ALL = (
    BANK,
    CLINIC,
    ENERGY,
    EVENTS,
    FLEET,
    FLIGHTS,
    GYM,
    HOTEL,
    LIBRARY,
    MUSEUM,
    PARCELS,
    RECIPES,
    RESTAURANT,
    SCHOOL,
    STAFF,
    TRACKER,
    WAREHOUSE,
)
DOMAINS: dict[str, DomainSpec] = {spec.name: spec for spec in _ALL}

# Whole domains are held out: their tables, tools and words are in no training task.
HELDOUT_DOMAINS = ("energy", "events", "gym", "museum", "parcels")
TRAIN_DOMAINS = tuple(name for name in DOMAINS if name not in HELDOUT_DOMAINS)
