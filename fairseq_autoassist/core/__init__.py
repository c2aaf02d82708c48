"""The method itself: numpy and scipy only, never torch or fairseq."""
