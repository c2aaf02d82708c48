"""Binarised data of fairseq-preprocess -> TF-IDF features on disk, without torch or fairseq."""
