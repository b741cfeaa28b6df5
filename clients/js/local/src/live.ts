/** Pictures that follow a slider: small, at once, while the exact ones are still on their way. */

import { LocalFaces } from "./faces.js";
import { parseQuery, type Picture } from "./requests.js";

const REST = 120; // ms without a change, after which the exact picture is loaded
const MOST_AT_ONCE = 2; // one is drawn while the page shows the one before
const ROUND = /[?&]shape=(circle|rounded)(?=&|$)/; // the page clips what it shows

/** A picture of the playground (app/studio/assets/picture.js). */
interface PagePicture {
  frame: HTMLElement;
  requested: string;
  current: string | null;
  loading: string | null;
  load: () => Promise<void>;
}

interface Job {
  picture: Picture;
  resolve: (image: ImageData | null) => void;
}

/** Draws at the resolution of the network, of the pictures in wait only the newest. */
export class LiveFaces {
  private faces: { version: string; opened: Promise<LocalFaces> } | undefined;
  private drawing = 0;
  private next: Job | undefined;
  private readonly rests = new WeakMap<PagePicture, number>();

  constructor(private readonly server: string) {}

  /** The picture of an address, null where a newer one came or drawing failed.
   *
   * undefined at once for an address whose picture only the server draws.
   */
  draw(address: string): Promise<ImageData | null> | undefined {
    const url = new URL(address, this.server);
    const path = url.pathname.slice(new URL(this.server).pathname.length);
    const picture = parseQuery(url.search.replace(ROUND, ""), path);
    if (!picture) return undefined;
    return new Promise((resolve) => {
      this.next?.resolve(null);
      this.next = { picture, resolve };
      this.run();
    });
  }

  /** Show a picture's requested address at once, and load the exact picture when it rests.
   *
   * Returns false where only the server draws it.
   */
  follow(picture: PagePicture, address: string): boolean {
    clearTimeout(this.rests.get(picture));
    const drawing = this.draw(address);
    if (!drawing) return false;
    this.rests.set(picture, setTimeout(() => void (picture.loading ?? picture.load()), REST));
    void drawing.then((image) => {
      // The exact picture of a request may have come before its preview.
      if (image && picture.current !== picture.requested) show(picture.frame, image);
    });
    return true;
  }

  /** A picture is back at what it shows: no preview, and nothing to load. */
  stop(picture: PagePicture): void {
    clearTimeout(this.rests.get(picture));
    picture.frame.querySelector("canvas")?.remove();
  }

  close(): void {
    void this.faces?.opened.then((faces) => faces.close(), () => undefined);
    this.faces = undefined;
  }

  private run(): void {
    const job = this.next;
    if (!job || this.drawing === MOST_AT_ONCE) return;
    this.next = undefined;
    this.drawing += 1;
    void this.drawOne(job.picture).catch(() => null).then((image) => {
      this.drawing -= 1;
      job.resolve(image);
      this.run();
    });
  }

  private async drawOne({ model, seed, psi, variant, traits, morph }: Picture): Promise<ImageData> {
    if (this.faces?.version !== model) {
      this.close();
      this.faces = { version: model, opened: LocalFaces.open(this.server, model) };
    }
    const faces = await this.faces.opened;
    return (await faces.draw(seed, faces.resolution, { psi, variant, traits, morph })).image;
  }
}

/** Show a preview above what a frame shows. */
function show(frame: HTMLElement, image: ImageData): void {
  const last = frame.lastElementChild;
  const isThere = last instanceof HTMLCanvasElement && last.width === image.width;
  const canvas = isThere ? last : document.createElement("canvas");
  if (!isThere) {
    frame.querySelector("canvas")?.remove();
    frame.append(Object.assign(canvas, { width: image.width, height: image.height }));
  }
  canvas.getContext("2d")?.putImageData(image, 0, 0);
}
