// Node has no canvas; the one class of it that is needed is a size and its bytes. Must not know what is tested.
globalThis.ImageData = class {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  constructor(first: Uint8ClampedArray | number, second: number, third?: number) {
    this.width = typeof first === "number" ? first : second;
    this.height = typeof first === "number" ? second : (third as number);
    this.data = typeof first === "number" ? new Uint8ClampedArray(4 * first * second) : first;
  }
} as unknown as typeof ImageData;

export {};
