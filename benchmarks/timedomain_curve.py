"""What the time-domain optimisation takes the mixing matrix for, against γ1, on mixtures of known gains.

    python benchmarks/timedomain_curve.py [--quick] [--jobs N]

Four sources, independent noise, are mixed by a matrix with 1 on its diagonal and one number off it.  Writes
benchmarks/results/timedomain_curve.json and docs/images/timedomain_gamma.png.
"""

import json
from pathlib import Path

import numpy as np
from _environment import environment
from _runner import arguments, result_path

from mnmf import TimeDomain, priors

N = 4
SAMPLES = 20000
TRUTHS = (0.05, 0.1, 0.2)
GAMMA1 = np.round(np.linspace(0.0, 0.3, 31), 3)
OFF = ~np.eye(N, dtype=bool)
COLOURS = ("#3b6fb6", "#c8553d", "#4f8a5b")


def main() -> None:
    options = arguments(__doc__, data="not used: the mixtures are made up; neither are --jobs: it takes seconds")
    gammas = GAMMA1[:: 10 if options.quick else 1]
    curves = {str(truth): measure(truth, gammas) for truth in TRUTHS}
    result = {
        "environment": environment(),
        "seeds": [0],
        "samples": SAMPLES,
        "gamma1": gammas.tolist(),
        "truth": curves,
    }
    for truth, curve in curves.items():
        print(f"truth {truth}: " + " ".join(f"{g:g}→{a:.3f}" for g, a in zip(gammas[::5], curve["mean"][::5])))
        print(f"    from solos {curve['solos']:.3f}; largest cost {max(curve['cost']):.1e}")
    path = result_path("timedomain_curve", options.quick)
    path.write_text(json.dumps(result) + "\n")
    if not options.quick:
        draw(gammas, curves, Path(__file__).parent.parent / "docs" / "images" / "timedomain_gamma.png")
    print(f"wrote {path}")


def measure(truth: float, gammas: np.ndarray) -> dict:
    """Return the mean, least and largest gain found off the diagonal, and the cost left, for each γ1."""
    rng = np.random.default_rng(0)
    mixing_MN = np.where(OFF, truth, 1.0)
    x_LM = rng.standard_normal((SAMPLES, N)) @ mixing_MN.T
    curve: dict = {"mean": [], "least": [], "largest": [], "cost": []}
    for gamma1 in gammas:
        model = TimeDomain(gamma1=float(gamma1)).fit(x_LM[None])
        found = model.A_[OFF]
        for name, value in zip(curve, (found.mean(), found.min(), found.max(), model.cost_[-1])):
            curve[name].append(float(value))
    solos_LM = np.concatenate([rng.standard_normal((2000, 1)) * mixing_MN[:, n] for n in range(N)])
    passages = [slice(2000 * n, 2000 * (n + 1)) for n in range(N)]
    prior = priors.solo_panning(solos_LM[None] + 0j, passages, range(N)).hold("G")
    curve["solos"] = float(TimeDomain().fit(x_LM[None], prior).A_[OFF].mean())
    return curve


def draw(gammas: np.ndarray, curves: dict, path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 10, "font.family": "DejaVu Sans"})
    figure, axis = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
    end = gammas[-1]
    offset = {"textcoords": "offset points", "va": "center"}
    for colour, width, (truth, curve) in zip(COLOURS, (7, 4, 1.5), curves.items()):
        # They lie on each other, so each is narrower than the one below.
        axis.plot(gammas, curve["mean"], color=colour, linewidth=width, solid_capstyle="butt")
        axis.axhline(float(truth), color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
        axis.plot(end, curve["solos"], "o", color=colour, markersize=7, clip_on=False, zorder=5)
        axis.annotate(
            f"truth {truth}", (end, float(truth)), xytext=(10, 0), color=colour, annotation_clip=False, **offset
        )
    shown = round(0.8 * len(gammas))
    middle = curves[str(TRUTHS[0])]["mean"][shown]
    axis.annotate(
        "without solos:\nthree truths, one curve", (gammas[shown], middle), xytext=(-14, 10), ha="right", **offset
    )
    axis.annotate("with solos", (end, TRUTHS[-1]), xytext=(-8, -10), ha="right", **offset)
    axis.set_xlim(0, end)
    axis.set_ylim(0, None)
    axis.set_xlabel("γ1, the least bleed allowed")
    axis.set_ylabel("gain found off the diagonal of Λ")
    axis.set_title("Without solos the bleed that is found follows γ1, not the truth", fontsize=11, loc="left", pad=10)
    axis.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130, metadata={"Software": None})


if __name__ == "__main__":
    main()
