"""Image experiments of the paper, on the adapter for PyTorch loops."""
