"""Files to frames: where clips are, what they show when, and the library that the package renders itself."""
import fsspec

fsspec.register_implementation('row', 'tqd_jax.clips.listing.embedded.RowFiles')  # videos within rows of Parquet files
