"""TF-IDF features of a data-bin, on disk, without torch or fairseq."""
