"""The main job: fine-tunes a tiny video model with timestep-aware quality decoupling, on clips it renders itself or on yours.

    python -m tqd_jax.main --config=configs/video.py
    python -m tqd_jax.main --config=configs/video.py --workdir=runs/mine --config.data.clips=FOLDER

Any key is overridden by --config.KEY=VALUE.
"""
from ml_collections import ConfigDict


def get_config():
    """Every key of the main job; a key that is not here does not exist."""
    config = ConfigDict()
    config.seed = 0
    config.init_from = 'asset:tiny.npz'     # weights to start from: a file, 'asset:NAME' of the package, or None to start from noise

    config.data = ConfigDict()
    config.data.clips = None                # a folder, a manifest, or 'name=path,name=path'; None renders the embedded library
    config.data.rendered_clips = 240        # clips of the embedded library
    config.data.fps = 8                     # frames a second that the model sees
    config.data.buckets = ((32, 32, 8),)    # shapes of a batch: (width, height, frames)
    config.data.crop = 'random'             # or 'center'
    config.data.normaliser = 'rank'         # scores -> [0, 1]: 'rank', 'minmax', 'zscore'
    config.data.dropout = 'sampler'         # quality dropout max(mq, vq): in the 'sampler', as a loss 'weight', 'none'
    config.data.mix = {}                    # {source: {rate, weight}}; empty mixes by number of clips, weight 1
    config.data.max_skipped_fraction = 0.25  # more unusable clips than this and the run does not start
    config.data.held_out_fraction = 0.1     # of each quadrant, for validation
    config.data.held_out_clips = 64         # of each quadrant, at most
    config.data.cache_gb = 4.0              # decoded clips are cached in the workdir while the library takes no more; 0: never
    config.data.scoring_workers = 2         # processes; 0 scores in this one
    config.data.workers = 0                 # loader processes; 0 loads in threads
    config.data.prefetch = 4                # batches ahead

    config.law = ConfigDict()
    config.law.kind = 'beta'                # 'uniform', 'beta' (TQD), 'exact_base', 'offset', 'min_noise', 'learned'
    config.law.file = None                  # of 'learned': the law.json that --mode=learn wrote
    config.law.base = 'uniform'             # of all kinds but 'beta': 'uniform', 'logit_normal', 'density'
    config.law.loc = 0.0                    # of the logit-normal base
    config.law.scale = 1.0
    config.law.density = None               # of the base 'density': values on equal bins of t
    config.law.shift = 1.0                  # flow shift
    config.law.kappa_base = 2.0             # TQD: 2 stands for a uniform base, 4 for a logit-normal one
    config.law.kappa_max = 8.0
    config.law.min_parameter = 0.2          # bounds the Beta parameters from below: at |mq - vq| = 1 the density would diverge
    config.law.offset = 1.1                 # of 'offset', on logit(t)
    config.law.strength = 0.5               # of 'min_noise': t >= strength (1 - vq)

    config.model = ConfigDict()
    config.model.preset = 'tiny'            # 'tiny', 'medium', 'wan_1_3b', 'wan_14b'
    config.model.vocab = 512                # words are hashed into this many tokens
    config.model.text_len = 8
    config.model.dtype = 'float32'          # of the products; 'bfloat16' on accelerators
    config.model.remat = 'none'             # 'none', 'dots', 'full'
    config.model.attention = 'auto'         # 'auto', 'xla', 'cudnn'

    config.train = ConfigDict()
    config.train.steps = 300
    config.train.batch = 8
    config.train.accumulate = 1             # slices of a batch that the gradient is summed over
    config.train.optimizer = 'adamw'        # or 'muon' for the matrices of the blocks
    config.train.learning_rate = 5e-4
    config.train.schedule = 'constant'      # or 'cosine', over train.steps
    config.train.warmup = 50
    config.train.b1 = 0.9
    config.train.b2 = 0.99
    config.train.weight_decay = 0.0
    config.train.clip_norm = 1.0
    config.train.ema = 0.99
    config.train.path = 'rectified'         # or 'vp'
    config.train.prediction = 'flow'        # 'flow', 'noise', 'v'
    config.train.precondition = (-0.44, 0.24)  # mean and std of the latents: the network predicts what no linear guess can; or None
    config.train.caption_dropout = 0.1
    config.train.stratified = True          # timesteps of a batch cover their laws evenly

    config.mesh = ConfigDict()
    config.mesh.data = -1                   # devices along the batch; -1: all that fsdp leaves
    config.mesh.fsdp = 1                    # devices that the parameters are spread over

    config.log_every = 20
    config.eval = ConfigDict()
    config.eval.every = 150
    config.eval.clips_per_quadrant = 8      # of those held out, at most
    config.align = ConfigDict()             # --mode=align: gradients of golden clips against worse copies of them
    config.align.clips = 64                 # golden clips, at most
    config.align.chunks = 8                 # of them, from which bands are made
    config.align.buckets = 10               # of t
    config.align.draws = 1                  # of noise, for a clip in a bucket
    config.align.look = 'blur'              # what is done to the look: 'blur', 'noise', 'resolution'
    config.align.severity = 1.0             # and how much of it, in (0, 1]
    config.align.speed = 0.1                # what is left of the motion, in [0, 1)
    config.learn = ConfigDict()             # --mode=learn: a law of t for each kind of clips, from the gradients of a pilot
    config.learn.by = 'quadrant'            # what tells kinds apart: 'quadrant', 'source', 'both'
    config.learn.target = None              # the kind whose clips are as all should be; None is 'golden', by quadrant
    config.learn.chunks = 12                # of clips, from which noise is told from signal: even, 6 or more
    config.learn.chunk = 2                  # clips in one; of every kind chunks x chunk are used
    config.learn.buckets = 10               # of t; a divisor of 120
    config.sample = ConfigDict()
    config.sample.captions = None           # what to draw; None takes captions of the library
    config.sample.clips = 8
    config.sample.steps = 24
    config.sample.solver = 'heun'           # or 'euler'
    config.sample.guidance = 2.0
    config.sample.shift = 1.0
    config.checkpoint = ConfigDict()
    config.checkpoint.every = 100
    config.checkpoint.keep = 2
    return config
