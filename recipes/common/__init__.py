"""Modules that recipes share: corpora, steps with stamps, fairseq's log."""
