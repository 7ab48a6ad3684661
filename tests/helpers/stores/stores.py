"""Object stores for tests, started once in a process: Google's, and S3 where moto is there; and a machine that shares nothing else."""
import functools
import itertools
import os
import tempfile

import pytest
from fake_gcs import FakeGcs

COUNT = itertools.count()


@functools.cache
def gcs():
    """The FakeGcs of this process; skips where gcsfs is not installed."""
    server = FakeGcs()
    os.environ.update(server.environment)  # gcsfs reads some when it is imported
    pytest.importorskip('gcsfs', reason='needs gcsfs, of the extra [test]')
    return server.__enter__()


def gs_folder():
    """The URL of a folder in a new bucket."""
    name = f'bucket-{next(COUNT)}'
    gcs().buckets[name] = {}
    return f'gs://{name}/run'


def objects(url):
    """The names of the files in a folder of gcs()."""
    bucket, _, folder = url.removeprefix('gs://').partition('/')
    return sorted(name.removeprefix(f'{folder}/') for name in gcs().buckets[bucket] if name.startswith(f'{folder}/'))


@functools.cache
def s3_folder():
    """The URL of a folder in a bucket of an S3 server of this process; skips where moto or s3fs are not installed."""
    pytest.importorskip('s3fs', reason='needs s3fs, of the extra [test]')
    moto = pytest.importorskip('moto.server', reason='needs moto[server], of the extra [test]')
    server = moto.ThreadedMotoServer('127.0.0.1', 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.update(AWS_ENDPOINT_URL=f'http://{host}:{port}', AWS_ACCESS_KEY_ID='key', AWS_SECRET_ACCESS_KEY='secret',
                      AWS_DEFAULT_REGION='us-east-1')
    import s3fs
    s3fs.S3FileSystem().mkdir('bucket')
    return 's3://bucket/run'


def machine(monkeypatch, folder):
    """From now on this process is on a machine whose local disk is a new, empty folder."""
    for name in ('tmp', 'here'):
        (folder / name).mkdir(parents=True)
    monkeypatch.setattr(tempfile, 'tempdir', str(folder / 'tmp'))
    monkeypatch.chdir(folder / 'here')
