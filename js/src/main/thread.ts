// Starts the worker; on a page whose policy forbids it, runs the same code on this thread.
// Must not know what the two sides say to each other.

import { workerBody } from "framewire:worker";
import type { FromWorker, ToWorker } from "../core/ports";

export interface Thread {
  post(message: ToWorker, transfer?: Transferable[]): void;
  end(): void;
}

type Listen = (message: FromWorker<Blob>) => void;

/** A worker that has not spoken by then was stopped by the page's policy. */
const START_MS = 3000;

export async function startThread(listen: Listen): Promise<Thread> {
  return (await startWorker(listen)) ?? startHere(listen);
}

function startWorker(listen: Listen): Promise<Thread | undefined> {
  return new Promise((done) => {
    const worker = makeWorker();
    if (worker === undefined) return done(undefined);
    const thread: Thread = {
      post: (message, transfer = []) => worker.postMessage(message, transfer),
      end: () => worker.terminate(),
    };
    const give_up = (): void => {
      worker.terminate();
      done(undefined);
    };
    const timer = setTimeout(give_up, START_MS);
    worker.onerror = give_up;
    worker.onmessage = ({ data }: MessageEvent<FromWorker<Blob>>) => {
      if (data.type !== "ready") return listen(data);
      clearTimeout(timer);
      worker.onerror = (event) => console.error("framewire worker:", event.message);
      done(thread);
    };
  });
}

function makeWorker(): Worker | undefined {
  const start = `const take = (${workerBody})().run((message) => postMessage(message)); onmessage = (event) => take(event.data);`;
  const url = URL.createObjectURL(new Blob([start], { type: "text/javascript" }));
  try {
    return new Worker(url, { name: "framewire" });
  } catch {
    return undefined;
  } finally {
    // The fetch of a worker's script has begun when the constructor returns, but Firefox still needs the address for a moment.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

function startHere(listen: Listen): Thread {
  const take = workerBody().run((message) => queueMicrotask(() => listen(message as FromWorker<Blob>)));
  return { post: (message) => take(message), end: () => undefined };
}
