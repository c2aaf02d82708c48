"""fairseq adapters: task, epoch iterator, criterions. Importing this package registers them."""

from . import checkpoints, criterions, task  # noqa: F401

checkpoints.allow_fairseq_checkpoints()
