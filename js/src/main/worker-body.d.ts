// The worker as a function, which js/scripts/build.mjs generates: its text starts the worker, or it runs here where workers are forbidden.
// Must not know more of the worker than its messages.

declare module "framewire:worker" {
  type Take = (message: unknown) => void;
  export function workerBody(): { run(post: (message: unknown) => void): Take };
}
