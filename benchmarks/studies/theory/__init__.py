"""The theory of transfer held against refitted models: worlds that are known exactly, and a study that counts how often it is right."""
