"""The transfer job: digit domains that the package brings along, five labels a class, every method, every domain as target in turn.

    python -m transfer_jax.main --config=configs/transfer.py
    python -m transfer_jax.main --config=configs/transfer.py --workdir=runs/mine --config.data.path=FOLDER_OR_FILE

Any key is overridden by --config.KEY=VALUE.
"""
from ml_collections import ConfigDict


def get_config():
    """Every key of the transfer job; a key that is not here does not exist."""
    config = ConfigDict()
    config.mode = 'transfer'
    config.seed = 0                         # of the first seed; the others follow
    config.seeds = 5                        # splits, starts and draws of their own, side by side in one program
    config.targets = None                   # names of domains; None: each in turn
    config.sources = None                   # names of domains; None: all but the target

    config.data = ConfigDict()
    config.data.path = None                 # a folder of images or arrays, a file, 'name=path,name=path'; None: the embedded digits
    config.data.format = 'auto'             # 'folders' (of images), 'arrays'
    config.data.task = 'classification'     # or 'regression'
    config.data.features = 'x'              # fields of array files
    config.data.labels = 'y'
    config.data.domain = 'd'                # None: a file is one domain
    config.data.classes = 'same'            # 'intersection': where domains differ in their classes, those that all have
    config.data.image_size = None           # images are resized and cropped to this square; image folders need it
    config.data.channels = None             # 1 or 3; None: as they come
    config.data.max_per_domain = None       # a stratified draw of so many
    config.data.max_skipped_fraction = 0.1  # more unreadable images than this in a domain and the run does not start
    config.data.workers = 0                 # processes that decode; 0: threads
    config.data.cache = None                # where decoded images are kept; None: in the workdir
    config.data.shots = 5                   # labels of a class that train (of a regression: in all)
    config.data.validation = 5              # and that choose between things, where a method chooses
    config.data.test = None                 # rows that score; None: all that are left
    config.data.rows = 'none'               # features: every row divided by its 'l1' or 'l2' norm
    config.data.columns = 'none'            # features: 'standard' takes mean and deviation of the sources
    config.data.mean = (0.0,)               # images count from 0 to 1; of each channel
    config.data.std = (1.0,)
    config.data.augment = 'none'            # images: 'crop', 'crop_flip'
    config.data.resident_gb = 4.0           # more inputs than this stay on the host

    config.model = ConfigDict()
    config.model.kind = 'linear'            # 'mlp', 'convnet', 'resnet18', 'resnet50', 'vit_s16', 'vit_b16'
    config.model.hidden = ()                # widths of an MLP, or a convnet's three numbers of channels
    config.model.trainable = 'all'          # 'head', 'lora'
    config.model.lora_rank = 8
    config.model.lora_alpha = 16.0
    config.model.weights = None             # a .safetensors or .npz file in timm's or torchvision's layout
    config.model.dtype = 'float32'          # of the products; 'bfloat16' on accelerators

    config.train = ConfigDict()
    config.train.batch = 64
    config.train.learning_rate = 0.01       # of Adam, falling to 0 along a cosine
    config.train.prior = 1.0                # pull to the start, in samples: ridge for a head, L2-SP in fine-tuning
    config.train.epochs = 10.0              # passes over the samples that a method takes
    config.train.min_steps = 200            # and at least so many steps
    config.train.segment = 20               # steps of one call
    config.train.sampling = 'shares'        # how often a source is drawn: by its share of the loss, its 'sizes', or all 'even'
    config.train.replicas = 64              # fits in one vmap; 1 is quicker for a convnet on a CPU, and takes less memory

    config.transfer = ConfigDict()
    config.transfer.methods = ('target_only', 'all_sources', 'single_source', 'h_ensemble', 'mcw', 'wadn', 'otqms_published',
                               'otqms_under', 'otqms_exact', 'otqms_over', 'otqms', 'uowq_budget', 'uowq_static', 'uowq')
    config.transfer.decisions = 4           # of the dynamic methods, evenly over a fit
    config.transfer.damping = 0.5           # how far each goes towards the new answer
    config.transfer.folds = 5               # of the target, to measure its noise and its shortfall; 0: neither
    config.transfer.budget = 0.25           # of all source samples' cost: what uowq_budget may take
    config.transfer.costs = {}              # {source: cost of a sample}; 1 if not named

    config.mesh = ConfigDict()
    config.mesh.data = -1                   # devices along the batch
    config.checkpoint = ConfigDict()
    config.checkpoint.seconds = 60.0        # between checkpoints of a fit
    return config
