"""The planner beside the training loop, in a process of its own or inline."""
