"""Viewers without a screen: aiortc connections that take a stream and decode nothing, until the input ends.

    viewers_program.py COUNT WS_URL TOKEN

Prints one JSON line when all are connected, and one with the frames each of them has had when its standard
input is closed. Must not know what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any

import aiohttp
import aiortc.rtcrtpreceiver
from aiortc import RTCPeerConnection, RTCSessionDescription


class NoDecoder:
    """Eight decoders would measure the decoders."""

    def __init__(self) -> None:
        self.frames = 0

    def decode(self, encoded_frame: Any) -> list[Any]:
        self.frames += 1
        return []


class Viewer:
    def __init__(self) -> None:
        self.peer = RTCPeerConnection()
        self.connected = asyncio.Event()
        self.peer.on("connectionstatechange", self._changed)

    def _changed(self) -> None:
        if self.peer.connectionState == "connected":
            self.connected.set()

    async def watch(self, url: str, token: str, stream: str = "default") -> None:
        async with aiohttp.ClientSession() as http, http.ws_connect(url, max_msg_size=0) as ws:
            await ws.send_json({"type": "hello", "version": 1, "token": token, "codecs": ["h264", "vp8"]})
            await ws.send_json({"type": "subscribe", "sub": 1, "stream": stream, "mode": "webrtc"})
            report = asyncio.create_task(self._report(ws))
            try:
                async for message in ws:
                    said = json.loads(message.data)
                    if said["type"] == "offer":
                        await self._answer(ws, said)
            finally:
                report.cancel()
                await self.peer.close()

    async def _answer(self, ws: aiohttp.ClientWebSocketResponse, offer: dict[str, Any]) -> None:
        await self.peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], "offer"))
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        sdp = self.peer.localDescription.sdp
        await ws.send_json({"type": "answer", "peer": offer["peer"], "offer": offer["offer"], "sdp": sdp})

    async def _report(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        seen = {"type": "report", "sub": 1, "visible": True, "decoded": 0, "painted": 0}
        while True:
            await asyncio.sleep(1)
            await ws.send_json({**seen, "time": time.time() * 1000})


def tell(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def main(count: str, url: str, token: str) -> None:
    decoders: list[NoDecoder] = []

    def get_decoder(codec: object) -> NoDecoder:
        decoders.append(NoDecoder())
        return decoders[-1]

    vars(aiortc.rtcrtpreceiver)["get_decoder"] = get_decoder
    viewers = [Viewer() for _ in range(int(count))]
    tasks = [asyncio.create_task(viewer.watch(url, token)) for viewer in viewers]
    await asyncio.gather(*(viewer.connected.wait() for viewer in viewers))
    tell(connected=len(viewers))
    await asyncio.to_thread(sys.stdin.read)
    tell(frames=[decoder.frames for decoder in decoders])
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
