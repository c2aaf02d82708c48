"""The arms: ways to choose or weigh samples, by name; and how each looks on every figure."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

ADAPTER = "adapter"  # chooses through `fairseq_autoassist.pytorch`
BASELINE = "sgd"
# label 1 above T_k (section 3.2), no floor, and no guard that would stop shrinking
PAPERS_RULE = {"lower": 1.0, "upper": 0.0, "floor": 0.0, "guard_pairs": 0}


class Arm(NamedTuple):
    """One way to train.

    `colour` and `marker` are matplotlib's; no two arms share either.
    """

    title: str
    colour: str
    marker: str
    loop: str = ADAPTER  # or that of `weighing.LOOPS`
    strategy: str = ""  # of the adapter
    options: Mapping[str, Any] = {}  # of that strategy

    @property
    def assists(self) -> bool:
        """Whether it has an Assistant, whose accuracy can be drawn."""
        return self.strategy == "autoassist"


ARMS = {
    "sgd": Arm("SGD", "black", "o", strategy="uniform"),
    "random": Arm("random", "#7f7f7f", "s", strategy="random", options={"keep": 0.6}),
    "autoassist": Arm("AutoAssist", "#d62728", "X", strategy="autoassist", options=PAPERS_RULE),
    "infobatch": Arm("InfoBatch", "#006400", "P", strategy="infobatch"),
    "spl": Arm("self-paced learning", "#bcbd22", "H", loop="spl"),
    "screenernet": Arm("ScreenerNet", "#1f77b4", "D", loop="screenernet"),
}
