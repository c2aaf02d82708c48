"""What every recipe needs: corpora, steps that are not done twice, fairseq's log."""
