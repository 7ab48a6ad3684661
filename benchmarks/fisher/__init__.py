"""fisher_gram beside gradients of every example."""
