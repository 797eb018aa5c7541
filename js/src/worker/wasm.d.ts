// The module that the build generates from the zstd decoder's package and from kernels.wat.
// Must not hold code.

declare module "framewire:wasm" {
  /** WebAssembly modules, raw deflate in base64. */
  export const zstd: string;
  export const kernels: string;
}
