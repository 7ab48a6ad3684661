"""The scale of each module of a LoRA file, and one rank and alpha for all of them."""
import json
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from transfer_jax.runtime.errors import UserError

METADATA_KEY = 'lora_adapter_metadata'


def read_settings(metadata: Mapping[str, str] | None, adapter_config: Mapping[str, Any] | None, where: str) -> Mapping[str, Any] | None:
    """peft's settings (r, lora_alpha, rank_pattern, alpha_pattern, use_rslora ...): adapter_config, else the metadata's, else None.

    metadata: of a safetensors file; its entry `lora_adapter_metadata` is JSON whose keys may begin with 'transformer.'.
    Raises UserError where the JSON is damaged, it lacks lora_alpha, or the settings are of DoRA.
    """
    settings = adapter_config if adapter_config is not None else _parse((metadata or {}).get(METADATA_KEY), where)
    if settings is None:
        return None
    if settings.get('lora_alpha') is None:
        raise UserError(f'{where}: the settings of its adapter have no lora_alpha; add it, or give the file without them')
    if settings.get('use_dora'):
        raise UserError(f'{where} is a DoRA (use_dora in its settings), of which A and B are only a part; '
                        'merge it into base weights with the program that made it')
    return settings


def module_alpha(stem: str, rank: int, tensor: Any, settings: Mapping[str, Any] | None, where: str) -> float:
    """alpha of one module, of scale alpha / rank: from its own tensor, else from peft's settings, else the rank.

    stem: the module's name without prefix, which the patterns of the settings are matched against as peft does. With use_rslora the scale
    is lora_alpha / sqrt(rank), so alpha is lora_alpha * sqrt(rank). Raises UserError where alpha is not positive and finite, or the
    settings give another rank than the tensors.
    """
    if tensor is not None:
        alpha = np.asarray(tensor).astype(np.float64).ravel()
        return _positive(alpha[0] if alpha.size == 1 else alpha.tolist(), stem, where)
    if settings is None:
        return float(rank)
    expected = _match(settings.get('rank_pattern'), stem, settings.get('r'))
    if expected not in (None, rank):
        raise UserError(f'{where}: {stem} has rank {rank}, but the settings of its adapter say {expected}; give the settings of this file')
    alpha = _positive(_match(settings.get('alpha_pattern'), stem, settings['lora_alpha']), stem, where)
    return alpha * math.sqrt(rank) if settings.get('use_rslora') else alpha


def unify(ranks: list[int], alphas: list[float]) -> tuple[int, float, list[float]]:
    """(rank, alpha, factors): with factors[i] in B of module i, alpha / rank scales every module as alphas[i] / ranks[i] did.

    rank is the largest. Where all scales agree, alpha is theirs and every factor is 1. Else alpha = rank, scale 1, and the factors are the
    scales; where these are powers of two, as with usual ranks and alphas, the product with B is exact, else it is rounded once.
    """
    rank = max(ranks)
    scales = [alpha / own for own, alpha in zip(ranks, alphas, strict=True)]
    if len(set(zip(ranks, alphas, strict=True))) == 1:
        return rank, alphas[0], [1.0] * len(ranks)
    if len(set(scales)) == 1:
        return rank, scales[0] * rank, [1.0] * len(ranks)
    return rank, float(rank), scales


def _parse(text, where):
    if text is None:
        return None
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise UserError(f'{where}: its metadata {METADATA_KEY} is no JSON ({error}); save the file again') from error
    if not isinstance(settings, dict):
        raise UserError(f'{where}: its metadata {METADATA_KEY} is no JSON object ({text[:40]}); save the file again')
    return {key.removeprefix('transformer.'): value for key, value in settings.items()}


def _match(patterns, stem, default):
    """The value of the first pattern that is the end of the module's name, after a dot, as a regular expression (peft's rule)."""
    return next((value for pattern, value in (patterns or {}).items() if re.match(rf'(.*\.)?({pattern})$', stem)), default)


def _positive(alpha, stem, where):
    if not isinstance(alpha, int | float) or not math.isfinite(alpha) or alpha <= 0:
        raise UserError(f'{where}: alpha of {stem} is {alpha}; it must be a positive number')
    return float(alpha)
