"""Adapter for fairseq: task, epoch iterator and criterions, which an import registers."""

from . import checkpoints, criterions, task  # noqa: F401

checkpoints.allow_fairseq_checkpoints()
