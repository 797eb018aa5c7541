"""Publishes with plain aiortc as its webcam example does: a track whose ``recv`` makes an ``av.VideoFrame``,
a page that offers, one HTTP request that answers. No STUN server, since none is reachable."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from typing import Any

from benchmarks.servers.job import Job, play

PAGE = """<!doctype html><meta charset="utf-8"><title>aiortc</title>
<style>html, body { margin: 0; background: #000; overflow: hidden } video { display: block }</style>
<video id="video" autoplay playsinline muted></video>
<script>
const pc = new RTCPeerConnection({ sdpSemantics: "unified-plan" });
pc.addEventListener("track", ({ streams }) => { document.getElementById("video").srcObject = streams[0]; });
const negotiate = async () => {
  pc.addTransceiver("video", { direction: "recvonly" });
  await pc.setLocalDescription(await pc.createOffer());
  await new Promise((resolve) => {
    const check = () => pc.iceGatheringState === "complete" && resolve();
    pc.addEventListener("icegatheringstatechange", check);
    check();
  });
  const { sdp, type } = pc.localDescription;
  const headers = { "Content-Type": "application/json" };
  const reply = await fetch("/offer", { body: JSON.stringify({ sdp, type }), headers, method: "POST" });
  await pc.setRemoteDescription(await reply.json());
};
negotiate();
</script>"""

CLOCK = 90_000


async def serve(job: Job) -> None:
    import av
    from aiohttp import web
    from aiortc import (
        RTCConfiguration,
        RTCPeerConnection,
        RTCRtpSender,
        RTCSessionDescription,
        VideoStreamTrack,
    )
    from aiortc.contrib.media import MediaRelay

    class FrameTrack(VideoStreamTrack):
        pts = 0

        async def recv(self) -> Any:
            if not await job.sleep():
                self.stop()
                raise asyncio.CancelledError
            frame = av.VideoFrame.from_ndarray(job.frame(), format="rgb24")
            if job.viewers > 1:
                # The encoders of several viewers would convert the same frame in several threads, which crashes PyAV.
                frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = self.pts, Fraction(1, CLOCK)
            self.pts += round(CLOCK / job.fps)
            return frame

    peers: set[RTCPeerConnection] = set()
    relay, camera = MediaRelay(), FrameTrack()

    async def offer(request: web.Request) -> web.Response:
        params = await request.json()
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        peers.add(peer)
        sender = peer.addTrack(camera if job.viewers == 1 else relay.subscribe(camera, buffered=False))
        await peer.setRemoteDescription(RTCSessionDescription(params["sdp"], params["type"]))
        if job.codec:
            wanted = [
                c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType.lower() == f"video/{job.codec}"
            ]
            next(t for t in peer.getTransceivers() if t.sender is sender).setCodecPreferences(wanted)
        await peer.setLocalDescription(await peer.createAnswer())
        return web.json_response({"sdp": peer.localDescription.sdp, "type": peer.localDescription.type})

    async def index(_: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    app = web.Application()
    app.add_routes([web.get("/", index), web.post("/offer", offer)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, job.host, job.port)
    await site.start()
    job.ready(f"http://{job.host}:{runner.addresses[0][1]}/")
    await asyncio.to_thread(job.stopped.wait)
    await asyncio.gather(*(peer.close() for peer in peers), return_exceptions=True)
    await runner.cleanup()


if __name__ == "__main__":
    play(serve)
