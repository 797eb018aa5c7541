"""Publishes with framewire: a plain loop in a plain script, as its README shows."""

from __future__ import annotations

from benchmarks.servers.job import Job


def main() -> None:
    import framewire as fw

    job = Job()
    whole = job.codec == "h264_444"
    display = fw.serve(
        job.width,
        job.height,
        fps=job.fps,
        host=job.host,
        port=job.port,
        codecs=("h264",) if whole else (job.codec,) if job.codec else ("h264", "vp8"),
        chroma="444" if whole else "420",
    )
    with display:
        display.wait_ready()
        job.ready(display.url)
        while job.wait():
            display.publish(job.frame())
    job.done()


if __name__ == "__main__":
    main()
