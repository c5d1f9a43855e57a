"""Rooms, seats and microphones, and what the microphones hear: mixtures with known answers.

A `Scene` is a room with players and microphones in it.  `render` turns one dry stem for each player into the image of
every player at every microphone; their sum is the mixture, and the image of player n at its own spot is what a
separation should give back.  `solo_take` and `clap_take` make the recording in which the players sound one after
another, `training_pairs` examples for neural networks.  The scenes of published experiments are `hall_scene`,
`orchestral_scene` and `studio_scene`; `chamber_scene` is that of the demo.

Players sit still unless they are given a `Motion` each: `sway` makes them move about their seats by a few centimetres,
`shift` lets one shift the chair at some time.  `render`, `solo_take` and `clap_take` take these; microphones stay.
`add_noise` is for the sum of the images: noise of the microphones belongs to no player.

Walls reflect all frequencies alike, with the absorption that Sabine's formula gives for the wanted RT60; air absorbs
nothing; players are point sources that radiate equally in all directions.  There is no ray tracing and nothing random,
so that a scene always gives the same responses.  A flat hall is less diffuse than Sabine assumes: its measured decay is
slower than its nominal RT60 (about 1.5 s instead of 1 s in `hall_scene`), as in every simulation by this method.

Axes: `L` samples, `M` microphones, `N` players.  Points are (x, y, z) in metres from a floor corner, z upwards.
Spectrograms, models and scores do not live here, and neither do dry recordings to render: those of the library are in
`mnmf.data`, those of multitrack datasets are read by `mnmf.datasets`.
"""

from mnmf.directivity import PATTERNS
from mnmf.simulate._layouts import (
    LAYOUTS,
    ROOMS,
    SEAT_ANGLES_DEG,
    Layout,
    chamber_scene,
    close_spots,
    hall_scene,
    orchestral_scene,
    studio_scene,
)
from mnmf.simulate._motion import Motion, shift, sway
from mnmf.simulate._rendering import (
    LEAD,
    REFERENCE_M,
    add_noise,
    clap_take,
    claps,
    impulse_responses,
    render,
    solo_take,
)
from mnmf.simulate._scene import Microphone, Player, Room, Scene
from mnmf.simulate._training import training_pairs

__all__ = [
    "LAYOUTS",
    "LEAD",
    "PATTERNS",
    "REFERENCE_M",
    "ROOMS",
    "SEAT_ANGLES_DEG",
    "Layout",
    "Microphone",
    "Motion",
    "Player",
    "Room",
    "Scene",
    "add_noise",
    "chamber_scene",
    "clap_take",
    "claps",
    "close_spots",
    "hall_scene",
    "impulse_responses",
    "orchestral_scene",
    "render",
    "shift",
    "solo_take",
    "studio_scene",
    "sway",
    "training_pairs",
]
