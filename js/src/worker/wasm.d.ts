// What the build makes of the zstd decoder's package and of kernels.wat. Must not hold code.

declare module "framewire:wasm" {
  /** WebAssembly modules, raw deflate in base64. */
  export const zstd: string;
  export const kernels: string;
}
