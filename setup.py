"""Packaging: what is installed, and with which ranges (pyproject.toml holds tool settings only)."""
from setuptools import find_packages, setup

setup(
    name='tqd-jax',
    version='0.1.0',
    description='Timestep-aware quality decoupling and optimal source weights: when and how much to learn from uneven data, in JAX.',
    license='Apache-2.0',
    python_requires='>=3.11',
    packages=find_packages(include=['tqd_jax*', 'transfer_jax*']),
    package_data={'tqd_jax': ['assets/*'], 'transfer_jax': ['runtime/page/*.j2']},
    install_requires=[
        'jax>=0.10.2,<0.13',
        'flax>=0.12.8,<0.13',
        'optax>=0.2.8,<0.3',
        'orbax-checkpoint>=0.12.8,<0.13',
        'grain>=0.2.18,<0.3',
        'ml_collections>=1.1,<2',
        'absl-py>=2',
        'numpy>=2,<3',
        'scipy>=1.14',
        'av>=14,<19',
        'opencv-python-headless>=4.10',
        'scikit-learn>=1.5',
        'pyarrow>=17',
        'fsspec>=2024.6',
        'matplotlib>=3.9',
        'jinja2>=3.1',
        'tqdm>=4.66',
        'pebble>=5',
        'tensorboardX>=2.6',
        'safetensors>=0.5',
        'jaxtyping>=0.3',
    ],
    extras_require={
        'test': ['pytest>=8', 'pytest-timeout>=2', 'ruff>=0.8', 'nbclient>=0.10', 'ipykernel>=6', 'hypothesis>=6', 'clarabel>=0.9',
<<<<<<< HEAD
                 'pytest-xdist>=3', 'setuptools>=70.1'],
=======
                 'pytest-xdist>=3', 'beartype>=0.20'],
>>>>>>> api
        'bench': ['daqp>=0.7', 'quadprog>=0.1.13', 'osqp>=1', 'cvxpy>=1.5', 'qpax>=0.1'],
        'parity': ['torch==2.13.0', 'diffusers==0.42.1', 'transformers==5.23.0'],
        'beam': ['apache-beam>=2.60'],
        'cloud': ['gcsfs>=2024.6', 's3fs>=2024.6', 'aiohttp>=3', 'requests>=2'],
        'docs': ['mkdocs>=1.6,<2', 'mkdocs-material>=9.5,<10'],
        'gpu': ['jax[cuda13]>=0.10.2,<0.13'],
        'tpu': ['jax[tpu]>=0.10.2,<0.13'],
    },
)
