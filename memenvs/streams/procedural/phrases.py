"""Sentence frames, small talk, labelled requests and points: everything that is not an attribute."""

from __future__ import annotations

FRAMES = (
    "By the way, {c}.",
    "I just heard that {c}.",
    "A neighbour mentioned that {c}.",
    "It turns out that {c}.",
    "Please note that {c}.",
    "Somebody told me that {c}.",
    "{c}, as you may know.",
    "{c}, or so I was told.",
)
"""Frames of any statement ``{c}``, so that a frame gives nothing away."""

SMALL_TALK = (
    "{s} talked about the weather for a while",
    "{s} laughed at a joke about the home office",
    "{s} wondered who would work late tonight",
    "{s} walked past a locker with a broken hinge",
    "{s} read a story about a lost pet",
    "{s} asked whether any shop opens early",
    "{s} saw a doctor in a film last night",
    "{s} praised the food at the last party",
    "{s} waited for the bus and hummed a tune",
    "{s} found an old photo of a city hall",
    "{s} sent a postcard with a funny animal",
    "{s} forgot the name of a famous dish",
    "{s} counted boxes in the hall without a reason",
    "{s} said hello to the manager of the bank",
    "{s} heard live music in the park",
    "{s} likes the smell of fresh paint",
    "{s} took a long walk on a quiet day",
    "{s} argued about the date of a concert",
    "{s} smiled at the number of umbrellas",
    "{s} met a friend at the {p}",
    "{s} left an umbrella at the {p}",
    "{s} ran into a crowd near the {p}",
    "{s} painted a picture of the {p}",
    "the {p} was full of noisy tourists yesterday",
    "the {p} played a cheerful song all day",
    "a man at the doors of the {p} told a joke",
    "{s} made a point of skipping the talk on the {t}",
    "{s} saw no point in the debate on the {t}",
    "{s} made a drawing during the debate on the {t}",
    "{w} nearly {past} {o} last year",
    "{w} hopes to {base} {o} one day",
    "{w} wrote a poem about {o}",
    "{s} said that {r}",
    "{s} complained that {r}",
    "{s} wondered whether {r}",
)
"""Talk about the same people ``{s}``, places ``{p}``, topics ``{t}``, requests ``{r}`` and doings (``{w}``, ``{past}``,
``{base}``, ``{o}``) as the rest of the stream."""

POINTS = (
    "a point about the {t} was {k}",
    "the debate on the {t} raised the point of {k}",
    "the report on the {t} stressed {k} as a point",
    "one more point on the {t} concerned {k}",
)
SUMMARY_QUESTION = "Summarise the points about the {t}."
POINT_QUESTION = "What points came up on the {t}?"

EVENTS = (
    "on {d} {s} {past} {o} because of {r}",
    "{s} {past} {o} on {d} because of {r}",
)
COUNT_QUESTION = "How many times did {s} {base} {o}?"
EVENT_QUESTION = "Why did {s} {base} {o} on {d}?"

LABELS = (
    'Example ticket: "{x}" has the label {l}.',
    'The ticket "{x}" goes under label {l}.',
    "Sample: {x}; label: {l}.",
    'For a ticket like "{x}" use label {l}.',
)
LABEL_QUESTIONS = ('Which label does "{x}" get?', 'Choose the label for "{x}".')
CHUNK_LABEL_QUESTIONS = ('What is the label of the ticket "{x}"?', 'Give the label that fits "{x}".')
REQUEST_ENDINGS = (
    "since this morning",
    "again",
    "for the second time",
    "this week",
    "once more",
    "without any warning",
)
REQUEST_OPENERS = (
    "sorry to say that",
    "could you check why",
    "not happy that",
    "no idea why",
    "just noticed that",
)

REQUESTS = {
    "printing": (
        ("the printer", "the copier", "the scanner", "the plotter"),
        ("keeps jamming", "spits out blank sheets", "needs new toner", "shows a paper error", "smears ink"),
    ),
    "delivery": (
        ("my parcel", "the package", "the courier shipment", "the grocery order"),
        ("never arrived", "is stuck in transit", "went to a wrong address", "came without tracking", "got dented"),
    ),
    "payment": (
        ("the invoice", "my refund", "the card payment", "the bank transfer"),
        ("was declined", "was charged twice", "is still pending", "shows an odd amount", "has a missing receipt"),
    ),
    "access": (
        ("my password", "the login", "the account", "my badge"),
        ("has expired", "is rejected at sign in", "got locked out", "needs a reset", "lacks permission"),
    ),
    "heating": (
        ("the radiator", "the boiler", "the thermostat", "the furnace"),
        ("stays cold", "makes a knocking noise", "leaks rusty water", "shuts down overnight", "smells of gas"),
    ),
    "catering": (
        ("the buffet", "the lunch tray", "the coffee trolley", "the canteen menu"),
        ("ran empty early", "lacks vegan choices", "tastes too salty", "needs extra plates", "came out lukewarm"),
    ),
    "travel": (
        ("my flight", "the hotel booking", "the train ticket", "the rental van"),
        (
            "was called off",
            "requires another passport",
            "lists a wrong traveller",
            "departs at midnight",
            "lost its visa form",
        ),
    ),
    "parking": (
        ("the garage gate", "my parking space", "the bike rack", "the loading bay"),
        ("is blocked by a lorry", "refuses to lift", "is taken every day", "has no free slot", "floods after storms"),
    ),
}
"""Classes of requests: things and complaints. Their labels are drawn afresh in every stream."""
