"""The theory of transfer against refitted models: exact worlds, and a study that counts how often the theory is right."""
