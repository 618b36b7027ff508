"""The race of the registry: `assay serve` beside Debian's `docker-registry`, both on 127.0.0.1, both on disk.

Clients are threads of this program with one kept connection each. Their CPU seconds are not counted, but they share the
machine: the CPU seconds of the server process are the figure, wall seconds stand beside it.
"""

import base64
import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from urllib.parse import urlsplit

from measure import RaceError, cpu_s_of, run

DOCKER_REGISTRY = "/usr/bin/docker-registry"
REPOSITORY = "bench/image"
LAYER_BYTES = 200 << 20
BLOB_BYTES = 64 << 10
CLIENTS = 8
BLOBS_PER_CLIENT = 40
GETS_PER_CLIENT = 400
PIECE_BYTES = 1 << 20
START_MAX_S = 30
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


class Server:
    """A server process, its address, and the header that opens it."""

    def __init__(self, name, process, address, headers):
        self.name, self.process, self.address, self.headers = name, process, address, headers

    def connect(self):
        host, port = self.address.rsplit(":", 1)
        connection = http.client.HTTPConnection(host, int(port), timeout=120)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_ours(bench):
    home = bench.work / "registry-home"
    shutil.rmtree(home, ignore_errors=True)
    variables = dict(os.environ, ASSAY_HOME=str(home))
    for name in ("ASSAY_SERVER", "ASSAY_TOKEN"):
        variables.pop(name, None)
    create = [bench.assay, "admin", "token", "create", "bench", "--role", "publisher", "--repository", "bench/*", "--json"]
    token = json.loads(run(create, bench.work, variables, bench.log).stdout)["token"]
    with open(bench.log, "ab") as log:
        serve = [bench.assay, "--quiet", "serve", "--data", str(home / "data"), "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(serve, env=variables, cwd=bench.work, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
    ready = process.stdout.readline().decode()
    if "http://" not in ready:
        raise RaceError(f"`assay serve` said `{ready}`; see {bench.log}")
    basic = base64.b64encode(f"bench:{token}".encode()).decode()
    return Server("assay", process, ready.rsplit("http://", 1)[1].strip(), {"Authorization": f"Basic {basic}"})


def start_docker(bench):
    if not os.path.exists(DOCKER_REGISTRY):
        raise RaceError(f"`{DOCKER_REGISTRY}` is needed: apt-get install docker-registry")
    storage = bench.work / "docker-registry"
    shutil.rmtree(storage, ignore_errors=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = bench.work / "registry.yml"
    config.write_text(
        "version: 0.1\n"
        "log: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {storage}}}}}\n"
        f'http: {{addr: "{address}"}}\n'
    )
    with open(bench.log, "ab") as log:
        process = subprocess.Popen([DOCKER_REGISTRY, "serve", str(config)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    server = Server("docker-registry", process, address, {})
    deadline = time.monotonic() + START_MAX_S
    while True:
        try:
            server.connect().close()
            return server
        except OSError:
            if time.monotonic() > deadline or process.poll() is not None:
                server.stop()
                raise RaceError("`docker-registry` does not answer") from None
            time.sleep(0.05)


def request(server, connection, method, path, body=None, headers=None, expect=(200,)):
    """Sends one request and reads its whole answer; returns its headers and how long the body was."""
    connection.request(method, path, body=body, headers={**server.headers, **(headers or {})})
    answer = connection.getresponse()
    size = 0
    while piece := answer.read(PIECE_BYTES):
        size += len(piece)
        last = piece
    if answer.status not in expect:
        text = last[:300].decode(errors="replace") if size else ""
        raise RaceError(f"{server.name}: {method} {path} was answered with {answer.status} {text}")
    return answer.headers, size


def location(headers):
    """The path and query of a Location, to which another parameter can be added."""
    target = urlsplit(headers["Location"])
    return f"{target.path}?{target.query}&" if target.query else f"{target.path}?"


def push_blob(server, connection, bytes_, digest, streamed=False):
    """Pushes as container tools do: a large blob by PATCH and a closing PUT, a small one in one PUT."""
    headers, _ = request(server, connection, "POST", f"/v2/{REPOSITORY}/blobs/uploads/", expect=(202,))
    binary = {"Content-Type": "application/octet-stream"}
    if streamed:
        target = location(headers).rstrip("?&")
        headers, _ = request(server, connection, "PATCH", target, bytes_, binary, expect=(202, 204))
        bytes_ = b""
    request(server, connection, "PUT", f"{location(headers)}digest={digest}", bytes_, binary, expect=(201,))


def digest_of(bytes_):
    return "sha256:" + hashlib.sha256(bytes_).hexdigest()


class Image:
    """One layer of random bytes, unlike the layer of any other run."""

    def __init__(self):
        self.layer = os.urandom(LAYER_BYTES)
        self.layer_digest = digest_of(self.layer)
        config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [self.layer_digest]}}
        self.config = json.dumps(config).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest_of(self.config), "size": len(self.config)},
            "layers": [{"mediaType": LAYER, "digest": self.layer_digest, "size": LAYER_BYTES}],
        }
        self.manifest = json.dumps(manifest).encode()


def push_image(server, image):
    connection = server.connect()
    push_blob(server, connection, image.layer, image.layer_digest, streamed=True)
    push_blob(server, connection, image.config, digest_of(image.config))
    headers = {"Content-Type": MANIFEST}
    request(server, connection, "PUT", f"/v2/{REPOSITORY}/manifests/bench", image.manifest, headers, expect=(201,))
    connection.close()


def pull_image(server, image):
    connection = server.connect()
    request(server, connection, "GET", f"/v2/{REPOSITORY}/manifests/bench", headers={"Accept": MANIFEST})
    for digest, size in ((digest_of(image.config), len(image.config)), (image.layer_digest, LAYER_BYTES)):
        _, got = request(server, connection, "GET", f"/v2/{REPOSITORY}/blobs/{digest}")
        if got != size:
            raise RaceError(f"{server.name}: {digest} has {got} bytes instead of {size}")
    connection.close()


def by_clients(work):
    """Runs `work(number)` in as many threads as there are clients; the first error is raised."""
    errors = []

    def guarded(number):
        try:
            work(number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def push_blobs(server, shares):
    def client(number):
        connection = server.connect()
        for bytes_, digest in shares[number]:
            push_blob(server, connection, bytes_, digest)
        connection.close()

    by_clients(client)


def pull_blobs(server, shares):
    def client(number):
        connection = server.connect()
        for bytes_, digest in shares[number]:
            _, got = request(server, connection, "GET", f"/v2/{REPOSITORY}/blobs/{digest}")
            if got != len(bytes_):
                raise RaceError(f"{server.name}: {digest} has {got} bytes")
        connection.close()

    by_clients(client)


def get_manifests(server):
    def client(_):
        connection = server.connect()
        for _ in range(GETS_PER_CLIENT):
            request(server, connection, "GET", f"/v2/{REPOSITORY}/manifests/bench", headers={"Accept": MANIFEST})
        connection.close()

    by_clients(client)


def measured(server, work, *arguments):
    cpu_s, start = cpu_s_of(server.process.pid), time.monotonic()
    work(server, *arguments)
    wall_s = time.monotonic() - start
    return cpu_s_of(server.process.pid) - cpu_s, wall_s


def new_blobs():
    one = lambda: (lambda bytes_: (bytes_, digest_of(bytes_)))(os.urandom(BLOB_BYTES))
    return [[one() for _ in range(BLOBS_PER_CLIENT)] for _ in range(CLIENTS)]


def registry(bench):
    """Push and pull of a 200 MiB image, of 64 KiB blobs by 8 clients, and manifest GETs by 8 clients."""
    blobs = CLIENTS * BLOBS_PER_CLIENT
    names = [
        "push of a 200 MiB image",
        "pull of a 200 MiB image",
        f"push of {blobs} blobs of 64 KiB",
        f"pull of {blobs} blobs of 64 KiB",
        f"{CLIENTS * GETS_PER_CLIENT} manifest GETs",
    ]
    rows = {name: (bench.row(f"{name}, CPU", "s", "docker-registry"), bench.row(f"{name}, wall", "s", "docker-registry")) for name in names}
    servers = []
    try:
        servers.append(start_ours(bench))
        servers.append(start_docker(bench))
        for number in range(bench.runs(10)):
            bench.say(f"registry {number + 1}")
            image, shares = Image(), new_blobs()
            races = [(push_image, image), (pull_image, image), (push_blobs, shares), (pull_blobs, shares), (get_manifests,)]
            for name, (work, *arguments) in zip(names, races):
                ours, peer = (measured(server, work, *arguments) for server in servers)
                for row, our, their in zip(rows[name], ours, peer):
                    row.add(our, their)
    finally:
        for server in servers:
            server.stop()
