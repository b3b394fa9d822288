"""Everyday word knowledge of the extractive reader: stems, function words and synonyms.

Written by hand from general English, for no particular data set. `concept` maps a word to its stem or, where the word
is in a set of `SYNONYMS`, to that set's name.
"""

from __future__ import annotations

from functools import lru_cache


def word_set(text: str) -> frozenset[str]:
    """The words of a list that is written out as text."""
    return frozenset(text.split())


FUNCTION_WORDS = word_set("""
    a an the this that these those there here it its he she they them his her hers their theirs i me my mine we us our
    you your is are was were be been being am do does did done doing has have had having will would shall should can
    could may might must of in on at by to for from with without into onto over under about as than then so or and but
    nor if because since while when where who whom whose which what why how not no yes also too very just only even
    still now again ever never once longer instead rather some any each every all both either neither other another
    such same one's 's s t up out off down away back through during before after between against near via per around
    among toward towards until upon within along across behind beyond despite except way much many more most least
    less few please note turn turns told tell tells say says said heard hear hears mention mentions mentioned know
    knows known somebody someone anybody everybody nobody something anything everything nothing let lets get gets got
    go goes went come comes came make makes made let's don't doesn't didn't
""")
"""Words that say little about the topic; reporting verbs are among them."""

_FORMS = """
    be was were been; begin began begun; break broke broken; bring brought; build built; buy bought; catch caught;
    choose chose chosen; die died dying; draw drew drawn; drink drank drunk; drive drove driven; eat ate eaten; fall
    fell fallen; find found; found founded founder founding; fly flew flown; forget forgot forgotten; give gave given;
    grow grew grown; hold held; keep kept; lead led; leave left; lose lost; meet met; pay paid; ride rode ridden; run
    ran; see saw seen; sell sold; send sent; sing sang sung; sit sat; sleep slept; speak spoke spoken; spend spent;
    stand stood; steal stole stolen; swim swam; take took taken; teach taught; think thought; wake woke; wear wore
    worn; win won; write wrote written; child children; man men; woman women; person people; foot feet; mouse mice
"""
_IRREGULAR = {form: base for line in _FORMS.split(";") for base, *forms in [line.split()] for form in forms}
# Things, not the verb "belong".
_IRREGULAR["belongings"] = "stuff"


@lru_cache(maxsize=65536)
def stem(word: str) -> str:
    """A crude stem of one word, in lower case: "cancelled", "cancels" and "cancelling" give "cancel"."""
    word = word.lower()
    word = _IRREGULAR.get(word, word)
    if len(word) > 3 and not word[-1].isdigit():
        if word.endswith("ies") and len(word) > 4:
            word = word[:-3] + "y"
        elif word.endswith(("sses", "shes", "ches", "xes", "zes")):
            word = word[:-2]
        elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
            word = word[:-1]
        if word.endswith("ing") and len(word) > 5:
            word = word[:-3]
        elif word.endswith("ed") and len(word) > 4:
            word = word[:-2]
        if len(word) > 3 and word[-1] == "e":
            word = word[:-1]
        if len(word) > 3 and word[-1] == word[-2]:
            word = word[:-1]
        if word[-1] == "y" and len(word) > 3:
            word = word[:-1] + "i"
    return word


def stem_set(text: str) -> frozenset[str]:
    """The stems of the words of a list that is written out as text."""
    return frozenset(stem(word) for word in text.split())


SYNONYMS = (
    "live reside dwell inhabit home residence residing town city hometown house dwelling domicile",
    "country nation citizenship nationality citizen",
    "place location located site situated venue",
    "work job occupation profession employment employed career trade living",
    "boss manager run managing manage director head chief lead leader direct supervise chair chairperson ceo president",
    "animal pet",
    "own owner possess possession belong keep keeper",
    "doctor physician checkup medical medic",
    "date day appointment",
    "food dish meal cuisine eat eating eater recipe",
    "favourite favorite prefer preferred preference best love beloved like",
    "locker box cabinet store storage cupboard stow compartment",
    "number digit figure",
    "open opening unlock unlocked",
    "close closed closing shut closure rest",
    "begin start commence launch",
    "end finish stop conclude",
    "door gate entrance",
    "colour color hue shade painted paint",
    "car automobile vehicle drive driven driver",
    "shoe footwear boot sneaker wear",
    "hobby pastime leisure",
    "drink beverage sip",
    "breakfast morning",
    "allergy allergic intolerance intolerant",
    "flower bloom blossom grow plant gardening",
    "commute commuting ride",
    "team club support supporter fan squad",
    "holiday vacation holidays destination trip",
    "luck lucky fortunate fortune",
    "play playing instrument player musician",
    "learn study course lesson class learning",
    "found founder establish established creation create creator set",
    "seat seats capacity guests chair",
    "born birth birthday birthplace birthdate native",
    "die death dead killed decease deceased",
    "marry married spouse wife husband wed wedding",
    "child son daughter kid offspring",
    "parent mother father mom dad mum",
    "author write writer written novelist",
    "film movie picture",
    "language speak spoken tongue",
    "buy purchase acquire bought",
    "sell sale sold vendor",
    "price cost pay fee expense",
    "big large huge great major",
    "small little tiny minor",
    "old age elderly ancient",
    "fast quick rapid speed",
    "begin origin originate",
    "religion faith affiliated belief",
    "sport game match",
    "university college school educated education attend",
    "company firm corporation business enterprise",
    "headquarters headquartered base based",
    "invent inventor discover discoverer develop developer",
    "win winner victory victorious",
    "war battle conflict",
    "king queen monarch ruler emperor",
    "money cash fund funds",
    "area region zone territory district",
    "street road avenue",
    "phone telephone mobile",
    "picture photo image photograph",
    "show display exhibit",
    "call name named title entitled known",
    "use utilise utilize employ",
    "help assist aid",
    "build construct construction building built",
    "change alter modify",
    "reason cause",
    "kind type sort",
    "part portion share section",
    "journey travel voyage",
    "ill sick disease illness",
    "happy glad pleased",
)
"""Words that everyday questions and statements use for each other. A word in several sets counts in the first."""

_CONCEPTS: dict[str, str] = {}
for _line in SYNONYMS:
    _words = _line.split()
    for _word in _words:
        _CONCEPTS.setdefault(stem(_word), f"<{_words[0]}>")


def concept(stemmed: str) -> str:
    """The name of the set of synonyms that a stem belongs to, or the stem itself."""
    return _CONCEPTS.get(stemmed, stemmed)
