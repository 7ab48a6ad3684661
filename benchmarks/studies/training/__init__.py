"""Training of all arms and seeds as one compiled program."""
