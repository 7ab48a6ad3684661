"""Archives at web addresses: by ranges where the server sends them, a reason where it does not."""
import functools
import http.server
import io
import re
import tarfile
import threading
import zipfile

import pytest

from tqd_jax.clips import places
from tqd_jax.clips.manifest import read_clips
from transfer_jax.runtime.errors import UserError

pytest.importorskip('aiohttp', reason='fsspec opens web addresses by it')
SIZE = 300_000
SIZES = {'a/0.mp4': SIZE, 'a/0.txt': 20, 'b/1.mp4': SIZE, '2.mp4': 0}
FILES = {name: bytes([k + 1]) * size for k, (name, size) in enumerate(SIZES.items())}


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, with ranges where `ranges` says so, and counts bytes."""
    protocol_version = 'HTTP/1.1'

    def __init__(self, *arguments, ranges, sent, **options):
        self.ranges, self.sent = ranges, sent
        super().__init__(*arguments, **options)

    def do_GET(self):
        path = self.translate_path(self.path)
        wanted = re.fullmatch(r'bytes=(\d+)-(\d+)', self.headers.get('Range', '')) if self.ranges else None
        with open(path, 'rb') as file:
            data = file.read()
        part = data[int(wanted[1]):int(wanted[2]) + 1] if wanted else data
        self.send_response(206 if wanted else 200)
        self.send_header('Content-Length', str(len(part)))
        if wanted:
            self.send_header('Content-Range', f'bytes {wanted[1]}-{int(wanted[1]) + len(part) - 1}/{len(data)}')
        self.send_header('Accept-Ranges', 'bytes' if self.ranges else 'none')
        self.end_headers()
        self.sent.append(len(part))  # before the client can have all of it
        self.wfile.write(part)

    def log_message(self, *arguments):
        """Nothing: a test's output is its own."""


@pytest.fixture
def serve(tmp_path):
    """A function (ranges) -> (a server's address, the bytes of each of its answers)."""
    servers = []

    def start(ranges):
        sent = []
        handler = functools.partial(Handler, directory=str(tmp_path), ranges=ranges, sent=sent)
        servers.append(http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler))
        servers[-1].handle_error = lambda request, address: None  # a client that has enough hangs up
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f'http://127.0.0.1:{servers[-1].server_port}', sent

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def pack(folder):
    with tarfile.open(folder / 'x.tar', 'w') as tar, zipfile.ZipFile(folder / 'x.zip', 'w') as packed:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
            packed.writestr(name, data)


@pytest.mark.parametrize('kind', ['tar', 'zip'])
@pytest.mark.parametrize('query', ['', '?download=true'])
def test_members_are_fetched_by_range(tmp_path, serve, kind, query):
    pack(tmp_path)
    base, sent = serve(ranges=True)
    clips = read_clips(f'{base}/x.{kind}{query}')['clip'].to_pylist()
    assert clips == [f'{kind}://{name}::{base}/x.{kind}{query}' for name in ('2.mp4', 'a/0.mp4', 'b/1.mp4')]
    sent.clear()
    stamps = list(map(places.stamp, clips))
    assert len(set(stamps)) == 3 and '' not in stamps and stamps == list(map(places.stamp, clips))
    with places.local_copy(clips[2], SIZE) as local, open(local, 'rb') as file:
        assert file.read() == FILES['b/1.mp4']
    assert SIZE <= sum(sent) <= SIZE + 100


def test_a_server_without_ranges_is_named(tmp_path, serve):
    pack(tmp_path)
    base, _ = serve(ranges=False)
    for kind in ('tar', 'zip'):
        with pytest.raises(UserError, match=f'x.{kind} cannot be listed: .*support range requests'):
            read_clips(f'{base}/x.{kind}')
