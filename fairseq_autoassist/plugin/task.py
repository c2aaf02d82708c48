"""The task translation_autoassist: fairseq's translation, trained on a stream of chosen pairs."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from fairseq.distributed import utils as distributed_utils
from fairseq.tasks import register_task
from fairseq.tasks.translation import TranslationTask
from fairseq.utils import split_paths

from ..core.batching import BatchLimits
from ..core.protocol import PlannedBatch, PlanSpec
from ..core.strategies import metric_names, needs_of
from ..core.trace import TraceWriter
from ..errors import AssistantFailure, ConfigError
from ..text.lengths import pair_items
from . import metrics
from .config import TranslationAutoAssistConfig, autoassist_config
from .criterions import PLAN, SentenceLosses
from .data import (
    NONE,
    counts_on,
    open_features,
    refuse_empty,
    refuse_endless,
    refuse_unplannable,
    repeat_of,
    shard_of,
    text_of,
)
from .iterator import AutoAssistEpochIterator, Loader
from .prior import open_prior
from .ranks import Ranks, gather_before_saving
from .session import Session
from .shards import Shards
from .signals import end_cleanly_on_sigterm

logger = logging.getLogger(__name__)


@register_task("translation_autoassist", dataclass=TranslationAutoAssistConfig)
class TranslationAutoAssistTask(TranslationTask):
    """Task `translation` with training batches of AutoAssist (Zhang et al. 2019).

    Validation, generation and everything else are fairseq's own.

    Raises:
        AutoAssistError: options are out of range, features are missing or of other data, the
            criterion reports no sentence losses, or there is no pair to train on. With
            ``--autoassist-on-failure stop`` also if the Assistant failed.
    """

    def __init__(self, cfg: Any, src_dict: Any, tgt_dict: Any) -> None:
        super().__init__(cfg, src_dict, tgt_dict)
        self.autoassist = autoassist_config(cfg)
        self.needs = needs_of(self.autoassist)
        self._metric_names = metric_names(self.autoassist)
        self._iterator: AutoAssistEpochIterator | None = None
        self._shards = Shards()
        self._failure_said = False
        self._prior_said: set[str] = set()
        self._trace: TraceWriter | None = None

    # -- set-up -----------------------------------------------------------------------------------

    def build_criterion(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build fairseq's criterion; one without losses is refused where they are needed."""
        # fairseq 0.12.2 has no further argument, 0.12.3 has one
        criterion = super().build_criterion(cfg, *args, **kwargs)
        if self.needs.losses and not isinstance(criterion, SentenceLosses):
            name = getattr(cfg, "_name", type(criterion).__name__)
            raise ConfigError(
                f"--criterion {name} reports no sentence losses, from which the Assistant learns; "
                "expected a criterion of this plugin: --criterion "
                "autoassist_label_smoothed_cross_entropy or autoassist_cross_entropy"
            )
        return criterion

    def load_dataset(self, split: str, *args: Any, **kwargs: Any) -> None:
        """Load a dataset; an empty training set is refused early."""
        if split == self.cfg.train_subset:
            refuse_empty(self.cfg)
        super().load_dataset(split, *args, **kwargs)

    def get_batch_iterator(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Make the plugin's iterator for training, fairseq's own for validation and generation."""
        # only the training call of fairseq's trainer passes this
        if "update_epoch_batch_itr" not in kwargs:
            return super().get_batch_iterator(dataset, *args, **kwargs)
        if self._iterator is not None and self._iterator.dataset is dataset:
            return self._iterator
        if self._iterator is not None:
            self._iterator.park()
        end_cleanly_on_sigterm()
        self._iterator = self._training_iterator(dataset, **kwargs)
        return self._iterator

    def _say_once(self, prior: str) -> None:
        """Log a message about a prior once, though each data-bin is loaded many times."""
        if prior and prior not in self._prior_said:
            self._prior_said.add(prior)
            logger.info(f"AutoAssist: {prior}")

    def _training_iterator(
        self,
        dataset: Any,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        max_positions: Any = None,
        ignore_invalid_inputs: bool = False,
        required_batch_size_multiple: int = 1,
        num_shards: int = 1,
        shard_id: int = 0,
        num_workers: int = 0,
        epoch: int = 1,
        data_buffer_size: int = 0,
        skip_remainder_batch: bool = False,
        **_: Any,
    ) -> AutoAssistEpochIterator:
        dataset.set_epoch(epoch)
        refuse_unplannable(dataset, self.cfg, num_shards)
        refuse_endless(self.cfg, self.needs.run_length)
        eligible = self._eligible(dataset, max_positions, ignore_invalid_inputs, num_shards)
        update_freq = tuple(self.cfg.update_freq)
        loader = Loader(num_workers, min(data_buffer_size, 20), update_freq, skip_remainder_batch)
        weighed = open_prior(self.cfg, self.autoassist, epoch, len(dataset))
        self._say_once(weighed.told)
        features = NONE
        if self.needs.features:
            features = open_features(self.cfg, epoch, weighed.codes)
        limits = BatchLimits(max_tokens, max_sentences, required_batch_size_multiple)
        sizes = dataset.src_sizes, dataset.tgt_sizes
        spec = PlanSpec(
            config=self.autoassist,
            items=pair_items(*sizes, limits, eligible, num_shards),
            limits=limits,
            seed=self.cfg.seed,  # fairseq's argument may have the epoch added
            lag=loader.lag,
            features=features.stored,
            dimensions=features.dimensions,
            features_hash=features.hash,
            prior=weighed.prior,
            rank=shard_id,
            world_size=num_shards,
            update_freq=loader.update_freq_of(epoch),
            update_freqs=loader.update_freq,
            max_update=max(self.cfg.max_update, 0),
            max_passes=max(self.cfg.max_epoch, 0),  # an epoch has about one pass
            text=text_of(self.cfg, shard_of(self.cfg, epoch)),
            repeat=repeat_of(self.cfg, shard_of(self.cfg, epoch)),
        )
        if num_shards > 1:
            gather_before_saving()
        self._shards.current = shard_of(self.cfg, epoch)
        self._shards.data_bins = len(split_paths(self.cfg.data))
        self._shards.began_elsewhere |= counts_on(self.cfg)
        self._shards.counts_anew = self.cfg.reset_optimizer
        ranks = Ranks(shard_id, num_shards)
        if self.autoassist.trace and self._trace is None:
            self._trace = TraceWriter(self.autoassist.trace, shard_id)
        return AutoAssistEpochIterator(dataset, spec, epoch, loader, self._shards, ranks)

    def _eligible(
        self, dataset: Any, max_positions: Any, ignore_invalid_inputs: bool, ranks: int
    ) -> np.ndarray | None:
        """Ids of the pairs that are short enough (None: all); fairseq warns about the others."""
        every = np.arange(len(dataset), dtype=np.int64)
        if max_positions is None:
            return None
        fitting = self.filter_indices_by_size(every, dataset, max_positions, ignore_invalid_inputs)
        if len(fitting) == len(every):
            return None
        if len(fitting) < ranks:
            raise ConfigError(
                f"{len(every) - len(fitting)} of {len(every)} training pairs are longer than "
                f"{max_positions} (source, target), which leaves too few to train on; raise "
                "--max-source-positions, --max-target-positions or --max-tokens"
            )
        return np.sort(fitting).astype(np.int32 if len(every) < 2**31 else np.int64)

    # -- training ---------------------------------------------------------------------------------

    @property
    def session(self) -> Session | None:
        """Session that gives batches and takes losses; None before the first epoch."""
        return None if self._iterator is None else self._iterator.session

    def train_step(
        self,
        sample: dict[str, Any],
        model: Any,
        criterion: Any,
        optimizer: Any,
        update_num: int,
        ignore_grad: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Make fairseq's step, and report every planned micro-batch exactly once."""
        number = sample[PLAN]["number"] if PLAN in sample else None
        session = self.session
        if self._trace is not None and _has_no_gradient(model):
            self._trace.drop()
        if session is not None:
            session.begin_step(number, update_num)
        try:
            loss, sample_size, log = super().train_step(
                sample, model, criterion, optimizer, update_num, ignore_grad, **kwargs
            )
        finally:
            if session is not None:
                session.end_step(number)
        batch = self._finished(session, number)
        if self._trace is not None and batch is not None:
            before = self._shards.trained_elsewhere
            self._trace.hold(update_num + 1, before + batch.number, batch.ids)
        waited = 0.0 if session is None else session.exchange.waited
        sums = metrics.step_sums(batch, waited, self._shards.elsewhere, self._metric_names)
        # the criterion's own sums replace zeros of the same names
        return loss, sample_size, {**sums, **log}

    def optimizer_step(self, optimizer: Any, model: Any, update_num: int) -> None:
        """Report losses, which are on the host after the gradient norm, and make fairseq's step."""
        if self.session is not None:
            self.session.flush()
        super().optimizer_step(optimizer, model, update_num)

    def reduce_metrics(self, logging_outputs: Any, criterion: Any) -> None:
        """Log fairseq's metrics and those of the plugin, and write the trace of an update.

        fairseq calls this on every rank when an update was made, and in validation. It does not
        after an overflow; with --amp it calls `optimizer_step` even then.
        """
        if self._trace is not None and criterion.training:
            self._trace.write_held()
        super().reduce_metrics(logging_outputs, criterion)
        world_size = distributed_utils.get_data_parallel_world_size()
        metrics.log(logging_outputs, world_size, self._metric_names)

    # -- inside -----------------------------------------------------------------------------------

    def _finished(self, session: Session | None, number: int | None) -> PlannedBatch | None:
        """Plan of a micro-batch that was just trained on; logs failures and messages."""
        if session is None or number is None:
            return None
        batch = session.trained(number)
        self._say_by_rank(batch)
        exchange = session.exchange
        failure = exchange.failure
        if failure is not None and not self._failure_said:
            self._failure_said = True
            kept = exchange.kept_since
            logger.error(
                f"AutoAssist: {failure}. Training goes on without skipping: {kept} is kept, and "
                "none is lost. Resume from the last checkpoint to have the Assistant back"
            )
        for message in batch.messages if batch is not None else ():
            if message.bad and self.autoassist.on_failure == "stop":
                raise AssistantFailure(
                    f"{message.text}; stopping, as --autoassist-on-failure stop asks for"
                )
            logger.warning(f"AutoAssist: {message.text}")
        return batch

    def _say_by_rank(self, batch: PlannedBatch | None) -> None:
        """Log this rank's numbers at debug level; fairseq's metrics are those of all ranks."""
        if batch is not None and logger.isEnabledFor(logging.DEBUG):
            assert self._iterator is not None
            logger.debug(
                f"AutoAssist rank {self._iterator.ranks.rank}, micro-batch {batch.number}: pass "
                f"{batch.passes:.4f}, keep rate {batch.keep_rate:.3f}, {batch.metrics}"
            )


def _has_no_gradient(model: Any) -> bool:
    """Tell whether an update begins: fairseq drops gradients then, and those of a discarded one."""
    return all(parameter.grad is None for parameter in model.parameters())
