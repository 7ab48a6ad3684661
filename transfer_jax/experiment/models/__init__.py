"""The models that are trained on a source, a target or a mixture, each as pure functions: see model.Model and build.build."""
