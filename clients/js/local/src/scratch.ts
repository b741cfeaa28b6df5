/** Memory that is used again, or freed at once: browsers collect a worker's buffers after tens of MiB. */

/** The memory of one picture after the other. */
export class Scratch {
  private memory = new ArrayBuffer(0);

  /** `count` bytes with any content, the same memory at each call. */
  take(count: number): Uint8ClampedArray<ArrayBuffer> {
    if (count > this.memory.byteLength) {
      free(this.memory);
      this.memory = new ArrayBuffer(count);
    }
    return new Uint8ClampedArray(this.memory, 0, count);
  }
}

/** Free a buffer that nothing reads any more; a browser that cannot collects it some time. */
export function free(buffer: ArrayBufferLike): void {
  const { transfer, detached } = buffer as { transfer?: (bytes: number) => unknown; detached?: boolean };
  if (!detached) transfer?.call(buffer, 0);
}
