"""What people see."""

from __future__ import annotations

import json

import pytest

from memenvs import Episode
from memenvs.env import MemoryEnv
from memenvs.episode import EpisodeSettings
from memenvs.memory import MemoryItem
from memenvs.memory.bank import MemoryLimits
from memenvs.reading import Answer
from memenvs.render import WIDTH, render_episode, render_memory
from memenvs.streams import Chunk, Question, Stream

CHUNKS = ("Ann lives in Rome. " * 9, "Ann moved to Oslo.", "\x1b[31m red \ud800 text")
STREAM = Stream(
    "tale",
    "builtin",
    tuple(
        Chunk(text, f"day {i}", (Question(f"chunk question {i}?", ("no",), "builtin-fact"),))
        for i, text in enumerate(CHUNKS)
    ),
    (Question("Where does Ann live?", ("Oslo", "Oslo, Norway"), "builtin-fact"),),
)


def send(episode: Episode, *operations: dict[str, str], answer: str = "") -> None:
    needs = episode.act(json.dumps(operations))
    answers = [Answer(answer, tuple(i for i, _ in reading.items[:1])) for reading in needs]
    episode.answer(answers)


@pytest.fixture
def episode() -> Episode:
    return Episode(STREAM, EpisodeSettings(limits=MemoryLimits(max_tokens=50)))


def test_before_the_first_step(episode: Episode):
    text = render_episode(episode)
    assert text.startswith("step 0/3  stream tale, memory 0 items, 0/50 tokens")
    assert "chunk 0 (next, day 0)" in text
    assert "(empty)" in text
    assert "operations" not in text


def test_a_step_shows_chunk_operations_and_changes(episode: Episode):
    send(
        episode,
        {"op": "INSERT", "content": "Ann: Rome"},
        {"op": "INSERT", "content": "noise"},
        {"op": "INSERT", "content": "idle"},
    )
    assert "+ [0.0] Ann: Rome (step 0; 3 tokens)" in render_episode(episode)
    send(
        episode,
        {"op": "UPDATE", "id": "0.0", "content": "Ann: Oslo"},
        {"op": "DELETE", "id": "0.1"},
        {"op": "DELETE", "id": "9.9"},
        {"op": "INSERT", "content": "gone at once"},
        {"op": "DELETE", "id": "1.0"},
        {"op": "EXPLODE"},
    )
    lines = render_episode(episode).split("\n")
    assert lines[0].startswith("step 2/3")
    assert "  Ann moved to Oslo." in lines
    assert "  ok  UPDATE [0.0] Ann: Oslo" in lines
    assert "  BAD DELETE [9.9]" in lines
    assert any(line.startswith("      because no item has the id '9.9'") for line in lines)
    assert any("unknown operation 'EXPLODE'" in line for line in lines)
    assert "~ [0.0] Ann: Oslo (step 1, from 0; 3 tokens)" in lines
    assert "    was Ann: Rome" in lines
    assert "- [0.1] noise" in lines
    assert "  [0.2] idle (step 0; 1 tokens)" in lines
    assert not any(line.startswith(("- [1.0]", "+ [1.0]")) for line in lines), "in and out in one step is no change"


def test_a_deleted_item_shows_its_latest_content(episode: Episode):
    send(episode, {"op": "INSERT", "content": "first"})
    send(episode, {"op": "UPDATE", "id": "0.0", "content": "second"})
    send(episode, {"op": "UPDATE", "id": "0.0", "content": "third"}, {"op": "DELETE", "id": "0.0"})
    assert "- [0.0] second" in render_episode(episode).split("\n")


def test_the_end_shows_each_question_with_its_provenance(episode: Episode):
    send(episode, {"op": "INSERT", "content": "Ann lives in Oslo"})
    send(episode, {"op": "SKIP"})
    send(episode, {"op": "SKIP"}, answer="Oslo")
    text = render_episode(episode)
    assert "questions: r_global = 1.000" in text
    assert "  1.  1.00  Where does Ann live?" in text
    assert "said Oslo" in text
    assert "wanted Oslo | Oslo, Norway" in text
    assert "from [0.0] Ann lives in Oslo (step 0)" in text
    assert "retrieved 0.0 (" in text
    assert "(next" not in text


def test_a_failure_is_shown(episode: Episode):
    for _ in CHUNKS:
        episode.act("[]")
        episode.answer(None, failure="ReaderError: no route")
    text = render_episode(episode)
    assert "READER FAILED: ReaderError: no route" in text
    assert "r_global = nan" in text
    assert "(the reader failed)" in text
    assert "no operations: the list of operations is empty" in text


def test_lines_are_printable_and_short(episode: Episode):
    send(
        episode,
        {"op": "INSERT", "content": "w" * 40},
        {"op": "DELETE", "id": "i" * 300},
        {"op": "UPDATE", "id": "0.0", "content": "\n\u2028a"},
    )
    send(episode, {"op": "SKIP"})
    text = render_episode(episode)
    assert "\\x1b[31m red \\ud800 text" in text
    assert text.encode("utf-8")
    assert "\x1b" not in text
    assert all(len(line) <= WIDTH for line in text.split("\n"))


def test_long_texts_are_cut_and_say_so(episode: Episode):
    send(episode, {"op": "INSERT", "content": "word " * 400})
    text = render_episode(episode)
    assert "(2000 characters)" in text or "(1999 characters)" in text
    assert len(text) < 8_000


def test_every_step_of_a_builtin_episode_renders():
    env = MemoryEnv(render_mode="ansi")
    observation, info = env.reset(seed=1)
    frames = [env.render()]
    for _ in range(info["T"]):
        observation = env.step(json.dumps([{"op": "INSERT", "content": observation["chunk"]}]))[0]
        frames.append(env.render())
    assert len(set(frames)) == info["T"] + 1
    assert all(len(line) <= WIDTH for frame in frames for line in frame.split("\n"))
    assert all(question.question.split()[0] in frames[-1] for question in env.record.questions)


def test_rendered_memory_keeps_to_its_limit():
    items = [MemoryItem(f"0.{i}", "x" * 10, 0, 0, 1) for i in range(20)]
    full = render_memory(items, 10_000)
    assert full.split("\n")[3] == "[0.3] xxxxxxxxxx"
    assert render_memory(items, len(full)) == full
    for limit in range(0, len(full), 7):
        text = render_memory(items, limit)
        assert len(text) <= limit
        assert "older items are not shown"[: max(0, limit - 4)] in text
    assert render_memory([], 0) == ""


def _plainly(items, max_chars):
    """The rule of `render_memory`, written down without regard to cost."""
    lines = [f"[{item.id}] " + item.content.replace("\n", "\n    ") for item in items]
    if len("\n".join(lines)) <= max_chars:
        return "\n".join(lines)
    shown = [line for i, line in enumerate(lines) if sum(len(rest) + 1 for rest in lines[i:]) <= max_chars - 60]
    return "\n".join([f"({len(lines) - len(shown)} older items are not shown)"[:max_chars], *shown])


def test_rendered_memory_is_the_same_for_every_limit():
    items = [MemoryItem(f"{i}.0", "line\n" * (i % 3) + "x" * (7 * i % 40), i, i, 1) for i in range(12)]
    for limit in range(len(_plainly(items, 10_000)) + 3):
        assert render_memory(items, limit) == _plainly(items, limit), limit


def test_rendering_looks_at_no_more_items_than_fit():
    items = [MemoryItem(f"{i}.0", "x" * 92, i, i, 1) for i in range(1_000)]
    text = render_memory(items, 1_000)
    assert text.startswith("(991 older items")
    touched = [item for item in items if "line" in vars(item)]
    assert touched == items[-10:], "what is hidden is not even rendered"
    line = items[-1].line
    render_memory(items, 1_000)
    assert items[-1].line is line, "a line is made once"
