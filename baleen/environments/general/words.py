"""The words that domains draw their names from, and ways to draw words and numbers."""

import random
from collections.abc import Sequence
from itertools import pairwise


def _listed(text: str) -> list[str]:
    return text.split()


PEOPLE = _listed(
    "Ada Ben Cleo Dan Eva Finn Gus Hana Ivo June Kai Lea Max Nora Otto Pia Quin Rosa Sam Tess Udo Vera Will Xena "
    "Yara Zoe Alma Bert Cara Dina Emil Fay Gina Hugo Ines Joel Kira Liam Mila Noah"
)
CITIES = _listed(
    "Oslo Rome Lima Cairo Delhi Paris Tokyo Quito Sofia Turin Bern Kyiv Riga Malmo Porto Genoa Dakar Hanoi Perth "
    "Leeds"
)
COLORS = _listed("red blue green black white gray amber pink brown violet")
BOOKS = _listed(
    "Atlas Beacon Comet Delta Echoes Falcon Glacier Horizon Island Jungle "
    "Kraken Lantern Meadow Nebula Oasis Pilgrim "
    "Quarry Raven Saga Tundra"
)
CLASSES = _listed("yoga boxing rowing spin dance judo pilates karate swim climbing stretch squash")
COMPONENTS = _listed("parser cache editor search login export mailer billing")
DISHES = _listed("soup stew curry pasta salad risotto quiche ramen paella tart pie omelet gratin goulash")
SPECIALTIES = _listed("heart skin bone eye lung nerve")
INGREDIENTS = _listed(
    "rice barley flour sugar milk butter cocoa oil basil vinegar honey pepper mustard cheese yogurt cream"
)
HOTELS = _listed("Astra Bellevue Corona Drake Eden Fjord Garni Harbor Ibex Jade")
PARTS = _listed("bolt hinge valve cable lamp fuse gear motor panel spring switch tube pump rope hook clamp")
SHOWS = _listed(
    "Aida Boheme Carmen Duel Elektra Fidelio Galileo Hamlet Ivanov Jenufa Lulu Macbeth Norma Oberon"
)
SUBJECTS = _listed("math music history physics art latin biology sports")
WORKS = _listed(
    "Dawn Harvest Nocturne Orchard Regatta Sonata Tempest Umbra Vigil Winter Zephyr Mirage Lagoon Ember"
)
COMMON = _listed(
    "act age air answer apple area arm artist back bag ball band bank bar base bath bay beach bed bell belt "
    "bike bill bird blade board boat body bone border born bottle box brand brick bridge brush bus button buy "
    "cabin cake call camp cap card care case cash cat cell chain chair change chart check chest child circle "
    "claim class clerk clock cloth cloud club coach coal coast coat coin cook copper copy corner cost cotton "
    "count course court cover cow crew crop cross crowd crown cup cycle dance date day deal debt deck deed "
    "degree depot desk dinner dog door draft drama draw dress drink drive drum duty edge effect egg engine "
    "event exam exit face fact factor fan farm fee fence field figure file film fire fish flag flame flat "
    "floor flow fold foot force forest fork form frame free friend front fruit fuel fund game gap gas gate "
    "gift girl glass goal gold grade grain grant grass ground guard guide habit hair hall hand harm hat head "
    "heat hill hire hit hold hole home horse hour house ice image index iron item jacket job join journal "
    "judge jump key kid kind king knee knife label lake land lane law layer leaf lend length lent level lid "
    "life lift light limb limit line link lip loan lock locker log loss lot lunch mail mark market mass "
    "master match meal meat member mental metal meter milk mill mind mine mirror mission month monthly mood "
    "moon mouse mouth museum nail neck nest net news noise north nose note nurse ocean offer office oil page "
    "pain paint pair palace paper parcel park parking part path peak pen pet pick piece pipe place places "
    "plan plane plant plate play plot pocket point pole pool port post pot pound press price print prize "
    "profit proof pull punch pupil purse push put quest race rail rain range rank rate reading record region "
    "rent rest result ring rise risk river road rock role roof root round route row rule run sail salt sample "
    "sand scale scene school score sea seal season seat section seed sell send set shape share sheet shell "
    "shift ship shirt shoe shop shot show side sign silver site size skill sky sleep smell smile snow soil "
    "song sort sound space speed sport spot spread staff stage stand star steam steel step stick stone store "
    "storm story street study style sugar suit sun survey swing tail tale talk tank tariff task taste tax tea "
    "term test text theme thing tide tie tile time tip title tone tool tooth top touch tour towel tower town "
    "track trade train tray tree trial trick trip truck trust truth turn type union unit use value van video "
    "view visit voice vote wage walk wall war wash watch water wave way wealth weather week weight well wheel "
    "wife wind window wine wing wire wish wood word work world write yard year youth zone"
)
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
MONTHS = ("January", "February", "March")


def ids(rng: random.Random, n: int, low: int = 10, high: int = 100) -> list[int]:
    """Draw n distinct numbers from low up to but not including high, in ascending order."""
    return sorted(rng.sample(range(low, high), n))


def sample(rng: random.Random, words: Sequence[str], n: int) -> list[str]:
    """Draw n distinct words."""
    return rng.sample(list(words), n)


def spread(rng: random.Random, values: Sequence[int] | Sequence[str], n: int) -> list:
    """Draw n values, each of `values` about as often as the others, in random order."""
    dealt = [values[i % len(values)] for i in range(n)]
    rng.shuffle(dealt)
    return dealt


def distinct(rng: random.Random, n: int, low: int, high: int, gap: int = 1) -> list[int]:
    """Draw n numbers from low up to but not including high, at least `gap` apart, in random order."""
    while True:
        values = sorted(rng.sample(range(low, high), n))
        if all(b - a >= gap for a, b in pairwise(values)):
            rng.shuffle(values)
            return values
