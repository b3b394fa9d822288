"""docs/methods.md: the functions beside the loop give what the page says."""

import doctest
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs" / "methods.md"


def test_the_examples_of_the_page_give_what_it_says():
    found = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert found.attempted
    assert not found.failed
