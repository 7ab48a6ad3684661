"""Models as pure functions of (trained, frozen) parameters: model.Model is the contract, build.build makes one from a config."""
