"""Scripts for a corpus: raw text -> clean pairs -> SentencePiece -> fairseq data-bin."""
