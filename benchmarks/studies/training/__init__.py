"""Arms and seeds as one compiled program."""
