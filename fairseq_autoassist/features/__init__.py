"""Numbers known of each item before training, stored by item id."""
