// The types of wasm.mjs, for vitest's configuration. Must not hold code.
export function wasmModule(): Promise<string>;
export function wasmPlugin(): { name: string; resolveId(id: string): string | undefined; load(id: string): Promise<string> | undefined };
