"""A stand-in for the Hugging Face Hub: those of its endpoints that pushing and pulling use.

https://huggingface.co/docs/hub/api; large files go by the Git LFS batch API, without Xet.
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_token-of-the-stand-in"
Files = dict[str, bytes]


@dataclass
class Repository:
    """Commits by their ids, the newest last."""

    private: bool = False
    commits: dict[str, Files] = field(default_factory=lambda: {"0" * 40: {}})

    @property
    def head(self) -> str:
        return list(self.commits)[-1]

    def commit(self, revision: str) -> str:
        return self.head if revision == "main" else revision


@dataclass
class Hub:
    """The server's address and content; large: files of at least so many bytes go by LFS."""

    url: str = ""
    large: int = 4096
    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def files(self, repository: str) -> Files:
        """The files of a repository's newest commit."""
        content = self.repositories[repository]
        return content.commits[content.head]


@contextmanager
def serving() -> Iterator[Hub]:
    """A stand-in that listens on a free port."""
    hub = Hub()

    class Handler(_Handler):
        content = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    content: Hub
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Create, preupload, LFS batch, commit."""
        body, path = self._body(), self._path()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._json(401, {"error": "Invalid username or password."})
        if path == "/api/validate-yaml":
            return self._json(200, {"warnings": [], "errors": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if match := re.fullmatch(r"/api/models/(.+/.+)/preupload/main", path):
            return self._preupload(match[1], json.loads(body))
        if re.fullmatch(r"/(.+/.+)\.git/info/lfs/objects/batch", path):
            return self._batch(json.loads(body))
        if match := re.fullmatch(r"/api/models/(.+/.+)/commit/main", path):
            return self._commit(match[1], body)
        return self._json(404, {"error": f"The stand-in has no {path}."})

    def do_PUT(self) -> None:
        """The bytes of an LFS object."""
        body = self._body()
        digest = self._path().removeprefix("/objects/")
        assert hashlib.sha256(body).hexdigest() == digest
        self.content.objects[digest] = body
        self._bytes(b"")

    def do_GET(self) -> None:
        """Information about a repository, its tree, a file."""
        path = self._path()
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", path):
            return self._info(match[1], match[2] or "main")
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)/tree/([^/]+)", path):
            return self._tree(match[1], match[2])
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(match[1], match[2], match[3])
        return self._json(404, {"error": f"The stand-in has no {path}."})

    do_HEAD = do_GET

    def _create(self, body: dict[str, Any]) -> None:
        name = "/".join(filter(None, [body.get("organization"), body["name"]]))
        if name in self.content.repositories:
            return self._json(409, {"url": f"{self.content.url}/{name}", "error": "It exists."})
        is_private = body.get("private") is True or body.get("visibility") == "private"
        self.content.repositories[name] = Repository(is_private)
        return self._json(200, {"url": f"{self.content.url}/{name}", "name": name, "id": name})

    def _preupload(self, name: str, body: dict[str, Any]) -> None:
        if name not in self.content.repositories:
            return self._missing()
        rows = [
            {
                "path": row["path"],
                "uploadMode": "lfs" if row["size"] >= self.content.large else "regular",
                "shouldIgnore": False,
                "oid": None,
            }
            for row in body["files"]
        ]
        return self._json(200, {"files": rows})

    def _batch(self, body: dict[str, Any]) -> None:
        assert (body["operation"], body["hash_algo"]) == ("upload", "sha256")
        rows = []
        for row in body["objects"]:
            href = f"{self.content.url}/objects/{row['oid']}"
            is_known = row["oid"] in self.content.objects
            actions = {} if is_known else {"actions": {"upload": {"href": href}}}
            rows.append({**row, "authenticated": True, **actions})
        content = {"transfer": "basic", "objects": rows}
        return self._json(200, content, "application/vnd.git-lfs+json")

    def _commit(self, name: str, body: bytes) -> None:
        repository = self.content.repositories[name]
        files = dict(repository.commits[repository.head])
        for line in body.splitlines():
            row = json.loads(line)
            value = row["value"]
            if row["key"] == "file":
                assert value["encoding"] == "base64"
                files[value["path"]] = base64.b64decode(value["content"])
            elif row["key"] == "lfsFile":
                assert value["size"] == len(self.content.objects[value["oid"]])
                files[value["path"]] = self.content.objects[value["oid"]]
            elif row["key"] == "deletedFile":
                del files[value["path"]]
            else:
                assert row["key"] == "header"
        commit = hashlib.sha1(body).hexdigest()
        repository.commits[commit] = files
        url = f"{self.content.url}/{name}/commit/{commit}"
        return self._json(200, {"success": True, "commitOid": commit, "commitUrl": url})

    def _info(self, name: str, revision: str) -> None:
        repository = self._visible(name)
        if repository is None or repository.commit(revision) not in repository.commits:
            return self._missing()
        commit = repository.commit(revision)
        rows = [
            {"rfilename": path, "size": len(content)}
            for path, content in repository.commits[commit].items()
        ]
        return self._json(200, {"id": name, "sha": commit, "siblings": rows})

    def _tree(self, name: str, revision: str) -> None:
        repository = self._visible(name)
        if repository is None:
            return self._missing()
        files = repository.commits[repository.commit(revision)]
        rows = [
            {"type": "file", "path": path, "size": len(content), "oid": "0" * 40}
            for path, content in files.items()
        ]
        return self._json(200, rows)

    def _file(self, name: str, revision: str, path: str) -> None:
        repository = self._visible(name)
        if repository is None:
            return self._missing()
        commit = repository.commit(revision)
        content = repository.commits[commit][path]
        digest = hashlib.sha256(content).hexdigest()
        return self._bytes(content, {"X-Repo-Commit": commit, "ETag": f'"{digest}"'})

    def _visible(self, name: str) -> Repository | None:
        repository = self.content.repositories.get(name)
        is_mine = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        return repository if repository and (is_mine or not repository.private) else None

    def _missing(self) -> None:
        headers = {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
        self._bytes(b'{"error": "Repository not found"}', headers, 404)

    def _json(self, status: int, content: Any, media_type: str = "application/json") -> None:
        self._bytes(json.dumps(content).encode(), {"Content-Type": media_type}, status)

    def _bytes(
        self, content: bytes, headers: dict[str, str] | None = None, status: int = 200
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _path(self) -> str:
        path = unquote(urlsplit(self.path).path)
        self.content.requests.append(f"{self.command} {path}")
        return path

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = bytearray()
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""
