"""What a run stands on: the protocol of every foundation."""
from typing import Any, Protocol

from tqd_jax.data.library import Library
from tqd_jax.data.loader import Loader
from tqd_jax.diffusion.sampler import Sampling
from tqd_jax.latents.codec import Codec
from tqd_jax.models.wan.config import WanConfig
from tqd_jax.text.encoder import TextEncoder
from tqd_jax.timesteps.learned import LearnedLaw
from tqd_jax.timesteps.quality import LawConfig
from transfer_jax.runtime.paths import AnyPath


class Foundation(Protocol):
    """The model's sizes, what its inputs are, and the parameters that are there before the first step.

    model: with adapters where the run trains them. codec, text: of the objective. t_range: the part (low, high) of t that the model is
    trained on. expert: its name among the experts of the weights, None for a model of all t. latents: whether batches hold latents that
    were encoded beforehand, or frames. storage: dtype of frozen kernels.
    """
    model: WanConfig
    codec: Codec
    text: TextEncoder
    t_range: tuple
    expert: str | None
    latents: bool
    storage: str

    def check(self, workdir: AnyPath, *, fresh: bool) -> None:
        """Raises UserError for what files alone can tell, before any clip is scored; fresh: nothing was trained in the folder yet."""

    def prepare(self, workdir: AnyPath) -> bool:
        """Makes what loaders read beside `scores.parquet`, on all processes; what is there stays. Returns whether a request stopped it."""

    def library(self, workdir: AnyPath, law: LawConfig | LearnedLaw) -> Library:
        """The clips that the run can use."""

    def loader(self, library: Library, workdir: AnyPath) -> Loader:
        """The Loader of training batches."""

    def frames_loader(self, library: Library, workdir: AnyPath) -> Loader:
        """The Loader whose batches hold uint8 frames: for pictures, and for gradients of degraded copies."""

    def encode(self, video: Any) -> Any:
        """uint8 frames [B, F, H, W, 3] as Batch.video holds them."""

    def features(self, captions: list, workdir: AnyPath) -> Any:
        """What Batch.text holds of captions that no clip has: [N, ...]."""

    def parameters(self, abstract: Any) -> Any | None:
        """The model's parameters, or the part that `abstract` has (jax.ShapeDtypeStruct with shardings), without adapters.

        None where they are drawn from the seed.
        """

    def adapters(self, abstract: Any) -> Any | None:
        """The adapters to go on from, or None where they are drawn."""

    def conditions(self, workdir: AnyPath) -> dict:
        """{'codec': ..., 'text': ...}: what encoders need within a step; {} where batches are encoded beforehand."""

    def sampling(self) -> Sampling:
        """How samples are drawn."""

    def negative(self) -> str:
        """The caption that guidance leads away from."""

    def other(self, trained: Any, frozen: Any) -> tuple:
        """(trained, frozen) of the expert that the run does not train, as published; trained, frozen: the run's own, abstract.

        In their shapes and shardings. All of it but zero adapters is frozen, in the dtypes of the run's storage.
        """

    def decoder(self) -> Any:
        """The codec's parameters, with which latents are decoded."""

    def inputs(self, workdir: AnyPath) -> str:
        """What batches depend on beside clips, scores and config; '' where there is nothing."""

    @property
    def identity(self) -> str:
        """What weights the run started from, for its checkpoints; '' where the config says it all."""
