"""The whole path of Wan against diffusers' WanPipeline: it draws the videos that we draw, of published weights and of what runs export."""
import numpy as np
import pytest
import small
import wan_small

from tqd_jax import main
from tqd_jax.data.buckets import Bucket
from tqd_jax.export import export
from tqd_jax.training.run import check_start
from tqd_jax.training.sampling.generate import decode, draw_latents, noise_of
from tqd_jax.training.weights import fresh_state, frozen_parameters
from tqd_jax.training.workdir import prepare_run, restore_run

# the reference's own imports use what its dependencies have deprecated; nothing of ours is silenced
pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings('ignore')]
torch, *_ = (pytest.importorskip(name) for name in ('torch', 'diffusers', 'peft'))
wan_reference = pytest.importorskip('wan_reference')

PROMPTS, NEGATIVE, STEPS = ('A red disc rolls  slowly', 'Ein Mädchen läuft; «später» regnet es.'), 'ugly &amp; blurred', 6
SAMPLE = {
    'sample.captions': PROMPTS, 'sample.negative': NEGATIVE, 'sample.steps': STEPS, 'sample.guidance': 5.0,
    'sample.shift': wan_reference.SHIFT, 'sample.grid': 'diffusers'}
CALL = {'prompt': list(PROMPTS), 'negative_prompt': [NEGATIVE] * 2, 'num_inference_steps': STEPS, 'guidance_scale': 5.0}
ROUNDING = 2e-4  # of float32 through a trajectory with guidance
SHAPE = 48, 32, 9
TWO = {'experts': 2, 'boundary_ratio': 0.875}
PUBLISHED = {  # of pipeline; (width, height, frames); keys of our config; arguments of the pipeline's call
    '2.1': ({}, SHAPE, {}, {}),
    '2.1 without guidance': ({}, SHAPE, {'sample.guidance': 1.0}, {'guidance_scale': 1.0}),
    'TI2V': ({'channels': 48, 'expand_timesteps': True}, (96, 64, 5), {}, {}),
    'two experts': (TWO, SHAPE, {'wan.expert': 'high', 'sample.guidance': (4.0, 3.0)},
                    {'guidance_scale': 4.0, 'guidance_scale_2': 3.0})}
LORA = {'train.trained': 'lora', 'lora.rank': 3, 'lora.alpha': 4.5}
TRAINED = {  # of pipeline; keys of our config
    'LoRA': ({}, LORA),
    'LoRA of an expert': (TWO, {**LORA, 'wan.expert': 'low'}),
    'all': ({}, {'train.trained': 'full'})}
FORMS = [('diffusers', False), ('comfyui', False), ('diffusers', True), ('comfyui', True), ('original', True)]  # layout, merge


@pytest.fixture(scope='module', autouse=True)
def one_thread():
    """Products as small as the reference's cost less than sharing them out."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope='module')
def clips(tmp_path_factory):
    """The manifest of eight rendered clips."""
    return small.rendered(tmp_path_factory.mktemp('clips'), 8)


@pytest.fixture(scope='module', params=TRAINED)
def trained(request, tmp_path_factory, clips):
    """(pipeline, run, average, frozen, latents, their noise) of a run of three steps, at a rate so high that they matter."""
    folder, (published, changes) = tmp_path_factory.mktemp('trained'), TRAINED[request.param]
    pipe = wan_reference.pipeline(folder, **published)
    config = config_of(folder, clips, SHAPE, **{'train.steps': 3, 'train.learning_rate': 0.05, **changes})
    (folder / 'run').mkdir()
    with small.one_device():
        main.main(config, folder / 'run', 'train')
        run, state, frozen = restore_run(config, folder / 'run')
    return pipe, run, state.average, frozen, *drawn(run, state.average, frozen, SHAPE)


def config_of(folder, clips, shape, **changes):
    """The Config of a run on the pipeline that was saved in a folder."""
    return wan_small.config(**{'wan.path': folder / 'wan', 'data.clips': clips, 'data.buckets': (shape,), **SAMPLE, **changes})


def untrained(config, workdir):
    """(run, trained, frozen) before the first step."""
    workdir.mkdir()
    with small.one_device():
        run = prepare_run(config, workdir, check_start(config, workdir, fresh=True))
        return run, fresh_state(run).trained, frozen_parameters(run)


def drawn(run, trained, frozen, shape):
    """(Latents of the two prompts by what --mode=sample draws with, the noise that they begin with)."""
    width, height, frames = shape
    part = Bucket(width=width, height=height, frames=frames), np.arange(2)
    latents, = draw_latents(run, trained, frozen, PROMPTS, [part])
    return np.asarray(latents), noise_of(run, *part)


@pytest.mark.parametrize('case', PUBLISHED)
def test_a_published_model_draws_what_its_pipeline_draws(tmp_path, clips, case):
    published, shape, changes, call = PUBLISHED[case]
    pipe = wan_reference.pipeline(tmp_path, **published)
    config = config_of(tmp_path, clips, shape, **{'train.trained': 'full', **changes})
    run, trained, frozen = untrained(config, tmp_path / 'run')
    latents, noise = drawn(run, trained, frozen, shape)
    expected = wan_reference.draw(pipe, noise, shape, **{**CALL, **call})
    np.testing.assert_allclose(latents, expected, atol=ROUNDING)
    frames, expected = np.stack(decode(run, latents)), wan_reference.decode(pipe, expected)
    assert frames.std() > 20 and np.abs(frames - expected).max() <= 1
    frames = run.frames_loader(0, run.training[:2]).video
    np.testing.assert_allclose(run.foundation.encode(frames), wan_reference.encode(pipe, frames), atol=ROUNDING)


@pytest.mark.parametrize(('layout', 'merge'), FORMS)
def test_what_a_run_exports_draws_in_diffusers_what_the_run_draws(trained, tmp_path, layout, merge):
    pipe, run, average, frozen, latents, noise = trained
    whole = merge or run.model.lora is None
    path = tmp_path / ('folder' if layout == 'diffusers' and whole else 'file.safetensors')
    export(run.workdir, format=layout, merge=merge and run.model.lora is not None, output=path, dtype='float32')
    sources, name = run.foundation.sources, 'transformer_2' if run.foundation.expert == 'low' else 'transformer'
    exported = wan_reference.exported(pipe, name, path, sources.parts.experts[sources.expert])
    x, t = np.asarray(noise), np.array([0.3, 0.8], np.float32)
    text = run.foundation.features(PROMPTS, run.workdir)
    output = run.objective.model(average, frozen['model'], x, t, text)
    for component, same in ((exported, True), (pipe, False)):
        difference = np.abs(output - wan_reference.predict(component.components[name], x, t, text)).max()
        assert (difference < ROUNDING) == same and (same or difference > 0.1)
    np.testing.assert_allclose(latents, wan_reference.draw(exported, noise, SHAPE, **CALL), atol=ROUNDING)
