"""The method itself: numpy, scipy and scikit-learn only, never torch or fairseq."""
