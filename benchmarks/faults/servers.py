"""Servers of others between program and viewer: a reverse proxy and a TURN server. Must not know any fault."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.faults.network import Cable
from benchmarks.measure import kill_tree

UP_S = 10.0
"""A server listens within this time."""
NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events {{ worker_connections 128; }}
http {{
  access_log off;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "upgrade";
    }}
  }}
}}
"""
USER, PASSWORD = "viewer", "only-for-this-stage"


class OtherServer:
    """A server beside the program. It runs from `start` to `stop`, and may be started again."""

    serve: dict[str, Any]
    """Options of the program."""

    def __init__(self, command: list[str], address: tuple[str, int], inside: tuple[str, ...] = ()) -> None:
        self._command, self._address, self._inside = command, address, inside
        self._process: asyncio.subprocess.Process | None = None

    def url(self, url: str) -> str:
        """Where the page is, for a program that is at ``url``."""
        return url

    async def start(self) -> None:
        """Returns when it listens."""
        quiet = subprocess.DEVNULL
        self._process = await asyncio.create_subprocess_exec(
            *self._inside, *self._command, stdin=quiet, stdout=quiet, stderr=quiet
        )
        if not self._inside:
            await _listens(self._address)
        else:
            await asyncio.sleep(0.3)

    async def stop(self) -> None:
        """It is killed, and its connections end."""
        if self._process:
            kill_tree(self._process.pid)
            await self._process.wait()
            self._process = None


class Proxy(OtherServer):
    """nginx in front of the program."""

    def __init__(self, folder: Path, place: Cable | None) -> None:
        port, behind = _free_port(), _free_port()
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, behind=behind))
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin") or "nginx"
        super().__init__([program, "-p", str(folder), "-c", str(config)], ("127.0.0.1", port))
        self.serve = {"port": behind}
        self._ports = (behind, port)

    def url(self, url: str) -> str:
        behind, port = self._ports
        return url.replace(f":{behind}/", f":{port}/")


class Turn(OtherServer):
    """coturn on the program's machine, reached over TCP: between the machines UDP is dropped."""

    def __init__(self, folder: Path, place: Cable | None) -> None:
        assert place, "it is between two machines"
        address = place.server.address
        words = (
            f"turnserver -n --listening-ip={address} --relay-ip={address} --no-tls --no-dtls --no-cli --fingerprint "
            f"--lt-cred-mech --realm=faults --user={USER}:{PASSWORD} --pidfile={folder}/turn.pid --log-file=stdout "
            f"--db={folder}/turn.db"
        )
        super().__init__(words.split(), (address, 3478), place.server.inside)
        server = {"urls": f"turn:{address}:3478?transport=tcp", "username": USER, "credential": PASSWORD}
        self.serve = {"ice_servers": [server]}
        place.server.drop_udp("cable")
        place.viewer.drop_udp("cable")


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def _listens(address: tuple[str, int]) -> None:
    async with asyncio.timeout(UP_S):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(*address)
                writer.close()
                return
            await asyncio.sleep(0.02)
