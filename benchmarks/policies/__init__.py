"""What decides in a policy of a transfer job, measured."""
