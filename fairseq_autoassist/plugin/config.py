"""Flags of the task: those of `translation`, and one for each option of AutoAssistConfig."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from fairseq.dataclass.configs import CheckpointConfig
from fairseq.tasks.translation import TranslationConfig
from omegaconf import II

from ..config import AutoAssistConfig

_PREFIX = "autoassist_"


def _flags() -> list[tuple[str, Any, Any]]:
    types = typing.get_type_hints(AutoAssistConfig)
    return [
        (
            _PREFIX + field.name,
            types[field.name],
            dataclasses.field(default=field.default, metadata={"help": field.metadata["help"]}),
        )
        for field in dataclasses.fields(AutoAssistConfig)
    ]


# Values of other groups that the iterator needs and fairseq does not pass to a task.
_INTERPOLATED: list[tuple[str, Any, Any]] = [
    ("seed", int, dataclasses.field(default=II("common.seed"))),
    ("update_freq", typing.List[int], dataclasses.field(default=II("optimization.update_freq"))),
    ("max_update", int, dataclasses.field(default=II("optimization.max_update"))),
    ("max_epoch", int, dataclasses.field(default=II("optimization.max_epoch"))),
    ("reset_dataloader", bool, dataclasses.field(default=II("checkpoint.reset_dataloader"))),
    ("reset_optimizer", bool, dataclasses.field(default=II("checkpoint.reset_optimizer"))),
    ("restore_file", str, dataclasses.field(default=II("checkpoint.restore_file"))),
    ("save_dir", str, dataclasses.field(default=II("checkpoint.save_dir"))),
]
if hasattr(CheckpointConfig, "continue_once"):  # not in fairseq 0.12.2
    once = dataclasses.field(default=II("checkpoint.continue_once"))
    _INTERPOLATED.append(("continue_once", typing.Optional[str], once))

TranslationAutoAssistConfig = dataclasses.make_dataclass(
    "TranslationAutoAssistConfig", _flags() + _INTERPOLATED, bases=(TranslationConfig,)
)
TranslationAutoAssistConfig.__doc__ = "Flags of the task translation_autoassist."
TranslationAutoAssistConfig.__module__ = __name__


def autoassist_config(cfg: Any) -> AutoAssistConfig:
    """Make the settings of the method from the task's config.

    Raises:
        ConfigError: a value is out of range, or the chosen strategy does not read it
    """
    names = [field.name for field in dataclasses.fields(AutoAssistConfig)]
    return AutoAssistConfig(**{name: getattr(cfg, _PREFIX + name) for name in names})
