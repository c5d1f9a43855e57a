"""Solo passages as spatial priors: fixH, updtH and blind on a quartet in a simulated room, in one table.

Cabañas-Molero et al. 2023.  Each player's solo passage teaches how the player reaches every microphone (R) and what
the instrument sounds like (W).  The three variants of full-rank MNMF differ only in what they make of it.
"""

import numpy as np

from mnmf import Take, data, metrics, separate, simulate

# A string quartet in a room; each spot hears its own player and, more faintly, the other three.
quartet = data.quartet()
scene = simulate.chamber_scene(quartet.names)
images_LMN = simulate.render(scene, quartet.stems_LN, quartet.sample_rate)
mixture_LM = images_LMN.sum(axis=2)
truth_LN = images_LMN[:, scene.spots, range(len(scene.spots))]  # each player at its own spot
solo_LM, passages = simulate.solo_take(scene, list(quartet.solos_LN.T), quartet.sample_rate)

# What is known of the take: where in another recording by the same microphones each player is alone.
take = Take.of(
    mixture_LM.astype(np.float32),
    quartet.sample_rate,
    solos={p.source: (p.start, p.stop) for p in passages},
    solo_LM=solo_LM.astype(np.float32),
)

before = metrics.bss_eval(truth_LN, mixture_LM[:, scene.spots])
print(f"{'ΔSDR in dB':12}" + "".join(f"{name:>10}" for name in (*take.sources, "mean")))
for name, method in {"fixH": "mnmf-fixh", "updtH": "mnmf-updth", "blind": "mnmf-blind"}.items():
    gain = metrics.bss_eval(truth_LN, separate(take, method=method).stems_LN).sdr - before.sdr
    print(f"{name:12}" + "".join(f"{value:10.1f}" for value in (*gain, gain.mean())))
