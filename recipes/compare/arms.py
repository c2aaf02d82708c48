"""The arms of the comparison: a name for each way to choose pairs, and the flags that make it.

All arms train through the plugin's task and stream; plain training is the arm `uniform`.
"""

from __future__ import annotations

from dataclasses import dataclass

PRIOR_FLOOR = "0.001"
WITHOUT_PRIOR = ("uniform", "random")  # strategies that never read a prior
WITHOUT_FEATURES = (*WITHOUT_PRIOR, "spl", "infobatch")  # and those that read losses alone


@dataclass(frozen=True)
class Arm:
    """One way to choose pairs.

    Attributes:
        flags: of the plugin
        prior: factor of P(keep): "agreement", "none", or "default" to give no flag
        rows: pairs chosen before training: "okay", by their label; "posterior", by a posterior of
            agreement above 0.5; "" for all
    """

    flags: tuple[str, ...] = ()
    prior: str = "none"
    rows: str = ""

    @property
    def reads_prior(self) -> bool:
        """Whether the choice of pairs depends on the files of agreement."""
        return self.prior in ("agreement", "default") or self.rows == "posterior"

    @property
    def features(self) -> tuple[str, ...]:
        """Commands that make the features of the arm; agreement needs those of TF-IDF."""
        plain = set(WITHOUT_FEATURES) & set(self.flags)
        return ("tfidf", "agreement") if self.reads_prior else () if plain else ("tfidf",)

    @property
    def words(self) -> list[str]:
        """The flags of a run."""
        words = list(self.flags)
        if self.prior == "agreement":
            words += ["--autoassist-prior", "agreement", "--autoassist-prior-floor", PRIOR_FLOOR]
        elif self.prior == "none" and not set(WITHOUT_PRIOR) & set(self.flags):
            words += ["--autoassist-prior", "none"]
        return words


def _strategy(name: str, *flags: str) -> tuple[str, ...]:
    return ("--autoassist-strategy", name, *flags)


def _between(lower: str, upper: str, floor: str, strategy: str = "autoassist") -> tuple[str, ...]:
    """Flags by which an Assistant labels 1 the losses between two multiples of T_k (0: no limit).

    Every arm gives all three flags, so that no result changes with the plugin's defaults.
    """
    words = ("--autoassist-floor", floor, "--autoassist-lower", lower, "--autoassist-upper", upper)
    return _strategy(strategy, *words)


_BAND = _between("0.3", "1.25", "0.3")
_EASY_FIRST = (
    "--autoassist-competence",
    "--autoassist-competence-by",
    "rarity",
    "--autoassist-competence-start",
    "0.01",
)

ARMS = {
    "uniform": Arm(_strategy("uniform")),
    "random": Arm(_strategy("random", "--autoassist-keep", "0.6")),
    "default": Arm(prior="default"),  # no flag at all, as a user's first run
    "default-competence": Arm(("--autoassist-competence",), prior="default"),
    "prior": Arm(_strategy("prior"), prior="agreement"),
    "own-loss": Arm(_between("0.3", "1.25", "0.1", "own-loss"), prior="agreement"),
    "hard-filter": Arm(_strategy("uniform"), rows="posterior"),
    "oracle": Arm(_strategy("uniform"), rows="okay"),
    "paper": Arm(_between("1", "0", "0")),
    "band": Arm(_BAND),
    "band-sharp": Arm(_between("0.3", "1.25", "0.1")),
    "band-unguarded": Arm((*_BAND, "--autoassist-guard-pairs", "0")),
    "band-competence": Arm((*_BAND, *_EASY_FIRST)),
    "paper-competence": Arm((*_between("1", "0", "0.3"), *_EASY_FIRST)),
    "competence": Arm(_strategy("competence")),
    "spl": Arm(_strategy("spl")),
    "infobatch": Arm(_strategy("infobatch")),
}
