"""The training job: domains, models, methods, multi-task, and the report."""
