"""Arms by name: ways to choose or weigh samples, with their looks on figures."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple

from recipes.common.looks import LOOKS, Look

ADAPTER = "adapter"  # the loop of arms that choose by `fairseq_autoassist.pytorch`
BASELINE = "sgd"
# label 1 above T_k (section 3.2), no floor, and no guard that would stop skipping
PAPERS_RULE = {"lower": 1.0, "upper": 0.0, "floor": 0.0, "guard_pairs": 0}
# label 1 up to 1.5 T_k: most of what lies above it is labelled wrong, where labels are
NOT_FAR_ABOVE = {"lower": 0.0, "upper": 1.5, "floor": 0.1, "guard_pairs": 0}
# label 1 above 0.3 T_k: what is not learned yet, where labels are right
NOT_LEARNED = {"lower": 0.3, "upper": 0.0, "floor": 0.1, "guard_pairs": 0}


class Arm(NamedTuple):
    """One way to train.

    Attributes:
        title: name on figures and in tables
        look: colour and marker on figures
        loop: `ADAPTER`, or "spl" or "screenernet" for the two classes of `weighing`
        strategy: strategy of the adapter, or empty
        options: options of that strategy
    """

    title: str
    look: Look
    loop: str = ADAPTER
    strategy: str = ""
    options: Mapping[str, Any] = {}

    @property
    def assists(self) -> bool:
        """Whether the arm has an Assistant, whose accuracy can be drawn."""
        return self.strategy in ("autoassist", "own-loss")


ARMS = {
    "sgd": Arm("SGD", LOOKS["uniform"], strategy="uniform"),
    "random": Arm("random", LOOKS["random"], strategy="random", options={"keep": 0.6}),
    "autoassist": Arm("AutoAssist", LOOKS["paper"], strategy="autoassist", options=PAPERS_RULE),
    "own-loss": Arm("own loss", LOOKS["own-loss"], strategy="own-loss", options=NOT_FAR_ABOVE),
    "own-loss-hard": Arm(
        "own loss, hard", LOOKS["own-loss-hard"], strategy="own-loss", options=NOT_LEARNED
    ),
    "infobatch": Arm("InfoBatch", LOOKS["infobatch"], strategy="infobatch"),
    "spl": Arm("self-paced learning", LOOKS["spl"], loop="spl"),
    "screenernet": Arm("ScreenerNet", LOOKS["screenernet"], loop="screenernet"),
}
