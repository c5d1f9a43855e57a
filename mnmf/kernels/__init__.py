"""Numerical kernels: functions without state, arrays in and arrays out.

Why they are a package of their own: a model reads like its paper only if the loops that make it fast are elsewhere, and
a loop can be compared with a plain one only if it is a function of arrays.  So nothing here validates, draws random
numbers, keeps state or knows about files; callers hand over checked, contiguous arrays.  ``tests/reference`` holds the
same equations as plain loops, under the same names.

One file holds the updates of one model, or one kind of small problem:

================  ===================================================================================================
file              what it computes
================  ===================================================================================================
``fastmnmf2``     FastMNMF2 (Sekiguchi et al. 2020): eq. 13, 14 and 16 in `frequency_pass`, eq. 15 in `weight_pass`
``fullrank``      Euclidean full-rank MNMF (Cabañas-Molero et al. 2023): eq. 3 in `rooted`, eq. 5 in `update_h` and
                  `update_w`, eq. 6 in `update_r`
``logdet``        log-determinant full-rank MNMF (Sawada et al. 2013, section III-D): `sweep`, `images`
``logdet_joint``  the same updates from one evaluation of the model (Marmin et al. 2023, for NMF): `sweep_jointly`
``ntf``           NTF panning (Carabias-Orti et al. 2013): `update_w`, `update_h`, `update_g`
``kamir``         kernel additive modelling (Prätzlich et al. 2015)
``timedomain``    time-domain unmixing (Rajesh R 2023, algorithm 1)
``beta``          single-channel NMF under the β-divergence (Févotte and Idier 2011)
``nnls``          non-negative least squares (Lawson and Hanson 1974)
``scm``           sums of spatial covariances, and quadratic forms
``hermitian``     the nearest positive semidefinite matrix; the Riccati equation of `logdet`
``wiener``        the multichannel Wiener filter of jointly diagonalised models
``matmul``        matrix products
================  ===================================================================================================

Below these lie the parts that they share: `_blocks` (how the time-frequency plane is cut up, and sums over the parts),
`_rows` (algebra of M×M matrices and the rows of Q), `_planes` (Hermitian matrices of many frames at once), `_lanes`
(the update of covariances, several at once), `_logdet` (what else `logdet` and `logdet_joint` share), `_threads`,
`_compile` (what is compiled, and how) and `_cache`.

Two rules give the same bytes on any number of threads.  Work is divided along an axis without reduction, into blocks
whose size never depends on the number of threads; and BLAS, which divides its own sums as it likes, runs on one thread
while our blocks run in parallel (`one_blas_thread`).
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController

from mnmf.kernels import _cache

__all__ = ["nothing_compiled", "one_blas_thread"]

# OpenMP threads that wait by spinning slow everything down tenfold as soon as another program wants a core.  OpenMP
# reads this once, when numba first loads it; a value set by the user stands.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_cache.prepare()


def nothing_compiled() -> bool:
    """Return whether the first use of every kernel will compile it, as none is kept from an earlier run.

    Examples
    --------
    >>> nothing_compiled() in (True, False)
    True
    """
    return _cache.is_empty()


@cache
def _controller() -> ThreadpoolController:
    # numba calls scipy's BLAS, numpy its own; both must be loaded before we look for them.
    import scipy.linalg.cython_blas  # noqa: F401

    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager[Any]:
    """Return a context manager inside which every BLAS runs on one thread.

    Examples
    --------
    >>> import numpy as np
    >>> with one_blas_thread():
    ...     np.ones((2, 3)) @ np.ones(3)
    array([3., 3.])
    """
    limiter: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limiter
