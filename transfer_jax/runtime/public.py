"""A package's public names, each imported when it is first used (PEP 562): a process that only reads clips never imports JAX."""
import importlib
import sys


def public(package, modules):
    """(__getattr__, __dir__, __all__) for the package's __init__, from {module below the package: its public names}."""
    module_of = {name: f'{package}.{module}' for module, names in modules.items() for name in names}
    namespace = vars(sys.modules[package])

    def __getattr__(name):
        if name not in module_of:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        namespace[name] = getattr(importlib.import_module(module_of[name]), name)
        return namespace[name]

    def __dir__():
        return sorted(module_of)

    return __getattr__, __dir__, sorted(module_of)
