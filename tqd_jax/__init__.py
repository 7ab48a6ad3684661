"""When, in noise time, to learn from each clip: timestep-aware quality decoupling for video diffusion."""
from transfer_jax.runtime.public import public

__getattr__, __dir__, __all__ = public(__name__, {
    'clips.container': ('Limits',),
    'clips.manifest': ('read_clips',),
    'clips.places': ('BadClip',),
    'clips.read': ('read_clip',),
    'clips.render': ('render_library',),
    'clips.write': ('write_clip',),
    'latents.pixels': ('PixelCodec',),
    'scoring.normaliser': ('Normaliser',),
    'scoring.row': ('Settings', 'score_clip'),
    'text.words': ('HashedWords',),
    'timesteps.acceptance': ('acceptance_probability',),
    'timesteps.density': ('mean_density',),
    'timesteps.law': ('Base', 'Law', 'log_prob', 'make_law', 'sample_timesteps', 'stratified_uniforms'),
    'timesteps.learned': ('LearnedLaw',),
    'timesteps.quadrants': ('QUADRANTS', 'quadrant'),
    'timesteps.quality': ('LAWS', 'LawConfig', 'law_from_quality'),
    'diffusion.path': ('Path',),
    'diffusion.grids': ('time_grid',),
    'diffusion.solvers': ('solve',),
    'models.wan.config': ('PRESETS', 'WanConfig', 'flops_per_example'),
})
