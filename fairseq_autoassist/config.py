"""Every constant of the method: its default, unit and source, checked when it is built.

The command-line flags of the task are made from these fields (``eta`` becomes
``--autoassist-eta``), so a constant is written down once.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from .constants import check_choice, check_range, constant, flag
from .errors import ConfigError

__all__ = ["PAPERS_RULE", "AutoAssistConfig", "flag"]

PAPER = "Zhang, Yu, Dhillon 2019"
# Fields that make AutoAssist the paper's: label 1 above T_k (section 3.2), and no floor
PAPERS_RULE = {"lower": 1.0, "upper": 0.0, "floor": 0.0}


@dataclass(frozen=True)
class AutoAssistConfig:
    """Settings of one run.

    Raises:
        ConfigError: a value is out of its range; the message names the flag, the value found and
            the range expected.
    """

    strategy: str = constant(
        "autoassist",
        "how pairs are chosen: 'autoassist'; 'uniform' (keeps every pair: plain training through "
        "the same stream); 'random' (keeps a share of them, any: the control); 'competence', "
        "'spl', 'infobatch', 'prior' (see their files in core/strategies/)",
        PAPER + ", Algorithm 1",
    )
    eta: float = constant(
        2.0,
        "learning rate of the Assistant (per report, on unit-norm TF-IDF blocks)",
        PAPER + ", eq. (5); value: ours, see README",
        low=0.0,
    )
    weight_decay: float = constant(
        1e-5,
        "lambda: share of the Assistant's weights forgotten at each report",
        PAPER + ", eq. (5); value: ours",
        low=0.0,
        high=0.5,
    )
    threshold_decay: float = constant(
        0.95,
        "decay per report of the moving average T_k of sentence losses (nats/token)",
        PAPER + ", section 3.2; value: ours",
        low=0.0,
        high=0.999999,
    )
    gamma_decay: float = constant(
        0.99,
        "decay per report of the moving average gamma_k of the Assistant's accuracy",
        PAPER + ", Algorithm 1; value: ours",
        low=0.0,
        high=0.999999,
    )
    floor: float = constant(
        0.3,
        "least keep probability of a pair; the authors' own code has 0.5 for translation",
        "value: ours, see docs/results.md; 0 is the paper's rule",
        low=0.0,
        high=1.0,
    )
    lower: float = constant(
        0.3,
        "losses up to this multiple of T_k are labelled 0: learned already",
        PAPER + ", section 3.2; value: ours, see docs/results.md; 1 is the paper's rule",
        low=0.0,
    )
    upper: float = constant(
        1.25,
        "losses above this multiple of T_k are labelled 0: far too hard now (or misaligned, or of "
        "another language); 0 or inf: no limit",
        "value: ours, see docs/results.md; 0 is the paper's rule",
        low=0.0,
    )
    prior: str = constant(
        "agreement",
        "what P(keep) is multiplied by: 'agreement', what autoassist-agreement wrote, where it is "
        "there; 'none'; or a path of your own scores in [0, 1], a number a pair: a .npy file, or "
        "text with one number a line (of several data-bins joined by ':' like them). 'uniform' "
        "and 'random' go without",
        "ours; the paper has none",
    )
    prior_floor: float = constant(
        0.001,
        "no pair's prior is below this; more than 0, so that every pair comes up at some time",
        "ours",
        low=0.0,
        high=1.0,
    )
    guard_pairs: int = constant(
        2000,
        "uniformly kept pairs after which the Assistant is held against the majority class; "
        "while it is no better nothing is shrunk (one that was better is doubted after three such "
        "verdicts in a row), and after ten in a row it has failed, not counting those with nine "
        "tenths of the labels the same; 0: never",
        "ours",
        low=0,
    )
    keep: float = constant(0.7, "share that strategy 'random' keeps", "ours", low=0.01, high=1.0)
    competence: bool = constant(
        False,
        "begin with easy pairs: those too hard for the 'competence' below wait, and until it is 1 "
        "the Assistant only learns",
        "Platanios et al. 2019; the paper has none",
    )
    competence_by: str = constant(
        "rarity",
        "difficulty for 'competence': 'rarity' of the source's words, or its 'length'",
        "Platanios et al. 2019, section 3",
    )
    competence_start: float = constant(
        0.01,
        "c_0: share of the pairs, the easiest, that 'competence' begins with",
        "Platanios et al. 2019, section 4",
        low=0.0001,
        high=1.0,
    )
    competence_updates: int = constant(
        0,
        "T: updates after which 'competence' keeps all pairs; 0: half of the run (of --max-update; "
        "with --max-epoch alone, of its passes, the first of which are short: it grows faster)",
        "Platanios et al. 2019, eq. (7); value: ours",
        low=0,
    )
    spl_start: float = constant(
        0.25,
        "share of the pairs, the easiest, that 'spl' begins with",
        PAPER + ", section 4 (baselines)",
        low=0.01,
        high=1.0,
    )
    spl_passes: float = constant(
        10.0, "passes after which 'spl' keeps all pairs", "value: ours", low=0.0
    )
    infobatch_ratio: float = constant(
        0.5,
        "r: probability with which 'infobatch' drops a pair below the mean loss",
        "Qin et al. 2024, section 3.1",
        low=0.0,
        high=0.99,
    )
    infobatch_anneal: float = constant(
        0.125,
        "1 - delta: share of the run at its end that 'infobatch' trains on all pairs (of "
        "--max-update or --max-epoch)",
        "Qin et al. 2024, section 3.1",
        low=0.0,
        high=1.0,
    )
    trace: str = constant(
        "",
        "folder in which each rank writes down which pairs it trained on, eight bytes each time; "
        "empty: none",
        "ours",
    )
    features: str = constant(
        "",
        "folder of the TF-IDF features (autoassist-tfidf --dest); empty: inside the data-bin",
        "ours",
    )
    inline: bool = constant(
        False,
        "plan batches in the training process (same batches, no worker process)",
        "ours; for debugging",
    )
    timeout: float = constant(
        20.0,
        "seconds without an answer after which the Assistant's process is given up as stuck",
        "ours",
        low=0.1,
    )
    on_failure: str = constant(
        "continue",
        "when the Assistant fails: 'continue' training without shrinking, or 'stop'",
        "ours",
    )

    def __post_init__(self) -> None:
        if self.upper == math.inf:  # the other way to say that there is no limit
            object.__setattr__(self, "upper", 0.0)
        for field in dataclasses.fields(self):
            check_range(field, getattr(self, field.name))
        check_choice("on_failure", self.on_failure, ("continue", "stop"))
        check_choice("competence_by", self.competence_by, ("rarity", "length"))
        if self.prior_floor == 0.0:
            raise ConfigError(f"{flag('prior_floor')} is 0.0, expected more than 0, at most 1")
        if not self.prior:
            raise ConfigError(
                f"{flag('prior')} is empty, expected 'agreement', 'none' or a file of scores"
            )
        if 0.0 < self.upper <= self.lower:  # nothing would be left between them
            raise ConfigError(
                f"{flag('upper')} is {self.upper}, expected 0 or more than {flag('lower')}, which "
                f"is {self.lower}"
            )
