"""Listening tests: what people hear of the stems of several methods, next to the true sound.

`prepare` writes what webMUSHRA plays for a MUSHRA test (Recommendation ITU-R BS.1534-3): excerpts of each source, as
loud as one another, with a hidden reference and two anchors, and the file that describes the test.

=============  ==============================================================
`_prepare`     folders of stems and true sources → a folder for webMUSHRA
`_sources`     which files a source is heard in, under which condition
`_excerpts`    where a player is loudest
`_anchors`     the low-pass filters of the anchors
`_webmushra`   the configuration, in YAML
=============  ==============================================================

Loudness itself lives in `mnmf.loudness`, scores that computers give in `mnmf.score`.
"""

from mnmf.listening._anchors import ANCHORS, anchor, low_pass
from mnmf.listening._excerpts import loudest
from mnmf.listening._prepare import Options, Prepared, Trial, prepare
from mnmf.listening._sources import Condition

__all__ = ["ANCHORS", "Condition", "Options", "Prepared", "Trial", "anchor", "loudest", "low_pass", "prepare"]
