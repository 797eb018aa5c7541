"""The newest frame as a video track, for an aiortc program of your own. Here two peers in one program are connected."""

import asyncio
import itertools

from aiortc import RTCPeerConnection

import framewire as fw
from framewire.patterns import PATTERNS

WIDTH, HEIGHT, FPS = 640, 360, 30


async def connect(sender, receiver):
    """Exchange offer and answer. A real program sends them through its own signalling."""
    await sender.setLocalDescription(await sender.createOffer())
    await receiver.setRemoteDescription(sender.localDescription)
    await receiver.setLocalDescription(await receiver.createAnswer())
    await sender.setRemoteDescription(receiver.localDescription)


async def main():
    render, number = PATTERNS["plot"](WIDTH, HEIGHT), itertools.count()
    sender, receiver = RTCPeerConnection(), RTCPeerConnection()
    received = asyncio.Queue()
    receiver.on("track", received.put_nowait)
    async with fw.serve(WIDTH, HEIGHT, fps=FPS) as display:
        print(display.url, flush=True)  # framewire's own viewers see the same picture
        fw.publish_loop(display, lambda: render(next(number)), fps=FPS)
        sender.addTrack(display.track())
        await connect(sender, receiver)
        track = await received.get()
        try:
            for count in itertools.count(1):
                frame = await track.recv()
                if count % FPS == 0:
                    print(f"{count} frames of {frame.width}x{frame.height} received", flush=True)
        finally:
            await sender.close()
            await receiver.close()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
