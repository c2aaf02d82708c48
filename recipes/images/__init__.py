"""The paper's image experiments, on the adapter for PyTorch loops alone."""
