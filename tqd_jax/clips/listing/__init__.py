"""Files and folders that list clips -> one table."""
