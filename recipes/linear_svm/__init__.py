"""Linear SVMs by SGD with instance shrinking: section 3 of Zhang, Yu, Dhillon (NeurIPS 2019)."""
