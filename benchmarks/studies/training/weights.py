"""The averaged weights of the pre-trainings, saved every `every` steps: what fine-tuning and gradients start from."""


def saved_step(size, share):
    """The step with saved weights nearest to a share of pre-training: a multiple of size.every, at least one of them."""
    return size.every * max(1, round(share * size.pretrain / size.every))


def load_weights(study, seed, step):
    """The averaged weights of a seed's pre-training after `step` updates, a multiple of `every`, once 'pretrain' rows have been run."""
    return study.store.load(_name(seed, step), study.abstract_params)


def save_weights(study, seed, step, params):
    """Saves the averaged weights of a seed's pre-training after `step` updates."""
    study.store.save(_name(seed, step), params, {'step': step})


def _name(seed, step):
    return f'weights/seed{seed}/step{step}'
