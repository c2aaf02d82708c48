"""Plain training through the same stream: every pair is kept."""

from .base import Strategy


class Uniform(Strategy):
    """Keeps everything; the baseline that shares stream, buckets and batches with the others."""

    uses_prior = False
