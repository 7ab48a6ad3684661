"""A folder without video files whose Parquet shards hold the videos, as Hugging Face keeps data sets: one table of all shards."""
import pyarrow as pa

from tqd_jax.clips import places
from tqd_jax.clips.listing.embedded import PROTOCOL
from tqd_jax.clips.listing.found import Found, joined
from tqd_jax.clips.listing.manifest_file import read_manifest
from tqd_jax.clips.listing.texts import one_type


def tables_with_videos(files, source, columns) -> Found | None:
    """The Found of the Parquet files among `files` if they hold videos, else None: shards in the order of their names."""
    shards = sorted(name for name in files if places.ending(name) == '.parquet')
    found = []
    for shard in shards:
        one = read_manifest(shard, source, columns=columns)
        if not one.table['clip'][0].as_py().startswith(f'{PROTOCOL}://'):
            return None
        found.append(one)
    return joined(pa.concat_tables(one_type([one.table for one in found]), promote_options='permissive'), found) if found else None
