"""The arms of the comparison: a name for each way to choose pairs, and the flags that make it.

All arms train through the plugin's task: plain training is `uniform`, through the same stream.
"""

from __future__ import annotations

from dataclasses import dataclass

PRIOR_FLOOR = "0.001"
WITHOUT_PRIOR = ("uniform", "random")  # strategies that do without in any case


@dataclass(frozen=True)
class Arm:
    """One way to choose pairs.

    Attributes:
        flags: of the plugin
        warmup: share of the run's updates without shrinking; 0 leaves the flag out
        easy_first: share of the run's updates until all pairs are easy enough, T of the curriculum;
            0 leaves the flag out: half of the run
        follows: an arm whose share of pairs kept this one follows, in the run that differs in
            nothing else; the runner trains that one first
        reference: architecture of a model, plainly trained on the corpus, whose losses this one is
            held against; the runner trains that one first
        prior: what P(keep) is multiplied by: "agreement", "none", or "default" to say nothing
        rows: which pairs it trains on, chosen before: "okay", by their label; "posterior", those
            that are more likely okay than not by what agreement knows; "" for all
    """

    flags: tuple[str, ...] = ()
    warmup: float = 0.0
    easy_first: float = 0.0
    follows: str = ""
    reference: str = ""
    prior: str = "none"
    rows: str = ""

    @property
    def reads_prior(self) -> bool:
        """Whether what it trains on goes with what agreement wrote."""
        return self.prior in ("agreement", "default") or self.rows == "posterior"

    @property
    def features(self) -> tuple[str, ...]:
        """The commands whose features its choice reads; agreement needs those of TF-IDF."""
        plain = set(WITHOUT_PRIOR) & set(self.flags)
        return ("tfidf", "agreement") if self.reads_prior else () if plain else ("tfidf",)

    def words(self, updates: int) -> list[str]:
        """The flags of a run of so many updates."""
        words = list(self.flags)
        if self.prior == "agreement":
            words += ["--autoassist-prior", "agreement", "--autoassist-prior-floor", PRIOR_FLOOR]
        elif self.prior == "none" and not set(WITHOUT_PRIOR) & set(self.flags):
            words += ["--autoassist-prior", "none"]
        if self.warmup:
            words += ["--autoassist-warmup-updates", str(round(self.warmup * updates))]
        if self.easy_first:
            words += ["--autoassist-competence-updates", str(round(self.easy_first * updates))]
        return words


def _strategy(name: str, *flags: str) -> tuple[str, ...]:
    return ("--autoassist-strategy", name, *flags)


def _band(lower: str, upper: str, floor: str) -> tuple[str, ...]:
    """AutoAssist with these losses, in multiples of T_k, labelled 1 (upper 0: no limit).

    All three are said by every arm, so that no result moves with the plugin's defaults.
    """
    words = ("--autoassist-floor", floor, "--autoassist-lower", lower, "--autoassist-upper", upper)
    return _strategy("autoassist", *words)


def _above(floor: str) -> tuple[str, ...]:
    """The paper's labels, 1 above T_k, with a floor."""
    return _band("1", "0", floor)


_LATE = ("--autoassist-anneal", "0.3")
_INVERSE = (*_above("0.2"), "--autoassist-weights", "inverse", "--autoassist-anneal", "0.125")
_MORE = ("--autoassist-extra-features", "lengths,ratio,loss")
_EASY = _band("0.3", "1.25", "0.3")
_FIRST = (
    "--autoassist-competence",
    "--autoassist-competence-by",
    "rarity",
    "--autoassist-competence-start",
    "0.01",
)

ARMS = {
    "uniform": Arm(_strategy("uniform")),
    "random": Arm(_strategy("random", "--autoassist-keep", "0.6")),
    "follow-paper": Arm(_strategy("random"), follows="paper"),
    "paper": Arm(_above("0")),
    "floor": Arm(_above("0.5")),
    "middle": Arm((*_above("0.3"), *_LATE), warmup=0.1),
    "guarded": Arm((*_band("1", "2", "0.3"), *_LATE), warmup=0.1),
    "inverse": Arm(_INVERSE, warmup=0.05),
    "inverse-loss": Arm((*_INVERSE, *_MORE), warmup=0.05),
    "loss": Arm((*_above("0.3"), *_LATE, *_MORE), warmup=0.1),
    "band": Arm((*_above("0.3"), "--autoassist-band", "0.6", "--autoassist-anneal", "0.25")),
    "easy-first": Arm((*_above("0.3"), "--autoassist-band", "0.5", "--autoassist-anneal", "0.5")),
    "easy": Arm(_EASY),  # the plugin's defaults
    "easy-unguarded": Arm((*_EASY, "--autoassist-guard-pairs", "0")),
    "easy-sharp": Arm(_band("0.3", "1.25", "0.1")),
    "easy-loss": Arm((*_EASY, "--autoassist-anneal", "0.2", *_MORE)),
    "progress": Arm((*_above("0.3"), "--autoassist-utility", "progress")),
    "excess": Arm((*_above("0.3"), "--autoassist-utility", "excess"), reference="smaller"),
    "easy-competence": Arm((*_EASY, *_FIRST)),
    "easy-competence-short": Arm((*_EASY, *_FIRST), easy_first=0.1),
    "hard-competence": Arm((*_above("0.3"), *_FIRST)),
    "spl": Arm(_strategy("spl")),
    "infobatch": Arm(_strategy("infobatch")),
    "competence": Arm(_strategy("competence")),
    "default": Arm(prior="default"),  # no flag at all: what a user gets
    "prior": Arm(_strategy("prior"), prior="agreement"),
    "prior-assistant": Arm(_band("0.3", "1.25", "0.1"), prior="agreement"),
    "prior-assistant-floor3": Arm(_EASY, prior="agreement"),
    "hard-filter": Arm(_strategy("uniform"), rows="posterior"),
    "oracle": Arm(_strategy("uniform"), rows="okay"),
}

# taken out since, with what they chose by: how much pairs are like those of the validation set.
# Their records stay; scores on that set are no fair judge of them
CHOSE_BY_VALIDATION = ("easy-relevant", "relevant-late")
