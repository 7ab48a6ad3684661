"""A stand-in for Google Cloud Storage: its JSON API over HTTP with objects in memory, as gcsfs, tensorstore and orbax use it."""
import base64
import hashlib
import http.server
import json
import re
import threading
import urllib.parse

OBJECT = re.compile(r'/(?:download/)?storage/v1/b/([^/]+)/o/(.+)')
COPY = re.compile(r'/storage/v1/b/([^/]+)/o/(.+)/rewriteTo/b/([^/]+)/o/(.+)')
OBJECTS = re.compile(r'/storage/v1/b/([^/]+)/o')
BUCKET = re.compile(r'/storage/v1/b/([^/]+)')
UPLOAD = re.compile(r'/upload/storage/v1/b/([^/]+)/o')


class FakeGcs:
    """A server with buckets: {name: {object's name: (generation, bytes)}}. A context manager.

    environment: the variables by which clients find it.
    """

    def __init__(self, *buckets):
        self.buckets, self.generation, self.uploads = {name: {} for name in buckets}, 0, {}
        self.lock = threading.Lock()
        self._server = _Server(('127.0.0.1', 0), type('Handler', (_Handler,), {'store': self}))
        url = f'http://127.0.0.1:{self._server.server_port}'
        self.environment = {'STORAGE_EMULATOR_HOST': url, 'TENSORSTORE_GCS_HTTP_URL': url, 'GOOGLE_AUTH_TOKEN_FOR_TESTING': 'token',
                            'GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT': 'false', 'NO_GCE_CHECK': 'true'}

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception):
        self._server.shutdown()
        self._server.server_close()

    def put(self, bucket, name, data):
        """Stores an object, and returns its description."""
        with self.lock:
            self.generation += 1
            self.buckets[bucket][name] = self.generation, data
        return self.describe(bucket, name)

    def describe(self, bucket, name):
        """What the API says of an object."""
        generation, data = self.buckets[bucket][name]
        return {'kind': 'storage#object', 'name': name, 'bucket': bucket, 'generation': str(generation), 'size': str(len(data)),
                'md5Hash': base64.b64encode(hashlib.md5(data).digest()).decode(), 'updated': '2026-01-01T00:00:00.000Z',
                'timeCreated': '2026-01-01T00:00:00.000Z'}


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Prints nothing: clients may close a connection before the answer."""


class _Handler(http.server.BaseHTTPRequestHandler):
    store = None
    protocol_version = 'HTTP/1.1'

    def log_message(self, *arguments):
        """Prints nothing."""

    def _answer(self, status, body=b'', headers=()):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(body)

    def _request(self):
        """(path, {parameter: text}, body) of the request."""
        path, _, query = self.path.partition('?')
        length = int(self.headers.get('Content-Length') or 0)
        body = self.rfile.read(length) if length else b''
        if self.headers.get('Transfer-Encoding') == 'chunked':
            body = b''.join(iter(self._chunk, b''))
        return path, dict(urllib.parse.parse_qsl(query)), body

    def _chunk(self):
        size = int(self.rfile.readline().strip() or b'0', 16)
        data = self.rfile.read(size)
        self.rfile.readline()
        return data

    def _refused(self, bucket, name, query):
        """Whether a condition on the object's generation is not met."""
        there = self.store.buckets[bucket].get(name, (0,))[0]
        return int(query.get('ifGenerationMatch', there)) != there

    def do_GET(self):
        path, query, _ = self._request()
        if match := OBJECT.fullmatch(path):
            bucket, name = match[1], urllib.parse.unquote(match[2])
            if name not in self.store.buckets.get(bucket, {}):
                return self._answer(404, {'error': {'code': 404, 'message': f'No such object: {bucket}/{name}'}})
            return self._object(bucket, name, query)
        bucket = (OBJECTS.fullmatch(path) or BUCKET.fullmatch(path) or (None, None))[1]
        if bucket not in self.store.buckets:
            return self._answer(404, {'error': {'code': 404, 'message': 'The specified bucket does not exist.'}})
        return self._answer(200, self._list(bucket, query) if OBJECTS.fullmatch(path) else {'kind': 'storage#bucket', 'name': bucket})

    def _object(self, bucket, name, query):
        generation, data = self.store.buckets[bucket][name]
        if self._refused(bucket, name, query):
            return self._answer(412)
        if query.get('ifGenerationNotMatch') == str(generation):
            return self._answer(304)
        if query.get('alt') != 'media':
            return self._answer(200, self.store.describe(bucket, name))
        headers = {'x-goog-generation': str(generation), 'Content-Type': 'application/octet-stream'}
        if wanted := re.fullmatch(r'bytes=(\d*)-(\d*)', self.headers.get('Range', '')):
            first = int(wanted[1]) if wanted[1] else max(0, len(data) - int(wanted[2]))
            last = min(len(data) - 1, int(wanted[2])) if wanted[1] and wanted[2] else len(data) - 1
            if first >= len(data):
                return self._answer(416)
            return self._answer(206, data[first:last + 1], headers | {'Content-Range': f'bytes {first}-{last}/{len(data)}'})
        return self._answer(200, data, headers)

    def _list(self, bucket, query):
        prefix, delimiter = query.get('prefix', ''), query.get('delimiter')
        items, folders = [], set()
        for name in sorted(self.store.buckets[bucket]):
            after = name.removeprefix(prefix)
            if not name.startswith(prefix) or name < query.get('startOffset', '') or name >= query.get('endOffset', chr(0x10ffff)):
                continue
            if delimiter and delimiter in after:
                folders.add(prefix + after.split(delimiter)[0] + delimiter)
            else:
                items.append(self.store.describe(bucket, name))
        return {'kind': 'storage#objects', 'items': items, 'prefixes': sorted(folders)}

    def do_DELETE(self):
        path, query, _ = self._request()
        match = OBJECT.fullmatch(path)
        bucket, name = match[1], urllib.parse.unquote(match[2])
        if self._refused(bucket, name, query):
            return self._answer(412)
        gone = self.store.buckets.get(bucket, {}).pop(name, None)
        return self._answer(204 if gone else 404)

    def do_POST(self):
        path, query, body = self._request()
        if path.startswith('/resumable/'):
            return self._chunk_of(path, body)
        if match := COPY.fullmatch(path):
            return self._copy(*map(urllib.parse.unquote, match.groups()))
        bucket = UPLOAD.fullmatch(path)[1]
        if bucket not in self.store.buckets:
            return self._answer(404, {'error': {'code': 404, 'message': 'The specified bucket does not exist.'}})
        if query['uploadType'] == 'resumable':
            place = f'/resumable/{len(self.store.uploads)}'
            self.store.uploads[place] = [bucket, json.loads(body or b'{}').get('name') or query['name'], b'']
            return self._answer(200, b'', {'Location': f'http://{self.headers["Host"]}{place}'})
        if query['uploadType'] == 'multipart':
            boundary = b'--' + re.search('boundary="?([^";]+)', self.headers['Content-Type'])[1].encode()
            description, body = [part.split(b'\n\n', 1)[1] for part in body.split(boundary)[1:3]]
            name, body = json.loads(description)['name'], body.removesuffix(b'\n')
        else:
            name = query['name']
        if self._refused(bucket, name, query):
            return self._answer(412)
        return self._answer(200, self.store.put(bucket, name, body))

    do_PUT = do_POST

    def _copy(self, bucket, name, other, copy):
        if name not in self.store.buckets.get(bucket, {}):
            return self._answer(404, {'error': {'code': 404, 'message': f'No such object: {bucket}/{name}'}})
        put = self.store.put(other, copy, self.store.buckets[bucket][name][1])
        return self._answer(200, {'kind': 'storage#rewriteResponse', 'done': True, 'resource': put})

    def _chunk_of(self, place, body):
        upload = self.store.uploads[place]
        upload[2] += body
        total = self.headers['Content-Range'].rpartition('/')[2]
        if total == '*' or len(upload[2]) < int(total):
            return self._answer(308, b'', {'Range': f'bytes=0-{len(upload[2]) - 1}'})
        return self._answer(200, self.store.put(upload[0], upload[1], upload[2]))
