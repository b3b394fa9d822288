"""Names and values that sentences are filled with. Every name is made up by pairing."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    """The words of a list that is written out as text."""
    return tuple(text.split())


FIRST_NAMES = _words("""
    Mara Jonas Nina Tomas Priya Felix Ingrid Omar Lucia Hugo Selma Ravi Clara Dmitri Amara Pavel Yuki Marco Freya
    Samir Elena Kofi Greta Matteo Leila Oscar Bianca Tariq Hanna Diego Saskia Bruno Noor Emil Zara Viktor Alma Rohan
    Ines Caspar Thea Malik Ronja Stefan Dalia Arlo Miriam Kenji Petra Luca Fatima Anton Wanda Idris Olga Rafael Esme
    Goran Lotte Amir Sylvie Magnus Chiara Boris Naomi Edgar Tessa Hamid Vera Quentin Maya Ludwig Rosa Ivo Carmen Nils
    Aisha Theo Helga Andre Uma Silas Brigid Karim Paloma Axel Nadia Otto Linnea Cyrus Flora Ezra Marta Joaquin Sunita
    Leopold Astrid Yusuf Celia Ansel Rina Gustav Delia Farid Ida Rufus Simone Milan Nora Jasper Kirsi Abel Tova Enzo
    Hedda Orson Sana Basil Ulla
""")
LAST_NAMES = _words("""
    Ellison Okafor Lindgren Moreau Castellan Whitlock Brandt Ferreira Novak Tanaka Abernathy Duarte Kowalski Haddad
    Petrov Sandoval Larkin Oyelaran Winslow Bergman Rossi Chaudhry Delacroix Hartwell Ivanova Jensen Kipling Lombardi
    Mbeki Nakamura Osborne Pellegrin Quigley Ramsey Sorensen Thackeray Urquhart Valdez Wakefield Yamada Zimmer Ashdown
    Bellweather Corrigan Dunmore Eastwick Fairbank Galloway Holloway Inglewood Jarvis Kessler Longfellow Marchetti
    Northcott Oakley Prescott Rutherford Stanhope Trevelyan Underhill Vandermeer Wetherby Yarrow Zielinski Almeida
    Birkeland Cavanagh Dragomir Engstrom Falconer Gutierrez Hoffmann Iqbal Jimenez Kaplan Leclerc Mahmood Nystrom
    Ortega Pomeroy Radcliffe Schubert Takahashi Ueda Villanueva Wyndham Xenakis Youngblood Zamora Ardent Blackwood
    Crawley Davenport Emmerich Fitzroy Greenhalgh Huxley Isherwood Jankowski Kristof Lavigne Montague Nwosu Olafsen
    Pickering Redgrave Sinclair Tolliver Umbridge Vasquez
""")
PLACE_FIRST = _words("""
    Copper Silver Crimson Velvet Marble Golden Hollow Wandering Painted Whistling Amber Frosted Tangled Laughing
    Sapphire Crooked Sleeping Ivory Thirsty Gilded Drifting Merry Rusty Emerald Humming Dusty Scarlet Winding Lonely
    Polished
""")
PLACE_SECOND = _words("""
    Kettle Anchor Lantern Sparrow Teapot Compass Acorn Bellows Mermaid Pelican Thimble Windmill Badger Cauldron
    Juniper Walnut Trumpet Orchard Saddle Feather Beacon Chimney Goblet Heron Inkwell Ladle Minstrel Nutmeg Otter
    Pavilion
""")
CITIES = _words("""
    Lisbon Oslo Geneva Porto Krakow Bergen Valencia Dublin Tallinn Leipzig Utrecht Bologna Seville Riga Malmo Ghent
    Zagreb Toulouse Turin Aarhus Basel Sofia Nantes Galway Salzburg Bilbao Antwerp Gdansk Trieste Uppsala
""")
COASTS = _words("""
    Sardinia Crete Madeira Corsica Mallorca Sicily Cornwall Brittany Jutland Malta Tenerife Rhodes
""")
JOBS = _words("""
    plumber baker florist librarian carpenter translator beekeeper tailor pilot geologist locksmith chemist welder
    botanist journalist surveyor cartographer blacksmith gardener photographer lawyer violinmaker glazier roofer
    shepherd
""")
PETS = _words("""
    parrot hamster tortoise ferret goldfish lizard rabbit terrier canary gecko donkey pony goose hedgehog poodle
    turtle peacock beagle cockatoo chinchilla
""")
DISHES = tuple(
    f"{first} {second}"
    for first in ("lentil", "mushroom", "pumpkin", "spinach", "fennel", "tomato", "chickpea", "leek")
    for second in ("soup", "risotto", "curry", "stew", "pie", "lasagne")
)
MONTHS = _words("""
    January February March April May June July August September October November December
""")
DATES = tuple(f"{day} {month}" for month in MONTHS for day in range(2, 29))
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBERS = tuple(str(number) for number in range(101, 999))
SMALL_NUMBERS = tuple(str(number) for number in range(11, 60))
SHOE_SIZES = tuple(str(number) for number in range(35, 49))
TIMES = tuple(
    f"{hour}:{minute}" for hour in range(6, 12) for minute in ("00", "10", "15", "20", "30", "40", "45", "50")
)
COLOURS = ("crimson", "turquoise", "beige", "purple", "yellow", "white", "maroon", "green", "grey", "pink")
INSTRUMENTS = ("cello", "clarinet", "harp", "trombone", "mandolin", "banjo", "oboe", "flute", "accordion", "bassoon")
LANGUAGES = (
    "Portuguese",
    "Finnish",
    "Swahili",
    "Japanese",
    "Welsh",
    "Korean",
    "Catalan",
    "Greek",
    "Hungarian",
    "Arabic",
)
HOBBIES = (
    "pottery",
    "origami",
    "archery",
    "fencing",
    "juggling",
    "calligraphy",
    "astronomy",
    "embroidery",
    "chess",
    "sailing",
)
DRINKS = (
    "cocoa",
    "buttermilk",
    "espresso",
    "lemonade",
    "cider",
    "kefir",
    "matcha",
    "rooibos",
    "cappuccino",
    "kombucha",
)
ALLERGENS = (
    "peanuts",
    "shellfish",
    "pollen",
    "strawberries",
    "latex",
    "sesame",
    "celery",
    "feathers",
    "penicillin",
    "mustard",
)
FLOWERS = (
    "tulips",
    "geraniums",
    "lavender",
    "petunias",
    "marigolds",
    "orchids",
    "dahlias",
    "violets",
    "begonias",
    "jasmine",
)
VEHICLES = ("tram", "ferry", "bicycle", "scooter", "minibus", "canoe", "subway", "moped", "taxi", "train")
TEAMS = ("Falcons", "Wolves", "Comets", "Rovers", "Pirates", "Hornets", "Rangers", "Dragons", "Rockets", "Tigers")
TOPIC_FIRST = _words("""
    harbour orchard library museum railway village school bridge garden market castle river theatre forest island
    desert airport hospital stadium lighthouse
""")
TOPIC_SECOND = _words("""
    festival renovation budget strike exhibition survey merger campaign expansion auction relocation inspection audit
    anniversary contract timetable petition lottery tournament charter
""")
KEYWORDS = _words("""
    insurance lanterns parking volunteers fireworks subsidies drainage scaffolding sponsors noise wheelchairs catering
    asbestos pensions overtime tariffs lighting benches fountains murals tickets barriers security recycling shuttles
    permits timber plumbing asphalt daycare broadband archives acoustics donations fencework turbines mosquitoes
    signage deadlines translators microphones generators blankets helmets vaccines tractors saplings sculptures
    turnstiles lockouts
""")
EVENTS = (
    ("missed", "miss", "the morning bus"),
    ("cancelled", "cancel", "the piano lesson"),
    ("dropped", "drop", "the blue vase"),
    ("watered", "water", "the office plants"),
    ("repaired", "repair", "the garden fence"),
    ("visited", "visit", "the dinosaur exhibit"),
    ("skipped", "skip", "the yoga class"),
    ("borrowed", "borrow", "the electric drill"),
    ("burned", "burn", "the evening toast"),
    ("cleaned", "clean", "the fish tank"),
    ("postponed", "postpone", "the team dinner"),
    ("misplaced", "misplace", "the spare key"),
)
"""Things that happen several times: past tense, base form, object."""
REASONS = _words("""
    roadworks rain boredom snow traffic curiosity laziness fatigue fog visitors homework stress hail guests fever heat
    habit paperwork
""")
