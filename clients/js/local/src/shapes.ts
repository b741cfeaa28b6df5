/** Shapes of tensors: sizes, strides, broadcasting. */

export type Shape = readonly number[];

export function count(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The distance of neighbours along each axis, in numbers. */
export function strides(shape: Shape): number[] {
  const distances = new Array<number>(shape.length).fill(1);
  for (let axis = shape.length - 2; axis >= 0; axis--) {
    distances[axis] = distances[axis + 1] * shape[axis + 1];
  }
  return distances;
}

/** The shape that two are repeated to. Throws RangeError where they do not fit. */
export function broadcast(a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const one = a[axis - rank + a.length] ?? 1;
    const other = b[axis - rank + b.length] ?? 1;
    if (one !== other && one !== 1 && other !== 1) throw new RangeError("Shapes do not fit.");
    return one === 1 ? other : one;
  });
}

/** Strides of a tensor as it is repeated to `shape`: 0 along the axes that repeat. */
export function repeatedStrides(own: Shape, shape: Shape): number[] {
  const distances = strides(own);
  return shape.map((_, axis) => {
    const place = axis - shape.length + own.length;
    return place < 0 || own[place] === 1 ? 0 : distances[place];
  });
}

/** Negative axes count from the last. */
export function axisOf(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

/** Four sizes and strides that walk like the given ones: neighbouring axes joined, filled up. */
export function joined(shape: Shape, walks: readonly Shape[]): { shape: number[]; walks: number[][] } {
  const sizes: number[] = [];
  const steps: number[][] = walks.map(() => []);
  for (let axis = 0; axis < shape.length; axis++) {
    if (shape[axis] === 1) continue;
    const fits = sizes.length > 0 &&
      walks.every((walk, index) => steps[index].at(-1) === walk[axis] * shape[axis]);
    if (fits) {
      sizes[sizes.length - 1] *= shape[axis];
      walks.forEach((walk, index) => (steps[index][sizes.length - 1] = walk[axis]));
    } else {
      sizes.push(shape[axis]);
      walks.forEach((walk, index) => steps[index].push(walk[axis]));
    }
  }
  if (sizes.length > 4) throw new RangeError("A tensor has too many axes.");
  const missing = 4 - sizes.length;
  return {
    shape: [...new Array<number>(missing).fill(1), ...sizes],
    walks: steps.map((walk) => [...new Array<number>(missing).fill(0), ...walk]),
  };
}
