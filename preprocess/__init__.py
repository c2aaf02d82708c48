"""Corpus scripts: raw text -> clean pairs -> SentencePiece -> fairseq data-bin."""
