"""How much to learn from each source: optimal weights and quantities, and the runtime both trainers stand on."""
