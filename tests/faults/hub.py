#!/usr/bin/env python3
"""A Hugging Face server on the loopback, that can be told to misbehave.

hub.py FOLDER

Serves FOLDER/repos/OWNER/NAME/... by the two addresses that woodshed uses, and
writes its port to FOLDER/port.  Every request becomes a JSON line in FOLDER/log:
path, range, token, status, how many bytes of the body were sent, and st_mtime_ns of the rules then.

FOLDER/rules, read anew for each request when it has changed, is a list of objects,
the first that fits a request counts:

  match    a part of the address
  times    how often, then the rule is used up (default: always)
  range    true: only requests for a range; false: only for whole files
  status   this answer, with `headers`
  token    only to this one; others get status 401, or with `refuse` that one
  redirect to this address, with {port} and {path} filled in
  cut      the body ends after so many bytes; with `reset` by a reset
  delay    seconds before the answer
  slow     seconds between the pieces of 16 KB
  length   what Content-Length says more than the truth
  flip     the first byte of the body is another one
  norange  a range is answered with the whole file
  shift    the range begins so much later, and says so
  file     the bytes of another file, by its path in the repository
  headers  are added
  list     what the list of files is made of: text as it is
  sizes    {path: size} that the list tells instead
"""
import hashlib
import http.server
import json
import os
import pathlib
import socket
import struct
import sys
import threading
import time

FOLDER = pathlib.Path(sys.argv[1])
REPOS = FOLDER / "repos"
BLOCK = 16384

lock = threading.Lock()
rules = {"stamp": None, "list": [], "used": []}
hashes = {}


def stamp_of_rules():
    path = FOLDER / "rules"
    return os.stat(path).st_mtime_ns if path.exists() else None


def rule_for(address, is_range):
    with lock:
        stamp = stamp_of_rules()
        if stamp != rules["stamp"]:
            made = json.loads((FOLDER / "rules").read_text()) if stamp else []
            rules.update(stamp=stamp, list=made, used=[0] * len(made))
        for i, rule in enumerate(rules["list"]):
            if rule.get("match", "") not in address:
                continue
            if rule.get("range", is_range) != is_range:
                continue
            if rules["used"][i] >= rule.get("times", 1 << 60):
                continue
            rules["used"][i] += 1
            return rule
    return {}


def is_lfs(path):
    return path.suffix in (".safetensors", ".bin", ".model")


def hash_of(path):
    stat = path.stat()
    key = (path, stat.st_mtime_ns, stat.st_size)
    if key not in hashes:
        if is_lfs(path):
            made = hashlib.sha256()
        else:
            made = hashlib.sha1(b"blob %d\0" % stat.st_size)
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                made.update(block)
        hashes[key] = made.hexdigest()
    return hashes[key]


def list_of(repo, rule):
    if "list" in rule:
        return rule["list"].encode()
    entries = []
    for path in sorted(repo.rglob("*")):
        name = path.relative_to(repo).as_posix()
        if path.is_dir():
            entries.append({"type": "directory", "path": name, "oid": "0" * 40, "size": 0})
            continue
        size = rule.get("sizes", {}).get(name, path.stat().st_size)
        entry = {"type": "file", "path": name, "size": size, "oid": hash_of(path)}
        if is_lfs(path):
            entry["oid"] = "1" * 40
            entry["lfs"] = {"oid": hash_of(path), "size": size, "pointerSize": 135}
        entries.append(entry)
    return json.dumps(entries).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "hub"

    def log_message(self, *_):
        pass

    def answer(self, status, headers=None, body=b""):
        self.status = status
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if "Content-Length" not in (headers or {}):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.sent += len(body)

    def do_GET(self):
        self.status, self.sent = 0, 0
        began, stamp = time.monotonic(), stamp_of_rules()
        try:
            self.route()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self.log(began, stamp)

    def log(self, began, stamp):
        """With the rules it began under: who broke off may have changed them, and removed the log, since."""
        with lock:
            with open(FOLDER / "log", "a") as log:
                print(json.dumps({
                    "path": self.path, "host": self.headers.get("Host"),
                    "range": self.headers.get("Range"),
                    "token": self.headers.get("Authorization"),
                    "agent": self.headers.get("User-Agent"), "status": self.status,
                    "sent": self.sent, "at": began, "rules": stamp,
                }), file=log)

    def route(self):
        rule = rule_for(self.path, self.headers.get("Range") is not None)
        headers = rule.get("headers", {})
        time.sleep(rule.get("delay", 0))
        if "token" in rule and self.headers.get("Authorization") != "Bearer " + rule["token"]:
            return self.answer(rule.get("refuse", 401), headers)
        if "status" in rule:
            return self.answer(rule["status"], headers, b"no")
        if "redirect" in rule:
            port = self.server.server_address[1]
            place = rule["redirect"].format(port=port, path=self.path)
            return self.answer(302, {"Location": place, **headers})
        path = self.path.partition("?")[0].removeprefix("/cdn")
        if path.startswith("/api/models/") and path.endswith("/tree/main"):
            repo = REPOS / path.removeprefix("/api/models/").removesuffix("/tree/main")
            if not repo.is_dir():
                return self.answer(401, {"X-Error-Code": "RepoNotFound"})
            return self.answer(200, headers, list_of(repo, rule))
        repo, found, name = path.lstrip("/").partition("/resolve/main/")
        file = REPOS / repo / rule.get("file", name)
        if not found or not file.is_file():
            return self.answer(404, {"X-Error-Code": "EntryNotFound"})
        self.send_file(file, rule, headers)

    def send_file(self, path, rule, headers):
        size, first = path.stat().st_size, 0
        wanted = self.headers.get("Range")
        status = 200
        if wanted and not rule.get("norange"):
            first = int(wanted.removeprefix("bytes=").removesuffix("-")) + rule.get("shift", 0)
            if first >= size:
                return self.answer(416, {"Content-Range": f"bytes */{size}"})
            status = 206
        self.status = status
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{size - 1}/{size}")
        self.send_header("ETag", f'"{hash_of(path)}"')
        self.send_header("Content-Length", str(size - first + rule.get("length", 0)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.send_bytes(path, first, rule)

    def send_bytes(self, path, first, rule):
        left = rule.get("cut", 1 << 60)
        with open(path, "rb") as file:
            file.seek(first)
            while left and (block := file.read(min(BLOCK, left))):
                if rule.get("flip") and not self.sent:
                    block = bytes([block[0] ^ 1]) + block[1:]
                self.wfile.write(block)
                self.sent += len(block)
                left -= len(block)
                if rule.get("slow"):
                    self.wfile.flush()
                    time.sleep(rule["slow"])
            if rule.get("length", 0) > 0:
                self.wfile.write(b"x" * rule["length"])
        self.wfile.flush()
        if "cut" in rule or rule.get("length"):
            self.close_connection = True
        if rule.get("reset"):  # what is under way is lost
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def main():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fresh = FOLDER / "port.new"
    fresh.write_text(f"{server.server_address[1]}\n")
    fresh.rename(FOLDER / "port")
    server.serve_forever()


main()
