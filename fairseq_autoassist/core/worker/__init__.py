"""The planner beside the training loop, or inside it: batches out, loss reports in."""
