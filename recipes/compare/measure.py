"""Measure the checkpoints of a run: losses on valid and slice, BLEU and chrF2 of its translations.

One process loads the data once and measures all checkpoints through fairseq's Python API. The
translations equal those of fairseq-generate with the same flags.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Dict

from preprocess.spm import decode
from preprocess.text import UserError, read_lines
from recipes.compare.languages import languages_of, tokenizer_of
from recipes.compare.settings import BEAM, GENERATE_TOKENS, LENPEN, MAX_LEN_A, MAX_LEN_B
from recipes.multi30k.prepare import LANGS

Scores = Dict[str, float]


def generate_words(langs: tuple[str, str] = LANGS) -> list[str]:
    """Flags of fairseq-generate that a translation depends on."""
    words = ["--source-lang", langs[0], "--target-lang", langs[1], "--beam", str(BEAM)]
    words += ["--lenpen", str(LENPEN), "--max-len-a", str(MAX_LEN_A)]
    return [*words, "--max-len-b", str(MAX_LEN_B)]


class Judge:
    """Measures checkpoints on the sets of a corpus.

    Args:
        corpus: folder of `recipes.compare.prepare`
        cpu: do not use a GPU
    """

    def __init__(self, corpus: Path, cpu: bool) -> None:
        import sacrebleu
        import torch
        from fairseq import options, tasks
        from fairseq.dataclass.utils import convert_namespace_to_omegaconf

        self.device = torch.device("cpu" if cpu or not torch.cuda.is_available() else "cuda")
        self.spm = corpus / "spm.model"
        langs = languages_of(corpus / "data-bin")
        words = [str(corpus / "data-bin"), *generate_words(langs)]
        arguments = options.parse_args_and_arch(options.get_generation_parser(), words)
        config = convert_namespace_to_omegaconf(arguments)
        self.generation = config.generation
        self.task = tasks.setup_task(config.task)
        self.references = {}
        for subset in ("valid", "test", "slice"):
            self.task.load_dataset(subset)
            path = corpus / "text" / f"{subset}.{langs[1]}"
            self.references[subset] = list(read_lines(path))
        bleu = sacrebleu.BLEU(tokenize=tokenizer_of(langs[1]))
        self.metrics = {"BLEU": bleu, "chrF2": sacrebleu.CHRF()}

    @property
    def signatures(self) -> dict[str, str]:
        """sacreBLEU's signature of each metric, after the first scoring."""
        return {name: str(metric.get_signature()) for name, metric in self.metrics.items()}

    def measure(self, checkpoint: Path, valid: bool = True) -> tuple[Scores, list[str]]:
        """Return scores of a checkpoint (losses in nats per token), and its translations of test.

        Args:
            valid: translate the validation set too; else its BLEU is NaN
        """
        import torch
        from fairseq import checkpoint_utils

        models, cfg = checkpoint_utils.load_model_ensemble([str(checkpoint)], task=self.task)
        (model,) = models
        model.to(self.device).eval()
        with torch.no_grad():
            scores = {f"{name}_loss": self._loss(model, name) for name in ("valid", "slice")}
            model.prepare_for_inference_(cfg)
            test = self._translate(model, "test")
            lines = self._translate(model, "valid") if valid else []
        for name, metric in self.metrics.items():
            scores[name] = metric.corpus_score(test, [self.references["test"]]).score
        scores["valid_BLEU"] = math.nan
        if valid:
            bleu = self.metrics["BLEU"].corpus_score(lines, [self.references["valid"]])
            scores["valid_BLEU"] = bleu.score
        return scores, test

    def _batches(self, model: Any, subset: str) -> Any:
        dataset = self.task.dataset(subset)
        return self.task.get_batch_iterator(
            dataset=dataset,
            max_tokens=GENERATE_TOKENS,
            max_positions=model.max_positions(),
            num_workers=0,
        ).next_epoch_itr(shuffle=False)

    def _on_device(self, sample: Any) -> Any:
        from fairseq import utils

        return utils.move_to_cuda(sample) if self.device.type == "cuda" else sample

    def _loss(self, model: Any, subset: str) -> float:
        """Unsmoothed negative log-likelihood, nats per target token, EOS included."""
        import torch.nn.functional as F

        total, tokens = 0.0, 0
        for batch in self._batches(model, subset):
            sample = self._on_device(batch)
            target = sample["target"]
            lprobs = model.get_normalized_probs(model(**sample["net_input"]), log_probs=True)
            nll = F.nll_loss(
                lprobs.view(-1, lprobs.size(-1)).float(),
                target.view(-1),
                ignore_index=self.task.target_dictionary.pad(),
                reduction="sum",
            )
            total += nll.item()
            tokens += sample["ntokens"]
        return total / tokens

    def _translate(self, model: Any, subset: str) -> list[str]:
        """The best translation of each sentence, as plain text, in the order of the set."""
        generator = self.task.build_generator([model], self.generation)
        pieces: dict[int, str] = {}
        for batch in self._batches(model, subset):
            sample = self._on_device(batch)
            found = self.task.inference_step(generator, [model], sample)
            for number, hypotheses in zip(sample["id"].tolist(), found):
                tokens = hypotheses[0]["tokens"].cpu()
                pieces[number] = self.task.target_dictionary.string(tokens)
        count = len(self.references[subset])
        if set(pieces) != set(range(count)):
            raise UserError(
                f"{subset}: translated {len(pieces)} of {count} sentences; expected all, from the "
                f"text and data-bin of one preparation: run `python -m recipes.compare.prepare` "
                f"again"
            )
        return decode(self.spm, [pieces[number] for number in range(count)])
