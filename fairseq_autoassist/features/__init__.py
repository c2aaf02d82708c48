"""What is known of pairs before training, made from a data-bin and kept by pair id."""
