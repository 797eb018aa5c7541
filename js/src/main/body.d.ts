// The worker as a function, put there by js/scripts/build.mjs: its text makes the worker, or it runs here where no worker may.
// Must not know more of the worker than its two ends.

declare module "framewire:worker" {
  type Take = (message: unknown) => void;
  export function workerBody(): { run(post: (message: unknown) => void): Take };
}
