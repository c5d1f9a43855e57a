"""The configuration of webMUSHRA: pages by its keys, written as YAML."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["RESOURCES", "configuration", "yaml"]

RESOURCES = "configs/resources"  # where webMUSHRA, from its root, finds the sounds
WELCOME = (
    "You will hear excerpts of one instrument or voice at a time. Each page has an open reference and several versions "
    "of it in random order; one of them is the reference again. Please use headphones, in a quiet room. Rate how close "
    "each version is to the reference, from 0 (bad) to 100 (excellent), with regard to all differences you hear: other "
    "players in the background, noises, and changes of its own sound. The version that is the reference should get 100."
)
VOLUME = "Set a comfortable volume, and please leave it there for the whole test."
RATE = "Compare each version with the reference: {}."
THANKS = "Thank you for listening! Please send your ratings."


def configuration(test: str, reference: str, trials: Sequence[tuple[str, str, Mapping[str, str]]]) -> dict[str, Any]:
    """Return the configuration of a test.

    Parameters
    ----------
    test : str
        Its name, which is also its identifier.
    reference : str
        The file by which the volume is set, below RESOURCES.
    trials : sequence of (id, source, files)
        Of each trial: its identifier, what is heard, and the file of the reference and of every condition, by
        'reference' and by their keys, below RESOURCES.
    """
    pages: list[Any] = [
        {"type": "generic", "id": "welcome", "name": "Welcome", "content": WELCOME},
        {
            "type": "volume",
            "id": "volume",
            "name": "Volume",
            "content": VOLUME,
            "stimulus": f"{RESOURCES}/{reference}",
            "defaultVolume": 0.5,
        },
    ]
    shuffled: list[Any] = ["random"]
    for identifier, source, files in trials:
        # The reader puts names and contents into its page as HTML, and does not know all that JSON may escape.
        shown = html.escape(source).encode("ascii", "xmlcharrefreplace").decode("ascii")
        shuffled.append(
            {
                "type": "mushra",
                "id": identifier,
                "name": shown,
                "content": RATE.format(shown),
                "showWaveform": True,
                "enableLooping": True,
                "strict": True,
                "randomize": True,
                "showConditionNames": False,
                "createAnchor35": False,  # those here are as loud as the reference
                "createAnchor70": False,
                "reference": f"{RESOURCES}/{files['reference']}",
                "stimuli": {key: f"{RESOURCES}/{file}" for key, file in files.items() if key != "reference"},
            }
        )
    pages += [
        shuffled,
        {
            "type": "finish",
            "name": "Thank you",
            "content": THANKS,
            "popupContent": "Thank you!",
            "showResults": False,
            "writeResults": True,
        },
    ]
    return {
        "testname": test,
        "testId": test,
        "bufferSize": 2048,
        "stopOnErrors": True,
        "showButtonPreviousPage": True,
        "remoteService": "service/write.php",
        "pages": pages,
    }


def yaml(value: Any, indent: int = 0) -> str:
    """Return mappings, lists, texts, numbers and truth values as YAML, a line each; texts are quoted as in JSON.

    Examples
    --------
    >>> from mnmf.listening._webmushra import yaml
    >>> print(yaml({"pages": [{"type": "volume", "level": 0.5}, ["random", {"strict": True}]]}))
    pages:
      -
        type: "volume"
        level: 0.5
      -
        - "random"
        -
          strict: true
    """
    space, lines = " " * indent, []
    items = value.items() if isinstance(value, Mapping) else (("-", item) for item in value)
    for key, item in items:
        begun = space + (key if key == "-" else f"{key}:")
        if isinstance(item, Mapping | list):
            lines += [begun, yaml(item, indent + 2)]
        else:
            lines.append(f"{begun} {json.dumps(item)}")
    return "\n".join(lines)
