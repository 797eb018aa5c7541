// Starts the worker. On a page whose policy forbids workers, runs the same code on this thread.
// Must not know the messages between the two.

import { workerBody } from "framewire:worker";
import type { FromWorker, ToWorker } from "../core/ports";

export interface Thread {
  post(message: ToWorker, transfer?: Transferable[]): void;
  end(): void;
}

type Receive = (message: FromWorker<Blob>) => void;

/** A worker that has sent nothing by then was stopped by the page's policy. */
const START_MS = 3000;

export async function startThread(receive: Receive): Promise<Thread> {
  return (await startWorker(receive)) ?? startHere(receive);
}

function startWorker(receive: Receive): Promise<Thread | undefined> {
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
      if (data.type !== "ready") return receive(data);
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
    // The constructor has begun to fetch the script when it returns, but Firefox needs the address a little longer.
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

function startHere(receive: Receive): Thread {
  const take = workerBody().run((message) => queueMicrotask(() => receive(message as FromWorker<Blob>)));
  return { post: (message) => take(message), end: () => undefined };
}
