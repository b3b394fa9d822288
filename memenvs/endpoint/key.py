"""The key of a server: read from the environment, and kept out of every message.

* `read_key`.
* `without_key`.
"""

from __future__ import annotations

import os
import re

from memenvs.errors import SettingsError

SHORT = 8
"""Keys of fewer characters, such as the "EMPTY" of a local server, are taken out of messages as whole words alone."""


def read_key(variable: str) -> str:
    """The key that an environment variable holds, without blanks around it; "" where there is none.

    Raises:
        SettingsError: no key can look like that, or a variable other than OPENAI_API_KEY is not set. The value is not shown.
    """
    found = os.environ.get(variable)
    if found is None and variable != "OPENAI_API_KEY":
        raise SettingsError(
            f"api_key_env names the variable {variable}, which is not set; set it, or leave api_key_env out"
        )
    key = (found or "").strip()
    if re.fullmatch(r"[!-~]*", key) is None:
        raise SettingsError(
            f"the key in {variable} must be of visible ASCII characters, without blanks or line ends inside; "
            "copy it anew (its value is not shown here)"
        )
    return key


def without_key(text: str, key: str) -> str:
    """``text`` with ``***`` for the key: servers and transports quote it in their errors."""
    if not key:
        return text
    if len(key) >= SHORT:
        return text.replace(key, "***")
    return re.sub(rf"(?<!\w){re.escape(key)}(?!\w)", "***", text)
