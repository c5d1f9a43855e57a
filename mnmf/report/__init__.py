"""A page to look at and listen to, from a folder of stems: one HTML file that loads nothing from elsewhere.

===========  =========================================================================================================
`_sounds`    the take and the stems as `mnmf separate` left them, read in blocks
`_measures`  levels and outlines of the whole take, in one walk through it
`_bleed`     how loud each player is at the others' microphones, before and after
`_places`    where to listen: excerpts, and where the model has to guess
`_clips`     excerpts as audio that a page can hold, and how loud they are
`_pictures`  spectrograms as PNG, curves as paths of SVG, colours
`_page`      the words, and the template that they go into
===========  =========================================================================================================
"""

from mnmf.report._page import write_report

__all__ = ["write_report"]
