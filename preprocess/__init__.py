"""Scripts that turn a corpus into a data-bin: raw text -> clean pairs -> pieces -> data-bin."""
