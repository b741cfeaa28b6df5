/** The memory and the kernels of one network, in WebAssembly. */

type Kernel = (...numbers: number[]) => void;

export interface Kernels {
  convolve: Kernel;
  convolve_transposed: Kernel;
  multiply_vector: Kernel;
  combine: Kernel;
  transform: Kernel;
  reduce: Kernel;
  move: Kernel;
  resize: Kernel;
  to_bytes: Kernel;
  from_bytes: Kernel;
}

const PAGE = 65_536; // bytes
const ALIGNMENT = 64; // bytes; a cache line
const SLACK = 64; // bytes behind each block, which vector loads may touch

/** Numbers within the machine's memory, used by one or more values of a graph. */
export interface Block {
  address: number;
  size: number;
  users: number;
}

export class Machine {
  readonly kernels: Kernels;
  private readonly memory: WebAssembly.Memory;
  private readonly free: Block[] = [];
  private end: number;

  constructor(module: WebAssembly.Module) {
    this.memory = new WebAssembly.Memory({ initial: 16 });
    const { exports } = new WebAssembly.Instance(module, { env: { memory: this.memory } });
    this.kernels = exports as unknown as Kernels;
    this.end = (exports.heap as () => number)();
  }

  /** Bytes of memory that the machine holds. */
  get size(): number {
    return this.memory.buffer.byteLength;
  }

  /** A block of at least `count` numbers of four bytes, which runs may share one after another. */
  allocate(count: number): Block {
    const size = sizeOf(count);
    const fit = this.free
      .filter((block) => block.size >= size && block.size <= 2 * size)
      .sort((one, other) => one.size - other.size)[0];
    if (fit) {
      this.free.splice(this.free.indexOf(fit), 1);
      return { ...fit, users: 1 };
    }
    return this.reserve(count);
  }

  /** A block that no run has written to: what it gets now stays. */
  reserve(count: number): Block {
    const size = sizeOf(count);
    const address = Math.ceil(this.end / ALIGNMENT) * ALIGNMENT;
    this.end = address + size;
    const missing = this.end - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    return { address, size, users: 1 };
  }

  /** One user of a block less; without users its memory is used again. */
  release(block: Block): void {
    block.users -= 1;
    if (block.users === 0) this.free.push(block);
  }

  /** A view of numbers; growing the memory ends its life. */
  floats(block: Block, count: number): Float32Array {
    return new Float32Array(this.memory.buffer, block.address, count);
  }

  wholes(block: Block, count: number): Int32Array {
    return new Int32Array(this.memory.buffer, block.address, count);
  }

  bytes(block: Block, count: number): Uint8Array {
    return new Uint8Array(this.memory.buffer, block.address, count);
  }

  /** A block with these numbers. */
  upload(numbers: ArrayLike<number>): Block {
    const block = this.reserve(numbers.length);
    this.floats(block, numbers.length).set(numbers);
    return block;
  }

  /** A block with these whole numbers, as kernels read sizes and tables. */
  uploadWhole(numbers: ArrayLike<number>): Block {
    const block = this.reserve(numbers.length);
    this.wholes(block, numbers.length).set(numbers);
    return block;
  }
}

function sizeOf(count: number): number {
  return Math.ceil((count * 4 + SLACK) / ALIGNMENT) * ALIGNMENT;
}
