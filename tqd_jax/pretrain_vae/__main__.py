"""Trains the small autoencoder of the package on rendered clips, and goes on where an earlier call stopped.

    make pretrain-vae
    python -m tqd_jax.pretrain_vae --workdir=runs/pretrain_vae --out=tqd_jax/assets/tiny_wan/vae          the same
"""
import argparse
import pathlib

from tqd_jax.pretrain_vae.settings import Settings
from tqd_jax.pretrain_vae.train import train
from transfer_jax.runtime.errors import errors_in_one_line


def main():
    """Trains with the default Settings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--workdir', type=pathlib.Path, required=True, help='clips, checkpoint and log')
    parser.add_argument('--out', type=pathlib.Path, required=True, help='folder of the trained autoencoder')
    args = parser.parse_args()
    train(Settings(), args.workdir, args.out)


if __name__ == '__main__':
    with errors_in_one_line(OSError):
        main()
